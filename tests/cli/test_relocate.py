"""`segpipe relocate`, and `--footage`: footage that lies elsewhere is found again without a run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.cli import parser
from segpipe.store import open_dataset
from tests.conftest import ROOT
from tests.pipeline.test_identity import FRAMES, clip, photo, rows, run, uris
from tests.s3_server import BUCKET, S3
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


@pytest.fixture
def archive(card: Path, out: Path, tmp_path: Path) -> Path:
    """Where the card's files lie after the run."""
    place = tmp_path / "archive" / "2026"
    place.parent.mkdir()
    shutil.move(card, place)
    return place


def test_a_root_that_has_moved(card: Path, out: Path, archive: Path, segpipe: Call) -> None:
    before = rows(out)
    code, said, error = segpipe("relocate", out, card, archive)
    assert (code, said, error) == (0, f"4 files are at {archive} now\n", "")
    assert uris(out) == {str(p) for p in archive.rglob("*.*")}
    assert segpipe("overlay", out, "-o", out.parent / "overlay.mp4", "-q")[0] == 0
    assert run(archive, out=out).frames == 0
    assert rows(out) == before


def test_a_single_file(card: Path, out: Path, tmp_path: Path, segpipe: Call) -> None:
    place = tmp_path / "renamed.mp4"
    (card / "0001.mp4").rename(place)
    code, said, _ = segpipe("relocate", out, card / "0001.mp4", place)
    assert (code, said) == (0, f"1 file is at {place} now\n")
    assert str(place) in uris(out)
    assert str(card / "0002.mp4") in uris(out)


def test_a_link_leads_to_the_same(card: Path, out: Path, archive: Path, segpipe: Call) -> None:
    card.symlink_to(archive)
    assert segpipe("relocate", out, card, archive)[0] == 0


def test_what_was_gone_before_is_told(card: Path, out: Path, archive: Path, segpipe: Call) -> None:
    (archive / "0002.mp4").unlink()
    code, said, error = segpipe("relocate", out, card, archive)
    assert (code, said) == (0, f"4 files are at {archive} now\n")
    assert "1 of them weren't found there" in error


def test_another_content_is_an_error_that_names_the_file(
    card: Path, out: Path, archive: Path, segpipe: Call
) -> None:
    before = digests(out)
    content = bytearray((archive / "0002.mp4").read_bytes())
    content[-1] ^= 255
    for wrong in (bytes(content), b"another size"):
        (archive / "0002.mp4").write_bytes(wrong)
        code, _, error = segpipe("relocate", out, card, archive, "--force")
        assert code == 5
        assert f"{archive / '0002.mp4'}: holds another content" in error
    assert digests(out) == before


def test_wrong_roots(card: Path, out: Path, archive: Path, tmp_path: Path, segpipe: Call) -> None:
    before = digests(out)
    code, _, error = segpipe("relocate", out, "/nowhere", archive)
    assert code == 5
    assert f"footage was last seen below: {card}" in error
    code, _, error = segpipe("relocate", out, card, tmp_path / "missing")
    assert code == 3
    assert "--force" in error
    code, _, error = segpipe("relocate", out, card, out)
    assert code == 5
    assert "nothing of what was seen" in error
    assert segpipe("relocate", out, card, card)[0] == 2
    assert segpipe("relocate", out, card / "0001.mp4", archive)[0] == 2
    assert digests(out) == before
    missing = tmp_path / "missing"
    assert segpipe("relocate", out, card, missing, "--force")[:2] == (
        0,
        f"4 files are at {missing} now\n",
    )
    code, _, error = segpipe("relocate", out, card, archive)
    assert code == 5
    assert "seen elsewhere since" in error
    assert segpipe("relocate", out, missing, archive)[0] == 0


def test_a_stream_is_its_address(out: Path, segpipe: Call) -> None:
    code, _, error = segpipe(
        "relocate", out, "rtsp://me:secret@old/live", "rtsp://me:secret@new/live"
    )
    assert code == 5
    assert "rtsp://***@old/live: a stream is known by its address" in error
    assert "secret" not in error


