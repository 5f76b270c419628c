"""Evaluating, comparing and exporting models; classes that differ; the shipped model's figures."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import duckdb
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file

from segpipe.core.errors import ConfigError, ModelError
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.core.types import VOID, FrameBatch, FrameRef, ModelInput
from segpipe.inference.models import BUILTIN, FakeSegmenter, load
from segpipe.inference.models.kinds import SMP_ARCHITECTURES
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.worker import SegmentationWorker
from segpipe.training.data_settings import Folder
from segpipe.training.evaluation.evaluate import LabelledData, evaluate, labelled_data
from segpipe.training.evaluation.mapping import map_classes
from segpipe.training.evaluation.onnx_export import PixelsToLogits, export_onnx
from segpipe.training.folder import save_model
from segpipe.training.networks import build_network
from segpipe.training.sample import DriveFiles
from segpipe.training.settings import Network
from tests.labelled import TAXONOMY, write_set

Run = Callable[..., tuple[int, str, str]]
CITYSCAPES = [c.name for c in load_taxonomy("cityscapes").classes]


@pytest.fixture
def three(tmp_path: Path) -> LabelledData:
    (tmp_path / "three.yaml").write_text(TAXONOMY)
    return labelled_data(
        Folder(root=str(write_set(tmp_path / "set"))), load_taxonomy(str(tmp_path / "three.yaml"))
    )


def saved(folder: Path, network: Network | None = None, taxonomy: str = "camvid") -> Path:
    """An untrained model's folder."""
    torch.manual_seed(0)
    classes = load_taxonomy(taxonomy)
    module = build_network(
        network or Network(architecture="simple_cnn", encoder=None), len(classes.classes)
    ).eval()
    return save_model(
        module,
        classes,
        Preprocessing(shortest_edge=64, multiple_of=32, mean=(127.0,) * 3, std=(128.0,) * 3),
        folder,
    )


def test_equal_classes_in_another_order() -> None:
    names = [*reversed(load_taxonomy("camvid").names)]
    found = map_classes(names, load_taxonomy("camvid"))
    assert (found.kind, found.names) == ("same classes", load_taxonomy("camvid").names)
    assert found.of_model[:11].tolist() == list(range(10, -1, -1))
    assert found.of_truth[VOID] == VOID


def test_cityscapes_model_on_camvid_by_common_names() -> None:
    found = map_classes(CITYSCAPES, load_taxonomy("camvid"))
    assert found.kind == "common names"
    assert found.names == (
        "sky",
        "building",
        "pole",
        "road",
        "sidewalk",
        "vegetation",
        "sign",
        "fence",
        "vehicle",
        "person",
        "cyclist",
    )
    place = {n: i for i, n in enumerate(found.names)}
    of = {n: int(found.of_model[i]) for i, n in enumerate(CITYSCAPES)}
    assert (of["bus"], of["rider"], of["wall"]) == (
        place["vehicle"],
        place["cyclist"],
        place["building"],
    )
    # CamVid has no such class: a miss wherever it is found
    assert of["terrain"] == len(found.names)
    assert found.unmeasured == ()


def test_camvid_model_on_cityscapes_leaves_out_what_it_cannot_know() -> None:
    found = map_classes(load_taxonomy("camvid").names, load_taxonomy("cityscapes"))
    assert found.unmeasured == ("terrain",)
    assert found.of_truth[CITYSCAPES.index("terrain")] == VOID


def test_a_mapping_of_ones_own() -> None:
    found = map_classes(["a", "b"], load_taxonomy("camvid"), {"a": "road"})
    assert (found.names, found.of_model[:2].tolist()) == (("road",), [0, 1])
    with pytest.raises(ConfigError, match="tram; it maps the model's classes"):
        map_classes(["a"], load_taxonomy("camvid"), {"a": "tram"})
    with pytest.raises(ConfigError, match=r"no common name; give --mapping"):
        map_classes(["a", "b"], load_taxonomy("camvid"))


def test_the_counts_are_those_of_the_pipelines_labels(three: LabelledData) -> None:
    worker = SegmentationWorker(load(str(saved(Path(three.name).parent / "model"))))
    mapping = {"sky": "sky", "road": "road", "car": "car", "tree": "car"}
    found = evaluate(worker, three, mapping)
    expected = np.zeros((3, 4), np.int64)
    names = [c.name for c in worker.segmenter.spec.classes]
    for _, rgb, truth in three:
        item = ModelInput(FrameRef("", "", ""), *worker.segmenter.spec.preprocessing.apply(rgb))
        labels = worker.run(FrameBatch((item,)))[0].labels
        for t, f in zip(truth.ravel(), labels.ravel(), strict=True):
            if t != VOID:
                expected[t, {"sky": 0, "road": 1, "car": 2, "tree": 2}.get(names[f], 3)] += 1
    assert found.tally.confusion.tolist() == expected.tolist()
    assert found.tally.bins[:, 0].sum() == expected.sum()
    assert len(found.images) == 4
    assert [i.mean_iou for i in found.worst(2)] == sorted(i.mean_iou for i in found.images)[:2]


