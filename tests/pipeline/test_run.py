"""From footage to dataset and back, as a user does it: the command line on real files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import segpipe as package
from segpipe.core.errors import DatasetError
from segpipe.inference.models.fake import DEFAULT_CLASSES
from segpipe.runtime.files import paths as places
from segpipe.sources.identity import identify
from segpipe.sources.video.names import video_info
from segpipe.store.schema import TABLES
from tests.footage import make_video, picture

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
FOLLOW = ("--set", "follow_links=true")
"""For links that stand for a drive that isn't mounted."""


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """A folder with a video, three images of two sizes, and a bad file of each kind."""
    folder = tmp_path / "footage"
    (folder / "stills").mkdir(parents=True)
    make_video(folder / "clip.mp4")
    for name, size in (("a.JPG", (160, 96)), ("b.png", (160, 96)), ("c.png", (96, 160))):
        Image.fromarray(picture(5, *size)).save(folder / "stills" / name)
    (folder / "broken.mp4").write_text("these are words\n" * 100)
    (folder / "stills" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def snapshot(out: Path) -> dict[str, list[dict]]:  # type: ignore[type-arg]
    """All rows of all tables, sorted: two datasets are the same when these are."""
    tables = {}
    for table in TABLES:
        rows = [
            r
            for f in sorted((out / table).glob("*.parquet"))
            for r in pq.read_table(f, partitioning=None).to_pylist()
        ]
        tables[table] = sorted(rows, key=lambda r: json.dumps(r, default=str))
    return tables


def test_good_and_bad_files_together(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 6
    assert "45 frames" in text
    assert "2 failed" in text
    frames = pd.read_parquet(out / "frames")
    assert frames["frame_id"].is_unique
    assert (frames["status"] == "ok").sum() == 43
    bad = frames[frames["status"] == "error"]
    assert {Path(u).name for u in bad["uri"]} == {"broken.mp4", "broken.png"}
    assert bad["error"].str.contains("can't be read").all()
    assert bad["width"].isna().all()


def test_the_tables_are_as_promised_in_three_readers(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    for table, schema in TABLES.items():
        pattern = f"{out}/{table}/**/*.parquet"
        for file in (out / table).glob("*.parquet"):
            assert pq.read_schema(file).equals(schema)
            # A shard of one unreadable file has no masks, and so no row groups there.
            metadata = pq.read_metadata(file)
            assert all(
                metadata.row_group(i).column(0).compression == "ZSTD"
                for i in range(metadata.num_row_groups)
            )
        rows = duckdb.sql(f"SELECT count(*) FROM read_parquet('{pattern}')").fetchall()[0][0]
        assert (
            rows
            == len(pd.read_parquet(out / table))
            == pl.scan_parquet(pattern).collect().height
            > 0
        )
    stats = pd.read_parquet(out / "class_stats")
    sums = (
        stats[stats["region"] == "frame"]
        .groupby("frame_id")
        .agg({"pixel_fraction": "sum", "pixel_count": "sum"})
    )
    assert np.allclose(sums["pixel_fraction"], 1.0)
    dataset = package.open_dataset(out)
    frames = dataset.polars("frames").filter(pl.col("status") == "ok").collect()
    assert dataset.arrow("masks", ["frame_id"]).num_rows == frames.height
    for row in frames.iter_rows(named=True):
        mask = dataset.mask(row["frame_id"])
        assert mask.shape == (row["height"], row["width"])
        counts = np.bincount(mask.reshape(-1), minlength=5)
        mine = stats[
            (stats["frame_id"] == row["frame_id"]) & (stats["region"] == "frame")
        ].set_index("class_id")
        assert mine["pixel_count"].to_dict() == {k: c for k, c in enumerate(counts) if c}
        for k, s in mine.iterrows():
            assert s["class_name"] == DEFAULT_CLASSES[k].name
            ys, xs = np.nonzero(mask == k)
            assert (s["x_min"], s["y_max"]) == (xs.min(), ys.max())
            assert s["centroid_y"] == pytest.approx(ys.mean())
    with pytest.raises(DatasetError, match="has no mask"):
        dataset.mask("nobody:1")


def test_the_same_rows_whatever_the_batch_the_lanes_and_the_shards(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    settings = [
        ("worker.batch_size=1", "worker.lanes=1", "store.frames_per_shard=512"),
        ("worker.batch_size=7", "worker.lanes=3", "store.frames_per_shard=512"),
        ("worker.batch_size=4", "worker.lanes=2", "store.frames_per_shard=10"),
    ]
    found = []
    for i, sets in enumerate(settings):
        flags = [f for s in sets for f in ("--set", s)]
        segpipe("run", footage, "-o", tmp_path / str(i), *FAKE, *flags)
        found.append(snapshot(tmp_path / str(i)))
    assert found[0] == found[1] == found[2]


def test_again_does_nothing_and_more_footage_only_the_new(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segpipe.inference.models.fake import FakeSegmenter

    calls = []
    original = FakeSegmenter.logits
    monkeypatch.setattr(
        FakeSegmenter,
        "logits",
        lambda self, pixels: calls.append(len(pixels)) or original(self, pixels),
    )
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    assert sum(calls) == 43
    before = snapshot(out)
    calls.clear()
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 0
    assert "nothing new: 45 frames in the dataset already; no inference was run" in text
    assert calls == []
    assert snapshot(out) == before
    make_video(footage / "clip2.mp4", frames=12)
    Image.fromarray(picture(9)).save(footage / "stills" / "aa.png")
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert (code, sum(calls)) == (0, 13)
    assert "13 frames" in text
    assert "45 done before" in text
    fresh = tmp_path / "fresh"
    segpipe("run", footage, "-o", fresh, *FAKE)
    assert snapshot(fresh) == snapshot(out)


def test_a_mended_file_takes_the_place_of_the_failed_one(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    make_video(footage / "broken.mp4", frames=8)
    Image.fromarray(picture(60)).save(footage / "stills" / "broken.png")
    code, _, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 0
    fresh = tmp_path / "fresh"
    segpipe("run", footage, "-o", fresh, *FAKE)
    assert snapshot(fresh) == snapshot(out)


def test_another_recording_under_a_files_name_is_new_and_the_old_one_keeps_its_rows(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    before = snapshot(out)
    make_video(footage / "clip.mp4", frames=8)
    Image.fromarray(picture(60)).save(footage / "stills" / "b.png")
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert (code, text.startswith("9 frames ")) == (0, True), text
    fresh = tmp_path / "fresh"
    segpipe("run", footage, "-o", fresh, *FAKE)
    for table, now in snapshot(fresh).items():
        both = {repr(r) for r in now} | {repr(r) for r in before[table]}
        found = [repr(r) for r in snapshot(out)[table]]
        assert sorted(found) == sorted(both)
    assert "nothing new" in segpipe("run", footage, "-o", out, *FAKE)[1]


def test_a_run_killed_between_the_files_of_a_shard_goes_on(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    segpipe("run", footage, "-o", whole, *FAKE, "--set", "store.frames_per_shard=10")
    names = sorted(p.name for p in (whole / "frames").iterdir())
    shutil.copytree(whole, out)
    (out / "frames" / names[1]).unlink()  # masks and statistics were there, frames not yet
    (out / "frames" / names[2]).unlink()
    (out / "class_stats" / names[2]).unlink()
    (out / "masks" / (names[3] + ".tmp")).write_bytes(b"half")
    make_video(footage / "new.mp4", frames=5)
    segpipe("run", footage, "-o", out, *FAKE, "--set", "store.frames_per_shard=10")
    segpipe("run", footage, "-o", whole, *FAKE, "--set", "store.frames_per_shard=10")
    assert snapshot(out) == snapshot(whole)
    assert not list(out.rglob("*.tmp"))


def test_a_failing_shard_leaves_nothing_half_and_the_others_are_done(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segpipe.inference.models.fake import FakeSegmenter

    original = FakeSegmenter.logits

    def fail_on_portrait(self, pixels):  # type: ignore[no-untyped-def]
        if pixels.shape[1] > pixels.shape[2]:
            raise RuntimeError("out of something")
        return original(self, pixels)

    monkeypatch.setattr(FakeSegmenter, "logits", fail_on_portrait)
    out = tmp_path / "out"
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 1
    assert "out of something" in text
    clip = video_info(footage / "clip.mp4").source_id
    assert {r["source_id"] for r in snapshot(out)["masks"]} == {clip}
    assert not list(out.rglob("*.tmp"))
    monkeypatch.undo()
    code, _, _ = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 6
    assert len(snapshot(out)["masks"]) == 43


def test_retry_failed(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    before = snapshot(out)
    code, text, _ = segpipe("run", footage, "-o", out, *FAKE, "--retry-failed")
    assert code == 1  # all that was tried failed again
    # The broken video's row and the broken still; the good stills of its shard stay
    assert "2 frames" in text
    assert snapshot(out) == before
    Image.fromarray(picture(7)).save(footage / "stills" / "broken.png")
    assert segpipe("run", footage / "stills" / "broken.png", "-o", out, *FAKE)[0] == 0
    assert len(snapshot(out)["masks"]) == 44
    assert (
        "failed before: 1 of 45 frames; --retry-failed"
        in segpipe("run", footage, "-o", out, *FAKE)[1]
    )


def test_rows_that_a_run_does_not_name_stay(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    """One image of a shard makes way for another one, a second has gone from the disk, and only
    the new one is named."""
    out = tmp_path / "out"
    segpipe("run", footage / "stills", "-o", out, *FAKE)
    before = {r["frame_id"]: r for r in snapshot(out)["frames"]}
    (footage / "stills" / "c.png").unlink()
    Image.fromarray(picture(80)).save(footage / "stills" / "b.png")
    code, text, _ = segpipe("run", footage / "stills" / "b.png", "-o", out, *FAKE)
    assert code == 0
    assert "1 frame in" in text
    after = {r["frame_id"]: r for r in snapshot(out)["frames"]}
    assert {k: after[k] for k in before} == before
    (new,) = after.keys() - before.keys()
    assert new.partition(":")[2] == identify(footage / "stills" / "b.png").key
    masks = {r["frame_id"] for r in snapshot(out)["masks"]}
    assert masks == {k for k, r in after.items() if r["status"] == "ok"}
    assert len(masks) == 4
    assert "nothing new" in segpipe("run", footage / "stills", "-o", out, *FAKE)[1]


def test_a_drive_that_is_away_costs_nothing(
    footage: Path,
    tmp_path: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from segpipe.sources.video import packets

    out = tmp_path / "out"
    # So that the patch below reaches it.
    flags = (
        *FAKE,
        "--set",
        "store.frames_per_shard=10",
        "--set",
        "read.isolate=false",
    )
    segpipe("run", footage / "clip.mp4", "-o", out, *flags)
    before = snapshot(out)
    # So that the plan needs the file again.
    (next(p for p in sorted((out / "frames").iterdir()))).unlink()

    def away(path: Path) -> None:
        raise OSError(5, "Input/output error")

    packets._index.cache_clear()
    monkeypatch.setattr(packets, "open_container", away)
    assert segpipe("run", footage / "clip.mp4", "-o", out, *flags)[0] == 0
    assert "can't be opened now" in caplog.text
    assert len(snapshot(out)["frames"]) == 30
    monkeypatch.undo()
    segpipe("run", footage / "clip.mp4", "-o", out, *flags)
    assert snapshot(out) == before


def test_a_video_that_is_done_is_not_read_again(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segpipe.sources.video import packets

    out = tmp_path / "out"
    segpipe("run", footage / "clip.mp4", "-o", out, *FAKE)
    packets._index.cache_clear()
    monkeypatch.setattr(packets, "open_container", lambda path: pytest.fail("opened again"))
    assert "nothing new" in segpipe("run", footage / "clip.mp4", "-o", out, *FAKE)[1]


def test_a_replacement_that_is_killed_does_not_mix_models(
    footage: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage / "clip.mp4", "-o", out, *FAKE)
    monkeypatch.setattr(places, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
    flags = (*FAKE, "--set", "store.frames_per_shard=9")
    assert segpipe("run", footage / "clip.mp4", "-o", out, *flags, "--replace")[0] == 130
    monkeypatch.undo()
    code, _, errors = segpipe("run", footage / "clip.mp4", "-o", out, *flags)
    assert code == 5
    assert "512 there, 9 wanted" in errors


def test_a_folder_that_only_looks_like_a_dataset_is_left_alone(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    mine = tmp_path / "out" / "masks" / "mine.parquet"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert segpipe("run", footage, "-o", tmp_path / "out", *FAKE)[0] == 5
    assert mine.read_text() == "mine"


def test_hostile_files_do_not_stop_the_others(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(5)).save(footage / "stills" / "exif.jpg", exif=exif)
    data = bytearray((footage / "stills" / "exif.jpg").read_bytes())
    at = data.index(b"Exif")
    data[at + 14 : at + 24] = b"\xff" * 10
    (footage / "stills" / "exif.jpg").write_bytes(data)
    unknown = make_video(footage / "unknown.mp4")
    unknown.write_bytes(unknown.read_bytes().replace(b"avc1", b"zzzz"))
    (footage / "link.mp4").symlink_to(footage / "gone.mp4")
    out = tmp_path / "out"
    code, text, errors = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 6, text + errors
    assert len(snapshot(out)["masks"]) >= 43
    bad = {Path(r["uri"]).name for r in snapshot(out)["frames"] if r["status"] == "error"}
    assert {"unknown.mp4", "gone.mp4", "broken.mp4", "broken.png"} <= bad


def test_a_failing_lane_stops_the_reader_at_once(footage: Path, tmp_path: Path) -> None:
    import threading

    from segpipe.core.config.job import make_job
    from segpipe.inference.models.fake import FakeSegmenter
    from segpipe.inference.worker import SegmentationWorker
    from segpipe.pipeline.settings import FrameSettings
    from segpipe.pipeline.shard import run_shard
    from segpipe.sources import plan
    from segpipe.store import Store, make_manifest

    class Broken(FakeSegmenter):
        def logits(self, pixels):  # type: ignore[no-untyped-def]
            raise RuntimeError("broken")

    job = make_job({"inputs": [str(footage / "clip.mp4")], "output": str(tmp_path / "out")})
    worker = SegmentationWorker(Broken())
    store = Store(tmp_path / "out", job.store, worker.segmenter.spec.classes)
    store.prepare(make_manifest(job, worker.segmenter.spec, "float32"))
    before = set(threading.enumerate())  # other tests may have left some
    with pytest.raises(RuntimeError, match="broken") as held:
        run_shard(plan(job)[0], FrameSettings.of(job), worker, store)
    assert held.value is not None  # as an orchestrator holds it
    new = set(threading.enumerate()) - before
    assert not [t for t in new if t.name.startswith("segpipe-")]


def test_another_model_is_refused_with_the_difference_and_replace_takes_it(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage / "stills", "-o", out, *FAKE)
    before = snapshot(out)
    for sets, said in (
        ("model.source=builtin:street", "model.source: fake: there, builtin:street wanted"),
        ("sampling.every_n=3", "sampling.every_n: None there, 3 wanted"),
        ("store.frames_per_shard=9", "frames_per_shard: 512 there, 9 wanted"),
    ):
        code, _, errors = segpipe("run", footage / "stills", "-o", out, *FAKE, "--set", sets)
        assert code == 5
        assert said in errors
        assert errors.count("\n") == 1
    assert snapshot(out) == before
    code, _, _ = segpipe(
        "run",
        footage / "stills",
        "-o",
        out,
        *FAKE,
        "--set",
        "store.frames_per_shard=2",
        "--replace",
    )
    assert code == 6
    assert json.loads((out / "dataset.json").read_text())["frames_per_shard"] == 2
    assert snapshot(out) == before


def test_two_runs_at_once_do_not_meet(footage: Path, tmp_path: Path, segpipe: Call) -> None:
    from segpipe.store import exclusive

    out = tmp_path / "out"
    segpipe("run", footage, "-o", out, *FAKE)
    with exclusive(out):
        code, _, errors = segpipe("run", footage, "-o", out, *FAKE)
    assert code == 5
    assert "another run is writing" in errors


def test_frames_of_several_shapes_in_one_folder(
    footage: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    segpipe("run", footage / "stills", "-o", out, *FAKE)
    sizes = {(r["height"], r["width"]) for r in snapshot(out)["masks"]}
    assert sizes == {(96, 160), (160, 96)}


@pytest.mark.parametrize(
    "name", ["it's [odd] {x}*?.mp4", "zwei Wörter ✓.mp4", 'quo"te\nnewline.mp4']
)
def test_odd_names(name: str, tmp_path: Path, segpipe: Call) -> None:
    folder = tmp_path / "o'dd [x]"
    folder.mkdir()
    make_video(folder / name, frames=4)
    out = folder / "out *?"
    assert segpipe("run", folder / name, "-o", out, *FAKE)[0] == 0
    code, text, _ = segpipe(
        "query",
        out,
        "SELECT uri, count(*) AS n FROM frames JOIN masks USING (frame_id) GROUP BY 1",
        "--format",
        "json",
    )
    assert code == 0
    assert json.loads(text) == [{"uri": str(folder / name), "n": 4}]


def test_names_that_are_no_utf8(tmp_path: Path, segpipe: Call) -> None:
    name = os.fsencode(str(tmp_path)) + b"/caf\xe9"
    os.mkdir(name)
    Image.fromarray(picture(1)).save(os.fsdecode(name) + "/\udce9.png")
    out = tmp_path / "out"
    assert segpipe("run", tmp_path, "-o", out, *FAKE)[0] == 0
    assert "\\xe9.png" in snapshot(out)["frames"][0]["uri"]
    assert "nothing new" in segpipe("run", tmp_path, "-o", out, *FAKE)[1]
