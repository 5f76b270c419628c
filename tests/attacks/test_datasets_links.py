"""Nothing in a dataset leads out of it: links in the places of its folders and files are refused
before anything is read, written or deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe import open_dataset
from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import write_text
from segpipe.verify import verify
from tests.attacks.strangers import COMMANDS, JOB, arguments, contents, copied, make

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("links"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """The stranger's dataset."""
    return copied(made, tmp_path / "out")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the user's, with files of the names that a dataset has."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("diary.txt", "thesis.parquet", ".notes.parquet.tmp", "shards.parquet"):
        (folder / name).write_text(f"mine: {name}\n")
    return folder


def link_masks(out: Path, victim: Path) -> None:
    shutil.rmtree(out / "masks")
    (out / "masks").symlink_to(victim)


def link_index(out: Path, victim: Path) -> None:
    shutil.rmtree(out / "index")
    (out / "index").symlink_to(victim)


def link_lock(out: Path, victim: Path) -> None:
    (out / ".lock").unlink(missing_ok=True)
    (out / ".lock").symlink_to(victim / "diary.txt")


def link_manifest(out: Path, victim: Path) -> None:
    (out / "dataset.json").rename(victim / "dataset.json")
    (out / "dataset.json").symlink_to(victim / "dataset.json")


def link_shard(out: Path, victim: Path) -> None:
    path = next((out / "masks").iterdir())
    shutil.copy(path, victim / "other.parquet")
    path.unlink()
    path.symlink_to(victim / "other.parquet")


def link_addresses(out: Path, victim: Path) -> None:
    path = out / "addresses" / "addresses.parquet"
    path.unlink()
    path.symlink_to(victim / "thesis.parquet")


def link_begun(out: Path, victim: Path) -> None:
    (out / ".dataset.json.tmp").symlink_to(victim / "diary.txt")


def link_begun_shard(out: Path, victim: Path) -> None:
    name = next((out / "masks").iterdir()).name
    (out / "masks" / f".{name}.tmp").symlink_to(victim / "diary.txt")


def link_mark(out: Path, victim: Path) -> None:
    (out / "forget.json").symlink_to(victim / "diary.txt")


def link_migrating(out: Path, victim: Path) -> None:
    (out / ".migrating" / "old").mkdir(parents=True)
    (out / ".migrating" / "old" / "masks").symlink_to(victim)


def refused(segpipe: Call, command: str, made: Path, out: Path, victim: Path) -> None:
    """The command ends with one line that names a link, and nothing has changed anywhere."""
    before = contents(out), contents(victim)
    code, _, errors = segpipe(*arguments(command, made, out, out.parent / "work"))
    assert (code, errors.count("\n")) == (5, 1), errors
    assert "a link, and a dataset holds plain files" in errors
    assert (contents(out), contents(victim)) == before


@pytest.mark.attack("a table's folder is a link to a folder of the user's")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_linked_table(command: str, made: Path, out: Path, victim: Path, segpipe: Call) -> None:
    link_masks(out, victim)
    refused(segpipe, command, made, out, victim)


@pytest.mark.attack("a file of the dataset is a link to a file of the user's")
@pytest.mark.parametrize("command", ["run", "run --replace", "verify --repair", "info", "forget"])
@pytest.mark.parametrize(
    "tamper",
    [
        link_index,
        link_lock,
        link_manifest,
        link_shard,
        link_addresses,
        link_begun,
        link_begun_shard,
        link_mark,
        link_migrating,
    ],
)
def test_a_linked_file(
    tamper: Callable[[Path, Path], None],
    command: str,
    made: Path,
    out: Path,
    victim: Path,
    segpipe: Call,
) -> None:
    tamper(out, victim)
    refused(segpipe, command, made, out, victim)


@pytest.mark.attack("a link in a dataset, opened from Python")
@pytest.mark.parametrize("tamper", [link_masks, link_shard, link_manifest, link_lock])
def test_a_link_in_python(tamper: Callable[[Path, Path], None], out: Path, victim: Path) -> None:
    tamper(out, victim)
    with pytest.raises(DatasetError, match="a link"):
        open_dataset(out)
    with pytest.raises(DatasetError, match="a link"):
        verify(out)


