"""The index of shards: the same records as the footers give, whatever happens to either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.errors import DatasetError
from segpipe.runtime import stopping
from segpipe.runtime.files.paths import list_dir
from segpipe.store import Store, index, open_dataset
from segpipe.store.records import ShardRecord, read_record
from segpipe.verify import verify
from segpipe.verify.findings import FOREIGN, LEFTOVER
from tests.conftest import ROOT
from tests.footage import picture
from tests.s3_server import BUCKET, S3
from tests.tiny_shards import add_shards, age, tiny_store

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "--set", "read.isolate=false", "-q")
KILLED = """
import os, signal, sys
from segpipe.runtime.files import atomic
real = atomic.publish
def publish(path):
    if path.name == "shards.parquet":
        os.kill(os.getpid(), signal.SIGKILL)
    real(path)
atomic.publish = publish
from segpipe.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards whose footers are read."""
    names: list[str] = []
    real = index.footer_text

    def footer_text(path: Path) -> str:
        names.append(path.stem)
        return real(path)

    monkeypatch.setattr(index, "footer_text", footer_text)
    return names


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A dataset of five shards, written an hour ago, and its index."""
    made = tiny_store(tmp_path / "out")
    add_shards(made, range(5))
    age(tmp_path / "out")
    made.records()
    return made


def of_footers(store: Store) -> list[ShardRecord]:
    return [read_record(path) for path in list_dir(store.root / "frames", ".parquet")]


def file_of(store: Store) -> Path:
    return store.root / "index" / "shards.parquet"


def test_only_what_is_new_or_has_changed_is_read(store: Store, read: list[str]) -> None:
    assert store.records() == of_footers(store)
    assert not read
    added = add_shards(store, [7, 8])
    changed = add_shards(store, [3], size_bytes=2)
    store.discard(store.records()[0].name)
    read.clear()
    assert store.records() == of_footers(store)
    assert sorted(read) == sorted(added + changed)
    assert len(store.records()) == 6
    age(store.root)
    store.update_index()
    read.clear()
    assert store.records() == open_dataset(store.root).records() == of_footers(store)
    assert not read


