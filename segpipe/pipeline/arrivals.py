"""What comes from the process that reads footage has the right types; here it is checked against
what was asked for. A damaged file may have taken that process over, and then it must not choose
where this one writes, or how much memory it takes."""

from __future__ import annotations

import math

from segpipe.core.types import FrameFailure, FrameRef, InputGeometry, ModelInput, Shard
from segpipe.runtime import isolation
from segpipe.sources import FoundSource
from segpipe.sources.shards import is_shard_name


def check_input(item: ModelInput | FrameFailure, source_id: str, max_pixels: int) -> None:
    """A frame of a source, whose geometry fits its pixels. Raises ChildLost."""
    check_ref(item.ref, source_id)
    if isinstance(item, ModelInput):
        height, width, *channels = item.pixels.shape
        _agree(channels == [3] and min(height, width) > 0, "pixels of no picture")
        _agree(_fits(item.view, max_pixels), "a picture that can't be as large, or lies nowhere")


def check_ref(ref: FrameRef, source_id: str) -> None:
    """A frame of a source. Raises ChildLost."""
    own = ref.source_id == source_id and ref.frame_id.startswith(f"{source_id}:")
    _agree(own, "a frame of another source")


def check_shards(shards: list[Shard], found: FoundSource) -> None:
    """Shards of a found source; they are named as files are. Raises ChildLost."""
    own = all(
        s.source == found.info and s.files == found.files and is_shard_name(s.name, found.info)
        for s in shards
    )
    _agree(own and len({s.name for s in shards}) == len(shards), "shards of another source")
    counts = [(s.frame_count, s.start, s.stop, s.siblings, s.expected) for s in shards]
    _agree(all(min(numbers) >= 0 for numbers in counts), "shards of fewer than no frames")


def _fits(view: InputGeometry, max_pixels: int) -> bool:
    scales, offsets = (view.scale_y, view.scale_x), (view.offset_y, view.offset_x)
    return (
        min(view.height, view.width) > 0
        and view.height * view.width <= max_pixels
        and 0 <= view.y0 <= view.y1 <= view.height
        and 0 <= view.x0 <= view.x1 <= view.width
        and all(math.isfinite(n) for n in (*scales, *offsets))
        and min(scales) > 0
    )


def _agree(right: bool, what: str) -> None:
    if not right:
        raise isolation.ChildLost(f"reading sent {what}, and was ended")
