"""The arguments of the commands that analyse a dataset: events, aggregate, diff."""

from __future__ import annotations

import argparse

from segpipe.cli.arguments import Commands
from segpipe.cli.outputs import add_dataset, add_force, add_format, path_name

INDICATORS = ("green_view", "sky_view", "built", "drivable", "pavement", "vehicles", "people")


def add_analysing(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands that answer questions about a dataset."""
    _add_events(commands)
    layer = commands.add_parser(
        "aggregate",
        help="write a map layer of what was seen in each cell",
        description=(
            "Compute the mean shares of the picture in each H3 cell or stretch of the way, with "
            "frames, metres and passes."
        ),
    )
    add_dataset(layer)
    change = commands.add_parser(
        "diff",
        help="show what changed between two datasets, cell by cell",
        description=(
            "Compare the cells that two datasets saw. A change is significant where it exceeds "
            "the differences between repeated passes."
        ),
    )
    change.add_argument("dataset", metavar="OUT_A", help="the dataset from before")
    change.add_argument("other", metavar="OUT_B", help="the dataset from after")
    _cells(layer, "h3:RES (0 to 15) or metres:N, such as h3:10")
    _cells(change, "h3:RES (0 to 15), such as h3:10")


def _add_events(commands: Commands[argparse.ArgumentParser]) -> None:
    events = commands.add_parser(
        "events",
        help="find when something was in sight",
        description=(
            "Group matching frames into events, each with its time, place and length. The "
            "columns for --where are those of the view observations."
        ),
    )
    add_dataset(events)
    events.add_argument(
        "--where",
        required=True,
        metavar="EXPR",
        help="a condition in SQL, such as \"class='pedestrian' and region='path'\"",
    )
    _add_limits(events)
    events.add_argument(
        "-o",
        "--output",
        type=path_name,
        metavar="FILE",
        help="also write the events as .parquet (GeoParquet) or .geojson, each a point where "
        "most was seen",
    )
    add_force(events)
    add_format(events)


def _add_limits(events: argparse.ArgumentParser) -> None:
    """What joins frames to an event, and which events are dropped."""
    events.add_argument(
        "--by",
        choices=("time", "metres"),
        default="time",
        help="group frames by time or distance (default time)",
    )
    events.add_argument(
        "--min-seconds", type=float, metavar="S", help="drop shorter events (default 1 by time)"
    )
    events.add_argument(
        "--max-gap",
        type=float,
        metavar="S",
        help="the longest gap within an event, by time (default 0.5)",
    )
    events.add_argument(
        "--min-metres", type=float, metavar="M", help="drop shorter events (default 10 by metres)"
    )
    events.add_argument(
        "--max-gap-metres",
        type=float,
        metavar="M",
        help="the longest gap within an event, by metres (default 10)",
    )


def _cells(command: argparse.ArgumentParser, about: str) -> None:
    """The flags that aggregate and diff share."""
    command.add_argument("--by", required=True, metavar="CELLS", help=about)
    command.add_argument(
        "-o",
        "--output",
        type=path_name,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="write .parquet (GeoParquet 1.1) or .geojson",
    )
    command.add_argument(
        "--weight",
        choices=("metres", "frames"),
        help="weight frames by their metres or equally (default metres; frames for a dataset "
        "of photos)",
    )
    command.add_argument(
        "--min-frames",
        type=int,
        default=3,
        metavar="N",
        help="cells with fewer frames have null indicators (default 3)",
    )
    command.add_argument(
        "--min-metres",
        type=float,
        metavar="M",
        help="cells with fewer metres have null indicators (default 10, or half the cell's "
        "size if that is less)",
    )
    _picture(command)


def _picture(command: argparse.ArgumentParser) -> None:
    """The flags of the picture, and the one that lets files be overwritten."""
    command.add_argument(
        "--picture", type=path_name, metavar="FILE.png", help="write a picture of the cells"
    )
    add_force(command)
    command.add_argument(
        "--indicator",
        choices=INDICATORS,
        default="green_view",
        help="the indicator that the picture shows (default green_view)",
    )
