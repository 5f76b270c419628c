"""Interlaced video whose packets hold one field each: rows are pictures, at the times of
pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segpipe.core.config.job import Sampling
from segpipe.core.types import Frame
from segpipe.sources import open_shard
from segpipe.sources.video.file import VideoFile
from segpipe.sources.video.packets import packet_index
from tests.field_video import brightness, write
from tests.footage import make_video
from tests.sources.test_video import check_against_pyav

KINDS = "ppFpFFppppFpp"
"""Pictures that are coded in fields (p) and as frames (F), as encoders choose for each."""
SAMPLINGS = [Sampling(), Sampling(every_n=3), Sampling(keyframes=True), Sampling(per_second=5)]


def read(path: Path, sampling: Sampling, frames_per_shard: int = 4) -> list[Frame]:
    shards = VideoFile.open(path, sampling).shards(frames_per_shard)
    found = [f for shard in shards for f in open_shard(shard, sampling)]
    frames = [f for f in found if isinstance(f, Frame)]
    assert len(frames) == len(found), found
    return frames


def check_pictures(path: Path, kinds: str) -> None:
    """Each picture of `field_video.write` is there, at its time, the same for every sampling."""
    index = packet_index(path)
    assert np.allclose(np.diff(index.times_s), 0.04, atol=0.001)
    assert len(index.pts) == len(kinds)
    for sampling in SAMPLINGS:
        frames = read(path, sampling)
        assert frames
        for frame in frames:
            number = frame.ref.frame_index
            assert number is not None
            assert frame.ref.pts_s - index.times_s[0] == pytest.approx(number * 0.04, abs=0.001)
            luma = 255 / 219 * (brightness(number) - 16)
            assert np.abs(frame.rgb.astype(float) - luma).max() < 3
    assert len(read(path, SAMPLINGS[0])) == len(kinds)
    assert len(read(path, SAMPLINGS[1])) == -(-len(kinds) // 3)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_two_fields_are_one_frame(container: str, together: bool, tmp_path: Path) -> None:
    """Fields in packets of their own, each with a time; or both in one, which FFmpeg takes apart
    for transport streams, and gives the second field no time."""
    path = write(tmp_path / f"clip.{container}", KINDS, together)
    check_pictures(path, KINDS)
    assert packet_index(path).fields == (container == "ts" or not together)


def test_pictures_in_fields_alone(tmp_path: Path) -> None:
    check_pictures(write(tmp_path / "clip.ts", "p" * 12), "p" * 12)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_fields_of_mpeg2(container: str, together: bool, tmp_path: Path) -> None:
    """Of transport streams FFmpeg puts them together, other containers give them as they are."""
    check_pictures(write(tmp_path / f"clip.{container}", KINDS, together, mpeg2=True), KINDS)


def test_fields_in_a_file_whose_times_begin_anew(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{n}.ts", "p" * n).read_bytes() for n in (10, 15)]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    frames = read(tmp_path / "both.ts", Sampling())
    assert len(frames) == 25
    # A field or a frame apart
    assert np.allclose(np.diff([f.ref.pts_s for f in frames]), 0.04, atol=0.021)


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        (
            "libx264",
            {"x264-params": "tff=1:bframes=2"},
        ),  # macroblocks choose between fields and frames
        (
            "libx264",
            {"x264-params": "fake-interlaced=1:bframes=2"},
        ),  # progressive pictures, said to be interlaced
        ("mpeg2video", {"flags": "+ildct+ilme", "bf": "2"}),
    ],
)
def test_interlaced_pictures_that_are_coded_as_frames_are_all_read(
    codec: str, options: dict[str, str], container: str, tmp_path: Path
) -> None:
    path = make_video(tmp_path / f"clip.{container}", codec, fps=25, options=options)
    assert not packet_index(path).fields
    assert len(check_against_pyav(path)) == 40


def test_the_field_coded_recording_at_hand(field_recording: Path) -> None:
    path = field_recording
    for sampling, count in zip(SAMPLINGS, (11, 4, 1, 3), strict=True):
        frames = read(path, sampling)
        assert len(frames) == count
        assert all(f.rgb.shape == (1080, 1920, 3) for f in frames)
    assert np.allclose(np.diff(packet_index(path).times_s), 0.04)


def test_two_of_them_one_behind_the_other(tmp_path: Path, field_recording: Path) -> None:
    """The first two pictures come before the first key frame, at times that the second part has
    too."""
    (tmp_path / "both.ts").write_bytes(field_recording.read_bytes() * 2)
    assert len(read(tmp_path / "both.ts", SAMPLINGS[0])) == 11 + 13
    assert np.allclose(np.diff(packet_index(tmp_path / "both.ts").times_s), 0.04)
