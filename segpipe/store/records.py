"""What a committed shard tells of itself, in the footer of its `frames` file: a run reads footers
to know what is done."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import parse_json
from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp, Shard, SourceInfo
from segpipe.runtime.files.paths import AnyPath, vanished_error
from segpipe.store.reading import footer_metadata

SHARD_KEY = "segpipe.shard"
_ID = re.compile(r"[A-Za-z0-9_-]+")
_LISTS = ("failed_files", "transient_files", "chosen")
_COUNTS = ("frames", "failed", "start", "stop", "siblings", "expected", "attempt", "transient")
_TIMES = ("begin_us", "end_us")
_MOST_COUNT = 2**40
_TEXTS = ("facts", "places", "replaces", "ego")
_MOST_NUMBER = 2**63


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a committed shard tells of itself, from the footer of its `frames` file. `facts` is the
    digest of the source's facts that its times and positions follow from, `places` that of the
    times and positions themselves. `transient` of the failed frames may work at another time
    (`transient_files` of images); `attempt` counts earlier tries. `expected` is the number of
    wanted frames of the whole video. `begin_us` and `end_us` are the UTC times that a shard of a
    stream covers. `ego` is the digest of the ego mask whose pixels the rows don't count, empty
    where there was none. `replaces` names the shard whose rows were taken over: where it is still
    there, it has to go."""

    name: str
    source: SourceInfo
    files: tuple[FileStamp, ...]
    frames: int
    failed: int
    start: int = 0
    stop: int = 0
    siblings: int = 0
    failed_files: tuple[str, ...] = ()
    chosen: tuple[int, ...] = ()
    facts: str = ""
    places: str = ""
    expected: int = 0
    attempt: int = 0
    transient: int = 0
    transient_files: tuple[str, ...] = ()
    begin_us: int = 0
    end_us: int = 0
    replaces: str = ""
    ego: str = ""

    def shard(self) -> Shard:
        """The shard behind the record, to decode its frames again."""
        return Shard(
            self.name,
            self.source,
            self.frames,
            self.files,
            self.start,
            self.stop,
            siblings=self.siblings,
            chosen=self.chosen,
            expected=self.expected,
            attempt=self.attempt,
        )


def record_text(shard: Shard, record: ShardRecord) -> str:
    """A shard's record as the JSON that its `frames` file carries."""
    return json.dumps(
        {
            "name": shard.name,
            "source": asdict(shard.source) | {"uri": printable_text(shard.source.uri)},
            "files": [
                [printable_text(f.name), f.size_bytes, f.mtime_ns, printable_text(f.uri), f.body]
                for f in shard.files
            ],
            "frames": record.frames,
            "failed": record.failed,
            "start": shard.start,
            "stop": shard.stop,
            "siblings": shard.siblings,
            "failed_files": record.failed_files,
            "chosen": shard.chosen,
            "facts": record.facts,
            "places": record.places,
            "expected": shard.expected,
            "attempt": shard.attempt,
            "transient": record.transient,
            "transient_files": record.transient_files,
            "begin_us": record.begin_us,
            "end_us": record.end_us,
            "replaces": record.replaces,
            "ego": record.ego,
        }
    )


def read_record(path: AnyPath) -> ShardRecord:
    """A shard's record from its `frames` file. Raises DatasetError where it has none, is broken, or
    has just been taken out."""
    try:
        return parse_record(footer_text(path), path.stem)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_whole(path, error) from None


def footer_text(path: AnyPath) -> str:
    """A shard's record as its `frames` file carries it. Raises DatasetError as `read_record`."""
    try:
        return str(footer_metadata(path)[SHARD_KEY.encode()], "utf-8")
    except FileNotFoundError:
        raise vanished_error(path) from None
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _not_whole(path, error) from None


def parse_record(text: str, name: str) -> ShardRecord:
    """The record of the shard `name` out of its text. Raises KeyError, TypeError or ValueError for
    what is none, or another shard's."""
    content = parse_json(text)
    files = tuple(FileStamp(*f) for f in content["files"])
    source, lists = SourceInfo(**content["source"]), {n: tuple(content[n]) for n in _LISTS}
    _check_kinds(content, source, files)
    # A name from a file is no path: it must not lead out of the dataset
    if content["name"] != name:
        raise ValueError(f"it calls itself {content['name']!r}")
    if not _ID.fullmatch(source.source_id):  # it names the source's file
        raise ValueError(f"its source calls itself {source.source_id!r}")
    return ShardRecord(**(content | lists | {"source": source, "files": files}))


def _check_kinds(content: dict[str, Any], source: SourceInfo, files: tuple[FileStamp, ...]) -> None:
    """Raises TypeError or ValueError for a record whose values aren't of the kinds that segpipe
    writes: whoever reads them goes by these."""
    counts = [content[n] for n in _COUNTS if n in content]
    counts += [*content["chosen"], *([] if source.stream is None else [source.stream])]
    numbers = [content[n] for n in _TIMES if n in content]
    numbers += [n for f in files for n in (f.size_bytes, f.mtime_ns)]
    texts = [source.kind, source.uri, *(content[n] for n in _TEXTS if n in content)]
    texts += [t for f in files for t in (f.name, f.uri, f.body)]
    names = [*content["failed_files"], *content.get("transient_files", ())]
    if not all(type(n) is int and 0 <= n < _MOST_COUNT for n in counts):
        raise TypeError("one of its counts is none")
    if not all(type(n) is int and abs(n) < _MOST_NUMBER for n in numbers):
        raise TypeError("one of its numbers is none")
    if not all(type(text) is str for text in (*texts, *names)):
        raise TypeError("one of its texts is none")
    if not files and source.kind != "stream":
        raise ValueError("it names no file")


def _not_whole(path: AnyPath, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: not a whole shard of segpipe ({error}); segpipe verify --repair takes it "
        "out, then run again"
    )
