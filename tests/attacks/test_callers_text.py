"""Names of files and classes that play with the reader's terminal or spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segpipe import open_dataset
from segpipe.cli.messages import _Harmless
from segpipe.core.text import csv_text, one_line_text, plain_lines
from segpipe.runtime.log_forwarding import forwarding
from tests.conftest import ROOT
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
NAME = (
    '=HYPERLINK("x")\x1b[2J\x1b]0;owned\x07\u202egpj\u2066\x9b31m\x7f\r\nsegpipe: all is well; =1+1'
)
"""Clears the screen, names the window, turns the direction of writing, forges a line and holds
formulas."""
RUN = [sys.executable, "-m", "segpipe", "run"]
CLASS = '=cmd|"/c calc"\x1b[31m\u202eroad\n+1'


def harmful(text: str) -> set[str]:
    """What a terminal would obey, or a reader would take for a line of its own."""
    return {c for c in text if not (c.isprintable() or c == "\n")}


def check_terminal(*texts: str) -> None:
    for text in texts:
        assert not harmful(text)
        assert not [line for line in text.splitlines() if line.startswith("segpipe: all is well")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run over files with such names; one is no video."""
    folder = tmp_path_factory.mktemp("text")
    footage = folder / "footage"
    footage.mkdir()
    make_video(footage / f"{NAME}.mp4", frames=6)
    (footage / f"{NAME} broken.mp4").write_text("words")
    (footage / f"{NAME}.xyz").write_text("words")
    done = subprocess.run(
        [*RUN, str(footage), "-o", str(folder / "out"), "-v", "--set", "model.source=fake:"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    check_terminal(done.stdout, done.stderr)
    manifest = folder / "out" / "dataset.json"
    content = json.loads(manifest.read_text())
    content["model"]["classes"][0]["name"] = CLASS
    manifest.write_text(json.dumps(content))
    return folder / "out"


COMMANDS: list[list[Any]] = [
    ["info"],
    ["verify"],
    ["errors"],
    ["errors", "--format", "csv"],
    ["query", "FROM sources"],
    ["query", "FROM classes"],
    [
        "query",
        "--format",
        "csv",
        "SELECT uri, error, uris FROM frames LEFT JOIN sources USING (uri)",
    ],
    ["query", "--format", "csv", 'SELECT 1 AS "=1+1", class_name, [class_name] FROM classes'],
    ["query", f"SELECT * FROM '{NAME}'"],
    ["events", "--where", f"class = '{CLASS}'"],
    ["events", "--where", f"class = '{NAME}'"],
    ["events", "--where", "true", "--format", "csv"],
    ["forget", "--dry-run", NAME],
    ["overlay", "-o", "/nowhere/\x1b[2J.mp4"],
]


@pytest.mark.attack("a name of a file or class moves the cursor, turns or forges a line")
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda a: ascii(" ".join(map(str, a[:3]))))
def test_nothing_of_a_name_reaches_the_terminal(
    arguments: list[Any], dataset: Path, segpipe: Call
) -> None:
    name, *rest = arguments
    code, printed, errors = segpipe(name, dataset, *rest)
    check_terminal(printed, errors)
    assert printed or errors
    if code not in {0, 8}:
        assert errors.count("\n") == 1
    if "csv" in arguments:
        for row in csv.reader(io.StringIO(printed)):
            check_cells(row)


@pytest.mark.attack("a name that a shell found moves the cursor as a wrong argument")
def test_a_wrong_argument(segpipe: Call, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        segpipe("info", "out", f"--{NAME}")
    check_terminal(capsys.readouterr().err)


def check_cells(row: list[str]) -> None:
    for cell in row:
        for part in cell.split(";"):
            assert not part.lstrip().startswith(("=", "+", "-", "@")) or is_number(part), cell
        assert "\n" not in cell


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.attack("JSON and tables are changed on the way, so that a name can't be found")
def test_json_keeps_the_exact_name(dataset: Path, segpipe: Call) -> None:
    code, printed, _ = segpipe("query", dataset, "SELECT uri FROM sources", "--format", "json")
    assert code == 0
    assert printed.isascii()
    assert any(row["uri"].endswith(f"{NAME}.mp4") for row in json.loads(printed))
    assert any(NAME in row["uri"] for row in open_dataset(dataset).arrow("sources").to_pylist())


@pytest.mark.attack("a name in a report, an export or a layer is obeyed by what opens it")
def test_files_that_are_written(dataset: Path, tmp_path: Path, segpipe: Call) -> None:
    assert segpipe("report", dataset, "-o", tmp_path / "report.html")[0] == 0
    check_terminal((tmp_path / "report.html").read_text())
    code, _, errors = segpipe("export", dataset, "-o", tmp_path / "masks", "--format", "masks-png")
    assert code == 0, errors
    for name in ("masks.csv", "classes.csv"):
        with (tmp_path / "masks" / name).open(newline="") as file:
            for row in csv.reader(file):
                check_cells(row)
    layer = tmp_path / "events.geojson"
    code, _, errors = segpipe("events", dataset, "--where", "true", "--min-seconds", 0, "-o", layer)
    assert code == 0, errors
    assert layer.read_text().isascii()
    assert NAME in json.loads(layer.read_text())["features"][0]["properties"]["uri"]


@pytest.mark.attack("a name forges a line in a log")
def test_a_record_is_one_line() -> None:
    told: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    target = logging.Logger("of a flow")
    target.addHandler(Keep())
    with forwarding(lambda: target):
        logging.getLogger("segpipe").warning("%s: passed over", NAME)
        try:
            raise ValueError(NAME)
        except ValueError:
            logging.getLogger("segpipe").exception("%s: failed", NAME)
    assert told[0] == f"{one_line_text(NAME)}: passed over"
    assert not any(harmful(text) for text in told)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("a - b", "a - b"),
        ("=1+1", "'=1+1"),
        (" +1", "' +1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("\t=1+1", "\\t=1+1"),
        ("\r=1+1", "\\r=1+1"),
        ("a\n=1+1", "a\\n=1+1"),
        ("Straße", "Straße"),
    ],
)
def test_the_rule_of_csv(text: str, cell: str) -> None:
    assert csv_text(text) == cell


def test_text_of_several_lines_keeps_them() -> None:
    assert plain_lines("a\nb\x1b[2J\u202e") == "a\nb\\x1b[2J\\u202e"


def test_progress_bars_still_move() -> None:
    shown = io.StringIO()
    stream = _Harmless(shown)
    for text in ("\rrun: 5 %", "\n", "\x1b[A", "\rrun\x1b[2J", "a\rb"):
        assert stream.write(text) == len(text)
    assert shown.getvalue() == "\rrun: 5 %\n\x1b[A\rrun\\x1b[2Ja\\rb"
