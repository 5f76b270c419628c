"""Whatever is missing, duplicated or wrong in a dataset is found; a repair and another run make it
what it was."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from segpipe.cli import main
from segpipe.store import exclusive
from segpipe.store.footage_roots import note_roots
from segpipe.store.schema import SCHEMA_VERSION
from segpipe.verify import verify
from segpipe.verify.findings import (
    BROKEN,
    DUPLICATED,
    FOREIGN,
    HALF,
    LEFTOVER,
    MISSING,
    NOTE,
    ORPHAN,
    WRONG_MASK,
    WRONG_ROWS,
    WRONG_STATISTICS,
)
from tests.damage import put, rewrite, stream_dataset, twice, with_record, without, without_frame
from tests.footage import make_video, picture
from tests.pipeline.test_run import snapshot
from tests.wording import disagreeing

Call = Callable[..., tuple[int, str, str]]
JOB = (
    "--set",
    "model.source=fake:",
    "--set",
    "store.frames_per_shard=3",
    "--set",
    "ignore_regions=[[[0,0.8],[1,0.8],[1,1],[0,1]]]",
    "-q",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with footage and the dataset of it: a video of four shards, five photos in two, and
    a bad file of each kind."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "footage" / "stills").mkdir(parents=True)
    make_video(folder / "footage" / "clip.mp4", frames=12, gop=3)
    (folder / "footage" / "broken.mp4").write_text("these are words\n")
    for i, size in enumerate([(160, 96), (160, 96), (96, 160), (160, 96)]):
        Image.fromarray(picture(i, *size)).save(folder / "footage" / "stills" / f"{i}.png")
    (folder / "footage" / "stills" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    assert main(["run", str(folder / "footage"), "-o", str(folder / "out"), *JOB]) == 6
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, to be damaged."""
    return shutil.copytree(made / "out", tmp_path / "out")


def part(out: Path, table: str, number: int = 1) -> Path:
    """The n-th shard of the video in a table."""
    return sorted((out / table).glob("*-0000*-0000*.parquet"))[number]


def source_file(out: Path) -> Path:
    """The row of the video in `sources`."""
    return out / "sources" / f"{part(out, 'frames').stem.partition('-')[0]}.parquet"


def stills(out: Path, table: str = "frames") -> Path:
    """The shard of photos in which one failed."""
    paths = sorted((out / "frames").glob("images-*.parquet"))
    return (
        out / table / next(p for p in paths if (pd.read_parquet(p)["status"] == "error").any()).name
    )


def test_a_whole_dataset_is_accounted_for(made: Path, segpipe: Call) -> None:
    report = verify(made / "out", footage=True)
    assert not report.findings
    counts = {Path(s.uri).stem: (s.expected, s.done, s.failed, s.missing) for s in report.sources}
    assert counts == {"broken": (1, 0, 1, 0), "clip": (12, 12, 0, 0), "stills": (5, 4, 1, 0)}
    assert (report.frames, report.shards, report.sampled) == (18, 7, 16)
    code, text, _ = segpipe("verify", made / "out")
    assert code == 0
    for said in (
        "expected 12, done 12, failed 0",
        "1 × can't be read as a video",
        "accounted for; 2 frames failed",
    ):
        assert said in text
    assert json.loads(segpipe("verify", made / "out", "--json")[1])["complete"] is True


def delete(*tables: str) -> Callable[[Path], None]:
    return lambda out: [part(out, t).unlink() for t in tables] and None


def change(table: str, how: Callable[..., object]) -> Callable[[Path], None]:
    return lambda out: rewrite(part(out, table), how)  # type: ignore[arg-type]


