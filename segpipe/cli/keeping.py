"""Commands that change what a dataset knows of its footage: forget, relocate."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from segpipe.core.errors import EXIT_OK
from segpipe.core.redact import redact
from segpipe.core.text import counted, one_line_text

if TYPE_CHECKING:
    from segpipe.store.forget import Contents
    from segpipe.store.forget_mark import ForgetMark

MOST_SHOWN = 20


def forget(args: Namespace) -> int:
    """`segpipe forget`."""
    from segpipe.store import exclusive, open_dataset
    from segpipe.store.forget import contents_of, finish, mark_of
    from segpipe.store.forget import forget as take_out
    from segpipe.store.which_source import which_source

    root = open_dataset(args.dataset).root
    if args.dry_run:
        contents = contents_of(root)
        for line in _planned(contents, mark_of(contents, which_source(contents, args.source))):
            print(one_line_text(line))
        return EXIT_OK
    with exclusive(root):
        done = finish(root)
        if done is not None and done.source_id == args.source:
            _say_forgotten(done)
            return EXIT_OK
        if done is not None and args.quiet < 2:
            said = f"segpipe: {done.source_id} was half forgotten; that is finished now"
            print(said, file=sys.stderr)
        contents = contents_of(root)
        _say_forgotten(take_out(contents, which_source(contents, args.source)))
    return EXIT_OK


def _say_forgotten(mark: ForgetMark) -> None:
    print(f"forgot {mark.source_id}: {counted(mark.frames, 'frame')}")


def _planned(contents: Contents, mark: ForgetMark) -> list[str]:
    """What a mark would take out, as lines."""
    found = contents.records_of(mark.source_id)
    gone = {row.uri for row in contents.addresses.rows() if row.source_id == mark.file_id}
    uris = sorted(gone or {r.source.uri for r in found})
    lines = [
        f"would forget {mark.source_id}: {counted(mark.frames, 'frame')} in "
        f"{counted(len(found), 'shard')}",
        *(f"  {redact(uri)}" for uri in uris[:MOST_SHOWN]),
    ]
    more = len(uris) - MOST_SHOWN
    return [*lines, f"  and {more} more addresses"] if more > 0 else lines


def relocate(args: Namespace) -> int:
    """`segpipe relocate`."""
    from segpipe.store import exclusive, open_dataset
    from segpipe.store.forget import finish
    from segpipe.store.relocate import relocate as note

    root = open_dataset(args.dataset).root
    with exclusive(root):
        finish(root)
        files, away = note(root, args.old, args.new, args.force)
    verb = "is" if files == 1 else "are"
    print(one_line_text(f"{counted(files, 'file')} {verb} at {args.new} now"))
    if away and args.quiet < 2:
        said = f"segpipe: {away} of them weren't found there; they may have gone before"
        print(said, file=sys.stderr)
    return EXIT_OK
