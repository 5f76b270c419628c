"""The faster network is the same network; where it wouldn't be, the original stays."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from segpipe.inference.models.inference import HalvingSame, for_inference


def stir(module: nn.Module) -> nn.Module:
    """Batch norms that aren't the identity."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


def call(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("FPN", "tu-tf_efficientnet_lite0"),
        ("Unet", "resnet18"),
        ("DeepLabV3Plus", "mobilenet_v2"),
        ("PSPNet", "densenet121"),
    ],
)
def test_the_output_is_the_same_and_the_work_less(architecture: str, encoder: str) -> None:
    module = stir(getattr(smp, architecture)(encoder, encoder_weights=None, classes=5))
    x = torch.randn(2, 3, 96, 160).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        before = module(x)
        faster = for_inference(module, call)
        assert torch.allclose(faster(x), before, rtol=1e-3, atol=1e-3 * float(before.abs().mean()))
    assert faster is not module
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (module, faster)]
    assert norms[1] < norms[0]
    assert encoder != "tu-tf_efficientnet_lite0" or any(
        isinstance(m, HalvingSame) for m in faster.modules()
    )


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (64, 97)])
def test_halving_is_the_same_convolution(kernel: int, size: tuple[int, int]) -> None:
    from timm.layers import Conv2dSame

    torch.manual_seed(0)
    conv = Conv2dSame(6, 6, kernel, stride=2, groups=6)
    x = torch.randn(2, 6, *size)
    assert torch.allclose(HalvingSame(conv)(x), conv(x), atol=1e-5)


class OutOfOrder(nn.Module):
    """Declared as convolution and norm, computed with an activation between them: folding would be
    wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(x)))


def test_a_network_that_would_change_is_left_alone() -> None:
    module = stir(OutOfOrder())
    assert for_inference(module, call) is module


class OneSize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != 33:
            raise ValueError("only 33 pixels wide")
        return x


def test_a_network_that_takes_one_size_is_left_alone() -> None:
    module = OneSize()
    assert for_inference(module, call) is module
