"""What the recording of a stream is set up with: a job's settings, the memory that its frames may
take, and what its reader is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segpipe.core.config.stream import StreamSettings
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import picture_meter
from segpipe.pipeline.live.frame_queue import FrameQueue
from segpipe.pipeline.live.limits import Span
from segpipe.pipeline.live.stream_reader import StreamRequest
from segpipe.pipeline.settings import FrameSettings
from segpipe.sources.decoding import Decoding
from segpipe.sources.stream.address import Stream
from segpipe.sources.stream.reader import LiveRequest

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

_QUEUED, _QUEUED_BYTES = 32, 512 * 2**20
"""What may wait for the model: so many frames where the reader waits in turn, and so many bytes of
frames in any case."""


@dataclass(frozen=True)
class RecordingSettings:
    """What a job says of the recording of its streams; `streams` of them share the memory."""

    frames: FrameSettings
    stream: StreamSettings
    streams: int = 1


def bytes_in_work(recording: RecordingSettings, worker: SegmentationWorker) -> int | None:
    """How many bytes of frames the lanes may hold, None for any: half of the stream's share of the
    memory. The other half is for those that wait."""
    return worker.max_memory // (2 * recording.streams) if worker.max_memory else None


def inbox_of(recording: RecordingSettings, worker: SegmentationWorker) -> FrameQueue:
    """The queue of a stream's frames before the model."""
    in_work = 2 * worker.lanes * worker.batch_size
    half = bytes_in_work(recording, worker)
    most_bytes = min(half or _QUEUED_BYTES, _QUEUED_BYTES // recording.streams)
    drop = recording.stream.on_lag == "drop"
    return FrameQueue(_QUEUED + in_work, most_bytes, drop, least=in_work)


def request_of(
    stream: Stream,
    span: Span,
    recording: RecordingSettings,
    worker: SegmentationWorker,
    measuring: MeasureContext,
) -> StreamRequest:
    """What a stream's reader is asked for: all that is newer than what the dataset has."""
    settings = recording.frames
    live = LiveRequest(
        stream,
        max(span.begin_us, span.past.end_us + 1),
        span.past,
        recording.stream,
        settings.sampling,
        Decoding(worker.decode_threads, settings.read.max_pixels),
    )
    return StreamRequest(
        live,
        worker.segmenter.spec.preprocessing,
        meter=picture_meter(measuring),
        silence_s=2 * recording.stream.timeout_s + settings.read.timeout_s,
        isolate=settings.read.isolate,
    )
