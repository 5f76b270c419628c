"""Bad and changing footage: no wrong position, no lost time, and something to read about it."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segpipe.sources.video.file as video_source
from segpipe import open_dataset
from segpipe.core.errors import SourceError
from tests.driving import eastwards, write_gpx
from tests.footage import make_video, rotate_mp4
from tests.pipeline.test_where import TEN, frames_of, photo, source_of

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
START = ("--start", "2026-05-01T10:00:00Z")


def photos(
    folder: Path,
    places: list[tuple[float, float] | None],
    prefix: str = "",
    first: int = 0,
    day: int = 1,
) -> Path:
    """Photographs a second apart, each with its position."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, place in enumerate(places, first):
        photo(
            folder / f"{prefix}{i:02d}.jpg",
            f"2026:05:{day:02d} 10:00:{i:02d}",
            place,
            offset="+00:00",
        )
    return folder


def by_name(out: Path) -> pd.DataFrame:
    return (
        frames_of(out)
        .assign(name=lambda f: f["uri"].str.rpartition("/")[2])
        .set_index("name")
        .sort_values("timestamp")
    )


def test_a_wild_position_of_a_photograph_is_not_believed(tmp_path: Path, segpipe: Call) -> None:
    places: list[tuple[float, float] | None] = [*eastwards(5)]
    places[2] = (53.5, 5.0)
    _, printed, _ = segpipe("run", photos(tmp_path / "p", places), "-o", tmp_path / "out", *FAKE)
    assert "1 fix: impossible speed" in printed
    row = by_name(tmp_path / "out").loc["02.jpg"]
    assert (row["latitude"], row["longitude"]) == (
        pytest.approx(52.0),
        pytest.approx(eastwards(5)[2][1], abs=1e-6),
    )


def test_photographs_whose_exif_and_track_disagree_have_no_position(
    tmp_path: Path, segpipe: Call
) -> None:
    folder = photos(tmp_path / "p", [*eastwards(5)])
    write_gpx(folder / "t.gpx", TEN, eastwards(10, latitude=53.0))
    _, printed, _ = segpipe("run", folder, "-o", tmp_path / "out", *FAKE)
    assert "km apart, so neither is used" in printed
    assert "such as [exif]" in printed
    assert frames_of(tmp_path / "out")["latitude"].isna().all()
    segpipe("run", folder, "-o", tmp_path / "out", *FAKE, "--set", "track.order=[exif]")
    assert frames_of(tmp_path / "out")["latitude"].tolist() == pytest.approx([52.0] * 5)


def test_two_tracks_of_a_folder_each_place_their_own_images(tmp_path: Path, segpipe: Call) -> None:
    folder = photos(tmp_path / "p", [None] * 4, "a")
    photos(folder, [None] * 4, "b", day=2)
    write_gpx(folder / "day1.gpx", TEN, eastwards(10))
    write_gpx(folder / "day2.gpx", TEN + timedelta(days=1), eastwards(10, latitude=53.0))
    _, printed, _ = segpipe("run", folder, "-o", tmp_path / "out", *FAKE)
    assert "with a position: 8 of 8 frames" in printed
    rows = by_name(tmp_path / "out")
    assert rows["latitude"].tolist() == pytest.approx([52.0] * 4 + [53.0] * 4)
    # The night between isn't driven
    assert rows["odometer_m"].tolist() == pytest.approx([0, 10, 20, 30, 90, 100, 110, 120], abs=0.5)


def test_a_run_over_some_images_leaves_the_others_where_they_were(
    tmp_path: Path, segpipe: Call
) -> None:
    folder = photos(tmp_path / "p", [None] * 4, "a")
    photos(folder, [None] * 4, "b", day=2)
    write_gpx(folder / "day1.gpx", TEN, eastwards(10))
    segpipe("run", *sorted(folder.glob("a*.jpg")), "-o", tmp_path / "out", *FAKE)
    segpipe("run", *sorted(folder.glob("b*.jpg")), "-o", tmp_path / "out", *FAKE)
    rows = by_name(tmp_path / "out")
    assert rows["latitude"].notna().tolist() == [True] * 4 + [False] * 4
    assert len(source_of(tmp_path / "out")["photos"]) == 8


