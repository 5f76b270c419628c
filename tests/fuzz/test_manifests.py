"""`dataset.json` of a stranger: a manifest or a DatasetError. What was read is written the same."""

from __future__ import annotations

import copy
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from segpipe.core.errors import DatasetError
from segpipe.store.manifest import FILE, Manifest, read_manifest, write_manifest
from tests.fuzz.support import little_memory

WHOLE: dict[str, Any] = {
    "format": "segpipe",
    "schema_version": 5,
    "model": {
        "source": "fake:",
        "digest": "0" * 32,
        "classes": [{"id": 0, "name": "road", "colour": [1, 2, 3], "common_class": "road"}],
        "preprocessing": {"mean": [0.5, 0.5, 0.5]},
        "scores": "logits",
        "trained": True,
        "threshold": None,
        "precision": "fp32",
    },
    "sampling": {"every_n": 1},
    "frames_per_shard": 500,
    "regions": {"builtin": ["left"], "horizon": 0.5, "path_width": 2.2, "polygons": {}},
    "ignore_regions": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]],
    "ego_mask": "off",
    "quality": {"measure": True, "min_sharpness": 5.0},
}
"""What a run writes, in short."""


def read(content: bytes) -> Manifest | None:
    """The manifest in a file of this content, None where it was refused as the reader says. What
    was read is the same when it was written."""
    with tempfile.TemporaryDirectory() as folder, little_memory():
        root = Path(folder)
        (root / FILE).write_bytes(content)
        try:
            manifest = read_manifest(root)
        except DatasetError:
            return None
        assert manifest is not None
        write_manifest(root, manifest)
        assert list(root.iterdir()) == [root / FILE]
        # By their text: NaN isn't NaN
        assert repr(read_manifest(root)) == repr(manifest)
    return manifest


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a manifest."""
    found = [path] if path else []
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        below = (*path, key)
        found += places(value, below) if isinstance(value, (dict, list)) else [below]
    return found


def with_value(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    changed = copy.deepcopy(content)
    part = changed
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return changed


_numbers = st.one_of(st.integers(), st.floats(), st.just(10**400), st.booleans())
_texts = st.one_of(st.text(max_size=8), st.sampled_from(["\ud800", "\0", "\u202e", "x" * 600]))
_json = st.recursive(
    st.one_of(st.none(), _numbers, _texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=200), _json.map(lambda value: json.dumps(value).encode())))
def test_any_file_gives_a_manifest_or_a_dataset_error(content: bytes) -> None:
    read(content)


@given(st.sampled_from(places(WHOLE)), _json)
@example(("model", "precision"), "\ud800")  # half a character: read, and not written again
def test_an_odd_value_gives_a_manifest_or_a_dataset_error(
    place: tuple[Any, ...], value: Any
) -> None:
    read(json.dumps(with_value(WHOLE, place, value)).encode())


@given(st.sampled_from(places(WHOLE)), _texts, _json)
@example(("format",), "\ud800", None)  # IndexError
@example(("format",), "added", math.inf)  # was written as null
@example(("quality", "measure"), "max_entropy", math.inf)
def test_an_added_key_is_kept_or_refused(place: tuple[Any, ...], key: str, value: Any) -> None:
    added = copy.deepcopy(WHOLE)
    part: Any = added
    for step in place[:-1]:
        part = part[step]
    if isinstance(part, dict):
        part.setdefault(key, value)
    read(json.dumps(added).encode())


@given(st.integers(0, 3000), st.sampled_from(["[", '{"a":', '[{"a":[']))
def test_deep_files_give_a_dataset_error(depth: int, opened: str) -> None:
    text = opened * depth
    closed = {"[": "]", "{": "}"}
    ends = "".join(closed[c] for c in reversed(text) if c in closed)
    read(f'{{"format": "segpipe", "a": {text or 1}{1 if text else ""}{ends}}}'.encode())


def test_the_whole_manifest_is_read() -> None:
    manifest = read(json.dumps(WHOLE).encode())
    assert manifest is not None
    assert manifest.content() == WHOLE
