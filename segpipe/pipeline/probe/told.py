"""What a run says of its sources: the notes that no run before it has told."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.telemetry.drives import describe_drives
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.two_readings import same_for_all


def new_notes(before: dict[str, SourceMetadata], now: dict[str, SourceMetadata]) -> list[str]:
    """What has to be said of the sources and drives of a run and was not said by the runs before.
    `before` and `now` are the facts by source id; segpipe info lists all notes."""
    old = [before[source_id] for source_id in now if source_id in before]
    facts, told = list(now.values()), _notes(old)
    drives = describe_drives(old)
    return [
        *_together([note for note in _notes(facts) if note not in told]),
        *(line for line in describe_drives(facts) if line not in drives),
    ]


def _together(notes: list[tuple[str, str]]) -> list[str]:
    """Notes as lines: a night of clips with a local time that came twice gets one."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for name, note in notes:
        hour = same_for_all(note)
        groups[("", hour) if hour is not None else (name, note)].append((name, note))
    lines = []
    for (name, note), *others in groups.values():
        more = f" and {len(others)} more" if others else ""
        lines.append(f"{name}{more}: {note}")
    return lines


def _notes(facts: list[SourceMetadata]) -> list[tuple[str, str]]:
    """Each source's name and a note on it. What is said of a file's default stream isn't said again
    of its others."""
    default = {f.info.file_id: f.notes for f in facts if f.info.stream is None}
    said: list[tuple[str, str]] = []
    for f in facts:
        which = "" if f.info.stream is None else f" (video stream {f.info.stream})"
        before = () if f.info.stream is None else default.get(f.info.file_id, ())
        name = printable_text(f"{Path(f.info.uri).name}{which}")
        said += [(name, printable_text(note)) for note in f.notes if note not in before]
    return said
