"""The footage of a job by what the dataset knows of it: what is known, has moved, has grown, is
still being written, or has gone."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.core.config.job import Job
from segpipe.core.text import counted, printable_text
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import Footage, discover, source_of
from segpipe.sources.known_files import FoundFile
from segpipe.sources.places import resolved
from segpipe.sources.settling import unsettled
from segpipe.store.address import is_below
from segpipe.store.addresses import Addresses
from segpipe.store.footage_roots import MOST_ROOTS, note_roots, noted_roots

_TO_DO = frozenset({"new", "grown", "replaced", "another"})


@dataclass(frozen=True)
class FoundFootage:
    """The sources of a job that can be read now, and notes on the files that aren't."""

    footage: Footage
    notes: tuple[str, ...] = ()


def find_footage(job: Job, addresses: Addresses) -> FoundFootage:
    """The footage of a job; files that are still being written are left for the next run. Raises as
    `discover`."""
    footage = discover(job.inputs, addresses, job.identity.full, job.follow_links)
    notes = [*_on_copies(footage), *_on_names(footage), *_on_times(footage)]
    to_do = [f for f in footage.files if f.how in _TO_DO and f.size_bytes > 0]
    left = unsettled(to_do, job.identity.settle_s)
    if left:
        names = _listed([f.path.name for f in left])
        count = counted(len(left), "file")
        notes.append(f"{count} still being written, left for the next run: {names}")
        footage = _without(footage, left)
    gone = _gone(footage, job, addresses) - {f.replaces.source_id for f in left if f.replaces}
    if gone:
        notes.append(f"footage no longer there: {counted(len(gone), 'source')}; the rows stay")
    return FoundFootage(footage, tuple(notes))


def note_addresses(addresses: Addresses, footage: Footage) -> None:
    """Note where the files of the footage, and their copies, were seen."""
    sources = {
        f.name if source_of(s.info.kind).files_are_frames else s.info.file_id: s.info.file_id
        for s in footage.sources
        for f in s.files
    }
    addresses.see([*footage.files, *(copy for copy, _ in footage.copies)], sources)


def note_roots_of(job: Job, root: AnyPath, footage: Footage) -> None:
    """Note, outside of the dataset, from where this run read footage for it: from there it may be
    opened again."""
    inputs = [str(resolved(Path(text).expanduser())) for text in job.inputs]
    folders = {text for text in inputs if os.path.isdir(text)}
    linked = job.follow_links
    if not linked and len(folders) == len(inputs) and folders <= set(noted_roots(root)):
        return
    paths = {str(s.path) for s in footage.sources}
    others = paths if linked else {p for p in paths if not any(is_below(p, f) for f in folders)}
    if len(others) > MOST_ROOTS:
        others = {os.path.dirname(p) for p in others}
    note_roots(root, folders | others)


def _on_copies(footage: Footage) -> list[str]:
    """The note on files of the same content."""
    if not footage.copies:
        return []
    copy, original = footage.copies[0]
    count = len(footage.copies)
    more = f" and {count - 1} more" if count > 1 else ""
    return [
        printable_text(
            f"{counted(count, 'copy', 'copies')} counted once: {copy.path} is {original.path}{more}"
        )
    ]


def _on_names(footage: Footage) -> list[str]:
    """The note on new files that only the time in their names tells from others."""
    own = [f.path.name for f in footage.files if f.how in _TO_DO and f.same_bytes]
    if not own:
        return []
    return [
        f"{counted(len(own), 'file')} counted separately, with the same content as another one but "
        f"another time in the name: {_listed(own)}"
    ]


def _on_times(footage: Footage) -> list[str]:
    """The note on files that only their time tells from what lay there before."""
    touched = [f.path.name for f in footage.files if f.how == "touched"]
    if not touched:
        return []
    return [
        f"{counted(len(touched), 'file')} with another time and the same content, not done again: "
        f"{_listed(touched)}"
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return printable_text(", ".join(names[:3]) + more)


def _without(footage: Footage, left: list[FoundFile]) -> Footage:
    """The footage without files that are left for the next run, and what they would replace."""
    keys = {f.key for f in left}
    kept = {f.replaces.key for f in left if f.replaces is not None}
    sources = []
    for source in footage.sources:
        by_file = source_of(source.info.kind).files_are_frames
        files = [
            f for f in source.files if (f.name if by_file else source.info.file_id) not in keys
        ]
        replaced = tuple(key for key in source.replaced if key not in kept)
        sources.append(replace(source, files=tuple(files), replaced=replaced))
    return replace(
        footage,
        sources=tuple(s for s in sources if s.files),
        files=tuple(f for f in footage.files if f.key not in keys),
    )


def _gone(footage: Footage, job: Job, addresses: Addresses) -> set[str]:
    """The sources that were seen below the inputs, and have no file there now."""
    roots = [printable_text(str(resolved(Path(text).expanduser()))) for text in job.inputs]
    here = {s.info.file_id for s in footage.sources}
    return {
        row.source_id
        for row in addresses.rows()
        if row.source_id not in here
        and any(row.uri == root or is_below(row.uri, root) for root in roots)
        and addresses.latest(row.key) == row.uri
    }
