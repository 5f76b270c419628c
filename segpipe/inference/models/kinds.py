"""Networks that a model folder's `config.json` can name: segmentation-models-pytorch's,
torchvision's, `SimpleCNN`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from segpipe.core.errors import ModelError
from segpipe.inference.models.simple_cnn import SimpleCNN

SMP_ARCHITECTURES = (
    "Unet",
    "UnetPlusPlus",
    "FPN",
    "PSPNet",
    "DeepLabV3",
    "DeepLabV3Plus",
    "Linknet",
    "MAnet",
    "PAN",
    "UPerNet",
    "Segformer",
    "DPT",
)


class TorchvisionNet(nn.Module):
    """A segmentation model of torchvision whose `forward` gives the logits alone, float [N,
    classes, h, w]."""

    def __init__(self, name: str, classes: int, weights_backbone: str | None = None) -> None:
        super().__init__()
        from torchvision import models

        self.config: dict[str, Any] = {
            "_model_class": "TorchvisionNet",
            "name": name,
            "classes": classes,
        }
        self.inner: nn.Module = models.get_model(
            name, weights=None, weights_backbone=weights_backbone, num_classes=classes
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)["out"]
        return found


OWN: dict[str, type[nn.Module]] = {"SimpleCNN": SimpleCNN, "TorchvisionNet": TorchvisionNet}


def build_kind(kind: str, arguments: dict[str, Any]) -> nn.Module:
    """The untrained network that `_model_class` and its arguments describe. Whatever the library
    raises passes through."""
    if kind in OWN:
        return OWN[kind](**arguments)
    import segmentation_models_pytorch as library

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: nn.Module = getattr(library, kind)(**{**arguments, "encoder_weights": None})
    return module


def read_weights(source: str) -> dict[str, Tensor]:
    """The tensors of a trained model's folder, or of an embedded model. Raises ModelError."""
    from safetensors.torch import load_file

    from segpipe.inference.models.builtin import BUILTIN, builtin_names
    from segpipe.inference.models.hub import weights_in
    from segpipe.inference.models.weight_files import check_weights

    scheme, _, name = source.partition(":")
    folder = (
        BUILTIN / name
        if scheme == "builtin" and name in builtin_names()
        else Path(source.removeprefix("smp:")).expanduser()
    )
    if not folder.is_dir():
        raise ModelError(
            f"{source}: no such model folder; name one with config.json and model.safetensors, "
            "or builtin:NAME"
        )
    files = weights_in(folder, source)
    check_weights(files, source)
    return {k: v for file in files for k, v in load_file(file).items()}
