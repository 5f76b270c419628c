"""Video files: shards that start on key frames, and exactly the wanted frames, each with its own
time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from segpipe.core.config.job import Sampling
from segpipe.core.types import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.sources.base import FoundSource
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.ids import indexed_frame_id
from segpipe.sources.orientation import upright_rgb
from segpipe.sources.shards import unreadable_shard
from segpipe.sources.video.container import limit, open_container
from segpipe.sources.video.decoder import Decoder
from segpipe.sources.video.frame_index import PacketIndex
from segpipe.sources.video.names import found_video
from segpipe.sources.video.packets import packet_index
from segpipe.sources.video.sampling import select
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.photos import Place

MAX_SHARDS = 64
"""Shards grow with the footage, so that a day of video is tens of tasks for an orchestrator and not
thousands."""


@dataclass(frozen=True)
class VideoFile:
    """One video as a source. Opening it reads the packet index and raises SourceError where that
    can't be done."""

    info: SourceInfo
    path: Path
    stamp: FileStamp
    index: PacketIndex
    sampling: Sampling
    decoding: Decoding = PLAIN
    locator: Locator = NOWHERE

    @classmethod
    def open(
        cls,
        path: Path,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
        stream: int | None = None,
    ) -> VideoFile:
        """The file's default video stream, or the one with this number."""
        return cls.of(found_video(path, stream), sampling, decoding, locator)

    @classmethod
    def of(
        cls,
        found: FoundSource,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
    ) -> VideoFile:
        """The video stream of a file that the source is."""
        index = packet_index(found.path, decoding.max_pixels, found.info.stream)
        (stamp,) = found.files
        return cls(found.info, found.path, stamp, index, sampling, decoding, locator)

    def shards(self, frames_per_shard: int) -> list[Shard]:
        """Ranges of the packet index that begin on key frames and hold about `frames_per_shard`
        wanted frames. Raises SourceError where the sampling can't be done."""
        wanted = self._wanted()
        target = max(frames_per_shard, -(-len(wanted) // MAX_SHARDS))
        cuts = [0]
        for key in [] if self.index.from_start else self.index.key_indices():
            if np.searchsorted(wanted, key) - np.searchsorted(wanted, cuts[-1]) >= target:
                cuts.append(int(key))
        cuts.append(len(self.index.pts))
        shards = [self._shard(wanted, a, b) for a, b in itertools.pairwise(cuts)]
        shards = [s for s in shards if s.frame_count]
        if self.index.missing:
            shards.append(
                unreadable_shard(
                    self.info, self.stamp, self.index.missing, "cut-off", self.index.transient
                )
            )
        # as when an edit list hides the only key frame: a video without a row would be missing for
        # ever
        if not shards:
            said = (
                f"the sampling wants none of its {len(self.index.pts)} frames; sample it by "
                "time, or leave it out"
            )
            return [unreadable_shard(self.info, self.stamp, said, "unwanted")]
        return [replace(s, siblings=len(shards), expected=len(wanted)) for s in shards]

    def _wanted(self) -> NDArray[np.int64]:
        if not self.sampling.every_m:
            return select(self.index, self.sampling)
        along = self.locator.along(self.index.times_s)
        return select(self.index, self.sampling, None if along is None else along.odometer_m)

    def _shard(self, wanted: NDArray[np.int64], start: int, stop: int) -> Shard:
        here = wanted[(wanted >= start) & (wanted < stop)]
        chosen = tuple(int(i) for i in here) if self.sampling.every_m else ()
        earlier = wanted[wanted < start]
        before = int(earlier[-1]) if len(earlier) and len(here) else -1
        name = f"{self.info.source_id}-{start:08d}-{stop:08d}"
        return Shard(
            name, self.info, len(here), (self.stamp,), start, stop, chosen=chosen, before=before
        )

    def frames(self, shard: Shard) -> Iterator[Frame | FrameFailure]:
        """The wanted frames of a shard in the order of time; one that the decoder didn't give is a
        FrameFailure."""
        wanted = self._of(shard)[self.decoding.skip :]
        if not len(wanted):  # the file has become shorter since
            return
        refs = self._refs(wanted)
        with open_container(self.path, self.decoding.max_pixels, self.index.edits) as container:
            stream = container.streams[self.index.stream]
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for mypy
            limit(stream, self.decoding)
            for run in self._runs(wanted):
                yield from self._decode_run(container, stream, run, refs)

    def _of(self, shard: Shard) -> NDArray[np.int64]:
        """Positions of a shard's wanted frames."""
        wanted = (
            np.array(shard.chosen, np.int64) if shard.chosen else select(self.index, self.sampling)
        )
        return wanted[(wanted >= shard.start) & (wanted < min(shard.stop, len(self.index.pts)))]

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Presentation times of all frames, float64 [N] in seconds, by their place in the packet
        index."""
        return self.index.times_s

    def refs(self, shard: Shard) -> list[FrameRef]:
        """What each wanted frame of a shard is, in the order of time."""
        return list(self._refs(self._of(shard)).values())

    def groups(self, shard: Shard) -> list[int]:
        """For each of those, the group of pictures that it is decoded with: the number of its key
        frame."""
        if self.index.from_start:
            return [0] * len(self._of(shard))
        return [
            int(g)
            for g in np.searchsorted(
                self.index.key_pts, self.index.pts[self._of(shard)], side="right"
            )
        ]

    def _runs(self, wanted: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split the wanted frames where a whole group of pictures without any lies between: there,
        seeking is cheaper."""
        group = np.searchsorted(self.index.key_pts, self.index.pts[wanted], side="right") - 1
        if self.index.from_start:
            return [wanted]
        if self.sampling.keyframes:
            return [wanted[i : i + 1] for i in range(len(wanted))]
        return np.split(wanted, np.flatnonzero(np.diff(group) > 1) + 1)

    def _decode_run(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        run: NDArray[np.int64],
        refs: dict[int, FrameRef],
    ) -> Iterator[Frame | FrameFailure]:
        decoder = Decoder(container, stream, self.index)
        waiting = list(run[::-1])
        only_key = self.sampling.keyframes and not self.index.from_start
        for position, picture in decoder.pictures(int(run[0]), only_key):
            while waiting and waiting[-1] < position:
                yield decoder.failure(refs[int(waiting.pop())])
            if not waiting:
                break
            if position == waiting[-1]:
                ref = refs[int(waiting.pop())]
                if picture.is_corrupt:
                    yield FrameFailure(ref, "the decoder marked this frame as damaged")
                else:
                    yield Frame(ref, upright_rgb(picture))
            if not waiting:
                break
        for index in reversed(waiting):
            yield decoder.failure(refs[int(index)])

    def _refs(self, wanted: NDArray[np.int64]) -> dict[int, FrameRef]:
        """What each wanted frame is, with its time and position, by its place in the index."""
        pts_s = [float(self.index.pts[i] * self.index.time_base) for i in wanted]
        places = self.locator.of_video(np.array(pts_s, np.float64))
        return {
            int(i): self._ref(int(i), t, place)
            for i, t, place in zip(wanted, pts_s, places, strict=True)
        }

    def _ref(self, index: int, pts_s: float, place: Place) -> FrameRef:
        return FrameRef(
            indexed_frame_id(self.info.source_id, index),
            self.info.source_id,
            self.info.uri,
            index,
            pts_s,
            place.time_us,
            place.time_source,
            place.position,
        )
