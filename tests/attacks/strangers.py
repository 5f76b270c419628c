"""A dataset as a stranger sends it: made well, and then tampered with."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from PIL import Image

from segpipe.cli import main
from tests.footage import make_video, picture

JOB = ("--set", "model.source=fake:", "--set", "store.frames_per_shard=3", "-q")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "FOOTAGE", "-o", "OUT", *JOB),
    "run --replace": ("run", "FOOTAGE", "-o", "OUT", *JOB, "--replace", "--set", "ego_mask=auto"),
    "verify": ("verify", "OUT"),
    "verify --footage": ("verify", "OUT", "--footage"),
    "verify --repair": ("verify", "OUT", "--repair"),
    "query": ("query", "OUT", "SELECT count(*) FROM masks"),
    "info": ("info", "OUT"),
    "errors": ("errors", "OUT"),
    "report": ("report", "OUT", "-o", "WORK/page.html", "--force"),
    "overlay": ("overlay", "OUT", "-o", "WORK/video.mp4", "--force"),
    "aggregate": ("aggregate", "OUT", "--by", "h3:10"),
    "events": ("events", "OUT", "--where", "class='red'"),
    "diff": ("diff", "OUT", "OTHER", "--by", "h3:10"),
    "diff, second": ("diff", "OTHER", "OUT", "--by", "h3:10"),
    "export": ("export", "OUT", "--format", "masks-png", "-o", "WORK/png"),
    "forget": ("forget", "OUT", "FOOTAGE/clip.mp4"),
    "relocate": ("relocate", "OUT", "FOOTAGE", "WORK"),
    "migrate": ("migrate", "OUT"),
}
"""Every command that opens a dataset. In it OUT is the stranger's, OTHER an honest one."""


def make(folder: Path) -> Path:
    """A folder with `footage` (a video and two photos) and the dataset `out` of it."""
    (folder / "footage" / "stills").mkdir(parents=True)
    make_video(folder / "footage" / "clip.mp4", frames=6, gop=3)
    for i in range(2):
        Image.fromarray(picture(i)).save(folder / "footage" / "stills" / f"{i}.png")
    assert main(["run", str(folder / "footage"), "-o", str(folder / "out"), *JOB]) == 0
    return folder


def arguments(command: str, made: Path, out: Path, work: Path) -> list[str]:
    """A command's arguments with its places filled in."""
    work.mkdir(exist_ok=True)
    places = {"OUT": out, "FOOTAGE": made / "footage", "WORK": work, "OTHER": made / "out"}
    found = []
    for text in COMMANDS[command]:
        name, slash, rest = text.partition("/")
        found.append(f"{places[name]}{slash}{rest}" if name in places else text)
    return found


def copied(made: Path, to: Path) -> Path:
    """A copy of the dataset, to be tampered with."""
    return shutil.copytree(made / "out", to, copy_function=shutil.copy2)


def contents(folder: Path) -> dict[str, object]:
    """All that lies in a folder: bytes of files, targets of links, kinds of the rest."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif stat.S_ISREG(mode):
            found[str(path.relative_to(folder))] = path.read_bytes()
        else:
            found[str(path.relative_to(folder))] = stat.S_IFMT(mode)
    return found
