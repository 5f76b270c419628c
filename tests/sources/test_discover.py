"""What a user names becomes sources; what makes no sense is said."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segpipe.core.errors import SourceError
from segpipe.sources.discovery import discover
from segpipe.sources.video.names import video_info
from tests.driving import eastwards, write_gpx
from tests.footage import make_video
from tests.pipeline.test_run import FAKE


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "a.JPG",
        "b.png",
        "deep/er/c.WebP",
        "deep/clip.MP4",
        "deep/notes.txt",
        ".hidden/x.jpg",
        "deep/._a.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(found) -> set[str]:  # type: ignore[no-untyped-def]
    return {Path(f.uri).name for source in found.sources for f in source.files}


def test_folders_are_searched_whatever_the_case(tree: Path) -> None:
    assert names(discover([str(tree)])) == {"a.JPG", "b.png", "c.WebP", "clip.MP4"}


def test_inputs_mix_and_each_file_counts_once(tree: Path) -> None:
    found = discover(
        [str(tree / "a.JPG"), str(tree), str(tree / "deep" / "*.MP4"), str(tree / "**" / "*.png")]
    )
    assert names(found) == {"a.JPG", "b.png", "c.WebP", "clip.MP4"}
    assert [s.info.kind for s in found.sources] == ["video", "images", "images"]


def test_a_name_with_glob_characters_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "clip[1].mp4").touch()
    assert names(discover([str(tmp_path / "clip[1].mp4")])) == {"clip[1].mp4"}


def test_links_that_lead_in_circles(tree: Path) -> None:
    (tree / "deep" / "loop").symlink_to(tree)
    assert names(discover([str(tree)])) == {"a.JPG", "b.png", "c.WebP", "clip.MP4"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "no such file or folder"),
        ("empty", r"no images or videos in this folder \(0 other files\)"),
        ("deep/notes.txt", "neither an image nor a video"),
        ("*.mp3", "matches no image"),
        ("rtsp://camera/1", "only local files"),
        ("loop", "no such file or folder"),
        ("loop/*.mp4", "matches no image"),
        ("circle.mp4", "no such file or folder"),
        ("circle*.mp4", r"matches no image, video or folder \(1 other files\)"),
        ("a\0b.mp4", "no such file or folder"),
        ("a\0*.mp4", "matches no image"),
        ("x" * 300, "no such file or folder"),
    ],
)
def test_what_makes_no_sense_is_said(given: str, said: str, tree: Path) -> None:
    (tree / "empty").mkdir()
    (tree / "loop").symlink_to("loop")
    (tree / "circle.mp4").symlink_to("circle.mp4")
    with pytest.raises(SourceError, match=said):
        discover([given if "://" in given else str(tree / given)])


def test_a_source_has_one_id_however_it_is_spelled(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    link = tree / "link.mp4"
    link.symlink_to(tree / "deep" / "clip.MP4")
    spelled = [Path("deep/clip.MP4"), tree / "deep" / ".." / "deep" / "clip.MP4", link]
    assert len({video_info(p).source_id for p in spelled}) == 1
    assert video_info(link).source_id.startswith("path-")  # it is empty
    (tree / "deep" / "clip.MP4").write_bytes(b"content")
    copy = shutil.copy(link, tree / "other.mp4")
    assert len({video_info(p).source_id for p in (*spelled, copy)}) == 1
    assert re.fullmatch("[0-9a-f]{20}", video_info(link).source_id)


def test_a_folder_that_says_so_is_no_footage(tree: Path) -> None:
    before = discover([str(tree)])
    (tree / "labels").mkdir()
    for name in (".segpipeignore", "000000.png", "deep.jpg"):
        (tree / "labels" / name).touch()
    assert discover([str(tree)]) == before
    # Who names it wants it
    (labels,) = discover([str(tree / "labels")]).sources
    assert (labels.path, len(labels.files)) == (tree / "labels", 2)


def test_what_is_not_read_is_counted_and_named_in_one_line(tree: Path) -> None:
    copies = ("GX01.LRV", "LRV_2026_11_001.insv")
    for name in (
        "deep/a.xyz",
        "deep/b.XYZ",
        "c.xyz",
        *copies,
        "VID_2026_10_001.insv",
        "cam.braw",
        "RAW",
    ):
        (tree / name).touch()
    (tree / "deep" / "other card").symlink_to(tree / "deep" / "er")
    (tree / "labels").mkdir()
    for name in (".segpipeignore", "1.png"):
        (tree / "labels" / name).touch()
    for name in ("clip.gpx", "clip.json", "._a.xyz"):
        (tree / "deep" / name).touch()
    found = discover([str(tree), str(tree / "deep")])  # whatever is found twice counts once
    assert names(found) == {"a.JPG", "b.png", "c.WebP", "clip.MP4", "VID_2026_10_001.insv"}
    assert found.not_read.describe() == (
        "not read: 3 .xyz, 1 without an extension, 1 .braw, 1 .lrv (low-resolution copies), "
        "1 LRV_*.insv (low-resolution copies), 1 linked folder (other card), 1 folder with "
        ".segpipeignore (labels), "
        "and beside the footage 1 .gpx, 1 .json, 1 .txt"
    )
    assert discover([str(tree / "b.png")]).not_read.describe() == ""


def test_a_pattern_counts_what_it_matches_and_a_name_takes_a_copy(tree: Path) -> None:
    for name in ("GX01.LRV", "LRV_1.insv", "VID_1.insv"):
        (tree / name).touch()
    found = discover([str(tree / "deep" / "*"), str(tree / "*1*")])
    assert names(found) == {"c.WebP", "clip.MP4", "VID_1.insv"}
    assert found.not_read.describe() == (
        "not read: 1 .lrv (low-resolution copies), 1 LRV_*.insv (low-resolution copies), and "
        "beside the footage 1 .txt"
    )
    assert names(discover([str(tree / "GX01.LRV"), str(tree / "LRV_1.insv")])) == {
        "GX01.LRV",
        "LRV_1.insv",
    }
    with pytest.raises(SourceError, match="matches no image"):
        discover([str(tree / "*.LRV")])


def test_a_folder_without_footage_says_what_is_in_it(tmp_path: Path) -> None:
    for name in ("a.lrv", "b.braw", "c.gpx"):
        (tmp_path / name).touch()
    with pytest.raises(
        SourceError,
        match=r"\(3 other files; not read: 1 \.braw, 1 \.lrv .*, and beside the footage 1 \.gpx",
    ):
        discover([str(tmp_path)])


def test_a_run_and_verify_name_what_is_not_read(
    tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    make_video(footage / "clip.mp4", frames=5)
    for name in ("clip.lrv", "one.xyz", "notes.txt"):
        (footage / name).touch()
    # Its track: this one is read.
    write_gpx(footage / "clip.gpx", datetime(2026, 5, 1, 10, tzinfo=UTC), eastwards(30))
    (footage / "elsewhere").symlink_to(tmp_path)
    said = (
        "not read: 1 .lrv (low-resolution copies), 1 .xyz, 1 linked folder (elsewhere), and "
        "beside the footage 1 .txt"
    )
    code, printed, _ = segpipe("run", footage, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    assert printed.count(f"note: {said}\n") == 1
    code, printed, _ = segpipe("verify", tmp_path / "out", "--footage")
    assert code == 0
    assert printed.count(f"{footage}: {said}\n") == 1
    assert "not read" not in segpipe("verify", tmp_path / "out")[1]


def test_verify_says_nothing_of_the_folder_of_missing_footage(
    tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    clip = make_video(footage / "clip.mp4", frames=5)
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    clip.rename(tmp_path / "moved.mp4")
    (footage / "one.xyz").touch()
    printed = segpipe("verify", tmp_path / "out", "--footage")[1]
    assert "footage no longer there: 1 source, so not compared" in printed
    assert "clip.mp4 is missing" in printed
    assert "not read" not in printed
