"""A repair that takes out rows whose footage has gone says so, and what it leaves is accounted for;
nothing of it is final."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segpipe.verify import verify
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
FLAGS = (*FAKE, "--set", "store.frames_per_shard=3")


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """A video of four shards and three photos in one."""
    folder = tmp_path / "footage"
    (folder / "stills").mkdir(parents=True)
    make_video(folder / "clip.mp4", frames=12, gop=3)
    for i, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        Image.fromarray(picture(i)).save(folder / "stills" / name)
    return folder


@pytest.mark.parametrize("damage", ["masks", "frames"])
def test_a_photo_that_has_gone_with_its_rows_is_told_of_and_can_come_back(
    damage: str, footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    assert segpipe("run", footage, "-o", out, *FLAGS)[0] == 0
    before = snapshot(out)
    (footage / "stills" / "b.jpg").rename(tmp_path / "b.jpg")
    next((out / damage).glob("images-*")).write_text("words")
    code, text, _ = segpipe("verify", out, "--repair")
    assert code == 8  # a and c are missing until the next run
    assert "b.jpg isn't on the disk: its rows can't be made again unless it comes back" in text
    assert "c.jpg isn't" not in text
    assert segpipe("run", footage, "-o", out, *FLAGS)[0] in (0, 6)
    code, text, _ = segpipe("verify", out)
    assert (code, "1 frame failed" in text) == (0, True)
    assert "b.jpg" in segpipe("errors", out)[1]
    assert "nothing to repair" in segpipe("verify", out, "--repair")[1]
    (tmp_path / "b.jpg").rename(footage / "stills" / "b.jpg")
    assert segpipe("run", footage, "-o", out, *FLAGS)[0] == 0
    assert snapshot(out) == before
    assert not verify(out).wrong


@pytest.mark.parametrize("shards", [1, 4])
def test_a_video_that_has_gone_with_some_of_its_rows_is_told_of_and_can_come_back(
    shards: int, footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FLAGS)
    before, times = snapshot(out), {p.name: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
    shutil.move(footage / "clip.mp4", tmp_path / "clip.mp4")
    for path in sorted((out / "masks").glob("*-0000*"))[:shards]:
        path.write_text("words")
    code, text, _ = segpipe("verify", out, "--repair", "--json")
    assert (code, json.loads(text)["away"]) == (0, [str(footage / "clip.mp4")])
    assert segpipe("run", footage, "-o", out, *FLAGS)[0] == 0
    code, text, _ = segpipe("verify", out, "--footage")
    assert (code, "1 frame failed" in text) == (0, True)
    assert "clip.mp4" in segpipe("errors", out)[1]
    shutil.move(tmp_path / "clip.mp4", footage / "clip.mp4")
    assert segpipe("run", footage, "-o", out, *FLAGS)[0] == 0
    assert snapshot(out) == before
    assert not verify(out, footage=True).wrong
    assert (
        len([n for n, t in times.items() if (out / "masks" / n).stat().st_mtime_ns != t]) == shards
    )
