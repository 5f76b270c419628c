"""Which source of a dataset is meant: by its id, or by the address where it was seen."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from segpipe.core.errors import DatasetError, SegpipeError
from segpipe.core.redact import is_url, redact
from segpipe.core.text import counted, printable_text
from segpipe.sources.stream.address import is_stream, stream_of
from segpipe.store.forget import Contents, file_id_of

MOST_LISTED = 20


def which_source(contents: Contents, text: str) -> str:
    """The id of the source that a text names: a source's id, a file, a folder of images, or a
    stream's address. Raises DatasetError where there is none, or several, and says which."""
    if text in contents.source_ids:
        return text
    found = _at(contents, text)
    if not found:
        raise DatasetError(
            f"no source {redact(text)!r} in {contents.root}, and none was seen at that address; "
            f"there are: {_listed(contents, contents.source_ids)}"
        )
    if len(found) > 1:
        raise DatasetError(
            f"{redact(text)}: {counted(len(found), 'source')} were seen there; name one by its id: "
            f"{_listed(contents, sorted(found))}"
        )
    return found.pop()


def places_of(text: str) -> list[str]:
    """The addresses that a path may stand for: as it is, and with its links followed."""
    if is_url(text):
        return [printable_text(redact(text))]
    try:
        path = os.path.abspath(Path(text).expanduser())
        real = os.path.realpath(path)
    except (RuntimeError, ValueError, OSError):  # a home that doesn't exist, a zero byte
        return [text]
    return list(dict.fromkeys([printable_text(path), printable_text(real), text]))


def _at(contents: Contents, text: str) -> set[str]:
    """The sources that were seen at an address."""
    places = set(places_of(text))
    found = {r.source.source_id for r in contents.records if r.source.uri in places}
    found |= _stream_at(text).intersection(contents.source_ids)
    rows = contents.addresses.rows()
    for row in rows:
        is_image = row.key != row.source_id
        if is_image and row.uri in places:
            _refuse_one_of_many(contents, row.source_id, text)
        if row.uri in places or (is_image and str(PurePath(row.uri).parent) in places):
            found |= _streams_of(contents, row.source_id)
    return found


def _stream_at(text: str) -> set[str]:
    """The id of the live stream at an address; empty where that is none."""
    try:
        return {stream_of(text).info.source_id} if is_stream(text) else set()
    except SegpipeError:
        return set()


def _streams_of(contents: Contents, file_id: str) -> set[str]:
    """The sources that are in one file."""
    return {s for s in contents.source_ids if file_id_of(s) == file_id}


def _refuse_one_of_many(contents: Contents, source_id: str, text: str) -> None:
    """Raises DatasetError for an image among others: who names one picture doesn't mean a folder of
    thousands."""
    keys = {row.key for row in contents.addresses.rows() if row.source_id == source_id}
    if len(keys) > 1:
        raise DatasetError(
            f"{redact(text)}: one of {len(keys)} images of the source {source_id}; name the source "
            "or its folder, and all of them are meant"
        )


def _listed(contents: Contents, source_ids: list[str]) -> str:
    """Sources with the address where each was seen last."""
    uris = {r.source.source_id: r.source.uri for r in contents.records}
    for row in sorted(contents.addresses.rows(), key=lambda r: r.last_seen_us):
        is_image = row.key != row.source_id
        uris[row.source_id] = str(PurePath(row.uri).parent) if is_image else row.uri
    said = [
        f"{s} ({redact(uri)})" if (uri := uris.get(s) or uris.get(file_id_of(s))) else s
        for s in source_ids[:MOST_LISTED]
    ]
    more = f" and {len(source_ids) - MOST_LISTED} more" if len(source_ids) > MOST_LISTED else ""
    return (", ".join(said) + more) or "none"
