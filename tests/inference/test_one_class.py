"""One-class models: a threshold on the sigmoid, the rest of the picture as background; never all of
it by softmax."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from segpipe.core.config.job import ModelSettings
from segpipe.core.errors import ModelError
from segpipe.core.results import FrameResult
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.core.types import FrameBatch, FrameRef, ModelInput
from segpipe.inference import models
from segpipe.inference.models import ClassInfo, ModelSpec, Preprocessing
from segpipe.inference.models.simple_cnn import SimpleCNN
from segpipe.inference.models.torch_segmenter import TorchSegmenter
from segpipe.inference.worker import SegmentationWorker
from tests.labelled import write_set

transformers = pytest.importorskip("transformers")
Run = Callable[..., tuple[int, str, str]]
CLASSES = (ClassInfo(0, "background", (0, 0, 0)), ClassInfo(1, "crack", (250, 0, 0)))


class RedIsTheLogit(nn.Module):
    """One logit: the red value, minus 100, over 25."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        self.conv.weight.data = torch.tensor([[[[0.04]], [[0.0]], [[0.0]]]])
        self.conv.bias.data = torch.tensor([-4.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def red_model(threshold: float = 0.5) -> TorchSegmenter:
    return TorchSegmenter(
        RedIsTheLogit(), ModelSpec("test:", "x", CLASSES, Preprocessing(), threshold=threshold)
    )


def result_of(segmenter: models.Segmenter, rgb: np.ndarray) -> FrameResult:
    item = ModelInput(FrameRef("a:0", "a", "a"), *segmenter.spec.preprocessing.apply(rgb))
    return SegmentationWorker(segmenter, ModelSettings(device="cpu")).run(FrameBatch((item,)))[0]


@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.9])
def test_label_confidence_and_entropy_by_the_true_probability(threshold: float) -> None:
    rgb = np.zeros((20, 32, 3), np.uint8)
    rgb[..., 0] = np.linspace(20, 180, 32).round()
    p = 1 / (1 + np.exp(-(rgb[..., 0] * 0.04 - 4.0)))
    found = result_of(red_model(threshold), rgb)
    assert np.array_equal(found.labels, p > threshold)
    assert 0 < found.labels.mean() < 1
    s = found.statistics
    sure = np.where(p > threshold, p, 1 - p)
    for k in (0, 1):
        assert s.confidence[0, k] == pytest.approx(sure[found.labels == k].mean(), abs=1e-6)
    assert s.mean_entropy == pytest.approx(
        (-p * np.log(p) - (1 - p) * np.log(1 - p)).mean(), abs=1e-6
    )


def test_the_torch_path_gives_the_same() -> None:
    from segpipe.inference.models.heads import for_labels, probabilities

    spec = red_model(0.3).spec
    logits = torch.tensor([[[0.0, 0.0, 0.0]], [[-1.0, -0.8, 2.0]]])
    assert for_labels(logits, spec, 0).argmax(0).tolist() == [[0, 1, 1]]  # sigmoid(-0.8) is 0.31
    assert probabilities(logits, spec, 0)[1, 0, 1].item() == pytest.approx(1 / (1 + math.exp(0.8)))


def save_unet(folder: Path, said: dict | None = None, **arguments: object) -> smp.Unet:  # type: ignore[type-arg]
    torch.manual_seed(0)
    network = smp.Unet(
        "mobilenet_v2", encoder_weights=None, decoder_channels=(32, 16, 16, 8, 8), **arguments
    ).eval()
    network.save_pretrained(folder)
    content = {
        "preprocessing": {"multiple_of": 32, "mean": [127.0] * 3, "std": [128.0] * 3},
        **(said or {}),
    }
    (folder / "segpipe.json").write_text(json.dumps(content))
    return network


def save_cnn(folder: Path, said: dict | None = None, classes: int = 1) -> Path:  # type: ignore[type-arg]
    """The smallest model folder, with random weights."""
    torch.manual_seed(0)
    network = SimpleCNN(classes=classes)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(network.config))
    content = {
        "preprocessing": {"multiple_of": 32, "mean": [127.0] * 3, "std": [128.0] * 3},
        **(said or {}),
    }
    (folder / "segpipe.json").write_text(json.dumps(content))
    return folder