def test_a_shard_that_was_written_just_now_is_read_again(store: Store, read: list[str]) -> None:
    """The same name, size, time and inode: so it is where the clock of the file system is
    coarse."""
    path = store.root / "frames" / f"{add_shards(store, [9], size_bytes=1)[0]}.parquet"
    before = path.stat()
    store.update_index()
    other = tiny_store(store.root.parent / "other")
    add_shards(other, [9], size_bytes=2)
    path.write_bytes((other.root / "frames" / path.name).read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    assert store.records() == of_footers(store)
    assert store.records()[-1].files[0].size_bytes == 2


def test_a_shard_that_is_renamed_into_place_with_its_old_time_is_read(
    store: Store, read: list[str]
) -> None:
    path = store.root / "frames" / f"{store.records()[2].name}.parquet"
    before = path.stat()
    add_shards(store, [2], size_bytes=2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert store.records() == of_footers(store)
    assert read == [path.stem]


def test_a_shard_that_is_deleted_and_put_back(store: Store, tmp_path: Path) -> None:
    path = store.root / "frames" / f"{store.records()[1].name}.parquet"
    shutil.move(path, tmp_path / path.name)
    assert len(store.records()) == len(open_dataset(store.root).records()) == 4
    shutil.move(tmp_path / path.name, path)
    assert store.records() == of_footers(store)
    old = shutil.copy2(path, tmp_path / "old.parquet")
    add_shards(store, [1], size_bytes=2)
    age(store.root, 2)
    assert store.records()[1].files[0].size_bytes == 2
    shutil.move(old, path)
    assert store.records() == of_footers(store)
    assert store.records()[1].files[0].size_bytes == 1


def a_table(path: Path) -> None:
    shutil.copy(next((path.parents[1] / "frames").iterdir()), path)


def another_dataset(path: Path) -> None:
    """The index of another one of the same names, sizes and times."""
    other = tiny_store(path.parents[2] / "other")
    add_shards(other, range(5), size_bytes=2)
    for mine in list_dir(path.parents[1] / "frames"):
        others, status = other.root / "frames" / mine.name, mine.stat()
        assert others.stat().st_size == status.st_size
        os.utime(others, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.records()
    shutil.copy2(file_of(other), path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "no Parquet": lambda path: path.write_text("no index"),
    "another table": a_table,
    "another dataset's": another_dataset,
    "a folder": a_folder,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_index_that_is_none_is_made_anew(
    store: Store, read: list[str], damage: Callable[[Path], object]
) -> None:
    damage(file_of(store))
    read.clear()
    assert open_dataset(store.root).records() == of_footers(store)
    assert len(read) == 5
    assert store.records() == of_footers(store)
    read.clear()
    assert store.records() == of_footers(store)
    assert len(read) == (5 if damage is a_folder else 0)


def test_every_byte_of_it_may_be_wrong(store: Store) -> None:
    whole, right = file_of(store).read_bytes(), of_footers(store)
    for at in range(0, len(whole), 7):
        file_of(store).write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        assert open_dataset(store.root).records() == right, at


def test_a_run_that_is_killed_before_it_writes_the_index(
    tmp_path: Path, segpipe: Call, read: list[str]
) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    footage.mkdir()
    for i in range(3):
        Image.fromarray(picture(i)).save(footage / f"{i}.png")
    command = ["run", footage, "-o", out, *FAKE]
    assert segpipe(*command)[0] == 0
    age(out)
    assert segpipe(*command)[0] == 0
    Image.fromarray(picture(9)).save(footage / "9.png")
    killed = [sys.executable, "-c", KILLED, *command]
    # At its start nothing has changed, so that it is at its end that it writes
    assert subprocess.run(killed, cwd=ROOT, check=False).returncode == 0
    age(out)
    done = subprocess.run(killed, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((out / "index").glob(".shards.parquet.*.tmp"))) == 1
    records = open_dataset(out).records()
    assert records == [read_record(p) for p in sorted((out / "frames").iterdir())]
    assert sum(r.frames for r in records) == 4
    assert any(f.kind == LEFTOVER for f in verify(out).findings)
    assert "nothing new" in segpipe(*command[:-1])[1]
    assert not list((out / "index").glob(".*"))
    assert not verify(out).findings
    read.clear()
    assert segpipe(*command)[0] == 0
    assert not read


def test_readers_write_nothing(store: Store, read: list[str]) -> None:
    before = file_of(store).read_bytes()
    add_shards(store, [7])
    age(store.root)
    assert len(open_dataset(store.root).records()) == 6
    assert file_of(store).read_bytes() == before
    file_of(store).unlink()
    assert len(open_dataset(store.root).records()) == 6
    assert list((store.root / "index").iterdir()) == []


def test_verify_reads_the_footers(store: Store) -> None:
    """An index that lies is believed by readers, never by whoever looks for the truth."""
    texts = {s: t.replace('"failed": 1', '"failed": 0') for s, t in index._read(store.root).items()}
    index._write(store.root, texts)
    assert {r.failed for r in open_dataset(store.root).records()} == {0}
    assert {(s.done, s.failed) for s in verify(store.root).sources} == {(0, 1)}


def test_verify_knows_the_folder(store: Store) -> None:
    assert not [f for f in verify(store.root).findings if f.kind in {FOREIGN, LEFTOVER}]
    (store.root / "index" / "notes.txt").touch()
    (store.root / "index" / ".shards.parquet.tmp").touch()
    found = {(f.kind, f.table, f.shard) for f in verify(store.root).findings}
    assert {
        (FOREIGN, "index", "notes.txt"),
        (LEFTOVER, "index", ".shards.parquet"),
    } <= found
    tiny_store(store.root)
    assert [p.name for p in sorted((store.root / "index").iterdir())] == [
        "notes.txt",
        "shards.parquet",
    ]


def test_replace_throws_it_away(tmp_path: Path, segpipe: Call) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "1.png")
    command = ["run", tmp_path / "1.png", "-o", tmp_path / "out", *FAKE]
    assert segpipe(*command)[0] == 0
    age(tmp_path / "out")
    assert segpipe(*command)[0] == 0
    assert len(index._read(tmp_path / "out")) == 1
    assert segpipe(*command, "--set", "ego_mask=auto", "--replace")[0] == 0
    assert index._read(tmp_path / "out") == {}


def test_a_run_that_is_asked_to_end_does_not_stay(store: Store) -> None:
    file_of(store).unlink()
    stopping.STOP.set()
    try:
        store.update_index()
    finally:
        stopping.STOP.clear()
    assert not file_of(store).exists()
    store.update_index()
    assert file_of(store).exists()


def test_a_broken_footer_is_told_and_ends_no_run(store: Store) -> None:
    (store.root / "frames" / "x-0.parquet").write_bytes(b"no shard")
    with pytest.raises(DatasetError, match=r"x-0\.parquet: not a whole shard"):
        store.records()
    store.update_index()


def test_on_an_object_store(s3: S3, read: list[str]) -> None:
    url = f"s3://{BUCKET}/set"
    store = tiny_store(url)
    add_shards(store, range(4))
    store.update_index()
    read.clear()
    assert store.records() == open_dataset(url).records() == of_footers(store)
    assert not read
    assert "set/index/shards.parquet" in s3.objects()
    sizes = {k: len(v) for k, v in s3.objects("set/frames/").items()}
    changed = add_shards(store, [2], size_bytes=2)
    assert {k: len(v) for k, v in s3.objects("set/frames/").items()} == sizes
    assert store.records() == of_footers(store)
    assert read == changed
    s3.put("set/index/shards.parquet", "no index")
    assert open_dataset(url).records() == store.records() == of_footers(store)
