"""Which clocks a source has, and what their texts mean: containers, streams, file names, GPS weeks,
fractions of a second."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from segpipe.core.config.job import Job, make_job
from segpipe.core.config.time_and_place import TimeSettings, TrackSettings
from segpipe.sources.base import FoundSource
from segpipe.sources.identity import identify
from segpipe.sources.images.probe import probe_folder
from segpipe.sources.images.source import ImageFolders
from segpipe.sources.known_files import NOTHING_KNOWN
from segpipe.sources.video.names import found_video
from segpipe.sources.video.packets import packet_index
from segpipe.sources.video.probe import probe_video
from segpipe.telemetry.choose import Moments, choose_track
from segpipe.telemetry.chosen_clock import choose
from segpipe.telemetry.clocks import rough_times, video_clocks
from segpipe.telemetry.container_tags import ClockTags
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.rollover import corrected_track
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import Track
from tests.driving import eastwards
from tests.footage import picture

TEN = dt.datetime(2026, 5, 1, 10, tzinfo=dt.UTC)
WEEKS = dt.timedelta(weeks=1024)
APPLE = "com.apple.quicktime.creationdate"


def us(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1e6)


def job(**time: Any) -> Job:
    return make_job({"model": {"source": "fake:"}, "inputs": ["x"], "output": "y", "time": time})


def clip(path: Path, tags: dict[str, str] | None = None, **options: str) -> Path:
    """A short video with metadata of its container."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        container.metadata.update(tags or {})
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def of(path: Path, **time: Any) -> SourceMetadata:
    return probe_video(found_video(path), job(**time), {}, None)


def start_of(facts: SourceMetadata) -> tuple[str, str | None]:
    assert facts.start_us is not None
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=facts.start_us)
    return moment.isoformat() + "Z", facts.start_source


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize(
    "text", ["2026-05-01T12:00:00+0200", "2026-05-01T12:00:00+02:00", "2026-05-01T10:00:00Z"]
)
def test_apples_creation_date_is_trusted_before_the_containers(
    text: str, suffix: str, tmp_path: Path
) -> None:
    tags = {APPLE: text, "creation_time": "2026-09-01T08:00:00Z"}
    options = {"movflags": "use_metadata_tags"} if suffix != ".mkv" else {}
    path = clip(tmp_path / f"a{suffix}", tags, **options)
    assert start_of(of(path)) == ("2026-05-01T10:00:00Z", "creationdate")
    assert start_of(of(path, order=["container", "mtime"])) == ("2026-09-01T08:00:00Z", "container")
    assert start_of(of(path, offset_s=1.5)) == ("2026-05-01T10:00:01.500000Z", "creationdate")


def test_a_creation_date_without_a_zone_is_local_time(tmp_path: Path) -> None:
    tags = {APPLE: "2026-05-01T12:00:00", "creation_time": "2026-09-01T08:00:00Z"}
    path = clip(tmp_path / "a.mov", tags, movflags="use_metadata_tags")
    assert start_of(of(path)) == ("2026-09-01T08:00:00Z", "container")
    assert start_of(of(path, timezone="Europe/Berlin")) == ("2026-05-01T10:00:00Z", "creationdate")


@pytest.mark.parametrize("text", ["2026", "2026-05-01", "2026-05-01T12:00:00", "yesterday"])
def test_a_date_of_other_software_counts_only_as_a_full_time_with_its_zone(
    text: str, tmp_path: Path
) -> None:
    assert packet_index(clip(tmp_path / "a.mp4", {"date": text})).tags == ClockTags()
    full = packet_index(clip(tmp_path / "b.mp4", {"date": "2026-05-01T12:00:00+02:00"})).tags
    assert full.creationdate == "2026-05-01T12:00:00+02:00"


