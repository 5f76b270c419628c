"""The shell blocks of README, docs/nightly.md and docs/training.md are run as they are printed, in
a folder like a new checkout.

What is replaced, and why, stands in `IN_SMALL`: what takes minutes runs on less.
`make` is asked what it would run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.training.sample import DriveFiles
from tests.conftest import ROOT
from tests.footage import picture
from tests.pipeline.live.servers import free_port

pytest.importorskip("prefect")

PAGES = ("README.md", "docs/training.md", "docs/nightly.md")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
]
CLONE = "git clone URL segpipe && cd segpipe"
IN_SMALL = {
    # Whether the address is right, no test can know: the checkout itself stands for it.
    CLONE: f"git clone --quiet --no-local --depth 1 file://{ROOT} segpipe && cd segpipe",
    # Ten seconds of the drive take a minute to render, twelve epochs two minutes: six frames, one
    # epoch.
    "segpipe sample drive --seconds 10 --images": "segpipe sample drive --seconds 0.4 --images",
    "segpipe train -c configs/train-drive.yaml": (
        "segpipe train -c configs/train-drive.yaml --set schedule.epochs=1 --set "
        "schedule.batch=2 -q"
        " --set 'data.train=[{root: drive, images: \"images/00000[0-3].jpg\"}]'"
        " --set 'data.val=[{root: drive, images: \"images/00000[4-5].jpg\"}]'"
    ),
}


def lines(block: str) -> list[str]:
    """The commands of a block without their comments; every replacement is of a line that is
    there."""
    found = [re.sub(r"\s{2,}#.*", "", line).strip() for line in block.splitlines()]
    return [IN_SMALL.get(line, line) for line in found if line]


def checkout(folder: Path) -> Path:
    """A folder with what a checkout has, as far as the commands look at it."""
    for name in ("configs", "flows", "segpipe", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("prefect.yaml", "Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a user with nothing set, whose Prefect has never run."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("PREFECT_") and k != "DO_NOT_TRACK"
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    quiet = {"PREFECT_LOGGING_LEVEL": "WARNING"}
    return {
        **kept,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(folder / "prefect-home"),
        **quiet,
        **more,
    }


def run(line: str, folder: Path, env: dict[str, str]) -> str:
    """Run a line as a shell does; it has to succeed, and without a traceback."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, drive: DriveFiles) -> Path:
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    (folder / "my-clips").mkdir()
    for file in (drive.video, drive.track):
        shutil.copy(file, folder / "my-clips")
    (folder / "photos").mkdir()
    Image.fromarray(picture(40)).save(folder / "photos" / "a.jpg")
    return folder


def test_every_block_has_a_test_and_every_replacement_a_line() -> None:
    assert len(BLOCKS) == 4
    printed = {
        re.sub(r"\s{2,}#.*", "", line).strip() for block in BLOCKS for line in block.splitlines()
    }
    assert set(IN_SMALL) <= printed


def test_try_it(here: Path, tmp_path: Path) -> None:
    """`make` is asked what it runs, since it would install, and the demo takes minutes; its flow
    has tests of its own."""
    clone, *make = lines(BLOCKS[0])
    assert make == ["make demo", "make test"]
    if (ROOT / ".git").exists():
        run(f"{clone} && ls Makefile", tmp_path, environment(tmp_path))
    demo, test = ".venv/bin/python -m scripts.demo", '.venv/bin/python -m pytest -m "not slow"'
    for line, runs in (("make demo", demo), ("make test", test)):
        assert runs in run(f"{line} --dry-run", here, environment(here))


def test_on_your_own_footage(here: Path) -> None:
    env = environment(here)
    said = [run(line, here, env) for line in lines(BLOCKS[1])]
    assert len(said) == 6
    assert "6 frames in" in said[0]  # five of the clip, two a second, and a photo
    assert "drive.mp4" in said[1]
    assert "road" in said[2]
    assert {p.name for p in here.glob("layer.*")} == {"layer.parquet", "layer.png"}
    assert (here / "overlay.mp4").stat().st_size > 1000


def test_a_model_for_your_own_streets(here: Path) -> None:
    env = environment(here)
    said = [run(line, here, env) for line in lines(BLOCKS[2])]
    assert len(said) == 6
    assert (here / "evaluation" / "confusion.png").exists()
    assert (here / "drive.onnx").exists()
    assert open_dataset(here / "dataset").manifest.model.source == "smp:runs/drive/model"
    assert open_dataset(here / "dataset").arrow("frames").num_rows == 20


@pytest.fixture
def port(here: Path) -> Iterator[int]:
    """A free port; a server that the lines start in the background is stopped at the end."""
    number = free_port()
    yield number
    env = environment(here, PREFECT_SERVER_API_PORT=str(number))
    subprocess.run(
        [sys.executable, "-m", "prefect", "server", "stop"],
        env=env,
        cwd=here,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_every_night(here: Path, port: int) -> None:
    """On another port than 4200, which may be taken. The worker runs until it is stopped: here,
    once the server knows it."""
    env = environment(here, PREFECT_SERVER_API_PORT=str(port))
    *first, last = [line.replace("4200", str(port)) for line in lines(BLOCKS[3])]
    assert last == ".venv/bin/python -m flows.worker"
    assert first[0] == f"export PREFECT_API_URL=http://127.0.0.1:{port}/api"
    assert "Deployment 'segment-footage/nightly' successfully created" in run(
        "\n".join(["set -e", *first]), here, env
    )
    url = f"http://127.0.0.1:{port}/api"
    assert httpx.post(f"{url}/deployments/filter", json={}, timeout=30).status_code == 401
    password = (here / "prefect-home" / "segpipe-password").read_text().strip()
    auth = ("segpipe", password)
    (deployment,) = httpx.post(f"{url}/deployments/filter", json={}, auth=auth, timeout=30).json()
    assert (deployment["name"], deployment["entrypoint"]) == (
        "nightly",
        "flows/segment.py:segment_footage",
    )
    assert deployment["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    log = (here / "worker.log").open("w")
    worker = subprocess.Popen(
        shlex.split(last),
        cwd=here,
        env={
            **env,
            "PREFECT_API_URL": url,
            "PREFECT_API_AUTH_STRING": f"segpipe:{password}",
        },
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        while not httpx.post(
            f"{url}/work_pools/segpipe/workers/filter", json={}, auth=auth, timeout=30
        ).json():
            assert worker.poll() is None, (here / "worker.log").read_text()
            time.sleep(0.3)
    finally:
        worker.terminate()
        worker.wait(60)
        log.close()
    assert "Traceback" not in (here / "worker.log").read_text()
