"""Labelled images: layouts, what is wrong with them, augmentation and sampling that can be
repeated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.core.types import VOID
from segpipe.training.augment import Augmenter, TrainingSet, paste_rare
from segpipe.training.data import LabelledSet, find_pairs, labelled_set, read_pair
from segpipe.training.data_settings import Augmentation, Folder
from segpipe.training.epoch_sampler import EpochSampler, image_chances
from segpipe.training.settings import make_training_job
from tests.conftest import ROOT
from tests.labelled import TAXONOMY, training_job, write_set


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "three.yaml").write_text(TAXONOMY)
    return write_set(tmp_path / "set")


def checked(root: Path, **folder: Any) -> LabelledSet:
    return labelled_set(
        [Folder(root=str(root), **folder)],
        load_taxonomy(str(root.parent / "three.yaml")),
        "data.train",
    )


def test_images_and_labels_by_folder(root: Path) -> None:
    found = checked(root)
    assert [p.image.name for p in found.pairs] == ["0.png", "1.png", "2.png", "3.png"]
    assert found.counts.sum() == 4 * 63 * 96  # the last row is void
    assert found.counts[:, 2].tolist() == [24 * 32] * 4
    assert found.shares.sum() == pytest.approx(1)


def test_cityscapes_layout(tmp_path: Path) -> None:
    for part, end in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        folder = tmp_path / part / "val" / "ulm"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / f"ulm_000001_000019_{end}.png"), np.full((4, 6), 7, np.uint8))
    folder = Folder(root=str(tmp_path), layout="cityscapes", split="val")
    found = labelled_set([folder], load_taxonomy("cityscapes"), "val")
    assert found.counts[0, 0] == 24


def test_comma10k_layout_with_colours(tmp_path: Path) -> None:
    for part, colour in (("imgs", (9, 9, 9)), ("masks", (32, 32, 64))):  # BGR of the road's colour
        (tmp_path / part).mkdir()
        cv2.imwrite(str(tmp_path / part / "0000_a.png"), np.full((4, 6, 3), colour, np.uint8))
    found = labelled_set(
        [Folder(root=str(tmp_path), layout="comma10k")], load_taxonomy("comma10k"), "val"
    )
    assert found.counts.tolist() == [[24, 0, 0, 0, 0]]


def test_a_pattern_of_ones_own(root: Path) -> None:
    (root / "images").rename(root / "pictures")
    for p in (root / "pictures").iterdir():
        p.rename(p.with_name(f"{p.stem}_rgb.png"))
    found = find_pairs(Folder(root=str(root), images="pictures/*_rgb.png", strip="_rgb"))
    assert next((p.image.name, p.label.name) for p in found) == ("0_rgb.png", "0.png")


def test_palette_labels_are_indices(root: Path) -> None:
    label = root / "labels" / "0.png"
    picture = Image.fromarray(cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)).convert("P")
    picture.putpalette([i for c in range(256) for i in (c, 255 - c, 7)])
    before = checked(root).counts
    picture.save(label)
    assert (checked(root).counts == before).all()


def test_images_without_labels_are_named(root: Path) -> None:
    (root / "labels" / "2.png").unlink()
    with pytest.raises(
        SourceError,
        match=r"1 of 4 images have no label: 2\.png \(wants .*labels/2\.png\); add the labels",
    ):
        checked(root)


def test_sizes_that_differ(root: Path) -> None:
    cv2.imwrite(str(root / "labels" / "1.png"), np.zeros((64, 95), np.uint8))
    with pytest.raises(
        SourceError,
        match=r"images/1\.png is 96x64, but its label .*1\.png is 95x64; both must have the "
        r"same size",
    ):
        checked(root)


def test_label_values_outside_the_classes(root: Path) -> None:
    cv2.imwrite(str(root / "labels" / "3.png"), np.full((64, 96), 5, np.uint8))
    with pytest.raises(
        SourceError,
        match=r"labels/3\.png: the label values \[5\] are neither a class of three nor ignored",
    ):
        checked(root)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: shutil.rmtree(r), "no such folder; give"),
        (
            lambda r: [p.unlink() for p in (r / "images").iterdir()],
            r"no images match images/\*; set images",
        ),
        (
            lambda r: (r / "images" / "0.png").write_bytes(b"words"),
            r"images/0\.png: .*repair or remove it",
        ),
        (
            lambda r: (r / "labels" / "0.png").write_bytes(b"words"),
            r"labels/0\.png: the label can't be read",
        ),
        (
            lambda r: [
                cv2.imwrite(str(p), np.full((64, 96), 9, np.uint8))
                for p in (r / "labels").iterdir()
            ],
            "every pixel .* is ignored",
        ),
        (
            lambda r: cv2.imwrite(str(r / "labels" / "0.png"), np.zeros((64, 96, 3), np.uint8)),
            "a colour picture",
        ),
        (
            lambda r: cv2.imwrite(str(r / "labels" / "0.png"), np.full((64, 96), 900, np.uint16)),
            "label values up to 900",
        ),
    ],
)
def test_broken_sets(root: Path, break_it: Any, message: str) -> None:
    break_it(root)
    with pytest.raises(SourceError, match=message):
        checked(root)


def test_an_unknown_placeholder(root: Path) -> None:
    with pytest.raises(SourceError, match=r"allowed in braces are stem, name, parent, split"):
        checked(root, labels="labels/{id}.png")


@pytest.mark.parametrize("pattern", [{"images": "/tmp/*.jpg"}, {"labels": "{stem.x}.png"}])
def test_patterns_that_cannot_work(root: Path, pattern: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=r"is no pattern below|allowed in braces"):
        checked(root, **pattern)


def test_augmentation_keeps_picture_and_labels_together(root: Path) -> None:
    pair = checked(root).pairs[0]
    rgb, classes = read_pair(pair, load_taxonomy(str(root.parent / "three.yaml")))
    still = Augmentation(
        crop=(64, 96),
        scale=(0.5, 1.5),
        brightness=0,
        contrast=0,
        saturation=0,
        hue=0,
        blur=0,
        noise=0,
        grey=0,
    )
    augment = Augmenter(still, (1.0, 2.0, 3.0))
    seen_void = False
    for seed in range(6):
        torch.manual_seed(seed)
        image, label = augment(rgb, classes)
        assert (image.dtype, image.shape, label.dtype, label.shape) == (
            torch.uint8,
            (3, 64, 96),
            torch.int64,
            (64, 96),
        )
        sky, car = image[:, label == 0].float().mean(1), image[:, label == 2].float().mean(1)
        assert sky[2] > sky[0] + 60  # the sky is blue: labels moved with the picture
        assert not len(car) or car[0] > car[2] + 100  # the car is red
        padded = (image == torch.tensor([1, 2, 3])[:, None, None]).all(0)
        seen_void |= bool(padded.any())
        assert (label[padded] == VOID).all()
    assert seen_void


def test_pasting_puts_rare_classes_over() -> None:
    onto = torch.zeros(3, 2, 2, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.int64)
    source = torch.full((3, 2, 2), 9, dtype=torch.uint8), torch.tensor([[1, 2], [VOID, 2]])
    image, label = paste_rare(onto, source, (2,))
    assert label.tolist() == [[0, 2], [0, 2]]
    assert image[0].tolist() == [[0, 9], [0, 9]]


def test_samples_can_be_repeated(root: Path) -> None:
    settings = Augmentation(crop=(64, 64), paste=0.5, paste_classes=("car",))
    first, second = (TrainingSet(checked(root), settings, (0, 0, 0), seed=5) for _ in range(2))
    torch.manual_seed(1)
    a = first[(3, 1, 2)]
    torch.manual_seed(2)
    b = second[(3, 1, 2)]
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[0], first[(4, 1, 2)][0])


def test_the_order_is_one_of_the_epoch_alone(root: Path) -> None:
    sampler = EpochSampler(checked(root), 6, 0.0, seed=1)
    sampler.set_epoch(2)
    second = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != second
    sampler.set_epoch(2)
    assert list(sampler) == second
    assert sorted({image for _, _, image in second}) == [0, 1, 2, 3]


def test_balance_prefers_images_with_rare_classes(root: Path) -> None:
    for i in (1, 2, 3):  # a car in the first image only
        path = str(root / "labels" / f"{i}.png")
        label = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        label[label == 2] = 1
        cv2.imwrite(path, label)
    chances = image_chances(checked(root), 1.0)
    assert chances[0] == pytest.approx(4 * chances[1])
    assert image_chances(checked(root), 0.5)[0] == pytest.approx(
        2 * image_chances(checked(root), 0.5)[1]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": {"epoch": 3}}, r"unknown key 'schedule\.epoch' \(allowed there: epochs"),
        ({"augmentation": {"crop": [50, 64]}}, "multiples of 32"),
        ({"augmentation": {"scale": [2.0, 1.0]}}, "smallest first"),
        ({"augmentation": {"paste": 0.5}}, "name the classes in paste_classes"),
        ({"loss": [{"name": "hinge"}]}, r"loss\.0\.name"),
        (
            {"loss": [{"name": "dice", "wait": 1}]},
            r"unknown key 'loss\.0\.wait' \(allowed there: name, weight",
        ),
        ({"input": {"std": [1, 0, 1]}}, "above 0"),
        ({"data": {"train": []}}, r"data\.train"),
    ],
)
def test_wrong_settings(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_training_job(training_job(tmp_path, **change))


def test_a_data_set_is_named_by_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREETS", str(root.parent))
    folder = Folder(root=f"${{STREETS}}/{root.name}")
    assert folder.place() == root
    assert folder.root == f"${{STREETS}}/{root.name}"
    for unset in (None, ""):
        if unset is None:
            monkeypatch.delenv("STREETS")
        else:
            monkeypatch.setenv("STREETS", unset)
        with pytest.raises(ConfigError, match="the environment has no variable STREETS; set it to"):
            folder.place()


def test_a_missing_data_set_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    command = "import sys; from segpipe.cli import main; code = main(sys.argv[1:]); "
    command += "print(code, 'torch' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if k != "CAMVID"}
    for camvid, code, said in (
        ({}, 2, "${CAMVID}/train: the environment has no variable CAMVID; set it to the folder"),
        ({"CAMVID": str(tmp_path)}, 3, f"{tmp_path}/train: no such folder; give data"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", command, "train", "-c", "configs/train-camvid.yaml"],
            cwd=ROOT,
            env=environment | camvid,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"{code} False\n", done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
