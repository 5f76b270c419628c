"""What goes out of the dataset when a run begins: rows of files that others have replaced, and
facts of what is nowhere."""

from __future__ import annotations

from dataclasses import replace

from segpipe.pipeline.committed import CommittedShards
from segpipe.pipeline.probe import Probed
from segpipe.runtime import stopping
from segpipe.sources import Footage, source_of
from segpipe.sources.known_files import KnownFile
from segpipe.store import Store
from segpipe.store.addresses import Addresses
from segpipe.store.sources import (
    read_source_metadata,
    remove_source,
    sources_of_file,
    write_source_metadata,
)


def take_out_replaced(
    store: Store, known: CommittedShards, footage: Footage, addresses: Addresses
) -> None:
    """Take out the rows of files that have grown since, or of which nothing could be read; what
    lies in their place is done instead. Their facts must have been passed on before, and their
    addresses are written after: a run that is killed meanwhile is made good by the next."""
    for before in footage.replaced():
        stopping.check()
        if before.source_id == before.key:
            take_out_file(store, known, before.key)
        else:
            _take_out_image(store, known, before)
        addresses.forget(before.source_id, before.key)


def take_out_file(store: Store, known: CommittedShards, file_id: str) -> int:
    """Take out all sources that are in one file; the number of frames that had rows."""
    records = known.of_file(file_id)
    for record in records:
        store.discard(record.name)
    with_rows = {r.source.source_id for r in records}
    for source_id in with_rows.union(sources_of_file(store.root, file_id)):
        known.records.pop(source_id, None)
        remove_source(store.root, source_id)
    return sum(r.frames for r in records)


def _take_out_image(store: Store, known: CommittedShards, image: KnownFile) -> None:
    records = known.records[image.source_id]
    for record in list(records):
        stay = [f.name for f in record.files if f.name != image.key]
        if len(stay) == len(record.files):
            continue
        records.remove(record)
        kept = store.keep_only(record, stay)
        if kept is not None:
            records.append(kept)
    _forget_photo(store, image)


def _forget_photo(store: Store, image: KnownFile) -> None:
    """Take what an image says of itself out of its source's facts, and facts of no image
    altogether."""
    facts = read_source_metadata(store.root, image.source_id)
    photos = () if facts is None else tuple(p for p in facts.photos if p.key != image.key)
    if facts is None or len(photos) == len(facts.photos):
        return
    if not photos:
        remove_source(store.root, image.source_id)
        return
    clocks = tuple(c for c in facts.clocks if c.file != image.key)
    write_source_metadata(store.root, replace(facts, photos=photos, clocks=clocks))


def take_out_unseen(
    store: Store, known: CommittedShards, facts: Probed, addresses: Addresses
) -> Probed:
    """Take out the facts of sources of which nobody knows a place or a frame: a run was killed
    before it came to them, and something else lies there now. The facts of the others."""
    seen = {row.source_id for row in addresses.rows()}
    unseen = {
        source_id
        for source_id, f in facts.items()
        if source_of(f.info.kind).replayable
        and f.info.file_id not in seen
        and source_id not in known.records
    }
    for source_id in unseen:
        remove_source(store.root, source_id)
    return {source_id: f for source_id, f in facts.items() if source_id not in unseen}
