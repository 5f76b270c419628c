"""The cases: input, right answer, and what segpipe gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tests.cases.running import Outcome, Runner, quadrants

Got = tuple[str, bool]
"""What came out, in words, and whether it is right."""


@dataclass(frozen=True)
class Case:
    """`get` runs segpipe and says what came out of it."""

    input: str
    right: str
    get: Callable[[Runner], Got]


def _evenly(outcome: Outcome, count: int, step_s: float, start_s: float | None = None) -> Got:
    """Whether there are so many frames, none failed, and so far apart."""
    pts_s, failed = outcome.pts_s(), outcome.failed()
    steps = np.diff(pts_s)
    first = pts_s[0] if start_s is None else start_s
    expected = first + step_s * np.arange(count)
    right = not failed and len(pts_s) == count and np.allclose(pts_s, expected, atol=0.0015)
    span = f"{pts_s[0]:.2f} to {pts_s[-1]:.2f} s"
    between = f"steps {steps.min():.3f} to {steps.max():.3f} s" if len(steps) else ""
    return f"{len(pts_s)} frames, {failed} failed, {span}, {between}", bool(right)


def _bframes(runner: Runner) -> Got:
    return _evenly(runner.run("bframes_10fps.mkv"), 30, 0.1, 0.0)


def _mirrored(runner: Runner) -> Got:
    shown = quadrants(runner.run("mirrored_matrix.mp4"))
    return shown, shown == "320x240 green red / white blue"


def _zeros(runner: Runner) -> Got:
    shown = quadrants(runner.run("zero_matrix.mp4"))
    return shown, shown == "320x240 red green / blue white"


def _two_streams(runner: Runner) -> Got:
    sql = (
        "SELECT DISTINCT f.width, f.height, c.class_name FROM frames f JOIN class_stats c "
        "USING (frame_id) WHERE c.region = 'frame' AND c.pixel_fraction > 0.9 ORDER BY 1"
    )
    plain = runner.run("front_and_rear.mp4")
    told = "640x480" in plain.said.replace(" ", "") and "stream" in plain.said
    got = [plain.rows(sql)]
    for wanted in ("1", "all"):
        got.append(runner.run("front_and_rear.mp4", f"sampling.stream={wanted}").rows(sql))
    front, rear = (320, 240, "red"), (640, 480, "blue")
    text = "; ".join(", ".join(f"{w}x{h} {name}" for w, h, name in rows) for rows in got)
    return f"{text}; note: {'yes' if told else 'no'}", told and got == [
        [front],
        [rear],
        [front, rear],
    ]


def _no_ctts(runner: Runner) -> Got:
    outcome = runner.run("mp4_without_ctts.mp4")
    text, right = _evenly(outcome, 150, 0.04)
    noted = "decoder's order" in outcome.notes()
    return f"{text}; note: {'yes' if noted else 'no'}", right and noted


def _fields(runner: Runner) -> Got:
    text, right = _evenly(runner.run("one_field_per_packet.ts"), 11, 0.04)
    for rule, count in (("every_n=2", 6), ("per_second=25", 11), ("keyframes=true", None)):
        outcome = runner.run("one_field_per_packet.ts", f"sampling.{rule}")
        found, failed = len(outcome.pts_s()), outcome.failed()
        text += f"; {rule}: {found}, {failed} failed"
        right = right and not failed and (found == count if count else 1 <= found <= 11)
    return text, right


def _timewarp(runner: Runner) -> Got:
    outcome = runner.run("timewarp_15x.mp4")
    sql = "SELECT pts_s, epoch(timestamp), timestamp_source FROM frames ORDER BY frame_id"
    rows = outcome.rows(sql)
    if all(source in (None, "mtime") for _, _, source in rows):
        return f"no time; {outcome.notes()}", "UTC" in outcome.notes()
    begin = datetime.fromtimestamp(rows[0][1], UTC)
    off = max(abs((utc - rows[0][1]) - 15 * (pts - rows[0][0])) for pts, utc, _ in rows)
    right = off < 0.5 and begin.strftime("%H:%M:%S") == "10:00:00"
    return f"begins {begin:%H:%M:%S}, at most {off:.2f} s off a rate of 15", right


def _first_time(name: str, right: str, *options: str, noted: str = "") -> Callable[[Runner], Got]:
    def get(runner: Runner) -> Got:
        outcome = runner.run(name, *options)
        (found,) = outcome.first_times().values()
        text = "no time" if found is None else _text(found)
        said = noted in outcome.notes()
        return text + (
            f"; note: {'yes' if said else 'no'}" if noted else ""
        ), text == right and said

    return get


def _text(time: datetime) -> str:
    return (
        f"{time:%Y-%m-%dT%H:%M:%S}"
        + (f".{time.microsecond / 1e4:02.0f}" if time.microsecond else "")
        + "Z"
    )


def _autumn(runner: Runner) -> Got:
    track = runner.cases / "autumn_clock_change.gpx"
    outcome = runner.run(
        "autumn_clock_change", "--timezone", "Europe/Berlin", "--track", str(track)
    )
    sql = (
        "SELECT min_by(timestamp, frame_id), min_by(latitude, frame_id) FROM frames GROUP BY "
        "uri ORDER BY uri"
    )
    connection = outcome.dataset.duckdb()
    connection.sql("SET TimeZone = 'UTC'")
    rows = connection.sql(sql).fetchall()
    got = [(f"{t:%H:%M:%S}Z", round(lat, 4)) for t, lat in rows]
    text = ", ".join(f"{t} {lat} N" for t, lat in got)
    return text, got[:2] == [("01:00:00Z", 52.36), ("01:10:05Z", 52.4205)]


def _burst(runner: Runner) -> Got:
    outcome = runner.run("burst_photos")
    rows = outcome.rows("SELECT epoch(timestamp), odometer_m FROM frames ORDER BY uri")
    steps_s = np.diff([r[0] for r in rows])
    metres = np.diff([r[1] for r in rows])
    right = np.allclose(steps_s, 0.2, atol=0.005) and np.allclose(metres, 3.0, atol=0.05)
    between = f"{steps_s.min():.2f} to {steps_s.max():.2f} s"
    return f"{between} and {metres.min():.2f} to {metres.max():.2f} m apart", bool(right)


def _file_names(runner: Runner) -> Got:
    text, right = [], True
    for options, expected in (
        ((), ["14:30:22Z"]),
        (("--timezone", "Europe/Berlin"), ["12:30:22Z", "14:30:22Z"]),
    ):
        times = runner.run("file_names", *options).first_times()
        names = sorted(n for n in times if options or n.endswith("Z.mp4"))
        got = [_text(times[n]).partition("T")[2] for n in names]
        text.append(f"{' '.join(options) or 'no zone'}: {', '.join(got)}")
        right = right and got == expected
    return "; ".join(text), right


def _one_label(runner: Runner) -> Got:
    model = f"hf:{runner.cases / 'segformer_one_label'}"
    outcome = runner.run("gps_week_rollover.jpg", model=model)
    if outcome.code == 4:
        return f"refused: {outcome.said.strip().splitlines()[-1]}", True
    sql = (
        "SELECT class_name, pixel_fraction FROM class_stats WHERE region = 'frame' ORDER BY 2 DESC"
    )
    rows = outcome.rows(sql)
    names = [c.name for c in outcome.dataset.classes]
    text = ", ".join(f"{name} {100 * share:.1f} %" for name, share in rows)
    return f"{text} of {names}", names == ["background", "crack"]


CASES = (
    Case("bframes_10fps.mkv", "30 frames, all ok, 0.0, 0.1 … 2.9 s", _bframes),
    Case("mirrored_matrix.mp4", "green red / white blue", _mirrored),
    Case("zero_matrix.mp4", "320x240, red green / blue white", _zeros),
    Case("front_and_rear.mp4", "320x240 red with a note; 1: 640x480 blue; all: both", _two_streams),
    Case("mp4_without_ctts.mp4", "150 frames, all ok, 25 a second, a note", _no_ctts),
    Case("one_field_per_packet.ts", "11 pictures, 25 a second, none failed", _fields),
    Case("timewarp_15x.mp4", "10:00:00 at 0 s, 10:00:15 at 1 s …; or no time", _timewarp),
    Case(
        "apple_creationdate.mov",
        "2026-05-01T10:00:00Z",
        _first_time("apple_creationdate.mov", "2026-05-01T10:00:00Z"),
    ),
    Case(
        "gps_week_rollover.jpg",
        "2022-09-13T08:15:00.12Z, a note",
        _first_time("gps_week_rollover.jpg", "2022-09-13T08:15:00.12Z", noted="1024 weeks"),
    ),
    Case("autumn_clock_change", "01:00:00Z 52.36 N, 01:10:05Z 52.4205 N", _autumn),
    Case("burst_photos", "0.2 s and 3 m apart", _burst),
    Case("file_names", "14:30:22Z whatever the zone; Berlin PM: 12:30:22Z", _file_names),
    Case("segformer_one_label", "refused, or a background beside the label", _one_label),
)
