"""Fixtures that several tests use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segpipe.cli import main
from segpipe.sample import DriveFiles, DriveSettings, render_drive

if TYPE_CHECKING:
    from tests.s3_server import S3

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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An S3 server with the bucket `footage`."""
    from tests.s3_server import running

    with running() as found:
        yield found


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server, as the environment of this process names it; its bucket is empty."""
    import s3fs

    from tests.s3_server import environment

    for name, value in environment(s3_server.url).items():
        monkeypatch.setenv(name, value)
    s3_server.clear()
    s3fs.S3FileSystem.clear_instance_cache()  # what was connected with another environment
    return s3_server


@pytest.fixture
def segpipe(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call
