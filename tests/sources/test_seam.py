"""A kind of source is added by a row of `SOURCES` alone: run, repetition, verification and
what reads a dataset know it then, also where its files have moved or grown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe import open_dataset
from segpipe.runtime import isolation
from segpipe.sources import SOURCES
from segpipe.verify import verify
from tests.sources.colours import ColourLists

Call = Callable[..., tuple[int, str, str]]
RED, GREEN, BLUE = "#dc1e1e", "#1ec81e", "#1e1edc"
FLAGS = ("--set", "model.source=fake:", "--set", "store.frames_per_shard=2")
HERE = ("--set", "read.isolate=false")
IN_CHILDREN = """
from segpipe.sources.table import SOURCES
from tests.sources.colours import ColourLists
SOURCES["colours"] = ColourLists()
"""


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "colours", ColourLists())


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    (folder / "wall.colours").write_text("\n".join([RED, GREEN, BLUE]))
    return folder


def names(out: Path) -> list[str]:
    """The largest class of each frame, in the order of the frames."""
    query = (
        "SELECT arg_max(class_name, pixel_count) FROM class_stats "
        "WHERE region = 'frame' GROUP BY frame_id ORDER BY frame_id"
    )
    return [name for (name,) in open_dataset(out).duckdb().sql(query).fetchall()]


def lists(out: Path) -> list[list[str]]:
    """The same for each source, in the order of the alphabet."""
    query = (
        "SELECT list(class_name ORDER BY frame_id) FROM (SELECT split_part(frame_id, ':', 1) AS s, "
        "frame_id, arg_max(class_name, pixel_count) AS class_name FROM class_stats "
        "WHERE region = 'frame' GROUP BY ALL) GROUP BY s ORDER BY 1"
    )
    return [found for (found,) in open_dataset(out).duckdb().sql(query).fetchall()]


def run_twice(footage: Path, out: Path, segpipe: Call, *flags: str) -> None:
    assert segpipe("run", footage, "-o", out, *FLAGS, *flags)[0] == 0
    assert names(out) == ["red", "green", "blue"]
    code, said, _ = segpipe("run", footage, "-o", out, *FLAGS, *flags)
    assert (code, "nothing new" in said) == (0, True)
    assert not verify(out).findings


def test_a_new_kind_runs_is_known_again_and_verifies(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    run_twice(footage, tmp_path / "out", segpipe, *HERE)
    frames = open_dataset(tmp_path / "out").arrow("frames").to_pylist()
    assert [(f["frame_index"], f["pts_s"]) for f in frames] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    (source,) = open_dataset(tmp_path / "out").arrow("sources").to_pylist()
    assert (source["kind"], source["duration_s"]) == ("colours", 3.0)


def test_its_frames_are_read_in_a_child_process_too(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a row that stands in the table itself, which a child imports."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(IN_CHILDREN)
    isolation.end_all()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    run_twice(footage, tmp_path / "out", segpipe)
    assert not verify(tmp_path / "out", footage=True).findings
    isolation.end_all()


def test_its_failures_and_its_new_content_are_found(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    (footage / "wall.colours").write_text(f"{RED} mauve")
    (footage / "bytes.colours").write_bytes(b"\xff\xfe\xff")
    assert segpipe("run", footage, "-o", out, *FLAGS, *HERE)[0] == 6
    _, said, _ = segpipe("errors", out)
    assert "'mauve' is no colour" in said
    assert "can't be read as a list of colours" in said
    assert not verify(out).wrong
    (footage / "bytes.colours").unlink()
    (footage / "wall.colours").write_text(f"{BLUE} {GREEN} {RED}")
    segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    assert lists(out) == [["blue", "green", "red"], ["red"]]  # the old list keeps its row
    assert not verify(out).wrong


def test_a_list_that_has_moved_or_was_copied_is_known(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out, place = tmp_path / "out", tmp_path / "elsewhere"
    segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    place.mkdir()
    (footage / "wall.colours").rename(place / "fence.colours")
    (place / "copy.colours").write_text((place / "fence.colours").read_text())
    code, said, _ = segpipe("run", place, "-o", out, *FLAGS, *HERE)
    assert (code, "nothing new: 3 frames" in said) == (0, True)
    assert "1 copy counted once: " in said
    assert lists(out) == [["red", "green", "blue"]]
    (source,) = open_dataset(out).duckdb().sql("SELECT uri FROM sources").fetchall()
    assert Path(source[0]).parent == place
    assert not verify(out).wrong


def test_a_list_that_has_grown_is_done_again(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    with (footage / "wall.colours").open("a") as file:
        file.write(f"\n{RED}")
    code, said, _ = segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    assert (code, "4 frames in" in said) == (0, True)
    assert lists(out) == [["red", "green", "blue", "red"]]
    assert not verify(out).findings


def test_commands_that_read_a_dataset_know_it(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    code, said, _ = segpipe("info", out)
    assert (code, "colours  3 frames" in said) == (0, True)
    assert segpipe("bench", footage, *FLAGS, *HERE, "--frames", "2", "--rounds", "1")[0] == 0


def test_a_kind_that_isnt_known_is_named(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FLAGS, *HERE)
    monkeypatch.delitem(SOURCES, "colours")
    code, _, errors = segpipe("verify", out)
    assert code == 5
    assert "sources of the kind 'colours' aren't known to this segpipe; known are" in errors
