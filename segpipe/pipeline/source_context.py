"""What a shard needs to know of its source, made once for all of its shards."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass, replace

from segpipe.core.types import Shard
from segpipe.inference.measures.regions import Regions
from segpipe.pipeline.settings import FrameSettings
from segpipe.runtime.files.paths import AnyPath, is_local, reaching
from segpipe.sources import source_of
from segpipe.store.sources import FOLDER, read_source_metadata
from segpipe.telemetry.locate import Locator


@dataclass(frozen=True)
class SourceContext:
    """Where and when a source's frames are, which of their pixels count, and the digests of its
    facts and of its ego mask."""

    locator: Locator
    regions: Regions
    facts_digest: str = ""
    ego_digest: str = ""

    def of_shard(self, shard: Shard) -> SourceContext:
        """The part that a shard needs: of a folder of images, the places of its own ones. It
        travels to another process, and a folder may hold a million."""
        by_file = source_of(shard.source.kind).files_are_frames
        if not by_file or self.locator.facts is None:
            return self
        return replace(self, locator=self.locator.only([f.name for f in shard.files]))


def load_source_context(root: AnyPath, source_id: str, settings: FrameSettings) -> SourceContext:
    """What the dataset's table `sources` and the settings say of a source; one without a row has
    neither places nor an ego mask. Raises DatasetError where the row is broken."""
    locator = _locator(root, source_id, _version(root / FOLDER / f"{source_id}.parquet"))
    facts = locator.facts
    ego = facts.ego if facts is not None else None
    regions = Regions(settings.regions, settings.ignore_regions, ego)
    if facts is None:
        return SourceContext(locator, regions)
    return SourceContext(locator, regions, facts.digest(), facts.ego_digest())


@functools.lru_cache(maxsize=4)
def _locator(root: AnyPath, source_id: str, version: Hashable) -> Locator:
    # The facts of a folder of many images take a second to read.
    return Locator(None if version is None else read_source_metadata(root, source_id))


def _version(path: AnyPath) -> Hashable:
    """What another content of a file has another one of; None where there is no file."""
    try:
        if is_local(path):
            status = path.stat()
            return status.st_size, status.st_mtime_ns, status.st_ino
        with reaching(path):
            info = path.fs.info(path.path)
    except FileNotFoundError:
        return None
    named = ("ETag", "etag", "LastModified", "mtime", "created")
    marks = [str(info[n]) for n in named if n in info]
    # Without any mark, something that nothing else is the same as.
    return (info.get("size"), *marks) if marks else object()
