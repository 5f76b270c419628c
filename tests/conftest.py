"""Fixtures that several tests use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.cli import main
from segpipe.sample import DriveFiles, DriveSettings, render_drive

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The real clips, where they are at hand."""
    folder = SHARED / "clips"
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}")
    return folder


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> DriveFiles:
    """Two seconds of the sample drive, small."""
    settings = DriveSettings(seconds=2.0, fps=10, width=640, height=352)
    return render_drive(tmp_path_factory.mktemp("drive"), settings)


@pytest.fixture
def segpipe(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call
