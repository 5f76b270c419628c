"""The queries of docs/streams.md run on a dataset of a stream, and its settings are those that
there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from segpipe import open_dataset
from segpipe.core.config.stream import StreamSettings
from tests.conftest import ROOT
from tests.pipeline.live.recording import gaps_of, record, stream_job
from tests.pipeline.live.servers import Camera, http_server

PAGE = (ROOT / "docs" / "streams.md").read_text()


def test_the_queries(tmp_path: Path) -> None:
    camera = Camera(fps=1, fast=True, events=((60.0, "jump", 30.0),), stop_s=180.0)
    with http_server(camera.serve) as url:
        record(
            stream_job(
                tmp_path,
                f"{url}/cam",
                stream={"clock": "media", "on_lag": "block", "give_up_s": 0.3},
            )
        )
    kinds = {g["kind"] for g in gaps_of(tmp_path)}
    assert kinds <= set(re.findall(r"`([a-z ]+)`: ", PAGE))
    there, longest, minutes = (
        open_dataset(tmp_path).duckdb().sql(q)
        for q in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    )
    assert 99 < there.fetchall()[0][2] < 100
    assert longest.fetchall()[0][1] == "jump"
    found = minutes.fetchall()
    assert sum(row[2] for row in found) == 150
    assert {row[4] for row in found} == {True, False}


def test_the_settings() -> None:
    (block,) = [
        b for b in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if b.startswith("stream:")
    ]
    assert yaml.safe_load(block)["stream"] == StreamSettings().model_dump()
