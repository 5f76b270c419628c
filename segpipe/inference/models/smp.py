"""Models of segmentation-models-pytorch: a hub id or a folder of `save_pretrained`.

Beside the library's `config.json` and `model.safetensors`, the folder may hold `segpipe.json` with
classes, threshold and preprocessing. Without it, the albumentations file that the library's
examples save is followed, or else the encoder's own normalisation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.inference.models.heads import mask_only
from segpipe.inference.models.hub import first_lines, model_folder, weights_in
from segpipe.inference.models.kinds import OWN, SMP_ARCHITECTURES, build_kind
from segpipe.inference.models.segpipe_json import (
    FILE,
    classes_of_outputs,
    read_json,
    read_model_file,
    threshold_of,
)
from segpipe.inference.models.smp_preprocessing import preprocessing_of
from segpipe.inference.models.spec import ModelSpec, Segmenter, file_digest
from segpipe.inference.models.torch_segmenter import TorchSegmenter

PATTERNS = ["config.json", "model.safetensors", FILE, "albumentations_config_eval.json"]
_AFTER_LOGITS = ("softmax", "softmax2d", "logsoftmax", "argmax", "argmax2d")
"""Activations that come after the logits of classes that exclude each other: taken off, so that
logits come out."""


def load(source: str, name: str) -> Segmenter:
    """Load `smp:name`. Raises ModelError where files are missing, broken, or don't fit each
    other."""
    return load_folder(source, model_folder(source, name, PATTERNS))


def load_folder(source: str, folder: Path) -> Segmenter:
    """Load a folder that segmentation-models-pytorch saved."""
    from safetensors.torch import load_file

    config = read_json(folder / "config.json", source)
    weights = weights_in(folder, source)
    kind = config.pop("_model_class", None)
    if kind not in {*SMP_ARCHITECTURES, *OWN}:
        raise ModelError(
            f"{source}: {folder / 'config.json'} names no architecture of "
            f"segmentation-models-pytorch ({kind!r}); "
            f"allowed are {', '.join((*SMP_ARCHITECTURES, *OWN))}"
        )
    arguments = {k: v for k, v in config.items() if not k.startswith("_")}
    outputs = int(arguments.get("classes", 1))
    _check_arguments(arguments, outputs, source)
    if kind in SMP_ARCHITECTURES:
        arguments["activation"] = None
    try:
        module = build_kind(kind, arguments)
        state = load_file(weights[0])
        module.load_state_dict(state, strict=True)
    except Exception as error:
        # The library and safetensors raise many kinds for a config or weights that don't fit.
        raise ModelError(
            f"{source}: config and weights in {folder} don't fit ({first_lines(error)})"
        ) from None
    del state
    stated = read_model_file(folder, source)
    spec = ModelSpec(
        source,
        file_digest(*weights),
        classes_of_outputs(stated.classes, outputs, source),
        preprocessing_of(stated, folder, arguments, source),
        threshold=threshold_of(outputs, stated.threshold, source),
    )
    with_label = kind in SMP_ARCHITECTURES and arguments.get("aux_params") is not None
    return TorchSegmenter(module, spec, mask_only(lambda m, x: m(x)) if with_label else None)


def _check_arguments(arguments: dict[str, Any], outputs: int, source: str) -> None:
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
