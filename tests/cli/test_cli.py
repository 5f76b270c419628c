"""The command line as a new user meets it: help at once, one clear line for each mistake,
documented exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clock import processor_s
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")


def test_help_takes_under_half_a_second_of_processor_time() -> None:
    seconds = []
    for _ in range(3):
        began = processor_s()
        done = subprocess.run(
            [sys.executable, "-m", "segpipe", "--help"], capture_output=True, text=True, check=True
        )
        seconds.append(processor_s() - began)
    assert "exit codes" in done.stdout
    assert min(seconds) < 0.5


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys, segpipe; segpipe.open_dataset; import segpipe.cli.reading; assert "
        "'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_core_needs_no_prefect() -> None:
    modules = (
        "segpipe.pipeline.run, segpipe.pipeline.bench, segpipe.analysis.report.overlay, "
        "segpipe.cli.running"
    )
    code = f"import sys; sys.modules['prefect'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "nowhere.mp4", "-o", "out"], 3, "nowhere.mp4: no such file or folder"),
        (["run", "empty", "-o", "out"], 3, "no images or videos"),
        (["run", "notes.txt", "-o", "out"], 3, "neither an image nor a video"),
        (["run", "clip.mp4"], 2, "no output: give -o OUT"),
        (["run", "-o", "out"], 2, "no inputs: name what to segment"),
        (
            ["run", "clip.mp4", "-o", "out", "--set", "sampling.fps=3"],
            2,
            "unknown key 'sampling.fps'",
        ),
        (
            ["run", "clip.mp4", "-o", "out", "-c", "gone.yaml"],
            2,
            "gone.yaml: the config can't be read",
        ),
        (["run", "clip.mp4", "-o", "out", "-c", "bad.yaml"], 2, "bad.yaml: unknown key 'modle'"),
        (
            ["run", "clip.mp4", "-o", "out", "--set", "model.source=builtin:none"],
            4,
            "no such embedded model",
        ),
        (["run", "clip.mp4", "-o", "out", "--set", "model.device=cuda:9"], 2, "isn't there"),
        (["run", "clip.mp4", "-o", "empty/..", *FAKE], 2, "the output folder holds the input"),
        (["run", "", "-o", "out", *FAKE], 3, "an input is empty"),
        (["run", "~nobody-here/x.mp4", "-o", "out", *FAKE], 3, "no such file"),
        (["run", "x" * 300 + ".mp4", "-o", "out", *FAKE], 3, "no such file"),
        (["run", "clip.mp4", "-o", "nonsense://x/y", *FAKE], 2, "can't hold a dataset"),
        (["run", "clip.mp4", "-o", "/proc/nothing/here", *FAKE], 5, "can't be made"),
        (
            ["run", "clip.mp4", "-o", "out", "--set", "sampling.per_second=.inf"],
            2,
            "sampling.per_second",
        ),
        (
            ["run", "clip.mp4", "-o", "out", "--set", "model=fake:"],
            2,
            "a group of keys is needed (source, device",
        ),
        (["run", "clip.mp4", "-o", "full", *FAKE], 5, "isn't empty and is no dataset"),
        (["run", "clip.mp4", "-o", "notes.txt", *FAKE], 5, "not a folder"),
        (["info", "nowhere"], 5, "no such folder"),
        (["info", "full"], 5, "not a dataset"),
        (["query", "full", "SELECT 1"], 5, "not a dataset"),
        (["overlay", "full"], 5, "not a dataset"),
        (["sample", "x", "--seconds", "900"], 2, "0.1 to 35 seconds"),
        (["sample", "notes.txt"], 5, "can't be written"),
        (["bench", "nowhere"], 3, "no such file or folder"),
        (["bench", "clip.mp4", "--frames", "0"], 2, "must be at least 1"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4", frames=3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").touch()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "bad.yaml").write_text("modle: {}\n")
    before = sorted(p for p in tmp_path.rglob("*"))
    found, text, errors = segpipe(*arguments)
    assert found == code
    assert said in errors
    assert errors.startswith("segpipe: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in errors + text
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_usage_errors_exit_with_two() -> None:
    for arguments in ([], ["fly"], ["query", "x"]):
        done = subprocess.run(
            [sys.executable, "-m", "segpipe", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "usage" in done.stderr


def test_query_info_and_models(tmp_path: Path, segpipe: Call) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=6)
    out = tmp_path / "out"
    assert segpipe("run", video, "-o", out, *FAKE)[0] == 0
    code, text, _ = segpipe("info", out)
    assert code == 0
    for part in (
        "fake:",
        "6 attempted, 0 failed",
        "dark, red, green, blue, bright",
        str(video),
        "MB",
    ):
        assert part in text
    assert "frame_index" in segpipe("query", out, "SELECT frame_index FROM frames")[1]
    csv = segpipe(
        "query", out, "SELECT frame_index, error FROM frames ORDER BY 1", "--format", "csv"
    )[1]
    assert csv.splitlines()[:2] == ["frame_index,error", "0,"]
    rows = json.loads(
        segpipe(
            "query", out, "SELECT count(*) AS n, max(pts_s) AS t FROM frames", "--format", "json"
        )[1]
    )
    assert rows == [{"n": 6, "t": 0.25}]
    code, _, errors = segpipe("query", out, "SELECT nothing FROM frames")
    assert (code, errors.count("\n")) == (5, 1)
    assert "the query failed" in errors
    assert "builtin:street" in segpipe("models")[1]


def test_debug_shows_the_traceback_and_keeps_the_exit_code(tmp_path: Path, segpipe: Call) -> None:
    code, _, errors = segpipe("--debug", "info", tmp_path / "nowhere")
    assert code == 5
    assert errors.startswith("Traceback")
    assert "no such folder" in errors.splitlines()[-1]
    code, _, errors = segpipe(
        "--debug",
        "run",
        "rtsp://me:secret@127.0.0.1:1/x?token=abc",
        "clip.mp4",
        "-o",
        tmp_path / "out",
        *FAKE,
    )
    assert code == 2
    assert "Traceback" in errors
    assert "secret" not in errors
    for arguments in (
        ["info", "--debug", tmp_path / "nowhere"],
        ["info", tmp_path / "nowhere", "--debug"],
    ):
        code, _, errors = segpipe(*arguments)
        assert (code, errors.startswith("Traceback")) == (5, True)
    assert segpipe("info", tmp_path / "nowhere")[2].startswith("segpipe: ")


def test_names_with_control_characters_are_printed_as_escapes(
    tmp_path: Path, segpipe: Call
) -> None:
    """They could move the cursor, colour the terminal, or look like other lines."""
    make_video(tmp_path / "a\x1b[31m\nframes: 0 \x07b.mp4", frames=3)
    code, printed, _ = segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    for text in (printed, segpipe("info", tmp_path / "out")[1]):
        assert "a\\x1b[31m\\nframes: 0 \\x07b.mp4" in text
        assert not set(text) & {"\x1b", "\x07"}


def test_a_run_into_a_log_shows_no_bar(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=6)
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(video),
        "-o",
        str(tmp_path / "out"),
        *FAKE[:2],
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\r" not in done.stderr
    assert "frame/s" not in done.stderr
    assert "limited by" in done.stdout
    assert "mean share of the picture: " in done.stdout


def test_an_installed_command() -> None:
    script = Path(sys.executable).with_name("segpipe")
    for flag in ("--version", "-V"):
        assert subprocess.run(
            [script, flag], capture_output=True, text=True, check=True
        ).stdout.startswith("segpipe 0.")