def test_a_folder_that_grows_ends_as_if_it_had_been_whole(tmp_path: Path, segpipe: Call) -> None:
    # Grey cards aren't usable by their contrast.
    way, plain = (
        eastwards(30),
        ("--set", "quality.measure=false"),
    )
    folder = photos(tmp_path / "p", way[20:], "b", first=20)
    photo(folder / "lost.jpg", "2026:05:01 10:00:10", offset="+00:00")
    segpipe("run", folder, "-o", tmp_path / "out", *FAKE, *plain)
    photos(folder, way[:20], "a")
    segpipe("run", folder, "-o", tmp_path / "out", *FAKE, *plain)
    segpipe("run", folder, "-o", tmp_path / "fresh", *FAKE, *plain)
    grown, fresh = by_name(tmp_path / "out").sort_index(), by_name(tmp_path / "fresh").sort_index()
    # The folder is called after the first image that was seen of it
    grown, fresh = (
        f.assign(source_id="", frame_id=f["frame_id"].str.partition(":")[2]) for f in (grown, fresh)
    )
    pd.testing.assert_frame_equal(grown, fresh)
    assert grown.loc["b29.jpg", "odometer_m"] == pytest.approx(290, abs=1)
    assert grown.loc["lost.jpg", "latitude"] == pytest.approx(52.0)
    metres = (
        open_dataset(tmp_path / "out")
        .duckdb()
        .sql("SELECT sum(metres) FROM frame_metres")
        .fetchall()[0][0]
    )
    assert metres == pytest.approx(290, abs=1)


def test_a_track_with_a_hole_at_the_footage_does_not_hide_one_that_fits(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=20)
    day = write_gpx(tmp_path / "day.gpx", TEN - timedelta(hours=1), eastwards(2), step_s=7200)
    write_gpx(tmp_path / "clip.gpx", TEN - timedelta(seconds=2), eastwards(10))
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *START, "--track", day)
    assert "with a position: 20 of 20 frames" in printed
    assert "which is in a gap of the track" in printed


def test_a_clip_over_two_tracks_gets_both(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=4)
    a = write_gpx(tmp_path / "a.gpx", TEN, eastwards(6))
    b = write_gpx(
        tmp_path / "b.gpx",
        TEN + timedelta(seconds=5.5),
        eastwards(10, longitude=eastwards(6)[5][1]),
    )
    _, printed, _ = segpipe(
        "run", clip, "-o", tmp_path / "out", *FAKE, *START, "--track", a, "--track", b
    )
    assert "with a position: 40 of 40 frames" in printed
    assert np.all(np.diff(frames_of(tmp_path / "out")["odometer_m"]) >= 0)
    assert source_of(tmp_path / "out")["track_source"] == "gpx:a.gpx, gpx:b.gpx"


def test_two_tracks_that_nobody_can_drive_between_are_not_joined(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=4)
    a = write_gpx(tmp_path / "a.gpx", TEN, eastwards(6))
    b = write_gpx(tmp_path / "b.gpx", TEN + timedelta(seconds=6), eastwards(10, latitude=53.0))
    _, printed, _ = segpipe(
        "run", clip, "-o", tmp_path / "out", *FAKE, *START, "--track", a, "--track", b
    )
    assert "b.gpx isn't used: nothing drives from gpx:a.gpx to it" in printed
    rows = frames_of(tmp_path / "out")
    assert rows["latitude"].dropna().tolist() == pytest.approx([52.0] * 21)


def nmea(path: Path, seconds: tuple[int, ...], spoilt: bool = False) -> Path:
    lines = []
    for s in seconds:
        body = f"GPRMC,1000{s:02d}.00,A,5200.0000,N,00006.{s * 100:04d},E,19.4,90.0,010526,,,A"
        lines.append(f"${body}*{functools.reduce(operator.xor, body.encode()):02X}")
    if spoilt:
        lines[1] = lines[1][:-2] + ("00" if not lines[1].endswith("00") else "01")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_another_gap_is_put_right_either_way(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=2)
    nmea(tmp_path / "clip.nmea", (0, 1, 2, 3, 16, 17, 18, 19, 20))
    counts = []
    for gap in (10, 30, 5):
        _, printed, _ = segpipe(
            "run", clip, "-o", tmp_path / "out", *FAKE, *START, "--set", f"track.max_gap_s={gap}"
        )
        counts.append(int(frames_of(tmp_path / "out")["latitude"].notna().sum()))
    assert counts == [15, 40, 15]
    assert "times and positions of 40 rows were updated" in printed