def test_evaluate_prints_and_writes(tmp_path: Path, drive: DriveFiles, segpipe: Run) -> None:
    out = tmp_path / "out"
    code, text, err = segpipe(
        "evaluate", "builtin:street", drive.video.parent, "-o", out, "--worst", 2, "-q"
    )
    assert code == 0, err
    assert re.search(r"mean IoU +\d\d\.\d\d %", text)
    assert "20 images; classes compared by same classes" in text
    assert len(list((out / "worst").glob("*.png"))) == 2
    assert (out / "confusion.png").stat().st_size > 10_000
    table = duckdb.sql(f"SELECT sum(true_pixels), avg(iou) FROM '{out}/classes.parquet'").fetchall()
    pixels = duckdb.sql(f"SELECT sum(pixels) FROM '{out}/confusion.parquet'").fetchall()
    assert table[0][0] == pixels[0][0] == 20 * 640 * 352
    mean = duckdb.sql(f"SELECT mean_iou, images FROM '{out}/summary.parquet'").fetchall()[0]
    assert mean == (pytest.approx(table[0][1]), 20)


def test_the_worst_picture_shows_its_errors(three: LabelledData) -> None:
    from segpipe.training.evaluation.pictures import write_worst

    worker = SegmentationWorker(FakeSegmenter())
    mapping = {
        worker.segmenter.spec.classes[0].name: "sky",
        worker.segmenter.spec.classes[1].name: "road",
    }
    found = evaluate(worker, three, mapping)
    files = write_worst(found, three, worker, Path(three.name).parent / "worst", 1)
    picture = cv2.imread(str(files[0]))
    red = (np.abs(picture.astype(int) - (40, 30, 225)).max(-1) < 12).mean()
    score = found.worst(1)[0]
    # One of four tiles, and the captions above and below.
    share = (1 - score.accuracy) * 0.25 * 360 / picture.shape[0]
    assert red == pytest.approx(share, abs=0.1)


def test_images_that_could_not_be_compared_are_not_the_worst(three: LabelledData) -> None:
    found = evaluate(
        SegmentationWorker(load(str(saved(Path(three.name).parent / "m")))), three, {"sky": "sky"}
    )
    nothing = replace(found.images[0], mean_iou=float("nan"))
    assert [
        i.mean_iou for i in replace(found, images=(nothing, *found.images[1:])).worst(9)
    ] == sorted(i.mean_iou for i in found.images[1:])


def test_a_drive_whose_labels_do_not_fit(tmp_path: Path, drive: DriveFiles, segpipe: Run) -> None:
    shutil.copytree(drive.video.parent, tmp_path / "drive")
    (tmp_path / "drive" / "labels" / "000003.png").unlink()
    code, _, err = segpipe("evaluate", "builtin:street", tmp_path / "drive", "-q")
    assert (code, "20 frames in drive.mp4, but 19 labels" in err) == (3, True)


def test_compare(tmp_path: Path, three: LabelledData, segpipe: Run) -> None:
    small = saved(tmp_path / "small")
    large = saved(
        tmp_path / "large",
        Network(
            architecture="simple_cnn", encoder=None, options={"channels": [32, 64], "hidden": 128}
        ),
    )
    args = ("--taxonomy", tmp_path / "three.yaml", "--rounds", 1, "-o", tmp_path / "out")
    code, text, err = segpipe("compare", small, large, three.name, *args)
    assert code == 0, err
    lines = [line for line in text.splitlines() if str(tmp_path) in line and " M " in line]
    assert len(lines) == 2
    rows = duckdb.sql(
        f"SELECT parameters, frames_per_s FROM '{tmp_path}/out/comparison.parquet'"
    ).fetchall()
    assert {r[0] for r in rows} == {
        sum(v.numel() for v in load_file(f / "model.safetensors").values()) for f in (small, large)
    }
    assert all(r[1] > 0 for r in rows)
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5_000
    assert segpipe("compare", small, three.name)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("builtin:street", "{set}"), 2, "nothing says what its labels mean"),
        (("builtin:avenue", "{set}", "--taxonomy", "camvid"), 4, "no such embedded model"),
        (("builtin:street", "nowhere", "--taxonomy", "camvid"), 3, "no such folder"),
        (
            ("builtin:street", "{set}", "--taxonomy", "camvid", "--images", "*.gif"),
            3,
            "no images match",
        ),
        (
            ("builtin:street", "{set}", "--taxonomy", "camwid"),
            2,
            "allowed are a YAML file or ade20k",
        ),
        (("builtin:street", "{set}", "--taxonomy", "cityscapes"), 3, "no labelled pixel"),
        (
            ("builtin:street", "{set}", "--taxonomy", "camvid", "--mapping", "no.yaml"),
            2,
            "can't be read",
        ),
        (
            ("fake:", "{set}", "--taxonomy", "{set}/../three.yaml", "--mapping", "{set}/../m.yaml"),
            2,
            "mapping: tram",
        ),
    ],
)
def test_wrong_evaluations(
    three: LabelledData, segpipe: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (Path(three.name).parent / "m.yaml").write_text("tram: sky")
    found, _, err = segpipe("evaluate", *(a.format(set=three.name) for a in arguments), "-q")
    assert (found, message in err) == (code, True), err
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("onnx") / "street.onnx"
    export_onnx(load("builtin:street"), path)
    return path


def test_onnx_gives_torch_s_logits_at_any_size(onnx: Path) -> None:
    import onnxruntime

    segmenter = load("builtin:street")
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    for size in ((1, 352, 480), (3, 96, 224)):
        pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = segmenter.logits(torch.from_numpy(pixels)).numpy()
        np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], expected, atol=2e-3)


