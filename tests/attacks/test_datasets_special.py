"""Pipes, devices, sockets and huge files in the places of a dataset's files end in one line at
once; so does a manifest, a record or a mark that holds what segpipe never writes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.strangers import COMMANDS, arguments, contents, copied, make
from tests.conftest import ROOT
from tests.damage import with_record

Call = Callable[..., tuple[int, str, str]]
HUGE = 3 * 2**40
DEEP = "[" * 200_000
GUARD_S = 120


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("special"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """The stranger's dataset."""
    return copied(made, tmp_path / "out")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    """A device of one's own needs rights; a link to one needs none."""
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        path.symlink_to("/dev/zero")


def channel(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have 107 letters
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


def place(out: Path, name: str) -> Path:
    """A file of the dataset, which is out of the way now."""
    folder = out / name
    path = next(iter(sorted(folder.iterdir()))) if folder.is_dir() else folder
    path.unlink(missing_ok=True)
    return path


PLACES = (
    *("dataset.json", "frames", "masks", "sources", "addresses", "index"),
    *(".lock", "forget.json"),
)


@pytest.mark.attack("a pipe, socket or device in the place of a dataset's file")
@pytest.mark.parametrize("kind", [pipe, channel, device])
@pytest.mark.parametrize("name", PLACES)
def test_special_files(
    name: str, kind: Callable[[Path], None], made: Path, out: Path, segpipe: Call
) -> None:
    kind(place(out, name))
    before = contents(out)
    for command in ("run", "verify --repair", "query"):
        code, _, errors = segpipe(*arguments(command, made, out, out.parent / "work"))
        assert (code, errors.count("\n")) == (5, 1), errors
        assert "a dataset holds plain files and folders only" in errors
        assert contents(out) == before


@pytest.mark.attack("a pipe in the place of a table's file, for every command")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_for_every_command(command: str, made: Path, out: Path, segpipe: Call) -> None:
    pipe(place(out, "class_stats"))
    code, _, errors = segpipe(*arguments(command, made, out, out.parent / "work"))
    assert (code, "a named pipe" in errors, errors.count("\n")) == (5, True, 1)


@pytest.mark.attack("a pipe in a table keeps a run from ending on SIGTERM")
def test_a_run_ends(made: Path, out: Path) -> None:
    pipe(place(out, "frames"))
    command = [sys.executable, "-m", "segpipe", *arguments("run", made, out, out.parent / "work")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        run.send_signal(signal.SIGCONT)
        _, errors = run.communicate(timeout=GUARD_S)
    assert (run.returncode, "a named pipe" in errors) == (5, True)


@pytest.mark.attack("a sparse file of 3 TB in the place of a dataset's file")
@pytest.mark.parametrize(
    ("name", "code"),
    [("dataset.json", 5), ("forget.json", 5), ("frames", 8), ("masks", 8), ("sources", 8)],
)
def test_huge_files(name: str, code: int, out: Path, segpipe: Call) -> None:
    path = place(out, name)
    with path.open("wb") as file:
        file.truncate(HUGE)
    found, text, errors = segpipe("verify", out)
    assert found == code
    assert "more than 16 MiB" in errors if code == 5 else "broken file" in text


@pytest.mark.attack("a footer that says that it is 3 GB long")
def test_a_long_footer(out: Path, segpipe: Call) -> None:
    path = place(out, "frames")
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.truncate(3 * 2**30 + 100)
        file.seek(0, os.SEEK_END)
        file.write((3 * 2**30).to_bytes(4, "little") + b"PAR1")
    code, text, _ = segpipe("verify", out)
    assert (code, "its footer says that it is 3221225472 bytes long" in text) == (8, True)


def changed(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | changes


def with_model(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | {"model": content["model"] | changes}


def with_class(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    def change(content: dict[str, Any]) -> Any:
        first, *others = content["model"]["classes"]
        return with_model(classes=[first | changes, *others])(content)

    return change


CLASS = {"id": 0, "name": "a", "colour": [0, 0, 0]}
MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda content: [content],
    "no model": lambda content: {k: v for k, v in content.items() if k != "model"},
    "no sampling": lambda content: {k: v for k, v in content.items() if k != "sampling"},
    "no classes": with_model(classes=[]),
    "a model of text": changed(model="fake:"),
    "a sampling of text": changed(sampling="all"),
    "256 classes": with_model(classes=[CLASS | {"id": i} for i in range(256)]),
    "a million classes": with_model(classes=[CLASS] * 1_000_000),
    "classes that are numbers": with_model(classes=[1, 2]),
    "a colour that is none": with_class(colour=[0, 0, 1e300]),
    "a colour above 255": with_class(colour=[0, 0, 256]),
    "a colour below 0": with_class(colour=[0, -1, 0]),
    "a colour of two": with_class(colour=[0, 0]),
    "an id that is no place": with_class(id=7),
    "a class without a name": with_class(name=""),
    "a name of a megabyte": with_class(name="a" * 2**20),
    "no shards": changed(frames_per_shard=0),
    "nested": changed(more=json.loads("[" * 60 + "]" * 60)),
    "a version of text": changed(schema_version={"a": "b" * 10_000}),
}


@pytest.mark.attack("a manifest that segpipe never wrote")
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(name: str, made: Path, out: Path, segpipe: Call) -> None:
    path = out / "dataset.json"
    path.write_text(json.dumps(MANIFESTS[name](json.loads(path.read_text()))))
    for command in ("info", "run", "verify --repair", "export", "migrate"):
        code, _, errors = segpipe(*arguments(command, made, out, out.parent / "work"))
        assert (code, errors.count("\n")) == (5, 1) or command == "migrate", (command, errors)
        assert len(errors) < 2000


@pytest.mark.attack("JSON that is nested 200,000 deep")
@pytest.mark.parametrize("name", ["dataset.json", "forget.json"])
def test_nested_json(name: str, out: Path, segpipe: Call) -> None:
    (out / name).write_text(DEEP)
    code, _, errors = segpipe("info", out)
    assert (code, errors.count("\n")) == (5, 1)
    assert "nested more than" in errors


@pytest.mark.attack("a record whose values are of other kinds")
@pytest.mark.parametrize(
    "changes",
    [
        {"frames": "9" * 30},
        {"frames": 10**30},
        {"failed": None},
        {"files": []},
        {"files": [[1, 2, 3, 4, 5]]},
        {"files": [["a", "b", 3, "d", "e"]]},
        {"files": "words"},
        {"failed_files": [1]},
        {"chosen": ["a"]},
        {"facts": 5},
        {"source": {"source_id": "a", "kind": "video", "uri": 5}},
        {"source": "words"},
        {"name": "../../victim"},
    ],
)
def test_records(changes: dict[str, Any], made: Path, out: Path, segpipe: Call) -> None:
    with_record(next((out / "frames").glob("*-0000*")), **changes)
    for command in ("info", "run", "forget", "overlay"):
        code, _, errors = segpipe(*arguments(command, made, out, out.parent / "work"))
        assert (code, errors.count("\n")) == (5, 1), (command, errors)
        assert "not a whole shard" in errors


@pytest.mark.attack("a mark of forget that names files elsewhere")
def test_a_mark_that_leads_out(made: Path, out: Path, segpipe: Call) -> None:
    (out.parent / "victim.parquet").write_text("mine")
    mark = {"source_id": "../../victim", "shards": ["../../victim"], "frames": 1, "file_id": ""}
    (out / "forget.json").write_text(json.dumps(mark))
    for command in ("run", "forget", "verify --repair"):
        assert segpipe(*arguments(command, made, out, out.parent / "work"))[0] == 5
    assert (out.parent / "victim.parquet").read_text() == "mine"
