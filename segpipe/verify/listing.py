"""Which files lie in a dataset's folder: shards by table, half ones, orphans, leftovers, and what
isn't ours."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import ASIDE, unfinished_name
from segpipe.runtime.files.paths import AnyPath, is_local, list_dir
from segpipe.store import address_file, forget_mark, index, lock
from segpipe.store.dataset import Dataset
from segpipe.store.manifest import FILE, MIGRATING
from segpipe.store.names import is_part_name, is_table_file
from segpipe.store.reading import footer_metadata
from segpipe.store.schema import SIDE_TABLES, TABLES
from segpipe.store.table_files import READABLE
from segpipe.verify.findings import FOREIGN, HALF, LEFTOVER, ORPHAN, Finding

_SUFFIX = ".parquet"
_ALONE = frozenset({FILE, *lock.FILES})
_BEGUN = frozenset({FILE, forget_mark.FILE})


@dataclass
class Listing:
    """The files of each table by the stem of their names, and what was found of those that make no
    whole shard."""

    files: dict[str, dict[str, AnyPath]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def list_files(dataset: Dataset) -> Listing:
    """Look through the dataset's folders; nothing is opened but what must be told from other
    people's files."""
    listing = Listing({table: {} for table in READABLE})
    for path in list_dir(dataset.root):
        if path.name in READABLE and _is_folder(path):
            gone = forget_mark.marked_names(dataset.root, path.name)
            _list_table(listing, path.name, path, gone)
        elif path.name == index.FOLDER and _is_folder(path):
            _list_index(listing, path)
        elif path.name == forget_mark.FILE:
            said = "a forget that was killed; the next run, forget or repair finishes it"
            listing.findings.append(Finding(LEFTOVER, "", path.name, "", said))
        elif path.name == MIGRATING:
            said = "left by a migration that was killed; segpipe migrate takes it away"
            listing.findings.append(Finding(LEFTOVER, "", path.name, "", said))
        elif unfinished_name(path.name) in _BEGUN:
            stem = path.name.removesuffix(ASIDE)
            listing.findings.append(
                Finding(LEFTOVER, "", stem, "", "begun by a run that was killed", True)
            )
        elif path.name not in _ALONE:
            listing.findings.append(
                Finding(FOREIGN, "", path.name, "", "not a part of the dataset; it is left alone")
            )
    _pair_up(listing)
    return listing


def _list_table(listing: Listing, table: str, folder: AnyPath, gone: frozenset[str]) -> None:
    for path in list_dir(folder):
        if path.suffix == _SUFFIX and path.stem in gone:
            continue
        if _is_part(table, path):
            listing.files[table][path.name.removesuffix(_SUFFIX)] = path
        elif unfinished_name(path.name) and is_table_file(path.name):
            stem = path.name.removesuffix(ASIDE)
            listing.findings.append(
                Finding(LEFTOVER, table, stem, "", "begun by a run that was killed", True)
            )
        else:
            listing.findings.append(
                Finding(
                    FOREIGN, table, path.name, "", "not a part of the dataset; it is left alone"
                )
            )


def _is_part(table: str, path: AnyPath) -> bool:
    if table == address_file.FOLDER:
        return path.name == address_file.FILE
    return path.name.endswith(_SUFFIX) and not (is_local(path) and path.is_dir())


def _list_index(listing: Listing, folder: AnyPath) -> None:
    """The index is no part of the truth: only what isn't ours, or was left over, is told."""
    for path in list_dir(folder):
        if not index.is_file_of_index(path.name):
            said = "not a part of the dataset; it is left alone"
            listing.findings.append(Finding(FOREIGN, folder.name, path.name, "", said))
        elif unfinished_name(path.name):
            stem = path.name.removesuffix(ASIDE)
            said = "begun by a run that was killed"
            listing.findings.append(Finding(LEFTOVER, folder.name, stem, "", said, True))


def _pair_up(listing: Listing) -> None:
    """Name the parts of shards that aren't all there."""
    done = listing.files["frames"]
    for table in (*TABLES, *SIDE_TABLES):
        for stem in [s for s in listing.files[table] if s not in done]:
            path = listing.files[table].pop(stem)
            if is_ours(path):
                said = (
                    "its frames file isn't there: what a killed run left, or a file that "
                    "was deleted"
                )
                listing.findings.append(Finding(ORPHAN, table, stem, "", said, True))
            else:
                listing.findings.append(
                    Finding(
                        FOREIGN, table, path.name, "", "not written by segpipe; move it elsewhere"
                    )
                )
    for stem in done:
        lacking = [t for t in TABLES if stem not in listing.files[t]]
        if lacking and is_ours(done[stem]):
            said = f"its {' and '.join(lacking)} file isn't there"
            listing.findings.append(
                Finding(HALF, "frames", stem, stem.rpartition("-")[0], said, True)
            )


def is_ours(path: AnyPath) -> bool:
    """Whether segpipe wrote a file, by its footer; of one that can't be opened, by its name."""
    try:
        return b"segpipe.schema_version" in footer_metadata(path)
    except (OSError, pa.ArrowException, DatasetError):
        return is_part_name(path.name.removesuffix(_SUFFIX))


def _is_folder(path: AnyPath) -> bool:
    return path.is_dir() if is_local(path) else True
