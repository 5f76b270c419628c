"""A small file may say, or hold, gigabytes: it is refused before memory is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segpipe.store.schema import MASKS
from tests.attacks.strangers import copied, make
from tests.conftest import ROOT
from tests.damage import put, rewrite, texts

Call = Callable[..., tuple[int, str, str]]
MOST_MB = 1500
"""What a process may take in all that reads at most 500 MB of a file."""
MEASURED = """
import sys
from segpipe.cli import main
code = main(sys.argv[1:])
lines = open("/proc/self/status").read().splitlines() if sys.platform == "linux" else []
peak = [int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")] or [0]
print("PEAK", code, *peak)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("memory"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """The stranger's dataset."""
    return copied(made, tmp_path / "out")


def measured(*arguments: object, memory: str = "500MB") -> tuple[int, int, str]:
    """Exit code, most memory in MB, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "SEGPIPE_DATASET_MEMORY": memory},
        check=False,
    )
    head, _, tail = done.stdout.rpartition("PEAK ")
    code, peak = tail.split()
    return int(code), int(peak), head + done.stderr


def masks_file(out: Path) -> Path:
    return next((out / "masks").glob("*-0000*"))


def many_runs(path: Path, groups: int, runs: int) -> None:
    """A masks file with so many runs in each row group; it takes 100 bytes a group."""
    row = pq.read_table(path, partitioning=None).slice(0, 1)
    ends = pa.array([0, runs], pa.int32())
    for name, kind in (("values", np.uint8), ("lengths", np.uint32)):
        lists = pa.ListArray.from_arrays(
            ends, pa.array(np.zeros(runs, kind)), type=MASKS.field(name).type
        )
        row = row.set_column(row.schema.get_field_index(name), MASKS.field(name), lists)
    schema = MASKS.with_metadata(texts(path))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(row.cast(schema))


@pytest.mark.attack("a masks file of 20 kB that unfolds to 1.5 GB")
def test_many_runs(out: Path) -> None:
    many_runs(masks_file(out), 12, 25_000_000)
    assert masks_file(out).stat().st_size < 100_000
    for command in (("verify", out), ("export", out, "--format", "masks-png", "-o", out / "png")):
        code, peak, said = measured(*command)
        assert code in (5, 8), said
        assert "Traceback" not in said
        assert peak < MOST_MB


@pytest.mark.attack("one row of masks whose runs take more than may be read")
def test_one_long_row(out: Path) -> None:
    many_runs(masks_file(out), 1, 60_000_000)
    code, peak, said = measured("verify", out, memory="200MB")
    assert (code, "takes more than 0.2 GB of memory" in said) == (8, True)
    assert peak < MOST_MB


@pytest.mark.attack("a mask of 60,000 x 60,000 pixels in one run")
@pytest.mark.parametrize("sizes", [(60_000, 60_000), (2**31 - 1, 1), (-1, -1)])
def test_a_huge_mask(sizes: tuple[int, int], out: Path) -> None:
    height, width = sizes
    total = max(0, height * width)
    for path in [masks_file(out)]:
        rewrite(path, put("height", 0, height))
        rewrite(path, put("width", 0, width))
        rewrite(path, put("values", 0, [0]))
        rewrite(path, put("lengths", 0, [min(total, 2**32 - 1)]))
    code, peak, said = measured("export", out, "--format", "masks-png", "-o", out / "png")
    assert code == 5, said
    assert "pixels; at most" in said
    assert peak < MOST_MB
    code, peak, said = measured("verify", out)
    assert code == 8, said
    assert peak < MOST_MB


@pytest.mark.attack("texts of a megabyte, repeated by a dictionary to 4 GB")
def test_repeated_texts(out: Path) -> None:
    path = next((out / "frames").glob("*-0000*"))
    table = pq.read_table(path, partitioning=None)
    said = texts(path)
    rows = pa.concat_tables([table.slice(0, 1)] * 4000).combine_chunks()
    at = rows.schema.get_field_index("error")
    long = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(4000, np.int32)), pa.array(["a" * 1_000_000])
    )
    rows = rows.set_column(at, pa.field("error", long.type), long)
    rows = rows.replace_schema_metadata(said)
    pq.write_table(rows, path, store_schema=False, compression="zstd")
    assert path.stat().st_size < 1_000_000
    code, peak, text = measured("verify", out)
    assert code == 8, text
    assert peak < MOST_MB


@pytest.mark.attack("an ego mask of 60,000 x 60,000 pixels")
def test_a_huge_ego_mask(out: Path, segpipe: Call) -> None:
    path = next(p for p in (out / "sources").iterdir() if not p.name.startswith("images"))
    rewrite(path, put("ego_height", 0, 60_000))
    rewrite(path, put("ego_width", 0, 60_000))
    rewrite(path, put("ego_lengths", 0, [0, 3_600_000_000]))
    code, peak, said = measured("info", out)
    assert (code, "not a whole row of sources" in said) == (5, True)
    assert peak < MOST_MB


def test_an_honest_dataset_needs_little(made: Path) -> None:
    """The honest case: what is refused above is far from what datasets take."""
    code, _, said = measured("verify", made / "out", "--json", memory="100MB")
    assert code == 0, said
    assert json.loads(said.partition("PEAK")[0])["complete"] is True
