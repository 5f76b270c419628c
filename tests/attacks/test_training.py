"""Training data and checkpoints that someone else made."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from segpipe.core.errors import SourceError, TrainingError
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.training.data import Pair, labelled_set, read_pair
from segpipe.training.data_settings import Folder
from segpipe.training.run_folder import LAST, WholeCheckpoints, begin, read_checkpoint
from segpipe.training.settings import make_training_job

TAXONOMY = """
about: Two halves.
encoding: index
ignore: [255]
classes:
  - {name: left, value: 0, common_class: road}
  - {name: right, value: 1, common_class: sky}
"""


class Mark:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


def data_set(root: Path, count: int = 1) -> Folder:
    """Pictures with labels of two halves, and the taxonomy beside them."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    label = np.zeros((48, 64), np.uint8)
    label[:, 32:] = 1
    for i in range(count):
        cv2.imwrite(str(root / f"images/{i}.png"), np.full((48, 64, 3), 40 * i, np.uint8))
        cv2.imwrite(str(root / f"labels/{i}.png"), label)
    (root / "halves.yaml").write_text(TAXONOMY)
    return Folder(root=str(root))


def huge_png(path: Path, edge: int) -> None:
    """A PNG of a few bytes that claims edge x edge pixels, and holds the first of them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(10_000))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_honest_labels_are_read_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data_set(tmp_path, 5)

    def here(*_: Any) -> None:
        pytest.fail("a label was decoded in this process")

    monkeypatch.setattr(cv2, "imread", here)
    found = labelled_set([folder], load_taxonomy(str(tmp_path / "halves.yaml")), "data.train")
    assert found.counts.tolist() == [[48 * 32, 48 * 32]] * 5
    rgb, classes = read_pair(found.pairs[2], found.taxonomy)
    assert rgb[0, 0].tolist() == [80, 80, 80]
    assert classes[0].tolist() == [0] * 32 + [1] * 32


@pytest.mark.attack("a label of a few bytes claims a picture of gigabytes")
def test_a_huge_label(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    huge_png(tmp_path / "labels/0.png", 30_000)
    with pytest.raises(SourceError, match=r"0\.png: the label 30000 x 30000 = .*too large") as e:
        labelled_set([folder], load_taxonomy(str(tmp_path / "halves.yaml")), "data.train")
    assert "\n" not in str(e.value)


@pytest.mark.attack("a label is a FIFO, or PostScript under a picture's name")
def test_a_label_that_is_no_picture(tmp_path: Path) -> None:
    data_set(tmp_path)
    label = tmp_path / "labels/0.png"
    pair = Pair(tmp_path / "images/0.png", label)
    taxonomy = load_taxonomy(str(tmp_path / "halves.yaml"))
    label.unlink()
    os.mkfifo(label)
    with pytest.raises(SourceError, match="isn't a regular file"):
        read_pair(pair, taxonomy)
    label.unlink()
    label.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n")
    with pytest.raises(SourceError, match="none of PNG, TIFF"):
        read_pair(pair, taxonomy)


@pytest.mark.attack("a label crashes its decoder")
def test_a_label_that_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash is a real one: the child is made to abort where it would decode."""
    folder = data_set(tmp_path, 2)
    sabotage = tmp_path / "sabotage"
    sabotage.mkdir()
    (sabotage / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'segpipe.runtime.isolation.serve' in ' '.join(sys.orig_argv):\n"
        "    import cv2\n"
        "    cv2.imread = lambda *_: os.abort()\n"
    )
    from segpipe.runtime import isolation

    isolation.end_all()
    monkeypatch.syspath_prepend(str(sabotage))
    with pytest.raises(SourceError, match=r"\.png.*crashed \(SIGABRT\); repair or remove it"):
        labelled_set([folder], load_taxonomy(str(tmp_path / "halves.yaml")), "data.train")
    isolation.end_all()


@pytest.mark.attack("a run's checkpoint is a pickle that runs code")
def test_a_pickled_checkpoint(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "last.ckpt"
    torch.save({"epoch": 0, "state_dict": {}, "callbacks": {"x": Mark(mark)}}, path)
    with pytest.raises(TrainingError, match="the checkpoint can't be read"):
        read_checkpoint(path)
    # As Lightning loads it, and as a library would that asks for everything
    for asked in (None, False, True):
        with pytest.raises(TrainingError, match="the checkpoint can't be read"):
            WholeCheckpoints().load_checkpoint(path, weights_only=asked)
    assert not mark.exists()


@pytest.mark.attack("a run folder to continue holds a pickled checkpoint")
@pytest.mark.slow
def test_a_run_that_goes_on_from_a_pickle(tmp_path: Path) -> None:
    from segpipe.training.loop import train

    mark = tmp_path / "mark"
    for name in ("train", "val"):
        data_set(tmp_path / name, 2)
    job = make_training_job(
        {
            "output": str(tmp_path / "run"),
            "data": {
                "taxonomy": str(tmp_path / "train" / "halves.yaml"),
                "train": [{"root": str(tmp_path / "train")}],
                "val": [{"root": str(tmp_path / "val")}],
            },
            "network": {"architecture": "simple_cnn", "weights": "none"},
            "augmentation": {"crop": [32, 32]},
            "schedule": {"epochs": 1, "batch": 1},
            "machine": {"accelerator": "cpu"},
        }
    )
    train(job, progress=False)
    torch.save({"epoch": 0, "callbacks": {"x": Mark(mark)}}, tmp_path / "run" / LAST)
    with pytest.raises(TrainingError, match="start again with --fresh"):
        train(job, progress=False)
    assert not mark.exists()


@pytest.mark.attack("a run's checkpoint is a FIFO")
def test_a_checkpoint_that_is_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="not a regular file"):
        read_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.attack("a run's folders are links to folders of others, and the run starts fresh")
def test_fresh_deletes_nothing_behind_a_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.jpg").write_text("mine")
    out = tmp_path / "run"
    out.mkdir()
    for name in ("checkpoints", "model", "evaluation"):
        (out / name).symlink_to(other)
    begin(out, {}, fresh=True)
    assert (other / "photo.jpg").read_text() == "mine"
    assert not (out / "model").exists()