@pytest.mark.attack("a linked .lock in an output folder without a dataset")
def test_a_lock_alone(made: Path, tmp_path: Path, victim: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    out.mkdir()
    link_lock(out, victim)
    refused(segpipe, "run", made, out, victim)


@pytest.mark.attack("a .lock that is a hard link to a file of the user's")
def test_a_hard_link(made: Path, out: Path, victim: Path, segpipe: Call) -> None:
    (out / ".lock").unlink(missing_ok=True)
    os.link(victim / "diary.txt", out / ".lock")
    code, _, errors = segpipe(*arguments("run", made, out, out.parent / "work"))
    assert (code, "the same file as another one" in errors) == (5, True)
    assert (victim / "diary.txt").read_text() == "mine: diary.txt\n"


@pytest.mark.attack("a temporary file's name is planted where a report is written")
def test_a_planted_temporary_file(tmp_path: Path, victim: Path) -> None:
    for name in ("page.html.tmp", ".page.html.tmp"):
        (tmp_path / name).symlink_to(victim / "diary.txt")
    write_text(tmp_path / "page.html", "page")
    assert (tmp_path / "page.html").read_text() == "page"
    assert (victim / "diary.txt").read_text() == "mine: diary.txt\n"


@pytest.mark.attack("the page that a report writes is a link to a file of the user's")
def test_a_linked_page(made: Path, tmp_path: Path, victim: Path, segpipe: Call) -> None:
    (tmp_path / "page.html").symlink_to(victim / "diary.txt")
    assert segpipe("report", made / "out", "-o", tmp_path / "page.html", "--force")[0] == 0
    assert (victim / "diary.txt").read_text() == "mine: diary.txt\n"
    assert not (tmp_path / "page.html").is_symlink()


@pytest.mark.attack("other people's files lie in a dataset that is replaced")
def test_only_own_names_are_deleted(made: Path, out: Path, segpipe: Call) -> None:
    for name in ("masks/diary.txt", "frames/.diary.txt.tmp", "index/own.json", "index/a.parquet"):
        (out / name).write_text("mine")
    command = arguments("run --replace", made, out, out.parent / "work")
    assert segpipe(*command)[0] == 0
    for name in ("masks/diary.txt", "frames/.diary.txt.tmp", "index/own.json", "index/a.parquet"):
        assert (out / name).read_text() == "mine"
    (out / "masks" / "my thesis.parquet").write_text("mine")
    code, _, errors = segpipe(*command[:-1], "sampling.every_n=2")
    assert (code, "my thesis.parquet: not a file of segpipe's by its name" in errors) == (5, True)
    assert (out / "masks" / "my thesis.parquet").read_text() == "mine"
    assert len(list((out / "frames").glob("*.parquet"))) > 1  # nothing was deleted before


def test_an_output_folder_that_is_a_link_works(made: Path, tmp_path: Path, segpipe: Call) -> None:
    """The honest case: the root itself is the user's own link."""
    (tmp_path / "drive").mkdir()
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "drive")
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] == 0
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] == 0
    assert segpipe("verify", out, "--repair")[0] == 0
    code, text, errors = segpipe("report", out, "-o", tmp_path / "page.html")
    assert (code, errors) == (0, "")
    assert "still" in text
    command = ("run", made / "footage", "-o", out, *JOB, "--replace", "--set", "ego_mask=auto")
    assert segpipe(*command)[0] == 0
    assert segpipe("verify", tmp_path / "drive")[0] == 0


def test_a_copy_with_hard_links_works(made: Path, tmp_path: Path, segpipe: Call) -> None:
    """The honest case: a backup shares its files with the dataset."""
    out = shutil.copytree(made / "out", tmp_path / "backup", copy_function=os.link)
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] == 0
    assert segpipe("verify", out)[0] == 0