def test_a_broken_checksum_and_reversed_fixes_are_counted_where_people_see_it(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=20)
    nmea(tmp_path / "clip.nmea", (0, 1, 2, 3, 4), spoilt=True)
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *START)
    assert re.search(r"clip.nmea: 1 fix: .*checksum", printed), printed
    (tmp_path / "clip.nmea").unlink()
    gpx = write_gpx(tmp_path / "clip.gpx", TEN, [*eastwards(10), eastwards(10)[9]])
    points = re.findall(r"<trkpt.*?</trkpt>", gpx.read_text())
    gpx.write_text(gpx.read_text().replace("".join(points), "".join([*points[::-1], points[3]])))
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "out2", *FAKE, *START)
    assert "out of order" in printed
    assert "1 fix: duplicates" in printed
    assert source_of(tmp_path / "out2")["track_dropped"] == 1  # those out of order stayed
    assert frames_of(tmp_path / "out2")["heading_deg"].tolist() == pytest.approx(
        [90.0] * 20, abs=0.1
    )


def test_what_was_given_by_hand_outlives_a_run_that_does_not_name_it(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=20)
    track = write_gpx(tmp_path / "x.gpx", TEN, eastwards(10))
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *START, "--track", track)
    before = frames_of(tmp_path / "out")
    track.unlink()
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    pd.testing.assert_frame_equal(frames_of(tmp_path / "out"), before)
    assert set(before["timestamp_source"]) == {"start"}


def test_another_recording_under_the_same_name_has_its_own_time(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=20)
    track = write_gpx(tmp_path / "x.gpx", TEN, eastwards(10))
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *START, "--track", track)
    before = frames_of(tmp_path / "out")
    make_video(clip, frames=30)
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    rows = frames_of(tmp_path / "out")
    old = rows["source_id"] == before["source_id"][0]
    pd.testing.assert_frame_equal(rows[old].reset_index(drop=True), before)
    rows = rows[~old]
    assert len(rows) == 30
    assert set(rows["timestamp_source"]) == {"mtime"}
    assert rows["latitude"].isna().all()
    assert "modification time" in printed


def test_every_m_keeps_its_frames_when_the_sidecar_has_gone(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=100, fps=20)
    track = write_gpx(tmp_path / "clip.gpx", TEN, eastwards(12))
    flags = (*START, "--set", "sampling.every_m=5")
    assert segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)[0] == 0
    before = frames_of(tmp_path / "out")
    track.rename(tmp_path / "elsewhere")
    code, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    assert code == 0
    assert "taken from an earlier run" in printed
    pd.testing.assert_frame_equal(frames_of(tmp_path / "out"), before)


def test_another_track_means_other_frames_every_few_metres(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=100, fps=20)
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(12))
    flags = (*START, "--set", "sampling.every_m=5")
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(12, step_m=5))
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    segpipe("run", clip, "-o", tmp_path / "fresh", *FAKE, *flags)
    pd.testing.assert_frame_equal(frames_of(tmp_path / "out"), frames_of(tmp_path / "fresh"))


def test_a_read_error_of_a_moment_does_not_cost_the_time(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_video(tmp_path / "20260501_100000.mp4", frames=20)

    def away(*_: object) -> None:
        raise SourceError("can't be read (Permission denied)")

    with monkeypatch.context() as patch:
        patch.setattr(video_source, "packet_index", away)
        here = ("--set", "read.isolate=false")
        assert (
            segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC", *here)[0] == 1
        )
    code, _, _ = segpipe(
        "run", clip, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC", "--retry-failed"
    )
    assert code == 0
    assert set(frames_of(tmp_path / "out")["timestamp_source"]) == {"filename"}


@pytest.mark.parametrize(
    "time", [lambda i: str((1_777_629_600 + i) * 10**9), lambda i: "1e30", lambda i: "1e18"]
)
def test_a_csv_with_impossible_times_is_noted(
    time: Callable[[int], str], tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=4)
    rows = "".join(f"{time(i)},52.0,{0.1 + i * 1e-4}\n" for i in range(5))
    (tmp_path / "clip.csv").write_text("time,latitude,longitude\n" + rows)
    code, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *START)
    assert code == 0
    assert "clip.csv isn't used" in printed
    assert frames_of(tmp_path / "out")["latitude"].isna().all()


