"""Times of videos whose packets lack some, or carry those of other pictures."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from segpipe.core.config.job import Job, Sampling
from segpipe.core.types import Frame, FrameFailure, UInt8
from segpipe.sources.video.names import found_video
from segpipe.sources.video.packets import packet_index
from segpipe.sources.video.probe import probe_video
from segpipe.sources.video.unwrapped import PacketTimes, offsets_of
from tests.footage import decoded, make_video
from tests.sources.test_video import check_against_pyav, read

SAMPLINGS = [Sampling(), Sampling(every_n=3), Sampling(per_second=2), Sampling(keyframes=True)]
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def check_even(path: Path, truth: list[UInt8], step_s: float, start_s: float | None = None) -> None:
    """Each picture is read, in its order and at its time, for each sampling."""
    start_s = packet_index(path).times_s[0] if start_s is None else start_s
    for sampling in SAMPLINGS:
        found = read(path, sampling)
        assert found
        for frame in found:
            assert isinstance(frame, Frame), frame
            number = frame.ref.frame_index
            assert number is not None
            assert frame.ref.pts_s == pytest.approx(start_s + number * step_s, abs=0.0011)
            assert np.array_equal(frame.rgb, truth[number])
    assert [f.ref.frame_index for f in read(path)] == list(range(len(truth)))


def pictures(path: Path) -> list[UInt8]:
    return [rgb for _, rgb in decoded(path)]


def without_box(path: Path, *names: bytes) -> Path:
    """An MP4 in which these boxes are there no more."""
    data = bytearray(path.read_bytes())
    for name in names:
        assert data.count(name) == 1
        at = data.index(name)
        data[at : at + 4] = b"free"
    path.write_bytes(data)
    return path


def edited_times(path: Path, edit: Callable[[int, bytearray], None]) -> Path:
    """A transport stream with the header of each picture's packet (PES) changed by `edit`, given
    its number and the bytes from its flags on."""
    data, at, number = bytearray(path.read_bytes()), -1, 0
    while (at := data.find(b"\x00\x00\x01\xe0", at + 1)) >= 0:
        header = data[at + 7 : at + 9 + data[at + 8]]
        edit(number, header)
        data[at + 7 : at + 7 + len(header)] = header
        number += 1
    path.write_bytes(data)
    return path


def drop_decoding_time(_: int, header: bytearray) -> None:
    if header[0] >> 6 == 3:
        header[0] = 0x80 | header[0] & 0x3F
        header[2] = 0x20 | header[2] & 0x0F
        header[7:12] = b"\xff" * 5


def drop_times(header: bytearray) -> None:
    header[0] &= 0x3F
    header[2:] = b"\xff" * (len(header) - 2)


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_matroska_stores_no_decoding_times(codec: str, fps: int, tmp_path: Path) -> None:
    """FFmpeg works them out, but those of the first packets: these are not where times begin
    anew."""
    path = make_video(tmp_path / "clip.mkv", codec, fps=fps, options=QUIET.get(codec))
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert packets[1].dts is None
    assert packet_index(path).parts == (0,)
    check_against_pyav(path)
    check_even(path, pictures(path), 1 / fps, 0.0)


@pytest.mark.parametrize("fps", [5, 20])
def test_a_transport_stream_without_decoding_times(fps: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.ts", fps=fps)
    truth = pictures(path)
    edited_times(path, drop_decoding_time)
    with av.open(str(path)) as container:
        times = [(p.pts, p.dts) for p in container.demux(video=0) if p.size]
    print(times)
    assert times[0][1] is None
    check_even(path, truth, 1 / fps)


def test_times_that_begin_anew_without_decoding_times(tmp_path: Path) -> None:
    parts = [make_video(tmp_path / f"{n}.ts", frames=n, fps=5) for n in (40, 25)]
    truth = [rgb for p in parts for rgb in pictures(p)]
    video = tmp_path / "both.ts"
    video.write_bytes(b"".join(edited_times(p, drop_decoding_time).read_bytes() for p in parts))
    found = read(video)
    assert len(found) == 65
    for frame, rgb in zip(found, truth, strict=True):
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.rgb, rgb)
    assert np.allclose(np.diff([f.ref.pts_s for f in found]), 0.2, atol=0.005)


MS = Fraction(1, 1000)
SHUFFLED = [0, 400, 200, 100, 300, 800, 600, 500, 700, 900]


def packet(pts: int | None, dts: int | None) -> PacketTimes:
    return PacketTimes(pts, dts, pts == 0)


@pytest.mark.parametrize(
    "dts",
    [
        [None] * 10,
        [None, None, 0, 100, 200, 300, 400, 500, 600, 700],
        [None, 0, None, 100, None, 200, None, 400, None, 600],
        [-200, -100, 0, 100, 200, 300, 400, 500, 600, 700],
        SHUFFLED,
    ],
)
def test_only_times_that_fall_for_good_begin_anew(dts: list[int | None]) -> None:
    once = [packet(p, d) for p, d in zip(SHUFFLED, dts, strict=True)]
    assert offsets_of(once, MS) == [0] * 10
    offsets = offsets_of(once * 2, MS)
    assert offsets[:10] == [0] * 10
    # Where only some packets have decoding times, the part is about as long as those say.
    assert len(set(offsets[12:])) == 1
    assert 700 <= offsets[-1] <= 1000


def test_jitter_does_not_begin_anew() -> None:
    dts = [0, 100, 200, 150, 300, 400, 210, 500]
    assert offsets_of([PacketTimes(t, t, False) for t in dts], MS) == [0] * 8


@pytest.mark.parametrize("boxes", [(b"ctts", b"edts"), (b"ctts",)])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_mp4_without_composition_offsets(
    codec: str, boxes: tuple[bytes, ...], tmp_path: Path
) -> None:
    """The times are those of the order of coding; the edit list hid what the offsets would have
    delayed."""
    path = make_video(tmp_path / "clip.mp4", codec, frames=60, options=QUIET.get(codec))
    truth = pictures(path)
    assert not packet_index(path).note
    without_box(path, *boxes)
    check_even(path, truth, 1 / 20, 0.0)
    assert "composition offsets" in packet_index(path).note
    assert (
        packet_index(path).note
        in probe_video(found_video(path), Job(inputs=[str(path)], output="out"), {}, None).notes
    )
    # Key frames can be sought
    assert len({f.ref.frame_index // 10 for f in read(path, SAMPLINGS[3])}) == 6


def test_a_damaged_picture_moves_no_other_where_the_decoder_tells_the_order(tmp_path: Path) -> None:
    path = without_box(make_video(tmp_path / "clip.mp4", size=(320, 192)), b"ctts", b"edts")
    truth = {f.ref.frame_index: f.rgb for f in read(path) if isinstance(f, Frame)}
    with av.open(str(path)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.size and not p.is_keyframe]
    data = bytearray(path.read_bytes())
    position, size = spots[12]
    data[position : position + size] = bytes(size)
    path.write_bytes(data)
    found = read(path)
    assert [f.ref.frame_index for f in found] == list(range(40))
    assert np.allclose(np.diff([f.ref.pts_s for f in found]), 0.05)
    assert sum(isinstance(f, FrameFailure) for f in found) in range(1, 10)
    same = [np.array_equal(f.rgb, truth[f.ref.frame_index]) for f in found if isinstance(f, Frame)]
    assert sum(same) > 25  # pictures that refer to the damaged one may look different


def test_frames_that_come_in_the_order_of_coding_are_left_alone(tmp_path: Path) -> None:
    """The stream says that it may change the order, and doesn't."""
    path = make_video(
        tmp_path / "clip.mp4", options={"x264-params": "bframes=0"}, steps_ms=(33, 34, 67, 120)
    )
    index = packet_index(path)
    assert index.names is None
    assert not index.note
    assert len(check_against_pyav(path)) == 40


