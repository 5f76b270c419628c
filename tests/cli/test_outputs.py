"""Commands that write files overwrite nothing unasked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.cli import parser
from segpipe.core.errors import DatasetError
from segpipe.training.sample import DriveSettings, render_drive
from tests.footage import make_video
from tests.synthetic import Clip, along, write_dataset

Call = Callable[..., tuple[int, str, str]]
SHARES = {("frame", "road"): 0.5, ("frame", "tree"): 0.2}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A dataset in which something was in sight for five seconds."""
    write_dataset(tmp_path / "out", [Clip("one", 50, SHARES, **along(range(50)))])
    return tmp_path / "out"


COMMANDS = [
    (
        ("events", "out", "--where", "class = 'road' and region = 'frame'"),
        ("-o",),
        "events.parquet",
    ),
    (("aggregate", "out", "--by", "metres:20"), ("-o", "first.geojson"), "layer.parquet"),
    (("aggregate", "out", "--by", "metres:20"), ("--picture",), "green.png"),
    (("diff", "out", "out", "--by", "h3:9"), ("-o",), "change.geojson"),
]


@pytest.mark.parametrize(
    ("command", "flags", "name"), COMMANDS, ids=lambda v: v if isinstance(v, str) else None
)
def test_a_file_that_is_there_is_kept(
    command: tuple[str, ...],
    flags: tuple[str, ...],
    name: str,
    out: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(out.parent)
    Path(name).write_text("mine")
    code, printed, errors = segpipe(*command, *flags, name)
    assert code == 2
    assert (
        errors == f"segpipe: {name}: already there; --force overwrites it, or name another file\n"
    )
    assert printed == ""
    assert Path(name).read_text() == "mine"
    assert not Path("first.geojson").exists()
    code, _, errors = segpipe(*command, *flags, name, "--force")
    assert code == 0
    assert f"segpipe: {name} is overwritten\n" in errors
    assert Path(name).read_bytes() != b"mine"
    code, _, errors = segpipe(*command, *flags, f"new-{name}", "--force")
    assert code == 0
    assert "is overwritten" not in errors.replace("first.geojson is overwritten", "")


def test_overlays_models_and_reports_are_kept(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4", frames=3)
    segpipe("run", "clip.mp4", "-o", "out", "--set", "model.source=fake:", "-q")
    film = (tmp_path / "clip.mp4").read_bytes()
    for name in ("model.onnx", "report.html"):
        Path(name).write_text("mine")
    overlay = ("overlay", "out", "-o", "clip.mp4")
    for command, name in (
        (overlay, "clip.mp4"),
        (("export", "fake:"), "model.onnx"),
        (("report", "out"), "report.html"),
    ):
        code, _, errors = segpipe(*command)
        assert (code, f"{name}: already there; --force overwrites it" in errors) == (2, True)
    assert (tmp_path / "clip.mp4").read_bytes() == film
    assert Path("model.onnx").read_text() == Path("report.html").read_text() == "mine"
    assert segpipe("report", "out", "--force")[0] == 0
    assert Path("report.html").read_text().startswith("<!")
    assert segpipe("overlay", "out", "-o", "film.mp4")[0] == 0
    assert segpipe("overlay", "out", "-o", "film.mp4")[0] == 2
    assert segpipe("overlay", "out", "-o", "film.mp4", "--force")[0] == 0
    code, _, errors = segpipe("overlay", "out", "-o", "out", "--force")
    assert (code, errors) == (2, "segpipe: out: a folder; name a file\n")


def test_a_folder_with_results_is_kept(tmp_path: Path, segpipe: Call) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "classes.parquet").touch()
    for command in (("evaluate", "fake:", tmp_path), ("compare", "fake:", "fake:", tmp_path)):
        code, _, errors = segpipe(*command, "-o", tmp_path / "results")
        assert code == 2
        assert (
            "the folder isn't empty; --force overwrites results in it, or name another folder"
            in errors
        )


def test_a_sample_is_not_rendered_among_other_things(tmp_path: Path, segpipe: Call) -> None:
    own = tmp_path / "own"
    (own / "labels").mkdir(parents=True)
    (own / "labels" / "000000.png").write_text("years of work")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.doc").touch()
    for folder, named in ((own, "labels"), (tmp_path / "thesis", "chapter.doc")):
        for force in ((), ("--force",)):
            code, _, errors = segpipe("sample", folder, "--seconds", "0.2", *force)
            assert code == 2
            assert f"the folder holds other things ({named}); name a new folder" in errors
    assert (own / "labels" / "000000.png").read_text() == "years of work"
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.doc"]
    drive = tmp_path / "new" / "drive"
    assert segpipe("sample", drive, "--seconds", "0.2")[0] == 0
    code, _, errors = segpipe("sample", drive, "--seconds", "0.1")
    assert (code, "--force overwrites results in it" in errors) == (2, True)
    assert len(list((drive / "labels").glob("*.png"))) == 3
    assert segpipe("sample", drive, "--seconds", "0.1", "--force")[0] == 0
    assert len(list((drive / "labels").glob("*.png"))) == 2


def test_a_sample_overwrites_only_what_a_sample_wrote(tmp_path: Path, segpipe: Call) -> None:
    drive = tmp_path / "drive"
    images = drive / "images"
    render = ("sample", drive, "--seconds", "0.1", "--force")
    assert segpipe(*render)[0] == 0
    images.mkdir()
    for name in ("000000.jpg", "holiday.jpg"):
        (images / name).write_text("mine")
    code, _, errors = segpipe(*render, "--images")
    assert (code, "the folder holds other things (images); name" in errors) == (2, True)
    assert segpipe(*render)[0] == 0  # it has no use for the folder
    assert {p.read_text() for p in images.iterdir()} == {"mine"}
    with pytest.raises(DatasetError, match=r"images: wasn't written by segpipe sample; name a"):
        render_drive(drive, DriveSettings(seconds=0.1, images=True))
    assert {p.read_text() for p in images.iterdir()} == {"mine"}
    shutil.rmtree(images)
    assert segpipe(*render, "--images")[0] == 0
    assert len(list(images.glob("*.jpg"))) == 2
    for name in ("images/holiday.jpg", "labels/notes.txt"):
        (drive / name).write_text("mine")
        code, _, errors = segpipe(*render, "--images")
        assert (code, f"the folder holds other things ({name}); name" in errors) == (2, True)
        (drive / name).unlink()
    assert segpipe(*render)[0] == 0
    assert not list(images.glob("*.jpg"))  # of the drive before


def test_every_command_with_an_output_file_has_the_flag() -> None:
    """Those that go on where they were stopped, a dataset and a training run, excepted; relocate
    has one of another meaning."""
    (commands,) = (a.choices for a in parser()._actions if a.dest == "command")
    for name, command in (commands or {}).items():
        flags = {flag for action in command._actions for flag in action.option_strings}
        assert ("--force" in flags) == (
            bool(flags & {"-o", "--picture"}) or name == "sample"
        ) or name in {"run", "train", "relocate"}, name
        assert "--debug" in flags


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    out: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out.parent)
    Path("file").touch()
    where = ("--where", "class = 'road' and region = 'frame'")
    commands: list[tuple[tuple[str, ...], str]] = [
        (("events", "out", *where, "-o"), "events.geojson"),
        (("aggregate", "out", "--by", "metres:20", "-o"), "layer.parquet"),
        (("aggregate", "out", "--by", "metres:20", "--picture"), "green.png"),
        (("report", "out", "-o"), "report.html"),
        (("overlay", "out", "-o"), "film.mp4"),
        (("export", "fake:", "-o"), "model.onnx"),
        (("evaluate", "fake:", ".", "--taxonomy", "camvid", "-o"), "results"),
    ]
    for command, name in commands:
        code, printed, errors = segpipe(*command, f"file/{name}")
        assert (code, printed) == (5, ""), command
        assert (
            errors
            == f"segpipe: file/{name}: can't be written ({Path('file').resolve()} is a file, not "
            "a folder); choose another place\n"
        )
    code, _, errors = segpipe("evaluate", "fake:", ".", "--taxonomy", "camvid", "-o", "file")
    assert (code, errors) == (
        5,
        "segpipe: file: can't be written (it is a file, not a folder); name a folder\n",
    )
    Path("link.geojson").symlink_to("nowhere.geojson")
    assert segpipe("events", "out", *where, "-o", "link.geojson")[0] == 2
    assert Path("link.geojson").is_symlink()


def test_a_picture_that_cannot_be_written_is_one_line(out: Path, segpipe: Call) -> None:
    code, _, errors = segpipe(
        "aggregate", out, "--by", "metres:20", "--picture", "/proc/nowhere/green.png"
    )
    assert code == 5
    assert "segpipe: /proc/nowhere/green.png: can't be written (" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments",
    [("events", "out", "--where", "true", "-o", ""), ("sample", ""), ("report", "out", "-o", " ")],
)
def test_an_empty_name_is_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2
    assert "the name is empty; give a file or folder" in capsys.readouterr().err
