"""Each kind of container that is read: every frame, with its own time and its own picture."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from tests.footage import picture
from tests.pipeline.test_run import FAKE
from tests.pipeline.test_where import frames_of

Call = Callable[..., tuple[int, str, str]]
COUNT = 12


class Kind(NamedTuple):
    """How a file is made: its muxer, its codec, frames a second, and the time of its first frame in
    seconds."""

    muxer: str
    codec: str
    fps: int = 25
    begin_s: float | None = 0.0
    size: tuple[int, int] = (160, 96)


KINDS = {
    "a.flv": Kind("flv", "flv"),
    "b.FLV": Kind("flv", "libx264", 20, None),
    "a.f4v": Kind("f4v", "libx264", 20, None),
    "a.wmv": Kind("asf", "wmv2", 20),
    "a.asf": Kind("asf", "mjpeg", 20),
    "a.mxf": Kind("mxf", "mpeg2video"),
    "a.dv": Kind("dv", "dvvideo", size=(720, 576)),
    "a.ogv": Kind("ogg", "libvpx", 20),
    "a.vob": Kind("vob", "mpeg2video", 25, None),
    "MOV001.MOD": Kind("vob", "mpeg2video", 25, None),
    "MOV001.TOD": Kind("mpegts", "libx264", 25, None),
    "a.m2t": Kind("mpegts", "mpeg2video", 25, None),
    "a.trp": Kind("mpegts", "libx264", 25, None),
    "a.m2v": Kind("mpeg2video", "mpeg2video", 25, None),
    "a.wtv": Kind("wtv", "mpeg2video", 25, None),
    "a.ivf": Kind("ivf", "libvpx", 20),
    "a.divx": Kind("avi", "mpeg4", 20),
    "a.3g2": Kind("3g2", "libx264", 20),
    "a.qt": Kind("mov", "libx264", 20),
    "a.h264": Kind("h264", "libx264", 20),
    "b.264": Kind("h264", "libx264", 30),
    "a.avc": Kind("h264", "libx264", 20),
    "a.hevc": Kind("hevc", "libx265", 20),
    "a.h265": Kind("hevc", "libx265", 30),
    "b.265": Kind("hevc", "libx265", 20),
    "b.asf": Kind("asf", "libx264", 20),
    "b.wmv": Kind("asf", "mpeg2video", 25),
}


def make(path: Path, kind: Kind) -> None:
    with av.open(str(path), "w", format=kind.muxer) as container:
        quiet = {"x265-params": "log-level=none"} if kind.codec == "libx265" else {}
        stream = container.add_stream(kind.codec, rate=kind.fps, options=quiet)
        stream.width, stream.height = kind.size
        stream.pix_fmt = "yuvj420p" if kind.codec == "mjpeg" else "yuv420p"
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(picture(8 * number, *kind.size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, kind.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_has_its_time_and_its_picture(name: str, tmp_path: Path) -> None:
    from segpipe.core.config.job import Sampling
    from segpipe.core.types import Frame
    from segpipe.sources import discover, open_shard, shards_of

    make(tmp_path / name, KINDS[name])
    (video,) = discover([str(tmp_path)]).sources
    frames = [
        f for shard in shards_of(video, Sampling(), 512) for f in open_shard(shard, Sampling())
    ]
    assert len(frames) == COUNT
    assert all(isinstance(f, Frame) for f in frames)
    times_s = np.array([f.ref.pts_s for f in frames], float)
    begin_s = times_s[0] if KINDS[name].begin_s is None else KINDS[name].begin_s
    # FLV counts milliseconds
    assert np.abs(times_s - begin_s - np.arange(COUNT) / KINDS[name].fps).max() < 0.0006
    for number, frame in enumerate(frames):
        assert isinstance(frame, Frame)
        assert frame.rgb.shape == (KINDS[name].size[1], KINDS[name].size[0], 3)
        assert np.abs(frame.rgb[-8:, -8:].astype(int) - picture(8 * number)[-1, -1]).max() <= 6


def test_a_run_takes_them_from_a_folder(tmp_path: Path, segpipe: Call) -> None:
    for name in ("a.flv", "a.wmv", "a.mxf"):
        make(tmp_path / name, KINDS[name])
    code, printed, _ = segpipe(
        "run", tmp_path, "-o", tmp_path / "out", *FAKE, "--set", "sampling.every_n=5"
    )
    assert code == 0
    assert "not read" not in printed
    rows = frames_of(tmp_path / "out")
    assert sorted(Path(u).name for u in rows["uri"]) == sorted(["a.flv", "a.wmv", "a.mxf"] * 3)
    assert set(rows["status"]) == {"ok"}
