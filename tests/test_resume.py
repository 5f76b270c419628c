"""What a run makes of what an earlier one left: what was wrong only for a moment ends as if all had gone well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from segpipe import open_dataset
from segpipe.store.resume import MOST_ATTEMPTS
from segpipe.verify import verify
from tests.footage import make_video
from tests.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]


def hide_beginning(path: Path, units: int) -> Path:
    """Let the edit list of an MP4 begin `units` of its media's time later."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    data[at + 16 : at + 20] = (int.from_bytes(data[at + 16 : at + 20], "big") + units).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def test_a_video_of_which_no_frame_is_wanted_is_accounted_for(tmp_path: Path, segpipe: Call) -> None:
    """Its only key frame is hidden by an edit list."""
    clip = hide_beginning(make_video(tmp_path / "clip.mp4", gop=100), 2048)
    out, flags = tmp_path / "out", (*FAKE, "--set", "sampling.keyframes=true")
    assert segpipe("run", clip, "-o", out, *flags)[0] == 6
    (row,) = snapshot(out)["frames"]
    assert (row["status"], row["error_class"]) == ("error", "permanent")
    assert "none of its" in row["error"]
    assert not verify(out, footage=True).wrong
    assert "nothing new" in segpipe("run", clip, "-o", out, *flags)[1]


def test_an_image_that_comes_later_has_tries_of_its_own(tmp_path: Path, segpipe: Call) -> None:
    """It isn't given up because its neighbour in the folder has been tried often."""
    folder, out = tmp_path / "footage", tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "drive" / "a.png")  # a drive that isn't mounted
    for _ in range(MOST_ATTEMPTS - 1):
        segpipe("run", folder, "-o", out, *FAKE)
    (folder / "b.png").symlink_to(tmp_path / "drive" / "b.png")
    for tries in range(MOST_ATTEMPTS):
        code, text, _ = segpipe("run", folder, "-o", out, *FAKE)
        assert (code, f"{2 if tries == 0 else 1} frames" in text) == (6, True), text
    assert "nothing new" in segpipe("run", folder, "-o", out, *FAKE)[1]
    assert {f.name: r.attempt for r in open_dataset(out).records() for f in r.files} == dict.fromkeys(("a.png", "b.png"), 4)
