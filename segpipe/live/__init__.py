"""Live streams into a dataset: read in a process of their own, segmented, committed shard by shard as time passes."""

from __future__ import annotations

from segpipe.live.recorder import StreamReport
from segpipe.live.run import StreamPlan, notes_on, plan_streams, record_stream, run_streams, streams_of

__all__ = ["StreamPlan", "StreamReport", "notes_on", "plan_streams", "record_stream", "run_streams", "streams_of"]
