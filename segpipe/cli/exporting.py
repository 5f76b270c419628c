"""The command export: a model as ONNX, or a dataset as files of other programs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from segpipe.analysis.export import EXPORTS, export_dataset
from segpipe.cli.outputs import check_files, check_new_export
from segpipe.cli.progress import Progress
from segpipe.core.errors import EXIT_OK, ConfigError
from segpipe.core.extras import require
from segpipe.core.text import counted, one_line_text

ONNX = "onnx"


def export(args: Namespace) -> int:
    """`segpipe export`."""
    if args.format in EXPORTS:
        return _export_dataset(args)
    if not _is_model(args.source) and _is_dataset(args.source):
        raise ConfigError(
            f"{args.source} is a dataset: give --format NAME and -o FOLDER; allowed are "
            f"{', '.join(EXPORTS)} ({ONNX} is for models)"
        )
    return _export_model(args)


def _is_model(text: str) -> bool:
    """Whether an argument begins as model URIs do, such as `builtin:`."""
    from segpipe.inference.models import LOADERS

    return text.partition(":")[0] in {loader.scheme for loader in LOADERS} and ":" in text


def _is_dataset(text: str) -> bool:
    """Whether an argument names a dataset: a folder with dataset.json, or a URL."""
    return "://" in text or (Path(text).expanduser() / "dataset.json").is_file()


def _export_dataset(args: Namespace) -> int:
    from segpipe.store.dataset import open_dataset

    if _is_model(args.source):
        raise ConfigError(
            f"{args.source} is a model: --format {args.format} exports datasets; allowed for a "
            f"model is {ONNX}"
        )
    if args.output is None:
        raise ConfigError(f"--format {args.format} writes a folder: give -o FOLDER")
    if EXPORTS[args.format].extra:
        require(EXPORTS[args.format].extra, f"segpipe export --format {args.format}")
    check_new_export(args.output, args.force)
    dataset = open_dataset(args.source)
    total = sum(r.frames - r.failed for r in dataset.records())
    with Progress("export", "frame", total, quiet=bool(args.quiet)) as bar:
        frames = export_dataset(
            dataset, args.format, Path(args.output), force=args.force, on_frames=bar.update
        )
    print(f"{one_line_text(args.output)}: {counted(frames, 'frame')} as {args.format}")
    return EXIT_OK


def _export_model(args: Namespace) -> int:
    require("export", "segpipe export")
    from segpipe.inference.models import load
    from segpipe.training.evaluation.onnx_export import check_name, export_onnx

    output = args.output or "model.onnx"
    check_name(Path(output))
    check_files([output], args.force)
    segmenter = load(args.source)
    done = export_onnx(segmenter, Path(output))
    tried = ", ".join(f"{n}x{h}x{w}" for n, h, w in done.sizes)
    print(f"{done.path}  ({done.path.stat().st_size / 1e6:.1f} MB)")
    print(
        f"differs from torch by at most {done.worst:.1e} of the largest logit (random pixels, "
        f"{tried})"
    )
    if (threshold := segmenter.spec.threshold) is not None:
        name = segmenter.spec.classes[1].name
        print(
            f"logits are 0 and z: a pixel is {name} where sigmoid(z) > {threshold:g} "
            "(model.threshold)"
        )
    return EXIT_OK
