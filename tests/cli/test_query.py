"""segpipe query answers, in three formats, and can't change anything or read anything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.store import Dataset
from tests.synthetic import Clip, along, write_dataset

Call = Callable[..., tuple[int, str, str]]
SHARES = {("frame", "road"): 0.5, ("frame", "pedestrian"): 0.1}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(
        tmp_path / "it's out",
        [Clip("one", 3, SHARES, **along([0, 10, 20])), Clip("two", 2, SHARES)],
    )


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WRITING = [
    "COPY frames TO '{out}/frames/evil.parquet'",
    "COPY (SELECT 1 AS a) TO '{out}/evil.csv'",
    "COPY frames TO '{tmp}/evil.csv'",
    "WITH x AS (COPY frames TO '{out}/frames/evil.parquet') SELECT * FROM x",
    "(WITH x AS (COPY frames TO '{out}/frames/evil.parquet') SELECT * FROM x)",
    "WITH x AS (COPY frames TO '{out}/frames/evil.csv') PIVOT x ON Count USING count(*)",
    "EXPLAIN ANALYZE COPY frames TO '{out}/frames/evil.parquet'",
    "EXPLAIN (ANALYZE) COPY frames TO '{out}/frames/evil.parquet'",
    "/* a */ explain analyze WITH x AS (COPY frames TO '{out}/frames/evil.parquet') SELECT "
    "* FROM x",
    "COPY (PIVOT frames ON status USING count(*)) TO '{out}/frames/evil.parquet'",
    "EXPLAIN ANALYZE COPY (PIVOT frames ON status USING count(*)) TO '{out}/frames/evil.parquet'",
    "CREATE TABLE t AS PIVOT frames ON status USING count(*)",
    "EXPORT DATABASE '{out}/frames/evil'",
    "IMPORT DATABASE '{out}/frames'",
    "ATTACH '{out}/frames/evil.db' AS evil",
    "INSTALL spatial",
    "LOAD spatial",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "SET VARIABLE x = 1",
    "PRAGMA enable_external_access = true",
    "CREATE TABLE evil AS SELECT 1",
    "CREATE OR REPLACE VIEW frames AS SELECT 1",
    "DROP VIEW frames",
    "WITH x AS (INSERT INTO frames VALUES (1) RETURNING *) SELECT * FROM x",
    "CALL enable_logging('QueryLog', storage = 'file', storage_path = '{out}/evil')",
    "PREPARE evil AS SELECT 1",
    "BEGIN",
    "SELECT 1; COPY frames TO '{out}/frames/evil.parquet'; SELECT 2",
]
NESTED = [
    "SELECT * FROM query('WITH x AS (COPY frames TO ''{out}/frames/evil.csv'') SELECT * FROM x')",
    "PIVOT (WITH x AS (COPY frames TO '{out}/frames/evil.csv') FROM x) ON Count USING count(*)",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{out}/evil')",
    "SELECT * FROM enable_profiling(save_location = '{out}/evil')",
]
"""Refused by DuckDB itself."""
OTHER_FILES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_text('{out}/frames/../dataset.json')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM parquet_metadata('{tmp}/outside.parquet')",
    "FROM frames WHERE frame_id IN (SELECT content FROM read_text('/etc/passwd'))",
]


@pytest.mark.parametrize("sql", WRITING)
def test_a_statement_that_does_more_than_read_is_refused(
    sql: str, dataset: Dataset, tmp_path: Path, segpipe: Call
) -> None:
    before = state(tmp_path)
    code, printed, errors = segpipe(
        "query", dataset.root, sql.format(out=str(dataset.root).replace("'", "''"), tmp=tmp_path)
    )
    assert code == 2
    assert printed == ""
    assert errors.count("\n") == 1
    assert "is refused: segpipe query only reads; allowed are SELECT" in errors
    assert state(tmp_path) == before


@pytest.mark.parametrize("sql", [*NESTED, *OTHER_FILES])
def test_nothing_else_is_read_or_written(
    sql: str, dataset: Dataset, tmp_path: Path, segpipe: Call
) -> None:
    (tmp_path / "outside.parquet").write_bytes(
        next((dataset.root / "frames").glob("*")).read_bytes()
    )
    before = state(tmp_path)
    code, printed, errors = segpipe(
        "query", dataset.root, sql.format(out=str(dataset.root).replace("'", "''"), tmp=tmp_path)
    )
    assert code == 5
    assert printed == ""
    assert errors.count("\n") == 1
    assert errors.startswith("segpipe: the query failed: ")
    assert "root:" not in errors
    assert state(tmp_path) == before


@pytest.mark.parametrize("sql", OTHER_FILES[:3])
def test_a_condition_of_events_reads_no_files(sql: str, dataset: Dataset, segpipe: Call) -> None:
    code, _, errors = segpipe(
        "events", dataset.root, "--where", f"class = 'road' AND EXISTS ({sql})"
    )
    assert code == 2
    assert "file system operations are disabled" in errors


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) AS n FROM frames", [{"n": 5}]),
        ("FROM frames SELECT count(*) AS n", [{"n": 5}]),
        ("VALUES (1)", [{"col0": 1}]),
        (
            "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t WHERE a < 3) "
            "SELECT max(a) AS m FROM t",
            [{"m": 3}],
        ),
        ("SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a", [{"a": 1}, {"a": 2}]),
        (
            "-- a comment\nPIVOT class_stats ON class_name USING count(*) GROUP BY source_id "
            "ORDER BY source_id",
            [
                {"source_id": "one", "pedestrian": 3, "road": 3},
                {"source_id": "two", "pedestrian": 2, "road": 2},
            ],
        ),
        ("SELECT count(*) AS n FROM observations JOIN frame_metres USING (frame_id)", [{"n": 6}]),
        (
            "SELECT class_name FROM (SUMMARIZE classes) AS s, (SELECT class_name FROM classes "
            "LIMIT 1) LIMIT 1",
            [{"class_name": "sky"}],
        ),
        (
            "SELECT date_trunc('hour', min(timestamp)) AS t FROM frames",
            [{"t": "2026-05-01T10:00:00+00:00"}],
        ),
        ("SELECT '; COPY x TO y' AS text;", [{"text": "; COPY x TO y"}]),
    ],
)
def test_what_reads_is_answered(
    sql: str, rows: list[dict[str, object]], dataset: Dataset, segpipe: Call
) -> None:
    code, printed, errors = segpipe("query", dataset.root, sql, "--format", "json")
    assert (code, errors) == (0, "")
    assert json.loads(printed) == rows


@pytest.mark.parametrize(
    "sql",
    ["DESCRIBE frames", "SUMMARIZE frames", "SHOW TABLES", "EXPLAIN ANALYZE SELECT * FROM frames"],
)
def test_questions_about_tables_are_answered(sql: str, dataset: Dataset, segpipe: Call) -> None:
    code, printed, errors = segpipe("query", dataset.root, sql)
    assert (code, errors) == (0, "")
    assert "frame" in printed.lower()


def test_each_of_several_statements_prints_its_result(dataset: Dataset, segpipe: Call) -> None:
    code, printed, _ = segpipe(
        "query", dataset.root, "SELECT 1 AS a; SELECT 2 AS b", "--format", "csv"
    )
    assert (code, printed) == (0, "a\n1\n\nb\n2\n")
    assert (
        segpipe("query", dataset.root, "SELECT 1 AS first; SELECT 2 AS second")[1].count("│\n") == 6
    )


def test_an_empty_query_is_said_to_be_empty(dataset: Dataset, segpipe: Call) -> None:
    for sql in ("", " ; ", "-- nothing"):
        code, _, errors = segpipe("query", dataset.root, sql)
        assert (code, "the query is empty" in errors) == (2, True)


def test_geometries_and_structs_in_every_format(dataset: Dataset, segpipe: Call) -> None:
    point = "POINT (-0.12 51.5)"
    sql = (
        "SELECT geometry, [geometry] AS list, {'at': geometry} AS struct, bbox, "
        "st_aswkb(geometry) AS wkb, 'nan'::DOUBLE AS nan, "
        'geometry IS NULL AS "a ""b""" FROM frames WHERE frame_id LIKE \'one%\' OR frame_id = '
        "'two:00000000' ORDER BY frame_id"
    )
    rows = json.loads(segpipe("query", dataset.root, sql, "--format", "json")[1])
    box = {"xmin": -0.12, "ymin": 51.5, "xmax": -0.12, "ymax": 51.5}
    assert rows[0]["geometry"] == point
    assert (rows[0]["list"], rows[0]["struct"], rows[0]["bbox"]) == ([point], {"at": point}, box)
    assert (rows[0]["wkb"][:10], rows[0]["nan"], rows[0]['a "b"']) == ("0101000000", None, False)
    assert (rows[-1]["geometry"], rows[-1]["bbox"], rows[-1]['a "b"']) == (None, None, True)
    cells = list(
        csv.DictReader(io.StringIO(segpipe("query", dataset.root, sql, "--format", "csv")[1]))
    )
    assert cells[0]["geometry"] == point
    assert (json.loads(cells[0]["list"]), json.loads(cells[0]["bbox"])) == ([point], box)
    assert cells[0]["wkb"] == rows[0]["wkb"]
    assert (cells[-1]["geometry"], cells[-1]["bbox"]) == ("", "")
    assert point in segpipe("query", dataset.root, sql)[1]


def test_columns_of_one_name_are_both_there(dataset: Dataset, segpipe: Call) -> None:
    sql = "SELECT geometry, 1 AS geometry FROM frames ORDER BY frame_id LIMIT 1"
    assert (
        segpipe("query", dataset.root, sql, "--format", "csv")[1]
        == "geometry,geometry\nPOINT (-0.12 51.5),1\n"
    )


def test_the_connection_in_python_is_not_restricted(dataset: Dataset, tmp_path: Path) -> None:
    dataset.duckdb().execute(f"COPY frames TO '{tmp_path}/own.csv'")
    assert (tmp_path / "own.csv").exists()
