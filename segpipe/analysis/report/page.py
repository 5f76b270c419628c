"""A dataset as one HTML page that needs no other file: what it is, what is in it, what failed, what
is missing.

Everything on it may come from strangers: names of files, texts of decoders, a dataset from
elsewhere. jinja2 escapes all of it, and the page forbids itself scripts and anything from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from segpipe.analysis.report.contents import Gap, Share, Still, class_shares_of, gaps_of, stills_of
from segpipe.analysis.report.failures import Failure, failures_of
from segpipe.analysis.report.summary import size_on_disk
from segpipe.core.config.job import Sampling
from segpipe.core.errors import ConfigError, SegpipeError
from segpipe.core.redact import redact
from segpipe.core.text import counted, one_line_text
from segpipe.core.version import __version__
from segpipe.runtime.files.atomic import write_text
from segpipe.store.dataset import Dataset
from segpipe.verify import OnProgress, VerifyReport, shown, verify

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
    gone: list[str]
    """Where the footage of sources was that can't be shown."""
    closed: list[str]
    """Where the dataset says that footage lies which isn't opened."""


def write_page(
    dataset: Dataset, path: Path, sample: int = 200, on_progress: OnProgress = lambda *_: None
) -> Page:
    """Verify the dataset and write the page; what it shows. Raises ConfigError where it can't be
    written there."""
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ConfigError(
            f"-o {path}: the report is an HTML page; name a file that ends in .html, such as "
            "report.html"
        )
    report = verify(dataset, sample, on_progress=on_progress)
    try:
        failures = failures_of(dataset)
    except SegpipeError:  # a shard that can't be read: the findings name it
        failures = []
    stills, gone, closed = stills_of(dataset)
    page = Page(
        dataset,
        report,
        size_on_disk(dataset),
        class_shares_of(dataset),
        failures,
        gaps_of(dataset),
        stills,
        gone,
        closed,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, html(page))
    except OSError as error:
        raise ConfigError(f"-o {path}: can't be written ({error.strerror})") from None
    return page


def html(page: Page) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("segpipe.analysis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "line": _line,
        "count": "{:,}".format,
        "noun": _noun,
        "shown": shown,
        "iso": _iso,
    }
    return environment.get_template("report.html").render(
        page=page,
        report=page.report,
        model=page.dataset.manifest.model,
        most=MOST_ROWS,
        version=__version__,
        now=datetime.now(UTC),
        sampling=_sampling(page.dataset.manifest.sampling),
        schema=page.dataset.manifest.schema_version,
        totals={
            n: sum(getattr(s, n) for s in page.report.sources)
            for n in ("expected", "done", "failed", "missing", "gaps")
        },
        name=page.dataset.root.name,
        root=str(page.dataset.root),
    )


def _line(text: object) -> str:
    """Text in one line, without what could turn the line around or hide in it, and without
    secrets."""
    return one_line_text(redact(str(text)))


def _noun(count: int, noun: str) -> str:
    """A noun that agrees with a count, without it."""
    return counted(count, noun).partition(" ")[2]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _sampling(sampling: Sampling) -> str:
    settings = sampling.model_dump(exclude={"stream"})
    return (
        ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items() if v) or "every frame"
    )
