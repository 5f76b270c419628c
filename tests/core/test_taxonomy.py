"""What labels mean, and the names that data sets share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.taxonomy import COMMON
from segpipe.core.taxonomy_files import (
    common_name,
    load_taxonomy,
    taxonomy_names,
    taxonomy_of_folder,
)
from segpipe.core.types import VOID
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("name", "count"),
    [("camvid", 11), ("cityscapes", 19), ("mapillary", 65), ("ade20k", 150), ("comma10k", 5)],
)
def test_the_taxonomies_are_whole(name: str, count: int) -> None:
    assert len(load_taxonomy(name).classes) == count
    assert (ROOT / "configs" / "taxonomies" / f"{name}.yaml").is_file()


def test_a_name_means_the_same_everywhere() -> None:
    seen: dict[str, set[str]] = {}
    for name in taxonomy_names():
        for c in load_taxonomy(name).classes:
            seen.setdefault(c.name.lower(), set()).add(c.common_class)
    assert not {k: v for k, v in seen.items() if len(v) > 1}
    assert set().union(*seen.values()) == set(COMMON)


def test_common_names() -> None:
    assert [
        common_name(n)
        for n in ("pavement", "Sidewalk", "traffic light", "Motorcyclist", "minibike", "spaceship")
    ] == [
        "sidewalk",
        "sidewalk",
        "sign",
        "cyclist",
        "vehicle",
        "other",
    ]


def test_a_file_with_the_old_key_common_means_the_same(tmp_path: Path) -> None:
    for key in ("common", "common_class"):
        (tmp_path / key).mkdir()
        (tmp_path / key / "t.yaml").write_text(
            f"classes: [{{name: a, {key}: road}}, {{name: tree}}, {{name: sky, {key}: other}}]"
        )
    old, new = (load_taxonomy(str(tmp_path / k / "t.yaml")) for k in ("common", "common_class"))
    assert old == new
    assert [c.common_class for c in old.classes] == ["road", "vegetation", "other"]


def test_people_are_people_and_two_wheelers_are_vehicles() -> None:
    classes = {
        n: {c.name: c.common_class for c in load_taxonomy(n).classes} for n in taxonomy_names()
    }
    people = {
        n: {k for k, common in found.items() if common in {"person", "cyclist"}}
        for n, found in classes.items()
    }
    assert people == {
        "camvid": {"pedestrian", "bicyclist"},
        "cityscapes": {"person", "rider"},
        "ade20k": {"person"},
        "comma10k": set(),
        "mapillary": {"Person", "Bicyclist", "Motorcyclist", "Other Rider"},
    }
    for name in ("bicycle", "motorcycle"):
        assert {
            classes["cityscapes"][name],
            classes["mapillary"][name.capitalize()],
            common_name(name),
        } == {"vehicle"}


def test_cityscapes_ids_become_train_ids() -> None:
    found = load_taxonomy("cityscapes").decode(np.array([[7, 8, 23], [33, 0, 255]], np.uint8))
    assert found.tolist() == [[0, 1, 10], [18, VOID, VOID]]


def test_colours_become_classes() -> None:
    found = load_taxonomy("comma10k").decode(
        np.array([[[64, 32, 32], [255, 0, 0], [204, 0, 255]]], np.uint8)
    )
    assert found.tolist() == [[0, 1, 4]]


def test_values_outside_the_classes_are_refused() -> None:
    with pytest.raises(
        SourceError, match=r"a\.png: the label values \[12, 77\] are neither a class of camvid"
    ):
        load_taxonomy("camvid").decode(np.array([[0, 12, 77]], np.uint8), "a.png")
    with pytest.raises(SourceError, match=r"\[\[1, 2, 3\]\]"):
        load_taxonomy("comma10k").decode(np.full((2, 2, 3), (1, 2, 3), np.uint8))


def test_remapping_puts_classes_together_and_ignores() -> None:
    small = load_taxonomy("cityscapes").remapped({"bus": "car", "truck": "car", "train": "ignore"})
    assert len(small.classes) == 16
    car = small.names.index("car")
    assert small.decode(np.array([[26, 27, 28, 31]], np.uint8)).tolist() == [[car, car, car, VOID]]


@pytest.mark.parametrize(
    ("remap", "message"),
    [
        ({"tram": "car"}, "tram; allowed are"),
        ({"car": "tram"}, "tram"),
        ({"bus": "truck", "truck": "car"}, "truck is itself mapped away"),
    ],
)
def test_wrong_remaps(remap: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_taxonomy("cityscapes").remapped(remap)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [{name: a, value: 1}, {name: b, value: 1}]", "found twice: 1"),
        ("classes: [{name: a}, {name: a}]", "names of their own"),
        ("classes: [{name: a, common_class: nothing}]", "common_class one of sky"),
        ("classes: [{name: a, common: nothing}]", "common_class one of sky.*; found nothing"),
        (
            "classes: [{name: a, common_class: road, common: road}]",
            r"t\.yaml: class 'a' has common_class and common, which is the old name of the same; "
            "leave out common",
        ),
        ("classes: [{value: 3}]", "each class needs a name"),
        ("classes: [road, sky]", "each class needs a name"),
        ("encoding: rgb\nclasses: [{name: a}]", "found encoding: rgb"),
        ("classes: []", "1 to 255 classes"),
        ("klasses: []", "keys are about"),
        ("encoding: colour\nclasses: [{name: a}]", "each class needs a name"),
        ("classes: [{name: a, value: 300}]", "0 to 255"),
    ],
)
def test_wrong_taxonomy_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_taxonomy(str(tmp_path / "t.yaml"))


def test_a_folder_says_what_its_labels_mean(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing says what its labels mean; give --taxonomy"):
        taxonomy_of_folder(tmp_path, None)
    (tmp_path / "classes.json").write_text(
        '{"ignore_index": 2, "classes": [{"id": 0, "name": "road"}, {"id": 1, "name": "sky"}]}'
    )
    assert taxonomy_of_folder(tmp_path / "val", None).names == ("road", "sky")
    (tmp_path / "classes.json").write_text("{}")
    assert taxonomy_of_folder(tmp_path, "camvid").names[0] == "sky"
    with pytest.raises(ConfigError, match=r"classes\.json: wants"):
        taxonomy_of_folder(tmp_path, None)


def test_camvids_own_description_is_the_taxonomy(camvid: Path) -> None:
    found, own = taxonomy_of_folder(camvid / "val", None), load_taxonomy("camvid")
    assert (found.classes, set(found.ignore)) == (own.classes, set(own.ignore))


def test_queries_show_the_common_names(
    tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    from tests.footage import make_video

    make_video(tmp_path / "a.mp4", frames=3)
    assert (
        segpipe(
            "run", tmp_path / "a.mp4", "-o", tmp_path / "out", "--set", "model.source=fake:", "-q"
        )[0]
        == 0
    )
    code, out, _ = segpipe(
        "query",
        tmp_path / "out",
        "SELECT class_name, common_name FROM classes ORDER BY class_id",
        "--format",
        "csv",
    )
    assert (code, out.splitlines()[0]) == (0, "class_name,common_name")
    total = (
        "SELECT max(abs(s - 1)) < 1e-9 AS whole FROM (SELECT sum(pixel_fraction) s FROM "
        "common_stats GROUP BY frame_id, region)"
    )
    assert segpipe("query", tmp_path / "out", total, "--format", "csv")[1] == "whole\nTrue\n"
