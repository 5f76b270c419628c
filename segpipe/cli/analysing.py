"""Commands that compute layers of a map: aggregate, diff."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.outputs import check_files
from segpipe.cli.progress import query_progress
from segpipe.core.errors import EXIT_OK, ConfigError
from segpipe.core.extras import require
from segpipe.core.text import counted

if TYPE_CHECKING:
    from segpipe.analysis.aggregate import Layer
    from segpipe.analysis.diff import Difference
    from segpipe.store.dataset import Dataset


def aggregate(args: Namespace) -> int:
    """`segpipe aggregate`."""
    require("analysis", "segpipe aggregate")
    from segpipe.analysis import aggregate as work
    from segpipe.analysis.exposure import Exposure
    from segpipe.analysis.limits import limited
    from segpipe.store.dataset import open_dataset

    _check(args)
    connection = open_dataset(args.dataset).read_only_duckdb()
    with limited(connection), query_progress("aggregate", connection, args.quiet > 0):
        layer = work.aggregate(
            connection, args.by, Exposure(args.weight, args.min_frames, args.min_metres)
        )
    frame = layer.frame
    metres = float(frame["metres"].sum())
    way = f"{metres:.0f} m, " if metres < 1000 else f"{metres / 1000:.1f} km, "
    way = way if frame["metres"].notna().any() else ""  # photographs without a track
    below = (
        f"{counted(len(frame), 'cell')} of {layer.cells}, "
        f"{way}{counted(int(frame['frames'].sum()), 'usable frame')}"
    )
    _write(args, layer, below, layer.notes)
    if args.picture:
        _picture(
            args,
            frame,
            args.indicator,
            f"{_title(args.indicator)} in each cell",
            below,
            "share of the picture",
            [connection],
        )
    if not args.output and not args.picture:
        _show(connection, frame)
    return EXIT_OK


def diff(args: Namespace) -> int:
    """`segpipe diff`."""
    require("analysis", "segpipe diff")
    from segpipe.analysis import diff as work
    from segpipe.analysis.exposure import Exposure
    from segpipe.analysis.limits import limited
    from segpipe.store.dataset import open_dataset

    _check(args)
    both = [open_dataset(p) for p in (args.dataset, args.other)]
    connections = [d.read_only_duckdb() for d in both]
    exposure = Exposure(args.weight, args.min_frames, args.min_metres)
    with limited(*connections):
        found = work.diff(connections[0], connections[1], args.by, exposure)
    frame, cells = found.frame, found.frame["cell"].nunique()
    significant = int(frame["significant"].fillna(False).sum())
    below = (
        f"{counted(cells, 'cell')} of {found.cells}, {significant} of "
        f"{counted(len(frame), 'change')} significant"
    )
    _write(args, found, below, [*found.warnings, *_note_on_models(both)])
    if args.picture:
        chosen = frame[frame["indicator"] == args.indicator]
        title = f"{_title(args.indicator)}: change from A to B"
        _picture(
            args,
            chosen,
            "change",
            title,
            f"{below}; framed: significant",
            "change of the share, in percentage points",
            connections,
        )
    if not args.output and not args.picture:
        _show(connections[0], frame)
    return EXIT_OK


def _note_on_models(datasets: list[Dataset]) -> list[str]:
    """What has to be said where the datasets were made with different models."""
    if len({d.manifest.model.digest for d in datasets}) == 1:
        return []
    return [
        "the datasets were made with different models: what they see differently counts as "
        "change, too"
    ]


def _title(indicator: str) -> str:
    return indicator.replace("_", " ").capitalize()


def _check(args: Namespace) -> None:
    """Wrong names of files are found before the work."""
    from segpipe.analysis.layers import check_path

    for path in args.output:
        check_path(Path(path))
    if args.picture and not args.picture.lower().endswith(".png"):
        raise ConfigError(
            f"--picture {args.picture}: pictures are PNG; name a file that ends in .png"
        )
    check_files([*args.output, *([args.picture] if args.picture else [])], args.force)


def _write(args: Namespace, found: Layer | Difference, below: str, notes: Any) -> None:
    from segpipe.analysis.layers import write_layer

    for path in args.output:
        write_layer(found.frame, Path(path))
        print(f"{path}: {below}")
    for note in notes if args.quiet < 2 else ():
        print(f"segpipe: {note}", file=sys.stderr)


def _picture(
    args: Namespace,
    frame: Any,
    column: str,
    title: str,
    below: str,
    colour: str,
    connections: list[Any],
) -> None:
    from segpipe.analysis.picture import Caption, draw, way_of

    way = [piece for c in connections for piece in way_of(c)] if args.by.startswith("h3") else []
    draw(frame, column, Path(args.picture), Caption(title, below, colour), way)
    print(f"{args.picture}: {title}")


def _show(connection: Any, frame: Any) -> None:
    """Print a layer on the terminal: no geometry, shares of four digits."""
    table = frame.drop(columns="geometry").round(4)
    connection.from_df(table).show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
