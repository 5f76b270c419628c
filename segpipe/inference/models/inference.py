"""The same network, faster on inference: batch norms folded, copies avoided. Checked, or left
alone."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

Forward = Callable[[nn.Module, Tensor], Tensor]
_CHECK_SIZE = 128
_TOLERANCE = 1e-3


class HalvingSame(nn.Module):
    """TensorFlow's "same" padding for a convolution of stride 2, without copying the input into a
    padded one.

    For even sizes it pads one more pixel at the end than at the start. The same comes of equal
    padding and a kernel with a row and a column of zeros before the others. For odd sizes the
    original is called.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.original = conv
        self.weight = nn.Parameter(
            nn.functional.pad(conv.weight.detach(), (1, 0, 1, 0)), requires_grad=False
        )
        self.padding = conv.kernel_size[0] // 2

    def forward(self, x: Tensor) -> Tensor:
        conv = self.original
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            return conv(x)  # type: ignore[no-any-return]
        return nn.functional.conv2d(
            x, self.weight, conv.bias, conv.stride, self.padding, conv.dilation, conv.groups
        )


def for_inference(module: nn.Module, forward: Forward) -> nn.Module:
    """A faster module that computes the same, or the module itself where a trial on random input
    shows a difference.

    Modules are found by their order in the container, which isn't always the order of the
    computation: hence the trial.
    """
    module = module.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    candidate = copy.deepcopy(module)
    fold_batch_norms(candidate)
    halve_without_padding(candidate)
    add_instead_of_stacking(candidate)
    x = torch.randn(1, 3, _CHECK_SIZE, _CHECK_SIZE, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        try:
            before, after = forward(module, x), forward(candidate, x)
        except (RuntimeError, ValueError, AssertionError):  # a network that takes one size only
            return module
    scale = before.abs().mean().clamp_min(1e-6)
    return candidate if bool((before - after).abs().max() < _TOLERANCE * scale) else module


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution that stands before it in the same container.

    Works on timm's `BatchNormAct2d` too, whose activation stays.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for parent in list(module.modules()):
        previous: tuple[str, nn.Conv2d] | None = None
        for name, child in list(parent.named_children()):
            if (
                previous
                and isinstance(child, nn.BatchNorm2d)
                and previous[1].out_channels == child.num_features
            ):
                setattr(parent, previous[0], fuse_conv_bn_eval(previous[1], child))
                after = [
                    getattr(child, n)
                    for n in ("drop", "act")
                    if isinstance(getattr(child, n, None), nn.Module)
                ]
                setattr(parent, name, nn.Sequential(*after) if after else nn.Identity())
            previous = (name, child) if isinstance(child, nn.Conv2d) else None


def halve_without_padding(module: nn.Module) -> None:
    """Replace timm's `Conv2dSame` of stride 2 and an odd kernel by `HalvingSame`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "Conv2dSame" and isinstance(child, nn.Conv2d):
                square = (
                    child.kernel_size[0] == child.kernel_size[1] and child.kernel_size[0] % 2 == 1
                )
                if square and (child.stride, child.dilation) == ((2, 2), (1, 1)):
                    setattr(parent, name, HalvingSame(child))


def add_instead_of_stacking(module: nn.Module) -> None:
    """The FPN of segmentation-models-pytorch adds its levels by stacking them first, which copies
    each of them."""
    for part in module.modules():
        if type(part).__name__ == "MergeBlock" and getattr(part, "policy", None) == "add":
            part.forward = functools.partial(functools.reduce, torch.add)  # type: ignore[method-assign]
