"""A training run: data, model, augmentation, loss, optimiser, schedule. Read from `configs/train-*.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from segpipe.config import Strict, validated
from segpipe.models.preprocess import Interpolation

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
    """One set of labelled images: where they are. `images` and `labels` say more where no layout fits."""

    root: str = Field(min_length=1, description="the folder of the data set")
    layout: Literal["folders", "cityscapes", "comma10k"] = "folders"
    split: str = Field("train", description="takes the place of {split} in the layout")
    images: str | None = Field(None, description="glob below root, such as images/*.jpg")
    labels: str | None = Field(
        None, description="each image's label file below root: {stem}, {name}, {parent}, {split} are the image's"
    )
    strip: str | None = Field(None, description="an ending that is taken off the image's stem first")

    def pattern(self, key: str) -> str:
        """`images`, `labels` or `strip`: as given, or the layout's."""
        given: str | None = getattr(self, key)
        return LAYOUTS[self.layout][key] if given is None else given


class Data(Strict):
    """What is learnt from, what is measured on, and what the label values mean."""

    taxonomy: str = Field(min_length=1, description="a name (camvid, cityscapes, mapillary, ade20k, comma10k) or a YAML file")
    train: tuple[Folder, ...] = Field(min_length=1)
    val: tuple[Folder, ...] = Field(min_length=1)
    remap: dict[str, str] = Field({}, description="class names to other class names, or to 'ignore'")


class Network(Strict):
    """The network: `simple_cnn`, an architecture of segmentation-models-pytorch, or `torchvision:NAME`."""

    architecture: str = Field("Unet", min_length=1)
    encoder: str | None = Field("resnet34", description="of segmentation-models-pytorch; any timm model as tu-NAME")
    weights: Literal["imagenet", "none"] = Field("imagenet", description="where the encoder starts from")
    start: str | None = Field(None, description="a trained model (folder or URI) to start from; its classes must be the same")
    freeze: tuple[str, ...] = Field((), description="parts that keep their weights, such as encoder.model.conv_stem")
    options: dict[str, Any] = Field({}, description="further arguments of the architecture, such as decoder_channels")


class Input(Strict):
    """How an image becomes the network's input when it is used; it goes into the model's segpipe.json."""

    shortest_edge: int | None = Field(None, ge=32, le=4096, description="without it, the image's own size")
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
    """What is changed at random in training; torchvision's transforms (v2) do it. Chances are 0 to 1."""

    crop: tuple[int, int] = Field((352, 480), description="height and width that training sees; multiples of 32")
    scale: tuple[float, float] = Field((0.5, 2.0), description="smallest and largest random scale")
    flip: float = Field(0.5, ge=0, le=1)
    brightness: float = Field(0.3, ge=0, le=1)
    contrast: float = Field(0.3, ge=0, le=1)
    saturation: float = Field(0.5, ge=0, le=1)
    hue: float = Field(0.03, ge=0, le=0.5)
    blur: float = Field(0.2, ge=0, le=1)
    noise: float = Field(0.2, ge=0, le=1)
    grey: float = Field(0.05, ge=0, le=1)
    paste: float = Field(0.0, ge=0, le=1, description="chance that the rare classes of another image are pasted in (ClassMix)")
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


class LossTerm(Strict):
    """One loss of a weighted sum."""

    name: Literal["cross_entropy", "ohem", "dice", "jaccard", "focal", "lovasz", "tversky"] = "cross_entropy"
    weight: float = Field(1.0, gt=0)
    class_weights: Literal["none", "bounded", "inverse"] = Field(
        "none", description="cross_entropy and ohem: bounded is 1 / ln(1.1 + share), inverse is median frequency / frequency"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="cross_entropy")
    hardest: float = Field(0.25, gt=0, le=1, description="ohem: the share of pixels that count, the hardest ones")
    gamma: float = Field(2.0, ge=0, description="focal: how strongly easy pixels are held down")
    alpha: float = Field(0.3, ge=0, le=1, description="tversky: weight of false positives")
    beta: float = Field(0.7, ge=0, le=1, description="tversky: weight of false negatives")


class Optimiser(Strict):
    """Adam is the article's; AdamW keeps weight decay apart from the gradient."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    rate: float = Field(1e-3, gt=0, description="highest learning rate")
    encoder_rate: float = Field(1.0, gt=0, description="the pretrained encoder's share of it")
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd")
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0: no limit")


class Schedule(Strict):
    """How long, how large the steps, and when to look."""

    epochs: int = Field(50, ge=1, le=100_000)
    images_per_epoch: int = Field(0, ge=0, description="0: as many as there are")
    batch: int = Field(8, ge=1, le=4096, description="images in one step, on each device")
    curve: Literal["cosine", "poly", "constant"] = "cosine"
    warmup: float = Field(0.02, ge=0, lt=1, description="share of all steps in which the rate rises")
    balance: float = Field(0.0, ge=0, le=1, description="0: each image as often; 1: images with rare classes far more often")
    average: float = Field(0.0, ge=0, lt=1, description="decay of the exponential moving average of the weights; 0: none")
    validate_every: int = Field(1, ge=1, description="epochs")
    patience: int = Field(0, ge=0, description="stop after so many validations without a better one; 0: never")
    keep: Literal["best", "last"] = Field("best", description="the weights that become the model; last: val doesn't choose")


class Machine(Strict):
    """Where it runs. `strategy` and `devices` are Lightning's own."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int | Literal["auto"] = 1
    strategy: str = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="auto: mixed on a GPU, float32 else"
    )
    loaders: int = Field(-1, ge=-1, le=128, description="processes that read and augment; -1: none on a CPU, four on a GPU")


class TrainingJob(Strict):
    """One training run."""

    output: str = Field(min_length=1, description="the run's folder: checkpoints, logs, curves and the model")
    seed: int = Field(1, ge=0, lt=2**31)
    data: Data
    network: Network = Network()
    input: Input = Input()
    augmentation: Augmentation = Augmentation()
    loss: tuple[LossTerm, ...] = Field((LossTerm(),), min_length=1)
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    machine: Machine = Machine()
    card: str = Field("", description="Markdown put into the model's README: data, terms, known failures")


def make_training_job(content: dict[str, Any], origin: str | Path = "the training job") -> TrainingJob:
    """Validate a mapping. Raises ConfigError with one line that names each wrong key and what is allowed there."""
    return validated(TrainingJob, content, str(origin))
