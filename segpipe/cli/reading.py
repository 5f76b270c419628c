"""Commands that read a dataset: query, info, overlay."""

from __future__ import annotations

import csv
import json
import math
import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from segpipe.errors import EXIT_OK, DatasetError
from segpipe.store.dataset import open_dataset

VIEWS = "frames, class_stats, masks, gaps, sources, tracks, classes, common_stats, observations, frame_metres"


def query(args: Namespace) -> int:
    """`segpipe query`."""
    import duckdb

    connection = open_dataset(args.dataset).duckdb()
    try:
        relation = connection.sql(args.sql)
        if relation is None:  # a statement without rows
            return EXIT_OK
        if args.format == "table":
            relation.show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
            return EXIT_OK
        names, rows = relation.columns, relation.fetchall()
    except duckdb.Error as error:
        text = " ".join(str(error).split())
        raise DatasetError(f"the query failed: {text} (views: {VIEWS})") from None
    if args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        json.dump([dict(zip(names, map(_no_nan, row), strict=True)) for row in rows], sys.stdout, default=_plain, indent=1)
        print()
    return EXIT_OK


def _no_nan(value: object) -> object:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    """What JSON has no type for: times in ISO 8601, all else as text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def info(args: Namespace) -> int:
    """`segpipe info`."""
    from segpipe.report.source_text import describe_facts
    from segpipe.report.summary import describe_gaps, size_on_disk, sources_of
    from segpipe.store.sources import all_facts, read_facts
    from segpipe.telemetry.drives import describe_drives
    from segpipe.telemetry.interpolate import length_m
    from segpipe.text import one_line_text

    def say(line: str) -> None:  # names of files and classes are other people's
        print(one_line_text(line))

    dataset = open_dataset(args.dataset)
    model, sources = dataset.manifest["model"], sources_of(dataset)
    sampling = {k: v for k, v in dataset.manifest["sampling"].items() if v} or "every frame"
    say(f"dataset:  {dataset.root}  ({size_on_disk(dataset) / 1e6:.1f} MB, schema {dataset.manifest['schema_version']})")
    say(f"model:    {model['source']}  (weights {model['digest']}, {model['precision']})")
    say(f"sampling: {sampling}")
    say(f"classes:  {', '.join(c.name for c in dataset.classes)}")
    say(f"frames:   {sum(s.frames for s in sources)} attempted, {sum(s.failed for s in sources)} failed")
    for s in sources:
        say(f"  {s.source_id}  {s.kind}  {s.frames} frames, {s.failed} failed  {s.uri}")
        facts = read_facts(dataset.root, s.source_id)
        for line in [] if facts is None else describe_facts(facts, length_m(facts.track)):
            say(f"    {line}")
        for line in describe_gaps(dataset, s.source_id) if s.kind == "stream" else []:
            say(f"    {line}")
    for line in describe_drives(all_facts(dataset.root)):
        say(line)
    return EXIT_OK


def overlay(args: Namespace) -> int:
    """`segpipe overlay`."""
    from tqdm import tqdm

    from segpipe.report.overlay import NOT_KEPT, records_of, source_ids
    from segpipe.report.overlay_video import write_overlay

    dataset = open_dataset(args.dataset)
    ids = source_ids(dataset)
    if not ids:
        streams = any(r.source.kind == "stream" for r in dataset.records())
        raise DatasetError(f"{args.dataset}: {NOT_KEPT if streams else 'no frame has a mask yet'}")
    chosen = args.source or ids[0]
    total = sum(r.frames - r.failed for r in records_of(dataset, chosen))
    with tqdm(total=total, unit="frame", desc=chosen, disable=None) as bar:
        frames = write_overlay(dataset, chosen, Path(args.output), bar.update)
    others = (
        f"; the dataset has {len(ids)} sources, choose with --source: {', '.join(ids[:10])}"
        if len(ids) > 1 and not args.source
        else ""
    )
    print(f"{args.output}: {frames} frames of {chosen}{others}")
    return EXIT_OK
