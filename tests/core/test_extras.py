"""A base install runs and queries; a command whose extra is missing says so in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from segpipe.core.errors import ConfigError, ModelError
from segpipe.core.extras import EXTRAS, install_hint, require
from tests.conftest import ROOT
from tests.footage import make_video

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_THERE = {name for modules in EXTRAS.values() for name in modules} | {"pandas", "scipy"}
ANSWERS = (
    (("events", "out", "--where", "true", "-o", "e.parquet"), "segpipe events -o", "analysis", 2),
    (("aggregate", "out", "--by", "metres:20"), "segpipe aggregate", "analysis", 2),
    (("diff", "out", "out", "--by", "h3:10"), "segpipe diff", "analysis", 2),
    (("report", "out"), "segpipe report", "analysis", 2),
    (("train", "-c", "no.yaml"), "segpipe train", "train", 2),
    (("evaluate", "fake:", ".", "-o", "e"), "segpipe evaluate -o", "train", 2),
    (("compare", "fake:", "fake:", ".", "-o", "c"), "segpipe compare -o", "train", 2),
    (("export", "builtin:street"), "segpipe export", "export", 2),
    (("run", "clip.mp4", "-o", "s3://bucket/out"), "s3://bucket/out: an object store", "s3", 2),
    (("run", "clip.mp4", "-o", "o", "--set", "model.source=hf:x"), "hf:x", "hf", 4),
)
"""A command line, what needs the extra, the extra, and the exit code."""
WORKING = (
    ("run", "clip.mp4", "-o", "out", "-q"),
    ("query", "out", "SELECT count(*) FROM frames WHERE status = 'ok'"),
    ("info", "out"),
    ("errors", "out"),
    ("verify", "out"),
    ("events", "out", "--where", "true"),
    ("overlay", "out"),
    ("models",),
)
"""What a base install does, in this order."""
CHILD = """
import contextlib, io, json, sys
from segpipe.cli import main
answers = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    answers.append((code, out.getvalue(), err.getvalue()))
found = sorted(set(sys.argv[2].split(",")) & set(sys.modules))
print(json.dumps([answers, found]))
"""


def base_install(commands: tuple[tuple[str, ...], ...], folder: Path) -> list[tuple[Any, ...]]:
    """Run commands, in one process, where no extra is installed: exit code, output, errors."""
    names = ",".join(sorted(NOT_THERE))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "tests" / "without"), str(ROOT))),
        "WITHOUT": names,
    }
    call = [sys.executable, "-c", CHILD, json.dumps(commands), names]
    done = subprocess.run(
        call, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers, loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == []
    return answers


def test_a_base_install_runs_and_queries(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=3)
    answers = base_install(WORKING, tmp_path)
    assert [code for code, _, _ in answers] == [0] * len(WORKING), answers
    assert " 3 " in answers[1][1]


def test_a_missing_extra_is_one_line_that_names_the_command(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=1)
    answers = base_install(tuple(command for command, *_ in ANSWERS), tmp_path)
    for (command, purpose, extra, code), (found, out, err) in zip(ANSWERS, answers, strict=True):
        assert (found, out) == (code, ""), command
        assert err.startswith(f"segpipe: {purpose} needs the extra '{extra}' ("), err
        assert err.endswith(f"installed): {install_hint(extra)}\n"), err
        assert err.count("\n") == 1, err


def test_every_module_is_brought_by_its_extra_alone() -> None:
    brought = packages_distributions()
    base = names_of(PROJECT["dependencies"])
    optional = PROJECT["optional-dependencies"]
    assert names_of(optional["all"]) == {"segpipe"}
    assert Requirement(optional["all"][0]).extras == set(EXTRAS)
    for extra, modules in EXTRAS.items():
        for module in set(modules) & set(brought):
            distributions = {canonicalize_name(name) for name in brought[module]}
            assert distributions & names_of(optional[extra]), module
            assert not distributions & base, module


def names_of(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def test_require_names_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h3", None)
    with pytest.raises(ConfigError, match=r"^x needs the extra 'analysis' \(h3 isn't installed\)"):
        require("analysis", "x")
    require("analysis", "x", modules=("geopandas",))
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(ModelError, match=r"\(geopandas, h3 aren't installed\)"):
        require("analysis", "x", ModelError)
