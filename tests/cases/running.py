"""Running segpipe on a case, and reading what came out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from segpipe import open_dataset
from segpipe.cli import main
from segpipe.store.dataset import Dataset


@dataclass(frozen=True)
class Outcome:
    """A run: its exit code, all that it printed, and its dataset where it made one."""

    code: int
    said: str
    out: Path

    @property
    def dataset(self) -> Dataset:
        return open_dataset(self.out)

    def rows(self, sql: str) -> list[tuple]:
        return self.dataset.duckdb().sql(sql).fetchall()

    def pts_s(self) -> np.ndarray:
        """The times of all frames, float64 [N]."""
        return np.array([r[0] for r in self.rows("SELECT pts_s FROM frames ORDER BY frame_id")])

    def failed(self) -> int:
        return self.rows("SELECT count(*) FROM frames WHERE status <> 'ok'")[0][0]

    def notes(self) -> str:
        """What the dataset says of its sources."""
        return " ".join(n for (notes,) in self.rows("SELECT notes FROM sources") for n in notes)

    def first_times(self) -> dict[str, datetime | None]:
        """UTC of each source's first frame, by its file's name."""
        sql = "SELECT uri, min_by(timestamp, frame_id) FROM frames GROUP BY uri ORDER BY uri"
        found = self.dataset.duckdb()
        found.sql("SET TimeZone = 'UTC'")
        return {Path(uri).name: time for uri, time in found.sql(sql).fetchall()}


class Runner:
    """Runs segpipe on the cases in a folder; each run writes to a folder of its own."""

    def __init__(self, cases: Path, scratch: Path) -> None:
        self.cases, self.scratch = cases, scratch
        self._numbers: Iterator[int] = iter(range(10_000))

    def run(self, name: str, *options: str, model: str = "fake:") -> Outcome:
        """`segpipe run CASE`; options are arguments, or KEY=VALUE for --set."""
        footage = self.cases / name
        out = self.scratch / f"out-{next(self._numbers)}"
        arguments = [["--set", o] if "=" in o and not o.startswith("-") else [o] for o in options]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(
                ["run", str(footage), "-o", str(out), "--set", f"model.source={model}"]
                + [a for group in arguments for a in group]
            )
        return Outcome(code, said.getvalue(), out)


def quadrants(outcome: Outcome) -> str:
    """The class in the middle of each quarter of the first frame: top left, top right / bottom
    left, bottom right."""
    dataset = outcome.dataset
    mask = dataset.mask(outcome.rows("SELECT min(frame_id) FROM frames")[0][0])
    names = {c.id: {"bright": "white"}.get(c.name, c.name) for c in dataset.classes}
    height, width = mask.shape
    rows = [[names[int(mask[y * height // 4, x * width // 4])] for x in (1, 3)] for y in (1, 3)]
    return f"{width}x{height} " + " / ".join(" ".join(row) for row in rows)