def cut_off(table: str) -> Callable[[Path], None]:
    return lambda out: os.truncate(part(out, table), part(out, table).stat().st_size // 2)


def rename_shard(out: Path) -> None:
    for table in ("frames", "masks", "class_stats"):
        path = part(out, table)
        path.rename(path.with_name(path.name.replace("-00000003-", "-00000004-")))


def copy_shard(out: Path) -> None:
    """The same frames in a second shard, whole and with a record that is right."""
    for table in ("masks", "class_stats"):
        path = part(out, table)
        shutil.copy(
            path, path.with_name(path.name.replace("-00000003-00000006", "-00000003-00000009"))
        )
    path = part(out, "frames")
    name = path.stem.replace("-00000003-00000006", "-00000003-00000009")
    with_record(path, path.with_name(f"{name}.parquet"), name=name)


def extra_column(out: Path) -> None:
    rewrite(part(out, "class_stats"), lambda t: t.append_column("mine", [list(range(t.num_rows))]))


def forget_record(out: Path) -> None:
    rewrite(
        part(out, "frames"),
        lambda t: t.replace_schema_metadata({"segpipe.schema_version": str(SCHEMA_VERSION)}),
    )


def mask_of_failed(out: Path) -> None:
    failed = pd.read_parquet(stills(out)).query("status == 'error'")["frame_id"].iloc[0]
    rewrite(stills(out, "masks"), put("frame_id", 0, failed))


def other_labels(out: Path) -> None:
    rewrite(
        part(out, "masks"), put("values", 1, lambda v: [3 if label != 255 else 255 for label in v])
    )


def swap_values(out: Path) -> None:
    """As many values as lengths in all, but not in each mask."""

    def change(table: pa.Table) -> pa.Table:
        lists = table["values"].to_pylist()
        lists[0], lists[1] = [*lists[0], lists[1][0]], lists[1][1:]
        field = table.schema.field("values")
        return table.set_column(
            table.schema.get_field_index("values"), field, pa.array(lists, field.type)
        )

    rewrite(part(out, "masks"), change)


def count_what_is_ignored(out: Path) -> None:
    rewrite(
        part(out, "masks"),
        put("values", 0, lambda v: [0 if label == 255 else label for label in v]),
    )


def delete_stills(out: Path) -> None:
    for table in ("masks", "class_stats", "frames"):  # the last one tells which shard it is
        stills(out, table).unlink()


DAMAGE = [
    ("no masks", delete("masks"), HALF, "its masks file isn't there"),
    ("no statistics", delete("class_stats"), HALF, "its class_stats file isn't there"),
    ("neither", delete("class_stats", "masks"), HALF, "its class_stats and masks file isn't there"),
    ("no frames", delete("frames"), ORPHAN, "its frames file isn't there"),
    (
        "no shard",
        delete("frames", "masks", "class_stats"),
        MISSING,
        "no row for 3 of 12 frames; 3 of 4 shards present",
    ),
    ("leftover", lambda out: (out / "masks" / "clip-1.parquet.tmp").touch(), LEFTOVER, "killed"),
    (
        "leftover source",
        lambda out: (out / "sources" / "clip-1.parquet.tmp").touch(),
        LEFTOVER,
        "killed",
    ),
    ("cut off masks", cut_off("masks"), BROKEN, "can't be read"),
    ("cut off statistics", cut_off("class_stats"), BROKEN, "can't be read"),
    (
        "words",
        lambda out: part(out, "frames").write_text("words" * 99) and None,
        BROKEN,
        "can't be read",
    ),
    ("no record", forget_record, BROKEN, "not a whole shard"),
    ("another name", rename_shard, BROKEN, "it calls itself"),
    ("more columns", extra_column, BROKEN, "has more mine"),
    (
        "broken source",
        lambda out: os.truncate(source_file(out), 99),
        BROKEN,
        "can't be read",
    ),
    (
        "fewer rows",
        change("frames", without(2)),
        WRONG_ROWS,
        "frames: 3 by its record, 2 by its rows",
    ),
    (
        "a row twice",
        change("frames", twice(2)),
        DUPLICATED,
        "1 row with a frame_id that another row has too",
    ),
    ("a shard twice", copy_shard, DUPLICATED, "3 frames in common with "),
    (
        "statistics twice",
        change("class_stats", twice(0)),
        DUPLICATED,
        "1 row with a frame, region and class",
    ),
    ("a mask twice", change("masks", twice(0)), DUPLICATED, "1 frame with more than one mask"),
    ("no mask", change("masks", without(1)), WRONG_ROWS, "1 ok frame without a mask"),
    (
        "frame without statistics",
        change("class_stats", without_frame(4)),
        WRONG_ROWS,
        "1 ok frame without statistics",
    ),
    (
        "unknown status",
        change("frames", put("status", 0, "fine")),
        WRONG_ROWS,
        "neither ok nor error",
    ),
    (
        "failure without words",
        lambda out: rewrite(stills(out), put("error", -1, None)),
        WRONG_ROWS,
        "doesn't say why",
    ),
    (
        "another class of error",
        lambda out: rewrite(stills(out), put("error_class", -1, "odd")),
        WRONG_ROWS,
        "neither transient",
    ),
    (
        "no size",
        change("frames", put("width", 0, None)),
        WRONG_ROWS,
        "no width, height or valid_pixels",
    ),
    (
        "another source",
        change("frames", put("source_id", 0, "x-0123456789")),
        WRONG_ROWS,
        "a source_id is not the shard's",
    ),
    (
        "another id",
        change("frames", put("frame_id", 0, "x:00000003")),
        WRONG_ROWS,
        "a frame_id is not of its source",
    ),
    (
        "another index",
        change("frames", put("frame_index", 0, 7)),
        WRONG_ROWS,
        "frame_index isn't ascending within 3 to 6",
    ),
    (
        "id of another index",
        change("frames", put("frame_id", 0, lambda v: v[:-1] + "4")),
        DUPLICATED,
        "1 row with a frame_id",
    ),
    (
        "a mask of nothing",
        change("masks", put("frame_id", 0, "x")),
        WRONG_ROWS,
        "1 row of no ok frame",
    ),
    ("a mask of a failed frame", mask_of_failed, WRONG_ROWS, "1 row of no ok frame"),
    (
        "mask of another source",
        change("masks", put("source_id", 0, "x")),
        WRONG_ROWS,
        "1 row with a source_id",
    ),
    (
        "mask of another index",
        change("masks", put("frame_index", 0, 5)),
        WRONG_ROWS,
        "1 row with another frame_index",
    ),
    (
        "statistics of another source",
        change("class_stats", put("source_id", 0, "x")),
        WRONG_ROWS,
        "1 row with a source_id",
    ),
    (
        "another height",
        change("masks", put("height", 0, 95)),
        WRONG_MASK,
        "1 mask with another size",
    ),
    (
        "too many values",
        change("masks", put("values", 0, lambda v: [*v, 1])),
        WRONG_MASK,
        "more values than lengths",
    ),
    ("swapped values", swap_values, WRONG_STATISTICS, "lengths of 15360 pixels don't fill"),
    (
        "a length",
        change("masks", put("lengths", 0, lambda v: [v[0] + 1, *v[1:]])),
        WRONG_MASK,
        "don't fill height",
    ),
    (
        "a count",
        change("class_stats", put("pixel_count", 0, lambda n: n - 1)),
        WRONG_STATISTICS,
        "doesn't add up to valid_pixels",
    ),
    (
        "a fraction",
        change("class_stats", put("pixel_fraction", 0, lambda n: n * 0.9)),
        WRONG_STATISTICS,
        "isn't count / valid",
    ),
    (
        "the frame's pixels",
        change("frames", put("valid_pixels", 0, 5)),
        WRONG_STATISTICS,
        "other valid_pixels than",
    ),
    (
        "an unknown region",
        change("class_stats", put("region", 0, "moon")),
        WRONG_STATISTICS,
        "a region that the dataset",
    ),
    (
        "an unknown class",
        change("class_stats", put("class_id", 0, 9)),
        WRONG_STATISTICS,
        "a class that the model doesn't have",
    ),
    (
        "another class name",
        change("class_stats", put("class_name", 0, "blue")),
        WRONG_STATISTICS,
        "a class_name other than",
    ),
    ("a box", change("class_stats", put("x_max", 0, lambda n: n - 1)), WRONG_STATISTICS, "x_max"),
    (
        "a centroid",
        change("class_stats", put("centroid_y", 0, lambda n: n + 0.01)),
        WRONG_STATISTICS,
        "centroid_y",
    ),
    (
        "components",
        change("class_stats", put("components", 0, lambda n: n + 1)),
        WRONG_STATISTICS,
        "components",
    ),
    (
        "the largest",
        change("class_stats", put("largest_component_fraction", 0, 0.5)),
        WRONG_STATISTICS,
        "largest_component",
    ),
    (
        "its box",
        change("class_stats", put("largest_y_max", 0, lambda n: n + 1)),
        WRONG_STATISTICS,
        "largest_y_max",
    ),
    ("other labels", other_labels, WRONG_STATISTICS, "blue in far: no row, but pixels"),
    (
        "ignored pixels",
        count_what_is_ignored,
        WRONG_STATISTICS,
        "pixels that don't count have a class",
    ),
    (
        "failed photos",
        lambda out: with_record(stills(out), failed=0),
        WRONG_ROWS,
        "failed: 0 by its record, 1 by its rows",
    ),
    ("no photo", lambda out: delete_stills(out), MISSING, "no row for"),
]
HEALED = {
    "no masks",
    "no frames",
    "no shard",
    "leftover",
    "words",
    "another name",
    "broken source",
    "a shard twice",
    "no photo",
    "a box",
}
"""Of each way in which a repair takes something out, one goes the whole way: another run, and the
same dataset again."""


@pytest.mark.parametrize(("name", "damage", "kind", "said"), DAMAGE, ids=[d[0] for d in DAMAGE])
def test_damage_is_found_repaired_and_filled(
    name: str,
    damage: Callable[[Path], None],
    kind: str,
    said: str,
    made: Path,
    out: Path,
    segpipe: Call,
) -> None:
    damage(out)
    found = [f for f in verify(out).wrong if f.kind == kind]
    assert any(said in f.said for f in found), [f.said for f in verify(out).wrong]
    assert not [words for f in found for words in disagreeing(f.said)]
    code, text, _ = segpipe("verify", out)
    assert (code, said in text) == (8, True)
    segpipe("verify", out, "--repair")
    assert {f.kind for f in verify(out).wrong} <= {MISSING}
    if name in HEALED:
        assert segpipe("run", made / "footage", "-o", out, *JOB)[0] in (0, 6)
        assert not verify(out, footage=True).wrong
        assert snapshot(out) == snapshot(made / "out")


ALL = {"verify", "report", "info"}
SETTINGS = {
    "regions": {"verify", "report"},
    "ignore_regions": {"verify", "report"},
    "sampling": ALL,
    "frames_per_shard": {"verify"},
    "model": ALL,
    "model.classes": ALL,
    "model.digest": {"report", "info"},
}
"""Keys of dataset.json, each with the commands that can't do without it."""


@pytest.mark.parametrize("key", SETTINGS)
def test_a_missing_or_odd_key_of_the_manifest_is_named(
    key: str, out: Path, tmp_path: Path, segpipe: Call
) -> None:
    commands = {
        "verify": ("verify", out, "--footage", "--repair"),
        "report": ("report", out, "-o", tmp_path / "report.html", "--force"),
        "info": ("info", out),
    }
    manifest = json.loads((out / "dataset.json").read_text())
    *above, last = key.split(".")
    holder = manifest[above[0]] if above else manifest
    del holder[last]
    for said in (f"the key {key}", f"(the key )?{key}"):  # missing, then odd
        (out / "dataset.json").write_text(json.dumps(manifest))
        for name in sorted(SETTINGS[key]):
            code, _, errors = segpipe(*commands[name])
            assert code == 5
            assert re.search(rf"dataset\.json: {said}", errors), (name, errors)
            assert "restore the file from a copy, or make the dataset anew" in errors
        if key == "model.digest":  # any text is one
            break
        holder[last] = [["odd"]]


def test_what_the_records_of_a_video_contradict_is_told(out: Path) -> None:
    with_record(part(out, "frames"), expected=13, siblings=5)
    said = " ".join(f.said for f in verify(out).wrong)
    assert "its shards disagree on the number of shards: 4, 5" in said
    assert "its shards disagree on the number of expected frames: 12, 13" in said
    with_record(part(out, "frames"), expected=12, siblings=4, start=2)
    (overlap,) = [f for f in verify(out).wrong if f.kind == DUPLICATED]
    assert "holds frames 2 to 6 of the packet index" in overlap.said


def test_a_source_without_any_row_is_missing(out: Path, segpipe: Call) -> None:
    for table in ("frames", "masks", "class_stats"):
        for path in (out / table).glob("*-0000*"):
            path.unlink()
    (missing,) = verify(out).wrong
    assert (missing.kind, "no row at all" in missing.said) == (MISSING, True)
    code, text, _ = segpipe("verify", out)
    assert code == 8
    assert "done 0, failed 0, 1 missing" in text
    assert "run segpipe run again" in text


def test_the_sample_is_the_same_each_time_and_can_be_none(out: Path, segpipe: Call) -> None:
    rewrite(part(out, "class_stats"), put("x_max", 0, lambda n: n - 1))
    assert not verify(out, sample=0).findings
    assert verify(out, sample=5).sampled == 5
    assert verify(out, sample=7).findings == verify(out, sample=7).findings
    assert segpipe("verify", out, "--sample", "-1")[0] == 2


def test_other_peoples_files_are_named_and_stay(out: Path, segpipe: Call) -> None:
    (out / "masks" / "notes.txt").write_text("mine")
    (out / "thesis").mkdir()
    (out / "thesis" / "chapter.parquet.tmp").touch()
    pd.DataFrame({"a": [1]}).to_parquet(out / "class_stats" / "own.parquet")
    report = verify(out)
    assert not report.wrong
    assert {f.shard for f in report.findings if f.kind == FOREIGN} == {
        "notes.txt",
        "thesis",
        "own.parquet",
    }
    # This one breaks reading the table.
    pd.DataFrame({"a": [1]}).to_parquet(out / "frames" / "own.parquet")
    (wrong,) = verify(out).wrong
    assert (wrong.kind, wrong.repairable, "move it elsewhere" in wrong.said) == (
        BROKEN,
        False,
        True,
    )
    code, text, _ = segpipe("verify", out, "--repair")
    assert (code, "nothing to repair" in text) == (8, True)
    for kept in (
        "masks/notes.txt",
        "thesis/chapter.parquet.tmp",
        "class_stats/own.parquet",
        "frames/own.parquet",
    ):
        assert (out / kept).exists()


WORDS = "words" * 9


def drop(path: Path) -> None:
    path.unlink()


def other_table(path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(path)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (drop, NOTE),
        (lambda path: path.write_text(WORDS), BROKEN),
        (lambda path: os.truncate(path, 99), BROKEN),
        (other_table, BROKEN),
    ],
    ids=["missing", "words", "cut off", "foreign"],
)
def test_addresses_are_made_anew(
    damage: Callable[[Path], None], kind: str, made: Path, out: Path, segpipe: Call
) -> None:
    path = out / "addresses" / "addresses.parquet"
    before = pd.read_parquet(path).drop(columns=["first_seen", "last_seen"])
    damage(path)
    (found,) = verify(out).findings
    assert (found.kind, found.repairable, found.table) == (kind, True, "addresses")
    code, text, _ = segpipe("verify", out)
    assert (code, "makes it anew" in text) == (0 if kind == NOTE else 8, True)
    assert segpipe("query", out, "SELECT uri FROM frames")[0] == 0
    code, text, _ = segpipe("verify", out, "--repair")
    assert (code, "made anew: addresses/addresses.parquet" in text) == (0, True)
    after = pd.read_parquet(path).drop(columns=["first_seen", "last_seen"])
    assert after.to_dict() == before.to_dict()
    assert not verify(out).findings
    damage(path)
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] in (0, 6)
    assert not verify(out).findings


