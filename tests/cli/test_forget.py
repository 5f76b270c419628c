"""`segpipe forget`: a source goes whole, the others stay, and a kill leaves nothing half."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segpipe.core.types import FrameFailure, FrameRef, Shard
from segpipe.sources.ids import stream_frame_id
from segpipe.sources.stream.address import stream_of
from segpipe.store import exclusive, open_dataset
from segpipe.store.address_file import read_addresses
from segpipe.store.forget_mark import ForgetMark, write_mark
from tests.clock import HANG_S
from tests.conftest import ROOT
from tests.footage import make_streams
from tests.pipeline.test_identity import FRAMES, clip, photo, rows, run
from tests.s3_server import BUCKET, S3
from tests.tiny_shards import add_shards, tiny_store
from tests.torture.kills import digests

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Two clips and two photos."""
    folder = tmp_path / "card"
    for name in ("0001.mp4", "0002.mp4"):
        clip(folder / name)
    for number in range(2):
        photo(folder / "DCIM" / f"{number}.jpg", number)
    return folder


@pytest.fixture
def out(card: Path, tmp_path: Path) -> Path:
    """A dataset of them."""
    run(card, out=tmp_path / "out")
    return tmp_path / "out"


def source_at(out: Path, name: str) -> str:
    found = {r.source.source_id for r in open_dataset(out).records() if r.source.uri.endswith(name)}
    (source,) = found
    return source


@pytest.mark.parametrize("by", ["id", "address"])
@pytest.mark.parametrize(("name", "frames"), [("0001.mp4", FRAMES), ("DCIM", 2)])
def test_a_source_goes_whole(
    card: Path, out: Path, segpipe: Call, by: str, name: str, frames: int
) -> None:
    source, before = source_at(out, name), rows(out)
    code, said, _ = segpipe("forget", out, source if by == "id" else card / name)
    assert (code, said) == (0, f"forgot {source}: {frames} frames\n")
    assert rows(out) == {s: n for s, n in before.items() if s != source}
    files = [p.name for p in out.rglob("*") if source in p.name]
    assert files == []
    assert source not in {row.source_id for row in read_addresses(out)}
    assert not (out / "forget.json").exists()


def test_a_run_that_finds_the_footage_does_it_again(card: Path, out: Path, segpipe: Call) -> None:
    before = rows(out)
    segpipe("forget", out, card / "0002.mp4")
    assert run(card, out=out).frames == FRAMES
    assert rows(out) == before


def test_a_dry_run_changes_nothing(card: Path, out: Path, segpipe: Call) -> None:
    before = digests(out)
    code, said, _ = segpipe("forget", out, card / "0001.mp4", "--dry-run")
    source = source_at(out, "0001.mp4")
    assert code == 0
    assert said == (f"would forget {source}: {FRAMES} frames in 1 shard\n  {card / '0001.mp4'}\n")
    assert digests(out) == before


@pytest.mark.parametrize("wrong", ["nope", "/nowhere/0001.mp4", "rtsp://me:secret@cam/live", "~x/"])
def test_a_wrong_source_lists_what_there_is(out: Path, segpipe: Call, wrong: str) -> None:
    before = digests(out)
    code, said, error = segpipe("forget", out, wrong)
    assert (code, said) == (5, "")
    assert "secret" not in error
    assert all(source in error for source in rows(out))
    assert digests(out) == before


def test_an_image_among_others_is_no_source(card: Path, out: Path, segpipe: Call) -> None:
    code, _, error = segpipe("forget", out, card / "DCIM" / "0.jpg")
    assert code == 5
    assert "one of 2 images of the source images-" in error


def test_an_address_of_several_recordings_names_them(card: Path, out: Path, segpipe: Call) -> None:
    first = source_at(out, "0001.mp4")
    (card / "0001.mp4").unlink()
    clip(card / "0001.mp4", FRAMES + 3)
    run(card, out=out)
    code, _, error = segpipe("forget", out, card / "0001.mp4")
    assert code == 5
    both = {r.source.source_id for r in open_dataset(out).records() if r.frames >= FRAMES}
    assert "2 sources were seen there" in error
    assert first in error
    assert segpipe("forget", out, first)[0] == 0
    assert segpipe("forget", out, card / "0001.mp4")[0] == 0
    assert len(both) == 3
    assert len(rows(out)) == 2


