"""Videos: every wanted frame, with its own time, in every container and codec that cameras
write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segpipe.core.config.job import Sampling
from segpipe.core.errors import SourceError
from segpipe.core.types import Frame, FrameFailure
from segpipe.sources import open_shard
from segpipe.sources.video.file import VideoFile
from segpipe.sources.video.packets import packet_index
from tests.footage import decoded, make_video, rotate_mp4

ALL = Sampling()


def read(
    path: Path, sampling: Sampling = ALL, frames_per_shard: int = 12
) -> list[Frame | FrameFailure]:
    shards = VideoFile.open(path, sampling).shards(frames_per_shard)
    return [f for shard in shards for f in open_shard(shard, sampling)]


def check_against_pyav(path: Path, sampling: Sampling = ALL) -> list[Frame]:
    """All frames are there, each with PyAV's time and picture at its index."""
    truth = decoded(path)
    found = read(path, sampling)
    assert all(isinstance(f, Frame) for f in found), [
        f for f in found if isinstance(f, FrameFailure)
    ]
    index = packet_index(path)
    assert len(index.pts) == len(truth)
    for frame in found:
        time, rgb = truth[frame.ref.frame_index]
        if not index.by_order:  # AVI stores no presentation times; PyAV's are decoding times there
            assert frame.ref.pts_s == pytest.approx(time, abs=1e-6)
        assert np.array_equal(frame.rgb, rgb)
    assert len({f.ref.frame_id for f in found}) == len(found)
    return found


FORMATS = [
    ("libx264", "mp4"),
    ("libx264", "mov"),
    ("libx264", "mkv"),
    ("libx264", "avi"),
    ("libx264", "ts"),
    ("libx265", "mp4"),
    ("libx265", "mkv"),
    ("libx265", "ts"),
    ("libsvtav1", "mp4"),
    ("libsvtav1", "mkv"),
    ("libvpx-vp9", "mkv"),
    ("libvpx-vp9", "mp4"),
    ("mjpeg", "avi"),
    ("mjpeg", "mov"),
]


@pytest.mark.parametrize(("codec", "container"), FORMATS)
def test_every_frame_of_every_format(codec: str, container: str, tmp_path: Path) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    video = make_video(tmp_path / f"clip.{container}", codec, pixel_format=pixels, options=options)
    found = check_against_pyav(video)
    assert [f.ref.frame_index for f in found] == list(range(40))
    sampled = check_against_pyav(video, Sampling(every_n=7))
    assert [f.ref.frame_index for f in sampled] == list(range(0, 40, 7))
    keys = check_against_pyav(video, Sampling(keyframes=True))
    assert [f.ref.frame_index for f in keys] == packet_index(video).key_indices().tolist()


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_variable_frame_rate_keeps_the_times(container: str, tmp_path: Path) -> None:
    video = make_video(tmp_path / f"clip.{container}", steps_ms=(33, 34, 67, 120))
    found = check_against_pyav(video)
    gaps = np.diff([f.ref.pts_s for f in found])
    assert np.allclose(gaps[:4], [0.033, 0.034, 0.067, 0.120], atol=1e-3)


