"""Every source accounted for: what was expected of it, what is there, and what failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segpipe.core.json_text import read_json
from segpipe.core.text import counted
from segpipe.inference.measures.regions import Mask
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import source_of
from segpipe.sources.ids import image_frame_id
from segpipe.store import masks
from segpipe.store.reading import parquet_file, read_groups
from segpipe.verify.findings import MISSING, Finding, SourceAccount
from segpipe.verify.frames import hashes_of
from segpipe.verify.opened import check_schema
from segpipe.verify.shard import CheckedShard
from segpipe.verify.streams import Span, check_stream
from segpipe.verify.videos import check_video, expected_of


@dataclass(frozen=True)
class KnownSource:
    """What verification needs of a row of `sources`: `photos` are the images of a folder, their
    file names by their keys."""

    source_id: str
    kind: str
    uri: str
    photos: Mapping[str, str] = field(default_factory=dict)
    ego: Mask | None = None


@dataclass
class Evidence:
    """All that was read, by source; `duplicated` are shards whose frames are in another one too."""

    known: dict[str, KnownSource]
    shards: dict[str, list[CheckedShard]] = field(default_factory=lambda: defaultdict(list))
    gaps: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    duplicated: set[str] = field(default_factory=set)


def read_source(path: AnyPath, stem: str) -> KnownSource:
    """A source's row, without its track. Raises what a damaged file makes Arrow raise, ValueError
    for another source's."""
    columns = [
        "source_id",
        "kind",
        "uri",
        "photos.list.element.key",
        "photos.list.element.file",
        "ego_height",
        "ego_width",
        "ego_lengths",
    ]
    with parquet_file(path) as file:
        said = check_schema(file, "sources")
        if said:
            raise ValueError(said)
        read_json((file.schema_arrow.metadata or {})[b"segpipe.facts"])
        table = read_groups(file, None, columns).combine_chunks()
    if table.num_rows != 1 or table["source_id"][0].as_py() != stem:
        raise ValueError(
            f"{counted(table.num_rows, 'row')}, of {table['source_id'].to_pylist()[:3]}: not the "
            "one of this source"
        )
    row = {
        name: table[name][0].as_py()
        for name in ("kind", "uri", "ego_height", "ego_width", "ego_lengths")
    }
    ego = None
    if row["ego_height"] is not None:
        lengths = np.array(row["ego_lengths"], np.uint32)
        ego = masks.decode(
            np.arange(len(lengths), dtype=np.uint8) % 2,
            lengths,
            row["ego_height"],
            row["ego_width"],
        ).astype(bool)
    photos = {p["key"]: p["file"] for p in table["photos"][0].as_py() or ()}
    return KnownSource(stem, row["kind"], row["uri"], photos, ego)


def account(evidence: Evidence) -> tuple[list[SourceAccount], list[Finding]]:
    """Each source's account, and what doesn't add up."""
    accounts, findings = [], []
    for source_id in sorted(evidence.known.keys() | evidence.shards.keys()):
        shards, known = evidence.shards.get(source_id, []), evidence.known.get(source_id)
        gaps = evidence.gaps.get(source_id, [])
        if known is not None and not shards:
            one = SourceAccount(
                source_id, known.kind, known.uri, max(1, len(known.photos)), 0, 0, {}, len(gaps)
            )
            said = (
                "no row at all: run segpipe run again; where its footage has gone, segpipe "
                f"verify --repair accounts for it, or segpipe forget OUT {source_id} takes it out"
            )
            more = [Finding(MISSING, "", "", source_id, said)]
        else:
            one, more = _account(source_id, shards, known, gaps, evidence.duplicated)
        accounts.append(one)
        findings += more
    return accounts, findings


def _account(
    source_id: str,
    shards: list[CheckedShard],
    known: KnownSource | None,
    gaps: list[Span],
    duplicated: set[str],
) -> tuple[SourceAccount, list[Finding]]:
    records = [s.record for s in shards]
    source = records[0].source
    done, failed = sum(s.done for s in shards), sum(s.failed for s in shards)
    reasons: Counter[str] = sum((s.reasons for s in shards), Counter())
    expected, findings = done + failed, []
    kind = source_of(source.kind)
    if not kind.replayable:
        findings = check_stream(records, gaps)
    elif kind.files_are_frames:
        hashes = np.concatenate([s.hashes for s in shards])
        lost = _lost(source_id, known.photos if known is not None else {}, hashes)
        expected = len(hashes) + len(lost)
        if lost:
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            findings.append(
                Finding(MISSING, "", "", source_id, f"no row for {', '.join(lost[:3])}{more}")
            )
    else:
        expected = expected_of(records)
        findings = check_video(records, sum(len(s.hashes) for s in shards), duplicated)
    return SourceAccount(
        source_id, source.kind, source.uri, expected, done, failed, dict(reasons), len(gaps)
    ), findings


def _lost(source_id: str, photos: Mapping[str, str], hashes: NDArray[np.uint64]) -> list[str]:
    """The names of photos that have no row. By hashes: that two of a folder's keys meet in one is
    less likely than a broken disk."""
    if not photos:
        return []
    wanted = hashes_of(pa.array([image_frame_id(source_id, key) for key in photos]))
    there = np.isin(wanted, hashes)
    return [name for name, found in zip(photos.values(), there, strict=True) if not found]
