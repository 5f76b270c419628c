"""The table `addresses`, and what SQL makes of it: where the footage was seen, and when."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segpipe.core.types import FileStamp, SourceInfo
from segpipe.sources.known_files import FoundFile
from segpipe.store import exclusive, open_dataset
from segpipe.store.address import Address
from segpipe.store.address_file import load_addresses, read_addresses
from segpipe.store.address_file import write_addresses as write
from segpipe.store.addresses import Addresses
from segpipe.store.records import ShardRecord
from tests.footage import make_streams, make_video, picture
from tests.s3_server import BUCKET

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")


def address(key: str, uri: str, seen: int = 1, first: int = 1, source: str = "") -> Address:
    return Address(source or key, key, uri, 9, 8, "body", "", first, seen)


def image(key: str, uri: str, seen: int = 1) -> Address:
    return address(key, uri, seen, source="images-1")


def record(source: SourceInfo, *files: FileStamp, failed: int = 0) -> ShardRecord:
    failures = tuple(f.name for f in files[:failed])
    return ShardRecord("a", source, files, max(1, len(files)), failed, failed_files=failures)


VIDEO = SourceInfo("aa", "video", "/card/a.mp4")
PHOTOS = SourceInfo("images-1", "images", "/card")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [address("aa", "/card/a.mp4"), image("b1", "/card/1.jpg"), image("b2", "/a\\x1b/2.jpg")]
    assert read_addresses(tmp_path) == []
    with exclusive(tmp_path):
        write(tmp_path, Addresses([]))
        assert read_addresses(tmp_path) == []
        write(tmp_path, Addresses(rows))
    assert sorted(read_addresses(tmp_path), key=lambda r: r.key) == rows
    assert load_addresses(tmp_path, []).rows() == Addresses(rows).rows()


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / "addresses"
    folder.mkdir()
    (folder / ".addresses.parquet.0123456789abcdef.tmp").write_bytes(b"half")
    (folder / "notes.tmp").write_text("the user's own")
    write(tmp_path, Addresses([]))
    assert sorted(p.name for p in folder.iterdir()) == ["addresses.parquet", "notes.tmp"]


def test_the_latest_address() -> None:
    known = Addresses([address("aa", "/1", 5), address("aa", "/2", 7), address("bb", "/1", 9)])
    assert (known.latest("aa"), known.latest("bb"), known.latest("cc")) == ("/2", "/1", "")
    assert known.moved() == [("aa", "aa", "/2")]
    at = known.at("/1")
    assert at is not None
    assert at.key == "bb"  # another recording lies there now
    assert [k.uri for k in known.with_key("aa")] == ["/2", "/1"]
    known = Addresses([image("b1", "/card/1.jpg", 5), image("b2", "/new/2.jpg", 7)])
    assert (known.home("images-1"), known.home("aa")) == ("/new", "")
    together = [address("aa", "/2", 7), address("aa", "/1", 7), address("aa", "/0", 7, first=0)]
    for rows in (together, together[::-1]):
        assert Addresses(rows).latest("aa") == "/1"


def test_below_and_in_folder() -> None:
    known = Addresses([address("aa", "/card/a.mp4"), image("b", "/card/x/1.jpg")])
    for place in ("/card", "/card/", "/card/x", "/card/a.mp4", "/"):
        assert known.below(place), place
    for place in ("/car", "/card/a.mp", "/card/y", "/card/a.mp4/b"):
        assert not known.below(place), place
    assert (known.in_folder("/card/x"), known.in_folder("/card")) == ("images-1", "")


def test_records_tell_what_the_table_lacks(tmp_path: Path) -> None:
    records = [
        record(VIDEO, FileStamp("a.mp4", 1, 2, "/card/a.mp4", "body")),
        record(PHOTOS, FileStamp("b1", 3, 4, "/card/1.jpg"), FileStamp("b2", 3, 4, "/card/2.jpg")),
        record(SourceInfo("c-0123456789", "stream", "rtsp://c/1"), FileStamp("1", -1, -1)),
    ]
    known = load_addresses(tmp_path, records)
    assert [(r.source_id, r.key, r.uri) for r in known.rows()] == [
        ("aa", "aa", "/card/a.mp4"),
        ("images-1", "b1", "/card/1.jpg"),
        ("images-1", "b2", "/card/2.jpg"),
    ]
    with exclusive(tmp_path):
        write(tmp_path, Addresses([address("aa", "/other/a.mp4", 5)]))
    known = load_addresses(tmp_path, records)
    assert (known.latest("aa"), known.latest("b2")) == ("/other/a.mp4", "/card/2.jpg")


def test_what_nothing_could_be_read_of(tmp_path: Path) -> None:
    stamp = FileStamp("a.mp4", 1, 2, "/card/a.mp4", "body")
    photos = FileStamp("b1", 3, 4, "/card/1.jpg"), FileStamp("b2", 3, 4, "/card/2.jpg")
    for failed, hopeless in ((0, False), (1, True)):
        records = [record(VIDEO, stamp, failed=failed), record(PHOTOS, *photos, failed=1)]
        known = load_addresses(tmp_path, records)
        found = [known.at(u) for u in ("/card/a.mp4", "/card/1.jpg", "/card/2.jpg")]
        assert [f.hopeless for f in found if f] == [hopeless, True, False]


def test_what_is_seen_again_keeps_when_it_was_seen_first() -> None:
    known = Addresses([address("aa", "/card/a.mp4", 5, 3)])
    seen = FoundFile(Path("/card/a.mp4"), "aa", 9, 7, "touched", "aa")
    away = FoundFile(Path("/card/b.mp4"), "bb", 9, 7, "away", "bb", "body")
    other = FoundFile(Path("/card/c.mp4"), "cc", 9, 7)
    known.see([seen, away, other], {"aa": "aa", "bb": "bb"}, 10)
    assert known.changed
    (row,) = known.rows()
    assert (row.mtime_ns, row.body, row.first_seen_us, row.last_seen_us) == (7, "body", 3, 10)


def test_forgetting_and_moving() -> None:
    rows = [address("aa", "/card/a.mp4"), image("b1", "/card/x/1.jpg"), image("b2", "/card/2.jpg")]
    known = Addresses(rows, [record(PHOTOS, FileStamp("b1", 3, 4, "/card/x/1.jpg"))])
    assert known.move("/nowhere", "/new", 5) == 0
    assert not known.changed
    assert known.move("/card", "/new/place", 5) == 3
    assert known.changed
    assert known.latest("b1") == "/new/place/x/1.jpg"
    assert len(known.rows()) == 6
    known.forget("images-1", "b2")
    assert (known.latest("b2"), known.at("/card/2.jpg")) == ("", None)
    known.forget("aa")
    assert {r.key for r in known.rows()} == {"b1"}
    at = known.at("/card/x/1.jpg")
    assert at is not None
    assert not at.hopeless


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A clip, a file of two video streams, and two images."""
    folder = tmp_path / "card"
    (folder / "stills").mkdir(parents=True)
    make_video(folder / "clip.mp4", frames=6)
    make_streams(folder / "two.mkv", frames=6)
    for i in range(2):
        Image.fromarray(picture(i)).save(folder / "stills" / f"{i}.png")
    return folder


