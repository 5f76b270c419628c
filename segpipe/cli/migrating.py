"""The command that brings a dataset of an earlier schema version to the present one: migrate."""

from __future__ import annotations

from argparse import Namespace

from segpipe.cli.progress import checking
from segpipe.core.errors import EXIT_OK
from segpipe.core.text import counted, one_line_text


def migrate(args: Namespace) -> int:
    """`segpipe migrate`."""
    from segpipe.store.migration import migrate as bring
    from segpipe.store.schema import SCHEMA_VERSION

    with checking("migrate", args.quiet > 0) as progress:
        done = bring(args.dataset, progress.reach)
    if done is None:
        print(one_line_text(f"{args.dataset}: schema version {SCHEMA_VERSION} already"))
        return EXIT_OK
    print(
        one_line_text(
            f"{args.dataset}: schema version {SCHEMA_VERSION}, was {done.version}; "
            f"{counted(done.sources, 'source')}, {counted(done.frames, 'frame')}"
        )
    )
    if done.gone:
        keep = "keeps its id" if done.gone == 1 else "keep their ids"
        print(f"{counted(done.gone, 'source')} whose footage isn't there {keep}")
    if done.copies:
        keep = "keeps its id and its rows" if done.copies == 1 else "keep their ids and their rows"
        print(f"{counted(done.copies, 'source')} with the same content as another {keep}")
    return EXIT_OK
