"""Clips that a dashcam cut out of one drive: found by their names and times."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from segpipe.telemetry.metadata import SourceMetadata

_DIGITS = re.compile(r"\d+")


def with_drives(facts: list[SourceMetadata], gap_s: float) -> list[SourceMetadata]:
    """The facts of clips with `drive_id` (the source id of a drive's first clip), `drive_index` and
    `gap_before_s`, in the same order.

    Clips of one folder whose names differ in digits only are one drive as long as each begins at
    most `gap_s` after the one before ended. Where no clock tells, or only modification times do,
    names that count up by one are one drive; its gaps aren't known. A clip is a file: its video
    streams, which show the same minutes, have the same place in the drive.
    """
    files: dict[str, list[SourceMetadata]] = defaultdict(list)
    for f in sorted(facts, key=by_stream):
        files[file_of(f)].append(f)
    clips = _placed([streams[0] for streams in files.values()], gap_s)
    return [_as(f, clips[files[file_of(f)][0].info.source_id]) for f in facts]


def _placed(files: list[SourceMetadata], gap_s: float) -> dict[str, SourceMetadata]:
    """The facts, of one stream of each file, with their place in a drive, by source id."""
    families: dict[tuple[str, str], list[SourceMetadata]] = defaultdict(list)
    for f in files:
        families[family(f)].append(f)
    placed: dict[str, SourceMetadata] = {}
    for clips in families.values():
        clips.sort(key=_order)
        first, index = clips[0], 0
        placed[first.info.source_id] = replace(
            first, drive_id=first.info.source_id, drive_index=0, gap_before_s=None
        )
        for before, clip in itertools.pairwise(clips):
            gap = _gap(before, clip)
            if (gap is None and not _one_after_the_other(before, clip)) or (
                gap is not None and gap > gap_s
            ):
                first, index, gap = clip, 0, None
            else:
                index += 1
            placed[clip.info.source_id] = replace(
                clip, drive_id=first.info.source_id, drive_index=index, gap_before_s=gap
            )
    return placed


def _as(f: SourceMetadata, clip: SourceMetadata) -> SourceMetadata:
    """The facts with the place in a drive of the clip that they are of."""
    return replace(
        f, drive_id=clip.drive_id, drive_index=clip.drive_index, gap_before_s=clip.gap_before_s
    )


def file_of(f: SourceMetadata) -> str:
    """What the video streams of one file share. Its path may be another recording's, too: cards use
    their names again."""
    return f.info.file_id


def by_stream(f: SourceMetadata) -> int:
    """The default stream first, for its id is the drive's; then by number."""
    return -1 if f.info.stream is None else f.info.stream


def describe_drives(facts: list[SourceMetadata], tolerance_s: float = 0.5) -> list[str]:
    """A line for each drive of several clips, with its gaps and overlaps."""
    drives: dict[str, list[SourceMetadata]] = defaultdict(list)
    for f in {file_of(f): f for f in facts}.values():
        drives[f.drive_id].append(f)
    lines = []
    for drive_id, clips in drives.items():
        if len(clips) > 1:
            clips.sort(key=lambda f: f.drive_index)
            found = [
                f"{_gap_text(c.gap_before_s)} before {Path(c.info.uri).name}"
                for c in clips[1:]
                if c.gap_before_s is not None and abs(c.gap_before_s) > tolerance_s
            ]
            unknown = any(c.gap_before_s is None for c in clips[1:])
            none = ", by their names; gaps aren't known" if unknown else ", without gaps"
            lines.append(
                f"drive {drive_id}: {len(clips)} clips"
                + (f"; {', '.join(found)}" if found else none)
            )
    return lines


def _gap_text(gap_s: float) -> str:
    return f"gap of {gap_s:.1f} s" if gap_s > 0 else f"overlap of {-gap_s:.1f} s"


def family(f: SourceMetadata) -> tuple[str, str]:
    """Folder, and name without digits."""
    path = Path(f.info.uri)
    return (str(path.parent), _DIGITS.sub("#", path.name))


def _order(f: SourceMetadata) -> tuple[float, tuple[int, ...], str, int, str]:
    """By time, else by name; recordings of one name by what time they have."""
    time = float(f.start_us) if f.start_us is not None and _trusted(f) else 0.0
    return (time, _numbers(f), f.info.uri, f.start_us or 0, f.info.source_id)


def _trusted(f: SourceMetadata) -> bool:
    return f.start_source not in {None, "mtime"}


def _numbers(f: SourceMetadata) -> tuple[int, ...]:
    return tuple(int(n) for n in _DIGITS.findall(Path(f.info.uri).name))


def _gap(before: SourceMetadata, clip: SourceMetadata) -> float | None:
    if (
        not (_trusted(before) and _trusted(clip))
        or before.start_us is None
        or clip.start_us is None
    ):
        return None
    if before.duration_s is None:
        return (clip.start_us - before.start_us) / 1e6
    lasted_s = before.lasted_s()
    return None if lasted_s is None else (clip.start_us - before.start_us) / 1e6 - lasted_s


def _one_after_the_other(before: SourceMetadata, clip: SourceMetadata) -> bool:
    """Whether names count up, and modification times don't speak against it: a day apart is no
    drive."""
    times = [f.start_us for f in (before, clip) if f.start_us is not None]
    return _counts_up(before, clip) and (len(times) < 2 or abs(times[1] - times[0]) < 86_400e6)


def _counts_up(before: SourceMetadata, clip: SourceMetadata) -> bool:
    """Whether exactly one number of the name differs, by one."""
    pairs = [(a, b) for a, b in zip(_numbers(before), _numbers(clip), strict=False) if a != b]
    return (
        len(_numbers(before)) == len(_numbers(clip))
        and len(pairs) == 1
        and pairs[0][1] - pairs[0][0] == 1
    )
