"""A dataset as one HTML page that needs no other file: what it is, what is in it, what failed, what is missing.

Everything on it may come from strangers: names of files, texts of decoders, a dataset from elsewhere. jinja2 escapes all of it, and
the page forbids itself scripts and anything from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from segpipe import __version__
from segpipe.errors import ConfigError, SegpipeError
from segpipe.report.contents import Gap, Share, Still, class_shares_of, gaps_of, stills_of
from segpipe.report.failures import Failure, failures_of
from segpipe.report.summary import size_on_disk
from segpipe.secrets import redact
from segpipe.store.dataset import Dataset
from segpipe.store.files import write_text
from segpipe.text import one_line_text
from segpipe.verify import VerifyReport, shown, verify

MOST_ROWS = 500
"""Rows of a table on the page: a browser must not choke on a million failures."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows."""

    dataset: Dataset
    report: VerifyReport
    size_bytes: int
    shares: list[Share]
    failures: list[Failure]
    gaps: list[Gap]
    stills: list[Still]


def write_page(dataset: Dataset, path: Path, sample: int = 200) -> int:
    """Verify the dataset and write the page; the number of stills on it. Raises ConfigError where it can't be written there."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"-o {path}: name a file in a folder that exists, such as report.html")
    report = verify(dataset, sample)
    try:
        failures = failures_of(dataset)
    except SegpipeError:  # a shard that can't be read: the findings name it
        failures = []
    stills = stills_of(dataset)
    page = Page(dataset, report, size_on_disk(dataset), class_shares_of(dataset), failures, gaps_of(dataset), stills)
    try:
        write_text(path, html(page))
    except OSError as error:
        raise ConfigError(f"-o {path}: can't be written ({error.strerror})") from None
    return len(stills)


def html(page: Page) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("segpipe.report"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"line": _line, "count": "{:,}".format, "shown": shown, "iso": _iso}
    model = page.dataset.manifest["model"]
    return environment.get_template("report.html").render(
        page=page, report=page.report, model=model, most=MOST_ROWS, version=__version__, now=datetime.now(UTC),
        sampling=_sampling(page.dataset.manifest["sampling"]), schema=page.dataset.manifest["schema_version"],
        totals={n: sum(getattr(s, n) for s in page.report.sources) for n in ("expected", "done", "failed", "missing", "gaps")},
        name=page.dataset.root.name, root=str(page.dataset.root),
    )  # fmt: skip


def _line(text: object) -> str:
    """Text in one line, without what could turn the line around or hide in it, and without secrets."""
    return one_line_text(redact(str(text)))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _sampling(settings: dict[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items() if v) or "every frame"
