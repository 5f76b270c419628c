"""A run that finds nothing new loads no model; a run that might find something does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segpipe.inference.models.own_files import own_files
from segpipe.pipeline import prepare
from segpipe.sources import identity, settling
from segpipe.store.address_file import read_addresses
from tests.conftest import ROOT
from tests.driving import eastwards, write_gpx
from tests.footage import make_streams, make_video
from tests.pipeline.test_identity import clip, photo, run

FRAMES = 2 * 12 + 1


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    clip(folder / "0001.mp4")
    clip(folder / "0002.mp4")
    photo(folder / "0001.jpg", 1)
    return folder


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How often a model was loaded."""
    load, seen = prepare.load_worker, list[object]()

    def counted(*arguments: object) -> object:
        seen.append(arguments)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "load_worker", counted)
    return seen


def test_the_second_run_loads_no_model_and_reads_no_file(
    card: Path, tmp_path: Path, loads: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    before = read_addresses(out)

    def read(*arguments: object) -> object:
        raise AssertionError(f"a known file was read: {arguments}")

    monkeypatch.setattr(identity, "fingerprint", read)
    monkeypatch.setattr(settling, "has_index", read)
    for _ in range(2):
        report = run(card, out=out)
        assert (report.frames, report.frames_before, report.failed) == (0, FRAMES, 0)
    assert len(loads) == 1
    seen = read_addresses(out)
    assert [r.uri for r in seen] == [r.uri for r in before]
    assert all(n.last_seen_us > b.last_seen_us for n, b in zip(seen, before, strict=True))


def new_clip(card: Path, out: Path) -> None:
    clip(card / "0003.mp4")


def new_photo(card: Path, out: Path) -> None:
    photo(card / "0002.jpg", 2)


def moved(card: Path, out: Path) -> None:
    (card / "0001.mp4").rename(card / "first.mp4")


def a_track(card: Path, out: Path) -> None:
    write_gpx(card / "0001.gpx", datetime(2026, 5, 1, tzinfo=UTC), eastwards(10))


def a_lost_shard(card: Path, out: Path) -> None:
    next((out / "frames").iterdir()).unlink()


def a_lost_source(card: Path, out: Path) -> None:
    next((out / "sources").iterdir()).unlink()


def another_manifest(card: Path, out: Path) -> None:
    (out / "dataset.json").write_text((out / "dataset.json").read_text() + " ")


def no_index(card: Path, out: Path) -> None:
    for path in (out / "index").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "change",
    [new_clip, new_photo, moved, a_track, a_lost_shard, a_lost_source, another_manifest, no_index],
)
def test_whatever_may_be_new_is_looked_at(
    card: Path, tmp_path: Path, loads: list[object], change: Callable[[Path, Path], None]
) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    change(card, out)
    run(card, out=out)
    assert len(loads) == 2
    run(card, out=out)
    assert len(loads) == 2


@pytest.mark.parametrize(
    "settings", [{"retry_failed": True}, {"time": {"offset_s": 1.0}}, {"track": {"max_gap_s": 5.0}}]
)
def test_other_settings_are_looked_at(
    card: Path, tmp_path: Path, loads: list[object], settings: dict[str, object]
) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    run(card, out=out, **settings)
    assert len(loads) == 2


def test_a_part_of_the_footage_is_nothing_new_either(
    card: Path, tmp_path: Path, loads: list[object]
) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    (card / "0002.mp4").unlink()
    report = run(card, out=out)
    assert (report.frames, report.frames_before, len(loads)) == (0, 13, 1)
    assert any("no longer there: 1 source" in note for note in report.notes)


def test_all_streams_of_a_file(tmp_path: Path, loads: list[object]) -> None:
    both, out = make_streams(tmp_path / "both.mp4"), tmp_path / "out"
    for _ in range(2):
        report = run(both, out=out, sampling={"stream": "all"})
    assert (report.frames, report.frames_before, len(loads)) == (0, 40, 1)


def test_nothing_of_torch_is_imported(card: Path, tmp_path: Path) -> None:
    for path in card.iterdir():
        os.utime(path, (1e9, 1e9))
    out = tmp_path / "out"
    run(card, out=out)
    code = (
        "import sys; from segpipe.cli import main; "
        f"run = ['run', {str(card)!r}, '-o', {str(out)!r}, '--set', 'model.source=fake:']; "
        "assert main(run) == 0; "
        "print(sorted({'torch', 'pandas', 'numba', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[0].startswith("nothing new: 25 frames"), done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_by_itself_makes_the_same_dataset_whichever_way_it_goes(
    tmp_path: Path, loads: list[object]
) -> None:
    """A video that failed for good is no reason to look at it again."""
    card, out = tmp_path / "card", tmp_path / "out"
    clip(card / "0001.mp4")
    (card / "words.mp4").write_text("words " * 50)
    make_video(card / "0002.mp4", frames=3)
    first = run(card, out=out)
    assert first.failed == 1
    again = run(card, out=out)
    assert (again.frames, again.frames_before, again.failed_before) == (0, 16, 1)
    assert len(loads) == 1


def test_what_lies_in_the_working_folder_is_no_file_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("of somebody")
    monkeypatch.chdir(tmp_path)
    assert own_files("fake:") == []