def input_and_picture() -> tuple[torch.Tensor, np.ndarray]:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    return (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() - 127) / 128, rgb


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_smp_with_one_class(tmp_path: Path, activation: str | None) -> None:
    network = save_unet(
        tmp_path / "m", {"classes": [{"id": 0, "name": "crack"}]}, classes=1, activation=activation
    )
    x, rgb = input_and_picture()
    with torch.inference_mode():
        p = network(x)[0, 0] if activation else network(x)[0, 0].sigmoid()
    found = models.load(f"smp:{tmp_path / 'm'}")
    assert [(c.id, c.name) for c in found.spec.classes] == [(0, "background"), (1, "crack")]
    assert found.spec.threshold == 0.5
    result = result_of(found, rgb)
    clear = (p - 0.5).abs() > 1e-4
    assert torch.equal(torch.from_numpy(result.labels)[clear] == 1, (p > 0.5)[clear])
    middle = float(p.median())
    halved = result_of(models.load(f"smp:{tmp_path / 'm'}", threshold=middle), rgb)
    assert halved.labels.mean() == pytest.approx(0.5, abs=0.01)
    sure = torch.where(p > middle, p, 1 - p).mean()
    shares, confidence = (
        halved.statistics.pixel_count[0] / rgb[..., 0].size,
        halved.statistics.confidence[0],
    )
    assert (shares * confidence).sum() == pytest.approx(float(sure), abs=1e-3)


def test_names_and_threshold_of_the_file(tmp_path: Path) -> None:
    def spec_of(said: dict) -> ModelSpec:  # type: ignore[type-arg]
        save_cnn(tmp_path / "m", said)
        return models.load(f"smp:{tmp_path / 'm'}").spec

    assert [c.name for c in spec_of({}).classes] == ["background", "class_1"]
    both = spec_of(
        {"classes": ["asphalt", {"name": "crack", "colour": [9, 8, 7]}], "threshold": 0.3}
    )
    assert [(c.name, c.id) for c in both.classes] == [("asphalt", 0), ("crack", 1)]
    assert (both.threshold, both.classes[1].colour) == (0.3, (9, 8, 7))
    assert models.load(f"smp:{tmp_path / 'm'}", threshold=0.6).spec.describe()["threshold"] == 0.6
    with pytest.raises(ModelError, match="lists 3 classes, but the network gives 1"):
        spec_of({"classes": ["a", "b", "c"]})
    with pytest.raises(ModelError, match=r"only class is called 'background'.*its own name"):
        spec_of({"classes": ["background"]})
    for value in (0, 1, "half", True):
        with pytest.raises(ModelError, match=r"threshold .*between 0 and 1, such as 0\.5"):
            spec_of({"threshold": value})


def test_a_threshold_is_for_one_class_only(tmp_path: Path, segpipe: Run) -> None:
    save_cnn(tmp_path / "m", {"threshold": 0.3}, 3)
    with pytest.raises(ModelError, match="for networks with one output; this one has 3"):
        models.load(f"smp:{tmp_path / 'm'}")
    for source in ("builtin:street", "fake:"):
        with pytest.raises(
            ModelError, match=r"model\.threshold is for models with one class.*leave it out"
        ):
            models.load(source, threshold=0.3)
    run = (
        "run",
        tmp_path,
        "-o",
        tmp_path / "out",
        "--set",
        "model.source=fake:",
        "--set",
        "model.threshold=1.5",
    )
    code, _, err = segpipe(*run)
    assert (code, "model.threshold" in err) == (2, True)
    with pytest.raises(ModelError, match="a label needs 2 to choose from"):
        ModelSpec("test:", "x", CLASSES[:1], Preprocessing())


def save_segformer(folder: Path, labels: dict[int, str], **settings: object) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **settings,
    )
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    nn.init.normal_(network.decode_head.classifier.weight)
    network.save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)
    return network


