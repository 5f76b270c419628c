"""Remove what is orphaned, incomplete, left over, wrong or duplicated in a dataset; the next run
fills in what is missing, and what it can't make again is named."""

from __future__ import annotations

from dataclasses import dataclass

from segpipe.core.config.job import StoreSettings
from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import ASIDE
from segpipe.runtime.files.paths import is_local, remove
from segpipe.sources import source_of
from segpipe.store import Store, exclusive
from segpipe.store.dataset import Dataset
from segpipe.store.forget import finish
from segpipe.store.records import read_record
from segpipe.store.schema import TABLES
from segpipe.store.table_files import READABLE
from segpipe.verify import OnProgress, verify
from segpipe.verify.away import account_for_away, readable_records
from segpipe.verify.findings import LEFTOVER, Finding, VerifyReport
from segpipe.verify.places import is_of_addresses, rebuild_addresses


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was taken out: shards by name, those among them that can't be made again (a live
    stream's), and single files. `rebuilt` are files that were made anew. `away` are the paths of
    footage that has no row and isn't on the disk: failed rows stand for it now. `report` is the
    dataset afterwards."""

    shards: tuple[str, ...]
    files: tuple[str, ...]
    rebuilt: tuple[str, ...]
    lost_for_good: tuple[str, ...]
    away: tuple[str, ...]
    report: VerifyReport


def repair(
    dataset: Dataset, sample: int, footage: bool = False, on_progress: OnProgress = lambda *_: None
) -> Repaired:
    """Hold the dataset, verify it, take out what is repairable, make the addresses anew where they
    are damaged, and verify it again.

    Shards go whole, their `frames` first, so that a repair that is killed leaves nothing but
    orphans. Only files of the dataset's own folder are touched. Raises DatasetBusy where a run is
    writing.
    """
    with exclusive(dataset.root):
        finish(dataset.root)
        found = [
            f
            for f in verify(dataset, sample, footage, on_progress).findings
            if f.repairable and not _outside(dataset, f)
        ]
        # Before a shard goes that knows an address
        anew = any(is_of_addresses(f) for f in found)
        rebuilt = (rebuild_addresses(dataset.root, readable_records(dataset)),) if anew else ()
        found = [f for f in found if not is_of_addresses(f)]
        shards = sorted({f.shard for f in found if not _alone(f)})
        store = Store(dataset.root, StoreSettings(), dataset.classes)
        streams = _streams(dataset, set(shards))
        for name in shards:
            store.discard(name)
        files = sorted({_file(f) for f in found if _alone(f)})
        for name in files:
            remove(dataset.root.joinpath(*name.split("/")))
        away = account_for_away(dataset)
        return Repaired(
            tuple(shards),
            tuple(files),
            rebuilt,
            streams,
            away,
            verify(dataset, sample, footage, on_progress),
        )


def _file(finding: Finding) -> str:
    """The path of a single file below the dataset's folder. Its parts are names out of a listing,
    never out of a file."""
    name = f"{finding.shard}{ASIDE}" if finding.kind == LEFTOVER else f"{finding.shard}.parquet"
    return f"{finding.table}/{name}" if finding.table else name


def _alone(finding: Finding) -> bool:
    """Whether a file goes by itself: leftovers, a source's row, and gaps, for which a stream's
    frames mustn't be lost."""
    return finding.kind == LEFTOVER or finding.table not in TABLES


def _outside(dataset: Dataset, finding: Finding) -> bool:
    """Whether a folder that would be touched is a link to somewhere else: nothing is removed
    through it."""
    tables = [finding.table] if _alone(finding) else list(READABLE)
    folders = [dataset.root / table for table in tables if table]
    return any(is_local(f) and f.resolve() != f.parent.resolve() / f.name for f in folders)


def _streams(dataset: Dataset, shards: set[str]) -> tuple[str, ...]:
    """Which of these shards are of live streams, as far as their records can be read."""
    found = []
    for path in dataset.files("frames"):
        if path.name.removesuffix(".parquet") in shards:
            try:
                record = read_record(path)
            except DatasetError:
                continue
            found += [] if source_of(record.source.kind).replayable else [record.name]
    return tuple(found)