def test_what_else_lies_beside_the_addresses(made: Path, out: Path, segpipe: Call) -> None:
    folder = out / "addresses"
    other_table(folder / "own.parquet")
    (folder / ".addresses.parquet.tmp").touch()
    found = {f.kind: f for f in verify(out).findings}
    assert set(found) == {FOREIGN, LEFTOVER}
    assert segpipe("query", out, "SELECT * FROM addresses")[0] == 0
    segpipe("verify", out, "--repair")
    assert [p.name for p in sorted(folder.iterdir())] == ["addresses.parquet", "own.parquet"]
    (folder / "addresses.parquet").unlink()
    (folder / "addresses.parquet").mkdir()
    wrong = verify(out).wrong
    assert [(f.repairable, "in the way" in f.said) for f in wrong] == [(False, True)]
    assert segpipe("verify", out, "--repair")[0] == 8
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] == 5


def test_a_file_without_an_address_gets_it_by_the_next_run(
    made: Path, out: Path, segpipe: Call
) -> None:
    path = out / "addresses" / "addresses.parquet"
    rewrite(path, without(0))
    assert not verify(out).findings
    assert segpipe("run", made / "footage", "-o", out, *JOB)[0] in (0, 6)
    assert len(pd.read_parquet(path)) == len(pd.read_parquet(made / "out" / "addresses"))


