"""What a verification says: what it found, and what became of each source."""

from __future__ import annotations

from dataclasses import dataclass, field

ORPHAN = "orphan"
"""A part of a shard whose `frames` file isn't there."""
HALF = "half shard"
"""A `frames` file whose masks or class statistics aren't there."""
LEFTOVER = "leftover"
"""A file that a killed run had begun to write."""
BROKEN = "broken file"
WRONG_ROWS = "wrong rows"
"""Keys, counts or columns that contradict each other or the shard's record."""
WRONG_MASK = "wrong mask"
WRONG_STATISTICS = "wrong statistics"
DUPLICATED = "duplicated"
MISSING = "missing"
FOREIGN = "foreign file"
"""Nothing that segpipe wrote: named, and never removed."""
NOTE = "note"
KINDS = (
    MISSING,
    DUPLICATED,
    ORPHAN,
    HALF,
    BROKEN,
    WRONG_ROWS,
    WRONG_MASK,
    WRONG_STATISTICS,
    LEFTOVER,
    FOREIGN,
    NOTE,
)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `table` and `shard` name the file (`shard` is the stem of its
    name), or are empty where the whole source is meant. A `repairable` one goes away when the shard
    is taken out."""

    kind: str
    table: str
    shard: str
    source_id: str
    said: str
    repairable: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether rows are missing, duplicated or wrong; the others only want to be known."""
        return self.kind not in {FOREIGN, NOTE}


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """What became of a source's frames. `expected` counts the wanted frames by the packet index at
    planning, or the photos of a folder, or the rows where nobody can tell (a stream); a row for
    what couldn't be read at all counts as one. `reasons` counts the failed ones by what their rows
    say. `gaps` is the number of times a stream was away."""

    source_id: str
    kind: str
    uri: str
    expected: int
    done: int
    failed: int
    reasons: dict[str, int] = field(default_factory=dict)
    gaps: int = 0

    @property
    def missing(self) -> int:
        """Expected frames that have no row, or no mask."""
        return max(0, self.expected - self.done - self.failed)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`frames` rows in `shards` shards were read, `size_bytes` of files, and `sampled` masks were
    counted again."""

    sources: tuple[SourceAccount, ...]
    findings: tuple[Finding, ...]
    frames: int
    shards: int
    sampled: int
    size_bytes: int
    seconds: float

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings that make the dataset incomplete."""
        return tuple(f for f in self.findings if f.is_wrong)

    def summary(self) -> str:
        """The findings in one line, for an error message."""
        counts = {kind: [f for f in self.wrong if f.kind == kind] for kind in KINDS}
        parts = [
            f"{len(found)} × {kind} ({found[0].said})" for kind, found in counts.items() if found
        ]
        return "; ".join(parts) or "every source is accounted for"


def shown(finding: Finding) -> str:
    """A finding as a line: what it is about, and what was found."""
    place = "/".join(p for p in (finding.table, finding.shard) if p) or finding.source_id
    return f"{place}: {finding.said}" if place else finding.said
