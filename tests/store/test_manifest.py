"""`dataset.json`: a typed model in the program, the same bytes on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from segpipe.core.errors import DatasetError
from segpipe.store.manifest import Manifest, read_manifest, write_manifest
from tests.synthetic import Clip, write_dataset

Call = Callable[..., tuple[int, str, str]]
KEYS = [
    "format",
    "schema_version",
    "model",
    "sampling",
    "frames_per_shard",
    "regions",
    "ignore_regions",
    "ego_mask",
    "quality",
]


def read(root: Path) -> Manifest:
    manifest = read_manifest(root)
    assert manifest is not None
    return manifest


def test_a_manifest_is_written_as_it_was_read(tmp_path: Path) -> None:
    """Also what isn't known here: another version's additions."""
    write_dataset(tmp_path, [Clip("a", 1, {})])
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["model"]["added"] = [1]
    content["added"] = {"of": "another version"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    write_manifest(tmp_path, read(tmp_path))
    assert json.loads((tmp_path / "dataset.json").read_text()) == content


def test_a_run_writes_the_keys_in_their_order(tmp_path: Path, segpipe: Call) -> None:
    picture, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    assert segpipe("run", picture, "-o", out, "--set", "model.source=fake:")[0] == 0
    text = (out / "dataset.json").read_text()
    content = json.loads(text)
    assert list(content) == KEYS
    assert list(content["model"])[:3] == ["source", "digest", "classes"]
    assert list(content["model"])[-1] == "precision"
    assert text == json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    assert read(out).content() == content


def test_a_manifest_cant_be_changed(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, [Clip("a", 1, {})]).manifest
    with pytest.raises(ValidationError, match="frozen"):
        manifest.frames_per_shard = 3


def test_the_first_odd_key_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, [Clip("a", 1, {})])
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["model"]["classes"][1]["colour"] = [1, 2]
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"model\.classes isn't what segpipe run writes"):
        read_manifest(tmp_path)
