"""What `make demo` does: render the sample drive, run the flow on it, write the overlay, say what
to try next."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tqdm import tqdm

from flows.segment import segment_footage
from segpipe.analysis.report.overlay import source_ids
from segpipe.analysis.report.overlay_video import write_overlay
from segpipe.analysis.report.summary import describe_run
from segpipe.core.config.job import make_job, read_yaml
from segpipe.core.errors import SegpipeError
from segpipe.store import open_dataset
from segpipe.training.sample import DriveSettings, render_drive

CONFIG = "configs/demo.yaml"
TRY_NEXT = """
Try next:
  .venv/bin/segpipe info {out}
  .venv/bin/segpipe query {out} "SELECT class_name, avg(pixel_fraction) FROM class_shares \\
      WHERE region = 'frame' GROUP BY 1"
  .venv/bin/segpipe aggregate {out} --by metres:20 --picture demo/green.png
  .venv/bin/segpipe run YOUR_CLIP.mp4 -o my-dataset -c configs/dashcam.yaml
  make demo                      # again: nothing new to do
"""


def main() -> None:
    job = make_job(read_yaml(CONFIG), CONFIG)
    video, out = Path(job.inputs[0]), Path(job.output)
    if not video.exists():
        settings = DriveSettings()
        with tqdm(
            total=settings.frame_count,
            desc="rendering the sample drive",
            unit="frame",
            disable=None,
        ) as bar:
            render_drive(video.parent, settings, bar.update)
    print(f"sample drive: {video}, with true labels and a GPX track beside it", flush=True)
    began = time.perf_counter()
    print(
        "running the flow segment_footage (a temporary Prefect server starts first) …", flush=True
    )
    report = segment_footage(job)
    dataset = open_dataset(out)
    for line in describe_run(report, [c.name for c in dataset.classes]):
        print(line)
    print(f"the flow with its server took {time.perf_counter() - began:.0f} s")
    overlay = out.parent / "overlay.mp4"
    if report.frames or not overlay.exists():
        write_overlay(dataset, source_ids(dataset)[0], overlay)
    print(f"dataset: {out}\noverlay: {overlay}" + TRY_NEXT.format(out=out))


if __name__ == "__main__":
    try:
        main()
    except SegpipeError as error:
        sys.exit(f"make demo: {error}")
