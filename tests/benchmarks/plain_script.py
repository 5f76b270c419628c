"""The script that a user would write without segpipe: the same weights, OpenCV, one frame at a
time, PNG and CSV."""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch


def segment_video(
    model: torch.nn.Module, video: Path, out: Path, frames: int, names: list[str], edge: int
) -> None:
    """Masks as PNG and class shares as CSV in `out`."""
    reader = cv2.VideoCapture(str(video))
    with (out / "classes.csv").open("w", newline="") as file, torch.no_grad():
        table = csv.writer(file)
        table.writerow(["frame", "time_s", "class", "fraction", "confidence"])
        for number in range(frames):
            time_s = reader.get(cv2.CAP_PROP_POS_MSEC) / 1000
            found, bgr = reader.read()
            if not found:
                break
            height, width = bgr.shape[:2]
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            # as the model card says: shorter edge to 448, both to a multiple of 32, (pixel - 127) /
            # 128
            short = edge / min(height, width)
            size = (round(int(width * short) / 32) * 32, round(int(height * short) / 32) * 32)
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            x = (torch.from_numpy(small).permute(2, 0, 1)[None].float() - 127) / 128
            logits = torch.nn.functional.interpolate(
                model(x), size=(height, width), mode="bilinear", align_corners=False
            )
            confidence, labels = logits.softmax(1).max(1)
            labels_array = labels[0].numpy().astype(np.uint8)
            confidence_array = confidence[0].numpy()
            cv2.imwrite(str(out / f"{number:06d}.png"), labels_array)
            for k, name in enumerate(names):
                inside = labels_array == k
                if inside.any():
                    table.writerow(
                        [number, time_s, name, inside.mean(), confidence_array[inside].mean()]
                    )


if __name__ == "__main__":
    clip, weights, folder, count, *class_names = sys.argv[1:]
    edge_of_model = json.loads((Path(weights) / "segpipe.json").read_text())["preprocessing"][
        "shortest_edge"
    ]
    network = smp.from_pretrained(weights).eval()
    began = time.perf_counter()
    segment_video(network, Path(clip), Path(folder), int(count), class_names, edge_of_model)
    print(time.perf_counter() - began)
