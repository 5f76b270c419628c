"""Exports: masks as PNG, folders that are complete or not there, and a new kind by one row."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.analysis.export import EXPORTS, Export, export_dataset
from segpipe.analysis.export.base import OnFrames
from segpipe.analysis.export.masks_png import file_name
from segpipe.core.errors import ConfigError, DatasetError
from segpipe.store.dataset import Dataset, open_dataset
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
NAMES = {"export.json", "masks.csv", "classes.csv"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of a video of three frames, two images, and an image that can't be read."""
    from segpipe.cli import main

    folder = tmp_path_factory.mktemp("footage")
    make_video(folder / "clip.mp4", frames=3)
    (folder / "photos").mkdir()
    for name, red in (("a b.png", 250), ("Straße;1.png", 240)):
        Image.new("RGB", (48, 32), (red, 0, 0)).save(folder / "photos" / name)
    (folder / "photos" / "bad.png").write_text("words")
    out = folder / "out"
    inputs = (str(folder / "clip.mp4"), str(folder / "photos"))
    assert main(["run", *inputs, "-o", str(out), "--set", "model.source=fake:", "-q"]) == 6
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_masks_as_png_join_the_frames(out: Path, tmp_path: Path, segpipe: Call) -> None:
    target = tmp_path / "new" / "masks"
    code, printed, _ = segpipe("export", out, "--format", "masks-png", "-o", target)
    assert (code, printed) == (0, f"{target}: 5 frames as masks-png\n")
    dataset = open_dataset(out)
    sql = "SELECT frame_id FROM frames WHERE status = 'ok' ORDER BY frame_id"
    expected = [frame_id for (frame_id,) in dataset.duckdb().sql(sql).fetchall()]
    listed = {row["frame_id"]: row["file"] for row in rows_of(target / "masks.csv")}
    assert sorted(listed) == expected
    colours = {row["class_id"]: row for row in rows_of(target / "classes.csv")}
    assert list(colours)[-1] == "255"
    for frame_id, name in listed.items():
        with Image.open(target / name) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture), dataset.mask(frame_id))
            palette = picture.getpalette() or []
        for one in dataset.classes:
            assert tuple(palette[3 * one.id : 3 * one.id + 3]) == one.colour
            told = colours[str(one.id)]
            assert tuple(int(told[c]) for c in ("red", "green", "blue")) == one.colour
            assert (told["class_name"], told["common_name"]) == (one.name, one.common_name)
    clip = next(f for f in expected if f.endswith(":00000001"))
    assert listed[clip] == clip.replace(":", "/") + ".png"
    photos = [Path(name).name for name in listed.values() if name.startswith("images-")]
    assert sorted(photos)[1] == "a b.png.png"
    assert re.fullmatch(r"Straße_1_png-[0-9a-f]{10}\.png", sorted(photos)[0])
    assert {p.name for p in target.iterdir() if p.is_file()} == NAMES
    assert files_in(target.parent)[0] == "masks"


def test_images_of_one_name_have_a_file_each(tmp_path: Path, segpipe: Call) -> None:
    """A camera uses its names again; the earlier image was moved."""
    card, kept, out = (tmp_path / n for n in ("card", "kept", "out"))
    card.mkdir()
    run = ("run", card, "-o", out, "--set", "model.source=fake:")
    for red, name in ((250, "a.png"), (230, "b.png")):
        Image.new("RGB", (48, 32), (red, 0, 0)).save(card / name)
    assert segpipe(*run)[0] == 0
    kept.mkdir()
    (card / "a.png").rename(kept / "a.png")
    Image.new("RGB", (48, 32), (240, 0, 0)).save(card / "A.png")
    assert segpipe("run", kept, *run[1:])[0] == 0
    assert segpipe("export", out, "--format", "masks-png", "-o", tmp_path / "m")[0] == 0
    rows = rows_of(tmp_path / "m" / "masks.csv")
    keys = [row["frame_id"].partition(":")[2] for row in rows]
    names = [Path(row["file"]).name for row in rows]
    assert len({Path(row["file"]).parent for row in rows}) == 1
    assert sum(name == "b.png.png" for name in names) == 1
    same = [(k, n) for k, n in zip(keys, names, strict=True) if n != "b.png.png"]
    assert sorted(n for _, n in same) == sorted(f"{n[:5]}-{k}.png" for k, n in same)
    assert {n[:5] for _, n in same} == {"a.png", "A.png"}


@pytest.mark.parametrize(
    "frame_id",
    ["../../etc:passwd", "a:../b", "a:b/c", "a:" + "x" * 300, "a:", ":", "a:x\n", "..:."],
)
def test_no_name_leads_out_of_the_folder(frame_id: str) -> None:
    name = file_name(frame_id)
    source, frame = name.split("/")
    assert not source.startswith(".")
    assert not frame.startswith(".")
    assert name.isprintable()
    assert len(frame.encode()) < 255
    assert name != file_name(frame_id + "y")


