"""Models by URI: `builtin:street`, `smp:ID`, `hf:ID`, `torchvision:NAME`, `fake:`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from segpipe.core.errors import ModelError
from segpipe.inference.models.builtin import BUILTIN, builtin_names
from segpipe.inference.models.fake import FakeSegmenter
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.spec import ClassInfo, ModelSpec, Segmenter
from segpipe.inference.models.weight_files import check_sha256

__all__ = [
    "LOADERS",
    "ClassInfo",
    "FakeSegmenter",
    "Loader",
    "ModelSpec",
    "Preprocessing",
    "Segmenter",
    "builtin_names",
    "load",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loader:
    """One scheme of model URIs: what comes after the colon, and what it is."""

    scheme: str
    example: str
    what: str


LOADERS = (
    Loader("builtin", "builtin:street", "embedded in segpipe: no download, no network"),
    Loader(
        "smp",
        "smp:ID or smp:./folder",
        "segmentation-models-pytorch: hub id, or a folder of save_pretrained or of segpipe train",
    ),
    Loader(
        "hf",
        "hf:ID or hf:./folder",
        "transformers: semantic and universal segmentation (extra 'hf')",
    ),
    Loader(
        "torchvision",
        "torchvision:NAME",
        "torchvision's segmentation models; ?weights=FILE for your own weights",
    ),
    Loader("fake", "fake:", "no network: nearest colour; for tests and dry runs"),
)


def load(
    source: str,
    allow_untrained: bool = False,
    threshold: float | None = None,
    sha256: str | None = None,
) -> Segmenter:
    """Load a model by its URI. Raises ModelError with what was found, what is allowed and what to
    do.

    A model of which some weights were never trained is refused, unless `allow_untrained`; then it
    says so in the log. `threshold` replaces that of a one-class model; any other model has none,
    and is refused. Weights whose SHA-256 isn't `sha256` are refused before they are loaded.
    """
    segmenter = _load(source, allow_untrained, sha256)
    if threshold is None:
        return segmenter
    from segpipe.inference.models.torch_segmenter import TorchSegmenter

    if segmenter.spec.threshold is None or not isinstance(segmenter, TorchSegmenter):
        raise ModelError(
            f"{source}: model.threshold is for models with one class and a sigmoid; this one "
            "chooses among "
            f"{len(segmenter.spec.classes)} classes: leave it out"
        )
    return segmenter.with_threshold(threshold)


def _load(source: str, allow_untrained: bool, sha256: str | None) -> Segmenter:
    scheme, colon, name = source.partition(":")
    # A folder that `segpipe train` wrote
    if not colon and (Path(source).expanduser() / "config.json").is_file():
        scheme, colon, name = "smp", ":", source
    if not colon or scheme not in {loader.scheme for loader in LOADERS}:
        examples = ", ".join(loader.example for loader in LOADERS)
        raise ModelError(f"{source!r} is no model URI; allowed are {examples}")
    if scheme == "fake":
        check_sha256([], sha256, source)
        return FakeSegmenter()
    if scheme == "builtin":
        if name not in builtin_names():
            raise ModelError(
                f"{source}: no such embedded model; there is {', '.join(builtin_names()) or 'none'}"
            )
        from segpipe.inference.models import smp

        return smp.load_folder(source, BUILTIN / name, sha256)
    module = import_module(
        f"segpipe.inference.models.{scheme}_"
        if scheme == "torchvision"
        else f"segpipe.inference.models.{scheme}"
    )
    segmenter: Segmenter = (
        module.load(source, name, sha256=sha256)
        if scheme == "smp"
        else module.load(source, name, allow_untrained, sha256=sha256)
    )
    if not segmenter.spec.trained:
        if not allow_untrained:
            raise ModelError(
                f"{source}: some of its weights were never trained, so its labels mean nothing; "
                "choose trained weights, "
                "or set model.allow_untrained=true for a smoke test"
            )
        log.warning("%s: some weights were never trained: the labels mean nothing", source)
    return segmenter