def test_findings_name_images_by_their_files(out: Path) -> None:
    delete_stills(out)
    (lost,) = [f for f in verify(out).wrong if f.kind == MISSING]
    assert re.fullmatch(r"no row for \d\.png(, \d\.png)*", lost.said)
    other = next(iter((out / "masks").glob("images-*")))
    rewrite(other, put("values", 0, lambda v: [v[0] ^ 1, *v[1:]]))
    said = [f.said for f in verify(out).wrong if f.kind == WRONG_STATISTICS]
    assert any(re.search(r"/footage/stills/\d\.png: ", text) for text in said), said


def test_a_table_that_is_a_link_is_refused_and_nothing_is_removed_through_it(
    out: Path, tmp_path: Path, segpipe: Call
) -> None:
    (out / "masks").rename(tmp_path / "elsewhere")
    (out / "masks").symlink_to(tmp_path / "elsewhere")
    (out / "masks" / "clip-1.parquet.tmp").touch()
    part(out, "class_stats").unlink()
    before = sorted(tmp_path.rglob("*"))
    code, _, errors = segpipe("verify", out, "--repair")
    assert (code, "masks: a link, and a dataset holds plain files" in errors) == (5, True)
    assert sorted(p for p in tmp_path.rglob("*") if ".lock" not in p.name) == [
        p for p in before if ".lock" not in p.name
    ]


