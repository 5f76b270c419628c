"""Nothing that is shipped points outside of the repository."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT

PLACES = ("configs", "docker", "docs", "flows", "scripts", "segpipe", "tests", "*")
ALLOWED = {"tests/conftest.py", "tests/test_shipped.py"}
OUTSIDE = ("../shared", '"shared"', "shared/data", "shared/cases")


@pytest.mark.parametrize("place", PLACES)
def test_no_file_names_a_folder_beside_the_checkout(place: str) -> None:
    paths = ROOT.glob(place) if place == "*" else (ROOT / place).rglob("*")
    named = []
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        made = path.suffix == ".pyc" or name.startswith(".coverage")
        if path.is_file() and not made and name not in ALLOWED:
            text = path.read_bytes().decode("utf-8", "replace")
            named += [name for outside in OUTSIDE if outside in text]
    assert named == []