@pytest.mark.parametrize("seconds", [0, 2_082_844_800])  # missing, and 1970
def test_a_creation_time_that_only_the_stream_has(seconds: int, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mov", {"creation_time": "2026-05-01T10:00:00Z"})
    data = bytearray(path.read_bytes())
    place = data.index(b"mvhd") + 8
    data[place : place + 8] = seconds.to_bytes(4, "big") * 2
    path.write_bytes(data)
    facts = of(path)
    assert start_of(facts) == ("2026-05-01T10:00:00Z", "container")
    found = next(c for c in facts.clocks if c.source == "container")
    assert found.note == "creation_time of the video stream"


@pytest.mark.parametrize(
    "text", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2001-01-01T00:00:00Z"]
)
def test_the_zero_of_an_epoch_is_no_time(text: str, tmp_path: Path) -> None:
    clocks = video_clocks(tmp_path / "a.mov", -1, ClockTags(text), 1.0, None, TimeSettings())
    assert [(c.source, c.utc_us, c.note) for c in clocks] == [
        ("container", None, "the camera's clock was never set")
    ]


HALF_PAST_TWO = "2023-06-02T14:30:22Z"
NAMES = [
    ("2023-06-02T14-30-22Z.mp4", HALF_PAST_TWO),
    ("20230602T143022Z_front.mp4", HALF_PAST_TWO),
    ("20230602143022Z.mp4", HALF_PAST_TWO),
    ("2023-06-02t14-30-22z.mp4", HALF_PAST_TWO),
    ("2023-06-02T14-30-22-250Z.mp4", "2023-06-02T14:30:22.250000Z"),
    ("2023-06-02T14-30-22.250Z.mp4", "2023-06-02T14:30:22.250000Z"),
    ("20230602_143022 UTC.mp4", HALF_PAST_TWO),
    ("20230602_143022_UTC+2.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022+0200.mp4", "2023-06-02T12:30:22Z"),
    ("2023-06-02 14-30-22+02-00.mp4", "2023-06-02T12:30:22Z"),
    ("2023-06-02T14:30:22+02:00.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022+02.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022+0545_F.mp4", "2023-06-02T08:45:22Z"),
    ("20230602_143022-0500.mp4", "2023-06-02T19:30:22Z"),
    ("20230602_143022-03-30.mp4", "2023-06-02T18:00:22Z"),
    ("2023-06-02 14-30-22 Z.mp4", HALF_PAST_TWO),
    ("20230602_143022_Z.mp4", HALF_PAST_TWO),
    ("2023-06-02 14-30-22 (UTC).mp4", HALF_PAST_TWO),
    ("20230602_143022_+0200.mp4", "2023-06-02T12:30:22Z"),
    # No zones: local time, here of Berlin.
    ("20230602_143022.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022-0001.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022-1080.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022-0045.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022-02.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022-05001.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022+1500.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022_Zurich.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022_Z2.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022Zoo.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_143022_0200.mp4", "2023-06-02T12:30:22Z"),
    # Halves of the day.
    ("2023-06-02 02.30.22 PM.mp4", "2023-06-02T12:30:22Z"),
    ("2023-06-02 2-30-22pm.mp4", "2023-06-02T12:30:22Z"),
    ("Screen Recording 2023-06-02 at 2.30.22\u202fPM.mov", "2023-06-02T12:30:22Z"),
    ("2023-06-02_02-30-22_p.m..mp4", "2023-06-02T12:30:22Z"),
    ("2023-06-02 02.30.22 AM.mp4", "2023-06-02T00:30:22Z"),
    ("2023-06-02 12.30.22 AM.mp4", "2023-06-01T22:30:22Z"),
    ("2023-06-02 12.30.22 PM.mp4", "2023-06-02T10:30:22Z"),
    ("2023-06-02 14.30.22 PM.mp4", "2023-06-02T12:30:22Z"),
    ("20230602_023022_amsterdam.mp4", "2023-06-02T00:30:22Z"),
    ("2023-06-02 02.30.22 PM UTC.mp4", HALF_PAST_TWO),
    ("20230602_143022250.mp4", "2023-06-02T12:30:22.250000Z"),
]


@pytest.mark.parametrize(("name", "right"), NAMES)
def test_the_zone_and_the_half_of_the_day_in_a_file_name(
    name: str, right: str, tmp_path: Path
) -> None:
    clocks = video_clocks(
        tmp_path / name, -1, ClockTags(), 1.0, None, TimeSettings(timezone="Europe/Berlin")
    )
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=clocks[0].utc_us or 0)
    assert moment.isoformat() + "Z" == right


