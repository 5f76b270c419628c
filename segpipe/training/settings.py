"""A training run: data, model, augmentation, loss, optimiser, schedule. Read from
`configs/train-*.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from segpipe.core.config.job import Strict, validated
from segpipe.training.data_settings import Augmentation, Data, Input


class Network(Strict):
    """The network: `simple_cnn`, an architecture of segmentation-models-pytorch, or
    `torchvision:NAME`."""

    architecture: str = Field("Unet", min_length=1)
    encoder: str | None = Field(
        "resnet34", description="of segmentation-models-pytorch; any timm model as tu-NAME"
    )
    weights: Literal["imagenet", "none"] = Field(
        "imagenet", description="where the encoder starts from"
    )
    start: str | None = Field(
        None,
        description="a trained model (folder or URI) to start from; its classes must be the same",
    )
    freeze: tuple[str, ...] = Field(
        (), description="parts that keep their weights, such as encoder.model.conv_stem"
    )
    options: dict[str, Any] = Field(
        {}, description="further arguments of the architecture, such as decoder_channels"
    )


class LossTerm(Strict):
    """One loss of a weighted sum."""

    name: Literal["cross_entropy", "ohem", "dice", "jaccard", "focal", "lovasz", "tversky"] = (
        "cross_entropy"
    )
    weight: float = Field(1.0, gt=0)
    class_weights: Literal["none", "bounded", "inverse"] = Field(
        "none",
        description="cross_entropy and ohem: bounded is 1 / ln(1.1 + share), inverse is median "
        "frequency / frequency",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="cross_entropy")
    hardest: float = Field(
        0.25, gt=0, le=1, description="ohem: the share of pixels that count, the hardest ones"
    )
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
    warmup: float = Field(
        0.02, ge=0, lt=1, description="share of all steps in which the rate rises"
    )
    balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="0: each image as often; 1: images with rare classes far more often",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the exponential moving average of the weights; 0: none",
    )
    validate_every: int = Field(1, ge=1, description="epochs")
    patience: int = Field(
        0, ge=0, description="stop after so many validations without a better one; 0: never"
    )
    keep: Literal["best", "last"] = Field(
        "best", description="the weights that become the model; last: val doesn't choose"
    )


class Machine(Strict):
    """Where it runs. `strategy` and `devices` are Lightning's own."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int | Literal["auto"] = 1
    strategy: str = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="auto: mixed on a GPU, float32 else"
    )
    loaders: int = Field(
        -1,
        ge=-1,
        le=128,
        description="processes that read and augment; -1: none on a CPU, four on a GPU",
    )


class TrainingJob(Strict):
    """One training run."""

    output: str = Field(
        min_length=1, description="the run's folder: checkpoints, logs, curves and the model"
    )
    seed: int = Field(1, ge=0, lt=2**31)
    data: Data
    network: Network = Network()
    input: Input = Input()
    augmentation: Augmentation = Augmentation()
    loss: tuple[LossTerm, ...] = Field((LossTerm(),), min_length=1)
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    machine: Machine = Machine()
    card: str = Field(
        "", description="Markdown put into the model's README: data, terms, known failures"
    )


def make_training_job(
    content: dict[str, Any], origin: str | Path = "the training job"
) -> TrainingJob:
    """Validate a mapping. Raises ConfigError with one line that names each wrong key and what is
    allowed there."""
    return validated(TrainingJob, content, str(origin))