def test_of_two_shards_the_one_that_replaces_the_other_stays(out: Path, segpipe: Call) -> None:
    copy_shard(out)
    first, second = sorted((out / "frames").glob("*-00000003-*"))
    with_record(second, replaces=first.stem)
    segpipe("verify", out, "--repair")
    assert (first.exists(), second.exists()) == (False, True)


def test_a_name_in_a_file_leads_nowhere(out: Path, tmp_path: Path, segpipe: Call) -> None:
    (tmp_path / "victim.parquet").write_text("mine")
    source = {"source_id": "../../victim", "kind": "video", "uri": "/x\x1b[31m.mp4"}
    with_record(part(out, "frames"), source=source)
    with_record(part(out, "frames", 2), name="../../victim")
    code, text, _ = segpipe("verify", out)
    assert (
        code,
        "its source calls itself '../../victim'" in text,
        "it calls itself '../../victim'" in text,
    ) == (8, True, True)
    with_record(part(out, "frames"), source=source | {"source_id": "victim"})
    code, text, _ = segpipe("verify", out, "--repair")
    assert code == 8
    assert "\x1b" not in text
    assert (tmp_path / "victim.parquet").read_text() == "mine"


def test_a_dataset_that_is_being_written_is_not_repaired(out: Path, segpipe: Call) -> None:
    (out / "masks" / "clip-1.parquet.tmp").touch()
    with exclusive(out):
        code, _, errors = segpipe("verify", out, "--repair")
    assert (code, "writing" in errors) == (5, True)
    assert (out / "masks" / "clip-1.parquet.tmp").exists()


