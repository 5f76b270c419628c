"""Segmentation models of torchvision: its own weights, or a file of yours (`torchvision:NAME?weights=FILE`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from segpipe.errors import ModelError
from segpipe.models.colours import colour_of
from segpipe.models.hub import _line
from segpipe.models.preprocess import Preprocessing
from segpipe.models.spec import ClassInfo, ModelSpec, Segmenter, file_digest
from segpipe.models.torch_segmenter import TorchSegmenter

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESIZE_EDGE = 520


def load(source: str, name: str, allow_untrained: bool = False) -> Segmenter:
    """Load `torchvision:NAME` with the library's newest weights, or those of `?weights=FILE` (safetensors, or a state
    dictionary that torch loads weights-only), with class names from `&classes=FILE.json` (a list). Raises ModelError."""
    from torchvision import models

    name, _, query = name.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = models.list_models(module=models.segmentation)
    if name not in known or set(options) - {"weights", "classes"} or ("classes" in options and "weights" not in options):
        raise ModelError(
            f"{source}: allowed are torchvision:NAME[?weights=FILE[&classes=FILE.json]] with NAME one of {', '.join(known)}"
        )
    library_weights = models.get_model_weights(name).DEFAULT
    state, digest, trained = _state(source, library_weights, options.get("weights"), allow_untrained)
    names = list(library_weights.meta["categories"])
    if state is not None and "weights" in options:
        names = _own_names(source, options.get("classes"), _outputs(state, source))
    module = models.get_model(name, weights=None, weights_backbone=None, num_classes=len(names), aux_loss=_has_aux(state))
    if state is not None:
        try:
            module.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise ModelError(f"{source}: the weights don't fit {name} ({' '.join(str(error).split())[:200]})") from None
    prep = Preprocessing(shortest_edge=RESIZE_EDGE, backend="torchvision", mean=IMAGENET_MEAN, std=IMAGENET_STD, scale=1 / 255)
    classes = tuple(ClassInfo(i, n.strip("_"), colour_of(i, n.strip("_"))) for i, n in enumerate(names))
    spec = ModelSpec(source, digest, classes, prep, trained=trained)
    return TorchSegmenter(module, spec, lambda m, x: m(x)["out"])


def _state(source: str, library: Any, file: str | None, allow_untrained: bool) -> tuple[dict[str, Any] | None, str, bool]:
    """The weights, their digest, and whether they were trained."""
    import torch

    if file is not None:
        path = Path(file).expanduser()
        if not path.is_file():
            raise ModelError(f"{source}: no weights file {file!r}")
        return _read(source, path), file_digest(path), True
    cached = Path(torch.hub.get_dir()) / "checkpoints" / library.url.rpartition("/")[2]
    try:
        return library.get_state_dict(progress=False), file_digest(cached), True
    except Exception as error:  # urllib's many kinds, and a cached file that is broken
        if allow_untrained:
            return None, "untrained", False
        raise ModelError(
            f"{source}: its weights can't be downloaded from {library.url.split('/')[2]} ({_line(error)}); put the file "
            f"{cached.name} into {cached.parent}, or name yours with ?weights=FILE"
        ) from None


def _read(source: str, path: Path) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle that would run code, or a broken file
        raise ModelError(f"{source}: {path} isn't loaded: only safetensors or plain weights are ({_line(error)})") from None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelError(f"{source}: {path} holds no state dictionary (names to tensors)")
    return state


def _outputs(state: dict[str, Any], source: str) -> int:
    heads = [k for k in state if k in {"classifier.4.weight", "classifier.low_classifier.weight"}]
    if not heads:
        raise ModelError(f"{source}: the weights hold no classifier of a torchvision segmentation model")
    return int(state[heads[0]].shape[0])


def _own_names(source: str, file: str | None, outputs: int) -> list[str]:
    if file is None:
        return [f"class_{i}" for i in range(outputs)]  # never the library's names: nothing says that they are meant
    try:
        names = [str(n) for n in json.loads(Path(file).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{source}: the class list {file!r} can't be read as a JSON list ({_line(error)})") from None
    if len(names) != outputs:
        raise ModelError(f"{source}: {file} lists {len(names)} classes, but the weights have {outputs} outputs")
    return names


def _has_aux(state: dict[str, Any] | None) -> bool:
    return state is not None and any(k.startswith("aux_classifier") for k in state)