def test_clocks_that_lie_are_kept_and_not_used(tmp_path: Path, segpipe: Call) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    photo(folder / "far.jpg", "9999:12:31 23:59:59", offset="-05:00")
    photo(folder / "unset.jpg", "1980:01:01 00:00:00", offset="+00:00")
    photo(folder / "9920110203040506.jpg", None)  # a number, no date
    code, printed, errors = segpipe(
        "run", folder, "-o", tmp_path / "out", *FAKE, "--timezone", "America/New_York"
    )
    assert code == 0, errors
    assert set(frames_of(tmp_path / "out")["timestamp_source"]) == {"mtime"}
    assert "the camera's clock was never set" in printed
    code, printed, _ = segpipe(
        "run", folder, "-o", tmp_path / "out", *FAKE, "--set", "time.order=[exif]"
    )
    assert "3 of 3 images: no clock can be used" in printed
    assert frames_of(tmp_path / "out")["timestamp"].isna().all()


def test_names_that_are_no_utf8_have_times_and_tracks_too(tmp_path: Path, segpipe: Call) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    try:
        photo(folder / "b.jpg", "2026:05:01 12:00:01").rename(folder / name)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    clip = make_video(tmp_path / "x.mp4", frames=4).rename(
        tmp_path / b"caf\xe9_01.mp4".decode("utf-8", "surrogateescape")
    )
    write_gpx(tmp_path / "x.gpx", TEN, eastwards(3)).rename(clip.with_suffix(".gpx"))
    assert segpipe("run", folder, "-o", tmp_path / "photos", *FAKE)[0] == 0
    segpipe("run", folder, "-o", tmp_path / "photos", *FAKE, "--timezone", "Europe/Berlin")
    assert frames_of(tmp_path / "photos")["timestamp"][0] == pd.Timestamp(
        TEN + timedelta(seconds=1)
    )
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "clips", *FAKE, *START)
    assert "with a position: 4 of 4 frames" in printed


def test_clips_with_modification_times_alone(tmp_path: Path, segpipe: Call) -> None:
    import os

    for number, day in ((1, 0), (2, 40)):
        clip = make_video(tmp_path / f"clip_{number:04d}.mp4", frames=4)
        os.utime(clip, ((TEN + timedelta(days=day)).timestamp(),) * 2)
    segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE)
    assert pd.read_parquet(tmp_path / "out" / "sources")["drive_id"].nunique() == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--track", "~nosuchuser/a.gpx"), "no such file"),
        ((*START, "--set", "time.order=[container,mtime]"), "add start to order"),
        (
            (
                "--set",
                "sampling.every_m=5",
                "--set",
                "regions.polygons={"
                + ", ".join(
                    f"r{i}: [[[{i / 60}, 0], [{(i + 1) / 60}, 0], [0.5, 1]]]" for i in range(60)
                )
                + "}",
            ),
            "at most 50",
        ),
        (
            (
                "--set",
                "regions.polygons={"
                + ", ".join(
                    f"r{i}: [[[{i / 50}, 0], [1, 0], [1, 1], [{i / 50}, {1 - i / 60}]]]"
                    for i in range(49)
                )
                + "}",
            ),
            "overlap in",
        ),
    ],
)
def test_more_that_is_refused(
    flags: tuple[str, ...], message: str, tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=4)
    code, _, errors = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    assert code in {2, 3}
    assert message in errors
    assert not (tmp_path / "out").exists()


def test_a_turned_clip_has_regions_of_the_upright_frame(tmp_path: Path, segpipe: Call) -> None:
    clip = rotate_mp4(make_video(tmp_path / "clip.mp4", frames=4), 1)
    segpipe(
        "run",
        clip,
        "-o",
        tmp_path / "out",
        *FAKE,
        "--set",
        "ignore_regions=[[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]",
    )
    rows = frames_of(tmp_path / "out")
    assert (rows["width"][0], rows["height"][0]) == (96, 160)
    assert (open_dataset(tmp_path / "out").mask(rows["frame_id"][0])[:80] == 255).all()