def test_a_name_with_its_zone_needs_no_setting(tmp_path: Path) -> None:
    assert start_of(of(clip(tmp_path / "2023-06-02T14-30-22Z.mp4"))) == (HALF_PAST_TWO, "filename")
    assert of(clip(tmp_path / "2023-06-02T14-30-22.mp4")).start_source == "mtime"


def test_numbers_after_a_minus_are_counters_where_a_neighbours_is_no_offset(tmp_path: Path) -> None:
    path = tmp_path / "20230602_143022-0200.mp4"
    settings = TimeSettings(timezone="Europe/Berlin")
    path.touch()
    alone = video_clocks(path, -1, ClockTags(), 1.0, None, settings)[0]
    assert alone.utc_us == us(dt.datetime(2023, 6, 2, 16, 30, 22, tzinfo=dt.UTC))
    (tmp_path / "20230602_142922-0199.mp4").touch()
    os.utime(tmp_path, ns=(1, 1))
    counted = video_clocks(path, -1, ClockTags(), 1.0, None, settings)[0]
    assert counted.utc_us == us(dt.datetime(2023, 6, 2, 12, 30, 22, tzinfo=dt.UTC))


def photo(
    path: Path, taken: str, fraction: str, gps: dt.datetime | None, offset: str = "+00:00"
) -> Path:
    """A photograph with its EXIF time, and with a place and GPS time of whole seconds."""
    exif = Image.Exif()
    details: dict[int, Any] = {Base.DateTimeOriginal: taken, Base.OffsetTimeOriginal: offset}
    exif.get_ifd(IFD.Exif).update(
        details | ({Base.SubsecTimeOriginal: fraction} if fraction else {})
    )
    if gps is not None:
        place = dict(zip((GPS.GPSLatitudeRef, GPS.GPSLongitudeRef), "NE", strict=True))
        time = (float(gps.hour), float(gps.minute), gps.second + gps.microsecond / 1e6)
        exif.get_ifd(IFD.GPSInfo).update(
            {
                **place,
                GPS.GPSLatitude: (52.0, 0.0, 0.0),
                GPS.GPSLongitude: (0.0, 6.0, 0.0),
                GPS.GPSTimeStamp: time,
                GPS.GPSDateStamp: gps.strftime("%Y:%m:%d"),
            }
        )
    Image.new("RGB", (64, 48), (90, 120, 60)).save(path, exif=exif)
    return path


def found_folder(paths: list[Path]) -> FoundSource:
    """The images of one folder as a source."""
    (found,) = ImageFolders().discover([identify(p) for p in paths], NOTHING_KNOWN)
    return found


def photos_of(paths: list[Path], **time: Any) -> SourceMetadata:
    return probe_folder(found_folder(paths), job(**time), {}, None)


@pytest.mark.parametrize("times", [1, 2])
def test_an_exif_gps_date_that_lost_1024_weeks_is_corrected(times: int, tmp_path: Path) -> None:
    taken = photo(tmp_path / "a.jpg", "2026:05:01 12:00:00", "", TEN - times * WEEKS, "+02:00")
    facts = photos_of([taken])
    assert (facts.photos[0].time_us, facts.photos[0].time_source) == (us(TEN), "gps")
    said = f"the GPS date was {times * 1024} weeks too early (GPS week rollover), corrected by exif"
    assert facts.notes == (f"1 of 1 image: {said}",)


def test_a_gps_date_is_corrected_by_a_local_time_too(tmp_path: Path) -> None:
    facts = photos_of([photo(tmp_path / "a.jpg", "2026:05:01 12:00:00", "", TEN - WEEKS, "")])
    assert (facts.photos[0].time_us, facts.photos[0].time_source) == (us(TEN), "gps")


@pytest.mark.parametrize(
    "early", [dt.timedelta(0), WEEKS - dt.timedelta(days=3), dt.timedelta(weeks=1000)]
)
def test_other_differences_are_no_rollover(early: dt.timedelta, tmp_path: Path) -> None:
    facts = photos_of([photo(tmp_path / "a.jpg", "2026:05:01 10:00:00", "", TEN - early)])
    assert (facts.photos[0].time_us, facts.notes) == (us(TEN - early), ())


