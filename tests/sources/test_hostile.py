"""Hostile files: whatever they do, no crash, no hang, little memory, and the good files among them
are all done."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.torture.corpus import Mutation, good_neighbours, make_corpus
from tests.torture.hostile import LIMIT_S, Survival, survive
from tests.torture.recipes import slug

QUICK = 64
MEMORY_BYTES = 2_000_000_000
READ_OTHERS, SEARCH_OTHERS = 1, 2
"""The two rights by which root reads what nobody may (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
KINDS = {
    "truncated",
    "bit-flipped",
    "zero-length",
    "wrong extension",
    "huge declared size",
    "1x1",
    "20,000x20,000",
    "animated",
    "colours",
    "broken EXIF",
    "missing moov",
    "no key frame",
    "negative PTS",
    "repeated PTS",
    "PTS jump",
    "change in mid-stream",
    "0 fps",
    "an hour of silence",
    "odd name",
    "links that loop",
    "unreadable permissions",
}


LAUNCH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stdout=open(sys.argv[1], "wb"), stderr=subprocess.STDOUT)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
"""A process counts as its own peak what the one that forked it had in memory: so a small one stands
between."""


def run(
    footage: Path, out: Path, prepare: Callable[[], None] | None = None
) -> tuple[int, int, str]:
    """`segpipe run` in a process of its own: exit code, peak memory in bytes of it or its children,
    and what it said."""
    said = out.with_suffix(".txt")
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(footage),
        "-o",
        str(out),
        "-q",
        "--set",
        "model.source=fake:",
    ]
    launch = [sys.executable, "-c", LAUNCH, str(said), *command]
    done = subprocess.run(
        launch, cwd=ROOT, capture_output=True, text=True, check=True, preexec_fn=prepare
    )
    code, peak = (int(n) for n in done.stdout.split())
    return code, peak * (1 if sys.platform == "darwin" else 1024), said.read_text(errors="replace")


def check(found: Survival, mutations: list[Mutation]) -> None:
    """Every mutation was tried, none crashed, none hung or took processor time as if it did."""
    crashes = "\n\n".join(f"{name}:\n{text}" for name, text in found.crashes.items())
    assert not found.crashes, f"{len(found.crashes)} of {found.tried} crashed\n{crashes}"
    assert not found.hangs, found.hangs
    assert found.tried == len(found.outcomes) == len(mutations)
    assert found.slowest_s < LIMIT_S


def test_the_corpus_has_every_kind_and_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = make_corpus(tmp_path / "a", QUICK), make_corpus(tmp_path / "b", QUICK)
    assert [m.name for m in first] == [m.name for m in second]
    assert len({m.path for m in first}) == len(first) == QUICK
    assert {m.kind for m in first} >= KINDS
    for a, b in zip(first, second, strict=True):
        if a.path.is_file() and a.path.stat().st_size < 1_000_000:
            assert a.path.read_bytes() == b.path.read_bytes(), a.name


def test_one_by_one(tmp_path: Path) -> None:
    mutations = make_corpus(tmp_path / "footage", QUICK)
    check(survive(tmp_path / "out", mutations), mutations)


def test_good_neighbours_are_all_done_in_little_memory(tmp_path: Path) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    make_corpus(footage, QUICK)
    good = good_neighbours(footage)
    code, peak, said = run(footage, out)
    assert code == 6, said
    assert "Traceback" not in said
    frames = pd.read_parquet(out / "frames")
    assert frames["frame_id"].is_unique
    done = Counter(frames.loc[frames["status"] == "ok", "uri"])
    assert {path: done[str(path.resolve())] for path in good} == good
    bad = frames[frames["status"] == "error"]
    assert len(bad) > QUICK / 4
    assert (bad["error"].str.len() > 5).all()
    assert peak < MEMORY_BYTES, f"{peak / 1e6:.0f} MB"


def test_what_may_not_be_read_is_a_failed_row(tmp_path: Path) -> None:
    """As root everything can be read, so root's right to it is given up for the run."""
    footage, out = tmp_path / "footage", tmp_path / "out"
    good = good_neighbours(footage)
    closed = [footage / "closed.mp4", footage / slug("truncated") / "closed.png"]
    for path in closed:
        path.write_bytes(b"secret")
        path.chmod(0)
    (footage / "closed").mkdir(0)
    probe = [sys.executable, "-c", f"open({str(closed[0])!r})"]
    as_root = os.geteuid() == 0
    prepare = _without_roots_rights if as_root else None
    if (
        b"PermissionError"
        not in subprocess.run(probe, capture_output=True, preexec_fn=prepare).stderr
    ):
        pytest.skip("this user reads everything, and can't give up the right to it")
    code, _, said = run(footage, out, prepare)
    assert code == 6, said
    frames = pd.read_parquet(out / "frames")
    assert Counter(frames.loc[frames["status"] == "ok", "uri"]) == {
        str(path): n for path, n in good.items()
    }
    assert {Path(uri) for uri in frames.loc[frames["status"] == "error", "uri"]} == set(closed)
    assert frames["error"].dropna().str.contains("Permission denied").all()


def _without_roots_rights() -> None:
    """What a process gives up here (24 is PR_CAPBSET_DROP) the program that it becomes doesn't
    have."""
    library = ctypes.CDLL(None)
    for right in (READ_OTHERS, SEARCH_OTHERS):
        library.prctl(24, right, 0, 0, 0)


def test_pipes_sockets_and_devices_are_passed_over_and_told(tmp_path: Path) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    good = good_neighbours(footage)
    os.mkfifo(footage / "pipe.mp4")
    os.mkfifo(footage / slug("truncated") / "pipe.jpg")
    (footage / "endless.png").symlink_to("/dev/zero")
    (footage / "itself.mp4").symlink_to("itself.mp4")
    code, _, said = run(footage, out)
    assert code == 0, said
    assert len(pd.read_parquet(out / "frames")) == sum(good.values())
    for name, what in (
        ("pipe.mp4", "a pipe"),
        ("pipe.jpg", "a pipe"),
        ("endless.png", "a device"),
        ("itself.mp4", "in a circle"),
    ):
        assert any(name in line and what in line for line in said.splitlines()), said


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_whole_corpus_one_by_one(tmp_path: Path) -> None:
    mutations = make_corpus(tmp_path / "footage")
    assert len(mutations) >= 300
    check(survive(tmp_path / "out", mutations), mutations)
