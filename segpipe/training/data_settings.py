"""The images of a training run, and what is done to them before the network sees them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from segpipe.core.config.job import Strict
from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.redact import VARIABLE
from segpipe.inference.models.preprocess import Interpolation

LAYOUTS: dict[str, dict[str, str]] = {
    "folders": {"images": "images/*", "labels": "labels/{stem}.png", "strip": ""},
    "cityscapes": {
        "images": "leftImg8bit/{split}/*/*_leftImg8bit.png",
        "labels": "gtFine/{split}/{parent}/{stem}_gtFine_labelIds.png",
        "strip": "_leftImg8bit",
    },
    "comma10k": {"images": "imgs/*.png", "labels": "masks/{name}", "strip": ""},
}
"""Where images and labels of known data sets lie, below their root."""


class Folder(Strict):
    """One set of labelled images: where they are. `images` and `labels` say more where no layout
    fits."""

    root: str = Field(
        min_length=1,
        description="the folder of the data set; ${NAME} is a variable of the environment",
    )
    layout: Literal["folders", "cityscapes", "comma10k"] = "folders"
    split: str = Field("train", description="takes the place of {split} in the layout")
    images: str | None = Field(None, description="glob below root, such as images/*.jpg")
    labels: str | None = Field(
        None,
        description="each image's label file below root: {stem}, {name}, {parent}, {split} are "
        "the image's",
    )
    strip: str | None = Field(
        None, description="an ending that is taken off the image's stem first"
    )

    def place(self) -> Path:
        """Where `root` is. Raises ConfigError for a variable that isn't set, SourceError where
        the folder isn't there."""
        unset = [name for name in VARIABLE.findall(self.root) if not os.environ.get(name)]
        if unset:
            raise ConfigError(
                f"data root {self.root}: the environment has no variable {unset[0]}; set it to the "
                "folder of the data set, or write the folder into the config"
            )
        filled = VARIABLE.sub(lambda found: os.environ[found.group(1)], self.root)
        place = Path(filled).expanduser()
        if not place.is_dir():
            raise SourceError(
                f"{place}: no such folder; give data.…root the folder that holds images and labels"
            )
        return place

    def pattern(self, key: str) -> str:
        """`images`, `labels` or `strip`: as given, or the layout's."""
        given: str | None = getattr(self, key)
        return LAYOUTS[self.layout][key] if given is None else given


class Data(Strict):
    """What is learnt from, what is measured on, and what the label values mean."""

    taxonomy: str = Field(
        min_length=1,
        description="a name (camvid, cityscapes, mapillary, ade20k, comma10k) or a YAML file",
    )
    train: tuple[Folder, ...] = Field(min_length=1)
    val: tuple[Folder, ...] = Field(min_length=1)
    remap: dict[str, str] = Field(
        {}, description="class names to other class names, or to 'ignore'"
    )

    def places(self) -> tuple[Path, ...]:
        """Where all folders are. Raises as `Folder.place`."""
        return tuple(folder.place() for folder in (*self.train, *self.val))


class Input(Strict):
    """How an image becomes the network's input when it is used; it goes into the model's
    segpipe.json."""

    shortest_edge: int | None = Field(
        None, ge=32, le=4096, description="without it, the image's own size"
    )
    multiple_of: int = Field(32, ge=1, le=256)
    interpolation: Interpolation = "area"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    @field_validator("std")
    @classmethod
    def _no_zero(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0:
            raise ValueError("all three must be above 0")
        return value


class Augmentation(Strict):
    """What is changed at random in training; torchvision's transforms (v2) do it. Chances are 0 to
    1."""

    crop: tuple[int, int] = Field(
        (352, 480), description="height and width that training sees; multiples of 32"
    )
    scale: tuple[float, float] = Field((0.5, 2.0), description="smallest and largest random scale")
    flip: float = Field(0.5, ge=0, le=1)
    brightness: float = Field(0.3, ge=0, le=1)
    contrast: float = Field(0.3, ge=0, le=1)
    saturation: float = Field(0.5, ge=0, le=1)
    hue: float = Field(0.03, ge=0, le=0.5)
    blur: float = Field(0.2, ge=0, le=1)
    noise: float = Field(0.2, ge=0, le=1)
    grey: float = Field(0.05, ge=0, le=1)
    paste: float = Field(
        0.0,
        ge=0,
        le=1,
        description="chance that the rare classes of another image are pasted in (ClassMix)",
    )
    paste_classes: tuple[str, ...] = Field((), description="which classes are pasted")

    @model_validator(mode="after")
    def _fits(self) -> Augmentation:
        if min(self.crop) < 32 or any(c % 32 for c in self.crop):
            raise ValueError(f"crop: {list(self.crop)}; both must be multiples of 32")
        if not 0 < self.scale[0] <= self.scale[1] <= 8:
            raise ValueError(f"scale: {list(self.scale)}; smallest first, above 0, at most 8")
        if self.paste and not self.paste_classes:
            raise ValueError("paste: name the classes in paste_classes")
        return self