def test_footage_that_says_otherwise_has_gone_or_has_changed(
    made: Path, out: Path, tmp_path: Path, segpipe: Call
) -> None:
    rewrite(part(out, "frames"), put("pts_s", 1, lambda t: t + 0.5))
    assert not verify(out).findings
    note_roots(out, [str(made / "footage")])  # of a copy nobody knows that the footage is his
    (wrong,) = verify(out, footage=True).wrong
    assert (wrong.kind, "1 row with another pts_s" in wrong.said) == (WRONG_ROWS, True)
    footage = shutil.copytree(made / "footage", tmp_path / "footage")
    segpipe("run", footage, "-o", tmp_path / "own", *JOB)
    os.utime(footage / "stills" / "1.png", (1, 1))  # the same picture still
    assert not verify(tmp_path / "own", footage=True).findings
    Image.fromarray(picture(9)).save(footage / "stills" / "1.png")
    (note,) = verify(tmp_path / "own", footage=True).findings
    assert "1 source, so not compared" in note.said
    assert "1.png holds another recording now" in note.said
    (footage / "clip.mp4").unlink()
    (note,) = verify(tmp_path / "own", footage=True).findings
    assert (note.kind, "footage no longer there: 2 sources" in note.said) == (NOTE, True)


def test_sampled_videos_expect_what_was_wanted(made: Path, tmp_path: Path, segpipe: Call) -> None:
    for i, rule in enumerate(("every_n=5", "per_second=4", "keyframes=true")):
        out = tmp_path / str(i)
        segpipe("run", made / "footage" / "clip.mp4", "-o", out, "--set", f"sampling.{rule}", *JOB)
        report = verify(out, footage=True)
        assert not report.findings
        assert 2 <= report.sources[0].expected == report.sources[0].done <= 4