def test_hf_with_one_label(tmp_path: Path) -> None:
    network = save_segformer(tmp_path, {0: "crack"})
    found = models.load(f"hf:{tmp_path}")
    assert ([c.name for c in found.spec.classes], found.spec.threshold) == (
        ["background", "crack"],
        0.5,
    )
    _, rgb = input_and_picture()
    theirs = transformers.AutoImageProcessor.from_pretrained(tmp_path)(
        images=rgb, return_tensors="pt"
    )
    with torch.inference_mode():
        p = nn.functional.interpolate(
            network(**theirs).logits, (64, 96), mode="bilinear"
        ).sigmoid()[0, 0]
    result = result_of(found, rgb)
    clear = (p - 0.5).abs() > 1e-3
    assert torch.equal(torch.from_numpy(result.labels)[clear] == 1, (p > 0.5)[clear])
    assert result.statistics.confidence[0].max() < 0.999
    (tmp_path / "segpipe.json").write_text(
        '{"classes": [{"name": "crack", "common_class": "road"}], "threshold": 0.7}'
    )
    stated = models.load(f"hf:{tmp_path}").spec
    assert (stated.threshold, stated.classes[1].common_name) == (0.7, "road")
    (tmp_path / "segpipe.json").write_text('{"preprocessing": {"height": 64, "width": 64}}')
    with pytest.raises(ModelError, match=r"brings its own \(preprocessor_config.json\)"):
        models.load(f"hf:{tmp_path}")


def test_hf_models_without_one_class_for_each_pixel_are_refused(tmp_path: Path) -> None:
    save_segformer(
        tmp_path / "multi", {0: "wet", 1: "icy"}, problem_type="multi_label_classification"
    )
    with pytest.raises(ModelError, match="2 classes don't exclude each other"):
        models.load(f"hf:{tmp_path / 'multi'}")
    backbone = transformers.SwinConfig(
        depths=[1] * 4, num_heads=[1] * 4, embed_dim=8, window_size=4
    )
    config = transformers.Mask2FormerConfig(backbone_config=backbone, id2label={0: "crack"})
    config.architectures = ["Mask2FormerForUniversalSegmentation"]
    config.save_pretrained(tmp_path / "universal")
    (tmp_path / "universal" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"universal model with one class \(crack\)"):
        models.load(f"hf:{tmp_path / 'universal'}")


