"""Files on somebody else's card that want another program to run, or another file to be read."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from segpipe.sources.images.names import IMAGE_SUFFIXES
from segpipe.telemetry.exiftool import exiftool_track
from tests.conftest import ROOT
from tests.driving import eastwards, write_gpx
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
%%EndComments
%%Page: 1 1
(any PostScript at all) print
showpage
%%EOF
"""
TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)


def program(folder: Path, name: str, mark: Path, then: str = "exit 1") -> None:
    """A program that leaves a mark when it is started."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho started >> {mark}\n{then}\n")
    (folder / name).chmod(0o755)


@pytest.mark.attack("an EPS under a photo's name, for which Pillow starts Ghostscript")
def test_no_image_starts_ghostscript(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, footage = tmp_path / "started", tmp_path / "footage"
    program(tmp_path / "bin", "gs", mark)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    footage.mkdir()
    for suffix in sorted(IMAGE_SUFFIXES):
        (footage / f"photo{suffix}").write_bytes(EPS + suffix.encode())
    Image.fromarray(picture(1)).save(footage / "good.png")
    code, _, _ = segpipe("run", footage, "-o", tmp_path / "out", *FAKE, "--set", "ego_mask=auto")
    assert code == 6
    assert not mark.exists()
    rows = {Path(r["uri"]).name: r for r in snapshot(tmp_path / "out")["frames"]}
    assert {n for n, r in rows.items() if r["status"] == "ok"} == {"good.png"}
    assert {r["error_class"] for r in rows.values()} == {None, "permanent"}
    assert "no known format" in rows["photo.jpg"]["error"]


@pytest.mark.attack("an EPS under a photo's name, for which Pillow starts Ghostscript")
def test_every_place_that_opens_an_image_names_the_formats() -> None:
    calls = [
        (path, call)
        for path in (ROOT / "segpipe").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Image.open", "PIL.Image.open"}
    ]
    assert calls
    assert all(any(k.arg == "formats" for k in call.keywords) for _, call in calls)


def test_the_formats_that_segpipe_reads_are_still_read(tmp_path: Path, segpipe: Call) -> None:
    for suffix in ("jpg", "png", "webp", "tif", "bmp", "avif"):
        Image.fromarray(picture(len(suffix))).save(tmp_path / f"{suffix}.{suffix}")
    mpo = [Image.fromarray(picture(n)) for n in (7, 8)]
    mpo[0].save(tmp_path / "two.jpg", format="MPO", save_all=True, append_images=mpo[1:])
    code, _, _ = segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    assert len(snapshot(tmp_path / "out")["masks"]) == 7


@pytest.mark.attack("links on a card to pictures, films and tracks outside of it")
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, segpipe: Call) -> None:
    secret, card, out = tmp_path / "secret", tmp_path / "card", tmp_path / "out"
    (card / "DCIM").mkdir(parents=True)
    secret.mkdir()
    Image.fromarray(picture(1)).save(secret / "private.jpg")
    make_video(secret / "private.mp4", frames=5)
    write_gpx(secret / "private.gpx", TEN, eastwards(30))
    make_video(card / "DCIM" / "clip.mp4", frames=5)
    Image.fromarray(picture(2)).save(card / "DCIM" / "own.jpg")
    (card / "DCIM" / "clip.gpx").symlink_to(secret / "private.gpx")
    (card / "DCIM" / "a.jpg").symlink_to(secret / "private.jpg")
    (card / "DCIM" / "b.mp4").symlink_to("../../secret/private.mp4")
    (card / "DCIM" / "later.jpg").symlink_to(tmp_path / "not there yet.jpg")
    (card / "inside.jpg").symlink_to("DCIM/own.jpg")  # a copy
    (card / "more").symlink_to(secret)
    code, printed, errors = segpipe("run", card, "-o", out, *FAKE, "--start", TEN.isoformat())
    assert code == 2, errors  # two sources
    code, printed, errors = segpipe("run", card, "-o", out, *FAKE)
    assert code == 0, errors
    rows = snapshot(out)["frames"]
    assert {Path(r["uri"]).name for r in rows} <= {"clip.mp4", "own.jpg", "inside.jpg"}
    assert len(rows) == 6
    assert {r["latitude"] for r in rows} == {None}
    assert "1 linked folder (more)" in printed
    assert "4 links out of the input folder (a.jpg, b.mp4, clip.gpx, …)" in printed
    assert "follow_links: true" in printed


@pytest.mark.attack("links on a card to pictures, films and tracks outside of it")
@pytest.mark.parametrize("pattern", ["*.jpg", "**/*.jpg", "more", "mor*", "mor*/*.jpg"])
def test_links_out_of_a_patterns_folder_are_not_followed(
    pattern: str, tmp_path: Path, segpipe: Call
) -> None:
    secret, card = tmp_path / "secret", tmp_path / "card"
    card.mkdir()
    secret.mkdir()
    Image.fromarray(picture(1)).save(secret / "private.jpg")
    (card / "a.jpg").symlink_to(secret / "private.jpg")
    (card / "more").symlink_to(secret)
    if pattern == "more":  # who names a link wants what it leads to
        assert segpipe("run", card / pattern, "-o", tmp_path / "out", *FAKE)[0] == 0
        return
    code, _, errors = segpipe("run", card / pattern, "-o", tmp_path / "out", *FAKE)
    assert code == 3
    assert "out of the input folder" in errors
    assert errors.count("\n") == 1


def test_links_are_followed_where_the_job_says_so(tmp_path: Path, segpipe: Call) -> None:
    archive, card, out = tmp_path / "archive", tmp_path / "card", tmp_path / "out"
    archive.mkdir()
    card.mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(archive / f"{number}.jpg")
    (card / "0.jpg").symlink_to(archive / "0.jpg")
    (card / "rest").symlink_to(archive)
    (archive / "circle").symlink_to(card)
    follow = ("--set", "follow_links=true")
    assert segpipe("run", card, "-o", out, *FAKE, *follow)[0] == 0
    assert len(snapshot(out)["masks"]) == 3


def test_an_input_that_is_a_link_and_links_inside_are_fine(tmp_path: Path, segpipe: Call) -> None:
    card, out = tmp_path / "media" / "card", tmp_path / "out"
    (card / "b").mkdir(parents=True)
    Image.fromarray(picture(1)).save(card / "b" / "1.jpg")
    (card / "2.png").symlink_to("b/1.jpg")
    (tmp_path / "today").symlink_to(card)
    code, printed, _ = segpipe("run", tmp_path / "today", "-o", out, *FAKE)
    assert code == 0
    assert "not read" not in printed
    assert len(snapshot(out)["masks"]) == 1
    assert "1 copy counted once" in printed
    single = tmp_path / "one.jpg"
    single.symlink_to(card / "b" / "1.jpg")
    assert segpipe("run", single, "-o", tmp_path / "other", *FAKE)[0] == 0


def nested(folder: Path, depth: int) -> None:
    """Folders in each other, deeper than a path may be long."""
    folder.mkdir(exist_ok=True)
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    nested(tmp_path / "deep", 3000)
    yield tmp_path / "deep"
    # What Python removes folders with goes down no further than its stack
    subprocess.run(["rm", "-r", str(tmp_path / "deep")], check=True)


@pytest.mark.attack("folders 3,000 deep")
def test_folders_that_lie_too_deep_end_in_one_line(
    tmp_path: Path, deep: Path, segpipe: Call
) -> None:
    for name in (deep, deep / "**" / "*.jpg"):
        code, printed, errors = segpipe("run", name, "-o", tmp_path / "out", *FAKE)
        assert code == 3
        assert (printed, errors.count("\n")) == ("", 1), errors
        assert len(errors) < 2000
    Image.fromarray(picture(1)).save(deep / "good.jpg")
    code, printed, errors = segpipe("run", deep, "-o", tmp_path / "out", *FAKE)
    assert (code, errors.count("\n")) == (0, 0), errors
    assert "not read: 1 folder nested too deep (d)" in printed


@pytest.mark.attack("a configuration of exiftool beside the footage, which is a program")
def test_exiftool_reads_no_configuration_and_no_name_as_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    then = f'for a in "$@"; do echo "<$a>" >> {said}; done; ls -A >> {said}; echo "[]"'
    program(tmp_path / "bin", "exiftool", tmp_path / "started", then)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    card = tmp_path / "card"
    card.mkdir()
    (card / ".ExifTool_config").write_text("die")
    monkeypatch.chdir(card)
    assert exiftool_track(Path("-o.mp4"), 0.0) is None
    lines = said.read_text().splitlines()
    assert lines[:2] == ["<-config>", "<>"]
    assert lines[-2:] == ["<-->", f"<{card / '-o.mp4'}>"]  # and nothing lies where it runs


@pytest.mark.attack("a configuration of exiftool beside the footage, which is a program")
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool isn't installed")
def test_the_real_exiftool_runs_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, mark = tmp_path / "card", tmp_path / "mark"
    card.mkdir()
    video = make_video(card / "clip.mp4", frames=5)
    (card / ".ExifTool_config").write_text(f"open(my $f, '>', '{mark}'); close $f; 1;\n")
    monkeypatch.chdir(card)
    monkeypatch.setenv("EXIFTOOL_HOME", str(card))
    monkeypatch.setenv("HOME", str(card))
    assert exiftool_track(video, 0.0) is None
    assert not mark.exists()
