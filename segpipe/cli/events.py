"""The command that lists when something was in sight: events."""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from segpipe.cli.outputs import check_files
from segpipe.core.errors import EXIT_OK
from segpipe.core.extras import require
from segpipe.core.text import counted, csv_cell


def events(args: Namespace) -> int:
    """`segpipe events`."""
    if args.output:
        require("analysis", "segpipe events -o", modules=("geopandas",))
    from segpipe.analysis.events import as_geometry, find_events
    from segpipe.analysis.layers import check_path, write_layer
    from segpipe.analysis.limits import limited
    from segpipe.store.dataset import open_dataset

    if args.output:
        check_path(Path(args.output))
        check_files([args.output], args.force)
    # --where is SQL: it must not read other files.
    connection = open_dataset(args.dataset).read_only_duckdb()
    with limited(connection):
        found = find_events(
            connection,
            args.where,
            args.by,
            args.min_seconds,
            args.max_gap,
            args.min_metres,
            args.max_gap_metres,
        )
    if args.output:
        write_layer(as_geometry(found), Path(args.output))
        print(f"{args.output}: {counted(found.num_rows, 'event')}", file=sys.stderr)
    _print(connection, found, args.format)
    return EXIT_OK


def _print(connection: Any, found: Any, form: str) -> None:
    """Print the events, an Arrow table, in the form that was asked for."""
    if form == "table":
        shown = connection.from_arrow(found).project(
            "source_id, round(seek_s, 2) AS seek_s, round(seconds, 2) AS seconds, round(metres, "
            "1) AS metres, frames, "
            "round(peak, 4) AS peak, peak_time, round(peak_latitude, 6) AS latitude, "
            "round(peak_longitude, 6) AS longitude"
        )
        shown.show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.column_names)
        writer.writerows(map(csv_cell, row.values()) for row in found.to_pylist())
    else:
        json.dump(found.to_pylist(), sys.stdout, default=lambda v: v.isoformat(), indent=1)
        print()
