"""A dataset says where its footage lies; only what the user's own runs read, or what he names, is
opened."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.core.errors import DatasetError
from segpipe.sources.fingerprint import fingerprint
from segpipe.store.footage_roots import MOST_ROOTS, is_within, note_roots, noted_roots
from tests.attacks.strangers import JOB, copied, make
from tests.damage import put, rewrite, texts, with_record

Call = Callable[..., tuple[int, str, str]]
BLUE = (10, 20, 230)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("footage"))


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A picture of the user's, all blue."""
    path = tmp_path / "secret" / "private.png"
    path.parent.mkdir()
    Image.new("RGB", (160, 96), BLUE).save(path)
    return path


def name_footage(out: Path, uri: str, private: Path) -> None:
    """The stranger's records and addresses say that all footage is this file: he has guessed its
    size, its time and its content."""
    state = private.stat()
    key = fingerprint(private, state.st_size).key
    shutil.rmtree(out / "addresses")
    shutil.rmtree(out / "index")
    for path in sorted((out / "frames").iterdir()):
        if not path.name.startswith("images"):
            for table in ("frames", "masks", "class_stats"):
                (out / table / path.name).unlink()
            continue
        record = json.loads(texts(path)[b"segpipe.shard"])
        source = record["source"] | {"uri": os.path.dirname(uri)}
        files = [[key, state.st_size, state.st_mtime_ns, uri, ""]]
        old = record["files"][0][0]
        with_record(path, files=files, frames=1, source=source)
        for table in ("frames", "masks", "class_stats"):
            part = out / table / path.name
            said = texts(part)
            rows = pq.read_table(part, partitioning=None)
            mine = [i.endswith(old) for i in rows["frame_id"].to_pylist()]
            pq.write_table(rows.filter(mine).replace_schema_metadata(said), part)
            rewrite(part, put("frame_id", 0, f"{record['source']['source_id']}:{key}"))


def pictures(page: Path) -> list[np.ndarray[Any, Any]]:
    """The stills of a page."""
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def shows_blue(picture: np.ndarray[Any, Any]) -> bool:
    return bool((picture[..., 2] > picture[..., 0].astype(int) + 60).mean() > 0.2)


@pytest.fixture(params=["absolute", "dotted", "below a link"])
def stranger(request: pytest.FixtureRequest, made: Path, tmp_path: Path, private: Path) -> Path:
    """A dataset whose records name the private picture, in one way or another."""
    out = copied(made, tmp_path / "mail" / "out")
    ways = {
        "absolute": str(private),
        "dotted": f"{out}/../../secret/{private.name}",
        "below a link": f"{tmp_path}/link/{private.name}",
    }
    (tmp_path / "link").symlink_to(private.parent)
    name_footage(out, ways[request.param], private)
    return out


@pytest.mark.attack("a record names a private picture, and a report shows it")
def test_a_report_shows_nothing_private(stranger: Path, tmp_path: Path, segpipe: Call) -> None:
    page = tmp_path / "page.html"
    code, text, errors = segpipe("report", stranger, "-o", page)
    assert (code, text.endswith("0 stills\n"), errors.count("\n")) == (0, True, 1)
    assert "isn't opened: the dataset names it" in errors
    assert "--footage" in errors
    assert not pictures(page)


@pytest.mark.attack("a record names a private picture, and an overlay shows it")
def test_an_overlay_shows_nothing_private(stranger: Path, tmp_path: Path, segpipe: Call) -> None:
    code, _, errors = segpipe("overlay", stranger, "-o", tmp_path / "video.mp4")
    assert (code, errors.count("\n")) == (5, 1)
    assert "isn't opened: the dataset names it" in errors
    assert not (tmp_path / "video.mp4").exists()


@pytest.mark.attack("a record names a private picture, and verify --footage opens it")
def test_verify_opens_nothing_private(
    stranger: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret" / "other.txt").write_text("a name")
    opened: list[str] = []
    monkeypatch.setattr("segpipe.verify.footage.not_read_in", lambda p: opened.append(str(p)))
    monkeypatch.setattr("segpipe.verify.footage.what_changed", lambda *a: opened.append(str(a)))
    _, text, _ = segpipe("verify", stranger, "--footage")
    assert "1 source not compared" in text
    assert not opened


def test_the_attack_works_where_the_user_names_the_folder(
    stranger: Path, private: Path, tmp_path: Path, segpipe: Call
) -> None:
    """So the tests above attack in earnest: with --footage it is shown, as he asked."""
    page = tmp_path / "page.html"
    code, _, errors = segpipe("report", stranger, "-o", page, "--footage", private.parent)
    assert (code, errors) == (0, "")
    assert [shows_blue(picture) for picture in pictures(page)] == [True]


@pytest.mark.attack("a record names a pipe as footage")
def test_a_pipe_as_footage(made: Path, tmp_path: Path, private: Path, segpipe: Call) -> None:
    out = copied(made, tmp_path / "out")
    name_footage(out, str(tmp_path / "pipe" / "a.png"), private)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "a.png")
    note_roots(out, [str(tmp_path / "pipe")])
    code, text, _ = segpipe("report", out, "-o", tmp_path / "page.html")
    assert (code, text.endswith("0 stills\n")) == (0, True)
    assert segpipe("overlay", out, "-o", tmp_path / "video.mp4")[0] == 5
    assert segpipe("verify", out, "--footage")[0] in (0, 8)


