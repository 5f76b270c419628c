"""What README and docs show works: queries run, jobs are the default job, commands and links
exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from segpipe import open_dataset
from segpipe.cli import parser
from segpipe.core.config.job import Job, make_job, read_yaml
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.training.settings import make_training_job
from tests.conftest import ROOT
from tests.footage import make_video

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_five_queries_run(tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]) -> None:
    make_video(tmp_path / "clip.mp4", frames=6)
    (tmp_path / "bad.mp4").write_text("words")
    segpipe("run", tmp_path, "-o", tmp_path / "out", "--set", "model.source=fake:", "-q")
    connection = open_dataset(tmp_path / "out").duckdb()
    queries = blocks("dataset.md", "sql")
    assert len(queries) == 5
    rows = [connection.sql(q).fetchall() for q in queries]
    assert len(rows[0]) == 1
    assert sum(r[1] for r in rows[1]) == pytest.approx(1.0)
    assert len(rows[4]) == 6


def test_the_job_shown_is_the_default_job() -> None:
    shown = make_job(yaml.safe_load(blocks("job.md", "yaml")[0]))
    assert shown == Job(inputs=("footage/",), output="dataset")


def test_the_training_settings_shown_are_the_defaults(tmp_path: Path) -> None:
    own, taxonomy, shown = (yaml.safe_load(b) for b in blocks("training.md", "yaml"))
    where = {
        "output": "runs/x",
        "data": {"taxonomy": "camvid", "train": [{"root": "a"}], "val": [{"root": "b"}]},
    }
    assert make_training_job({**shown, **where}) == make_training_job(where)
    assert make_training_job({"output": "x", **own}).data.train[1].layout == "cityscapes"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(taxonomy))
    assert load_taxonomy(str(tmp_path / "mine.yaml")).names == ("road", "bike lane", "sky")


def test_the_settings_of_time_and_place_shown_are_the_defaults() -> None:
    shown = [yaml.safe_load(b) for b in blocks("where.md", "yaml")]
    assert {k for s in shown for k in s} == {"time", "track", "quality"}
    for content in shown:
        assert make_job({"inputs": ["x"], "output": "y", **content}) == make_job(
            {"inputs": ["x"], "output": "y"}
        )


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_the_configs_are_valid(path: Path) -> None:
    content = read_yaml(path)
    assert (
        make_training_job(content)
        if path.name.startswith("train-")
        else make_job({"inputs": ["x"], "output": "y", **content})
    )


def test_every_command_is_listed() -> None:
    commands = next(a.choices for a in parser()._actions if a.dest == "command")
    for name in commands or ():
        assert f"`segpipe {name} " in README or f"`segpipe {name}`" in README, name