def test_an_old_photograph_that_was_copied_later_stays_old(tmp_path: Path) -> None:
    taken = photo(tmp_path / "a.jpg", "2026:05:01 10:00:00", "", TEN)
    os.utime(taken, (TEN.timestamp() + WEEKS.total_seconds(),) * 2)
    facts = photos_of([taken])
    assert (facts.photos[0].time_us, facts.notes) == (us(TEN), ())


def track(start: dt.datetime, media: bool) -> Track:
    """Ten fixes, one a second."""
    places = eastwards(10)
    seconds = np.arange(10)
    return Track.of(
        "embedded:gopro" if media else "nmea:a.nmea",
        [p[0] for p in places],
        [p[1] for p in places],
        time_us=us(start) + seconds * 1_000_000,
        media_s=seconds.astype(float) if media else None,
    )


@pytest.mark.parametrize(
    "tags", [ClockTags("2026-05-01T09:30:00Z"), ClockTags(None, "", "2026-05-01T12:00:00+0200")]
)
def test_telemetry_that_lost_1024_weeks_is_corrected(tags: ClockTags, tmp_path: Path) -> None:
    path, settings = tmp_path / "a.mp4", TimeSettings()
    found, note = corrected_track(track(TEN - WEEKS, True), rough_times(path, -1, tags, settings))
    assert note.startswith(
        "track embedded:gopro: the GPS date was 1024 weeks too early (GPS week rollover), "
        "corrected by c"
    )
    assert choose(video_clocks(path, -1, tags, 1.0, found, settings), settings) == (
        us(TEN),
        "gps",
        0.0,
    )
    lapse = replace(track(TEN - WEEKS, True), rate=Rate(start_us=us(TEN - WEEKS)))
    found, _ = corrected_track(lapse, rough_times(path, -1, tags, settings))
    assert choose(video_clocks(path, -1, tags, 1.0, found, settings), settings) == (
        us(TEN),
        "gps",
        0.0,
    )
    right, note = corrected_track(track(TEN, True), rough_times(path, -1, tags, settings))
    assert (right is not None and right.time_us[0], note) == (us(TEN), "")


def test_a_track_file_that_lost_1024_weeks_is_one_of_the_footages_time(tmp_path: Path) -> None:
    moments = Moments(us(TEN) + np.arange(5, dtype=np.int64) * 1_000_000)
    log = tmp_path / "a.csv"
    rows = [
        f"{(TEN - WEEKS + dt.timedelta(seconds=i)).isoformat()},{lat},{lon}"
        for i, (lat, lon) in enumerate(eastwards(10))
    ]
    log.write_text("time,latitude,longitude\n" + "\n".join(rows))
    chosen = choose_track({"files": [log]}, None, moments, TrackSettings(files=(str(log),)), None)
    assert chosen.track is not None
    assert chosen.track.time_us[0] == us(TEN)
    assert "1024 weeks too early (GPS week rollover), corrected by the footage" in chosen.notes[0]