def test_audio_as_first_stream(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", audio_first=True)
    assert packet_index(video).stream == 1
    assert len(check_against_pyav(video)) == 40


def test_rotation_is_applied(tmp_path: Path) -> None:
    plain = read(make_video(tmp_path / "a.mp4"))[0]
    turned = read(rotate_mp4(make_video(tmp_path / "b.mp4"), 1))[0]
    assert isinstance(plain, Frame)
    assert isinstance(turned, Frame)
    assert plain.rgb.shape == (96, 160, 3)
    # The matrix asks for a quarter turn clockwise: the red corner goes from top left to top right.
    assert np.array_equal(turned.rgb, np.rot90(plain.rgb, -1))
    assert turned.rgb[5, -5, 0] > 150


def test_frames_that_an_edit_list_hides_are_not_planned(tmp_path: Path) -> None:
    """An edit that starts half a second in: players show 30 of 40 frames, PyAV gives 30, and so do
    we."""
    video = make_video(tmp_path / "clip.mp4", options={"bf": "0"})
    data = bytearray(video.read_bytes())
    at = data.index(b"elst")
    entry = at + 12  # after type, version and flags, count: duration, media time, rate
    assert int.from_bytes(data[at + 8 : at + 12], "big") == 1
    scale_at = data.index(b"mdhd") + 16
    scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
    movie_at = data.index(b"mvhd") + 16
    movie_scale = int.from_bytes(data[movie_at : movie_at + 4], "big")
    data[entry : entry + 4] = int(1.5 * movie_scale).to_bytes(4, "big")
    data[entry + 4 : entry + 8] = (scale // 2).to_bytes(4, "big")
    video.write_bytes(data)
    assert len(check_against_pyav(video)) == 30


def test_sampling_takes_the_frame_nearest_to_each_ideal_time(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", steps_ms=(33, 34, 67, 120))
    times = packet_index(video).times_s
    taken = [f.ref.pts_s for f in check_against_pyav(video, Sampling(per_second=4))]
    for ideal in np.arange(times[0], times[-1], 0.25):
        nearest = times[np.argmin(np.abs(times - ideal))]
        assert any(t == pytest.approx(nearest, abs=1e-6) for t in taken), ideal


def test_asking_for_more_than_there_is_gives_each_frame_once(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4")
    assert len(check_against_pyav(video, Sampling(per_second=1000))) == 40


def test_one_frame(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=1)
    for sampling in (ALL, Sampling(per_second=2), Sampling(keyframes=True), Sampling(every_n=9)):
        assert len(check_against_pyav(video, sampling)) == 1


def test_shards_start_on_key_frames_and_cover_the_video(tmp_path: Path) -> None:
    video = VideoFile.open(make_video(tmp_path / "clip.mp4"), ALL)
    shards = video.shards(12)
    keys = set(video.index.key_indices().tolist())
    assert len(shards) > 1
    assert all(s.start in keys for s in shards)
    assert [s.stop for s in shards[:-1]] == [s.start for s in shards[1:]]
    assert sum(s.frame_count for s in shards) == 40


def test_shards_grow_with_long_videos(tmp_path: Path) -> None:
    video = VideoFile.open(make_video(tmp_path / "clip.mp4", frames=200, gop=1), ALL)
    assert len(video.shards(1)) <= 65


def test_keyframes_are_read_without_decoding_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = VideoFile.open(make_video(tmp_path / "clip.mp4"), Sampling(keyframes=True))
    from segpipe.sources.video import decoder as module

    sent = []
    original = module.Decoder._packets_from

    def counting(self: object, key: int):  # type: ignore[no-untyped-def]
        for packet in original(self, key):
            sent.append(packet)
            yield packet

    monkeypatch.setattr(module.Decoder, "_packets_from", counting)
    frames = [f for s in video.shards(100) for f in video.frames(s)]
    assert len(sent) == len(frames) == len(video.index.key_indices())


def test_damaged_packets_become_failed_rows_and_the_rest_is_read(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", size=(320, 192), options={"bf": "0"})
    import av

    with av.open(str(video)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.size and not p.is_keyframe]
    data = bytearray(video.read_bytes())
    position, size = spots[12]
    data[position : position + size] = bytes(size)
    video.write_bytes(data)
    found = read(video)
    failed = [f for f in found if isinstance(f, FrameFailure)]
    assert len(found) == 40
    assert failed
    assert all("decoder" in f.error for f in failed)
    assert sum(isinstance(f, Frame) for f in found) > 25


def test_a_damaged_picture_in_avi_shifts_no_other(tmp_path: Path) -> None:
    import av

    video = make_video(tmp_path / "clip.avi", "mjpeg", pixel_format="yuvj420p", frames=20)
    truth = decoded(video)
    with av.open(str(video)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(video.read_bytes())
    position, size = spots[5]
    data[position : position + size] = bytes(size)
    video.write_bytes(data)
    found = read(video)
    assert [f.ref.frame_index for f in found if isinstance(f, FrameFailure)] == [5]
    assert all(
        np.array_equal(f.rgb, truth[f.ref.frame_index][1]) for f in found if isinstance(f, Frame)
    )


def test_avi_with_b_frames_is_read_the_same_in_any_sampling(tmp_path: Path) -> None:
    for codec, options in (("libx264", {}), ("mpeg4", {"bf": "2"})):
        video = make_video(tmp_path / f"{codec}.avi", codec, options=options, gop=6)
        whole = {f.ref.frame_index: f for f in check_against_pyav(video)}
        for sampling in (Sampling(every_n=13), Sampling(per_second=3), Sampling(keyframes=True)):
            for frame in read(video, sampling, frames_per_shard=2):
                assert isinstance(frame, Frame)
                assert np.array_equal(frame.rgb, whole[frame.ref.frame_index].rgb)


def test_a_damaged_packet_in_avi_with_b_frames_never_gives_a_wrong_picture(tmp_path: Path) -> None:
    import av

    video = make_video(tmp_path / "clip.avi", "libx264", gop=10, size=(320, 192))
    with av.open(str(video)) as container:
        spots = [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]
    data = bytearray(video.read_bytes())
    position, size, _ = next(s for s in spots[12:] if not s[2])
    data[position : position + size] = b"\xff" * size
    video.write_bytes(data)
    truth, found = decoded(video), read(video)
    frames = [f for f in found if isinstance(f, Frame)]
    assert len(frames) == len(truth) < 40
    assert all(np.array_equal(f.rgb, truth[f.ref.frame_index][1]) for f in frames)
    assert [f.error for f in found if isinstance(f, FrameFailure)] == [
        f"{40 - len(truth)} of 40 frames can't be decoded"
    ]


def test_a_wild_jump_in_the_times_costs_no_memory() -> None:
    times = np.concatenate([np.arange(50) / 25, 4e9 + np.arange(50) / 25])
    from segpipe.sources.video.sampling import nearest_to_rate

    taken = nearest_to_rate(times, 5.0)
    assert 10 <= len(taken) <= 24
    assert {0, 49, 50} <= set(taken.tolist())


def test_a_cut_off_file_is_read_as_far_as_it_goes_and_said_so(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", options={"movflags": "faststart"}, size=(320, 192))
    from segpipe.sources import shards_of
    from segpipe.sources.video.names import found_video

    whole = tmp_path / "whole.mp4"
    import av

    with (
        av.open(str(video)) as source,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as sink,
    ):
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    data = whole.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    whole.write_bytes(data[: len(data) * 2 // 3])
    shards = shards_of(found_video(whole), ALL, 100)
    found = [f for s in shards for f in open_shard(s, ALL)]
    assert "cut off" in shards[-1].unreadable
    assert any(isinstance(f, Frame) for f in found)
    assert any(isinstance(f, FrameFailure) and "cut off" in f.error for f in found)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"these are words, no film\n" * 200, "can't be read as a video")],
)
def test_what_is_no_video_is_one_clear_error(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=said):
        packet_index(path)


def test_a_sound_file_named_mp4(tmp_path: Path) -> None:
    import av

    from tests.footage import silence

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        container.mux(silence(stream, 1.0))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no video stream"):
        packet_index(path)


def test_a_file_whose_times_begin_anew_is_read_whole_and_in_order(tmp_path: Path) -> None:
    """Two recordings put one behind the other, as `cat a.ts b.ts` does."""
    parts = [make_video(tmp_path / f"{n}.ts", frames=n, options={"bf": "2"}) for n in (40, 25)]
    video = tmp_path / "both.ts"
    video.write_bytes(b"".join(p.read_bytes() for p in parts))
    truth = [rgb for p in parts for _, rgb in decoded(p)]
    found = read(video)
    assert all(isinstance(f, Frame) for f in found), [
        f for f in found if isinstance(f, FrameFailure)
    ]
    assert [f.ref.frame_index for f in found] == list(range(65))
    assert all(np.array_equal(f.rgb, t) for f, t in zip(found, truth, strict=True))
    assert np.allclose(np.diff([f.ref.pts_s for f in found]), 0.05, atol=0.002)  # the clock goes on
    for sampling in (Sampling(every_n=7), Sampling(per_second=3), Sampling(keyframes=True)):
        for frame in read(video, sampling):
            assert isinstance(frame, Frame)
            assert np.array_equal(frame.rgb, truth[frame.ref.frame_index])


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile '{other}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_under_a_videos_name_opens_nothing(text: str, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4")
    path = tmp_path / "clip.mp4"
    path.write_text(text.format(other=other))
    with pytest.raises(SourceError, match="can't be read as a video"):
        packet_index(path)


def test_packets_that_are_only_skipped_give_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a table to seek by is read from its start to the frame that is wanted, however
    long that takes."""
    from segpipe.runtime.isolation import heartbeat

    path = make_video(tmp_path / "clip.mpg", codec="mpeg2video", frames=200, fps=25)
    video = VideoFile.open(path, ALL)
    last = video.shards(200)[0]
    wanted = int(video.index.key_indices()[-2])
    shard = replace(last, start=wanted, stop=wanted + 1, chosen=(wanted,), frame_count=1)
    beats = []

    def beat() -> None:
        beats.append(1)
        heartbeat.last = -1.0  # every call counts

    monkeypatch.setattr(heartbeat, "beat", beat)
    monkeypatch.setattr(heartbeat, "last", -1.0)
    (frame,) = video.frames(shard)
    assert isinstance(frame, Frame)
    assert len(beats) > wanted > 150
