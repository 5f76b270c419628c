"""Colours for classes whose checkpoint gives none: Cityscapes' for the names it has, else evenly
spread hues."""

from __future__ import annotations

import colorsys

CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
_GOLDEN = 0.618033988749895


def colour_of(class_id: int, name: str) -> tuple[int, int, int]:
    """A colour that depends on nothing but the class; the background is black."""
    known = CITYSCAPES.get(name.lower().strip())
    if known:
        return known
    if class_id == 0 and name.lower().strip("_ ") == "background":
        return (0, 0, 0)
    # Steps of the golden ratio around the circle of hues keep any number of neighbours apart.
    red, green, blue = colorsys.hsv_to_rgb(
        class_id * _GOLDEN % 1.0, 0.55 + 0.15 * (class_id % 3), 0.95 - 0.2 * (class_id % 2)
    )
    return round(red * 255), round(green * 255), round(blue * 255)
