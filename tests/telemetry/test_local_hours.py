"""Local times that come twice or never: what the track, other clocks, neighbours and numbers in
names show, and notes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from segpipe.core.config.time_and_place import TimeSettings
from segpipe.core.types import SourceInfo
from segpipe.pipeline.probe.told import new_notes
from segpipe.pipeline.probe.unchanged_clocks import with_late_hours
from segpipe.sources.video.names import found_video
from segpipe.sources.video.probe import probe_video
from segpipe.telemetry.chosen_clock import choose
from segpipe.telemetry.clocks import video_clocks
from segpipe.telemetry.container_tags import ClockTags
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.two_readings import settle_clips
from tests.driving import eastwards, write_gpx
from tests.telemetry.test_clocks import clip, found_folder, job, photo, photos_of

BERLIN = {"timezone": "Europe/Berlin"}
Call = Callable[..., tuple[int, str, str]]


def utc(text: str, day: int = 29) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2023-10-{day:02d}T{text}+00:00")


def of(name: str, duration_s: float = 60.0, **time: Any) -> SourceMetadata:
    """What a survey of one clip finds by its name."""
    settings = TimeSettings(**(BERLIN | time))
    clocks = video_clocks(Path("/card") / name, -1, ClockTags(), duration_s, None, settings)
    start_us, source, offset_s = choose(clocks, settings)
    info = SourceInfo(name, "video", f"/card/{name}")
    return SourceMetadata(
        info, "key", 0.0, duration_s, start_us, source, offset_s, clocks, drive_id=name
    )


def starts(facts: list[SourceMetadata], gap_s: float = 60.0) -> list[str]:
    """The starts of settled clips, as times of day in UTC."""
    found = settle_clips(facts, gap_s, {f.info.source_id for f in facts})
    return [time_of(f) for f in found]


def time_of(facts: SourceMetadata) -> str:
    assert facts.start_us is not None
    return f"{dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=facts.start_us):%H:%M:%S}"


def notes(facts: list[SourceMetadata]) -> list[bool]:
    found = settle_clips(facts, 60.0, {f.info.source_id for f in facts})
    return [any("nothing shows which is right" in n for n in f.notes) for f in found]


def test_clips_at_equal_distances_are_of_one_drive() -> None:
    names = ("20231029_020000_F.mp4", "20231029_021005_F.mp4", "20231029_024955_F.mp4")
    facts = [of(n, 5.0) for n in names]
    assert starts(facts) == ["01:00:00", "01:10:05", "00:49:55"]
    assert starts(facts[::-1]) == ["00:49:55", "01:10:05", "01:00:00"]
    assert notes(facts) == [False] * 3


@pytest.mark.parametrize(
    ("others", "right"),
    [
        (["015900", "020100"], "00:00:00"),
        (["025900"], "01:00:00"),
        (["020100", "020200", "030000"], "01:00:00"),
        (["015900", "030000"], "00:00:00"),
    ],
)
def test_the_clip_before_or_after_shows_the_hour(others: list[str], right: str) -> None:
    first, second = of("20231029_020000.mp4"), [of(f"20231029_{o}.mp4") for o in others]
    hour = [of(f"20231029_02{m:02d}00.mp4") for m in range(1, 60)] if "030000" in others else []
    assert starts([first, *hour, *second])[0] == right


def test_a_drive_through_both_hours() -> None:
    """Three minutes and a second for each clip: their times in the second hour lie between those of
    the first."""
    begin = utc("00:00:00") - dt.timedelta(minutes=10)
    right = [begin + dt.timedelta(seconds=181 * i) for i in range(48)]
    local = [m + dt.timedelta(hours=2 if m < utc("01:00:00") else 1) for m in right]
    facts = [of(f"{m:%Y%m%d_%H%M%S}.mp4", 181.0) for m in local]
    assert starts(facts) == [f"{m:%H:%M:%S}" for m in right]


def test_numbers_in_names_give_the_order() -> None:
    names = ("20231029_025000_0007.mp4", "20231029_022000_0008.mp4", "20231029_023000_0009.mp4")
    assert starts([of(n) for n in names]) == ["00:50:00", "01:20:00", "01:30:00"]
    assert notes([of(n) for n in names]) == [False] * 3


def test_what_nothing_shows_is_the_first_reading_with_a_note() -> None:
    alone = [of("20231029_021000.mp4")]
    assert (starts(alone), notes(alone)) == (["00:10:00"], [True])
    two = [of("20231029_021000.mp4"), of("20231029_024000.mp4")]
    assert (starts(two), notes(two)) == (["00:10:00", "00:40:00"], [True, True])
    settled = settle_clips(alone, 60.0, {"20231029_021000.mp4"})[0]
    assert settled.notes == (
        "local time 20231029_021000: this local time came twice; the first is taken; nothing "
        "shows which is right;"
        " give a track of the time, or the hour by time.offset_s",
    )


def test_a_run_tells_of_all_clips_of_the_hour_in_one_note() -> None:
    facts = [of(f"20231029_02{m:02d}00.mp4") for m in (10, 20, 40)]
    settled = settle_clips(facts, 60.0, {f.info.source_id for f in facts})
    now = {f.info.source_id: f for f in settled}
    said = (
        "local time 20231029_021000: this local time came twice; the first is taken; nothing shows"
        " which is right; give a track of the time, or the hour by time.offset_s"
    )
    assert new_notes({}, now) == [f"20231029_021000.mp4 and 2 more: {said}"]
    one = dict(list(now.items())[:1])
    assert new_notes({}, one) == [f"20231029_021000.mp4: {said}"]
    (line,) = new_notes(one, now)  # the second night tells of its own clips alone
    assert line.startswith("20231029_022000.mp4 and 1 more: local time 20231029_022000: this")
    assert not new_notes(now, now)


def late(facts: list[SourceMetadata]) -> list[bool]:
    ids = {f.info.source_id for f in facts}
    settled = with_late_hours(settle_clips(facts, 60.0, ids), 60.0, ids)
    assert with_late_hours(settle_clips(settled, 60.0, ids), 60.0, ids) == settled
    return [any("clock may not have been put back" in n for n in f.notes) for f in settled]


def test_a_clock_that_was_not_put_back_is_noted_after_the_hour() -> None:
    before, hour = [of("20231029_015900.mp4")], [of(f"20231029_02{m:02d}00.mp4") for m in range(60)]
    after = [of(f"20231029_03{m:02d}00.mp4") for m in range(3)]
    assert late([*before, *hour, *after]) == [False] * 61 + [True, False, False]
    assert not any(late([*hour[30:], *after]))  # the second hour, by a clock that was put back
    both = [*hour, *hour, *after]
    counted = [of(f"{Path(f.info.uri).stem}_{i:04d}.mp4") for i, f in enumerate(both)]
    assert not any(late(counted))
    by_name = [of("20231029_025900+0200.mp4"), of("20231029_030000+0200.mp4")]
    assert not any(late(by_name))
    pause = of("20231029_034000.mp4")
    assert not any(late([*before, *hour, pause]))


def test_streams_of_a_file_have_one_hour() -> None:
    front, rear, last = (
        of("20231029_020000.mp4"),
        of("20231029_020000.mp4"),
        of("20231029_025900.mp4"),
    )
    second = SourceInfo(f"v1-{front.info.source_id}", "video", front.info.uri, 1)
    rear = replace(rear, info=second)
    assert starts([front, rear, last]) == ["01:00:00", "01:00:00", "00:59:00"]


def test_settling_again_changes_nothing_and_another_night_neither() -> None:
    names = ("20231029_020000_F.mp4", "20231029_021005_F.mp4", "20231029_024955_F.mp4")
    once = settle_clips([of(n, 5.0) for n in names], 60.0, set(names))
    assert settle_clips(once, 60.0, set(names)) == once
    assert settle_clips([*once, of("20231030_021500_F.mp4", 5.0)], 60.0, set(names))[:3] == once
    alone = settle_clips([of(names[0], 5.0)], 60.0, {names[0]})
    assert time_of(alone[0]) == "00:00:00"
    later = settle_clips([*alone, *(of(n, 5.0) for n in names[1:])], 60.0, set(names))
    assert later == once  # its note goes, too


def test_sources_that_are_not_in_the_job_stay() -> None:
    known = of("20231029_020000.mp4")
    moved = settle_clips([known, of("20231029_025900.mp4")], 60.0, {"20231029_025900.mp4"})
    assert moved[0] == known


def test_the_hour_that_never_comes_has_the_old_offset_and_a_note() -> None:
    facts = replace(of("20230326_023000.mp4"), notes=("another",))
    found = settle_clips([facts, of("20230326_015900.mp4")], 60.0, {facts.info.source_id})[0]
    assert time_of(found) == "01:30:00"
    assert found.notes[0] == "another"
    assert (
        "local time 20230326_023000: this local time was skipped; the offset before"
        in found.notes[1]
    )
    assert "the camera's clock wasn't changed" in found.notes[1]


def test_other_clocks_of_the_clip_show_the_hour(tmp_path: Path) -> None:
    path = clip(tmp_path / "20231029_023000.mp4", {"creation_time": "2023-10-29T01:30:04Z"})
    facts = probe_video(found_video(path), job(order=["filename", "container"], **BERLIN), {}, None)
    assert (time_of(facts), facts.start_source) == ("01:30:00", "filename")
    assert (
        facts.clocks[1].note == "this local time came twice; the second is taken, as container says"
    )


@pytest.mark.parametrize(("start", "right"), [("00:29:50", "00:30:00"), ("01:29:50", "01:30:00")])
@pytest.mark.parametrize("clock", ["filename", "creationdate", "container"])
def test_a_track_of_one_of_the_hours_shows_it(
    clock: str, start: str, right: str, tmp_path: Path
) -> None:
    tags = (
        {"com.apple.quicktime.creationdate": "2023-10-29T02:30:00"}
        if clock == "creationdate"
        else {}
    )
    more = {}
    if clock == "container":
        tags, more = (
            {"creation_time": "2023-10-29T02:30:00Z"},
            {"creation_time_timezone": "Europe/Berlin"},
        )
    name = "20231029_023000.mov" if clock == "filename" else "a.mov"
    path = clip(tmp_path / name, tags, movflags="use_metadata_tags")
    gpx = write_gpx(tmp_path / "a.gpx", utc(start), eastwards(40))
    facts = probe_video(found_video(path), job(**BERLIN, **more), {"files": [gpx]}, None)
    assert (time_of(facts), facts.start_source) == (right, clock)
    assert facts.track is not None
    assert not facts.notes
    # The track was named by hand, once.
    again = probe_video(found_video(path), job(**BERLIN, **more), {}, facts)
    assert time_of(again) == right


def test_a_track_of_both_hours_shows_nothing_but_stays(tmp_path: Path) -> None:
    path = clip(tmp_path / "20231029_023000.mov")
    tracks = [write_gpx(tmp_path / f"{i}.gpx", utc(f"0{i}:29:50"), eastwards(40)) for i in (0, 1)]
    facts = probe_video(found_video(path), job(**BERLIN), {"files": tracks}, None)
    settled = settle_clips([facts], 60.0, {facts.info.source_id})[0]
    assert time_of(settled) == "00:30:00"
    assert "nothing shows which is right" in settled.notes[-1]
    assert settled.track is not None
    assert len(settled.track) == 80


def taken(folder: Path, names: list[tuple[str, str]], local: str = "2023:10:29") -> list[Path]:
    return [photo(folder / n, f"{local} {t}", "", None, "") for n, t in names]


def photo_times(facts: SourceMetadata) -> list[str]:
    moments = [
        dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=p.time_us or 0) for p in facts.photos
    ]
    return [f"{m:%H:%M:%S}" for m in moments]


def test_numbers_of_photos_show_the_hour(tmp_path: Path) -> None:
    names = [
        ("IMG_1.jpg", "01:59:00"),
        ("IMG_2.jpg", "02:50:00"),
        ("IMG_3.jpg", "02:10:00"),
        ("IMG_4.jpg", "03:20:00"),
    ]
    facts = photos_of(taken(tmp_path, names), **BERLIN)
    assert photo_times(facts) == ["23:59:00", "00:50:00", "01:10:00", "02:20:00"]
    assert facts.notes == ()


def test_a_photo_that_nothing_settles_is_noted(tmp_path: Path) -> None:
    facts = photos_of(taken(tmp_path, [("a.jpg", "02:30:00"), ("b.jpg", "12:00:00")]), **BERLIN)
    assert photo_times(facts) == ["00:30:00", "11:00:00"]
    assert (
        "1 of 2 images: local time 2023:10:29 02:30:00: this local time came twice"
        in facts.notes[0]
    )
    spring = tmp_path / "spring"
    spring.mkdir()
    facts = photos_of(taken(spring, [("a.jpg", "02:30:00")], "2023:03:26"), **BERLIN)
    assert photo_times(facts) == ["01:30:00"]
    assert "this local time was skipped" in facts.notes[0]


def test_a_track_in_a_folder_of_photos_shows_the_hour(tmp_path: Path) -> None:
    from segpipe.sources.images.probe import probe_folder

    paths = taken(tmp_path, [("a.jpg", "02:30:00"), ("b.jpg", "02:30:10")])
    gpx = write_gpx(tmp_path / "a.gpx", utc("01:29:50"), eastwards(40))
    facts = probe_folder(found_folder(paths), job(**BERLIN), {"sidecar": [gpx]}, None)
    assert photo_times(facts) == ["01:30:00", "01:30:10"]
    assert facts.notes == ()
    assert facts.track is not None


def test_rows_are_put_right_when_the_next_clip_shows_the_hour(
    tmp_path: Path, segpipe: Call
) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    out, flags = (
        tmp_path / "out",
        ("--set", "model.source=fake:", "-q", "--timezone", "Europe/Berlin"),
    )
    clip(folder / "20231029_020000.mp4")
    _, printed, _ = segpipe("run", folder, "-o", out, *flags)
    assert "nothing shows which is right" in printed
    clip(folder / "20231029_025959.mp4", {"comment": "another recording"})
    _, printed, _ = segpipe("run", folder, "-o", out, *flags)
    assert "nothing shows which is right" not in printed
    for _ in range(2):
        rows = pd.read_parquet(out / "frames").groupby("uri")["timestamp"].min().sort_index()
        assert rows.tolist() == [pd.Timestamp(utc("01:00:00")), pd.Timestamp(utc("00:59:59"))]
        segpipe("run", folder, "-o", out, *flags)
