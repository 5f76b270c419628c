"""Modules by the names that they had in version 0.1: importing one names its new place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MOVED = {
    "analytics": "analysis",
    "bench": "pipeline.bench",
    "components": "inference.measures.components",
    "config": "core.config.job",
    "ego": "inference.measures.ego_mask",
    "errors": "core.errors",
    "evaluation": "training.evaluation",
    "extras": "core.extras",
    "forwarding": "runtime.log_forwarding",
    "frames": "core.types",
    "isolation": "runtime.isolation",
    "live": "pipeline.live",
    "masks": "store.masks",
    "models": "inference.models",
    "overlap": "runtime.threads",
    "pictures": "runtime.pictures",
    "quality": "inference.measures.quality",
    "reading": "pipeline.read",
    "regions": "inference.measures.regions",
    "report": "analysis.report",
    "results": "core.results",
    "run": "pipeline.run",
    "run_report": "pipeline.reports",
    "sample": "training.sample",
    "secrets": "core.redact",
    "sections": "core.config.sections",
    "sources.arrivals": "sources.stream.arrivals",
    "sources.bits": "sources.video.bits",
    "sources.connection": "sources.stream.connection",
    "sources.container": "sources.video.container",
    "sources.decoded_order": "sources.video.decoded_order",
    "sources.decoder": "sources.video.decoder",
    "sources.discover": "sources.discovery",
    "sources.fields": "sources.video.fields",
    "sources.gaps": "sources.stream.gaps",
    "sources.h264": "sources.video.h264",
    "sources.live": "sources.stream.reader",
    "sources.lost": "sources.stream.backoff",
    "sources.order": "sources.video.order",
    "sources.packets": "sources.video.packets",
    "sources.resolving": "sources.stream.resolving",
    "sources.sampling": "sources.video.sampling",
    "sources.scan": "sources.video.scan",
    "sources.streams": "sources.stream.address",
    "sources.tags": "telemetry.container_tags",
    "sources.timeline": "sources.stream.timeline",
    "sources.unwrapped": "sources.video.unwrapped",
    "stages": "pipeline.stages",
    "stats": "inference.measures.class_stats",
    "stopping": "runtime.stopping",
    "store.files": "runtime.files.atomic",
    "store.known": "pipeline.source_context",
    "store.objects": "runtime.files.object_store",
    "store.past": "store.stream_ends",
    "store.places": "runtime.files.paths",
    "store.resume": "pipeline.resume",
    "survey": "pipeline.probe",
    "taxonomy": "core.taxonomy",
    "taxonomy_check": "core.taxonomy_check",
    "taxonomy_files": "core.taxonomy_files",
    "text": "core.text",
    "units": "core.units",
    "upsampling": "inference.upsampling",
    "upsampling_torch": "inference.upsampling_torch",
    "video_streams": "core.video_streams",
    "where": "core.config.time_and_place",
    "worker": "inference.worker",
}
"""Old and new names within segpipe. What stood in `pipeline.py` is in `pipeline/shard.py` now, and
what stood in `sources/images.py` and `sources/video.py` in those folders; the regions of `where`
are in `core/config/regions.py`."""


class OldNames:
    """A finder of modules, asked last, for what no other one knows. Not derived from the abstract
    class: importing that takes as long as all the rest of `import segpipe`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Raises ImportError for a module that has moved; `from segpipe import NAME` would swallow
        a ModuleNotFoundError."""
        package, _, name = fullname.partition(".")
        if package == "segpipe" and name in MOVED:
            raise ImportError(f"{fullname} has moved: import segpipe.{MOVED[name]}", name=fullname)
        return None


def name_new_places() -> None:
    """Let imports of old names say where the module is now."""
    if not any(isinstance(finder, OldNames) for finder in sys.meta_path):
        sys.meta_path.append(OldNames())
