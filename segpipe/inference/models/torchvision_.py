"""Segmentation models of torchvision: its own weights, or a file of yours
(`torchvision:NAME?weights=FILE`)."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from segpipe.core.errors import ModelError
from segpipe.inference.models.closed import json_of
from segpipe.inference.models.hub import first_line
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.segpipe_json import (
    ClassEntry,
    class_entries,
    classes_of_outputs,
    threshold_of,
)
from segpipe.inference.models.spec import ModelSpec, Segmenter, file_digest
from segpipe.inference.models.torch_segmenter import TorchSegmenter
from segpipe.inference.models.weight_files import MAX_BYTES, check_sha256, check_weights

_PREPROCESSING = Preprocessing(
    shortest_edge=520,
    backend="torchvision",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
)
"""What the library's networks were trained with: ImageNet's normalisation."""


def load(
    source: str, name: str, allow_untrained: bool = False, sha256: str | None = None
) -> Segmenter:
    """Load `torchvision:NAME` with the library's newest weights, or those of `?weights=FILE`
    (safetensors, or a state dictionary that torch loads weights-only), with classes from
    `&classes=FILE.json` (a list of names, or of classes as in segpipe.json). Raises ModelError."""
    from torchvision import models

    name, options = _named(models, source, name)
    library_weights = models.get_model_weights(name).DEFAULT
    state, digest, trained = _state(
        source, library_weights, options.get("weights"), allow_untrained, sha256
    )
    entries = tuple(ClassEntry(str(n).strip("_")) for n in library_weights.meta["categories"])
    outputs = len(entries)
    if state is not None and "weights" in options:
        entries, outputs = _own_classes(source, options.get("classes")), _outputs(state, source)
    mismatch = (
        f"{options.get('classes', 'the library')} lists {{}} classes, but the weights "
        f"have {{}} outputs"
    )
    classes = classes_of_outputs(entries, outputs, source, mismatch)
    module = _network(models, source, name, outputs, state)
    spec = ModelSpec(
        source,
        digest,
        classes,
        _PREPROCESSING,
        trained=trained,
        threshold=threshold_of(outputs, None, source),
    )
    return TorchSegmenter(module, spec, lambda m, x: m(x)["out"])


def _named(models: Any, source: str, name: str) -> tuple[str, dict[str, str]]:
    """The network's name, and the options behind it."""
    name, _, query = name.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    known = models.list_models(module=models.segmentation)
    if (
        name not in known
        or set(options) - {"weights", "classes"}
        or ("classes" in options and "weights" not in options)
    ):
        raise ModelError(
            f"{source}: allowed are torchvision:NAME[?weights=FILE[&classes=FILE.json]] with "
            f"NAME one of {', '.join(known)}"
        )
    return name, options


def _network(
    models: Any, source: str, name: str, outputs: int, state: dict[str, Any] | None
) -> Any:
    """The network with these weights, or untrained."""
    module = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=outputs, aux_loss=_has_aux(state)
    )
    if state is not None:
        _check_channels(state, module, source)
        try:
            module.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise ModelError(
                f"{source}: the weights don't fit {name} ({' '.join(str(error).split())[:200]})"
            ) from None
    return module


def _state(
    source: str, library: Any, file: str | None, allow_untrained: bool, sha256: str | None
) -> tuple[dict[str, Any] | None, str, bool]:
    """The weights, their digest, and whether they were trained."""
    import torch

    if file is not None:
        path = Path(file).expanduser()
        if not path.is_file():
            raise ModelError(f"{source}: no weights file {file!r}")
        check_sha256([path], sha256, source)
        return _read(source, path), file_digest(path), True
    cached = Path(torch.hub.get_dir()) / "checkpoints" / library.url.rpartition("/")[2]
    try:
        _download(library.url, cached)
        check_sha256([cached], sha256, source)
        state = torch.load(cached, map_location="cpu", weights_only=True)
        return state, file_digest(cached), True
    except ModelError:
        raise
    except Exception as error:  # urllib's many kinds, and a cached file that is broken
        if allow_untrained:
            return None, "untrained", False
        raise ModelError(
            f"{source}: its weights can't be downloaded from {library.url.split('/')[2]} "
            f"({first_line(error)}); put the file "
            f"{cached.name} into {cached.parent}, or name yours with ?weights=FILE"
        ) from None


def _download(url: str, cached: Path) -> None:
    """Fetch the library's weights where they aren't cached; the end of their name is the beginning
    of their digest, which is checked."""
    import torch

    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        stated = re.search(r"-([0-9a-f]{8,})\.", cached.name)
        torch.hub.download_url_to_file(
            url, str(cached), hash_prefix=stated[1] if stated else None, progress=False
        )


def _read(source: str, path: Path) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        check_weights([path], source)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle that would run code, or a broken file
        raise ModelError(
            f"{source}: {path} isn't loaded: only safetensors or plain weights are "
            f"({first_line(error)})"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ModelError(f"{source}: {path} holds no state dictionary (names to tensors)")
    return state


def _check_archive(path: Path) -> None:
    """Raises ValueError for a file of torch that may unpack to more than its own size."""
    if not zipfile.is_zipfile(path):
        raise ValueError("no file of torch.save; save it again, or as safetensors")
    with zipfile.ZipFile(path) as archive:
        packed = [i.filename for i in archive.infolist() if i.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"{packed[0]} in it is compressed, which torch.save never does")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{size} bytes; at most {MAX_BYTES} are loaded")


def _outputs(state: dict[str, Any], source: str) -> int:
    heads = [k for k in state if k in {"classifier.4.weight", "classifier.low_classifier.weight"}]
    if not heads:
        raise ModelError(
            f"{source}: the weights hold no classifier of a torchvision segmentation model"
        )
    return int(state[heads[0]].shape[0])


def _own_classes(source: str, file: str | None) -> tuple[ClassEntry, ...]:
    if file is None:
        return ()  # never the library's names: nothing says that they are meant
    listed = json_of(Path(file).expanduser(), source)
    if not isinstance(listed, list):
        raise ModelError(f"{source}: the class list {file!r} isn't a JSON list")
    return class_entries(listed, source, file)


def _check_channels(state: dict[str, Any], module: Any, source: str) -> None:
    """Raises ModelError where the weights' first convolution doesn't take RGB."""
    first = next(k for k, v in module.state_dict().items() if v.ndim == 4)
    if first in state and state[first].ndim == 4 and state[first].shape[1] != 3:
        raise ModelError(
            f"{source}: the weights take {state[first].shape[1]} channels ({first}); segpipe "
            "gives the network 3, RGB"
        )


def _has_aux(state: dict[str, Any] | None) -> bool:
    return state is not None and any(k.startswith("aux_classifier") for k in state)
