"""Models by URI: `builtin:street`, `smp:ID`, `hf:ID`, `torchvision:NAME`, `fake:`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from segpipe.errors import ModelError
from segpipe.models.fake import FakeSegmenter
from segpipe.models.preprocess import Preprocessing
from segpipe.models.spec import ClassInfo, ModelSpec, Segmenter

__all__ = ["LOADERS", "ClassInfo", "FakeSegmenter", "Loader", "ModelSpec", "Preprocessing", "Segmenter", "builtin_names", "load"]

log = logging.getLogger(__name__)
BUILTIN = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Loader:
    """One scheme of model URIs: what comes after the colon, and what it is."""

    scheme: str
    example: str
    what: str


LOADERS = (
    Loader("builtin", "builtin:street", "embedded in segpipe: no download, no network"),
    Loader(
        "smp", "smp:ID or smp:./folder", "segmentation-models-pytorch: hub id, or a folder of save_pretrained or of segpipe train"
    ),
    Loader("hf", "hf:ID or hf:./folder", "transformers: semantic and universal segmentation (extra 'hf')"),
    Loader("torchvision", "torchvision:NAME", "torchvision's segmentation models; ?weights=FILE for your own weights"),
    Loader("fake", "fake:", "no network: nearest colour; for tests and dry runs"),
)


def builtin_names() -> list[str]:
    """Names of the embedded models."""
    return sorted(p.parent.name for p in BUILTIN.glob("*/config.json"))


def load(source: str, allow_untrained: bool = False) -> Segmenter:
    """Load a model by its URI. Raises ModelError with what was found, what is allowed and what to do.

    A model of which some weights were never trained is refused, unless `allow_untrained`; then it says so in the log.
    """
    scheme, colon, name = source.partition(":")
    if not colon and (Path(source).expanduser() / "config.json").is_file():  # a folder that `segpipe train` wrote
        scheme, colon, name = "smp", ":", source
    if not colon or scheme not in {loader.scheme for loader in LOADERS}:
        examples = ", ".join(loader.example for loader in LOADERS)
        raise ModelError(f"{source!r} is no model URI; allowed are {examples}")
    if scheme == "fake":
        return FakeSegmenter()
    if scheme == "builtin":
        if name not in builtin_names():
            raise ModelError(f"{source}: no such embedded model; there is {', '.join(builtin_names()) or 'none'}")
        from segpipe.models import smp

        return smp.load_folder(source, BUILTIN / name)
    module = import_module(f"segpipe.models.{scheme}_" if scheme == "torchvision" else f"segpipe.models.{scheme}")
    segmenter: Segmenter = module.load(source, name) if scheme == "smp" else module.load(source, name, allow_untrained)
    if not segmenter.spec.trained:
        if not allow_untrained:
            raise ModelError(
                f"{source}: some of its weights were never trained, so its labels mean nothing; choose trained weights, "
                "or set model.allow_untrained=true for a smoke test"
            )
        log.warning("%s: some weights were never trained: the labels mean nothing", source)
    return segmenter
