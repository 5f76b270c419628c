"""Footage with a vehicle in it, and tracks: what the tests of time and place need."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from segpipe.core.types import UInt8


def with_vehicle(frames: list[UInt8]) -> tuple[list[UInt8], np.ndarray]:
    """Frames with a bonnet and a running time stamp painted over them, and the pixels that are
    covered, bool [H, W]."""
    height, width = frames[0].shape[:2]
    covered, found = np.zeros((height, width), bool), []
    for i, frame in enumerate(frames):
        picture, mask = frame.copy(), np.zeros((height, width), np.uint8)
        for image, colour in ((picture, (60, 30, 30)), (mask, 1)):
            cv2.ellipse(
                image,
                (width // 2, int(height * 1.12)),
                (int(width * 0.62), int(height * 0.32)),
                0,
                180,
                360,
                colour,
                -1,
            )
        text = f"2026-05-01 10:{i // 60:02d}:{i % 60:02d}  {30 + i % 20} KM/H"
        place, size = (round(0.02 * width), round(0.07 * height)), 0.8 * width / 960
        cv2.putText(
            picture,
            text,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            (255, 255, 255),
            max(1, round(width / 480)),
        )
        (w, h), _ = cv2.getTextSize(
            text, cv2.FONT_HERSHEY_SIMPLEX, size, max(1, round(width / 480))
        )
        mask[place[1] - h : place[1] + 2, place[0] : place[0] + w] = 1
        covered |= mask > 0
        found.append(picture)
    return found, covered


def write_gpx(
    path: Path,
    start: datetime,
    fixes: list[tuple[float, float]],
    step_s: float = 1.0,
    times: bool = True,
) -> Path:
    """A GPX of (latitude, longitude), `step_s` apart."""
    points = []
    for i, (lat, lon) in enumerate(fixes):
        time = (start + timedelta(seconds=i * step_s)).isoformat().replace("+00:00", "Z")
        inner = f"<time>{time}</time>" if times else ""
        points.append(f'<trkpt lat="{lat:.8f}" lon="{lon:.8f}">{inner}</trkpt>')
    head = '<?xml version="1.0"?><gpx version="1.1" creator="tests" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
    path.write_text(head + "".join(points) + "</trkseg></trk></gpx>", encoding="utf-8")
    return path


def eastwards(
    count: int, step_m: float = 10.0, latitude: float = 52.0, longitude: float = 0.1
) -> list[tuple[float, float]]:
    """Fixes `step_m` apart on the way east."""
    degrees = step_m / (111_319.49 * np.cos(np.radians(latitude)))
    return [(latitude, longitude + i * degrees) for i in range(count)]
