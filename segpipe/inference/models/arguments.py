"""The arguments of a network in a model folder's `config.json`: those of its constructor and no
others, in sizes that can be; and the network made of them without memory first."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from segpipe.core.errors import ModelError
from segpipe.inference.models.closed import check_value
from segpipe.inference.models.kinds import OWN, build_kind
from segpipe.inference.models.spec import MAX_CLASSES

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_TIMM_ENCODER = re.compile(r"tu-[a-z0-9_]+(\.[a-z0-9_]+)?")
_OWN_ARGUMENTS = {
    "SimpleCNN": {"classes", "channels", "hidden", "kernel_size"},
    "TorchvisionNet": {"name", "classes"},
}
_OF_TIMM = frozenset({"drop_path_rate", "drop_rate", "dynamic_img_size"})
"""Arguments that go on to an encoder of timm: numbers and switches that open nothing."""
_RENAMED = "decoder_use_batchnorm"
"""What earlier versions of segmentation-models-pytorch called `decoder_use_norm`."""


def check_arguments(kind: str, arguments: dict[str, Any], origin: str) -> None:
    """Raises ModelError for an argument that the network doesn't have by name, or a value that is
    too large or leads out of the folder. `origin` names the file, and its model before it."""
    allowed = _allowed(kind)
    if unknown := sorted(set(arguments) - allowed):
        raise ModelError(
            f"{origin} has {', '.join(unknown)}; a model folder is closed, and {kind} takes "
            f"{', '.join(sorted(allowed - {_RENAMED}))}: remove the rest"
        )
    for key in ("encoder_name", "name"):
        _check_name(key, arguments.get(key, "resnet34"), origin)
    classes = arguments.get("classes", 1)
    if type(classes) is not int or not 1 <= classes <= MAX_CLASSES:
        raise ModelError(
            f"{origin}: classes is {str(classes)[:40]}; allowed are 1 to {MAX_CLASSES}, which "
            "fit a byte"
        )
    for key, value in arguments.items():
        check_value(value, key, origin)
        if key in _OF_TIMM and not isinstance(value, (bool, int, float)):
            raise ModelError(f"{origin}: {key} is {str(value)[:40]!r}; it is a number or a switch")


def _allowed(kind: str) -> set[str]:
    if kind in OWN:
        return _OWN_ARGUMENTS[kind]
    import segmentation_models_pytorch as library

    parameters = inspect.signature(getattr(library, kind).__init__).parameters.values()
    named = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"self"}
    return named | _OF_TIMM | ({_RENAMED} if "decoder_use_norm" in named else set())


def _check_name(key: str, value: Any, origin: str) -> None:
    """An encoder is one of the library's or a plain name of timm's; anything else may be an
    address."""
    from segmentation_models_pytorch.encoders import encoders

    plain = isinstance(value, str) and _NAME.fullmatch(value) is not None
    known = key == "name" or value in encoders or str(value).startswith("timm-")
    if not plain or not (known or _TIMM_ENCODER.fullmatch(value)):
        raise ModelError(
            f"{origin}: {key} is {str(value)[:80]!r}; allowed are the encoders of "
            "segmentation-models-pytorch and tu-NAME with the plain name of a timm model: a "
            "model folder is closed, and leads to no hub and no file"
        )


class _SpacedOnCpu(TorchFunctionMode):
    """Networks compute rates of dropout as numbers while they are built: these stay real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault("device", "cpu")
        return func(*args, **given)


def parameters_of_kind(kind: str, arguments: dict[str, Any]) -> int:
    """How many elements the network's tensors have, without memory for them. Whatever the library
    raises passes through."""
    with torch.device("meta"), _SpacedOnCpu():
        module = build_kind(kind, arguments)
    return elements_of(module)


def elements_of(module: torch.nn.Module) -> int:
    """Elements of all tensors of a network that a file of weights holds."""
    return sum(tensor.numel() for tensor in module.state_dict().values())


def check_elements(described: int, held: int, origin: str) -> None:
    """Raises ModelError where a configuration describes another, larger network than the weights
    hold."""
    if described > 2 * held + 1_000_000:
        raise ModelError(
            f"{origin} describes a network of {described} parameters, but the weights beside it "
            f"hold {held}; config and weights don't fit: get both from the same place"
        )