@pytest.mark.attack("a stranger's note of footage roots lies in his dataset")
def test_a_note_in_the_dataset_counts_for_nothing(stranger: Path, tmp_path: Path) -> None:
    note = {"dataset": str(stranger), "roots": ["/", str(tmp_path)]}
    (stranger / "roots.json").write_text(json.dumps(note))
    dataset = open_dataset(stranger)
    assert not any(dataset.may_open(r) for r in dataset.records())


def test_what_lies_within_roots(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "out").symlink_to(tmp_path)
    roots = frozenset({str(tmp_path / "card")})
    for uri, within in [
        ("card/a.mp4", True),
        ("card/deep/a.mp4", True),
        ("card", True),
        ("card2/a.mp4", False),
        ("card/../a.mp4", False),
        ("card/out/a.mp4", False),
        ("a.mp4", False),
    ]:
        assert is_within(f"{tmp_path}/{uri}", roots) is within, uri
    assert not is_within("card/a.mp4", roots)
    assert is_within("/anything", frozenset({"/"}))


def test_own_footage_is_shown_without_asking(made: Path, tmp_path: Path, segpipe: Call) -> None:
    """The honest cases: one's own dataset, its second run, its footage elsewhere."""
    page, out = tmp_path / "page.html", tmp_path / "out"
    footage = shutil.copytree(made / "footage", tmp_path / "card")
    assert segpipe("run", footage, "-o", out, *JOB)[0] == 0
    code, text, errors = segpipe("report", out, "-o", page)
    assert (code, errors, len(pictures(page))) == (0, "", 3), text
    assert segpipe("overlay", out, "-o", tmp_path / "video.mp4")[0] == 0
    with av.open(str(tmp_path / "video.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0))
    assert "not compared" not in segpipe("verify", out, "--footage")[1]
    footage.rename(tmp_path / "archive")
    assert segpipe("relocate", out, footage, tmp_path / "archive")[0] == 0
    code, _, errors = segpipe("report", out, "-o", page, "--force")
    assert (code, "isn't opened" in errors, len(pictures(page))) == (0, False, 3)


def test_a_copied_dataset_asks_for_the_folder(made: Path, tmp_path: Path, segpipe: Call) -> None:
    out = copied(made, tmp_path / "copy")
    code, _, errors = segpipe("overlay", out, "-o", tmp_path / "video.mp4")
    assert (code, "--footage" in errors) == (5, True)
    flag = ("--footage", made / "footage")
    assert segpipe("overlay", out, "-o", tmp_path / "video.mp4", *flag)[0] == 0


def test_a_single_file_opens_no_neighbours(made: Path, tmp_path: Path, segpipe: Call) -> None:
    out = tmp_path / "out"
    assert segpipe("run", made / "footage" / "clip.mp4", "-o", out, *JOB)[0] == 0
    assert noted_roots(out) == [str(made / "footage" / "clip.mp4")]


def test_a_state_folder_that_cant_be_written_costs_nothing(
    made: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    out = tmp_path / "out"
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] == 0
    dataset = open_dataset(out)  # within one process, as in a flow
    assert all(dataset.may_open(r) for r in dataset.records())


def test_notes_are_the_users_and_stay_short(tmp_path: Path) -> None:
    out = tmp_path / "out"
    note_roots(out, [str(tmp_path / "card"), str(tmp_path / "card" / "deep")])
    many = [tmp_path / "many" / f"{i}.mp4" for i in range(MOST_ROOTS + 1)]
    (tmp_path / "many").mkdir()
    for path in many:
        path.touch()
    note_roots(out, map(str, many))
    found = noted_roots(out)
    assert str(tmp_path / "card") in found
    (note,) = Path(os.environ["XDG_STATE_HOME"]).rglob(f"*{_name(out)}*")
    assert json.loads(note.read_text())["roots"] == [str(tmp_path / "card"), f"{tmp_path}/many"]
    assert note.parent.stat().st_mode & 0o077 == 0


def _name(out: Path) -> str:
    from segpipe.store.footage_roots import _file

    return _file(out).name


@pytest.mark.attack("footage is asked for in Python, from a stranger's dataset")
def test_python_asks_too(stranger: Path, private: Path) -> None:
    from segpipe.analysis.report.overlay import segmented, source_ids

    dataset = open_dataset(stranger)
    with pytest.raises(DatasetError, match="isn't opened"):
        list(segmented(dataset, source_ids(dataset)[0]))
    named = open_dataset(stranger, (str(private.parent),))
    (one,) = segmented(named, source_ids(named)[0])
    assert tuple(one.rgb[0, 0]) == BLUE