def test_killed_it_is_moved_or_not(
    card: Path, out: Path, archive: Path, tmp_path: Path, segpipe: Call
) -> None:
    script = (
        "import sys\n"
        "from segpipe.cli import main\n"
        "from tests.torture.kills import killing_at\n"
        "with killing_at(int(sys.argv[1])):\n"
        "    sys.exit(main(sys.argv[2:]))\n"
    )
    begin, seen = tmp_path / "begin", set()
    shutil.copytree(out, begin)
    before, after = uris(out), {str(p) for p in archive.rglob("*.*")}
    for step in range(1, 40):
        shutil.rmtree(out)
        shutil.copytree(begin, out)
        command = [sys.executable, "-c", script, str(step), "relocate", out, card, archive]
        code = subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode
        assert code in (0, -signal.SIGKILL)
        seen.add("moved" if uris(out) == after else "whole" if uris(out) == before else "half")
        if code == 0:
            break
    assert code == 0
    assert seen == {"whole", "moved"}


def test_on_an_object_store(card: Path, tmp_path: Path, s3: S3, segpipe: Call) -> None:
    url, place = f"s3://{BUCKET}/set", tmp_path / "elsewhere"
    settings = ("--set", "model.source=fake:", "--set", "read.isolate=false", "-q")
    assert segpipe("run", card, "-o", url, *settings)[0] == 0
    card.rename(place)
    assert segpipe("relocate", url, card, place)[:2] == (0, f"4 files are at {place} now\n")
    found = open_dataset(url).duckdb().sql("SELECT DISTINCT uri FROM frames").fetchall()
    assert all(os.path.exists(uri) for (uri,) in found)


@pytest.mark.parametrize("command", ["overlay", "report", "verify"])
def test_commands_look_for_footage_below_a_root(
    out: Path, archive: Path, tmp_path: Path, segpipe: Call, command: str
) -> None:
    before = digests(out)
    file = {"overlay": ("-o", tmp_path / "o.mp4"), "report": ("-o", tmp_path / "r.html")}
    where = file.get(command, ())
    flag = ("--footage",) if command == "verify" else ()
    code, said, error = segpipe(command, out, *flag, *where, "-q")
    text = said + error + ((tmp_path / "r.html").read_text() if command == "report" else "")
    assert code == (5 if command == "overlay" else 0)
    assert {
        "overlay": "--footage",
        "report": "No picture of 3 sources",
        "verify": "footage no longer there: 3 sources",
    }[command] in text
    code, said, error = segpipe(
        command, out, "--footage", archive.parent, *where, "-q", *([] if flag else ["--force"])
    )
    text = said + ((tmp_path / "r.html").read_text() if command == "report" else "")
    assert code == 0
    assert {
        "overlay": f"{FRAMES} frames",
        "report": "r.html: 3 stills",
        "verify": "every source is accounted for",
    }[command] in text
    assert "no longer there" not in text
    assert "No picture of" not in text
    assert digests(out) == before
    again = ("-q",) if flag else ("--force",)
    assert segpipe(command, out, "--footage", tmp_path / "none", *where, *again)[0] == 3


@pytest.mark.parametrize(
    ("line", "footage"),
    [
        ("verify OUT", None),
        ("verify OUT --footage", [""]),
        ("verify --footage OUT", [""]),
        ("verify --foot OUT --json", [""]),
        ("verify --footage --json OUT", [""]),
        ("verify --sample 3 --footage OUT", [""]),
        ("verify OUT --footage ROOT --footage OTHER", ["ROOT", "OTHER"]),
        ("verify --footage ROOT OUT", ["ROOT"]),
        ("verify --footage=ROOT OUT", ["ROOT"]),
        ("verify --footage ROOT --footage OUT", ["ROOT", ""]),
    ],
)
def test_verify_takes_footage_with_and_without_a_root(line: str, footage: list[str] | None) -> None:
    args = parser().parse_args(line.split())
    assert (args.dataset, args.footage) == ("OUT", footage)


@pytest.mark.parametrize("line", ["verify", "verify --footage", "verify --sample 3"])
def test_verify_needs_a_dataset(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(line.split())
    assert "the following arguments are required: OUT" in capsys.readouterr().err
