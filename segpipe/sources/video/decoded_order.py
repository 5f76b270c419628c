"""The order of a video's frames as the decoder tells it, where the container's times are those of
other pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from segpipe.sources.video.order import Order
from segpipe.sources.video.pictures import Video
from segpipe.sources.video.scan import Scan

_LOOKED_AT, _PLACES = 60, 3
"""Pictures that are decoded to see their order, from so many key frames on."""
_MISTIMED = (
    "the container's times are not those of its pictures (B-frames without composition offsets): "
    "frames are timed by the decoder's order"
)


def is_mistimed(found: Scan, video: Video) -> bool:
    """Whether pictures come out of the decoder in another order than that of their times, seen from
    a few key frames on."""
    keys = [p.dts for p in found.packets if p.key]
    chosen = (
        {keys[round(i * (len(keys) - 1) / (_PLACES - 1))] for i in range(_PLACES)}
        if keys
        else {None}
    )
    for dts in sorted(chosen, key=lambda d: d or 0):
        times = [
            time for time, _ in itertools.islice(video.decoded(dts), _LOOKED_AT) if time is not None
        ]
        if any(a > b for a, b in itertools.pairwise(times)):
            return True
    return False


def decoder_order(found: Scan, video: Video) -> Order:
    """By the order in which the decoder gives the pictures, each at the time that its place has in
    the container. One that can't be decoded keeps about the place that its packet has."""
    if any(p.hidden for p in found.packets):
        unedited = replace(video, edits=False)
        everything = unedited.scanned()
        hidden = len(everything.packets) - sum(1 for p in found.packets if not p.hidden)
        if hidden <= video.held_back:
            # The edit list made up for offsets that the file doesn't have: without it, no frame is
            # lost.
            video, found = unedited, everything
    shown = sorted({p.pts for p in found.packets if p.pts is not None and not p.hidden})
    known = set(shown)
    names = [time for time, _ in video.decoded() if time in known]
    for lost in sorted(known - set(names)):
        names.insert(next((i for i, name in enumerate(names) if name > lost), len(names)), lost)
    time_of = dict(zip(names, shown, strict=True))
    # A key packet that an edit list hides keeps its own time, which is before those of all it is
    # needed for.
    keys = sorted(
        (time_of.get(p.pts, p.pts), p.pts if p.dts is None else p.dts, p.pts)
        for p in found.packets
        if p.key and p.pts is not None
    )
    key_array = np.array(keys, np.int64)
    times = np.array(shown, np.int64)
    before = int(np.searchsorted(times, key_array[0, 0]))
    return Order(
        times[before:],
        key_array[:, :2],
        names=np.array(names[before:], np.int64),
        key_names=key_array[:, 2],
        edits=video.edits,
        note=_MISTIMED if names != shown else "",
    )
