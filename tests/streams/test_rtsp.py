"""A real RTSP camera that is killed and comes back, the command line around it, and its password, which nothing may keep."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from segpipe import open_dataset
from tests.streams.recording import command_line, committed, frames_of, gaps_of, record, stream_job, wait_for
from tests.streams.servers import PASSWORD, PLAIN_PASSWORD, USER, Camera, RtspServer, contiguous, http_server, rtsp_server

SECRETS = [s.encode() for s in (PASSWORD, PLAIN_PASSWORD, f"{USER}:", f"{USER}@", "am9lOn")]
"""The last one is how basic authentication begins in base64."""


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspServer]:
    with rtsp_server() as server:
        yield server


def leaks(folder: Path, *texts: str) -> list[str]:
    """Where a secret stands: in a file's bytes or its name, or in a text."""
    places = {str(p): str(p).encode() + (p.read_bytes() if p.is_file() else b"") for p in folder.rglob("*")}
    places |= {f"text {i}": t.encode() for i, t in enumerate(texts)}
    return [name for name, data in places.items() if any(s in data for s in SECRETS)]


def test_a_camera_that_is_killed_and_comes_back(camera: RtspServer, tmp_path: Path) -> None:
    out, begin = tmp_path / "out", datetime.now(UTC)
    sets = [x for s in ("model.source=fake:", "stream.shard_s=1.5", "stream.backoff_s=0.2") for x in ("--set", s)]
    run = command_line("run", camera.url, "-o", out, *sets, debug=True)
    wait_for(lambda: committed(out) >= 1, 30, "the first shard")
    camera.kill()
    killed = datetime.now(UTC)
    time.sleep(1)
    camera.start()
    back, shards = datetime.now(UTC), committed(out)
    wait_for(lambda: committed(out) >= shards + 2, 30, "shards after the camera came back")
    run.send_signal(signal.SIGTERM)
    stopped = time.monotonic()
    said, errors = run.communicate(timeout=15)
    assert time.monotonic() - stopped < 10
    assert run.returncode == 143, errors
    found = frames_of(out)
    assert f"{len(found)} frames" in said
    (gap,) = [g for g in gaps_of(out) if g["kind"] in {"lost", "stall"}]
    assert gap["start"] < killed + timedelta(seconds=0.5)
    assert gap["stop"] > back
    assert gap["duration_s"] == pytest.approx((gap["stop"] - gap["start"]).total_seconds())
    assert gap["attempts"] >= 1
    before, after = ([r for r in found if r["timestamp"] <= gap["start"]], [r for r in found if r["timestamp"] >= gap["stop"]])
    assert len(before) + len(after) == len(found)
    assert len(before) > 10
    assert len(after) > 10
    assert contiguous([r["pts_s"] for r in found], gaps_of(out), 0.1)
    assert (np.diff([r["timestamp"].timestamp() for r in found]) > 0).all()
    assert begin <= found[0]["timestamp"]
    assert found[-1]["timestamp"] <= datetime.now(UTC)
    assert errors.count("connecting again") == errors.count("there again after") == 1
    assert leaks(out, said, errors) == []
    assert camera.url.rpartition("@")[2] in errors + said + str(found[0]["uri"])


def test_a_wrong_password_is_one_line_without_it(
    camera: RtspServer, tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    wrong = camera.url.replace(PASSWORD, "wr0ng-pass")
    code, said, errors = segpipe("run", wrong, "-o", tmp_path / "out", "--set", "model.source=fake:", "-q")
    assert code == 3
    assert "the server refuses access (401)" in errors
    assert errors.count("\n") == 1
    assert "wr0ng-pass" not in said + errors
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"wr0ng-pass" in p.read_bytes()]


def test_the_password_from_the_environment(camera: RtspServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", PLAIN_PASSWORD)
    record(stream_job(tmp_path, camera.url.replace(PASSWORD, "${CAMERA_PASSWORD}"), stream={"duration": "2s"}))
    assert len(frames_of(tmp_path)) > 3
    assert leaks(tmp_path) == []


def test_a_killed_run_is_accounted_for_by_the_next_and_ctrl_c_commits(tmp_path: Path) -> None:
    sets = [x for s in ("model.source=fake:", "stream.shard_s=1") for x in ("--set", s)]
    with http_server(Camera(fps=10).serve) as url:
        command = ("run", f"{url}/cam", "-o", tmp_path, *sets, "-q")
        run = command_line(*command)
        wait_for(lambda: committed(tmp_path) >= 1, 30, "a shard")
        run.kill()
        run.communicate()
        before, shards = frames_of(tmp_path, whole=False), committed(tmp_path)
        again = command_line(*command)
        wait_for(lambda: committed(tmp_path) >= shards + 1, 30, "shards of the next run")
        again.send_signal(signal.SIGINT)
        said, errors = again.communicate(timeout=10)
    assert again.returncode == 130, errors
    found = frames_of(tmp_path)
    assert f"{len(found) - len(before)} frames in" in said
    (gap,) = [g for g in gaps_of(tmp_path) if g["kind"] == "not running"]
    assert gap["start"] == before[-1]["timestamp"]
    assert [r["frame_id"] for r in found[: len(before)]] == [r["frame_id"] for r in before]
    assert found[len(before)]["timestamp"] >= gap["stop"]
    assert not list(tmp_path.rglob("*.tmp"))
    assert open_dataset(tmp_path).arrow("masks").num_rows == len(found)
