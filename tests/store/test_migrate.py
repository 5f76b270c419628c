"""Datasets that the code of earlier schema versions made: they are refused with what to do, and
migrated without inference, nothing lost wherever it is killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segpipe.cli import main
from segpipe.core.config.job import make_job
from segpipe.core.errors import DatasetBusy, DatasetError
from segpipe.pipeline.reports import RunReport
from segpipe.pipeline.run import run_job
from segpipe.store import Manifest, Store, exclusive, open_dataset
from segpipe.store.migration import Migrated, migrate
from segpipe.store.migration import swap as swapping
from segpipe.verify import verify
from tests.footage import make_video
from tests.store.old_datasets import unpack

FRAMES = {3: 65, 4: 85}
SOURCES = {3: 5, 4: 7}
OF_STREAM = 10
RENAMED = {"track_m": "odometer_m", "start": "start_time"}


def run(out: Path, version: int, *inputs: Path) -> RunReport:
    content: dict[str, Any] = {
        "inputs": [str(i) for i in inputs] or [str(out.parent / "footage")],
        "output": str(out),
        "model": {"source": "fake:"},
        "store": {"frames_per_shard": 8},
        "read": {"isolate": False},
        "sampling": {} if version == 3 else {"stream": "all"},
    }
    return run_job(make_job(content))


def wrong(out: Path) -> list[object]:
    """What verification finds, all masks counted again, and the footage compared."""
    report = verify(str(out), sample=10_000, footage=True)
    return [f for f in report.findings if f.is_wrong or f.kind not in {"note"}]


def rows_of(out: Path, table: str) -> list[dict[str, Any]]:
    """A table's rows by time or place, under their present names and without ids."""
    found = []
    for path in (out / table).glob("*.parquet"):
        for row in pq.read_table(path, partitioning=None).to_pylist():
            row = {RENAMED.get(k, k): v for k, v in row.items()}
            row["who"] = row.get("uri", "")
            found.append({k: v for k, v in row.items() if not k.endswith("_id")})
    return found


def bytes_of(out: Path) -> dict[str, bytes]:
    """All that lies in a dataset, but its lock."""
    paths = [p for p in out.rglob("*") if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(out)): p.read_bytes() for p in paths}