def test_torchvision_with_one_class(tmp_path: Path) -> None:
    from torchvision.models import segmentation

    torch.manual_seed(0)
    network = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=1
    ).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    uri = f"torchvision:lraspp_mobilenet_v3_large?weights={tmp_path / 'w.pth'}"
    assert [c.name for c in models.load(uri).spec.classes] == ["background", "class_1"]
    (tmp_path / "c.json").write_text('[{"name": "crack", "common_class": "road"}]')
    found = models.load(f"{uri}&classes={tmp_path / 'c.json'}")
    assert [c.common_name for c in found.spec.classes] == ["other", "road"]
    pixels = torch.randint(0, 256, (1, 96, 128, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits = found.logits(pixels)
    assert logits.shape[1] == 2
    assert not logits[:, 0].any()


@pytest.fixture
def cracked(tmp_path: Path) -> Path:
    """A model whose one class is a street where the picture's red exceeds its middle, and
    three-class data to measure it on."""
    save_cnn(tmp_path / "m", {"classes": [{"name": "street", "common_class": "road"}]})
    write_set(tmp_path / "set")
    (tmp_path / "set" / "classes.json").write_text(
        json.dumps(
            {
                "ignore_index": 9,
                "classes": [{"id": i, "name": n} for i, n in enumerate(("sky", "road", "car"))],
            }
        )
    )
    return tmp_path


def test_evaluate_counts_the_rest_as_background(cracked: Path, segpipe: Run) -> None:
    import duckdb

    call = ("evaluate", cracked / "m", cracked / "set", "-q", "-o", cracked / "out", "--worst", 1)
    code, text, err = segpipe(*call)
    assert code == 0, err
    assert "classes compared by common names" in text
    rows = duckdb.sql(
        f"SELECT class_name, true_pixels FROM '{cracked}/out/classes.parquet'"
    ).fetchall()
    data = load_data(cracked / "set")
    assert dict(rows) == {
        "road": int((data == 1).sum()),
        "background": int(((data == 0) | (data == 2)).sum()),
    }
    none_found = segpipe(*call, "--force", "--threshold", 0.999)
    assert none_found[0] == 0
    found = duckdb.sql(
        f"SELECT iou FROM '{cracked}/out/classes.parquet' WHERE class_name = 'road'"
    ).fetchall()
    assert found == [(0.0,)]
    assert segpipe(*call, "--threshold", 2)[0] == 2


def load_data(root: Path) -> np.ndarray:
    import cv2

    return np.stack(
        [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted((root / "labels").glob("*.png"))]
    )


def test_compare_takes_one_class_models(cracked: Path, segpipe: Run) -> None:
    save_cnn(cracked / "three", {"classes": ["sky", "road", "car"]}, 3)
    code, text, err = segpipe(
        "compare", cracked / "m", cracked / "three", cracked / "set", "-q", "--rounds", 1
    )
    assert code == 0, err
    assert "not the same classes were measured for all" in text
    code, text, err = segpipe(
        "compare",
        cracked / "m",
        cracked / "m",
        cracked / "set",
        "-q",
        "--rounds",
        1,
        "--threshold",
        0.999,
    )
    assert code == 0, err
    lines = [line.split() for line in text.splitlines() if line.startswith(str(cracked))]
    assert len(lines) == 2
    assert all(float(line[1]) < 50 for line in lines)  # no pixel is street
    code, _, err = segpipe(
        "compare", cracked / "m", cracked / "three", cracked / "set", "--threshold", 0.4
    )
    assert (code, "this one chooses among 3 classes" in err) == (4, True)


def test_export_gives_two_logits(tmp_path: Path, segpipe: Run) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    save_cnn(tmp_path / "m", {"classes": ["crack"], "threshold": 0.4})
    code, text, err = segpipe("export", tmp_path / "m", "-o", tmp_path / "m.onnx")
    assert code == 0, err
    assert "a pixel is crack where sigmoid(z) > 0.4" in text
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    logits = session.run(None, {"pixels": np.zeros((1, 64, 96, 3), np.uint8)})[0]
    assert logits.shape == (1, 2, 16, 24)
    assert not logits[:, 0].any()


def test_training_needs_a_second_class(tmp_path: Path) -> None:
    from segpipe.core.errors import ConfigError
    from segpipe.training.settings import make_training_job
    from segpipe.training.setup import prepare
    from tests.labelled import training_job

    content = training_job(tmp_path)
    Path(content["data"]["taxonomy"]).write_text(
        yaml.safe_dump({"ignore": [0, 2, 9], "classes": [{"name": "road", "value": 1}]})
    )
    load_taxonomy.cache_clear()
    with pytest.raises(
        ConfigError, match=r"1 class in the taxonomy .*; training needs two or more: name the rest"
    ):
        prepare(make_training_job(content))


def test_a_dataset_knows_its_threshold(tmp_path: Path, segpipe: Run) -> None:
    save_cnn(tmp_path / "m", {"classes": ["crack"]})
    write_set(tmp_path / "set", count=2)
    run = (
        "run",
        tmp_path / "set" / "images",
        "-o",
        tmp_path / "out",
        "-q",
        "--set",
        f"model.source={tmp_path / 'm'}",
        "--set",
        "read.timeout_s=100",
    )
    again = (*run, "--set", "model.threshold=0.25")
    assert segpipe(*run)[0] == 0
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["model"]["threshold"] == 0.5
    code, _, err = segpipe(*again)
    assert (code, "model.threshold: 0.5 there, 0.25 wanted" in err) == (5, True)
    rows = "SELECT DISTINCT class_id, class_name FROM class_stats ORDER BY 1"
    assert set(segpipe("query", tmp_path / "out", rows, "--format", "csv")[1].split()[1:]) <= {
        "0,background",
        "1,crack",
    }