def test_a_stream_is_whole_where_shards_and_gaps_cover_its_time(
    tmp_path: Path, segpipe: Call
) -> None:
    whole = stream_dataset(
        tmp_path / "a",
        [(0, 60), (60.04, 100), (160, 200)],
        [(100, 160, "lost", "connection refused")],
    )
    report = verify(whole)
    assert not report.findings
    assert (report.sources[0].kind, report.sources[0].failed, report.sources[0].gaps) == (
        "stream",
        3,
        1,
    )
    holes = stream_dataset(
        tmp_path / "b", [(0, 60), (50, 100), (160, 200)], [(130, 160, "stall", "no frames came")]
    )
    overlap, hole = sorted(verify(holes).wrong, key=lambda f: f.kind == MISSING)
    assert (overlap.kind, "before camera-1-0123456789-00000000 ends" in overlap.said) == (
        WRONG_ROWS,
        True,
    )
    assert (hole.kind, "10:01:40.000Z to 2026-05-01T10:02:10.000Z (30.0 s)" in hole.said) == (
        MISSING,
        True,
    )
    for path in (whole / "gaps").iterdir():
        path.write_text("words")
    _, text, _ = segpipe("verify", whole, "--repair")
    assert "removed gaps/camera-1-0123456789-00000000.parquet" in text
    assert "3 frames in 3 shards" in text  # the frames of a stream don't come back: they stay
    os.truncate(next(iter(sorted((whole / "masks").iterdir()))), 9)
    assert "live streams, which can't be recorded again" in segpipe("verify", whole, "--repair")[1]