def test_of_the_streams_of_a_file_only_the_named_one_goes(tmp_path: Path, segpipe: Call) -> None:
    file, out = make_streams(tmp_path / "two.mp4"), tmp_path / "out"
    run(file, out=out, sampling={"stream": "all"})
    second, first = sorted(rows(out), key=lambda s: not s.startswith("v"))
    code, _, error = segpipe("forget", out, file)
    assert code == 5
    assert "2 sources" in error
    assert segpipe("forget", out, second)[0] == 0
    assert set(rows(out)) == {first}
    assert [row.source_id for row in read_addresses(out)] == [first]
    assert segpipe("forget", out, file)[0] == 0
    assert rows(out) == {}
    assert read_addresses(out) == []


@pytest.mark.parametrize("by", ["id", "address"])
def test_a_live_stream_goes_with_its_gaps(tmp_path: Path, segpipe: Call, by: str) -> None:
    out, address = tmp_path / "out", "rtsp://me:secret@cam/live"
    store, found = tiny_store(out), stream_of(address)
    add_shards(store, [1])
    source = found.info
    shard = Shard(f"{source.source_id}-0000000000000001", source, 1, ())
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    with store.writer(shard) as writer:
        ref = FrameRef(stream_frame_id(source.source_id, 1), source.source_id, source.uri)
        writer.add(FrameFailure(ref, "made so"))
        gap = {"source_id": source.source_id, "kind": "offline", "start_time": moment}
        gap |= {"stop": moment, "duration_s": 0.0, "attempts": 1, "reason": "made so"}
        writer.gaps.append(gap)
        writer.begin_us, writer.end_us = 1, 2
    assert open_dataset(out).arrow("gaps").num_rows == 1
    code, _, error = segpipe("relocate", out, address, "rtsp://me:secret@other/live")
    assert code == 5
    assert f"segpipe forget takes out {source.source_id}" in error
    code, said, _ = segpipe("forget", out, source.source_id if by == "id" else address)
    assert (code, said) == (0, f"forgot {source.source_id}: 1 frame\n")
    assert [p.name for p in out.rglob(f"{source.source_id}*")] == []
    assert open_dataset(out).arrow("frames").num_rows == 1


def test_not_while_a_run_is_writing(card: Path, out: Path, segpipe: Call) -> None:
    command = [sys.executable, "-m", "segpipe", "forget", str(out), str(card / "0001.mp4")]
    with exclusive(out):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 5
    assert len(rows(out)) == 3


@pytest.mark.parametrize("content", ["", "{", '{"source_id": "../x", "shards": [], "frames": 0}'])
def test_a_mark_that_isnt_ours_is_told(out: Path, segpipe: Call, content: str) -> None:
    (out / "forget.json").write_text(content)
    for command in ("info", "verify"):
        code, _, error = segpipe(command, out)
        assert code == 5
        assert "forget.json: not what segpipe forget writes" in error


def test_a_mark_leads_nowhere(out: Path, segpipe: Call, tmp_path: Path) -> None:
    """A dataset from a stranger must not have files outside of it removed."""
    treasure = tmp_path / "treasure.parquet"
    treasure.write_text("mine")
    write_mark(out, ForgetMark("x", ("../../treasure",), 0, ""))
    assert segpipe("forget", out, "x")[0] == 5
    assert treasure.exists()


def test_verify_tells_of_one_that_was_killed(card: Path, out: Path, segpipe: Call) -> None:
    source = source_at(out, "0001.mp4")
    names = tuple(r.name for r in open_dataset(out).records() if r.source.source_id == source)
    write_mark(out, ForgetMark(source, names, FRAMES, source))
    code, said, _ = segpipe("verify", out)
    assert code == 8
    assert "a forget that was killed" in said
    assert source not in said
    assert f"  {source}  video" not in segpipe("info", out)[1]
    code, said, _ = segpipe("forget", out, source)
    assert (code, said) == (0, f"forgot {source}: {FRAMES} frames\n")
    assert len(rows(out)) == 2


def test_killed_at_any_step_it_is_whole_or_gone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.killed_forget", str(tmp_path), "8"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert set(found["states"]) == {"whole", "gone"}


def test_on_an_object_store(card: Path, tmp_path: Path, s3: S3, segpipe: Call) -> None:
    url = f"s3://{BUCKET}/set"
    settings = ("--set", "model.source=fake:", "--set", "read.isolate=false", "-q")
    assert segpipe("run", card, "-o", url, *settings)[0] == 0
    (source,) = (
        r.source.source_id for r in open_dataset(url).records() if r.source.uri.endswith("0001.mp4")
    )
    assert segpipe("forget", url, card / "0001.mp4")[:2] == (
        0,
        f"forgot {source}: {FRAMES} frames\n",
    )
    assert [key for key in s3.objects() if source in key or "forget" in key] == []
    assert segpipe("verify", url)[0] == 0
    assert open_dataset(url).arrow("frames").num_rows == FRAMES + 2
