"""Several video streams in one file: which is read, what is said of the others, and that each is a
source of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from segpipe import open_dataset
from segpipe.analysis.aggregate import aggregate
from segpipe.analysis.report.overlay import segmented
from segpipe.analysis.report.still import overlay_still
from segpipe.core.config.job import make_job
from segpipe.core.errors import ConfigError
from segpipe.pipeline.bench import first_frames
from segpipe.pipeline.live.plan import notes_on
from segpipe.sources.video import packets
from segpipe.sources.video.container import open_container, video_streams
from segpipe.sources.video.names import video_info
from segpipe.store.dataset import Dataset
from segpipe.telemetry.drives import describe_drives, with_drives
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.verify import verify
from tests.benchmarks.ten_million_rows import cookbook
from tests.driving import eastwards, write_gpx
from tests.footage import make_streams, make_video
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
RED, BLUE = "red", "blue"
HERE = (*FAKE, "--set", "read.isolate=false")
TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
REAR_ISNT_READ = (
    "video streams not read: 1 (320x192, h264); to read them, set sampling.stream to all (each "
    "is then a source of its own) or to "
    "a number"
)


def stream(which: object) -> tuple[str, str]:
    return ("--set", f"sampling.stream={which}")


def sources(dataset: Dataset) -> dict[str, dict[str, Any]]:
    return {r["source_id"]: r for r in dataset.arrow("sources").to_pylist()}


def seen(out: Path) -> dict[str, tuple[int, set[int], set[str]]]:
    """By source: its frames, their widths, and the classes that fill them."""
    found = (
        open_dataset(out)
        .duckdb()
        .sql(
            "SELECT f.source_id, count(DISTINCT f.frame_id), list(DISTINCT f.width), "
            "list(DISTINCT c.class_name) FROM frames f "
            "JOIN class_stats c USING (frame_id) WHERE c.region = 'frame' AND c.pixel_fraction > "
            "0.9 GROUP BY 1"
        )
        .fetchall()
    )
    return {
        source_id: (count, set(widths), set(classes)) for source_id, count, widths, classes in found
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Front (0, red, 160x96) and rear (1, blue, 320x192) in one MP4."""
    return make_streams(tmp_path_factory.mktemp("both") / "drive.mp4")


