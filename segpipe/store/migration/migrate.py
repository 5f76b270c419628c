"""A dataset of an earlier schema version, rewritten to the present one: no inference, and nothing
lost wherever it is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError

from segpipe.core.config.job import StoreSettings
from segpipe.core.errors import DatasetError
from segpipe.core.text import one_line_text
from segpipe.inference.measures.regions import Regions
from segpipe.runtime.files.paths import AnyPath, is_local, list_dir, path_of
from segpipe.store.address_file import write_addresses
from segpipe.store.closed import check_closed
from segpipe.store.lock import exclusive
from segpipe.store.manifest import (
    FILE,
    MIGRATED,
    Content,
    Manifest,
    read_any_content,
    read_content,
    write_manifest,
)
from segpipe.store.migration.intact import intact
from segpipe.store.migration.new_ids import COPY, GONE, addresses_of, new_sources
from segpipe.store.migration.plan import as_json, of_json, state_of
from segpipe.store.migration.shards import ShardMove, migrate_shard, shard_moves
from segpipe.store.migration.source_rows import migrate_source, read_info
from segpipe.store.migration.swap import Beside
from segpipe.store.records import read_record
from segpipe.store.schema import SCHEMA_VERSION
from segpipe.store.shard_files import ShardFiles
from segpipe.store.sources import FOLDER as SOURCES
from segpipe.store.sources import read_source_metadata
from segpipe.telemetry.locate import Locator

OnShards = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was migrated, from which version. `gone` sources have no footage where it was recorded,
    `copies` hold what another one holds: both keep their ids."""

    version: int
    sources: int
    frames: int
    gone: int
    copies: int


def migrate(path: str | AnyPath, on_shards: OnShards = lambda done, total: None) -> Migrated | None:
    """Bring a dataset to the present schema version; None where it has it already. `on_shards` is
    told how many shards of how many are done.

    Raises DatasetError for what is no dataset, lies on an object store or is of another version,
    for a damaged file and for a full disk: the old dataset is whole then, and what was done of the
    new one is gone on with.
    """
    root = path_of(path)
    if not is_local(root):
        raise DatasetError(
            f"{root}: a dataset on an object store can't be migrated in place: copy it to a "
            "folder, migrate it there and copy it back"
        )
    check_closed(root)
    content = read_any_content(root)
    if content is None:
        raise DatasetError(f"{root}: not a dataset (no {FILE} in it)")
    if content.get("schema_version") not in MIGRATED:
        read_content(root)  # raises, but for the present one
    with exclusive(root):
        return _migrate(root, Beside(root), on_shards)


def _migrate(root: Path, beside: Beside, on_shards: OnShards) -> Migrated | None:
    content = read_any_content(root) or {}
    if content.get("schema_version") == SCHEMA_VERSION:
        beside.clear()
        return None
    manifest = _manifest(root, content)
    try:
        if beside.done is None:
            said = _make(root, beside, content, manifest, on_shards)
            beside.finish(asdict(said))
        migrated = Migrated(**(beside.done or {}))
        beside.swap()
        write_manifest(root, manifest)
        beside.clear()
    except OSError as error:
        raise DatasetError(
            f"{root}: the migration stopped ({one_line_text(str(error))}); nothing is lost, and "
            "segpipe migrate goes on with it"
        ) from None
    return migrated


def _manifest(root: Path, content: Content) -> Manifest:
    """The manifest in the present form. Which of a file's video streams are read is no part of it
    any more."""
    sampling = {k: v for k, v in content.get("sampling", {}).items() if k != "stream"}
    try:
        return Manifest.model_validate(
            content | {"schema_version": SCHEMA_VERSION, "sampling": sampling}
        )
    except ValidationError as error:
        raise DatasetError(
            f"{root / FILE}: not what segpipe run wrote ({one_line_text(str(error))}); restore the "
            "file from a copy"
        ) from None


def _make(
    root: Path, beside: Beside, content: Content, manifest: Manifest, on_shards: OnShards
) -> Migrated:
    """Make the new dataset beside the old one."""
    records = [intact(p, read_record, p) for p in _files(root / "frames")]
    rows = {p: intact(p, read_info, p) for p in _files(root / SOURCES)}
    state, plan = state_of(root), beside.plan
    if plan is None or plan["state"] != state:
        plan = {"state": state, "sources": as_json(new_sources(rows.values(), records))}
    found = of_json(beside.begin(plan)["sources"])
    for path, old in rows.items():
        intact(path, migrate_source, path, beside.new / SOURCES, old, found)
    _make_shards(root, beside.new, shard_moves(records, found), manifest, on_shards)
    seen_us = (root / FILE).stat().st_mtime_ns // 1000
    write_addresses(beside.new, addresses_of(found.values(), seen_us))
    footage = [source.footage for source in found.values()]
    return Migrated(
        content["schema_version"],
        len(found),
        sum(r.frames for r in records),
        footage.count(GONE),
        footage.count(COPY),
    )


def _make_shards(
    root: Path, new_root: Path, moves: list[ShardMove], manifest: Manifest, on_shards: OnShards
) -> None:
    settings = StoreSettings(frames_per_shard=manifest.frames_per_shard)
    old, new = (ShardFiles(r, settings, manifest.classes) for r in (root, new_root))
    regions = Regions(manifest.regions, manifest.ignore_regions)
    locator, located = Locator(None), ""
    for number, move in enumerate(moves, 1):
        source_id = move.new.source.source_id
        if not new.path("frames", move.new.name).exists():
            if located != source_id:
                locator, located = Locator(read_source_metadata(new_root, source_id)), source_id
            path = root / "frames" / f"{move.old.name}.parquet"
            intact(path, migrate_shard, move, old, new, regions, locator)
        on_shards(number, len(moves))


def _files(folder: Path) -> list[Path]:
    return [Path(str(p)) for p in list_dir(folder, ".parquet")]
