"""What the benchmark came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from segpipe.core.text import counted


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage alone: milliseconds of CPU time and of wall time for a frame."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Medians over the rounds. `limit_fps`: on a CPU, cores ÷ CPU seconds per frame of the three
    stages; on a GPU, the slowest stage's rate. `of_limit` is the pipeline's share of it."""

    source: str
    device: str
    cores: int
    lanes: int
    batch_size: int
    frames: int
    rounds: int
    frame_size: tuple[int, int]
    input_size: tuple[int, int]
    decode: Stage
    model: Stage
    write: Stage
    pipeline_fps: float
    limit_fps: float
    of_limit: float

    def as_dict(self) -> dict[str, Any]:
        """In JSON types."""
        return asdict(self)


def as_text(r: BenchReport) -> str:
    """A small table for people."""
    rows = [
        f"{name:8} {s.cpu_ms:9.2f} {s.wall_ms:9.2f} {1000 / s.wall_ms:9.1f}"
        for name, s in (("decode", r.decode), ("model", r.model), ("write", r.write))
    ]
    return "\n".join(
        [
            f"{r.source}: {counted(r.frames, 'frame')} of {r.frame_size[0]}x{r.frame_size[1]}, "
            "network input "
            f"{r.input_size[0]}x{r.input_size[1]}, {counted(r.rounds, 'round')}",
            f"{r.device}, {counted(r.cores, 'core')}, {counted(r.lanes, 'lane')}, batches of "
            f"{r.batch_size}",
            "",
            "alone      CPU ms   wall ms  frames/s",
            *rows,
            "",
            f"pipeline {r.pipeline_fps:8.2f} frames/s",
            f"limit    {r.limit_fps:8.2f} frames/s",
            f"pipeline / limit = {r.of_limit:.3f}",
        ]
    )
