"""One's own class names: their common names go with the model into the dataset; data that says
otherwise is heard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from segpipe import open_dataset
from segpipe.core.errors import ConfigError, ModelError
from segpipe.core.taxonomy_check import contradictions
from segpipe.core.taxonomy_files import load_taxonomy, taxonomy_of_folder
from segpipe.inference import models
from segpipe.training.loop import train
from segpipe.training.settings import make_training_job
from segpipe.training.setup import prepare
from tests.conftest import ROOT
from tests.footage import make_video
from tests.labelled import training_job, write_set

Run = Callable[..., tuple[int, str, str]]
OWN = """
ignore: [9]
classes:
  - {name: green, common_class: vegetation}
  - {name: street, common_class: road}
  - {name: footway, common_class: sidewalk}
"""
COMMON = {"green": "vegetation", "street": "road", "footway": "sidewalk"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that training wrote, for pictures with green above, street below and a footway
    somewhere."""
    root = tmp_path_factory.mktemp("own")
    content = training_job(
        root, schedule={"epochs": 10, "batch": 4, "average": 0.0, "validate_every": 10}
    )
    Path(content["data"]["taxonomy"]).write_text(OWN)
    load_taxonomy.cache_clear()
    return train(make_training_job(content), progress=False).model


def test_common_names_go_with_the_model_into_the_dataset(
    trained: Path, tmp_path: Path, segpipe: Run
) -> None:
    listed = json.loads((trained / "segpipe.json").read_text())["classes"]
    assert {c["name"]: c["common_class"] for c in listed} == COMMON
    footage = write_set(tmp_path / "set", count=4, seed=5) / "images"
    track = tmp_path / "t.csv"
    rows = [f"2026-05-01T10:00:{i:02d}Z,{50 + i * 1e-5},8.0" for i in range(20)]
    track.write_text("\n".join(["time,latitude,longitude", *rows]))
    make_film(footage, tmp_path / "film.mp4")
    call = (
        "run",
        tmp_path / "film.mp4",
        "-o",
        tmp_path / "out",
        "-q",
        "--set",
        f"model.source={trained}",
    )
    code, _, err = segpipe(
        *call, "--track", track, "--start", "2026-05-01T10:00:00Z", "--set", "read.timeout_s=100"
    )
    assert code == 0, err
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert {c["name"]: c["common_class"] for c in manifest["model"]["classes"]} == COMMON
    view = (
        open_dataset(str(tmp_path / "out"))
        .duckdb()
        .sql("SELECT class_name, common_name FROM classes")
        .fetchall()
    )
    assert dict(view) == COMMON
    layer = tmp_path / "layer.parquet"
    aggregate = (
        "aggregate",
        tmp_path / "out",
        "--by",
        "h3:9",
        "-o",
        layer,
        "--min-frames",
        1,
        "--min-metres",
        0,
    )
    code, _, err = segpipe(*aggregate)
    assert code == 0, err
    cell = pq.read_table(layer).to_pylist()[0]
    assert cell["drivable"] > 0.1
    assert cell["green_view"] > 0.1
    assert cell["pavement"] > 0.02


def make_film(pictures: Path, path: Path) -> None:
    """The pictures as a film of one a second, four seconds each."""
    import av
    import cv2

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for file in sorted(pictures.glob("*.png")):
            frame = av.VideoFrame.from_ndarray(
                cv2.imread(str(file))[..., ::-1].copy(), format="rgb24"
            )
            for _ in range(4):
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def test_evaluate_compares_by_the_models_common_names(
    trained: Path, tmp_path: Path, segpipe: Run
) -> None:
    root = write_set(tmp_path / "set", seed=7)
    names = [("tree", 0), ("road", 1), ("pavement", 2)]
    content = {"ignore_index": 9, "classes": [{"id": i, "name": n} for n, i in names]}
    (root / "classes.json").write_text(json.dumps(content))
    code, text, err = segpipe("evaluate", trained, root, "-q")
    assert code == 0, err
    assert "classes compared by common names" in text
    assert all(name in text for name in ("vegetation", "road", "sidewalk"))


