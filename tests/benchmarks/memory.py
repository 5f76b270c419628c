"""Peak memory of `segpipe run` for 20 seconds and for 10 minutes of the same footage, side by side.

    python tests/benchmarks/memory.py CLIP [--model fake:] [--long 600]

The long videos are the clip's own packets over and over, so that decoding is real. The model
`fake:` has no weights: what grows with the length of a video would be frames, queues and tables,
and those are the real ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av


@dataclass(frozen=True)
class Peak:
    """What one run took."""

    seconds: float
    frames: int
    megabytes: float
    wall_s: float


def loop_clip(clip: Path, out: Path, seconds: float) -> int:
    """Repeat a clip's video packets until `seconds` are full; returns the number of frames."""
    frames, offset = 0, 0
    with av.open(str(out), "w") as sink:
        target = None
        while True:
            last = 0
            with av.open(str(clip)) as source:
                stream = source.streams.video[0]
                if target is None:
                    target = sink.add_stream_from_template(stream)
                assert stream.time_base is not None
                for packet in source.demux(stream):
                    if packet.size == 0:
                        continue
                    assert packet.pts is not None
                    assert packet.dts is not None
                    assert packet.duration is not None
                    if float((packet.dts + offset) * stream.time_base) >= seconds:
                        return frames
                    last = max(last, packet.pts + packet.duration)
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = target
                    sink.mux(packet)
                    frames += 1
                offset += last


def run(clip: Path, seconds: float, model: str, folder: Path) -> Peak:
    """Run segpipe on a looped clip in a process of its own; the peaks of that process and of the
    one that reads for it, summed."""
    video = folder / f"loop-{seconds:.0f}.mp4"
    frames = loop_clip(clip, video, seconds)
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(video),
        "-o",
        str(folder / f"out-{seconds:.0f}"),
        "-q",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--set", f"model.source={model}"], stdout=subprocess.DEVNULL
    )
    peaks: dict[str, int] = {}
    while process.poll() is None:
        for place in Path("/proc").glob("[0-9]*"):
            if place.name == str(process.pid) or _parent_of(place) == process.pid:
                peaks[place.name] = max(_peak_kb(place), peaks.get(place.name, 0))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"segpipe run failed with status {process.returncode}")
    return Peak(seconds, frames, sum(peaks.values()) / 1024, time.perf_counter() - began)


def _parent_of(place: Path) -> int:
    try:
        return int((place / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):  # it has ended
        return -1


def _peak_kb(place: Path) -> int:
    """The most that a process had in memory so far."""
    try:
        return next(
            int(line.split()[1])
            for line in (place / "status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    except (OSError, StopIteration):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="fake:")
    parser.add_argument("--long", type=float, default=600.0, help="seconds of the long video")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peaks = [run(args.clip, seconds, args.model, Path(folder)) for seconds in (20.0, args.long)]
    print("video       frames   peak memory      time")
    for p in peaks:
        print(f"{p.seconds:5.0f} s {p.frames:11d} {p.megabytes:10.0f} MB {p.wall_s:8.1f} s")
    print(f"ratio of the peaks: {peaks[1].megabytes / peaks[0].megabytes:.3f}")


if __name__ == "__main__":
    main()
