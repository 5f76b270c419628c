"""SQL of a stranger: a condition of `segpipe events`, or a query."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.store import Dataset
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT
from tests.synthetic import Clip, along, write_dataset

Call = Callable[..., tuple[int, str, str]]
SHARES = {("frame", "road"): 0.5, ("frame", "pedestrian"): 0.1}
SECRET = "the-secret-of-the-house"
READS = [
    "read_text('{secret}')",
    "read_blob('{secret}')",
    "read_csv('{secret}')",
    "read_json('{secret}')",
    "read_parquet('{other}')",
    "parquet_metadata('{other}')",
    "sniff_csv('{secret}')",
    "glob('{folder}/*')",
    "'{other}'",
    "'{secret}'",
    "read_text('file://{secret}')",
    "read_text('{out}/frames/../../secret.txt')",
    "read_text('/proc/self/environ')",
    "query($$FROM read_text('{secret}')$$)",
    "query_table('{secret}')",
    "read_text('.tmp/note.txt')",
    "glob('.tmp/*')",
    "duckdb_extensions()",
]
REACHES = [
    "read_csv('http://127.0.0.1:{port}/x.csv')",
    "'http://127.0.0.1:{port}/x.parquet'",
    "'s3://127.0.0.1:{port}/x.parquet'",
    "st_read('{secret}')",
    "sqlite_scan('{secret}', 'x')",
]
CHANGES = [
    "(FROM enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/evil'))",
    "(FROM enable_profiling(save_location = '{folder}/evil'))",
    "(WITH x AS (COPY frames TO '{out}/frames/evil.parquet') SELECT 1)",
    "1; ATTACH '{folder}/evil.db'",
    "1; INSTALL httpfs",
    "1; LOAD httpfs",
    "1; COPY frames TO '{folder}/evil.csv'",
    "1; SET enable_external_access = true",
    "1; PRAGMA temp_directory = '{folder}/evil'",
    "1) FROM observations; COPY frames TO '{folder}/evil.csv'; SELECT (1",
]
ENDLESS = (
    "(WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r) > 0"
)
ONE_CALL = "levenshtein(repeat('a', 500000 + class_id::INT), repeat('b', 500000)) > 0"
"""Minutes within one function, which doesn't ask whether it is to end."""
HOARDING = [
    "list_sum(range(class_id + 4000000000)) > 0",
    "(SELECT sum(length(repeat('a', 300000000 + i::INT))) FROM range(40) AS t(i)) > 0",
]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    (tmp_path / "secret.txt").write_text(SECRET)
    made = write_dataset(
        tmp_path / "out",
        [Clip("one", 30, SHARES, **along([3.0 * i for i in range(30)])), Clip("two", 2, SHARES)],
    )
    (tmp_path / "other.parquet").write_bytes(
        next((made.root / "frames").glob("*.parquet")).read_bytes()
    )
    (tmp_path / "work" / ".tmp").mkdir(parents=True)
    (tmp_path / "work" / ".tmp" / "note.txt").write_text(SECRET)
    monkeypatch.chdir(tmp_path / "work")
    return made


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def filled(text: str, dataset: Dataset, port: int = 1) -> str:
    folder = Path(str(dataset.root)).parent
    return (
        text.replace("{secret}", str(folder / "secret.txt"))
        .replace("{other}", str(folder / "other.parquet"))
        .replace("{folder}", str(folder))
        .replace("{out}", str(dataset.root))
        .replace("{port}", str(port))
    )


def check_refused(result: tuple[int, str, str], codes: set[int]) -> None:
    code, printed, errors = result
    assert code in codes, errors
    assert printed == ""
    assert errors.count("\n") == 1
    assert SECRET not in errors


@pytest.mark.attack("a condition or a query reads a stranger's file")
@pytest.mark.parametrize("table", READS)
def test_files_are_not_read(table: str, dataset: Dataset, segpipe: Call) -> None:
    table = filled(table, dataset)
    where = f"(SELECT count(*) FROM {table}) > 0"
    check_refused(segpipe("events", dataset.root, "--where", where), {2})
    check_refused(segpipe("query", dataset.root, f"SELECT * FROM {table}"), {5})


@pytest.mark.attack("a condition or a query opens a connection or loads an extension")
@pytest.mark.parametrize("table", REACHES)
def test_nothing_is_reached(table: str, dataset: Dataset, segpipe: Call) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        table = filled(table, dataset, server.getsockname()[1])
        where = f"(SELECT count(*) FROM {table}) > 0"
        check_refused(segpipe("events", dataset.root, "--where", where), {2})
        check_refused(segpipe("query", dataset.root, f"SELECT * FROM {table}"), {5})
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.attack("a condition or a query writes, attaches, installs or sets something")
@pytest.mark.parametrize("expression", CHANGES)
def test_nothing_is_changed(
    expression: str, dataset: Dataset, tmp_path: Path, segpipe: Call
) -> None:
    before = state(tmp_path)
    expression = filled(expression, dataset)
    check_refused(segpipe("events", dataset.root, "--where", f"1 = {expression}"), {2})
    check_refused(segpipe("query", dataset.root, f"SELECT {expression}"), {2, 5})
    assert state(tmp_path) == before


