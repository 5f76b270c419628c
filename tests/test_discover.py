"""What a user names becomes sources; what makes no sense is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from segpipe.errors import SourceError
from segpipe.sources.discover import discover
from segpipe.sources.identity import source_info


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.JPG", "b.png", "deep/er/c.WebP", "deep/clip.MP4", "deep/notes.txt", ".hidden/x.jpg", "deep/._a.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(found) -> set[str]:  # type: ignore[no-untyped-def]
    return {v.name for v in found.videos} | {f.name for files in found.images.values() for f in files}


def test_folders_are_searched_whatever_the_case(tree: Path) -> None:
    assert names(discover([str(tree)])) == {"a.JPG", "b.png", "c.WebP", "clip.MP4"}


def test_inputs_mix_and_each_file_counts_once(tree: Path) -> None:
    found = discover([str(tree / "a.JPG"), str(tree), str(tree / "deep" / "*.MP4"), str(tree / "**" / "*.png")])
    assert names(found) == {"a.JPG", "b.png", "c.WebP", "clip.MP4"}
    assert len(found.images) == 2


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
    ],
)
def test_what_makes_no_sense_is_said(given: str, said: str, tree: Path) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(SourceError, match=said):
        discover([given if "://" in given else str(tree / given)])


def test_a_source_has_one_id_however_it_is_spelled(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    link = tree / "link.mp4"
    link.symlink_to(tree / "deep" / "clip.MP4")
    spelled = [Path("deep/clip.MP4"), tree / "deep" / ".." / "deep" / "clip.MP4", link]
    assert len({source_info(p, "video").source_id for p in spelled}) == 1
    assert source_info(tree / "deep" / "clip.MP4", "video").source_id.startswith("clip-")


def test_a_folder_that_says_so_is_no_footage(tree: Path) -> None:
    before = discover([str(tree)])
    (tree / "labels").mkdir()
    for name in (".segpipeignore", "000000.png", "deep.jpg"):
        (tree / "labels" / name).touch()
    assert discover([str(tree)]) == before
    assert len(discover([str(tree / "labels")]).images[tree / "labels"]) == 2  # who names it wants it
