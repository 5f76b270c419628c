"""Read a whole dataset and find what is missing, duplicated or wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from segpipe.inference.measures.regions import Regions
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.dataset import Dataset, open_dataset
from segpipe.store.records import read_record
from segpipe.store.schema import TABLES
from segpipe.verify.accounts import Evidence, KnownSource, account, read_source
from segpipe.verify.doubles import find_doubles
from segpipe.verify.findings import KINDS, Finding, SourceAccount, VerifyReport, shown
from segpipe.verify.listing import Listing, list_files
from segpipe.verify.opened import UNREADABLE, broken
from segpipe.verify.places import check_addresses
from segpipe.verify.recount import Recount
from segpipe.verify.sample import spread
from segpipe.verify.shard import CheckedShard, ShardPaths, check_shard
from segpipe.verify.streams import read_gaps

__all__ = ["SAMPLE", "Finding", "OnProgress", "SourceAccount", "VerifyReport", "shown", "verify"]

SAMPLE = 200
"""Masks whose statistics are counted again."""
OnProgress = Callable[[int, int], None]
"""Told how many parts of how many are checked: a part is a shard, or the footage of a source."""
Item = TypeVar("Item")
Found = TypeVar("Found")


def verify(
    dataset: Dataset | str | AnyPath,
    sample: int = SAMPLE,
    footage: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> VerifyReport:
    """Check a dataset as a whole: files, keys, counts, masks, and `sample` masks counted again.
    With `footage` the packet index of each video that is still there is read again too.

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
    (place,) = listing.files["addresses"].values() or (None,)
    findings += check_addresses(place, records.values())
    located = dataset.located(list(records.values()))
    records = {r.name: r for r in located}
    shards = [
        ShardPaths(r, {t: listing.files[t][n] for t in TABLES if n in listing.files[t]})
        for n, r in sorted(records.items())
    ]
    sources = {r.source.source_id for r in records.values()} if footage else set()
    total = len(shards) + len(sources)
    checked = _check_shards(
        dataset, shards, evidence.known, sample, lambda done: on_progress(done, total)
    )
    for shard in checked:
        evidence.shards[shard.record.source.source_id].append(shard)
    doubles = find_doubles(checked, listing.files["frames"])
    evidence.duplicated = {f.shard for f in doubles}
    findings += [f for s in checked for f in s.findings] + doubles
    accounts, more = account(evidence)
    findings += more
    if footage:
        from segpipe.verify.footage import compare_footage  # only then are videos opened

        findings += compare_footage(
            dataset,
            located,
            listing.files["frames"],
            lambda done: on_progress(len(shards) + done, total),
        )
    findings.sort(key=lambda f: (KINDS.index(f.kind), f.source_id, f.table, f.shard))
    return VerifyReport(
        tuple(accounts),
        tuple(findings),
        sum(len(s.hashes) for s in checked),
        len(checked),
        sum(s.sampled for s in checked),
        sum(s.size_bytes for s in checked),
        time.perf_counter() - began,
    )


def _check_shards(
    dataset: Dataset,
    shards: list[ShardPaths],
    known: dict[str, KnownSource],
    sample: int,
    on_shards: Callable[[int], None],
) -> list[CheckedShard]:
    """Check the shards, as many at once as there are cores."""
    chosen = spread({s.record.name: s.record for s in shards}, max(0, sample))
    classes = tuple(c.name for c in dataset.classes)
    settings, ignored = dataset.manifest.regions, dataset.manifest.ignore_regions
    plain = Recount(Regions(settings, ignored), classes)
    own = {
        s.source_id: Recount(Regions(settings, ignored, s.ego), classes)
        for s in known.values()
        if s.ego is not None
    }

    def check(shard: ShardPaths) -> CheckedShard:
        return check_shard(
            shard, chosen.get(shard.record.name, []), own.get(shard.record.source.source_id, plain)
        )

    return _side_by_side(check, shards, on_shards)


def _read_each(
    listing: Listing, table: str, read: Callable[[AnyPath, str], Found], findings: list[Finding]
) -> dict[str, Found]:
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


def _side_by_side(
    function: Callable[[Item], Found],
    items: Iterable[Item],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """`function` of each, in order, in as many threads as there are cores: Arrow and numpy let go
    of the interpreter. `on_done` is told how many are done."""
    found: list[Found] = []
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ) as pool:
        for result in pool.map(function, items):
            found.append(result)
            on_done(len(found))
    return found
