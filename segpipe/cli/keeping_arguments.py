"""The arguments of the commands that change what a dataset knows of its footage."""

from __future__ import annotations

import argparse

from segpipe.cli.arguments import Commands
from segpipe.cli.outputs import add_dataset, path_name


def add_keeping(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands that take a source out, and that tell of footage that has moved."""
    forget = commands.add_parser(
        "forget",
        help="take a source out of a dataset",
        description=(
            "Take all rows of a source out of the dataset, and what is known of its files. The "
            "footage itself isn't touched: a run that still finds it does it again. A live stream "
            "can't be recorded again. Nothing is asked; --dry-run prints what would go."
        ),
    )
    add_dataset(forget)
    forget.add_argument(
        "source",
        type=path_name,
        metavar="SOURCE",
        help="a source's id, as segpipe info lists them, or the address where only it was seen: a "
        "video, a folder of images, a stream",
    )
    forget.add_argument(
        "--dry-run", action="store_true", help="print what would be taken out, and change nothing"
    )
    relocate = commands.add_parser(
        "relocate",
        help="tell where footage lies that has moved",
        description=(
            "Note that all footage last seen at or below OLD is at NEW now. Nothing is segmented "
            "and no row changes; a sample of the files is compared by content. A run finds moved "
            "footage by itself."
        ),
    )
    add_dataset(relocate)
    relocate.add_argument(
        "old", type=path_name, metavar="OLD", help="a folder or file where footage was seen"
    )
    relocate.add_argument(
        "new", type=path_name, metavar="NEW", help="the folder or file where it is now"
    )
    relocate.add_argument(
        "--force", action="store_true", help="note it also where NEW doesn't exist now"
    )
