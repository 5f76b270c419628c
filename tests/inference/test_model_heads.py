"""What a network's head gives: probabilities aren't softmaxed again, a second output is left out,
the input is RGB."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from segpipe.core.errors import ConfigError, ModelError
from segpipe.inference import models
from segpipe.training.networks import build_network
from segpipe.training.settings import Network
from tests.inference.test_one_class import input_and_picture, result_of, save_segformer, save_unet


@pytest.mark.parametrize("activation", ["softmax", "softmax2d", "logsoftmax", "identity", None])
def test_confidence_is_the_networks_own_probability(tmp_path: Path, activation: str | None) -> None:
    network = save_unet(tmp_path, classes=4, activation=activation)
    x, rgb = input_and_picture()
    with torch.inference_mode():
        network.segmentation_head[2] = torch.nn.Identity()
        p = network(x)[0].softmax(0)
    result = result_of(models.load(f"smp:{tmp_path}"), rgb)
    top = p.max(0).values
    assert np.mean(result.labels == p.argmax(0).numpy()) > 0.999
    s = result.statistics
    shares = s.pixel_count[0] / s.pixel_count[0].sum()
    assert np.nansum(shares * s.confidence[0]) == pytest.approx(float(top.mean()), abs=1e-3)
    assert s.mean_entropy == pytest.approx(float(torch.special.entr(p).sum(0).mean()), abs=1e-3)


@pytest.mark.parametrize(
    ("activation", "classes", "said"),
    [
        (
            "sigmoid",
            3,
            r"3 classes: they don't exclude each other.*\"activation\": null in config.json",
        ),
        ("tanh", 3, "activation 'tanh' with 3 outputs; allowed are null"),
        (
            "softmax2d",
            1,
            "activation 'softmax2d' with 1 output; allowed are null, sigmoid for one output",
        ),
        ("clamp", 2, "activation 'clamp'"),
    ],
)
def test_activations_without_a_probability_for_each_class(
    tmp_path: Path, activation: str, classes: int, said: str
) -> None:
    save_unet(tmp_path, classes=classes)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"activation": activation}))
    with pytest.raises(ModelError, match=said):
        models.load(f"smp:{tmp_path}")


def test_a_network_with_an_image_level_label_too(tmp_path: Path) -> None:
    network = save_unet(tmp_path, classes=3, aux_params={"classes": 5})
    x, rgb = input_and_picture()
    with torch.inference_mode():
        expected = network(x)[0]
        found = models.load(f"smp:{tmp_path}").logits(torch.from_numpy(rgb)[None])
    assert torch.allclose(found, expected, atol=1e-3)


def test_an_input_that_is_not_rgb_is_refused(tmp_path: Path) -> None:
    from torchvision.models import segmentation

    save_unet(tmp_path / "smp", classes=3, in_channels=4)
    with pytest.raises(ModelError, match=r"takes 4 channels \(in_channels\); segpipe gives it 3"):
        models.load(f"smp:{tmp_path / 'smp'}")
    save_segformer(tmp_path / "hf", {0: "a", 1: "b"}, num_channels=1)
    with pytest.raises(ModelError, match=r"takes 1 channels \(num_channels\)"):
        models.load(f"hf:{tmp_path / 'hf'}")
    network = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=2
    )
    first = network.backbone["0"][0]
    network.backbone["0"][0] = torch.nn.Conv2d(1, first.out_channels, 3, 2, 1, bias=False)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"the weights take 1 channels \(backbone"):
        models.load(f"torchvision:lraspp_mobilenet_v3_large?weights={tmp_path / 'w.pth'}")


def test_training_takes_no_head_of_ones_own() -> None:
    for key, value in (
        ("activation", "softmax"),
        ("aux_params", {"classes": 2}),
        ("in_channels", 4),
        ("classes", 9),
    ):
        settings = Network(encoder="resnet18", weights="none", options={key: value})
        with pytest.raises(ConfigError, match=rf"network.options: {key} can't be set"):
            build_network(settings, 3)


def test_the_shipped_librarys_default_is_still_a_model_of_ours(tmp_path: Path) -> None:
    """`save_pretrained` writes activation and aux_params as null; nothing is taken off."""
    save_unet(tmp_path, classes=2)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["activation"], config["aux_params"], config["in_channels"]) == (None, None, 3)
    assert isinstance(smp.from_pretrained(str(tmp_path)), smp.Unet)
    assert models.load(f"smp:{tmp_path}").spec.threshold is None
