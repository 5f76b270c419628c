"""What a dashcam makes of a clean picture."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from segpipe.core.types import UInt8


def as_a_camera(rgb: UInt8, seed: int, frame: int) -> UInt8:
    """Soften the edges a little, darken the corners, add the sensor's noise, which is
    another in each frame; uint8 [H, W, 3]."""
    height, width = rgb.shape[:2]
    rng = np.random.default_rng((seed, frame))
    soft = cv2.GaussianBlur(rgb, (0, 0), 0.7 * width / 1280)
    noise = rng.integers(-7, 8, (height // 2, width // 2, 1), dtype=np.int16)
    noise = np.repeat(np.repeat(noise, 2, 0), 2, 1)[:height, :width]
    grain = np.zeros((height, width, 1), np.int16)
    grain[: noise.shape[0], : noise.shape[1]] = noise
    return np.asarray(np.clip(soft * _corners(height, width) + grain, 0, 255), np.uint8)


@functools.lru_cache(maxsize=2)
def _corners(height: int, width: int) -> np.ndarray:
    """How much light a lens lets through, float32 [H, W, 1]."""
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray((1.0 - 0.16 * (x * x + y * y))[..., None], np.float32)
