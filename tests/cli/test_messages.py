"""How much the command line tells: -v, -q, -qq and --debug, before a command or after it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segpipe.cli import parser, progress
from segpipe.cli.messages import set_levels
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:")


@pytest.fixture(autouse=True)
def levels_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("segpipe", "numba")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ((), logging.NOTSET),  # that of the root: warnings
        (("-q",), logging.NOTSET),
        (("-qq",), logging.ERROR),
        (("-v",), logging.INFO),
        (("-v", "-q"), logging.INFO),
        (("--debug", "-qq"), logging.DEBUG),
    ],
)
def test_the_level_of_the_log(flags: tuple[str, ...], level: int) -> None:
    for arguments in ([*flags, "info", "x"], ["info", *flags, "x"], ["info", "x", *flags]):
        set_levels(parser().parse_args(arguments))
        assert logging.getLogger("segpipe").level == level


def told(*arguments: object) -> str:
    """What a command of its own process tells on standard error."""
    command = [sys.executable, "-m", "segpipe", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "dataset: " in done.stdout  # results are always there
    return done.stderr


def test_each_step_with_v_and_no_notes_with_qq(tmp_path: Path) -> None:
    """A pipe among the footage is passed over with a warning."""
    footage = tmp_path / "footage"
    footage.mkdir()
    make_video(footage / "clip.mp4", frames=6)
    os.mkfifo(footage / "pipe.mp4")
    run = ("run", footage, *FAKE, "-o")
    plain = told(*run, tmp_path / "plain")
    assert "pipe.mp4: " in plain
    assert "committed" not in plain
    assert "committed 6 frames in " in told(*run, tmp_path / "v", "-v")
    assert told(*run, tmp_path / "qq", "-qq") == ""


def test_q_shows_no_progress(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_POLL_S", 0.001)
    make_video(tmp_path / "clip.mp4", frames=6)
    out = tmp_path / "out"
    for command in (
        ("run", tmp_path / "clip.mp4", "-o", out, *FAKE),
        ("verify", out),
        ("report", out, "-o", tmp_path / "report.html", "--force"),
        ("aggregate", out, "--by", "h3:10", "-o", tmp_path / "layer.parquet", "--force"),
        ("overlay", out, "-o", tmp_path / "overlay.mp4", "--force"),
        ("sample", tmp_path / "drive", "--seconds", 0.1),
    ):
        code, _, errors = segpipe(*command, "-q")
        assert code == 0
        assert f"segpipe: {command[0]}: " not in errors
        assert "rendering" not in errors
