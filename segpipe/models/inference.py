"""The same network, faster on inference: batch norms folded, 1x1 convolutions as matrix products. Checked, or left alone."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

Forward = Callable[[nn.Module, Tensor], Tensor]
_CHECK_SIZE = 128
_TOLERANCE = 1e-3


class Pointwise(nn.Module):
    """A 1x1 convolution as a matrix product over channels-last pixels.

    Torch's convolution takes a slow path for 1x1 kernels on one thread, and the lanes of a CPU run on one thread each.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().flatten(1).contiguous(), requires_grad=False)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def for_inference(module: nn.Module, forward: Forward) -> nn.Module:
    """A faster module that computes the same, or the module itself where a trial on random input shows a difference.

    Modules are found by their order in the container, which isn't always the order of the computation: hence the trial.
    """
    module = module.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    candidate = copy.deepcopy(module)
    fold_batch_norms(candidate)
    use_matrix_products(candidate)
    add_instead_of_stacking(candidate)
    x = torch.randn(1, 3, _CHECK_SIZE, _CHECK_SIZE, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        try:
            before, after = forward(module, x), forward(candidate, x)
        except (RuntimeError, ValueError):  # a network that takes one size only
            return module
    scale = before.abs().mean().clamp_min(1e-6)
    return candidate if bool((before - after).abs().max() < _TOLERANCE * scale) else module


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution that stands before it in the same container.

    Works on timm's `BatchNormAct2d` too, whose activation stays.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for parent in module.modules():
        previous: tuple[str, nn.Conv2d] | None = None
        for name, child in list(parent.named_children()):
            if previous and isinstance(child, nn.BatchNorm2d) and previous[1].out_channels == child.num_features:
                setattr(parent, previous[0], fuse_conv_bn_eval(previous[1], child))
                after = [getattr(child, n) for n in ("drop", "act") if isinstance(getattr(child, n, None), nn.Module)]
                setattr(parent, name, nn.Sequential(*after) if after else nn.Identity())
            previous = (name, child) if isinstance(child, nn.Conv2d) else None


def use_matrix_products(module: nn.Module) -> None:
    """Replace plain 1x1 convolutions by `Pointwise`."""
    for parent in module.modules():
        for name, child in list(parent.named_children()):
            plain = isinstance(child, nn.Conv2d) and (child.kernel_size, child.stride, child.groups) == ((1, 1), (1, 1), 1)
            if plain and child.padding in ((0, 0), "valid") and type(child) is nn.Conv2d:
                setattr(parent, name, Pointwise(child))


def add_instead_of_stacking(module: nn.Module) -> None:
    """The FPN of segmentation-models-pytorch adds its levels by stacking them first, which copies each of them."""
    for part in module.modules():
        if type(part).__name__ == "MergeBlock" and getattr(part, "policy", None) == "add":
            part.forward = functools.partial(functools.reduce, torch.add)  # type: ignore[method-assign]
