"""The streams of a job, planned against what the dataset holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segpipe.core.config.job import Job
from segpipe.core.credentials import holds_secrets, in_environment
from segpipe.core.errors import ConfigError
from segpipe.core.redact import redact
from segpipe.core.units import seconds_of, utc_of
from segpipe.pipeline.live.counts import StreamReport
from segpipe.pipeline.live.limits import Span
from segpipe.pipeline.live.recorder import Recorder
from segpipe.pipeline.live.recording import RecordingSettings
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import OnFrames
from segpipe.sources.stream.address import Stream, is_stream, stream_of
from segpipe.store import Store
from segpipe.store.sources import read_source_metadata, write_source_metadata
from segpipe.store.stream_ends import pasts_of
from segpipe.telemetry.metadata import SourceMetadata

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

_AHEAD_US = 3_000_000
"""A stream's times may be so far ahead of the clock without a word."""


@dataclass(frozen=True)
class StreamPlan:
    """A stream and the time for which it is recorded."""

    stream: Stream
    span: Span
    settings: RecordingSettings

    @property
    def name(self) -> str:
        """What the report of a run calls it."""
        return self.stream.info.source_id

    def record(
        self,
        worker: SegmentationWorker,
        store: Store,
        stop: Callable[[], bool],
        on_frames: OnFrames | None = None,
    ) -> StreamReport:
        """Record until the stream's end, its time, or `stop`. Raises what stands in the way of
        writing."""
        return Recorder(self.stream, self.span, self.settings, worker, store, stop, on_frames).run()


def streams_of(job: Job) -> tuple[Stream, ...]:
    """The job's streams, none where it reads files. Raises ConfigError for what can't be done with
    them, SourceError for a protocol that isn't known."""
    found = [text for text in job.inputs if is_stream(text)]
    if not found:
        return ()
    if len(found) < len(job.inputs):
        raise ConfigError(
            f"the inputs are {len(found)} streams and {len(job.inputs) - len(found)} of files: a "
            "run with streams ends when it is "
            "stopped, so run the files apart (into the same dataset, if you like)"
        )
    if job.sampling.every_m:
        raise ConfigError(
            "sampling.every_m needs a track, and a stream has none; sample by every_n, "
            "per_second or keyframes"
        )
    streams = {s.info.source_id: s for s in map(stream_of, found)}
    if len(streams) < len(found):
        raise ConfigError("a stream is named twice in the inputs; name each once")
    if job.stream.until is not None and utc_of(job.stream.until).timestamp() <= time.time():
        raise ConfigError(
            f"stream.until: {job.stream.until} has passed; name a moment to come, or give "
            "stream.duration"
        )
    return tuple(streams.values())


def notes_on(job: Job) -> list[str]:
    """What of the job doesn't apply to streams, as lines for people."""
    notes = []
    if job.ego_mask != "off":
        notes.append(
            "ego_mask: auto needs to see a whole video first, and isn't available for streams; "
            "ignore_regions is"
        )
    if job.sampling.stream != "default":
        notes.append(
            "sampling.stream is for files: of a live stream, the default video stream is read"
        )
    if job.track.files or job.time.start is not None:
        notes.append(
            "tracks and time.start are for files: a stream's frames have the time of their "
            "arrival and no position"
        )
    return notes


def plan_streams(job: Job, streams: tuple[Stream, ...], store: Store) -> tuple[StreamPlan, ...]:
    """From when to when each stream is recorded, beginning now, and its row in the table `sources`
    where it has none."""
    pasts = pasts_of(store, tuple(s.info.source_id for s in streams))
    begin_us = time.time_ns() // 1000
    limits = (
        [begin_us + round(seconds_of(job.stream.duration) * 1e6)] if job.stream.duration else []
    )
    limits += [round(utc_of(job.stream.until).timestamp() * 1e6)] if job.stream.until else []
    spans = {i: Span(begin_us, past) for i, past in pasts.items()}
    if limits:  # in the stream's own time, which may run ahead of the clock
        spans = {i: replace(span, end_us=min(limits) + span.ahead_us) for i, span in spans.items()}
    for stream in streams:
        if read_source_metadata(store.root, stream.info.source_id) is None:
            info = stream.info
            write_source_metadata(
                store.root,
                SourceMetadata(
                    info, "stream", 0.0, None, begin_us, job.stream.clock, drive_id=info.source_id
                ),
            )
    settings = RecordingSettings(FrameSettings.of(job), job.stream, len(streams))
    return tuple(StreamPlan(s, spans[s.info.source_id], settings) for s in streams)


def notes_on_plans(plans: tuple[StreamPlan, ...]) -> list[str]:
    """What is odd about the streams' times, as lines for people."""
    return [
        f"{p.stream.info.uri}: the dataset has it up to {p.span.ahead_us / 1e6:.0f} s after now, "
        "for it was read faster than it "
        "plays, or the clock was set back; its new frames are placed after those"
        for p in plans
        if p.span.ahead_us > _AHEAD_US
    ]


def refuse_secrets(job: Job) -> None:
    """Raises ConfigError where an input says its password itself: what schedules a job keeps the
    job in a database."""
    for text in job.inputs:
        if holds_secrets(text):
            raise ConfigError(
                f"{redact(text)}: a scheduled job is stored, so it must not hold a password; put "
                "it into the environment of the "
                "worker, and write ${NAME} in its place"
            )


def without_secrets(job: Job) -> Job:
    """The job with the secrets of its inputs moved to the environment of this process."""
    return job.model_copy(update={"inputs": tuple(in_environment(i) for i in job.inputs)})