def test_photos_of_a_burst_are_apart_by_their_fractions(tmp_path: Path) -> None:
    second = [dt.timedelta(seconds=i // 5) for i in range(10)]
    paths = [
        photo(
            tmp_path / f"{i}.jpg", f"2026:05:01 10:00:0{i // 5}", f"{i % 5 * 2}00", TEN + second[i]
        )
        for i in range(10)
    ]
    found = photos_of(paths)
    assert [p.time_us for p in found.photos] == [us(TEN) + i * 200_000 for i in range(10)]
    assert {p.time_source for p in found.photos} == {"exif"}


def test_a_fraction_wins_only_over_whole_seconds_that_agree(tmp_path: Path) -> None:
    late = photo(tmp_path / "a.jpg", "2026:05:01 10:00:04", "500", TEN)
    fine = photo(
        tmp_path / "b.jpg", "2026:05:01 10:00:00", "500", TEN + dt.timedelta(milliseconds=250)
    )
    whole = photo(tmp_path / "c.jpg", "2026:05:01 10:00:01", "", TEN)
    assert [(p.time_us, p.time_source) for p in photos_of([late, fine, whole]).photos] == [
        (us(TEN), "gps"),
        (us(TEN) + 250_000, "gps"),
        (us(TEN), "gps"),
    ]


@pytest.mark.parametrize(
    ("taken", "fraction", "offset"),
    [
        ("2026-05-01 12:00:00", "25", "+02:00"),
        ("2026:05:01 12:00:00.25", "", "+02:00"),
        ("2026-05-01T12:00:00.250+02:00", "", ""),
        ("2026/05/01 10:00:00Z", "250", "+05:00"),
    ],
)
def test_exif_times_that_programs_write_in_their_own_way(
    taken: str, fraction: str, offset: str, tmp_path: Path
) -> None:
    found = photos_of([photo(tmp_path / "a.jpg", taken, fraction, None, offset)]).photos[0]
    assert (found.time_us, found.time_source) == (us(TEN) + 250_000, "exif")
    for text in ("2026:05:01", "2026:05:01 12:00", "2026:13:01 12:00:00"):
        assert (
            photos_of([photo(tmp_path / "b.jpg", text, "", None)]).photos[0].time_source == "mtime"
        )


@pytest.mark.parametrize(
    ("local", "zone"), [("12", "UTC+02:00"), ("04", "UTC-06:00"), ("10", "UTC")]
)
def test_a_burst_without_a_zone_has_that_of_gps(local: str, zone: str, tmp_path: Path) -> None:
    paths = [
        photo(tmp_path / f"{i}.jpg", f"2026:05:01 {local}:00:00", f"{i * 2}00", TEN, "")
        for i in range(5)
    ]
    found = photos_of(paths)
    assert [p.time_us for p in found.photos] == [us(TEN) + i * 200_000 for i in range(5)]
    assert [c.note for c in found.clocks if c.source == "exif"] == [f"zone {zone} by GPS"] * 5
    wrong = photo(tmp_path / "x.jpg", f"2026:05:01 {local}:05:00", "200", TEN, "")
    assert [(p.time_us, p.time_source) for p in photos_of([wrong]).photos] == [(us(TEN), "gps")]
    given = photos_of(paths[:1], timezone="Europe/Berlin").clocks
    assert [c.note for c in given if c.source == "exif"] == [""]


@pytest.mark.parametrize(
    ("off_s", "source"), [(0.9, "exif"), (-1.8, "exif"), (1.4, "gps"), (5.0, "gps")]
)
def test_a_bursts_images_are_timed_by_one_clock(off_s: float, source: str, tmp_path: Path) -> None:
    """The camera's clock is off GPS by about as much as two clocks that agree may be."""
    paths = []
    for i in range(10):
        true = TEN + dt.timedelta(seconds=i / 5)
        camera = true + dt.timedelta(seconds=off_s)
        taken, fraction = camera.strftime("%Y:%m:%d %H:%M:%S"), f"{camera.microsecond:06d}"[:3]
        paths.append(photo(tmp_path / f"{i}.jpg", taken, fraction, true.replace(microsecond=0)))
    found = photos_of(paths).photos
    assert {p.time_source for p in found} == {source}
    assert all(
        a.time_us <= b.time_us for a, b in itertools.pairwise(found) if a.time_us and b.time_us
    )
    other = photo(tmp_path / "z.jpg", "2026:05:01 11:00:20", "500", TEN + dt.timedelta(hours=1))
    # A camera with another error says nothing of these
    assert photos_of([*paths, other]).photos[:10] == found


def test_a_videos_name_with_a_fraction_is_finer_than_its_container(tmp_path: Path) -> None:
    tags = {"creation_time": "2026-05-01T10:00:00Z"}
    assert (
        start_of(of(clip(tmp_path / "20260501_100000400.mp4", tags), timezone="UTC"))[1]
        == "filename"
    )
    assert (
        start_of(of(clip(tmp_path / "20260501_100010400.mp4", tags), timezone="UTC"))[1]
        == "container"
    )
    path = clip(tmp_path / "20260501_100000.mp4", tags)
    os.utime(path, (TEN.timestamp() + 1.3,) * 2)
    # A modification time is no better for its fractions
    assert start_of(of(path))[1] == "container"
