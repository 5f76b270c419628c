"""The flow on a real Prefect server: tasks, artifacts, retries, and the nightly deployment on its
schedule."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from segpipe import open_dataset
from segpipe.core.config.job import Job, make_job
from segpipe.core.errors import ConfigError
from segpipe.core.text import printable_text
from segpipe.pipeline.live.plan import refuse_secrets
from tests.conftest import ROOT
from tests.footage import make_video
from tests.labelled import training_job
from tests.pipeline.live.servers import (
    PASSWORD,
    PLAIN_PASSWORD,
    USER,
    Camera,
    http_server,
    make_ts,
    serve_cut,
)

pytest.importorskip("prefect")

from tests.clock import HANG_S, wait_until
from tests.prefect_server import Server, prefect_server

HOSTILE = "<img src=x onerror=alert(1)>&\"'\n[x](javascript:0).mp4"
"""A file's name: markup, quotes, a line break, a link."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as running:
        yield running


def write_job(tmp_path: Path, clips: int = 1) -> Path:
    (tmp_path / "footage").mkdir(exist_ok=True)
    for i in range(clips):
        make_video(tmp_path / "footage" / f"clip{i}.mp4", frames=30)
    job = {
        "inputs": [str(tmp_path / "footage")],
        "output": str(tmp_path / "dataset"),
        "model": {"source": "fake:"},
        "store": {"frames_per_shard": 10},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def call(server: Server, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=server.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def newest_run(server: Server) -> dict[str, Any]:
    """The run that started last; a schedule's runs to come are no runs yet."""
    return max((r for r in server.runs() if r["start_time"]), key=lambda r: str(r["start_time"]))


def test_a_run_with_its_tasks_and_artifacts(server: Server, tmp_path: Path) -> None:
    job = write_job(tmp_path)
    (tmp_path / "footage" / HOSTILE).write_text("words")
    os.mkfifo(tmp_path / "footage" / "pipe.mp4")
    done = call(server, "flows/segment.py", str(job))
    # A frame failed, and the run is complete
    assert done.returncode == 6, done.stdout + done.stderr
    assert "31 frames" in done.stdout
    run = newest_run(server)
    assert run["state_type"] == "COMPLETED"
    tasks = server.post("/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    parts = [f"clip0.mp4, frames {first} to {first + 9}" for first in (0, 10, 20)]
    assert sorted(t["name"] for t in tasks) == sorted(
        [printable_text(HOSTILE), *parts, "verify-dataset"]
    )
    artifacts = server.artifacts(run["id"])
    assert float(artifacts["segpipe-progress"]["data"]) == pytest.approx(100.0)
    table = {row["what"]: row["value"] for row in json.loads(artifacts["segpipe-summary"]["data"])}
    assert (table["frames"], table["failed"], table["done before"]) == ("31", "1", "0")
    assert any(k.startswith("share of ") for k in table)
    assert artifacts["segpipe-overlay"]["data"].startswith("data:image/jpeg;base64,")
    check_verified(artifacts, expected="31", done="30", failed="1", missing="0")
    log = server.logs(run["id"])
    assert all(text.isprintable() for _, text, _ in log)  # a name is no line, and moves no cursor
    assert [
        level for level, text, _ in log if "pipe.mp4" in text and "it is passed over" in text
    ] == [logging.WARNING]
    assert "clip0.mp4: the time is the file's modification time" in " ".join(
        text for _, text, _ in log
    )
    again = call(server, "flows/segment.py", str(job))
    assert again.returncode == 0
    assert "nothing new" in again.stdout
    assert "clip0.mp4" not in again.stdout  # its note was told by the run that found it


def check_verified(artifacts: dict[str, Any], **counts: str) -> list[dict[str, str]]:
    """The table of `verify-dataset` holds these counts, and plain text in one line a cell; all its
    rows."""
    rows = json.loads(artifacts["segpipe-verify"]["data"])
    table = {row["what"]: row["value"] for row in rows}
    assert {n: table[f"frames {n}"] for n in counts} == counts
    assert all(isinstance(v, str) and v.isprintable() for row in rows for v in row.values())
    return list(rows)


def test_a_run_fails_loudly_when_rows_went_missing_behind_its_back(
    server: Server, tmp_path: Path
) -> None:
    job = write_job(tmp_path)
    assert call(server, "flows/segment.py", str(job)).returncode == 0
    masks = sorted((tmp_path / "dataset" / "masks").iterdir())
    masks[1].unlink()
    (tmp_path / "dataset" / "masks" / f"x{HOSTILE}").touch()
    done = call(server, "flows/segment.py", str(job))
    assert done.returncode == 8, done.stdout + done.stderr
    assert "1 × half shard (its masks file isn't there)" in done.stderr
    run = newest_run(server)
    assert run["state_type"] == "FAILED"
    assert "half shard" in run["state"]["message"]
    rows = check_verified(server.artifacts(run["id"]), expected="30", done="20", missing="10")
    assert {
        "what": "half shard",
        "value": f"frames/{masks[1].stem}: its masks file isn't there",
    } in rows
    assert any(row["what"] == "foreign file" and "<img src=x" in row["value"] for row in rows)
    assert (
        call(server, "-m", "segpipe", "verify", str(tmp_path / "dataset"), "--repair").returncode
        == 8
    )
    assert call(server, "flows/segment.py", str(job)).returncode == 0
    assert newest_run(server)["state_type"] == "COMPLETED"


def test_a_wiped_card_is_no_failure(server: Server, tmp_path: Path) -> None:
    job = write_job(tmp_path, clips=2)
    assert call(server, "flows/segment.py", str(job)).returncode == 0
    (tmp_path / "footage" / "clip0.mp4").unlink()
    done = call(server, "flows/segment.py", str(job))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "footage no longer there: 1 source" in done.stdout
    run = newest_run(server)
    assert run["state_type"] == "COMPLETED"
    check_verified(server.artifacts(run["id"]), expected="60", done="60")


def test_a_failed_shard_is_retried(server: Server, tmp_path: Path) -> None:
    job = write_job(tmp_path)
    done = call(server, "-m", "tests.flow_with_fault", str(job), "-00000010-", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "attempts: 3" in done.stdout
    assert newest_run(server)["state_type"] == "COMPLETED"
    assert open_dataset(tmp_path / "dataset").arrow("frames").num_rows == 30


def test_a_shard_that_keeps_failing_is_named_and_the_others_are_done(
    server: Server, tmp_path: Path
) -> None:
    job = write_job(tmp_path)
    done = call(server, "-m", "tests.flow_with_fault", str(job), "-00000010-", "99")
    assert done.returncode == 1
    assert "attempts: 3" in done.stdout
    assert "1 of 3 shards failed" in done.stdout
    assert "-00000010-" in done.stdout
    assert "the lights went out" in done.stdout
    run = newest_run(server)
    assert run["state_type"] == "FAILED"
    table = json.loads(server.artifacts(run["id"])["segpipe-summary"]["data"])
    assert any(row["what"].startswith("failed shard") for row in table)
    said = [(level, text) for level, text, _ in server.logs(run["id"]) if text.startswith("shard ")]
    assert len(said) == 1
    assert said[0][0] == logging.ERROR
    assert "-00000010-" in said[0][1]
    assert (
        "1 × missing (no row for 10 of 30 frames; 2 of 3 shards present" in run["state"]["message"]
    )
    check_verified(server.artifacts(run["id"]), expected="30", done="20", missing="10")
    assert open_dataset(tmp_path / "dataset").arrow("frames").num_rows == 20
    assert call(server, "flows/segment.py", str(job)).returncode == 0
    assert open_dataset(tmp_path / "dataset").arrow("frames").num_rows == 30


def test_a_run_in_which_every_frame_failed_is_a_failed_run(server: Server, tmp_path: Path) -> None:
    job = write_job(tmp_path, clips=0)
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / "footage" / name).write_text(f"words of {name}")
    done = call(server, "flows/segment.py", str(job))
    assert done.returncode == 1, done.stdout + done.stderr
    said = (
        "all 2 frames of this run failed; why, and what to do: segpipe errors "
        f"{tmp_path / 'dataset'}"
    )
    assert done.stderr.splitlines()[-1] == f"segpipe: {said}"
    run = newest_run(server)
    assert run["state_type"] == "FAILED"
    assert said in run["state"]["message"]
    table = {
        row["what"]: row["value"]
        for row in json.loads(server.artifacts(run["id"])["segpipe-summary"]["data"])
    }
    assert (table["frames"], table["failed"]) == ("2", "2")
    again = call(server, "flows/segment.py", str(job))  # permanent failures aren't tried again
    assert again.returncode == 0


def test_mistakes_are_one_line(server: Server, tmp_path: Path) -> None:
    job = write_job(tmp_path)
    done = call(server, "flows/segment.py", str(job), "--set", "sampling.nth=2")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "unknown key" in done.stderr


def test_the_parameter_is_the_job_model(server: Server) -> None:
    from flows.segment import segment_footage

    assert (
        segment_footage.parameters.model_dump()["definitions"]["Job"]["properties"].keys()
        == Job.model_fields.keys()
    )


def test_the_nightly_deployment_fires_finishes_and_then_finds_nothing_new(
    server: Server, tmp_path: Path
) -> None:
    """prefect.yaml as it is shipped, but every twenty seconds and on a folder of this test."""
    write_job(tmp_path)
    job = yaml.safe_load((tmp_path / "job.yaml").read_text())
    shipped = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"][0]
    assert shipped["schedules"][0]["cron"] == "0 2 * * *"
    server.prefect("work-pool", "create", shipped["work_pool"]["name"], "--type", "process")
    server.prefect(
        "deploy",
        "--name",
        shipped["name"],
        "--interval",
        "20",
        "--params",
        json.dumps({"job": job}),
    )
    log = (tmp_path / "worker.log").open("w")
    command = [sys.executable, "-m", "flows.worker", "--pool", shipped["work_pool"]["name"]]
    worker = subprocess.Popen(
        command, env=server.env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        first = wait_for_run(server, 1, tmp_path)
        frames = open_dataset(tmp_path / "dataset").arrow("frames").num_rows
        stamps = stamps_of(tmp_path / "dataset")
        second = wait_for_run(server, 2, tmp_path)
    finally:
        worker.terminate()
        worker.wait(20)
        log.close()
    assert frames == 30
    assert stamps_of(tmp_path / "dataset") == stamps
    tables = [
        json.loads(server.artifacts(r["id"])["segpipe-summary"]["data"]) for r in (first, second)
    ]
    counts = [{row["what"]: row["value"] for row in t} for t in tables]
    assert (counts[0]["frames"], counts[0]["done before"]) == ("30", "0")
    assert (counts[1]["frames"], counts[1]["done before"]) == ("0", "30")
    assert all(r["auto_scheduled"] for r in (first, second))


def stamps_of(dataset: Path) -> dict[Path, int]:
    """When each file of rows was written. Where the footage was seen, and the index of shards, are
    noted by every run."""
    files = [p for p in dataset.rglob("*.parquet") if p.parent.name not in {"addresses", "index"}]
    return {p: p.stat().st_mtime_ns for p in files}


def wait_for_run(server: Server, number: int, tmp_path: Path) -> dict[str, Any]:
    """The n-th finished run of the deployment."""
    until = time.monotonic() + HANG_S
    while time.monotonic() < until:
        runs = server.runs(deployments={"name": {"any_": ["nightly"]}})
        ended = [r for r in runs if r["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]
        if len(ended) >= number:
            assert ended[number - 1]["state_type"] == "COMPLETED", (
                tmp_path / "worker.log"
            ).read_text()
            return ended[number - 1]
        time.sleep(1)
    raise AssertionError("no run finished in time:\n" + (tmp_path / "worker.log").read_text())


def test_a_training_run_with_its_artifacts(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(training_job(tmp_path, schedule={"epochs": 2})))
    done = call(server, "flows/train.py", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = server.runs(flows={"name": {"any_": ["train-model"]}})
    artifacts = server.artifacts(run["id"])
    assert "**mean**" in artifacts["segpipe-model"]["data"]
    for key in ("segpipe-curves", "segpipe-confusion"):
        assert artifacts[key]["data"].startswith("data:image/png;base64,")
    wrong = call(server, "flows/train.py", str(path), "--set", "schedule.epoch=1")
    assert (wrong.returncode, "unknown key 'schedule.epoch'" in wrong.stderr) == (2, True)


def test_a_stream_is_a_task_and_its_password_is_nowhere(server: Server, tmp_path: Path) -> None:
    clip = make_ts(tmp_path / "clip.ts", 100)  # it ends by itself, however busy the machine is
    with http_server(serve_cut(clip, 1, ranges=True), PLAIN_PASSWORD) as url:
        address = f"{url}/clip.ts?token=t0ken-of-mine".replace("//", f"//{USER}:{PASSWORD}@")
        job = {
            "inputs": [address],
            "output": str(tmp_path / "dataset"),
            "model": {"source": "fake:"},
            "stream": {"duration": "2h", "shard_s": 1},
        }
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
        done = call(server, "flows/segment.py", str(tmp_path / "job.yaml"))
        (tmp_path / "job.yaml").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    run = newest_run(server)
    tasks = server.post("/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    (source,) = open_dataset(tmp_path / "dataset").arrow("sources").to_pylist()
    assert source["source_id"] in {t["name"] for t in tasks}
    assert "token=***" in source["uri"]
    assert "${SEGPIPE_SECRET_" in str(run["parameters"])
    table = {
        row["what"]: row["value"]
        for row in json.loads(server.artifacts(run["id"])["segpipe-summary"]["data"])
    }
    assert int(table["frames"]) == 100
    assert f"gaps of {source['source_id']}" in table
    secrets = (PASSWORD, PLAIN_PASSWORD, "t0ken-of-mine")
    kept = [p for folder in (server.folder, tmp_path) for p in folder.rglob("*") if p.is_file()]
    assert any(p.suffix == ".db" for p in kept)
    texts = [
        done.stdout.encode(),
        done.stderr.encode(),
        json.dumps(run).encode(),
        *(p.read_bytes() for p in kept),
    ]
    assert not [s for s in secrets if any(s.encode() in t for t in texts)]


def test_a_stored_job_must_not_hold_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must not hold a password") as raised:
        refuse_secrets(
            make_job(
                {"inputs": [f"rtsp://{USER}:{PASSWORD}@127.0.0.1/cam"], "output": str(tmp_path)}
            )
        )
    assert PASSWORD not in str(raised.value)
    refuse_secrets(
        make_job({"inputs": ["rtsp://${USER}:${PASSWORD}@127.0.0.1/cam"], "output": str(tmp_path)})
    )


def test_sigterm_ends_a_flow_soon_and_the_next_one_goes_on(server: Server, tmp_path: Path) -> None:
    """As a worker does when a run is cancelled, or a machine is shut down."""
    path = write_job(tmp_path)
    make_video(tmp_path / "footage" / "clip0.mp4", frames=200, size=(640, 352))
    job = yaml.safe_load(path.read_text()) | {
        "model": {"source": "builtin:street"},
        "store": {"frames_per_shard": 20},
    }
    path.write_text(yaml.safe_dump(job))
    frames = tmp_path / "dataset" / "frames"
    command = [sys.executable, "flows/segment.py", str(path)]
    run = subprocess.Popen(
        command,
        env=server.env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: any(frames.glob("*.parquet")), "the first shard", lambda: run.poll() is None)
    run.terminate()
    run.communicate(timeout=HANG_S)
    assert run.returncode != 0
    done = open_dataset(tmp_path / "dataset").arrow("frames").num_rows
    assert 0 < done < 200  # it didn't go on to the end
    assert done % 20 == 0
    assert not list((tmp_path / "dataset").rglob("*.tmp"))


def test_sigterm_ends_a_flow_that_records_and_its_shard_is_committed(
    server: Server, tmp_path: Path
) -> None:
    job = {
        "inputs": [],
        "output": str(tmp_path / "dataset"),
        "model": {"source": "fake:"},
        "stream": {"shard_s": 60},
    }
    camera = Camera(fps=10)
    with http_server(camera.serve) as url:
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job | {"inputs": [f"{url}/cam"]}))
        command = [sys.executable, "flows/segment.py", str(tmp_path / "job.yaml")]
        run = subprocess.Popen(
            command,
            env=server.env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        open_parts = tmp_path / "dataset" / "masks"
        wait_until(
            lambda: any(open_parts.glob("*.tmp")), "an open shard", lambda: run.poll() is None
        )
        run.terminate()
        run.communicate(timeout=HANG_S)
    # How many frames a busy machine read by then is open; the one that opened the shard is there.
    assert open_dataset(tmp_path / "dataset").arrow("frames").num_rows > 0
    assert not list((tmp_path / "dataset").rglob("*.tmp"))
