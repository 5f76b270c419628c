"""Progress: a bar on a terminal, plain lines elsewhere, and no carriage return in a log."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.cli import progress
from segpipe.store.dataset import open_dataset
from tests.driving import eastwards, write_gpx
from tests.footage import make_video
from tests.pipeline.test_where import TEN

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "--set", "store.frames_per_shard=10")


@pytest.fixture
def commands(tmp_path: Path) -> list[tuple[object, ...]]:
    """Every command that shows how far it is, on the same footage."""
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(30))
    return [
        ("run", video, "-o", out, *FAKE, "--start", TEN.isoformat()),
        ("verify", out, "--footage"),
        ("report", out, "-o", tmp_path / "report.html", "--force"),
        ("aggregate", out, "--by", "h3:10", "-o", tmp_path / "layer.parquet"),
        ("overlay", out, "-o", tmp_path / "overlay.mp4"),
        ("sample", tmp_path / "drive", "--seconds", 0.2),
    ]


def test_a_log_has_no_carriage_returns_and_quick_commands_say_nothing(
    commands: list[tuple[object, ...]], segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 1e6)  # all are quick, however busy the machine is
    for command in commands:
        code, said, errors = segpipe(*command)
        assert code == 0, errors
        assert "\r" not in said + errors
        assert " frames (" not in errors
        assert "part" not in errors


def test_what_takes_long_says_so_in_plain_lines(
    commands: list[tuple[object, ...]], segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_POLL_S", 0.001)
    found = {command[0]: segpipe(*command)[2] for command in commands}
    assert not [name for name, errors in found.items() if "\r" in errors]
    assert "segpipe: run: 40 of 40 frames (100 %)\n" in found["run"]
    # Four shards, and the footage of one source.
    assert [f"segpipe: verify: {n} of 5 parts ({20 * n} %)" for n in range(1, 6)] == found[
        "verify"
    ].splitlines()
    assert "segpipe: report: 4 of 4 parts (100 %)\n" in found["report"]
    assert "% of a query\n" in found["aggregate"]
    assert "frames (100 %)\n" in found["overlay"]
    assert "segpipe: rendering: " in found["sample"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar_where_it_takes_long(
    commands: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from segpipe.cli import main

    for quick_s in (3600.0, 0.0):
        monkeypatch.setattr(progress, "_QUICK_S", quick_s)
        shown = {}
        for command in commands[:3]:
            monkeypatch.setattr(sys, "stderr", Terminal())
            assert main([str(c) for c in command]) == 0
            shown[command[0]] = sys.stderr.getvalue()  # type: ignore[attr-defined]
        assert ("\r" in shown["verify"], "\r" in shown["report"]) == (not quick_s, not quick_s)
        assert quick_s == 0 or "\r" in shown["run"]  # the second one has nothing to do
    assert "5/5" in shown["verify"]


def test_a_failure_is_counted_and_an_unknown_total_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with progress.Progress("run", "frame", None) as counted:
        counted.update(3, 1)
        counted.update(2)
    with progress.Progress("run", "frame", 4, quiet=True) as quiet:
        quiet.update(4)
    assert (
        capsys.readouterr().err
        == "segpipe: run: 3 frames, 1 failed\nsegpipe: run: 5 frames, 1 failed\n"
    )


def test_duckdb_draws_no_bar_of_its_own(
    commands: list[tuple[object, ...]], segpipe: Call, tmp_path: Path
) -> None:
    """It would on standard output, where the rows go."""
    assert segpipe(*commands[0])[0] == 0
    connection = open_dataset(tmp_path / "out").duckdb()
    assert connection.execute("SELECT current_setting('enable_progress_bar_print')").fetchall() == [
        (False,)
    ]
