"""Small labelled data sets for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

TAXONOMY = """
ignore: [9]
classes:
  - {name: sky, common_class: sky}
  - {name: road, common_class: road}
  - {name: car, common_class: vehicle}
"""


def write_set(root: Path, count: int = 4, size: tuple[int, int] = (64, 96), seed: int = 0) -> Path:
    """Pictures of three colours with noise, and their labels: sky above, road below, a car
    somewhere, one void row."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    colours = np.array([[200, 120, 60], [90, 90, 90], [30, 30, 220]], np.int16)
    for i in range(count):
        label = np.zeros(size, np.uint8)
        label[size[0] // 2 :] = 1
        y, x = int(rng.integers(8, size[0] - 24)), int(rng.integers(0, size[1] - 32))
        label[y : y + 24, x : x + 32] = 2
        picture = colours[label] + rng.integers(-12, 13, (*size, 3))
        label[-1] = 9
        cv2.imwrite(str(root / "images" / f"{i}.png"), picture.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "labels" / f"{i}.png"), label)
    return root


def training_job(tmp_path: Path, **over: Any) -> dict[str, Any]:
    """A job on two such sets that trains in seconds."""
    taxonomy = tmp_path / "three.yaml"
    taxonomy.write_text(TAXONOMY)
    for i, name in enumerate(("train", "val")):
        if not (tmp_path / name).exists():
            write_set(tmp_path / name, 8 if name == "train" else 4, seed=i)
    job: dict[str, Any] = {
        "output": str(tmp_path / "run"),
        "seed": 3,
        "data": {
            "taxonomy": str(taxonomy),
            "train": [{"root": str(tmp_path / "train")}],
            "val": [{"root": str(tmp_path / "val")}],
        },
        "network": {"architecture": "simple_cnn", "encoder": None},
        "input": {"shortest_edge": 64, "multiple_of": 4},
        "augmentation": {"crop": [64, 64], "scale": [0.8, 1.2]},
        "optimiser": {"name": "adam", "rate": 0.01},
        "schedule": {"epochs": 4, "batch": 4, "average": 0.5},
        "machine": {"accelerator": "cpu"},
    }
    for key, value in over.items():
        job[key] = {**job[key], **value} if isinstance(value, dict) and key in job else value
    return job