def test_an_onnx_file_that_differs_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = load(str(saved(tmp_path / "m")))
    from segpipe.training.evaluation import onnx_export

    class Other(PixelsToLogits):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            drift = 1.0 if torch.compiler.is_exporting() else 0.0
            return super().forward(pixels) + drift

    monkeypatch.setattr(onnx_export, "PixelsToLogits", Other)
    with pytest.raises(ModelError, match="ONNX and torch differ by"):
        export_onnx(segmenter, tmp_path / "x.onnx")
    assert not list(tmp_path.glob("x.onnx*"))


def test_only_torch_is_exported(tmp_path: Path, segpipe: Run) -> None:
    code, _, err = segpipe("export", "fake:", "-o", tmp_path / "x.onnx")
    assert (code, "not a torch network" in err) == (4, True)


@pytest.mark.parametrize("name", SMP_ARCHITECTURES)
def test_every_architecture_is_built_saved_and_loaded(tmp_path: Path, name: str) -> None:
    encoder = "tu-vit_tiny_patch16_224" if name == "DPT" else "resnet18"
    options = {"encoder_depth": 4, "dynamic_img_size": True} if name == "DPT" else {}
    folder = saved(
        tmp_path / "m", Network(architecture=name, encoder=encoder, weights="none", options=options)
    )
    ours = load(f"smp:{folder}")
    theirs = smp.from_pretrained(str(folder)).eval()
    x = torch.randint(0, 256, (1, 128, 192, 3), dtype=torch.uint8)  # PAN pools six times
    with torch.inference_mode():
        expected = theirs(((x.float() - 127) / 128).permute(0, 3, 1, 2))
        torch.testing.assert_close(ours.logits(x), expected, rtol=1e-3, atol=1e-3)
    assert expected.shape[1] == 11


@pytest.mark.parametrize("name", ["torchvision:lraspp_mobilenet_v3_large", "simple_cnn"])
def test_other_networks_are_saved_and_loaded(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "m", Network(architecture=name, encoder=None, weights="none"))
    logits = load(str(folder)).logits(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
    assert logits.shape[:2] == (1, 11)
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "segpipe.json",
    }


def test_the_shipped_file_reproduces_its_card(segpipe: Run, camvid: Path, tmp_path: Path) -> None:
    code, _, err = segpipe(
        "evaluate", "builtin:street", camvid / "val", "-o", tmp_path, "--worst", 0, "-q"
    )
    assert code == 0, err
    card = (BUILTIN / "street" / "README.md").read_text()
    classes = duckdb.sql(
        f"SELECT class_name, iou, boundary_f1 FROM '{tmp_path}/classes.parquet'"
    ).fetchall()
    for name, iou, boundary in classes:
        row = re.search(rf"^\| {name} \| ([\d.]+) % \| ([\d.]+) % \|$", card, re.MULTILINE)
        assert row, name
        assert float(row[1]) == pytest.approx(iou * 100, abs=0.05), name
        assert float(row[2]) == pytest.approx(boundary * 100, abs=0.05), name
    mean, accuracy, error, size = duckdb.sql(
        "SELECT mean_iou, accuracy, calibration_error, parameters FROM "
        f"'{tmp_path}/summary.parquet'"
    ).fetchall()[0]
    for pattern, value in (
        (r"\*\*mean\*\* \| \*\*([\d.]+) %", mean * 100),
        (r"Pixel accuracy ([\d.]+) %", accuracy * 100),
        (r"calibration error ([\d.]+) %", error * 100),
        (r"([\d.]+) M parameters", size / 1e6),
    ):
        stated = re.search(pattern, card)
        assert stated, pattern
        assert float(stated[1]) == pytest.approx(value, abs=0.05), pattern
    assert size < 6_000_000
    assert (
        json.loads((BUILTIN / "street" / "segpipe.json").read_text())["classes"][0]["name"] == "sky"
    )