def test_changed_common_names_refuse_no_dataset(
    trained: Path, tmp_path: Path, segpipe: Run
) -> None:
    model = Path(shutil.copytree(trained, tmp_path / "m"))
    make_video(tmp_path / "a.mp4", frames=2)
    call = (
        "run",
        tmp_path / "a.mp4",
        "-o",
        tmp_path / "out",
        "-q",
        "--set",
        f"model.source={model}",
        "--set",
        "read.timeout_s=100",
    )
    assert segpipe(*call)[0] == 0
    frames = sorted((tmp_path / "out" / "frames").glob("*.parquet"))
    stamps = [f.stat().st_mtime_ns for f in frames]
    said = json.loads((model / "segpipe.json").read_text())
    said["classes"][2]["common_class"] = "terrain"
    (model / "segpipe.json").write_text(json.dumps(said))
    code, _, err = segpipe(*call)
    assert code == 0, err
    assert dict(
        open_dataset(str(tmp_path / "out"))
        .duckdb()
        .sql("SELECT class_name, common_name FROM classes")
        .fetchall()
    ) == {
        **COMMON,
        "footway": "terrain",
    }
    assert [f.stat().st_mtime_ns for f in frames] == stamps
    said["classes"][2]["name"] = "path"
    (model / "segpipe.json").write_text(json.dumps(said))
    assert segpipe(*call)[0] == 5


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"common_class": "raod"},
            r"'street' in segpipe.json has the common_class 'raod' \(nearest: road\); "
            r"allowed are sky",
        ),
        ({"common_class": "xyz"}, r"the common_class 'xyz'; allowed are sky"),
        (
            {"common_name": "road"},
            "'street' in segpipe.json has common_name; allowed are id, name, colour, common_class",
        ),
        (
            {"common_class": "road", "common": "road"},
            "class 'street' in segpipe.json has common_class and common, which is the old name of "
            "the same; leave out common",
        ),
        ({"name": None, "id": 4}, "ids of the classes"),
    ],
)
def test_a_wrong_segpipe_json_is_refused(
    trained: Path, tmp_path: Path, entry: dict, said: str
) -> None:  # type: ignore[type-arg]
    model = Path(shutil.copytree(trained, tmp_path / "m"))
    content = json.loads((model / "segpipe.json").read_text())
    del content["classes"][1]["common_class"]
    content["classes"][1] |= entry
    (model / "segpipe.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=said):
        models.load(str(model))
    (model / "segpipe.json").write_text(json.dumps({"klasses": []}))
    with pytest.raises(
        ModelError,
        match=r"segpipe\.json has klasses; allowed are about, classes, preprocessing, threshold",
    ):
        models.load(str(model))


def test_a_segpipe_json_with_the_old_key_common_is_read(trained: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(trained, tmp_path / "m"))
    text = (model / "segpipe.json").read_text()
    (model / "segpipe.json").write_text(text.replace('"common_class"', '"common"'))
    assert {c.name: c.common_class for c in models.load(str(model)).spec.classes} == COMMON
    assert text.count('"common_class"') == len(COMMON)


def test_a_taxonomy_names_the_nearest_common_name(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text(
        "classes: [{name: tree}, {name: a, common_class: road}, {name: sky, common_class: other}]"
    )
    assert [c.common_class for c in load_taxonomy(str(tmp_path / "k.yaml")).classes] == [
        "vegetation",
        "road",
        "other",
    ]
    (tmp_path / "t.yaml").write_text("classes: [{name: a, common_class: vegetaton}, {name: b}]")
    with pytest.raises(
        ConfigError, match=r"common_class one of sky.*; found vegetaton \(nearest: vegetation\)"
    ):
        load_taxonomy(str(tmp_path / "t.yaml"))


DATA = {0: "sky", 1: "road", 2: "car", 3: "crack"}


def data_set(root: Path) -> Path:
    write_set(root)
    content = {"ignore_index": 9, "classes": [{"id": i, "name": n} for i, n in DATA.items()]}
    (root / "classes.json").write_text(json.dumps(content))
    return root


def taxonomy_file(path: Path, classes: dict[str, object], ignore: list[int]) -> Path:
    listed = [
        {"name": n, **(v if isinstance(v, dict) else {"value": v})} for n, v in classes.items()
    ]
    path.write_text(json.dumps({"ignore": ignore, "classes": listed}))  # JSON is YAML
    return path


@pytest.mark.parametrize(
    ("classes", "ignore", "said"),
    [
        (
            {"road": 0, "sky": 1, "car": 2, "crack": 3},
            [9],
            "0 is sky there, road in t; 1 is road there, sky in t",
        ),
        ({"sky": 0, "building": 1, "car": 2, "crack": 3}, [9], "1 is road there, building in t"),
        ({"sky": 0, "crack": 1, "car": 2, "hole": 3}, [9], "1 is road there, crack in t"),
        (
            {"sky": 0, "road": 1, "car": 2, "crack": 3, "kerb": 9},
            [],
            "9 is ignored there, kerb in t",
        ),
        ({"a": 0, "b": 1, "c": 2, "d": 3}, [9], "0 is sky there, a in t.*3 is crack there, d in t"),
    ],
    ids=["order", "names", "moved", "ignored", "nothing agrees"],
)
def test_a_taxonomy_that_contradicts_the_data(
    tmp_path: Path, segpipe: Run, classes: dict[str, object], ignore: list[int], said: str
) -> None:
    root, file = data_set(tmp_path / "set"), taxonomy_file(tmp_path / "t.yaml", classes, ignore)
    with pytest.raises(
        ConfigError,
        match=rf"taxonomy t contradicts {root / 'classes.json'}: .*{said}.*Leave the taxonomy out",
    ):
        taxonomy_of_folder(root, str(file))
    (tmp_path / "job").mkdir()
    job = training_job(tmp_path / "job")
    job["data"] = {
        "taxonomy": str(file),
        "train": [{"root": str(root)}],
        "val": [{"root": str(root)}],
    }
    with pytest.raises(ConfigError, match="contradicts"):
        prepare(make_training_job(job))


@pytest.mark.parametrize(
    ("classes", "ignore"),
    [
        ({"sky": 0, "road": 1, "car": 2, "crack": 3}, [9]),
        (
            {
                "Himmel": {"value": 0, "common_class": "sky"},
                "street": {"value": 1, "common_class": "road"},
                "car": 2,
                "damage": 3,
            },
            [9],
        ),
        ({"road": 1, "rest": [0, 2, 3]}, [9]),
        ({"road": [1, 3], "car": 2}, [0, 9]),
    ],
    ids=["the same", "renamed", "merged", "ignored"],
)
def test_renaming_merging_and_ignoring_are_no_contradiction(
    tmp_path: Path, classes: dict[str, object], ignore: list[int]
) -> None:
    root, file = data_set(tmp_path / "set"), taxonomy_file(tmp_path / "t.yaml", classes, ignore)
    assert taxonomy_of_folder(root, str(file)).names == tuple(classes)


def test_evaluate_refuses_a_contradiction_and_names_missing_data(
    tmp_path: Path, segpipe: Run
) -> None:
    root = data_set(tmp_path / "set")
    for command in (("evaluate", "fake:"), ("compare", "fake:", "fake:")):
        code, out, err = segpipe(*command, root, "--taxonomy", "camvid", "-q")
        assert (code, out) == (2, "")
        assert (
            f"contradicts {root / 'classes.json'}: 1 is road there, building in camvid; 2 is car "
            "there, pole" in err
        )
    code, _, err = segpipe("evaluate", "fake:", tmp_path / "nowhere", "--taxonomy", "camvid")
    assert (code, f"{tmp_path / 'nowhere'}: no such folder" in err) == (3, True)
    code, _, err = segpipe("evaluate", "fake:", root, "-q")
    assert (code, "have no common name; give --mapping" in err) == (2, True)
    assert "labels are a value for each pixel there, colours in comma10k" in str(
        contradictions(load_taxonomy("comma10k"), taxonomy_of_folder(root, None))
    )


def test_messages_name_an_installation_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    import segpipe.core.extras

    monkeypatch.setitem(sys.modules, "transformers", None)
    wheel = r"pip install 'segpipe-0.1.0-py3-none-any.whl\[hf\]'"
    with pytest.raises(
        ModelError, match=rf"pip install -e '{ROOT}\[hf\]' \(a checkout\), or {wheel} \(the wheel\)"
    ):
        models.load("hf:x")
    monkeypatch.setattr(segpipe.core.extras, "_CHECKOUT", tmp_path)
    with pytest.raises(
        ModelError, match=rf"pip install -e 'PATH/TO/segpipe\[hf\]' \(a checkout\), or {wheel}"
    ):
        models.load("hf:x")
    sources = [
        *(ROOT / "segpipe").rglob("*.py"),
        *(ROOT / "flows").glob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
    ]
    assert [p for p in sources if "pip install 'segpipe[" in p.read_text()] == []


def test_export_writes_onnx_only(tmp_path: Path, segpipe: Run) -> None:
    for name in ("x.pt", "x", "onnx"):
        code, _, err = segpipe("export", "builtin:street", "-o", tmp_path / name)
        assert (code, "writes ONNX only; give -o a name that ends in .onnx" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []
