"""How a model of transformers wants its pictures: its image processor's settings, followed exactly
or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from segpipe.core.errors import ModelError
from segpipe.inference.models.preprocess import Preprocessing

_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "linear", 3: "cubic"}  # Pillow's numbers
_TOLERANCE = 0.02
"""Largest difference, in normalised units, between our input and the checkpoint's own processor's:
a rounded byte."""


def preprocessing_of(settings: dict[str, Any], source: str) -> Preprocessing:
    """Translate an image processor's settings. Raises ModelError for a rule that isn't known."""
    resample = settings.get("resample")
    kind = _RESAMPLE.get(2 if resample is None else int(resample))
    if kind is None:
        allowed = ", ".join(f"{number} ({name})" for number, name in _RESAMPLE.items())
        raise ModelError(
            f"{source}: its preprocessing has resample {resample}; allowed are {allowed}"
        )
    fields: dict[str, Any] = {"backend": "torchvision", "interpolation": kind}
    size = settings.get("size") or {}
    if settings.get("do_resize"):
        if {"height", "width"} <= size.keys():
            fields |= {"height": size["height"], "width": size["width"]}
        elif "shortest_edge" in size:
            fields |= {
                "shortest_edge": size["shortest_edge"],
                "longest_edge": size.get("longest_edge"),
            }
        else:
            raise ModelError(
                f"{source}: its preprocessing resizes by {size}; height and width, or "
                "shortest_edge, are supported"
            )
        if settings.get("size_divisor"):
            fields |= {"multiple_of": settings["size_divisor"], "rounding": "up"}
    if settings.get("do_center_crop"):
        crop = settings.get("crop_size") or {}
        fields |= {"crop_height": crop.get("height"), "crop_width": crop.get("width")}
    if settings.get("do_pad") and settings.get("pad_size"):
        fields |= {
            "pad_height": settings["pad_size"]["height"],
            "pad_width": settings["pad_size"]["width"],
        }
    if settings.get("do_rescale"):
        fields["scale"] = float(settings.get("rescale_factor", 1 / 255))
    if settings.get("do_normalize") and settings.get("image_mean") is not None:
        fields |= {"mean": tuple(settings["image_mean"]), "std": tuple(settings["image_std"])}
    return Preprocessing(**fields)


def check_preprocessing(processor: Any, prep: Preprocessing, source: str) -> None:
    """Hold our translation against the checkpoint's own processor on pictures of two shapes: exact,
    or refused."""
    rng = np.random.default_rng(0)
    for height, width in ((540, 960), (768, 480)):
        rgb = np.kron(
            rng.integers(0, 256, (height // 12, width // 12, 3)), np.ones((12, 12, 1))
        ).astype(np.uint8)
        pixels, _ = prep.apply(rgb)
        ours = ((pixels * prep.scale - np.asarray(prep.mean)) / np.asarray(prep.std)).transpose(
            2, 0, 1
        )
        theirs = np.asarray(
            processor(images=rgb, return_tensors="np", data_format="channels_first")["pixel_values"]
        )[0]
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _TOLERANCE:
            raise ModelError(
                f"{source}: its preprocessing ({type(processor).__name__}) can't be followed "
                "exactly: it makes "
                f"{theirs.shape} of a {height} x {width} picture, we {ours.shape}"
            )
