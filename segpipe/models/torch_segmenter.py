"""A `Segmenter` around a torch module: normalise on the device, run, give logits at the network's own resolution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segpipe.models.spec import ModelSpec


class TorchSegmenter:
    """Wraps a module in evaluation mode. `forward` takes the module and a normalised batch and gives logits."""

    def __init__(self, module: nn.Module, spec: ModelSpec, forward: Callable[[nn.Module, Tensor], Tensor] | None = None) -> None:
        self.module = module.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._spec = spec
        self._forward = forward or (lambda m, x: m(x))
        prep = spec.preprocessing
        # (x * scale - mean) / std as one multiplication and one addition
        self._gain = torch.tensor([prep.scale / s for s in prep.std])
        self._shift = torch.tensor([-m / s for m, s in zip(prep.mean, prep.std, strict=True)])

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def to(self, device: torch.device) -> TorchSegmenter:
        self.module.to(device)
        self._gain, self._shift = self._gain.to(device), self._shift.to(device)
        return self

    def logits(self, pixels: Tensor) -> Tensor:
        # [N, h, w, 3] seen as [N, 3, h, w] is channels-last already: the permutation copies nothing.
        x = (pixels.float() * self._gain + self._shift).permute(0, 3, 1, 2)
        return self._forward(self.module, x).float()


def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution that comes before it in the same container, for inference.

    Works on timm's `BatchNormAct2d` too, whose activation stays. The result is the same function up to rounding.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for parent in module.modules():
        previous: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if previous and isinstance(child, nn.BatchNorm2d) and _fits(previous[1], child):
                setattr(parent, previous[0], fuse_conv_bn_eval(previous[1], child))  # type: ignore[type-var]
                setattr(parent, name, _what_remains(child))
            previous = (name, child) if isinstance(child, nn.Conv2d) else None
    return module


def _fits(conv: nn.Module, norm: nn.BatchNorm2d) -> bool:
    return isinstance(conv, nn.Conv2d) and conv.out_channels == norm.num_features and norm.track_running_stats


def _what_remains(norm: nn.BatchNorm2d) -> nn.Module:
    after = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*after) if after else nn.Identity()
