"""Fixtures that several tests use."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segpipe.cli import main
from segpipe.sources import settling
from segpipe.training.sample import DriveFiles, DriveSettings, render_drive

if TYPE_CHECKING:
    from tests.s3_server import S3

ROOT = Path(__file__).parent.parent
TEST_DATA = Path(os.environ.get("SEGPIPE_TEST_DATA") or ROOT.parent / "shared")
"""Real footage and data sets that are not in the repository: `data/clips`, `data/camvid`, `cases`.
Tests that use them are skipped where they aren't there."""

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


LONG = (
    "test_kills",
    "test_train",
    "test_flow",
    "test_evaluate",
    "test_readme_lines",
    "test_hostile",
    "test_migrate",
    "test_resources",
)
"""Files of tests that take longest. They begin first, so that at the end no worker waits for the
other's last file."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    items.sort(key=lambda item: item.path.stem not in LONG)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes a test's files: a run needn't wait whether they change."""
    monkeypatch.setattr(settling, "wait", lambda seconds: None)


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What runs note of a user outside of datasets stays among the tests."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The real clips, where they are at hand."""
    return at_hand("data/clips")


@pytest.fixture(scope="session")
def camvid() -> Path:
    """CamVid's folder with `train` and `val`, where it is at hand."""
    return at_hand("data/camvid")


@pytest.fixture(scope="session")
def field_recording() -> Path:
    """A recording with one field in each packet, where it is at hand."""
    return at_hand("cases/one_field_per_packet.ts")


def at_hand(name: str) -> Path:
    """A file or folder of the test data; skips the test where it isn't there."""
    path = TEST_DATA / name
    if not path.exists():
        pytest.skip(f"no {path}; SEGPIPE_TEST_DATA names the folder of the test data")
    return path


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