@pytest.mark.parametrize("where", ["out", "s3", "out [1] *"])
def test_sql_knows_where_the_footage_is_now(
    where: str, card: Path, tmp_path: Path, segpipe: Call, request: pytest.FixtureRequest
) -> None:
    if where == "s3":
        request.getfixturevalue("s3")
    out = f"s3://{BUCKET}/set" if where == "s3" else str(tmp_path / where)
    flags = ("-o", out, *FAKE, "--set", "sampling.stream=all")
    assert segpipe("run", card, *flags)[0] == 0
    new = card.rename(tmp_path / "moved")
    assert segpipe("run", new, *flags)[0] == 0
    connection = open_dataset(out).duckdb()
    rows = connection.sql("SELECT DISTINCT source_id, uri FROM frames").fetchall()
    assert {u for _, u in rows} == {str(p) for p in new.rglob("*") if p.is_file()}
    assert sum(source_id.startswith("v1-") and u.endswith("two.mkv") for source_id, u in rows) == 1
    sources = connection.sql(
        "SELECT source_id, uri, uris, bytes, last_seen, fingerprint FROM sources"
    ).fetchall()
    assert len(sources) == 4
    for source_id, uri, uris, size, last_seen, fingerprint in sources:
        place = Path(uri)
        files = list(place.iterdir()) if place.is_dir() else [place]
        assert [u["uri"] for u in uris] == [uri, str(card / place.relative_to(new))]
        assert size == sum(f.stat().st_size for f in files)
        assert last_seen is not None
        key = None if place.is_dir() else source_id.removeprefix("v1-")
        assert fingerprint == key
    assert connection.sql("SELECT count(*) FROM addresses").fetchall() == [(8,)]


def test_failures_and_accounts_say_where_it_is_now(
    card: Path, tmp_path: Path, segpipe: Call
) -> None:
    (card / "stills" / "bad.png").write_text("words")
    (card / "bad.mp4").write_text("words of a film")
    out = tmp_path / "out"
    assert segpipe("run", card, "-o", out, *FAKE)[0] == 6
    new = card.rename(tmp_path / "moved")
    segpipe("run", new, "-o", out, *FAKE)
    for command in ("errors", "verify", "info"):
        text = segpipe(command, out)[1]
        assert str(new / "bad.mp4") in text, command
        assert str(card) not in text, command
    assert str(new / "stills" / "bad.png") in segpipe("errors", out)[1]


def test_copies_are_at_one_address_in_all_views(tmp_path: Path, segpipe: Call) -> None:
    card = tmp_path / "card"
    (card / "backup").mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(card / "z.png"), pixels)
    make_video(card / "a.mp4", frames=3)
    for name in ("z.png", "a.mp4"):
        shutil.copy(card / name, card / "backup" / name)
    out = tmp_path / "out"
    for _ in range(2):
        assert segpipe("run", card, "-o", out, *FAKE)[0] == 0
        dataset = open_dataset(out)
        sql = "SELECT f.uri, s.uri FROM frames AS f JOIN sources AS s USING (source_id)"
        found = set(dataset.duckdb().sql(sql).fetchall())
        by_record = {f.uri for r in dataset.records() for f in r.files}
        assert {f for f, _ in found} == by_record
        assert all(s in (f, str(Path(f).parent)) for f, s in found)
