"""`segpipe schema`: what editors check YAML with agrees with what a run accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from segpipe.core.config.job import Job
from tests.conftest import ROOT

Call = Callable[..., tuple[int, str, str]]


def checker(kind: str, segpipe: Call) -> Draft202012Validator:
    code, printed, errors = segpipe("schema", kind)
    assert (code, errors) == (0, "")
    content = json.loads(printed)
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_config_fits(path: Path, segpipe: Call) -> None:
    kind = "training" if path.name.startswith("train-") else "job"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [e.message for e in checker(kind, segpipe).iter_errors(content)] == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"modle": {}}, "'modle' was unexpected"),
        ({"sampling": {"fps": 3}}, "'fps' was unexpected"),
        ({"sampling": {"every_n": 0}}, "not valid"),
        ({"model": {"precision": "int4"}}, "'int4' is not one of"),
        ({"ego_mask": "on"}, "'on' is not one of"),
    ],
)
def test_mistakes_are_seen(content: dict[str, Any], found: str, segpipe: Call) -> None:
    messages = [e.message for e in checker("job", segpipe).iter_errors(content)]
    assert len(messages) == 1
    assert found in messages[0]


def test_every_key_has_a_meaning() -> None:
    """A section has that of its class."""
    content = Job.model_json_schema()
    kinds = [content, *content["$defs"].values()]
    bare = [
        f"{kind['title']}.{name}"
        for kind in kinds
        for name, value in kind["properties"].items()
        if "description" not in value and "$ref" not in value
    ]
    assert bare == []
    assert [k["title"] for k in kinds if "description" not in k] == []
