"""UTC that doesn't run like the film: time lapses, TimeWarp, slow motion; and clocks that only
jump."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segpipe.core.types import SourceInfo
from segpipe.sources.video.names import found_video
from segpipe.sources.video.probe import probe_video
from segpipe.sources.video.telemetry import embedded_track
from segpipe.store.sources import read_source_metadata, write_source_metadata
from segpipe.telemetry.clean import clean
from segpipe.telemetry.drives import with_drives
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.rate import utc_of_fixes
from segpipe.telemetry.time_map import TimeMap
from segpipe.telemetry.track import NO_TIME, Float64
from tests.driving import write_gpx
from tests.telemetry.test_clocks import job
from tests.telemetry.test_embedded import T0, T0_US, _gps5, _gps9, _video

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
TEN_MPS = 10.0 / 111_229.0
"""Degrees of latitude that a camera at 10 m/s moves in a second, at 52 degrees north."""


def _utc(seconds: Float64 | list[float]) -> np.ndarray:
    return T0_US + np.round(np.asarray(seconds) * 1e6).astype(np.int64)


def _lapse(path: Path, utc_s: list[float], fixes: int = 1, kind: object = _gps5) -> Path:
    """A GoPro file of a payload for each second of film, that begins `utc_s` after ten o'clock;
    northward at 10 m/s."""
    payloads = []
    for start, stop in zip(utc_s, [*utc_s[1:], 2 * utc_s[-1] - utc_s[-2]], strict=True):
        moments = start + (stop - start) * np.arange(fixes) / fixes
        places = [(52.0 + t * TEN_MPS, -0.1, 5.0, 10.0) for t in moments]
        payloads.append(kind(places, T0 + dt.timedelta(seconds=start)))  # type: ignore[operator]
    return _video(path, payloads)


# --- which rate it is ---


@pytest.mark.parametrize("rate", [0.125, 0.5, 2.0, 8.0, 15.0, 30.0, 900.0])
@pytest.mark.parametrize("count", [3, 20])
def test_one_steady_rate_gives_each_fix_its_utc(rate: float, count: int) -> None:
    media_s = np.arange(count) * 1.001
    found, how = utc_of_fixes(_utc(media_s * rate), media_s)
    assert how.map is not None
    assert np.abs(found - _utc(media_s * rate)).max() <= 1
    assert how.start_us == pytest.approx(T0_US, abs=1)
    # Half a second into each payload, and after the last one.
    assert how.map.elapsed_at(media_s + 0.5) == pytest.approx((media_s + 0.5) * rate, abs=1e-4)
    assert f"UTC runs {rate:.3g} times as fast as the film" in how.notes[0]


def test_a_time_lapse_with_jitter_and_one_wrong_date_is_one() -> None:
    media_s = np.arange(30.0)
    said = _utc(media_s * 15 + np.random.default_rng(0).uniform(-0.3, 0.3, 30))
    said[7] -= 3_600_000_000
    found, how = utc_of_fixes(said, media_s)
    assert how.map is not None
    assert np.abs(found - _utc(media_s * 15)).max() < 600_000


def test_a_rate_that_changes_is_followed_and_not_guessed_beyond_the_time_stamps() -> None:
    pace = np.repeat([1.0, 15.0, 2.0, 30.0], 10)
    true = np.concatenate(([0.0], np.cumsum(pace)))
    media_s = np.arange(41.0)
    known = np.ones(41, bool)
    known[[12, 13, *range(20, 29)]] = False  # tunnels: one of 3 s, one of 10 s
    said = np.where(known, _utc(true), NO_TIME)
    found, how = utc_of_fixes(said, media_s)
    assert how.map is not None
    assert np.abs(found[known] - _utc(true)[known]).max() <= 1
    # The pace there was that of its neighbours
    assert found[[12, 13]].tolist() == _utc(true)[[12, 13]].tolist()
    assert (found[20:29] == NO_TIME).all()  # somewhere in there the pace changed
    assert np.isnan(how.map.elapsed_at(np.array([-5.0, 60.0]))).all()
    assert how.map.elapsed_at(np.array([40.5])) == pytest.approx([true[-1] + 15.0])
    assert how.map.unknown_s(0.0, 40.0) == pytest.approx(10.0)
    assert "UTC runs 1 to 30 times" in how.notes[0]


def test_a_short_stretch_at_another_rate_is_followed() -> None:
    true = np.concatenate(
        ([0.0], np.cumsum(np.where((np.arange(100) >= 40) & (np.arange(100) < 46), 15.0, 1.0)))
    )
    found, how = utc_of_fixes(_utc(true), np.arange(101.0))
    assert how.map is not None
    assert np.abs(found - _utc(true)).max() <= 1
    assert how.map.elapsed_at(np.array([100.9])) == pytest.approx([true[-1] + 0.9])
    assert "UTC runs 1 to 15 times" in how.notes[0]


@pytest.mark.parametrize("rate", [8.0, 30.0])
def test_a_receiver_that_had_another_date_first_moves_no_time_lapse(rate: float) -> None:
    media_s = np.arange(12.0)
    said = _utc(media_s * rate)
    said[:3] -= 1024 * 7 * 86_400_000_000
    found, how = utc_of_fixes(said, media_s)
    assert np.abs(found - _utc(media_s * rate)).max() <= 1
    assert "3 time stamps" in how.notes[1]


JUMPS = {
    "none": np.zeros(20),
    "a leap second list that comes late": np.where(np.arange(20) < 6, 18.0, 0.0),
    "another date first": np.where(np.arange(20) < 9, -1024 * 7 * 86_400.0, 0.0),
    "half of them by a day": np.where(np.arange(20) < 10, -86_400.0, 0.0),
    "one stamp": np.where(np.arange(20) == 4, 3600.0, 0.0),
    "two stamps to and fro": np.where(
        np.arange(20) == 4, 40.0, np.where(np.arange(20) == 5, -40.0, 0.0)
    ),
}


@pytest.mark.parametrize("what", JUMPS)
def test_a_clock_that_jumps_is_no_other_rate(what: str) -> None:
    media_s = np.arange(20) * 1.001
    found, how = utc_of_fixes(_utc(media_s + JUMPS[what]), media_s)
    assert how.map is None
    assert how.known
    assert np.abs(found - _utc(media_s)).max() <= 1
    assert bool(how.notes) == (what != "none")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("jitter_s", [0.05, 0.3, 0.6])
def test_jitter_is_no_other_rate(jitter_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    media_s = np.arange(600) * 1.001
    said = _utc(media_s + rng.uniform(-jitter_s, jitter_s, 600))
    found, how = utc_of_fixes(said, media_s)
    assert (how.map, how.known, how.notes) == (None, True, ())
    median = int(np.median(said - np.round(media_s * 1e6).astype(np.int64)))
    assert (found == np.round(media_s * 1e6).astype(np.int64) + median).all()


@pytest.mark.parametrize("hz", [1.0, 2.0, 5.0, 10.0])
def test_receivers_that_tell_whole_seconds_are_no_other_rate(hz: float) -> None:
    media_s = np.arange(int(30 * hz)) / hz * 1.0003
    found, how = utc_of_fixes(_utc(np.floor(media_s + 0.4)), media_s)
    assert (how.map, how.known) == (None, True)
    assert np.abs(found - _utc(media_s)).max() < 1_000_000


def test_a_film_with_a_wrong_frame_rate_is_followed() -> None:
    media_s = np.arange(300.0)
    found, how = utc_of_fixes(_utc(media_s * 1.1), media_s)
    assert np.abs(found - _utc(media_s * 1.1)).max() <= 1
    assert how.map is not None


def test_few_time_stamps() -> None:
    one, how = utc_of_fixes(np.array([NO_TIME, T0_US + 1_000_000]), np.array([0.0, 1.0]))
    assert one.tolist() == [T0_US, T0_US + 1_000_000]
    two, how = utc_of_fixes(_utc([0.0, 2.47]), np.array([0.0, 1.0]))
    assert how.known  # a receiver's usual first jump
    assert np.abs(two - _utc([0.0, 1.0])).max() < 1_000_000
    none, how = utc_of_fixes(_utc([0.0, 15.0]), np.array([0.0, 1.0]))
    # A time lapse or a clock that was set: two time stamps don't tell
    assert (none == NO_TIME).all()
    assert not how.known
    assert "in 1.0 s of film the telemetry's UTC goes on by 15.0 s" in how.notes[0]


def test_time_stamps_that_follow_no_rate_give_no_time() -> None:
    media_s = np.arange(12.0)
    found, how = utc_of_fixes(_utc(np.random.default_rng(3).permutation(12) * 100.0), media_s)
    assert (found == NO_TIME).all()
    assert not how.known


def test_a_clock_that_stands_still_or_was_never_set_is_not_used() -> None:
    media_s = np.arange(12.0)
    for said, why in (
        (_utc(np.zeros(12)), "stands still"),
        (np.arange(12) * 1_000_000, "never set"),
    ):
        found, how = utc_of_fixes(said, media_s)
        assert (found == NO_TIME).all()
        assert how.known  # other clocks may still tell
        assert why in how.notes[0]
    found, how = utc_of_fixes(np.full(12, NO_TIME), media_s)
    assert (how.map, how.known, how.notes) == (None, True, ())


# --- the fixes of a file ---


@pytest.mark.parametrize("kind", [_gps5, _gps9])
@pytest.mark.parametrize("rate", [0.5, 15.0])
def test_the_fixes_of_a_time_lapse_stay_and_have_true_speeds(
    tmp_path: Path, rate: float, kind: object
) -> None:
    fixes = 1 if kind is _gps9 else 20
    path = _lapse(tmp_path / "a.mp4", [s * rate for s in range(8)], fixes, kind)
    raw = embedded_track(path)
    assert raw is not None
    track = clean(raw, 90.0)
    assert track.dropped == {}
    assert len(track) == 8 * fixes
    moments = np.arange(8 * fixes) / fixes * rate
    assert np.abs(track.time_us - _utc(moments)).max() <= 1
    assert track.speed_mps == pytest.approx([10.0] * len(track))
    # Derived ones are those of the time that passed, not of the film.
    silent = clean(type(raw)(**{**vars(raw), "speed_mps": np.full(len(raw), np.nan)}), 90.0)
    assert silent.speed_mps == pytest.approx([10.0] * len(track), rel=0.02)
    assert silent.heading_deg == pytest.approx([0.0] * len(track), abs=0.1)


def test_a_wild_fix_of_a_time_lapse_is_dropped(tmp_path: Path) -> None:
    raw = embedded_track(_lapse(tmp_path / "a.mp4", [s * 15.0 for s in range(8)]))
    assert raw is not None
    raw.latitude[4] += 0.1
    assert clean(raw, 90.0).dropped == {"impossible speed": 1}


# --- the rows ---


def _rows(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "frames").sort_values("frame_index").reset_index(drop=True)


def _notes(out: Path) -> str:
    return " / ".join(pd.read_parquet(out / "sources")["notes"][0])


def _at(rows: pd.DataFrame, second: float) -> str:
    return str(
        rows.loc[(rows["pts_s"] - second).abs().idxmin(), "timestamp"].isoformat(
            timespec="milliseconds"
        )
    )


def test_the_rows_of_a_time_lapse_have_true_times(tmp_path: Path, segpipe: Call) -> None:
    clip = _lapse(tmp_path / "GX010001.mp4", [s * 15.0 for s in range(4)])
    code, _, errors = segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    assert code == 0, errors
    rows = _rows(tmp_path / "out")
    assert _at(rows, 0.0) == "2026-05-01T10:00:00.000+00:00"
    assert _at(rows, 1.0) == "2026-05-01T10:00:15.000+00:00"
    assert _at(rows, 3.5) == "2026-05-01T10:00:52.500+00:00"
    assert set(rows["timestamp_source"]) == {"gps"}
    assert rows["speed_mps"].dropna().tolist() == pytest.approx([10.0] * 31)
    assert rows["odometer_m"].dropna().iloc[-1] == pytest.approx(450.0, rel=0.001)
    assert "UTC runs 15 times" in _notes(tmp_path / "out")
    # Another clock gives the start; the rate stays.
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--start", "2026-05-02T08:00:00Z")
    rows = _rows(tmp_path / "out")
    assert (_at(rows, 0.0), _at(rows, 2.0)) == (
        "2026-05-02T08:00:00.000+00:00",
        "2026-05-02T08:00:30.000+00:00",
    )


def test_the_map_of_an_earlier_run_stays_where_telemetry_cannot_be_read_now(tmp_path: Path) -> None:
    clip = _lapse(tmp_path / "GX010001.mp4", [s * 15.0 for s in range(4)])
    known = probe_video(found_video(clip), job(), {}, None)
    again = probe_video(found_video(clip), job(), {}, known, tracks=False)
    moments = np.array([0.0, 1.0, 3.5])
    assert again.times_us(moments).tolist() == _utc([0.0, 15.0, 52.5]).tolist()
    assert again.start_source == "gps"
    unknown = _lapse(tmp_path / "20260501_100000.mp4", [0.0, 15.0])
    known = probe_video(found_video(unknown), job(timezone="UTC"), {}, None)
    again = probe_video(found_video(unknown), job(timezone="UTC"), {}, known, tracks=False)
    # Not the name's, as if it ran like the film
    assert (again.start_us, again.start_source) == (
        None,
        None,
    )
    assert any("no frame has a time" in n for n in again.notes)


def test_a_gpx_is_joined_to_a_time_lapse_by_its_utc(tmp_path: Path, segpipe: Call) -> None:
    clip = _lapse(tmp_path / "clip.mp4", [s * 15.0 for s in range(4)])
    write_gpx(tmp_path / "clip.gpx", T0, [(52.0 + s * TEN_MPS, -0.1) for s in range(0, 61, 5)], 5.0)
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    rows = _rows(tmp_path / "out")
    assert set(rows["position_source"]) == {"gpx:clip.gpx"}
    assert rows["latitude"].tolist() == pytest.approx(
        [52.0 + i * 1.5 * TEN_MPS for i in range(40)], abs=1e-6
    )
    assert rows["speed_mps"].tolist() == pytest.approx([10.0] * 40, rel=0.01)


def test_frames_of_a_film_that_contradicts_its_telemetry_have_no_time(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = _lapse(tmp_path / "20260501_100000.mp4", [0.0, 15.0])
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC")
    rows = _rows(tmp_path / "out")
    assert rows["timestamp"].isna().all()
    assert rows["timestamp_source"].isna().all()
    assert rows["latitude"].notna().sum() == 11  # joined by the film's own time
    assert "in 1.0 s of film" in _notes(tmp_path / "out")
    assert "no frame has a time" in _notes(tmp_path / "out")
    # The user's word counts, and the note stays.
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--start", "2026-05-02T08:00:00Z")
    assert _at(_rows(tmp_path / "out"), 1.0) == "2026-05-02T08:00:01.000+00:00"
    assert "the film is taken at its own speed" in _notes(tmp_path / "out")


# --- what is kept, and drives ---


def test_a_map_with_holes_is_kept_in_the_dataset_and_in_the_digest(tmp_path: Path) -> None:
    time_map = TimeMap(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 15.0, np.nan, 60.0]))
    facts = SourceMetadata(
        SourceInfo("a", "video", "a.mp4"), "key", 0.5, 3.0, T0_US, "gps", time_map=time_map
    )
    write_source_metadata(tmp_path, facts)
    back = read_source_metadata(tmp_path, "a")
    assert back is not None
    assert back.digest() == facts.digest()
    assert back.digest() != SourceMetadata(facts.info, "key", 0.5, 3.0, T0_US, "gps").digest()
    found = back.times_us(np.array([0.5, 1.0, 2.0, 3.0, 3.5, 4.0]))
    assert found.tolist() == [
        T0_US,
        T0_US + 7_500_000,
        NO_TIME,
        NO_TIME,
        T0_US + 60_000_000,
        NO_TIME,
    ]


def test_a_drive_of_time_lapses_has_gaps_of_utc() -> None:
    lapse = TimeMap(np.array([0.0, 60.0]), np.array([0.0, 900.0]))
    clips = [
        SourceMetadata(
            SourceInfo(f"s{i}", "video", f"/a/clip_{i}.mp4"),
            "k",
            0.0,
            60.0,
            T0_US + i * 902_000_000,
            "gps",
            time_map=lapse,
        )
        for i in range(2)
    ]
    placed = with_drives(clips, 60.0)
    assert [p.drive_id for p in placed] == ["s0", "s0"]
    assert placed[1].gap_before_s == pytest.approx(2.0)


def test_a_time_lapse_without_utc_is_noticed_by_its_speeds(tmp_path: Path, segpipe: Call) -> None:
    clip = _lapse(tmp_path / "20260501_100000.mp4", [s * 15.0 for s in range(6)])
    clip.write_bytes(clip.read_bytes().replace(b"GPSU", b"XXXX"))
    code, _, errors = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC")
    assert code == 0, errors
    rows = _rows(tmp_path / "out")
    assert rows["timestamp"].isna().all()
    assert rows["speed_mps"].dropna().tolist() == pytest.approx([10.0] * 51)
    assert "the film runs 15 times as fast as real time" in _notes(tmp_path / "out")
    plain = _lapse(tmp_path / "20260501_110000.mp4", [s * 1.0 for s in range(6)])
    plain.write_bytes(plain.read_bytes().replace(b"GPSU", b"XXXX"))
    track = embedded_track(plain)
    assert track is not None
    assert (track.time_us == NO_TIME).all()
    assert track.rate.known
