"""Old imports say where the module is now, and every new place that is named is there."""

from __future__ import annotations

import importlib

import pytest

from segpipe.core.old_names import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_tells_the_new_place(old: str) -> None:
    with pytest.raises(
        ImportError, match=f"^segpipe.{old} has moved: import segpipe.{MOVED[old]}$"
    ):
        importlib.import_module(f"segpipe.{old}")
    importlib.import_module(f"segpipe.{MOVED[old]}")


@pytest.mark.parametrize(
    "code",
    [
        "from segpipe.models import load",
        "from segpipe.config import Job",
        "from segpipe import config",
        "import segpipe.models.hub",
    ],
)
def test_an_old_import_in_a_script_is_an_error_that_names_the_new_place(code: str) -> None:
    with pytest.raises(
        ImportError, match=r"has moved: import segpipe.(core.config.job|inference.models)"
    ):
        exec(code)


def test_what_was_never_there_is_missing_as_usual() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("segpipe.no_such_module")
