"""`segpipe report`: one page, whole, with everything on it escaped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from segpipe.cli import main
from segpipe.store.schema import SCHEMA_VERSION
from tests.damage import put, rewrite, stream_dataset
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
HOSTILE = "<img src=x onerror=alert(1)>&\"'"
JOB = ("--set", "model.source=fake:", "--set", "store.frames_per_shard=3", "-q")


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with footage of hostile names and its dataset, with a stream beside it whose errors
    hold markup."""
    folder = tmp_path_factory.mktemp("made")
    footage = folder / HOSTILE.replace("/", "")
    footage.mkdir()
    make_video(footage / f"{HOSTILE}.mp4", frames=9, gop=3)
    (footage / "broken\u202e<script>.mp4").write_text("words")
    assert main(["run", str(footage), "-o", str(folder / f"out{HOSTILE}"), *JOB]) == 6
    stream = stream_dataset(
        folder / "stream", [(0, 60), (90, 99)], [(60, 90, "lost", "<script>alert(2)</script>")]
    )
    for table in ("frames", "masks", "class_stats", "gaps", "sources"):
        for path in (stream / table).iterdir():
            shutil.copy(path, folder / f"out{HOSTILE}" / table)
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / f"out{HOSTILE}", tmp_path / "out")


def page_of(out: Path, segpipe: Call) -> tuple[str, Tags]:
    code, _, errors = segpipe("report", out, "-o", out.parent / "report.html", "--force")
    assert code == 0, errors
    text = (out.parent / "report.html").read_text(encoding="utf-8")
    return text, Tags(text)


def check_harmless(text: str, tags: Tags) -> None:
    """No script, no handler, nothing from outside; the only pictures are our own."""
    assert not {t for t, _ in tags.tags} & {"script", "iframe", "object", "link", "a", "form", "b"}
    assert not [a for _, attributes in tags.tags for a in attributes if a.startswith("on")]
    assert all(
        (a["src"] or "").startswith("data:image/jpeg;base64,") for t, a in tags.tags if t == "img"
    )
    assert "default-src 'none'" in text
    assert "<img src=x" not in text
    assert "<script>" not in text


def test_everything_on_the_page_is_escaped(made: Path, segpipe: Call) -> None:
    text, tags = page_of(made / f"out{HOSTILE}", segpipe)
    check_harmless(text, tags)
    assert f"{HOSTILE}.mp4" in tags.text
    assert "the decoder gave <b>nothing</b>" in tags.text
    assert "lost: <script>alert(2)</script>" in tags.text
    assert "\u202e" not in text
    assert sum(t == "img" for t, _ in tags.tags) == 3


def test_the_page_says_what_the_dataset_holds(made: Path, segpipe: Call) -> None:
    _, tags = page_of(made / f"out{HOSTILE}", segpipe)
    text = re.sub(r"\s+", " ", tags.text)
    for said in (
        "12 frames expected",
        "9 done",
        "3 failed",
        "0 missing",
        "fake:",
        f"version {SCHEMA_VERSION}",
        "all accounted for",
        "Nothing is missing",
        "can't be read as a video",
        "repair or remove the file",
        "Gaps of streams",
        "dark",
    ):
        assert said in text, said
    shares = [float(s) for s in re.findall(r"(\d+\.\d\d) %", text)]
    assert sum(shares) == pytest.approx(100, abs=0.05)


def test_a_damaged_dataset_still_has_a_page(out: Path, segpipe: Call) -> None:
    masks = sorted((out / "masks").glob("*-0000*-0000*"))
    masks[0].unlink()
    masks[1].write_text("words")
    sorted((out / "frames").glob("*-0000*-0000*"))[2].write_text("words")
    sorted((out / "class_stats").glob("*-0000*-0000*"))[1].write_text("words")
    next((out / "gaps").iterdir()).write_text("words")
    text, tags = page_of(out, segpipe)
    check_harmless(text, tags)
    for said in ("incomplete", "half shard", "broken file", "its masks file isn't there"):
        assert said in tags.text


def test_text_out_of_a_dataset_from_elsewhere_is_escaped(out: Path, segpipe: Call) -> None:
    (path,) = (out / "frames").glob("*-unreadable*")
    rewrite(path, put("error", 0, f"{HOSTILE} rtsp://me:secret@camera/1"))
    manifest = (
        (out / "dataset.json")
        .read_text()
        .replace('"name": "dark"', '"name": "<script>alert(3)</script>"')
    )
    (out / "dataset.json").write_text(manifest)
    text, tags = page_of(out, segpipe)
    check_harmless(text, tags)
    assert HOSTILE in tags.text
    assert "<script>alert(3)</script>" in tags.text
    assert "secret" not in text


def test_footage_that_has_gone_gives_no_stills(made: Path, tmp_path: Path, segpipe: Call) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    make_video(footage / "clip.mp4", frames=3)
    segpipe("run", footage, "-o", tmp_path / "out", *JOB)
    (footage / "clip.mp4").unlink()
    _, tags = page_of(tmp_path / "out", segpipe)
    assert not [t for t, _ in tags.tags if t == "img"]


def test_a_place_that_cannot_be_written_is_a_mistake(
    out: Path, tmp_path: Path, segpipe: Call
) -> None:
    for place, said in (
        (tmp_path, "a folder; name a file"),
        (tmp_path / "page.pdf", "name a file that ends in .html"),
    ):
        code, _, errors = segpipe("report", out, "-o", place)
        assert (code, errors.count("\n"), said in errors) == (2, 1, True)
    assert not (tmp_path / "page.pdf").exists()
    assert segpipe("report", out, "-o", tmp_path / "new" / "report.html")[0] == 0
