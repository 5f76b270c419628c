"""A real RTSP camera that dies and comes back, again and again: `python -m tests.torture.outages
[TIMES]`."""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipeline.live.recording import frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import contiguous, rtsp_server


@dataclass(frozen=True)
class Outages:
    """What a recording came to: `contiguous` says that its frames and its gaps cover the time
    without holes."""

    times: int
    gaps: int
    frames: int
    doubled: int
    contiguous: bool

    @property
    def held(self) -> bool:
        """Whether each outage is one gap, and nothing else is missing."""
        return self.contiguous and not self.doubled and self.gaps == self.times


def endure(folder: Path, times: int, seed: int = 1) -> Outages:
    """Record while the camera is killed `times` times at random moments, for a random while. Skips,
    as a test does, where there is no RTSP server."""
    chance = random.Random(seed)
    with rtsp_server() as camera:

        def suffer() -> None:
            for _ in range(times):
                time.sleep(chance.uniform(2.5, 4.5))
                camera.kill()
                time.sleep(chance.uniform(0.3, 1.5))
                camera.start()

        thread = threading.Thread(target=suffer)
        thread.start()
        seconds = times * 7 + 4
        record(
            stream_job(
                folder,
                camera.url,
                stream={
                    "duration": f"{seconds}s",
                    "shard_s": 3,
                    "backoff_s": 0.2,
                    "max_backoff_s": 1,
                    "timeout_s": 5,
                    "on_lag": "drop",
                },
            )
        )
        thread.join()
    frames, gaps = frames_of(folder), gaps_of(folder)
    lost = [g for g in gaps if g["kind"] in {"lost", "stall"}]
    ids = [r["frame_id"] for r in frames]
    return Outages(
        times,
        len(lost),
        len(frames),
        len(ids) - len(set(ids)),
        contiguous([r["pts_s"] for r in frames], gaps, 0.25),
    )


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="segpipe-outages-") as folder:
        try:
            found = endure(Path(folder) / "out", times)
        except pytest.skip.Exception as reason:
            print(f"outages: skipped ({reason})")
            return 0
    print(
        f"camera killed {found.times} times; reconnects: {found.gaps}, each a gap: "
        f"{found.gaps == found.times}; "
        f"frames: {found.frames}; doubled: {found.doubled}; nothing missing but the gaps: "
        f"{found.contiguous}"
    )
    return 0 if found.held else 1


if __name__ == "__main__":
    raise SystemExit(main())
