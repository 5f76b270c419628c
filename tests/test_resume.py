"""What a run makes of what an earlier one left: what came out, and what was wrong only for a moment, ends as if all had gone well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