@pytest.mark.parametrize("version", [3, 4])
def test_others_say_how_to_migrate(
    version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = unpack(version, tmp_path)
    before = bytes_of(out)
    said = f"{out}: schema version {version}; run segpipe migrate {out} to bring it to 5"
    with pytest.raises(DatasetError) as raised:
        run(out, version)
    assert str(raised.value) == said
    for command in (["info"], ["verify"], ["errors"], ["query", "SELECT 1"]):
        assert main([command[0], str(out), *command[1:]]) == 5
        assert said in capsys.readouterr().err
    assert bytes_of(out) == before


@pytest.mark.parametrize("version", [3, 4])
def test_a_run_over_the_footage_does_nothing_again(version: int, tmp_path: Path) -> None:
    out = unpack(version, tmp_path)
    assert migrate(out) == Migrated(version, SOURCES[version], FRAMES[version], 0, 1)
    assert not (out / ".migrating").exists()
    assert wrong(out) == []
    sources = set(open_dataset(out).arrow("sources")["source_id"].to_pylist())
    for _ in range(2):
        report = run(out, version)
        assert (report.frames, report.frames_before) == (0, FRAMES[version] - OF_STREAM)
    assert wrong(out) == []
    dataset = open_dataset(out)
    assert set(dataset.arrow("sources")["source_id"].to_pylist()) == sources
    assert dataset.arrow("frames").num_rows == FRAMES[version]
    assert migrate(out) is None
    more = make_video(tmp_path / "footage" / "new.mp4", frames=3)
    assert (run(out, version).frames, run(out, version, more).frames) == (3, 0)


@pytest.mark.parametrize("version", [3, 4])
def test_rows_are_copied_as_they_are(version: int, tmp_path: Path) -> None:
    out = unpack(version, tmp_path)
    before = {t: rows_of(out, t) for t in ("frames", "class_stats", "masks", "gaps", "sources")}
    migrate(out)
    for table, old in before.items():
        new = rows_of(out, table)
        columns = old[0].keys() & new[0].keys() - {"track", "photos", "clocks"}
        assert len(columns) > (3 if table == "masks" else 9)

        def texts(rows: list[dict[str, Any]], columns: set[str] = columns) -> list[str]:
            return sorted(repr({c: row[c] for c in sorted(columns)}) for row in rows)

        assert texts(new) == texts(old)
    fixes = [row["track"] for row in before["sources"] if row["track"]]
    there = [row["track"] for row in rows_of(out, "sources") if row["track"]]
    assert [f["odometer_m"] for f in there[0]] == [f["track_m"] for f in fixes[0]]
    bbox = (
        open_dataset(out)
        .duckdb()
        .execute(
            "SELECT count(*) FILTER (bbox.xmin = longitude AND bbox.ymax = latitude), "
            "count(latitude), count(*) FILTER (bbox IS NULL) FROM frames"
        )
    )
    assert bbox.fetchone() == (20, 20, FRAMES[version] - 20)


@pytest.mark.parametrize("version", [3, 4])
def test_what_has_gone_or_changed_keeps_its_ids(
    version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, footage = unpack(version, tmp_path), tmp_path / "footage"
    away = tmp_path / "away"
    away.mkdir()
    old = {p.stem for p in (out / "sources").glob("*.parquet")}
    for name in ("clip-a.mp4", "photos", "copies"):
        (footage / name).rename(away / name)
    make_video(footage / "clip-b.mp4", frames=5)
    if version == 4:
        (footage / "both.mp4").rename(away / "both.mp4")
    assert main(["migrate", str(out)]) == 0
    gone = SOURCES[version] - 1
    assert f"{gone} sources whose footage isn't there keep their ids" in capsys.readouterr().out
    assert wrong(out) == []
    new = set(open_dataset(out).arrow("sources")["source_id"].to_pylist())
    assert {i for i in new if not i.startswith("v1-")} == {i for i in old if "-v1-" not in i}
    assert len(new) == len(old)
    # Another content at a known path is another recording
    report = run(out, version)
    assert (report.frames, report.frames_before) == (5, 0)
    # The same file is known again by its path, size and time
    for path in away.iterdir():
        path.rename(footage / path.name)
    report = run(out, version)
    again = FRAMES[version] - OF_STREAM - 12 + 5
    assert (report.frames, report.frames_before) == (0, again)
    assert wrong(out) == []
    uris = open_dataset(out).duckdb().execute("SELECT uri FROM sources WHERE kind = 'images'")
    assert uris.fetchall() == [(str(footage / "photos"),)]


def test_a_folder_of_which_some_images_have_gone(tmp_path: Path) -> None:
    out, photos = unpack(3, tmp_path), tmp_path / "footage" / "photos"
    (photos / "0.png").unlink()
    os.utime(photos / "1.png")
    shutil.copy2(photos / "2.png", photos / "3.png")
    migrate(out)
    assert wrong(out) == []
    (source,) = (i for i in _ids(out) if i.startswith("images-"))
    report = run(out, 3, photos)
    # 1 and 3 hold what nobody has seen at that time; 3 is a copy of 2
    assert (report.frames, report.frames_before) == (1, 8)
    found = (
        open_dataset(out)
        .duckdb()
        .execute(f"SELECT count(*) FROM frames WHERE source_id = '{source}'")
    )
    assert found.fetchone() == (12,)
    assert wrong(out) == []


def _ids(out: Path) -> list[str]:
    return [p.stem for p in (out / "sources").glob("*.parquet")]


class Killed(BaseException):
    """Raised in place of a change to the disk."""


class Disk:
    """Watches the changes that this process makes below a folder. From number `after` on they
    raise; without it they are only counted."""

    def __init__(self) -> None:
        self.folder, self.changes, self.after = "", 0, 0
        self.seen: list[tuple[str, Path]] = []
        self.error: BaseException = Killed()
        sys.addaudithook(self.hook)  # stays as long as the process

    def watch(self, folder: Path | str, after: int = 0, error: BaseException | None = None) -> None:
        self.folder, self.changes, self.after, self.seen = str(folder), 0, after, []
        self.error = error or Killed()

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder or event not in {
            "os.rename",
            "os.remove",
            "os.mkdir",
            "os.rmdir",
            "open",
        }:
            return
        if event == "open" and arguments[1] in {None, "r", "rb"}:
            return
        if str(arguments[0]).startswith(self.folder):
            self.changes += 1
            self.seen.append((event, Path(arguments[0])))
            if self.after and self.changes >= self.after:
                raise self.error


DISK = Disk()


@pytest.fixture
def disk() -> Any:
    yield DISK
    DISK.watch("")


def test_wherever_it_is_killed_it_ends_the_same(tmp_path: Path, disk: Disk) -> None:
    out = unpack(4, tmp_path)
    kept = tmp_path / "kept"
    shutil.copytree(out, kept)
    disk.watch(out)
    said = migrate(out)
    seen = disk.seen
    disk.watch("")
    wanted = bytes_of(out)
    # Each table that is put into its place at the end, and some of all changes
    moved = [
        n for n, (event, path) in enumerate(seen, 1) if event == "os.rename" and not path.suffix
    ]
    written = [n for n, (_, path) in enumerate(seen, 1) if "dataset.json" in path.name]
    assert len(moved) >= 5
    for after in sorted({*range(2, len(seen), 23), *moved, *written}):
        shutil.rmtree(out)
        shutil.copytree(kept, out)
        disk.watch(out, after)
        with pytest.raises(Killed):
            migrate(out)
        disk.watch("")
        assert migrate(out) in {said, None}
        assert bytes_of(out) == wanted, after
    shutil.rmtree(out)


def test_what_is_left_of_the_old_dataset_is_told_and_taken_away(
    tmp_path: Path, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    out = unpack(3, tmp_path)
    disk.watch(out / ".migrating" / "old", 5)
    with pytest.raises(Killed):
        migrate(out)
    disk.watch("")
    assert [(f.kind, f.shard) for f in verify(str(out)).findings] == [("leftover", ".migrating")]
    assert main(["migrate", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: schema version 5 already\n"
    assert wrong(out) == []


def test_an_earlier_segpipe_went_on_in_between(tmp_path: Path, disk: Disk) -> None:
    out = unpack(3, tmp_path)
    disk.watch(out, 50)
    with pytest.raises(Killed):
        migrate(out)
    disk.watch("")
    assert list((out / ".migrating" / "new" / "frames").glob("*.parquet"))
    for table in ("frames", "class_stats", "masks"):
        next((out / table).glob("clip-a-*-00000010.parquet")).unlink()
    assert migrate(out) == Migrated(3, 5, 55, 0, 1)
    assert run(out, 3).frames == 10


def test_a_full_disk_leaves_the_old_dataset_whole(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = unpack(3, tmp_path)
    before = bytes_of(out)
    with monkeypatch.context() as patched:
        usage = shutil.disk_usage(out)._replace(free=1000)
        patched.setattr(swapping.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DatasetError, match=r"needs 0 MB; 0 MB are free"):
            migrate(out)
    disk.watch(out, 50, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(DatasetError, match=r"stopped .*No space left.*nothing is lost"):
        migrate(out)
    disk.watch("")
    after = bytes_of(out)
    assert {k: v for k, v in after.items() if not k.startswith(".migrating")} == before
    assert migrate(out) == Migrated(3, 5, 65, 0, 1)
    assert wrong(out) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    out = unpack(3, tmp_path)
    path = next((out / "masks").glob("clip-a-*"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=rf"{path.name}: can't be migrated .*move it elsewhere"):
        migrate(out)
    (out / "frames" / path.name).unlink()
    assert migrate(out) == Migrated(3, 5, 55, 0, 1)


def test_files_of_other_people_stay(tmp_path: Path) -> None:
    out = unpack(3, tmp_path)
    (out / "report.html").write_text("mine")
    (out / "frames" / "README").write_text("mine too")
    migrate(out)
    assert (out / "report.html").read_text() == "mine"
    assert (out / "frames" / "README").read_text() == "mine too"


def test_it_is_held_meanwhile(tmp_path: Path) -> None:
    out = unpack(3, tmp_path)
    with exclusive(out), pytest.raises(DatasetBusy):
        migrate(out)


@pytest.mark.parametrize("place", ["memory://datasets/drive", "folder"])
def test_what_cannot_be_migrated(place: str, tmp_path: Path) -> None:
    said = "copy it to a folder" if "://" in place else "not a dataset"
    with pytest.raises(DatasetError, match=said):
        migrate(place if "://" in place else tmp_path / place)


@pytest.mark.parametrize(("version", "said"), [(2, "another output folder"), (9, "newer segpipe")])
def test_other_versions(version: int, said: str, tmp_path: Path) -> None:
    out = unpack(3, tmp_path)
    content = json.loads((out / "dataset.json").read_text()) | {"schema_version": version}
    (out / "dataset.json").write_text(json.dumps(content))
    for attempt in (open_dataset, migrate):
        with pytest.raises(DatasetError, match=said):
            attempt(out)


def test_a_key_that_an_earlier_segpipe_did_not_write_costs_no_rows(tmp_path: Path) -> None:
    out = unpack(3, tmp_path)
    migrate(out)
    there = json.loads((out / "dataset.json").read_text())
    assert "threshold" not in there["model"]
    wanted = Manifest.model_validate({**there, "model": there["model"] | {"threshold": None}})
    dataset = open_dataset(out)
    from segpipe.core.config.job import StoreSettings

    Store(out, StoreSettings(frames_per_shard=8), dataset.classes).prepare(wanted)
    assert dataset.arrow("frames").num_rows == 65


def test_masks_are_the_same(tmp_path: Path) -> None:
    out = unpack(3, tmp_path)

    def masks() -> list[pa.Table]:
        paths = sorted((out / "masks").glob("*.parquet"), key=lambda p: p.stat().st_size)
        tables = [pq.read_table(p, partitioning=None, columns=["values", "lengths"]) for p in paths]
        return sorted((t.to_pylist() for t in tables), key=repr)

    before = masks()
    migrate(out)
    assert masks() == before
