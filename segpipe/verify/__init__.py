"""Is all there, once, and right? `verify` reads a whole dataset and says what is missing, doubled or wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from segpipe.regions import Regions
from segpipe.store.dataset import Dataset, open_dataset
from segpipe.store.places import AnyPath
from segpipe.store.records import read_record
from segpipe.store.schema import TABLES
from segpipe.verify.accounts import Evidence, KnownSource, account, read_source
from segpipe.verify.doubles import find_doubles
from segpipe.verify.findings import KINDS, Finding, SourceAccount, VerifyReport, shown
from segpipe.verify.listing import Listing, list_files
from segpipe.verify.opened import UNREADABLE, broken
from segpipe.verify.recount import Recount
from segpipe.verify.sample import spread
from segpipe.verify.shard import CheckedShard, ShardPaths, check_shard
from segpipe.verify.streams import read_gaps
from segpipe.where import RegionSettings

__all__ = ["SAMPLE", "Finding", "SourceAccount", "VerifyReport", "shown", "verify"]

SAMPLE = 200
"""Masks whose statistics are counted again."""
Item = TypeVar("Item")
Found = TypeVar("Found")


def verify(dataset: Dataset | str | AnyPath, sample: int = SAMPLE, footage: bool = False) -> VerifyReport:
    """Check a dataset as a whole: files, keys, counts, masks, and `sample` masks counted again. With `footage` the packet index of
    each video that is still there is read again too.

    Changes nothing. Raises DatasetError for what is no dataset.
    """
    began = time.perf_counter()
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    listing = list_files(dataset)
    findings = list(listing.findings)
    evidence = Evidence(_read_each(listing, "sources", read_source, findings))
    for spans in _read_each(listing, "gaps", lambda path, _: read_gaps(path), findings).values():
        for source_id, span in spans:
            evidence.gaps[source_id].append(span)
    records = _read_each(listing, "frames", lambda path, _: read_record(path), findings)
    shards = [ShardPaths(r, {t: listing.files[t][n] for t in TABLES if n in listing.files[t]}) for n, r in sorted(records.items())]
    checked = _check_shards(dataset, shards, evidence.known, sample)
    for shard in checked:
        evidence.shards[shard.record.source.source_id].append(shard)
    doubles = find_doubles(checked, listing.files["frames"])
    evidence.doubled = {f.shard for f in doubles}
    findings += [f for s in checked for f in s.findings] + doubles
    accounts, more = account(evidence)
    findings += more
    if footage:
        from segpipe.verify.footage import compare_footage  # only then are videos opened

        findings += compare_footage(dataset, list(records.values()), listing.files["frames"])
    findings.sort(key=lambda f: (KINDS.index(f.kind), f.source_id, f.table, f.shard))
    return VerifyReport(
        tuple(accounts), tuple(findings), sum(len(s.hashes) for s in checked), len(checked), sum(s.sampled for s in checked),
        sum(s.size_bytes for s in checked), time.perf_counter() - began,
    )  # fmt: skip


def _check_shards(dataset: Dataset, shards: list[ShardPaths], known: dict[str, KnownSource], sample: int) -> list[CheckedShard]:
    """Check the shards, as many at once as there are cores."""
    chosen = spread({s.record.name: s.record for s in shards}, max(0, sample))
    classes = tuple(c.name for c in dataset.classes)
    settings = RegionSettings.model_validate(dataset.manifest["regions"])
    ignored = [tuple((float(x), float(y)) for x, y in polygon) for polygon in dataset.manifest["ignore_regions"]]
    plain = Recount(Regions(settings, ignored), classes)
    own = {s.source_id: Recount(Regions(settings, ignored, s.ego), classes) for s in known.values() if s.ego is not None}
    return _side_by_side(lambda s: check_shard(s, chosen.get(s.record.name, []), own.get(s.record.source.source_id, plain)), shards)


def _read_each(listing: Listing, table: str, read: Callable[[AnyPath, str], Found], findings: list[Finding]) -> dict[str, Found]:
    """`read` of each file of a table, by stem; a file that can't be read is a finding."""

    def attempt(item: tuple[str, AnyPath]) -> tuple[str, Found | Finding]:
        stem, path = item
        try:
            return stem, read(path, stem)
        except UNREADABLE as error:
            return stem, broken(path, table, stem, error)

    found = _side_by_side(attempt, listing.files[table].items())
    findings += [f for _, f in found if isinstance(f, Finding)]
    return {stem: f for stem, f in found if not isinstance(f, Finding)}


def _side_by_side(function: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """`function` of each, in order, in as many threads as there are cores: Arrow and numpy let go of the interpreter."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) as pool:
        return list(pool.map(function, items))
