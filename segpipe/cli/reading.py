"""Commands that read a dataset: info, overlay."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from segpipe.cli.outputs import check_files
from segpipe.cli.progress import Progress
from segpipe.core.errors import EXIT_OK, DatasetError
from segpipe.core.text import counted
from segpipe.store.dataset import open_dataset


def info(args: Namespace) -> int:
    """`segpipe info`."""
    from segpipe.analysis.report.source_text import describe_metadata
    from segpipe.analysis.report.summary import describe_gaps, size_on_disk, sources_of
    from segpipe.core.text import one_line_text
    from segpipe.sources import source_of
    from segpipe.store.sources import all_source_metadata, read_source_metadata
    from segpipe.telemetry.drives import describe_drives
    from segpipe.telemetry.interpolate import length_m

    def say(line: str) -> None:  # names of files and classes are other people's
        print(one_line_text(line))

    dataset = open_dataset(args.dataset)
    model = dataset.manifest.model
    sources = sources_of(dataset)
    settings = dataset.manifest.sampling.model_dump(exclude={"stream"})
    sampling = {k: v for k, v in settings.items() if v} or "every frame"
    say(
        f"dataset:  {dataset.root}  ({size_on_disk(dataset) / 1e6:.1f} MB, schema "
        f"{dataset.manifest.schema_version})"
    )
    say(f"model:    {model.source}  (weights {model.digest}, {model.precision})")
    say(f"sampling: {sampling}")
    say(f"classes:  {', '.join(c.name for c in dataset.classes)}")
    say(
        f"frames:   {sum(s.frames for s in sources)} attempted, "
        f"{sum(s.failed for s in sources)} failed"
    )
    for s in sources:
        say(f"  {s.source_id}  {s.kind}  {counted(s.frames, 'frame')}, {s.failed} failed  {s.uri}")
        facts = read_source_metadata(dataset.root, s.source_id)
        for line in [] if facts is None else describe_metadata(facts, length_m(facts.track)):
            say(f"    {line}")
        for line in [] if source_of(s.kind).replayable else describe_gaps(dataset, s.source_id):
            say(f"    {line}")
    for line in describe_drives(all_source_metadata(dataset.root)):
        say(line)
    return EXIT_OK


def overlay(args: Namespace) -> int:
    """`segpipe overlay`."""
    from segpipe.analysis.report.overlay import NOT_KEPT, records_of, source_ids
    from segpipe.analysis.report.overlay_video import write_overlay
    from segpipe.sources import source_of

    check_files([args.output], args.force)
    dataset = open_dataset(args.dataset, tuple(args.footage))
    ids = source_ids(dataset)
    if not ids:
        streams = any(not source_of(r.source.kind).replayable for r in dataset.records())
        raise DatasetError(f"{args.dataset}: {NOT_KEPT if streams else 'no frame has a mask yet'}")
    chosen = args.source or ids[0]
    total = sum(r.frames - r.failed for r in records_of(dataset, chosen))
    with Progress(chosen, "frame", total, quiet=args.quiet > 0) as bar:
        frames = write_overlay(dataset, chosen, Path(args.output), bar.update)
    others = (
        f"; the dataset has {len(ids)} sources, choose with --source: {', '.join(ids[:10])}"
        if len(ids) > 1 and not args.source
        else ""
    )
    print(f"{args.output}: {counted(frames, 'frame')} of {chosen}{others}")
    return EXIT_OK
