"""A real RTSP camera that is killed and comes back, the command line around it, and its password,
which nothing may keep."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from segpipe import open_dataset
from segpipe.sources.stream.gaps import GAP_S
from tests.clock import HANG_S, wait_until
from tests.pipeline.live.progress import Progress, until
from tests.pipeline.live.recording import (
    command_line,
    committed_frames,
    committed_gaps,
    frames_of,
    gaps_of,
    record,
    stream_job,
)
from tests.pipeline.live.servers import (
    PASSWORD,
    PLAIN_PASSWORD,
    USER,
    Camera,
    RtspServer,
    contiguous,
    http_server,
    rtsp_server,
)

SECRETS = [s.encode() for s in (PASSWORD, PLAIN_PASSWORD, f"{USER}:", f"{USER}@", "am9lOn")]
"""The last one is how basic authentication begins in base64."""
PATIENT = ("model.source=fake:", f"stream.timeout_s={HANG_S}", "stream.on_lag=block")
"""Settings of runs that wait for a server and a model that are slow."""


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspServer]:
    with rtsp_server() as server:
        yield server


def frames_since(output: Path, moment: datetime) -> int:
    """Frames of this moment and later in the shards that are there by now."""
    found = 0
    for shard in (output / "frames").glob("*.parquet"):
        times = pq.read_table(shard, columns=["timestamp"], partitioning=None)["timestamp"]
        found += sum(t >= moment for t in times.to_pylist())
    return found


def away_until(output: Path, moment: datetime) -> list[dict[str, Any]]:
    """Outages that ended after this moment, as far as they are committed by now."""
    gaps = sorted(committed_gaps(output), key=lambda g: g["start_time"])
    return [
        g for g in gaps if g["kind"] in {"lost", "stall"} and g["attempts"] and g["stop"] > moment
    ]


def leaks(folder: Path, *texts: str) -> list[str]:
    """Where a secret stands: in a file's bytes or its name, or in a text."""
    places = {
        str(p): str(p).encode() + (p.read_bytes() if p.is_file() else b"")
        for p in folder.rglob("*")
    }
    places |= {f"text {i}": t.encode() for i, t in enumerate(texts)}
    return [name for name, data in places.items() if any(s in data for s in SECRETS)]


def test_a_camera_that_is_killed_and_comes_back(camera: RtspServer, tmp_path: Path) -> None:
    out, begin = tmp_path / "out", datetime.now(UTC)
    given = (*PATIENT, "stream.shard_s=1.5", "stream.backoff_s=0.2")
    run = command_line(
        "run", camera.url, "-o", out, *(x for s in given for x in ("--set", s)), debug=True
    )
    wait_until(lambda: committed_frames(out) > 10, "the first frames", lambda: run.poll() is None)
    camera.kill()
    time.sleep(1)  # a gap has more than a second
    back = datetime.now(UTC)
    camera.start()
    wait_until(lambda: away_until(out, back) != [], "the outage", lambda: run.poll() is None)
    again = away_until(out, back)[0]["stop"]
    wait_until(lambda: frames_since(out, again) > 10, "more frames", lambda: run.poll() is None)
    run.send_signal(signal.SIGTERM)
    said, errors = run.communicate(timeout=HANG_S)
    assert run.returncode == 143, errors
    found = frames_of(out)
    assert f"{len(found)} frames" in said
    # A busy machine may be slow enough for another one.
    away = [g for g in gaps_of(out) if g["kind"] in {"lost", "stall"} and g["attempts"]]
    gap = next(g for g in away if g["stop"] > back)
    assert gap["kind"] == "lost"
    assert gap["start_time"] in {r["timestamp"] for r in found}, (
        "it begins with the last frame before it"
    )
    assert gap["duration_s"] == pytest.approx((gap["stop"] - gap["start_time"]).total_seconds())
    before, after = (
        [r for r in found if r["timestamp"] <= gap["start_time"]],
        [r for r in found if r["timestamp"] >= gap["stop"]],
    )
    assert len(before) + len(after) == len(found)
    assert len(before) > 10
    assert len(after) > 10
    assert contiguous([r["pts_s"] for r in found], gaps_of(out), 0.1, slack_s=GAP_S)
    assert (np.diff([r["timestamp"].timestamp() for r in found]) > 0).all()
    assert begin <= found[0]["timestamp"]
    assert errors.count("connecting again") == errors.count("there again after") == len(away)
    assert leaks(out, said, errors) == []
    assert camera.url.rpartition("@")[2] in errors + said + str(found[0]["uri"])


def test_a_wrong_password_is_one_line_without_it(
    camera: RtspServer, tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    wrong = camera.url.replace(PASSWORD, "wr0ng-pass")
    code, said, errors = segpipe(
        "run", wrong, "-o", tmp_path / "out", "--set", "model.source=fake:", "-q"
    )
    assert code == 3
    assert "the server refuses access (401)" in errors
    assert errors.count("\n") == 1
    assert "wr0ng-pass" not in said + errors
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"wr0ng-pass" in p.read_bytes()]


def test_the_password_from_the_environment(
    camera: RtspServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", PLAIN_PASSWORD)
    job = stream_job(tmp_path, camera.url.replace(PASSWORD, "${CAMERA_PASSWORD}"))
    record(job, until(lambda: progress.done > 3))
    assert len(frames_of(tmp_path)) > 3
    assert leaks(tmp_path) == []


def test_a_killed_run_is_accounted_for_by_the_next_and_ctrl_c_commits(tmp_path: Path) -> None:
    sets = [x for s in (*PATIENT, "stream.shard_s=1") for x in ("--set", s)]
    with http_server(Camera(fps=10).serve) as url:
        command = ("run", f"{url}/cam", "-o", tmp_path, *sets, "-q")
        run = command_line(*command)
        wait_until(lambda: committed_frames(tmp_path) > 0, "a shard", lambda: run.poll() is None)
        run.kill()
        run.communicate()
        before = frames_of(tmp_path, whole=False)
        again = command_line(*command)
        more = len(before) + 1
        wait_until(
            lambda: committed_frames(tmp_path) >= more,
            "a shard of the next run",
            lambda: again.poll() is None,
        )
        again.send_signal(signal.SIGINT)
        said, errors = again.communicate(timeout=HANG_S)
    assert again.returncode == 130, errors
    found = frames_of(tmp_path)
    assert f"{len(found) - len(before)} frames in" in said
    (gap,) = [g for g in gaps_of(tmp_path) if g["kind"] == "not running"]
    assert gap["start_time"] == before[-1]["timestamp"]
    assert [r["frame_id"] for r in found[: len(before)]] == [r["frame_id"] for r in before]
    assert found[len(before)]["timestamp"] >= gap["stop"]
    assert not list(tmp_path.rglob("*.tmp"))
    assert open_dataset(tmp_path).arrow("masks").num_rows == len(found)
