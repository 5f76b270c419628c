"""Commands that answer questions about a dataset: events, aggregate, diff."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from segpipe.analytics.aggregate import Layer
    from segpipe.analytics.diff import Difference

INDICATORS = ("green_view", "sky_view", "built", "drivable", "pavement", "vehicles", "people")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of this module to the command line."""
    found = commands.add_parser("events", help="when something was in sight: intervals with time and place", description=(
        "Join the frames that fulfil a condition to events. The columns for --where are those of the view observations."
    ))  # fmt: skip
    found.add_argument("dataset", metavar="OUT")
    found.add_argument("--where", required=True, metavar="EXPR", help="such as \"class='pedestrian' and region='path'\"")
    found.add_argument("--by", choices=("time", "metres"), default="time", help="what joins frames (default time)")
    found.add_argument("--min-seconds", type=float, metavar="S", help="drop shorter events (default 1 by time)")
    found.add_argument("--max-gap", type=float, metavar="S", help="gaps within an event, by time (default 0.5)")
    found.add_argument("--min-metres", type=float, metavar="M", help="drop shorter events (default 10 by metres)")
    found.add_argument("--max-gap-metres", type=float, metavar="M", help="gaps within an event, by metres (default 10)")
    found.add_argument("-o", "--output", metavar="FILE", help="a .parquet (GeoParquet) or .geojson, the peak's place as point")
    found.add_argument("--format", choices=("table", "csv", "json"), default="table")

    layer = commands.add_parser("aggregate", help="a map layer: what was seen in each cell", description=(
        "Mean shares of the picture in each H3 cell or piece of the way, with frames, metres and passes."
    ))  # fmt: skip
    layer.add_argument("dataset", metavar="OUT")
    change = commands.add_parser("diff", help="what changed between two datasets, cell by cell", description=(
        "Compare the cells that two datasets saw. A change counts as significant where it exceeds what repeated passes differ."
    ))  # fmt: skip
    change.add_argument("dataset", metavar="OUT_A", help="before")
    change.add_argument("other", metavar="OUT_B", help="after")
    _cells(layer, "h3:RES (0 to 15) or metres:N, such as h3:10")
    _cells(change, "h3:RES (0 to 15), such as h3:10")


def _cells(command: argparse.ArgumentParser, about: str) -> None:
    """The flags that aggregate and diff share."""
    command.add_argument("--by", required=True, metavar="CELLS", help=about)
    command.add_argument(
        "-o", "--output", nargs="+", action="extend", default=[], metavar="FILE", help=".parquet (GeoParquet 1.1) or .geojson"
    )
    command.add_argument(
        "--weight", choices=("metres", "frames"), default="metres", help="what a frame counts (default metres; frames for photos)"
    )
    command.add_argument("--min-frames", type=int, default=3, metavar="N", help="a cell with fewer has no indicators (default 3)")
    command.add_argument("--min-metres", type=float, default=10.0, metavar="M", help="the same in metres (default 10)")
    command.add_argument("--picture", metavar="FILE.png", help="the cells in colour")
    command.add_argument("--indicator", choices=INDICATORS, default="green_view", help="for the picture (default green_view)")


def events(args: Namespace) -> int:
    """`segpipe events`."""
    from segpipe.analytics.events import as_geometry, find_events
    from segpipe.analytics.layers import check_path, write_layer
    from segpipe.store.dataset import open_dataset

    if args.output:
        check_path(Path(args.output))
    connection = open_dataset(args.dataset).duckdb()
    found = find_events(connection, args.where, args.by, args.min_seconds, args.max_gap, args.min_metres, args.max_gap_metres)
    if args.output:
        write_layer(as_geometry(found), Path(args.output))
        print(f"{args.output}: {found.num_rows} events", file=sys.stderr)
    if args.format == "table":
        shown = connection.from_arrow(found).project(
            "source_id, round(seek_s, 2) AS seek_s, round(seconds, 2) AS seconds, round(metres, 1) AS metres, frames, "
            "round(peak, 4) AS peak, peak_time, round(peak_latitude, 6) AS latitude, round(peak_longitude, 6) AS longitude"
        )
        shown.show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
    elif args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.column_names)
        writer.writerows(row.values() for row in found.to_pylist())
    else:
        json.dump(found.to_pylist(), sys.stdout, default=lambda v: v.isoformat(), indent=1)
        print()
    return EXIT_OK


