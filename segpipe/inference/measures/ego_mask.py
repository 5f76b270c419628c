"""The vehicle in its own picture: bonnet, dashboard and burnt-in text, found as what stays the same
while the drive moves.

An edge that is there in four of five frames, in the same place and direction, stands on the picture
and not in the world. Close groups of such edges that point all ways are text. A flat one across the
lower part of the picture, with grey levels below it that hardly vary, is the border of a bonnet or
a dashboard. Both are needed: a road hardly varies either, and the markings on it can stand still
for a while, but they rise steeply towards the horizon. A parabola through the border finds it where
the world behind it is as dark as the bonnet.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.text import counted
from segpipe.core.types import UInt8
from segpipe.inference.measures.standing import Mask, bonnet, burnt_in_text, standing_edges

FRAMES = 64
"""Frames to look at, spread over the drive."""
MIN_FRAMES = 12
WIDTH = 480
MOVING = 6.0
"""Grey levels: the median over the picture of the deviation over time, below which the drive
doesn't move enough to tell."""
MOST = 0.6
"""A mask over more of the picture than this is taken for a mistake."""


def find_ego_mask(frames: Iterable[UInt8]) -> tuple[Mask | None, str]:
    """The pixels that belong to the vehicle or are burnt in, bool [H, W] of frames uint8 [H, W, 3]
    of one drive, and a note.

    None where none were found, or where the frames are too few or too much alike to tell; the note
    then says why.
    """
    greys, size = _shrunk(frames)
    if len(greys) < MIN_FRAMES:
        return (
            None,
            f"ego mask: {counted(len(greys), 'frame')}: too few to tell what stands still; "
            f"{MIN_FRAMES} are needed",
        )
    stack = np.stack(greys).astype(np.float32)
    deviation = (np.median(np.abs(stack - np.median(stack, axis=0)), axis=0) * 1.4826).astype(
        np.float32
    )
    if float(np.median(deviation)) < MOVING:
        return (
            None,
            "ego mask: the picture hardly changes, so nothing tells the vehicle from the scene; "
            "none is used",
        )
    mask = _standing(stack, deviation)
    share = float(mask.mean())
    if share > MOST:
        return (
            None,
            f"ego mask: {share * 100:.0f} % of the picture stands still, too much for a vehicle; "
            "none is used",
        )
    if share < 0.0005:
        return None, ""
    return cv2.resize(
        mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST
    ).astype(bool), ""


def _standing(stack: NDArray[np.float32], deviation: NDArray[np.float32]) -> Mask:
    """Text and bonnet, and a pixel around them."""
    edges = standing_edges(stack)
    mask = burnt_in_text(edges) | bonnet(edges, deviation)
    if not mask.any():
        return mask
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _shrunk(frames: Iterable[UInt8]) -> tuple[list[UInt8], tuple[int, int]]:
    """Grey and small, those of the first one's size."""
    greys: list[UInt8] = []
    size = (0, 0)
    for rgb in frames:
        if not greys:
            size = (rgb.shape[0], rgb.shape[1])
        if rgb.shape[:2] == size:
            small = (min(WIDTH, size[1]), max(1, round(size[0] * min(1.0, WIDTH / size[1]))))
            grey = cv2.cvtColor(
                cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
            )
            greys.append(np.asarray(grey, np.uint8))
    return greys, size