def test_an_export_replaces_only_an_export(out: Path, tmp_path: Path, segpipe: Call) -> None:
    command = ("export", out, "--format", "masks-png", "-o")
    target = tmp_path / "masks"
    target.mkdir()
    assert segpipe(*command, target)[0] == 0
    (target / "of an older dataset.png").touch()
    code, _, errors = segpipe(*command, target)
    assert (code, "holds an export; --force replaces it, or name another folder" in errors) == (
        2,
        True,
    )
    code, _, errors = segpipe(*command, target, "--force")
    assert (code, errors) == (0, f"segpipe: the export in {target} is replaced\n")
    assert not (target / "of an older dataset.png").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.doc").touch()
    for force in ((), ("--force",)):
        code, _, errors = segpipe(*command, mine, *force)
        assert code == 2
        assert f"{mine}: the folder holds other things than an export; name a new folder" in errors
    assert files_in(mine) == ["thesis.doc"]
    (tmp_path / "file").touch()
    assert segpipe(*command, tmp_path / "file")[0] == 5
    assert segpipe(*command, tmp_path / "file" / "masks")[0] == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "masks", "mine"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DatasetError("gone"), OSError(28, "full")])
def test_nothing_half_written_stays(
    error: BaseException, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(dataset: Dataset, folder: Path, on_frames: OnFrames) -> int:
        (folder / "half.png").touch()
        raise error

    dataset, target = open_dataset(out), tmp_path / "masks"
    export_dataset(dataset, "masks-png", target)
    before = files_in(tmp_path)
    monkeypatch.setitem(EXPORTS, "half", Export("half", lambda: write))
    expected = DatasetError if isinstance(error, OSError) else type(error)
    for folder, force in ((tmp_path / "new", False), (target, True)):
        with pytest.raises(expected):
            export_dataset(dataset, "half", folder, force)
    assert files_in(tmp_path) == before


def test_a_damaged_mask_is_one_line(out: Path, tmp_path: Path, segpipe: Call) -> None:
    shutil.copytree(out, tmp_path / "out")
    next((tmp_path / "out" / "masks").iterdir()).write_bytes(b"PAR1words")
    target = tmp_path / "masks"
    code, _, errors = segpipe("export", tmp_path / "out", "--format", "masks-png", "-o", target)
    assert code == 5
    assert "can't be read (" in errors
    assert "segpipe verify lists what is wrong" in errors
    assert not target.exists()


def test_what_the_command_refuses(out: Path, tmp_path: Path, segpipe: Call) -> None:
    masks = ("--format", "masks-png", "-o", tmp_path / "new")
    for command, code, said in (
        ((out,), 2, "is a dataset: give --format NAME and -o FOLDER; allowed are masks-png"),
        ((out, "--format", "onnx"), 2, "is a dataset: give --format NAME and -o FOLDER"),
        ((out, "--format", "masks-png"), 2, "--format masks-png writes a folder: give -o FOLDER"),
        (("fake:", *masks), 2, "fake: is a model: --format masks-png exports datasets; allowed"),
        ((tmp_path, *masks), 5, "not a dataset (no dataset.json in it)"),
        (("nowhere", *masks), 5, "no such folder"),
        (("nowhere",), 4, "'nowhere' is no model URI; allowed are"),
    ):
        found, _, errors = segpipe("export", *command)
        assert (found, said in errors) == (code, True), errors
        assert errors.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_new_kind_is_one_row(
    out: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/extending.md has it: a function that writes, and a row in the table."""

    def write_toy(dataset: Dataset, folder: Path, on_frames: OnFrames) -> int:
        frames = dataset.polars("frames").filter(status="ok").select("frame_id", "pts_s").collect()
        frames.write_csv(folder / "frames.csv")
        on_frames(len(frames))
        return len(frames)

    monkeypatch.setitem(EXPORTS, "toy", Export("frames and times", lambda: write_toy))
    target = tmp_path / "toy"
    code, printed, _ = segpipe("export", out, "--format", "toy", "-o", target)
    assert (code, printed) == (0, f"{target}: 5 frames as toy\n")
    assert files_in(target) == ["export.json", "frames.csv"]
    with pytest.raises(ConfigError, match=r"export 'x' is unknown; allowed are masks-png, toy"):
        export_dataset(open_dataset(out), "x", tmp_path / "x")
    monkeypatch.setitem(EXPORTS, "far", Export("far", lambda: write_toy, extra="hf"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    code, _, errors = segpipe("export", out, "--format", "far", "-o", tmp_path / "far")
    assert (code, "segpipe export --format far needs the extra 'hf'" in errors) == (2, True)
