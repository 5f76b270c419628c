"""Each loader on a checkpoint that the test makes and saves; what can't be trusted or doesn't fit
is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from segpipe.core.errors import ModelError
from segpipe.inference import models
from segpipe.inference.models import Preprocessing
from segpipe.inference.models.hf_preprocessing import preprocessing_of
from tests.footage import picture

transformers = pytest.importorskip("transformers")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub at a port of this machine where nobody listens: a real connection that is refused."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def logits_of(segmenter: models.Segmenter, rgb: np.ndarray) -> torch.Tensor:
    pixels, _ = segmenter.spec.preprocessing.apply(rgb)
    with torch.inference_mode():
        return segmenter.logits(torch.from_numpy(pixels)[None])


def save_smp(folder: Path, classes: int = 4) -> smp.Unet:
    torch.manual_seed(0)
    model = smp.Unet(
        "resnet18", encoder_weights=None, classes=classes, decoder_channels=(32, 16, 16, 8, 8)
    ).eval()
    # Batch norms that aren't the identity, so that folding them is put to the test
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    model.save_pretrained(folder)
    return model


def test_smp_folder(tmp_path: Path) -> None:
    model = save_smp(tmp_path / "m", classes=2)
    (tmp_path / "m" / "segpipe.json").write_text(
        json.dumps(
            {
                "classes": [
                    {"id": 0, "name": "floor", "colour": [1, 2, 3]},
                    {"id": 1, "name": "wall"},
                ],
                "preprocessing": {
                    "height": 64,
                    "width": 96,
                    "mean": [10.0, 20.0, 30.0],
                    "std": [50.0, 60.0, 70.0],
                },
            }
        )
    )
    found = models.load(f"smp:{tmp_path / 'm'}")
    assert [c.name for c in found.spec.classes] == ["floor", "wall"]
    assert found.spec.classes[0].colour == (1, 2, 3)
    pixels, _ = found.spec.preprocessing.apply(picture(3))
    x = (
        torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        - torch.tensor([10.0, 20, 30])[:, None, None]
    ) / torch.tensor([50.0, 60, 70])[:, None, None]
    with torch.inference_mode():
        assert torch.allclose(logits_of(found, picture(3)), model(x), atol=1e-4)


def test_smp_without_our_file_takes_the_encoders_normalisation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    smp.FPN("tu-tf_efficientnet_lite0", encoder_weights=None, classes=4).save_pretrained(
        tmp_path / "m"
    )
    spec = models.load(f"smp:{tmp_path / 'm'}").spec
    assert [c.name for c in spec.classes] == ["class_0", "class_1", "class_2", "class_3"]
    # What timm says of this encoder
    assert spec.preprocessing.mean == pytest.approx((0.5, 0.5, 0.5))
    assert spec.preprocessing.scale == pytest.approx(1 / 255)
    assert spec.preprocessing.resized(97, 161) == (128, 192)


def test_smp_normalisation_is_never_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    # The client tries again for half a minute otherwise.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    save_smp(tmp_path / "m")
    with pytest.raises(
        ModelError, match=r"how pictures are normalised.*write them into segpipe.json"
    ):
        models.load(f"smp:{tmp_path / 'm'}")


def test_smp_albumentations_file(tmp_path: Path) -> None:
    save_smp(tmp_path / "m")
    steps = [
        {"__class_fullname__": "Resize", "height": 64, "width": 128, "interpolation": 1},
        {
            "__class_fullname__": "Normalize",
            "mean": [0.1, 0.2, 0.3],
            "std": [0.5, 0.5, 0.5],
            "max_pixel_value": 255.0,
        },
    ]
    path = tmp_path / "m" / "albumentations_config_eval.json"
    path.write_text(
        json.dumps({"transform": {"__class_fullname__": "Compose", "transforms": steps}})
    )
    prep = models.load(f"smp:{tmp_path / 'm'}").spec.preprocessing
    assert (prep.height, prep.width, prep.mean, prep.interpolation) == (
        64,
        128,
        (0.1, 0.2, 0.3),
        "linear",
    )
    path.write_text(json.dumps({"transform": {"transforms": [{"__class_fullname__": "CLAHE"}]}}))
    with pytest.raises(ModelError, match="CLAHE"):
        models.load(f"smp:{tmp_path / 'm'}")


def test_smp_that_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    save_smp(folder, classes=4)
    source = f"smp:{folder}"
    (folder / "segpipe.json").write_text(
        json.dumps({"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]})
    )
    with pytest.raises(ModelError, match="lists 2 classes, but the network gives 4"):
        models.load(source)
    (folder / "segpipe.json").write_text(json.dumps({"classes": [{"id": 3, "name": "a"}]}))
    with pytest.raises(ModelError, match="must be 0, 1, 2"):
        models.load(source)
    (folder / "segpipe.json").write_text("{")
    with pytest.raises(ModelError, match=r"segpipe.json can't be read"):
        models.load(source)
    (folder / "segpipe.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"classes": 7}))
    with pytest.raises(ModelError, match="don't fit"):
        models.load(source)
    (folder / "config.json").write_text(json.dumps(config))
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="don't fit"):
        models.load(source)


@pytest.mark.parametrize("scheme", ["smp", "hf"])
def test_a_pickle_is_refused(scheme: str, tmp_path: Path) -> None:
    save_smp(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        models.load(f"{scheme}:{tmp_path / 'm'}")


@pytest.mark.parametrize("scheme", ["smp", "hf"])
def test_a_hub_that_cannot_be_reached(scheme: str, no_hub: None) -> None:
    with pytest.raises(ModelError, match=r"(?s)hub can't be reached.*give its folder"):
        models.load(f"{scheme}:someone/some-model")


def save_segformer(
    folder: Path, **processor: object
) -> transformers.SegformerForSemanticSegmentation:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=5,
        id2label={i: f"thing {i}" for i in range(5)},
        label2id={f"thing {i}": i for i in range(5)},
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(
        **{"size": {"height": 64, "width": 128}, **processor}
    ).save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "processor",
    [
        {},
        {"size": {"height": 96, "width": 96}, "resample": 3},
        {"do_resize": False},
        {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.4, 0.3]},
        {"do_normalize": False},
    ],
    ids=str,
)
def test_hf_semantic_follows_its_own_preprocessing(processor: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    model = save_segformer(tmp_path, **processor)
    found = models.load(f"hf:{tmp_path}")
    assert [c.name for c in found.spec.classes] == [f"thing {i}" for i in range(5)]
    rgb = np.random.default_rng(0).integers(0, 256, (192, 320, 3), np.uint8)
    their_input = transformers.AutoImageProcessor.from_pretrained(tmp_path)(
        images=rgb, return_tensors="pt"
    )
    with torch.inference_mode():
        theirs = model(**their_input).logits
    assert torch.allclose(logits_of(found, rgb), theirs, atol=2e-3)


@pytest.mark.parametrize(
    ("kind", "processor"),
    [
        (
            "mobilevit",
            {
                "size": {"shortest_edge": 72},
                "crop_size": {"height": 64, "width": 64},
                "do_flip_channel_order": False,
            },
        ),
        (
            "mobilevit",
            {
                "size": {"shortest_edge": 72},
                "crop_size": {"height": 64, "width": 64},
                "do_flip_channel_order": True,
            },
        ),
    ],
)
def test_hf_crop_is_followed_and_what_is_not_known_is_refused(
    kind: str, processor: dict, tmp_path: Path
) -> None:  # type: ignore[type-arg]
    config = transformers.MobileViTConfig(
        num_labels=3, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 32]
    )
    torch.manual_seed(0)
    model = transformers.MobileViTForSemanticSegmentation(config).eval()
    model.save_pretrained(tmp_path)
    transformers.MobileViTImageProcessor(**processor).save_pretrained(tmp_path)
    if processor["do_flip_channel_order"]:
        with pytest.raises(ModelError, match="can't be followed exactly"):
            models.load(f"hf:{tmp_path}")
        return
    found = models.load(f"hf:{tmp_path}")
    rgb = np.random.default_rng(0).integers(0, 256, (192, 320, 3), np.uint8)
    pixels, view = found.spec.preprocessing.apply(rgb)
    assert pixels.shape == (64, 64, 3)
    assert 0 < view.x0 < view.x1 < 320
    their_input = transformers.AutoImageProcessor.from_pretrained(tmp_path)(
        images=rgb, return_tensors="pt"
    )
    with torch.inference_mode():
        assert torch.allclose(logits_of(found, rgb), model(**their_input).logits, atol=2e-3)


@pytest.mark.parametrize("kind", ["mask2former", "maskformer"])
def test_hf_universal(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        embed_dim=8,
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    labels = {i: f"thing {i}" for i in range(3)}
    if kind == "mask2former":
        config = transformers.Mask2FormerConfig(
            backbone_config=backbone,
            id2label=labels,
            hidden_dim=32,
            feature_size=32,
            mask_feature_size=32,
            num_queries=6,
            encoder_layers=1,
            decoder_layers=2,
            encoder_feedforward_dim=16,
            dim_feedforward=16,
            num_attention_heads=2,
        )
        model, processor = (
            transformers.Mask2FormerForUniversalSegmentation(config),
            transformers.Mask2FormerImageProcessor,
        )
    else:
        decoder = transformers.DetrConfig(
            d_model=32, encoder_layers=1, decoder_layers=1, num_queries=6, decoder_attention_heads=2
        )
        config = transformers.MaskFormerConfig(
            backbone_config=backbone,
            decoder_config=decoder,
            id2label=labels,
            fpn_feature_size=32,
            mask_feature_size=32,
        )
        model, processor = (
            transformers.MaskFormerForInstanceSegmentation(config),
            transformers.MaskFormerImageProcessor,
        )
    model.eval().save_pretrained(tmp_path)
    processor(size={"shortest_edge": 128, "longest_edge": 400}).save_pretrained(tmp_path)
    found = models.load(f"hf:{tmp_path}")
    assert found.spec.scores == "scores"
    rgb = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    own = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    with torch.inference_mode():
        outputs = model(**own(images=rgb, return_tensors="pt"))
        theirs = own.post_process_semantic_segmentation(outputs, target_sizes=[(180, 320)])[
            0
        ].numpy()
    from segpipe.core.types import FrameBatch, FrameRef, ModelInput
    from segpipe.inference.worker import SegmentationWorker

    item = ModelInput(FrameRef("a:0", "a", "a"), *found.spec.preprocessing.apply(rgb))
    ours = SegmentationWorker(found).run(FrameBatch((item,)))[0].labels
    assert np.mean(ours == theirs) > 0.999


def test_an_untrained_head_never_runs_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from safetensors.torch import load_file, save_file

    save_segformer(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "classifier" not in k},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelError, match="never trained"):
        models.load(f"hf:{tmp_path}")
    assert not models.load(f"hf:{tmp_path}", allow_untrained=True).spec.trained
    assert "labels mean nothing" in caplog.text


def test_torchvision_with_own_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torchvision.models import segmentation

    torch.manual_seed(0)
    model = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3
    ).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "c.json").write_text('["a", "b", "c"]')
    name, classes = "torchvision:lraspp_mobilenet_v3_large", tmp_path / "c.json"
    for file in ("w.pth", "w.safetensors"):
        found = models.load(f"{name}?weights={tmp_path / file}&classes={classes}")
        assert [c.name for c in found.spec.classes] == ["a", "b", "c"]
        rgb = np.random.default_rng(0).integers(0, 256, (192, 320, 3), np.uint8)
        from torchvision.transforms._presets import SemanticSegmentation

        their_input = SemanticSegmentation(resize_size=520)(torch.from_numpy(rgb).permute(2, 0, 1))[
            None
        ]
        with torch.inference_mode():
            assert torch.allclose(logits_of(found, rgb), model(their_input)["out"], atol=1e-3)
    (tmp_path / "c.json").write_text('["a", "b"]')
    with pytest.raises(ModelError, match="lists 2 classes, but the weights have 3"):
        models.load(f"{name}?weights={tmp_path / 'w.pth'}&classes={classes}")


def test_torchvision_default_weights_come_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import segmentation

    name = "lraspp_mobilenet_v3_large"
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    weights = segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    (tmp_path / "checkpoints").mkdir()
    model = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=21
    )
    torch.save(model.state_dict(), tmp_path / "checkpoints" / weights.url.rpartition("/")[2])
    found = models.load(f"torchvision:{name}")
    assert found.spec.classes[7].name == "car"
    assert len(found.spec.classes) == 21


def test_torchvision_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(print))
    with pytest.raises(ModelError, match="only safetensors or plain weights"):
        models.load(f"torchvision:fcn_resnet50?weights={tmp_path / 'evil.pth'}")
    with pytest.raises(ModelError, match="no weights file"):
        models.load("torchvision:fcn_resnet50?weights=nowhere.pth")
    with pytest.raises(ModelError, match="NAME one of"):
        models.load("torchvision:resnet18")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    url = "http://127.0.0.1:9/weights.pth"
    from torchvision.models import segmentation

    weights = segmentation.FCN_ResNet50_Weights.DEFAULT
    monkeypatch.setattr(weights.value, "url", url)
    with pytest.raises(ModelError, match="can't be downloaded"):
        models.load("torchvision:fcn_resnet50")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("street", "no model URI"),
        ("builtin:moon", "there is street"),
        ("smp:./nowhere", "no folder"),
        ("hf:", "no folder"),
        ("hf:not a valid id", "neither a folder nor a valid hub id"),
        ("onnx:x", "allowed are builtin:street"),
    ],
)
def test_wrong_uris(source: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        models.load(source)


def test_builtin_street_is_whole_and_small() -> None:
    found = models.load("builtin:street")
    assert [c.name for c in found.spec.classes] == [
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ]
    library = smp.from_pretrained(str(models.BUILTIN / "street")).eval()
    assert sum(p.numel() for p in library.parameters()) < 6_000_000
    assert (models.BUILTIN / "street" / "README.md").read_text().count("CamVid") > 1
    rgb = np.random.default_rng(0).integers(0, 256, (448, 608, 3), np.uint8)
    x = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.inference_mode():
        assert torch.allclose(logits_of(found, rgb), library(x), atol=1e-3)


def test_torchvision_has_no_area() -> None:
    """It would fail at the first frame."""
    with pytest.raises(
        ModelError, match=r"'area' with backend 'torchvision'; allowed with it are nearest, linear"
    ):
        Preprocessing(height=32, width=64, backend="torchvision", interpolation="area")
    with pytest.raises(
        ModelError, match=r"hf:x: .* resample 4; allowed are 0 \(nearest\), 1 \(lanczos\)"
    ):
        preprocessing_of({"resample": 4}, "hf:x")
    for kind in ("nearest", "linear", "cubic", "lanczos"):
        resized = Preprocessing(height=32, width=64, backend="torchvision", interpolation=kind)
        assert resized.apply(np.zeros((40, 80, 3), np.uint8))[0].shape == (32, 64, 3)


@pytest.mark.parametrize(
    ("prep", "size", "expected"),
    [
        (Preprocessing(), (97, 161), (97, 161)),
        (Preprocessing(height=64, width=32), (97, 161), (64, 32)),
        (Preprocessing(shortest_edge=352, multiple_of=32), (540, 960), (352, 640)),
        (Preprocessing(shortest_edge=352, multiple_of=32), (360, 480), (352, 480)),
        (Preprocessing(shortest_edge=352, multiple_of=32), (960, 540), (640, 352)),
        (
            Preprocessing(shortest_edge=800, longest_edge=1333, multiple_of=32, rounding="up"),
            (1080, 1920),
            (768, 1344),
        ),
    ],
)
def test_sizes(prep: Preprocessing, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert prep.resized(*size) == expected