@pytest.fixture(scope="module")
def all_of(both: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of all streams of it."""
    from segpipe.cli import main

    out = tmp_path_factory.mktemp("all") / "out"
    assert main(["run", str(both), "-o", str(out), *FAKE, *stream("all")]) == 0
    return out


def test_the_default_stream_is_read_and_a_note_names_the_other(
    both: Path, tmp_path: Path, segpipe: Call
) -> None:
    out, front = tmp_path / "out", video_info(both).source_id
    code, printed, _ = segpipe("run", both, "-o", out, *HERE)
    assert code == 0
    assert seen(out) == {front: (20, {160}, {RED})}
    assert printed.count(f"note: drive.mp4: {REAR_ISNT_READ}\n") == 1
    (row,) = sources(open_dataset(out)).values()
    assert row["stream"] == 0
    assert row["notes"].count(REAR_ISNT_READ) == 1
    assert (
        "video: stream 0 of its file, which has 0 (160x96, h264), 1 (320x192, h264)"
        in segpipe("info", out)[1]
    )


@pytest.mark.parametrize("name", ["drive.mp4", "drive.mkv", "drive.mov"])
def test_the_stream_that_the_file_flags_is_the_default(
    name: str, tmp_path: Path, segpipe: Call
) -> None:
    path, out = make_streams(tmp_path / name, default=1), tmp_path / "out"
    code, printed, _ = segpipe("run", path, "-o", out, *HERE)
    assert code == 0
    assert seen(out) == {video_info(path).source_id: (20, {320}, {BLUE})}
    assert "video streams not read: 0 (160x96, h264);" in printed
    assert sources(open_dataset(out))[video_info(path).source_id]["stream"] == 1
    before = snapshot(out)
    assert "nothing new" in segpipe("run", path, "-o", out, *HERE, *stream(1))[1]  # the same source
    assert segpipe("run", path, "-o", out, *HERE, *stream("all"))[0] == 0
    assert seen(out)[video_info(path, 0).source_id] == (20, {160}, {RED})
    assert [r for r in snapshot(out)["frames"] if r["width"] == 320] == before["frames"]


def test_all_streams_are_sources_of_their_own(both: Path, all_of: Path) -> None:
    front, rear = video_info(both), video_info(both, 1)
    assert rear.source_id == f"v1-{front.source_id}"
    assert rear.file_id == front.file_id == front.source_id
    assert seen(all_of) == {
        front.source_id: (20, {160}, {RED}),
        rear.source_id: (20, {320}, {BLUE}),
    }
    dataset = open_dataset(all_of)
    found = sources(dataset)
    assert {i: r["stream"] for i, r in found.items()} == {front.source_id: 0, rear.source_id: 1}
    assert {r["uri"] for r in [*found.values(), *dataset.arrow("frames").to_pylist()]} == {
        str(both)
    }
    assert not any("not read" in n for r in found.values() for n in r["notes"])
    assert {r["drive_id"] for r in found.values()} == {front.source_id}
    report = verify(dataset, footage=True)
    assert not report.findings
    assert {(s.source_id, s.expected, s.done) for s in report.sources} == {
        (i, 20, 20) for i in found
    }


def test_overlay_and_stills_show_the_stream_that_was_segmented(
    both: Path, all_of: Path, tmp_path: Path, segpipe: Call
) -> None:
    dataset, rear = open_dataset(all_of), video_info(both, 1).source_id
    shown = list(segmented(dataset, rear))
    assert len(shown) == 20
    for item in shown:
        assert item.rgb.shape == (192, 320, 3)
        assert np.abs(item.rgb.astype(int) - (30, 30, 200)).max() < 12
    (record,) = [r for r in dataset.records() if r.source.source_id == rear]
    still = overlay_still(dataset, record.name)
    assert still.shape[1] == 320
    assert still[90, 160].argmax() == 2
    video = tmp_path / "overlay.mp4"
    code, printed, _ = segpipe("overlay", all_of, "-o", video, "--source", rear)
    assert (code, f"20 frames of {rear}" in printed) == (0, True)
    with av.open(str(video)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture[90, 160].argmax() == 2


def test_a_number_reads_that_stream_alone(
    both: Path, all_of: Path, tmp_path: Path, segpipe: Call
) -> None:
    out, rear = tmp_path / "out", video_info(both, 1).source_id
    code, printed, _ = segpipe("run", both, "-o", out, *HERE, *stream(1))
    assert code == 0
    assert seen(out) == {rear: (20, {320}, {BLUE})}
    assert "note: drive.mp4 (video stream 1): video streams not read: 0 (160x96, h264);" in printed
    assert snapshot(out)["frames"] == [
        r for r in snapshot(all_of)["frames"] if r["source_id"] == rear
    ]
    assert not verify(out, footage=True).findings


def test_a_number_that_a_file_lacks_is_a_failed_row_and_the_others_go_on(
    both: Path, tmp_path: Path, segpipe: Call
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    folder.mkdir()
    shutil.copy2(both, folder)
    make_video(folder / "one.mp4", frames=4)
    assert segpipe("run", folder, "-o", out, *HERE, *stream(1))[0] == 6
    (failed,) = [r for r in snapshot(out)["frames"] if r["status"] == "error"]
    assert (
        failed["error"]
        == "holds 1 video stream: 0 (160x96, h264); there is no stream 1 (sampling.stream)"
    )
    assert (failed["error_class"], failed["source_id"]) == (
        "permanent",
        video_info(folder / "one.mp4", 1).source_id,
    )
    assert seen(out) == {video_info(folder / "drive.mp4", 1).source_id: (20, {320}, {BLUE})}
    assert (
        "1 × source of video stream 1, tried once: holds 1 video stream"
        in segpipe("errors", out)[1]
    )
    assert not verify(out).wrong
    assert segpipe("run", both, "-o", tmp_path / "two", *HERE, *stream(2))[0] == 1
    assert (
        "holds 2 video streams: 0 (160x96, h264), 1 (320x192, h264); there is no stream 2"
        in (snapshot(tmp_path / "two")["frames"][0]["error"])
    )


@pytest.mark.parametrize("which", ["default", "all", 1])
def test_known_files_are_not_opened_again(
    which: object, both: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    opened, original = [], av.open
    monkeypatch.setattr(
        av, "open", lambda file, *a, **k: opened.append(file) or original(file, *a, **k)
    )
    assert segpipe("run", both, "-o", out, *HERE, *stream(which))[0] == 0
    assert opened
    opened.clear()
    packets._index.cache_clear()
    assert "nothing new" in segpipe("run", both, "-o", out, *HERE, *stream(which))[1]
    assert not opened


def test_streams_come_and_stay(both: Path, all_of: Path, tmp_path: Path, segpipe: Call) -> None:
    """From default to all and back: nothing is refused, done twice, or lost; the notes follow."""
    out, front = tmp_path / "out", video_info(both).source_id
    segpipe("run", both, "-o", out, *HERE)
    before = {p.name: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
    code, printed, _ = segpipe("run", both, "-o", out, *HERE, *stream("all"))
    assert (code, "20 frames in" in printed, "20 done before" in printed) == (0, True, True)
    assert "not read" not in printed
    assert snapshot(out) == snapshot(all_of)
    assert {
        n: p
        for n, p in ((p.name, p.stat().st_mtime_ns) for p in (out / "masks").iterdir())
        if n in before
    } == before
    code, printed, _ = segpipe("run", both, "-o", out, *HERE)
    assert (code, "nothing new: 20 frames" in printed, "not read" in printed) == (0, True, False)
    assert snapshot(out) == snapshot(all_of)
    assert not any("not read" in n for n in sources(open_dataset(out))[front]["notes"])
    for table in ("masks", "class_stats", "frames"):
        # As if a run had been killed before it came to this stream.
        next((out / table).glob("v1-*")).unlink()
    assert verify(out).wrong
    segpipe("run", both, "-o", out, *HERE, *stream("all"))
    assert snapshot(out) == snapshot(all_of)
    assert not verify(out, footage=True).findings


def test_another_recording_at_the_same_path_has_its_wanted_streams_done(
    both: Path, tmp_path: Path, segpipe: Call
) -> None:
    clip, out = tmp_path / "drive.mp4", tmp_path / "out"
    shutil.copy2(both, clip)
    front, rear = (video_info(clip, n).source_id for n in (None, 1))
    segpipe("run", clip, "-o", out, *HERE, *stream("all"))
    old = {front: (20, {160}, {RED}), rear: (20, {320}, {BLUE})}
    assert seen(out) == old
    make_streams(clip, colours=((30, 30, 200), (200, 30, 30)), frames=10)
    new, new_rear = (video_info(clip, n).source_id for n in (None, 1))
    code, printed, _ = segpipe("run", clip, "-o", out, *HERE)
    assert (code, REAR_ISNT_READ in printed) == (0, True)
    assert seen(out) == old | {new: (10, {160}, {BLUE})}
    assert not verify(out).wrong
    segpipe("run", clip, "-o", out, *HERE, *stream("all"))
    assert seen(out) == old | {new: (10, {160}, {BLUE}), new_rear: (10, {320}, {RED})}
    (note,) = verify(out, footage=True).findings
    assert "footage no longer there: 2 sources" in note.said


@pytest.mark.parametrize("which", ["all", 1])
def test_a_drive_that_is_away_costs_no_stream(
    which: object, both: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    segpipe("run", both, "-o", out, *HERE, *stream(which))
    before = snapshot(out)
    for table in ("frames", "masks", "class_stats"):  # so that the plan needs the file again
        sorted((out / table).iterdir())[0].rename(tmp_path / table)

    def away(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(av, "open", away)
        packets._index.cache_clear()
        segpipe("run", both, "-o", out, *HERE, *stream(which))
    assert segpipe("run", both, "-o", out, *HERE, *stream(which))[0] == 0
    assert snapshot(out) == before


def test_a_cover_picture_has_no_number(tmp_path: Path, segpipe: Call) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
    with av.open(str(clip), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        moving = container.add_stream("libx264", rate=10)
        moving.width, moving.height, moving.pix_fmt = 160, 96, "yuv420p"
        for target, count in ((cover, 1), (moving, 5)):
            for time in range(count):
                frame = av.VideoFrame.from_ndarray(
                    np.zeros((target.height, target.width, 3), np.uint8), format="rgb24"
                )
                frame.pts = time
                container.mux(target.encode(frame))
            container.mux(target.encode(None))
    with open_container(clip) as opened:
        assert [(s.number, s.width) for s in video_streams(opened)] == [(0, 160)]
    code, printed, _ = segpipe("run", clip, "-o", out, *HERE, *stream("all"))
    assert (code, "5 frames in" in printed, "not read" in printed) == (0, True, False)
    assert segpipe("run", clip, "-o", tmp_path / "one", *HERE, *stream(1))[0] == 1


def test_a_stream_that_no_decoder_knows_is_named(both: Path, tmp_path: Path, segpipe: Call) -> None:
    clip, out = tmp_path / "drive.mp4", tmp_path / "out"
    data = both.read_bytes()
    at = data.rindex(b"avc1")
    clip.write_bytes(data[:at] + b"zzzz" + data[at + 4 :])
    said = "video streams not read: 1 (no decoder here knows its codec)"
    code, printed, _ = segpipe("run", clip, "-o", out, *HERE, *stream("all"))
    assert (code, f"note: drive.mp4: {said}\n" in printed) == (0, True)
    assert list(seen(out)) == [video_info(clip).source_id]
    assert segpipe("run", clip, "-o", out, *HERE, *stream(1))[0] == 1
    (failed,) = [r for r in snapshot(out)["frames"] if r["status"] == "error"]
    assert (
        "no decoder here knows; that is video stream 1, the file also has 0 (160x96, h264)"
        in failed["error"]
    )


def test_a_default_stream_without_a_frame_says_what_else_there_is(
    tmp_path: Path, segpipe: Call
) -> None:
    clip, out = tmp_path / "drive.mkv", tmp_path / "out"
    with av.open(str(clip), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for s in streams:
            s.width, s.height, s.pix_fmt = 160, 96, "yuv420p"
        for time in range(5):
            frame = av.VideoFrame.from_ndarray(
                np.full((96, 160, 3), (30, 30, 200), np.uint8), format="rgb24"
            )
            frame.pts = time
            container.mux(streams[1].encode(frame))
        container.mux(streams[1].encode(None))
    assert segpipe("run", clip, "-o", out, *HERE)[0] == 1
    (failed,) = snapshot(out)["frames"]
    assert (
        "that is video stream 0, the file also has 1 (160x96, mpeg4): choose with sampling.stream"
        in failed["error"]
    )
    assert segpipe("run", clip, "-o", out, *HERE, *stream("all"))[0] == 0
    assert seen(out)[video_info(clip, 1).source_id] == (5, {160}, {BLUE})


def test_streams_of_a_file_are_one_clip_of_a_drive() -> None:
    def facts(name: str, start_s: float, number: int | None) -> SourceMetadata:
        start_us = round(start_s * 1e6) + 1_777_629_600_000_000
        return SourceMetadata(video_info(Path("/f") / name, number), "", 0.0, 60.0, start_us, "gps")

    given = [facts(n, t, s) for n, t in (("a_1.mp4", 0), ("a_2.mp4", 61)) for s in (1, None)]
    found = with_drives(given, 60.0)
    assert [f.info for f in found] == [f.info for f in given]
    assert {f.drive_id for f in found} == {given[1].info.source_id}
    assert [f.drive_index for f in found] == [0, 0, 1, 1]
    assert [f.gap_before_s for f in found] == [None, None, 1.0, 1.0]
    assert describe_drives(found) == [
        f"drive {given[1].info.source_id}: 2 clips; gap of 1.0 s before a_2.mp4"
    ]


def test_metres_of_a_drive_are_not_doubled(tmp_path: Path, segpipe: Call) -> None:
    """Front and rear of two clips in a row, at 10 m/s: the way, the odometer and the passes are
    those of one camera."""
    names = ("20260501_100000.mp4", "20260501_100004.mp4")
    flags = (
        *HERE,
        "--timezone",
        "UTC",
        "--set",
        "quality.min_sharpness=null",
        "--set",
        "quality.min_contrast=null",
    )
    ways: dict[str, Any] = {}
    for which in ("default", "all"):
        out = tmp_path / which
        folder = tmp_path / "footage"
        folder.mkdir(exist_ok=True)
        for name in names:
            if not (folder / name).exists():
                make_streams(folder / name, frames=40)
        track = write_gpx(tmp_path / "way.gpx", TEN, eastwards(10))
        assert segpipe("run", folder, "-o", out, *flags, "--track", track, *stream(which))[0] == 0
        connection = open_dataset(out).duckdb()
        ways[which] = connection.sql(
            "SELECT sum(metres), max(drive_m), count(*), count(DISTINCT drive_id) FROM frame_metres"
        ).fetchall()[0]
        layer = aggregate(connection, "h3:10").frame
        ways[which] += (layer["metres"].sum(), layer["passes"].max())
        (standing,) = [q for title, q in cookbook().items() if "stand" in title]
        ways[which] += (sum(row[2] for row in connection.sql(standing).fetchall()),)
        seconds = connection.sql(
            "SELECT min(gap_before_s), max(drive_index) FROM sources"
        ).fetchall()[0]
        assert seconds == (pytest.approx(0.0, abs=1e-6), 1)
    one, two = ways["default"], ways["all"]
    assert one[0] == pytest.approx(78.0, rel=0.005)  # from 0 to 3.9 s, and from 4 to 7.9 s
    assert two[0] == pytest.approx(one[0], abs=1e-6)
    assert two[1] == pytest.approx(one[1], abs=1e-6) == pytest.approx(78.0, rel=0.005)
    assert (two[2], two[3]) == (2 * one[2], one[3]) == (160, 1)
    assert two[4] == pytest.approx(one[4], abs=1e-6)
    assert two[5] == one[5] == 1
    assert two[6] == pytest.approx(one[6]) == pytest.approx(7.8)


def test_a_start_that_was_given_by_hand_is_that_of_each_stream(
    both: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", both, "-o", out, *HERE, "--start", "2026-05-01T10:00:00Z")
    segpipe("run", both, "-o", out, *HERE, *stream("all"))
    found = sources(open_dataset(out)).values()
    assert [(r["start_time"], r["start_source"]) for r in found] == [(TEN, "start")] * 2


@pytest.mark.parametrize("wrong", ["rear", "-1", "1.5", "true", "[0, 1]", "1000"])
def test_mistakes_are_refused_with_what_is_allowed(
    wrong: str, both: Path, tmp_path: Path, segpipe: Call
) -> None:
    code, _, errors = segpipe("run", both, "-o", tmp_path / "out", *HERE, *stream(wrong))
    assert code == 2
    assert (
        "sampling.stream: which video streams of a file to read: default, all, or the number of "
        "one, 0 being the first" in errors
    )
    assert not (tmp_path / "out").exists()


def test_numbers_may_be_text_and_nothing_else_is_a_number() -> None:
    assert (
        make_job({"inputs": ["x"], "output": "y", "sampling": {"stream": "1"}}).sampling.stream == 1
    )
    with pytest.raises(ConfigError, match=r"found None"):
        make_job({"inputs": ["x"], "output": "y", "sampling": {"stream": None}})


def test_bench_measures_the_stream_that_is_asked_for(both: Path) -> None:
    job = make_job(
        {
            "inputs": [str(both)],
            "output": "x",
            "sampling": {"stream": 1},
            "read": {"isolate": False},
        }
    )
    assert first_frames(job, 5).source == video_info(both, 1)


def test_a_live_stream_says_that_the_setting_is_for_files() -> None:
    job = make_job({"inputs": ["rtsp://camera/1"], "output": "x", "sampling": {"stream": "all"}})
    assert any("sampling.stream is for files" in n for n in notes_on(job))


def test_the_manifest_says_nothing_of_streams(all_of: Path) -> None:
    assert "stream" not in open_dataset(all_of).manifest.content()["sampling"]
    schema = pq.read_schema(next((all_of / "sources").iterdir()))
    assert str(schema.field("stream").type) == "int32"