@pytest.mark.attack("a query reads a variable of the environment")
def test_the_environment_is_not_read(dataset: Dataset, segpipe: Call) -> None:
    check_refused(segpipe("events", dataset.root, "--where", "getenv('HOME') <> ''"), {2})
    check_refused(segpipe("query", dataset.root, "SELECT getenv('HOME')"), {5})


@pytest.mark.attack("--by of aggregate or diff carries SQL")
@pytest.mark.parametrize("by", ["h3:10; ATTACH 'x'", "metres:1) FROM read_text('{secret}')--"])
def test_cells_are_no_sql(by: str, dataset: Dataset, segpipe: Call) -> None:
    by = filled(by, dataset)
    check_refused(segpipe("aggregate", dataset.root, "--by", by), {2})
    check_refused(segpipe("diff", dataset.root, dataset.root, "--by", by), {2})


def command(dataset: Dataset, where: str) -> list[str]:
    return [sys.executable, "-m", "segpipe", "events", str(dataset.root), "--where", where]


def run(dataset: Dataset, where: str, **limits: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(dataset, where),
        env={**os.environ, "PYTHONPATH": str(ROOT), **limits},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.attack("a condition runs without end")
def test_an_endless_condition_ends_at_the_limit(dataset: Dataset) -> None:
    done = run(dataset, ENDLESS, SEGPIPE_QUERY_SECONDS="1s")
    assert done.returncode == 5, done.stderr
    assert done.stderr == (
        "segpipe: the query ran longer than 1 s; ask for less, or set SEGPIPE_QUERY_SECONDS, such "
        "as SEGPIPE_QUERY_SECONDS=3h\n"
    )


@pytest.mark.slow
@pytest.mark.attack("a condition stays in one call that can't be interrupted")
def test_a_call_that_does_not_ask_ends_too(dataset: Dataset) -> None:
    done = run(dataset, ONE_CALL, SEGPIPE_QUERY_SECONDS="1s")
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("segpipe: the query ran longer than 1 s;")
    assert done.stderr.count("\n") == 1


@pytest.mark.attack("a condition that runs without end ignores Ctrl-C")
def test_ctrl_c_ends_a_condition(dataset: Dataset) -> None:
    busy = subprocess.Popen(
        command(dataset, ENDLESS),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    statm = Path(f"/proc/{busy.pid}/task")
    names = lambda: {(t / "comm").read_text().strip() for t in statm.iterdir()}  # noqa: E731
    cpu = lambda: int(Path(f"/proc/{busy.pid}/stat").read_text().split()[13])  # noqa: E731
    wait_until(lambda: len(names()) > 1 and cpu() > 400, "the query", lambda: busy.poll() is None)
    busy.send_signal(signal.SIGINT)
    _, errors = busy.communicate(timeout=HANG_S)
    assert busy.returncode == 130, errors
    assert errors == "segpipe: interrupted; run the same command again to go on\n"


@pytest.mark.attack("a condition takes all memory")
@pytest.mark.parametrize("where", HOARDING)
def test_memory_is_bounded(where: str, dataset: Dataset) -> None:
    done = run(dataset, where, SEGPIPE_QUERY_MEMORY="200MB")
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("segpipe: the query needs more than 0.2 GB of memory;")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["SEGPIPE_QUERY_SECONDS", "SEGPIPE_QUERY_MEMORY"])
def test_a_limit_that_is_none_is_refused(
    name: str, dataset: Dataset, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "much")
    code, _, errors = segpipe("query", dataset.root, "SELECT 1")
    assert (code, errors.startswith(f"segpipe: {name}: 'much' is no ")) == (2, True)


def test_own_rights_are_asked_for(dataset: Dataset, tmp_path: Path, segpipe: Call) -> None:
    """`--allow-files` reads and writes files as the user may."""
    sql = f"COPY (SELECT content FROM read_text('{tmp_path}/secret.txt')) TO '{tmp_path}/own.csv'"
    assert segpipe("query", dataset.root, sql)[0] == 2
    code, _, errors = segpipe("query", dataset.root, "--allow-files", sql)
    assert code == 0, errors
    assert SECRET in (tmp_path / "own.csv").read_text()
    code, printed, _ = segpipe(
        "query",
        dataset.root,
        "--allow-files",
        "--format",
        "csv",
        "SELECT count(*) AS n FROM frames",
    )
    assert (code, printed) == (0, "n\n32\n")


def test_a_condition_may_ask_the_views(dataset: Dataset, segpipe: Call) -> None:
    where = "class = 'pedestrian' AND frame_id IN (SELECT frame_id FROM frames WHERE usable)"
    code, printed, errors = segpipe(
        "events", dataset.root, "--where", where, "--min-seconds", 0, "--format", "csv"
    )
    assert (code, errors) == (0, "")
    assert "one" in printed
    for more in (["--by", "h3:10"], ["--by", "metres:10"]):
        assert segpipe("aggregate", dataset.root, *more)[0] == 0
    assert segpipe("diff", dataset.root, dataset.root, "--by", "h3:10")[0] == 0
