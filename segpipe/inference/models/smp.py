"""Models of segmentation-models-pytorch: a hub id or a folder of `save_pretrained`.

Beside the library's `config.json` and `model.safetensors`, the folder may hold `segpipe.json` with
classes, threshold and preprocessing. Without it, the albumentations file that the library's
examples save is followed, or else the encoder's own normalisation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from segpipe.core.errors import ModelError
from segpipe.inference.models.arguments import (
    check_arguments,
    check_elements,
    parameters_of_kind,
)
from segpipe.inference.models.closed import read_json
from segpipe.inference.models.heads import mask_only
from segpipe.inference.models.hub import first_lines, is_local, model_folder, weights_in
from segpipe.inference.models.kinds import OWN, SMP_ARCHITECTURES, build_kind
from segpipe.inference.models.segpipe_json import (
    FILE,
    classes_of_outputs,
    read_model_file,
    threshold_of,
)
from segpipe.inference.models.smp_preprocessing import preprocessing_of
from segpipe.inference.models.spec import ModelSpec, Segmenter, file_digest
from segpipe.inference.models.torch_segmenter import TorchSegmenter
from segpipe.inference.models.weight_files import check_sha256, check_weights

PATTERNS = ["config.json", "model.safetensors", FILE, "albumentations_config_eval.json"]
_AFTER_LOGITS = ("softmax", "softmax2d", "logsoftmax", "argmax", "argmax2d")
"""Activations that come after the logits of classes that exclude each other: taken off, so that
logits come out."""


def load(source: str, name: str, sha256: str | None = None) -> Segmenter:
    """Load `smp:name`. Raises ModelError where files are missing, broken, or don't fit each
    other."""
    folder = model_folder(source, name, PATTERNS)
    return load_folder(source, folder, sha256, offline=is_local(name))


def load_folder(
    source: str, folder: Path, sha256: str | None = None, offline: bool = True
) -> Segmenter:
    """Load a folder that segmentation-models-pytorch saved, if its weights have the digest. With
    `offline`, nothing is asked for at the hub."""
    config = read_json(folder / "config.json", source)
    weights = weights_in(folder, source)
    check_sha256(weights, sha256, source)
    kind = config.pop("_model_class", None)
    if kind not in {*SMP_ARCHITECTURES, *OWN}:
        raise ModelError(
            f"{source}: {folder / 'config.json'} names no architecture of "
            f"segmentation-models-pytorch ({kind!r}); "
            f"allowed are {', '.join((*SMP_ARCHITECTURES, *OWN))}"
        )
    arguments = {k: v for k, v in config.items() if not k.startswith("_")}
    check_arguments(str(kind), arguments, f"{source}: {folder / 'config.json'}")
    outputs = int(arguments.get("classes", 1))
    _check_head(arguments, outputs, source)
    if kind in SMP_ARCHITECTURES:
        arguments["activation"] = None
    module = _loaded(str(kind), arguments, weights, folder, source)
    stated = read_model_file(folder, source)
    spec = ModelSpec(
        source,
        file_digest(*weights),
        classes_of_outputs(stated.classes, outputs, source),
        preprocessing_of(stated, folder, arguments, source, offline),
        threshold=threshold_of(outputs, stated.threshold, source),
    )
    with_label = kind in SMP_ARCHITECTURES and arguments.get("aux_params") is not None
    return TorchSegmenter(module, spec, mask_only(lambda m, x: m(x)) if with_label else None)


def _loaded(
    kind: str, arguments: dict[str, Any], weights: list[Path], folder: Path, source: str
) -> nn.Module:
    """The network with its weights. Their sizes are compared before anything is allocated."""
    from safetensors.torch import load_file

    held = check_weights(weights, source)
    try:
        described = parameters_of_kind(kind, arguments)
        check_elements(described, held, f"{source}: {folder / 'config.json'}")
        module = build_kind(kind, arguments)
        module.load_state_dict(load_file(weights[0]), strict=True)
    except ModelError:
        raise
    except Exception as error:
        # The library and safetensors raise many kinds for a config or weights that don't fit.
        raise ModelError(
            f"{source}: config and weights in {folder} don't fit ({first_lines(error)})"
        ) from None
    return module


def _check_head(arguments: dict[str, Any], outputs: int, source: str) -> None:
    """Raises ModelError for an input that isn't RGB, and for an activation without logits that
    compete before it."""
    channels = arguments.get("in_channels", 3)
    if channels != 3:
        raise ModelError(
            f"{source}: the network takes {channels} channels (in_channels); segpipe gives "
            "it 3, RGB"
        )
    activation = arguments.get("activation")
    if activation in (None, "identity") or (activation in _AFTER_LOGITS and outputs > 1):
        return
    if activation == "sigmoid" and outputs > 1:
        raise ModelError(
            f"{source}: activation sigmoid with {outputs} classes: they don't exclude each "
            "other, and segpipe gives each pixel "
            'one class. If they do exclude each other, set "activation": null in config.json, '
            "and the largest wins"
        )
    if activation != "sigmoid":
        count = "1 output" if outputs == 1 else f"{outputs} outputs"
        raise ModelError(
            f"{source}: activation {activation!r} with {count}; allowed are null, sigmoid for "
            "one output, and "
            f"{', '.join(_AFTER_LOGITS)} for several"
        )