def aggregate(args: Namespace) -> int:
    """`segpipe aggregate`."""
    from segpipe.analytics import aggregate as work
    from segpipe.store.dataset import open_dataset

    _check(args)
    connection = open_dataset(args.dataset).duckdb()
    layer = work.aggregate(connection, args.by, work.Exposure(args.weight, args.min_frames, args.min_metres))
    frame = layer.frame
    metres = float(frame["metres"].sum())
    way = f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"
    below = f"{len(frame)} cells of {layer.cells}, {way}, {frame['frames'].sum()} usable frames"
    _write(args, layer, below, layer.notes)
    if args.picture:
        _picture(args, frame, args.indicator, f"{_title(args.indicator)} in each cell", below, "share of the picture", [connection])
    if not args.output and not args.picture:
        connection.from_df(_table(frame)).show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
    return EXIT_OK


def diff(args: Namespace) -> int:
    """`segpipe diff`."""
    from segpipe.analytics import diff as work
    from segpipe.analytics.aggregate import Exposure
    from segpipe.store.dataset import open_dataset

    _check(args)
    both = [open_dataset(p) for p in (args.dataset, args.other)]
    connections = [d.duckdb() for d in both]
    found = work.diff(connections[0], connections[1], args.by, Exposure(args.weight, args.min_frames, args.min_metres))
    warnings = list(found.warnings)
    if len({d.manifest["model"]["digest"] for d in both}) > 1:
        warnings.append("the datasets were made with different models: what they see differently counts as change, too")
    frame, cells = found.frame, found.frame["cell"].nunique()
    below = f"{cells} cells of {found.cells}, {int(frame['significant'].fillna(False).sum())} of {len(frame)} changes significant"
    _write(args, found, below, warnings)
    if args.picture:
        chosen = frame[frame["indicator"] == args.indicator]
        title = f"{_title(args.indicator)}: change from A to B"
        _picture(
            args, chosen, "change", title, f"{below}; framed: significant", "change of the share, in percentage points", connections
        )
    if not args.output and not args.picture:
        connections[0].from_df(_table(frame)).show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
    return EXIT_OK


def _title(indicator: str) -> str:
    return indicator.replace("_", " ").capitalize()


def _check(args: Namespace) -> None:
    """Wrong names of files are found before the work."""
    from segpipe.analytics.layers import check_path

    for path in args.output:
        check_path(Path(path))
    if args.picture and not args.picture.lower().endswith(".png"):
        raise ConfigError(f"--picture {args.picture}: pictures are PNG; name a file that ends in .png")


def _write(args: Namespace, found: Layer | Difference, below: str, notes: Any) -> None:
    from segpipe.analytics.layers import write_layer

    for path in args.output:
        write_layer(found.frame, Path(path))
        print(f"{path}: {below}")
    for note in notes:
        print(f"segpipe: {note}", file=sys.stderr)


def _picture(args: Namespace, frame: Any, column: str, title: str, below: str, colour: str, connections: list[Any]) -> None:
    from segpipe.analytics.picture import Caption, draw, way_of

    way = [piece for c in connections for piece in way_of(c)] if args.by.startswith("h3") else []
    draw(frame, column, Path(args.picture), Caption(title, below, colour), way)
    print(f"{args.picture}: {title}")


def _table(frame: Any) -> Any:
    """A layer for the terminal: no geometry, shares of four digits."""
    return frame.drop(columns="geometry").round(4)
