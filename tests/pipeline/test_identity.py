"""Footage is known by its content: nothing is lost and nothing counted twice, whatever its path."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from segpipe.core.config.job import make_job
from segpipe.pipeline.reports import RunReport
from segpipe.pipeline.run import run_job
from segpipe.store import open_dataset
from segpipe.verify import verify
from tests.footage import make_video

FRAMES = 12


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card with two clips and three photos."""
    folder = tmp_path / "card"
    for name in ("0001.mp4", "0002.mp4"):
        clip(folder / name)
    for number in range(3):
        photo(folder / "DCIM" / f"{number}.jpg", number)
    return folder


def clip(path: Path, frames: int = FRAMES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, frames=frames)


def photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def run(*inputs: Path, out: Path, **settings: object) -> RunReport:
    content = {"inputs": [str(i) for i in inputs], "output": str(out), "model": {"source": "fake:"}}
    job = make_job(content | settings)
    return run_job(job)


def rows(out: Path) -> dict[str, int]:
    """Rows by source, all of them accounted for and none of them twice."""
    report = verify(str(out))
    assert not [f for f in report.findings if f.kind != "note"], report.findings
    table = open_dataset(out).arrow("frames")
    assert len(set(table["frame_id"].to_pylist())) == table.num_rows
    counts = table.group_by("source_id").aggregate([("frame_id", "count")])
    return dict(
        zip(counts["source_id"].to_pylist(), counts["frame_id_count"].to_pylist(), strict=True)
    )


def uris(out: Path) -> set[str]:
    """Where the frames' footage is by SQL."""
    found = open_dataset(out).duckdb().sql("SELECT DISTINCT uri FROM frames").fetchall()
    return {uri for (uri,) in found}


def test_a_card_whose_names_are_used_again_every_night(tmp_path: Path) -> None:
    out, card = tmp_path / "out", tmp_path / "card"
    for night in range(30):
        shutil.rmtree(card, ignore_errors=True)
        clip(card / "0001.mp4", 2 + night)
        photo(card / "0001.jpg", night)
        report = run(card, out=out)
        assert report.frames == 3 + night
    counts = rows(out)
    assert sum(counts.values()) == sum(3 + night for night in range(30))
    assert len(counts) == 31  # the photos are of one folder
    assert any("no longer there: 29 sources" in note for note in report.notes)
    drives = "SELECT count(DISTINCT drive_id) FROM sources WHERE kind = 'video'"
    assert open_dataset(out).duckdb().execute(drives).fetchall() == [(30,)]


@pytest.mark.parametrize("change", ["moved", "renamed", "copied", "linked", "mounted", "upper"])
def test_known_footage_at_another_place_is_not_done_again(
    card: Path, tmp_path: Path, change: str
) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    before = rows(out)
    place = _changed(card, tmp_path, change)
    report = run(place, out=out)
    assert report.frames == 0
    assert report.frames_before == 2 * FRAMES + 3
    assert rows(out) == before
    assert all(os.path.exists(uri) for uri in uris(out))


def _changed(card: Path, tmp_path: Path, change: str) -> Path:
    """Where the card is afterwards."""
    place = tmp_path / "elsewhere" / "card"
    place.parent.mkdir()
    if change == "moved":
        shutil.move(card, place)
    elif change == "renamed":
        place = card
        for path in sorted(p for p in card.rglob("*") if p.is_file()):
            path.rename(path.with_name(f"night-{path.name}"))
    elif change == "copied":
        shutil.copytree(card, place, copy_function=shutil.copy)
    elif change == "linked":
        place.symlink_to(card)
    elif change == "mounted":
        shutil.copytree(card, place)
    else:
        place = card.with_name("CARD")
        card.rename(place)
        for path in sorted(p for p in place.rglob("*") if p.is_file()):
            path.rename(path.with_name(path.name.upper()))
    return place


def test_copies_within_a_run_count_once_and_are_named(card: Path, tmp_path: Path) -> None:
    shutil.copytree(card, card / "backup")
    report = run(card, out=tmp_path / "out")
    assert report.frames == 2 * FRAMES + 3
    (note,) = [n for n in report.notes if "counted once" in n]
    assert note.startswith("5 copies counted once: ")


def test_same_films_under_names_of_two_times_both_count(tmp_path: Path) -> None:
    card, out = tmp_path / "card", tmp_path / "out"
    first = clip(card / "20251026_020000.mp4")
    shutil.copy(first, card / "20251026_021005.mp4")
    report = run(card, out=out)
    assert [n for n in report.notes if "1 file counted separately" in n], report.notes
    before = rows(out)
    assert list(before.values()) == [FRAMES, FRAMES]
    place = card.rename(tmp_path / "archive")
    for _ in range(2):
        report = run(place, out=out)
        assert (report.frames, report.frames_before) == (0, 2 * FRAMES)
        assert not [n for n in report.notes if "separately" in n or "copies" in n]
        assert rows(out) == before


def test_a_file_that_grew_replaces_what_was_half_copied(tmp_path: Path) -> None:
    out, card = tmp_path / "out", tmp_path / "card"
    whole = make_video(tmp_path / "whole.ts", frames=60, size=(320, 192))
    content = whole.read_bytes()
    card.mkdir()
    half = card / "0001.ts"
    half.write_bytes(content[: len(content) // 2])
    first = run(card, out=out)
    assert 0 < first.frames < 60
    half.write_bytes(content)
    run(card, out=out)
    assert list(rows(out).values()) == [60]


def test_a_wiped_card_is_nothing_new(card: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    before = rows(out)
    shutil.rmtree(card)
    for _ in range(2):  # gone, then empty
        report = run(card, out=out)
        assert report.frames == 0
        assert any("footage no longer there: 3 sources" in n for n in report.notes)
        assert rows(out) == before
        card.mkdir(exist_ok=True)


def test_a_second_run_changes_nothing(card: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(card, out=out)
    before = rows(out)
    report = run(card, out=out)
    assert (report.frames, report.frames_before) == (0, 2 * FRAMES + 3)
    assert report.notes == ()
    assert rows(out) == before


@pytest.mark.parametrize("full", [False, True])
def test_files_that_differ_between_the_blocks(tmp_path: Path, full: bool) -> None:
    """Noticed by their times, or by a digest of all their bytes; never merged in silence."""
    out, card = tmp_path / "out", tmp_path / "card"
    card.mkdir()
    content = bytearray(_noise_bmp())
    (card / "a.bmp").write_bytes(content)
    content[100_000] ^= 255
    (card / "b.bmp").write_bytes(content)
    if full:
        for path in card.iterdir():
            os.utime(path, (1e9, 1e9))
    else:
        os.utime(card / "a.bmp", (1e9, 1e9))
    report = run(card, out=out, identity={"full": full})
    assert report.frames == 2
    assert run(card, out=out, identity={"full": full}).frames == 0


def _noise_bmp() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".bmp", pixels)[1])