@pytest.mark.parametrize("bframes", ["0", "2"])
def test_packets_without_any_time_are_timed_by_those_beside_them(
    bframes: str, tmp_path: Path
) -> None:
    """As in transport streams that say one time for several pictures."""
    path = make_video(tmp_path / "clip.ts", options={"bf": bframes})
    truth = pictures(path)
    edited_times(path, lambda number, header: drop_times(header) if number % 3 else None)
    check_even(path, truth, 1 / 20)


def test_first_packets_without_presentation_times(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.ts", options={"bf": "2"})
    truth = pictures(path)
    start_s = packet_index(path).times_s[0]
    edited_times(path, lambda number, header: drop_times(header) if number < 4 else None)
    check_even(path, truth, 1 / 20, start_s)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_bare_stream_has_the_times_of_its_frame_rate(codec: str, tmp_path: Path) -> None:
    raw = make_video(
        tmp_path / ("clip.h264" if codec == "libx264" else "clip.hevc"),
        codec,
        options=QUIET.get(codec),
    )
    with av.open(str(raw)) as container:
        truth = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    path = raw.rename(tmp_path / "clip.mp4")
    check_even(path, truth, 1 / 20, 0.0)
    assert packet_index(path).note == (
        "the file stores no times: frames are timed by its frame rate, 20 a second"
    )


def test_a_bare_stream_without_a_frame_rate_says_what_is_assumed(tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none:vui-timing-info=0"}
    path = make_video(tmp_path / "clip.hevc", "libx265", options=options)
    with av.open(str(path)) as container:
        truth = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    check_even(path, truth, 1 / 25, 0.0)
    assert (
        "neither times nor a frame rate: 25 frames a second are assumed" in packet_index(path).note
    )


def test_short_parts_that_begin_with_pictures_before_their_key_frame() -> None:
    """As an open GOP does: presentation times alone would put these onto the part before."""
    shown = [3, 1, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12]
    part = [PacketTimes(pts, dts, dts == 0) for dts, pts in enumerate(shown)]
    assert offsets_of([*part, *part], Fraction(1, 25)) == [0] * 13 + [13] * 13


@pytest.mark.parametrize("bf", [0, 2])
def test_asf_has_one_time_for_each_packet(bf: int, tmp_path: Path) -> None:
    """FFmpeg makes the presentation times up, and others after each seek."""
    path = make_video(tmp_path / "clip.asf", fps=20, options={"bf": str(bf)})
    check_even(path, pictures(path), 1 / 20, 0.0)
    assert packet_index(path).note == ""


def test_mp4_without_composition_offsets_whose_beginning_is_hidden(tmp_path: Path) -> None:
    """An edit list that hides half a second, and the key frame that it begins with: the rest is
    read."""
    path = make_video(tmp_path / "clip.mp4", frames=40, gop=20)
    data = bytearray(without_box(path, b"ctts").read_bytes())
    at, scale_at = data.index(b"elst"), data.index(b"mdhd") + 16
    scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
    data[at + 16 : at + 20] = (scale * 25 // 20).to_bytes(4, "big")  # 25 pictures in
    path.write_bytes(data)
    found = read(path)
    assert all(isinstance(f, Frame) for f in found)
    assert len(found) == 15
    assert np.allclose([f.ref.pts_s for f in found], np.arange(15) / 20)
    assert "composition offsets" in packet_index(path).note


def test_times_that_begin_anew_where_some_packets_have_none(tmp_path: Path) -> None:
    parts = [make_video(tmp_path / f"{n}.ts", frames=n, options={"bf": "2"}) for n in (40, 30)]
    truth = [rgb for p in parts for rgb in pictures(p)]
    video = tmp_path / "both.ts"
    halved = [
        edited_times(p, lambda n, header: drop_times(header) if n % 2 else None) for p in parts
    ]
    video.write_bytes(b"".join(p.read_bytes() for p in halved))
    found = read(video)
    assert len(found) == 70
    for frame, rgb in zip(found, truth, strict=True):
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.rgb, rgb)
    assert np.allclose(np.diff([f.ref.pts_s for f in found]), 0.05, atol=0.051)
    assert found[-1].ref.pts_s - found[0].ref.pts_s == pytest.approx(69 / 20, abs=0.11)
