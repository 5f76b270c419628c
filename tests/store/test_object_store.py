"""Datasets on an object store: the same rows as in a folder, whatever happens in between. A real S3
server, in its own process."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import s3fs
from PIL import Image

import segpipe as package
from segpipe.pipeline import run as job_runner
from segpipe.store import lock
from segpipe.store.lock_object import Timing
from segpipe.store.owner import Owner
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.s3_server import BUCKET, KEY, S3, SECRET, free_port

Call = Callable[..., tuple[int, str, str]]
FAKE = (
    "--set",
    "model.source=fake:",
    "--set",
    "store.frames_per_shard=20",
    "--set",
    "read.isolate=false",
    "-q",
)
KILLED = """
import os, signal, sys
from segpipe.store import shard_writer
table, real = sys.argv.pop(1), shard_writer.publish
def publish(path):
    if path.parent.name == table:
        os.kill(os.getpid(), signal.SIGKILL)
    real(path)
shard_writer.publish = publish
from segpipe.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "TIMING", Timing(beat_s=0.2, dead_after_s=1.5, settle_s=0.2))


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """A video of three shards, images of one, and a file that can't be read."""
    folder = tmp_path / "footage"
    (folder / "stills").mkdir(parents=True)
    make_video(folder / "clip.mp4", frames=45)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(picture(ord(name[0]) - 80)).save(folder / "stills" / name)
    (folder / "stills" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def rows(place: str | Path) -> dict[str, list[str]]:
    """All rows of all tables, sorted."""
    dataset = package.open_dataset(place)
    tables = ("frames", "class_stats", "masks", "gaps", "sources")
    return {
        t: sorted(json.dumps(r, default=str) for r in dataset.arrow(t).to_pylist()) for t in tables
    }


def test_the_same_rows_as_in_a_folder(s3: S3, footage: Path, tmp_path: Path, segpipe: Call) -> None:
    url, local = f"s3://{BUCKET}/deep/set [1]", tmp_path / "local"

    def both(*flags: object, code: int = 6) -> list[str]:
        said = [segpipe("run", footage, "-o", out, *FAKE, *flags) for out in (url, local)]
        assert [s[0] for s in said] == [code, code], said
        assert rows(url) == rows(local)
        return [s[1] for s in said]

    both()
    assert {k.split("/")[2] for k in s3.objects()} == {
        "dataset.json",
        "addresses",
        "frames",
        "class_stats",
        "index",
        "masks",
        "sources",
    }
    assert all("nothing new" in said for said in both(code=0))
    Image.fromarray(picture(60)).save(footage / "stills" / "d.png")
    assert all("1 frame in" in said for said in both(code=0))  # more footage
    make_video(footage / "clip.mp4", frames=25)
    Image.fromarray(picture(70)).save(footage / "stills" / "b.png")
    # Changed footage: the video, and one image out of a shard
    assert all("26 frames" in said for said in both(code=0))
    # Another clock
    assert all("were updated" in said for said in both("--set", "time.offset_s=3600", code=0))
    s3.put(
        "deep/set 1/frames/x.parquet",
        "a neighbour's, whose name the brackets would match as a pattern",
    )
    both("--set", "sampling.every_n=2", "--replace")
    assert s3.objects("deep/set 1/")


def test_a_query_of_a_bucket_only_reads(
    s3: S3, footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    url = f"s3://{BUCKET}/read-only"
    segpipe("run", footage / "clip.mp4", "-o", url, *FAKE)
    before = set(s3.objects("read-only/"))
    for sql, code, said in (
        (f"COPY frames TO '{url}/frames/evil.parquet'", 2, "only reads"),
        (f"WITH x AS (COPY frames TO '{tmp_path}/evil.csv') SELECT * FROM x", 2, "only reads"),
        ("SELECT * FROM read_csv('/etc/passwd')", 5, "file system operations are disabled"),
        (f"SELECT * FROM read_parquet('{url}/frames/*.parquet')", 5, "the query failed"),
    ):
        found, printed, errors = segpipe("query", url, sql)
        assert (found, printed) == (code, "")
        assert said in errors
    assert set(s3.objects("read-only/")) == before
    assert not (tmp_path / "evil.csv").exists()
    kind = segpipe(
        "query", url, "SELECT any_value(typeof(geometry)) AS t FROM frames", "--format", "csv"
    )[1]
    assert kind == "t\nGEOMETRY('OGC:CRS84')\n"


def test_readers(s3: S3, footage: Path, tmp_path: Path, segpipe: Call) -> None:
    url = f"s3://{BUCKET}/set"
    assert segpipe("run", footage, "-o", url, *FAKE)[0] == 6
    code, out, _ = segpipe(
        "query",
        url,
        "SELECT count(*) AS n FROM frames JOIN masks USING (frame_id)",
        "--format",
        "csv",
    )
    assert (code, out) == (0, "n\n48\n")
    code, out, _ = segpipe("info", url)
    assert code == 0
    assert f"dataset:  {url}" in out
    assert "49 attempted, 1 failed" in out
    source = next(
        r.source.source_id for r in package.open_dataset(url).records() if r.source.kind == "video"
    )
    code, out, _ = segpipe("overlay", url, "--source", source, "-o", tmp_path / "o.mp4")
    assert code == 0
    assert f"45 frames of {source}" in out
    code, out, _ = segpipe(
        "events", url, "--where", "pixel_fraction > 0.01 and region = 'frame'", "--format", "json"
    )
    assert code == 0
    assert source in {e["source_id"] for e in json.loads(out)}
    dataset = package.open_dataset(url)
    assert dataset.mask(f"{source}:00000042").shape == (96, 160)
    assert dataset.polars("frames").collect().height == 49


def test_killed_between_the_puts_of_a_shard(
    s3: S3, footage: Path, tmp_path: Path, segpipe: Call, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"s3://{BUCKET}/set"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "frames", "run", footage, "-o", url, *FAKE],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert {k.split("/")[1] for k in s3.objects("set/") if k.endswith(".parquet")} == {
        "addresses",
        "sources",
        "masks",
        "class_stats",
    }
    assert "set/.lock.json" in s3.objects()
    with caplog.at_level(logging.INFO):
        assert segpipe("run", footage, "-o", url, *FAKE)[0] == 6
    assert "the lock of a dead run was taken over (pid " in caplog.text
    assert "set/.lock.json" not in s3.objects()
    segpipe("run", footage, "-o", tmp_path / "local", *FAKE)
    assert rows(url) == rows(tmp_path / "local")


def test_lost_in_the_middle(
    s3: S3, footage: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run took this one for dead: it ends before its next commit, and leaves the other's
    lock alone."""
    real, other = job_runner.run_shard, Owner.here()

    def run_shard(*arguments: object, **more: object) -> object:
        report = real(*arguments, **more)
        s3.put("set/.lock.json", other.text())
        return report

    monkeypatch.setattr(job_runner, "run_shard", run_shard)
    code, _, errors = segpipe("run", footage / "clip.mp4", "-o", f"s3://{BUCKET}/set", *FAKE)
    assert code == 5
    assert f"another run has taken this dataset over (pid {os.getpid()} on host" in errors
    assert errors.count("\n") == 1
    assert len(s3.objects("set/frames/")) == 1
    assert s3.objects("set/.lock.json")["set/.lock.json"].decode() == other.text()


def test_what_cannot_be_reached(
    s3: S3, footage: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(url: str, said: str, *commands: tuple[object, ...]) -> None:
        for command in commands or (("run", footage, "-o", url, *FAKE), ("query", url, "SELECT 1")):
            s3fs.S3FileSystem.clear_instance_cache()
            code, _, errors = segpipe(*command)
            assert (code, said in errors, errors.count("\n")) == (5, True, 1), errors
            assert SECRET not in errors

    refused("s3://no-such-bucket/set", "there is no bucket 'no-such-bucket'")
    refused(
        f"s3://{BUCKET}/nothing", "not a dataset", ("query", f"s3://{BUCKET}/nothing", "SELECT 1")
    )
    s3.check_keys(True)
    try:
        refused(f"s3://{BUCKET}/set", "the store refused")
    finally:
        s3.check_keys(False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    refused(
        f"s3://{BUCKET}/set",
        "the store can't be reached",
        ("run", footage, "-o", f"s3://{BUCKET}/set", *FAKE),
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    refused(f"s3://{BUCKET}/set", "no credentials were found")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "no bucket"),
        ("s3://KEY:sec/ret@bucket/x", "%2F for /"),
        ("s3://KEY@bucket/x", "KEY:SECRET@ before the bucket"),
        ("s3://KEY:${NOT_SET_ANYWHERE}@bucket/x", "no variable NOT_SET_ANYWHERE"),
        ("s3://bucket/x?X-Amz-Signature=ret", "no query"),
        ("ftp://user:ret@host/x", "for s3:// only"),
        ("nonsense://bucket/x", "can't hold a dataset"),
    ],
)
def test_urls_that_are_none(url: str, said: str, footage: Path, segpipe: Call) -> None:
    code, _, errors = segpipe("run", footage, "-o", url, *FAKE)
    assert code == 2
    assert said in errors
    assert "ret@" not in errors
    assert "=ret" not in errors


def test_without_the_extra(footage: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    code, _, errors = segpipe("run", footage, "-o", "s3://bucket/x", *FAKE)
    assert code == 2
    assert f"pip install -e '{ROOT}[s3]'" in errors


def test_no_secret_anywhere(
    s3: S3,
    footage: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither in what is printed, debug messages included, nor in what is stored."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("STORE_SECRET", SECRET)
    url = f"s3://{KEY}:${{STORE_SECRET}}@{BUCKET}/set"
    written_out = f"s3://{KEY}:{SECRET.replace('/', '%2F')}@{BUCKET}/set"
    with caplog.at_level(logging.DEBUG):
        code, out, errors = segpipe("run", footage, "-o", written_out, *FAKE)
    assert code == 6
    assert {r.levelname for r in caplog.records} >= {"DEBUG"}
    said = caplog.text + out + errors
    said += "".join(segpipe("run", footage, "-o", url, *FAKE, "--set", "sampling.every_n=2")[1:])
    command = [sys.executable, "-m", "segpipe", "--debug", "query", written_out, "?"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said += done.stdout + done.stderr
    assert f"dataset: s3://{BUCKET}/set" in said
    assert "Traceback" in said
    stored = b"".join(k.encode() + v for k, v in s3.objects().items()).decode("latin-1") + str(
        rows(url)
    )
    for secret in (SECRET, SECRET.replace("/", "%2F"), SECRET.partition("/")[2], KEY):
        assert secret not in said
        assert secret not in stored
    root = package.open_dataset(url).root
    assert SECRET not in f"{root} {root!r}"


def test_a_file_that_vanishes_while_it_is_read(
    s3: S3, footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    from segpipe.core.errors import DatasetError
    from segpipe.store.records import read_record

    for place in (f"s3://{BUCKET}/set", tmp_path / "local"):
        segpipe("run", footage / "stills", "-o", place, *FAKE)
        dataset = package.open_dataset(place)
        listed = dataset.files("frames")
        assert np.all([read_record(f).frames == 4 for f in listed])
        listed[0].unlink()
        with pytest.raises(DatasetError, match="a run is changing this dataset"):
            read_record(listed[0])
