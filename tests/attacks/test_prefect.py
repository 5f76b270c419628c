"""What reaches the Prefect server and its worker: pages of other sites, strangers without the
password, and deployments that carry commands. On a real server."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

pytest.importorskip("prefect")

from tests.clock import HANG_S
from tests.conftest import ROOT
from tests.footage import make_video
from tests.prefect_server import AUTH, Server, prefect_server

pytestmark = pytest.mark.slow
ELSEWHERE = "https://evil.example"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as running:
        running.prefect("work-pool", "create", "segpipe", "--type", "process")
        yield running


@dataclass(frozen=True)
class Worker:
    """A worker's process, and its log."""

    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def working(server: Server, folder: Path, *arguments: str) -> Iterator[Worker]:
    """The shipped worker."""
    log = folder / "worker.log"
    with log.open("w") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "flows.worker", *arguments],
            env=server.env,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Worker(worker, log)
        finally:
            worker.terminate()
            worker.wait(HANG_S)


@pytest.fixture(scope="module")
def worker(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with working(server, tmp_path_factory.mktemp("worker")) as running:
        yield running


def flow_id(server: Server) -> str:
    return str(server.post("/flows/", name="segment-footage")["id"])


def run_of(server: Server, deployment: str, **more: Any) -> str:
    path = f"/deployments/{deployment}/create_flow_run"
    return str(server.post(path, state={"type": "SCHEDULED"}, **more)["id"])


def wait_for(server: Server, run: str, worker: Worker) -> dict[str, Any]:
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        assert worker.process.poll() is None, worker.log.read_text()
        (found,) = server.runs(flow_runs={"id": {"any_": [run]}})
        if found["state_type"] in ENDED:
            return found
        time.sleep(0.5)
    raise AssertionError(worker.log.read_text())


@pytest.mark.attack("a stranger posts a deployment without the password")
@pytest.mark.parametrize("auth", [None, ("segpipe", "guess"), ("", "")])
def test_without_the_password_nothing_is_answered(
    server: Server, auth: tuple[str, str] | None
) -> None:
    for path in ("/flows/", "/deployments/", "/deployments/filter", "/block_documents/filter"):
        answer = httpx.post(f"{server.url}{path}", json={"name": "evil"}, auth=auth, timeout=HANG_S)
        assert answer.status_code == 401, path
    assert server.post("/flows/filter", flows={"name": {"any_": ["evil"]}}) == []


@pytest.mark.attack("a page of another site posts a deployment from the user's browser")
def test_other_sites_are_not_answered(server: Server) -> None:
    asked = {
        "Origin": ELSEWHERE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = httpx.options(f"{server.url}/deployments/", headers=asked, timeout=HANG_S)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    # What a page may send without asking: a form, plain text, or bytes of no type, which Prefect
    # takes for JSON.
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = httpx.post(
            f"{server.url}/flows/",
            content=json.dumps({"name": "evil"}),
            headers={"Origin": ELSEWHERE} | ({"Content-Type": kind} if kind else {}),
            timeout=HANG_S,
        )
        assert answer.status_code == 401
        assert "www-authenticate" not in answer.headers  # the browser doesn't ask the user
    own = server.url.removesuffix("/api")
    answer = httpx.options(f"{server.url}/flows/", headers=asked | {"Origin": own}, timeout=HANG_S)
    assert answer.headers["access-control-allow-origin"] == own


@pytest.mark.attack("a page of another site listens to the server's events")
@pytest.mark.parametrize("path", ["events/out", "events/in", "logs/out"])
@pytest.mark.parametrize("token", ["", "segpipe:guess"])
def test_sockets_ask_for_the_password(server: Server, path: str, token: str) -> None:
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    url = f"{server.url.replace('http', 'ws', 1)}/{path}"

    def listen() -> None:
        with connect(url, origin=ELSEWHERE, subprotocols=["prefect"] if token else None) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            socket.recv(timeout=HANG_S)

    with pytest.raises((ConnectionClosed, InvalidStatus)):
        listen()


@pytest.mark.attack("the server listens beyond this machine, or starts without a password")
def test_the_server_is_on_loopback_and_wants_a_password(server: Server, tmp_path: Path) -> None:
    from flows.server import settings

    made = settings({"PREFECT_API_AUTH_STRING": AUTH, "PREFECT_SERVER_API_HOST": "0.0.0.0"}, 4200)
    assert made["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    port = int(server.url.rsplit(":", 1)[1].partition("/")[0])
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {a for a in listening if a.endswith(f":{port:04X}")}
    assert "0100007F" + f":{port:04X}" in ours
    assert not [a for a in ours if a.startswith("00000000:")]
    for said in ("", "segpipe:short", "a-password-alone", ":a-long-password"):
        done = subprocess.run(
            [sys.executable, "-m", "flows.server"],
            env={**server.env, "PREFECT_API_AUTH_STRING": said},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "the server needs a password" in done.stderr
        assert not said or said not in done.stderr


def test_the_password_is_made_once_and_is_its_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.password import auth_string, password_file

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    assert auth_string() == auth_string()
    assert stat.S_IMODE(password_file().stat().st_mode) == 0o600
    assert len(auth_string()) > 32


def hostile(folder: Path) -> dict[str, dict[str, Any]]:
    """Deployments that would make this mark if anything of theirs was run."""
    mark = folder / "owned"
    script = folder / "evil.py"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    script.write_text(f"{code}from prefect import flow\n@flow\ndef evil(job=None): pass\n")
    shell = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}
    usual = {"entrypoint": "flows/segment.py:segment_footage", "path": str(ROOT)}
    return {
        "shell": {**usual, "pull_steps": [shell]},
        "hidden shell": {
            **usual,
            "pull_steps": [
                {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}},
                shell,
            ],
        },
        "pip": {
            **usual,
            "pull_steps": [
                {"prefect.deployments.steps.pip_install_requirements": {"directory": str(folder)}}
            ],
        },
        "git": {
            **usual,
            "pull_steps": [
                {"prefect.deployments.steps.git_clone": {"repository": f"file://{folder}"}}
            ],
        },
        "entrypoint": {**usual, "entrypoint": f"{script}:evil"},
        "module": {**usual, "entrypoint": "evil.evil"},
        "path": {"entrypoint": "evil.py:evil", "path": str(folder)},
        "command": {**usual, "job_variables": {"command": f"touch {mark}"}},
        "environment": {
            **usual,
            "job_variables": {"env": {"PYTHONSTARTUP": str(script), "PYTHONPATH": str(folder)}},
        },
        "folder": {**usual, "job_variables": {"working_dir": str(folder)}},
    }


@pytest.mark.attack("a deployment makes the worker run a command or another file")
def test_deployments_with_code_are_refused(server: Server, worker: Worker, tmp_path: Path) -> None:
    """Ten deployments by somebody who has the password; and the run of an honest one whose run
    carries job variables."""
    own = flow_id(server)
    honest = {"entrypoint": "flows/segment.py:segment_footage", "path": str(ROOT)}
    runs: dict[str, str] = {}
    for name, body in hostile(tmp_path).items():
        made = server.post(
            "/deployments/", name=name, flow_id=own, work_pool_name="segpipe", **body
        )
        runs[name] = run_of(server, made["id"])
    made = server.post(
        "/deployments/", name="variables", flow_id=own, work_pool_name="segpipe", **honest
    )
    command = {"command": f"touch {tmp_path}/owned"}
    runs["variables"] = run_of(server, made["id"], job_variables=command)
    for name, run in runs.items():
        ended = wait_for(server, run, worker)
        assert ended["state_type"] == "CRASHED", name
        assert "this worker runs flows/segment.py:segment_footage" in ended["state"]["message"]
    assert not (tmp_path / "owned").exists()


def test_the_shipped_deployment_runs(server: Server, worker: Worker, tmp_path: Path) -> None:
    """Deployed as docs/nightly.md says, and by a version before, whose deployment has the pull step
    that Prefect adds by itself."""
    (tmp_path / "footage").mkdir()
    make_video(tmp_path / "footage" / "clip.mp4", frames=6)
    job = {
        "inputs": [str(tmp_path / "footage")],
        "output": str(tmp_path / "dataset"),
        "model": {"source": "fake:"},
    }
    server.prefect("deploy", "--name", "nightly", "--params", json.dumps({"job": job}))
    (shipped,) = server.post("/deployments/filter", deployments={"name": {"any_": ["nightly"]}})
    assert not shipped["pull_steps"]
    before = server.post(
        "/deployments/",
        name="before",
        flow_id=shipped["flow_id"],
        work_pool_name="segpipe",
        entrypoint=shipped["entrypoint"],
        parameters={"job": job},
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
    )
    for deployment in (shipped, before):
        ended = wait_for(server, run_of(server, deployment["id"]), worker)
        assert ended["state_type"] == "COMPLETED", worker.log.read_text()


@pytest.mark.attack("a work pool's template makes the worker run a command")
def test_the_pool_cannot_carry_a_command(server: Server, tmp_path: Path) -> None:
    auth = tuple(AUTH.split(":"))
    usual = httpx.get(f"{server.url}/work_pools/segpipe", auth=auth, timeout=HANG_S).json()
    template = usual["base_job_template"]
    template["job_configuration"]["command"] = f"touch {tmp_path}/owned"
    server.post("/work_pools/", name="other", type="process", base_job_template=template)
    made = server.post(
        "/deployments/",
        name="pool",
        flow_id=flow_id(server),
        work_pool_name="other",
        entrypoint="flows/segment.py:segment_footage",
        path=str(ROOT),
    )
    run = run_of(server, made["id"])
    with working(server, tmp_path, "--pool", "other") as worker:
        ended = wait_for(server, run, worker)
    assert ended["state_type"] == "CRASHED"
    assert "has a command; this worker runs" in ended["state"]["message"]
    assert not (tmp_path / "owned").exists()


@pytest.mark.attack("the images take a package or a base that somebody replaced")
def test_images_are_pinned() -> None:
    lock = (ROOT / "docker" / "requirements.lock").read_text()
    pinned = {
        line.split("==")[0].lower(): line
        for line in lock.splitlines()
        if line and not line.startswith((" ", "#"))
    }
    assert all("==" in line and line.rstrip().endswith("\\") for line in pinned.values())
    assert "://" not in lock
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile
    assert "ARG BASE=" in dockerfile
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        found = pinned.get(name.lower().replace("_", "-"))
        assert found is None or found.split("==")[1].split()[0] == version, line


@pytest.mark.attack("a container runs as root, writes footage, or starts without a password")
def test_compose_is_closed() -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    assert os.path.isfile(ROOT / "docker" / "Dockerfile")
    assert "USER " in (ROOT / "docker" / "Dockerfile").read_text()
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["environment"]["PREFECT_API_AUTH_STRING"].startswith(
            "${PREFECT_API_AUTH_STRING:?"
        )
        assert all(p.startswith("127.0.0.1:") for p in service.get("ports", []))
    assert services["worker"]["entrypoint"][:3] == ["python", "-m", "flows.worker"]
    (footage,) = [v for v in services["worker"]["volumes"] if "footage" in v]
    assert footage.endswith(":ro")
