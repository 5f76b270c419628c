"""The order of a video's frames where the container has no times, or lacks some: its pictures are
counted as the decoder gives them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from segpipe.core.errors import SourceError
from segpipe.sources.video.order import Order
from segpipe.sources.video.pictures import Picture, Video
from segpipe.sources.video.scan import Scan
from segpipe.sources.video.unwrapped import PacketTimes, offsets_of

_LACKING = "packets lack presentation times: frames are timed by the decoder's order"


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames a second, and whether the file states them. Where it doesn't, they are FFmpeg's
    guess."""

    fps: Fraction
    stated: bool

    @property
    def note(self) -> str:
        """What people should know of times that come from it alone."""
        if self.stated:
            return (
                "the file stores no times: frames are timed by its frame rate, "
                f"{float(self.fps):.6g} a second"
            )
        return (
            f"the file stores neither times nor a frame rate: {float(self.fps):.6g} frames a "
            "second are assumed; "
            "for another rate, put it into a container: ffmpeg -r RATE -i FILE -c copy FILE.mp4"
        )


def counted_order(found: Scan, video: Video, rate: Rate, by_place: bool) -> Order:
    """By the order in which the decoder gives the pictures, at the times that some packets have,
    evenly where none has; `by_place`: at the packets' places in the file. Raises SourceError where
    nothing can be decoded."""
    pictures = _unwrapped(list(video.decoded()), video.time_base)
    first = next((place for place, (_, key) in enumerate(pictures) if key), None)
    if first is None:
        raise SourceError(found.stopped or "holds no frame that can be decoded", found.transient)
    places = sorted(p.dts for p in found.packets if p.dts is not None)
    step = round(1 / rate.fps / video.time_base)
    named = [None if by_place else time for time, _ in pictures]
    times = _filled(named, places, step)[first:]
    keys = times[[place for place, (_, key) in enumerate(pictures[first:]) if key]]
    lost = len(found.packets) - len(pictures)
    missing = f"{lost} of {len(found.packets)} frames can't be decoded" if lost > 0 else ""
    bare = not places and all(time is None for time in named)
    note = rate.note if bare else "" if by_place else _LACKING
    return Order(
        times,
        np.stack([keys, keys], axis=1),
        by_order=True,
        before=first,
        missing=missing,
        note=note,
    )


def _unwrapped(pictures: list[Picture], time_base: Fraction) -> list[Picture]:
    """Pictures whose times go on where they begin anew."""
    offsets = offsets_of([PacketTimes(time, None, key) for time, key in pictures], time_base)
    shifted = zip(pictures, offsets, strict=True)
    return [(None if time is None else time + offset, key) for (time, key), offset in shifted]


def _filled(times: list[int | None], places: list[int], step: int) -> NDArray[np.int64]:
    """Times for all pictures: evenly between those that have one, a step apart beyond them; the
    packets' places where none has."""
    known = [place for place, time in enumerate(times) if time is not None]
    if not known:
        if len(places) >= len(times):
            return np.array(places[: len(times)], np.int64)
        return np.arange(len(times), dtype=np.int64) * step + (places[0] if places else 0)
    here = np.arange(len(times))
    values = np.array([times[place] for place in known], np.float64)
    filled = np.interp(here, known, values)
    filled += np.minimum(here - known[0], 0) * step + np.maximum(here - known[-1], 0) * step
    return np.maximum.accumulate(np.round(filled).astype(np.int64))
