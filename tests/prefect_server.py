"""A real Prefect server on loopback, for tests; nothing of the user's own Prefect is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.clock import HANG_S
from tests.conftest import ROOT

AUTH = "segpipe:a-password-of-these-tests"


@dataclass(frozen=True)
class Server:
    """Its API, and the environment that points Prefect's commands at it."""

    url: str
    env: dict[str, str]
    folder: Path

    def post(self, path: str, /, **body: Any) -> Any:
        """What the server answers; one whose database is locked is asked again, as Prefect does."""
        auth = tuple(AUTH.split(":"))
        until = time.monotonic() + HANG_S
        while True:
            response = httpx.post(f"{self.url}{path}", json=body, auth=auth, timeout=HANG_S)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                response.raise_for_status()
                return response.json()
            time.sleep(0.5)

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(
            command,
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def artifacts(self, flow_run_id: str) -> dict[str, Any]:
        found = self.post("/artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run_id]}})
        return {a["key"]: a for a in found}

    def logs(self, flow_run_id: str) -> list[tuple[int, str, bool]]:
        """The log of a run: level, message, and whether a task said it."""
        found = self.post(
            "/logs/filter",
            logs={"flow_run_id": {"any_": [flow_run_id]}},
            sort="TIMESTAMP_ASC",
            limit=200,
        )
        return [(line["level"], line["message"], line["task_run_id"] is not None) for line in found]

    def runs(self, **deployment: Any) -> list[dict[str, Any]]:
        return list(self.post("/flow_runs/filter", sort="EXPECTED_START_TIME_ASC", **deployment))


@contextmanager
def prefect_server(folder: Path) -> Iterator[Server]:
    """Start a server as docs/nightly.md does, wait until it answers, stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
    }
    log = (folder / "server.log").open("w")
    command = [sys.executable, "-m", "flows.server", "--port", str(port)]
    server = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + HANG_S
        while not _healthy(url):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < until, "the Prefect server didn't start"
            time.sleep(0.3)
        yield Server(url, env, folder)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
