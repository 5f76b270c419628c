"""The network in training: forward, loss, metrics, optimiser and schedule, as Lightning wants
them."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import MulticlassConfusionMatrix

from segpipe.core.errors import TrainingError
from segpipe.core.types import VOID
from segpipe.training.epoch_sampler import seed_of
from segpipe.training.losses import WeightedSum
from segpipe.training.settings import TrainingJob

Batch = tuple[Tensor, Tensor]


class SegmentationModule(pl.LightningModule):
    """Trains a network on pictures uint8 [N, 3, h, w] and classes int64 [N, h, w].

    Logs `train/loss` and its terms, `train/rate`, `val/miou`, `val/accuracy` and `val/iou/NAME`. A
    loss that is NaN or infinite raises TrainingError with the step.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, loss: WeightedSum, job: TrainingJob, names: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.network, self.loss, self.job, self.names = network, loss, job, names
        self.register_buffer(
            "mean", torch.tensor(job.input.mean).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer("std", torch.tensor(job.input.std).view(1, 3, 1, 1), persistent=False)
        # One confusion matrix gives both IoU and accuracy; torchmetrics' own two would each count
        # all pixels again.
        self.confusion = MulticlassConfusionMatrix(
            len(names), ignore_index=VOID, validate_args=False
        )
        for name, part in network.named_modules():
            if name in job.network.freeze:
                part.requires_grad_(False)

    def train(self, mode: bool = True) -> SegmentationModule:
        """Lightning calls this before each epoch; frozen parts keep the statistics of their batch
        normalisation."""
        super().train(mode)
        for name, part in self.network.named_modules():
            if name in self.job.network.freeze:
                part.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits float [N, C, h', w'] of pictures uint8 [N, 3, h, w]."""
        x = (pixels.float() - self.mean) / self.std
        found: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        return found

    def on_train_epoch_start(self) -> None:
        # Dropout draws from the global generator: an epoch after a resume must draw what it would
        # have drawn.
        torch.manual_seed(seed_of(self.job.seed, self.current_epoch, self.global_rank, "steps"))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        pixels, classes = batch
        total: Tensor
        total, parts = self.loss(self(pixels), classes)
        if not torch.isfinite(total):
            raise TrainingError(
                f"the loss is {total.item()} at step {self.global_step} (epoch "
                f"{self.current_epoch}, "
                f"{', '.join(f'{n} {v.item():.4g}' for n, v in parts.items())}); "
                "checkpoints/last.ckpt keeps the last good epoch: "
                "lower optimiser.rate or set optimiser.clip, and train into another output, or "
                "start again with --fresh"
            )
        self.log(
            "train/loss", total, prog_bar=True, on_epoch=True, on_step=True, batch_size=len(pixels)
        )
        if len(parts) > 1:
            self.log_dict(
                {f"train/{n}": v for n, v in parts.items()},
                on_epoch=True,
                on_step=False,
                batch_size=len(pixels),
            )
        return total

    def on_train_epoch_end(self) -> None:
        # A last step may have a finite loss and a gradient that isn't: such weights must not become
        # a checkpoint.
        wrong = [n for n, p in self.network.named_parameters() if not torch.isfinite(p).all()]
        if wrong:
            raise TrainingError(
                f"the weights are no numbers any more at step {self.global_step} (epoch "
                f"{self.current_epoch}, {wrong[0]}); "
                "checkpoints/last.ckpt keeps the last good epoch: lower optimiser.rate and start "
                "again with --fresh"
            )

    def validation_step(self, batch: Batch, index: int) -> None:
        pixels, classes = batch
        logits = functional.interpolate(
            self(pixels).float(), size=classes.shape[-2:], mode="bilinear", align_corners=False
        )
        self.confusion.update(logits.argmax(1), classes)

    def on_validation_epoch_end(self) -> None:
        confusion = self.confusion.compute().double()
        self.confusion.reset()
        iou, accuracy = iou_and_accuracy(confusion)
        self.log("val/miou", iou.nanmean().float(), prog_bar=True)
        self.log("val/accuracy", accuracy.float())
        self.log_dict({f"val/iou/{n}": v.float() for n, v in zip(self.names, iou, strict=True)})

    def configure_optimizers(self) -> Any:
        settings = self.job.optimiser
        encoder = getattr(self.network, "encoder", None)
        inner = (
            [p for p in encoder.parameters() if p.requires_grad]
            if isinstance(encoder, nn.Module)
            else []
        )
        known = {id(p) for p in inner}
        outer = [p for p in self.network.parameters() if p.requires_grad and id(p) not in known]
        groups: list[dict[str, Any]] = [{"params": outer, "lr": settings.rate}]
        if inner:
            groups.append({"params": inner, "lr": settings.rate * settings.encoder_rate})
        optimiser = optimiser_of(settings.name, groups, settings.weight_decay, settings.momentum)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_at(step / steps, self.job)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def iou_and_accuracy(confusion: Tensor) -> tuple[Tensor, Tensor]:
    """IoU of each class float [C] (NaN for a class that is neither there nor found) and pixel
    accuracy, from counts [C, C]."""
    inside = confusion.diagonal()
    iou = inside / (confusion.sum(0) + confusion.sum(1) - inside)
    return iou, inside.sum() / confusion.sum().clamp_min(1)


def optimiser_of(
    name: str, groups: list[dict[str, Any]], weight_decay: float, momentum: float
) -> torch.optim.Optimizer:
    """The optimiser by name."""
    if name == "sgd":
        return torch.optim.SGD(
            groups, weight_decay=weight_decay, momentum=momentum, nesterov=momentum > 0
        )
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=weight_decay)


def rate_at(share: float, job: TrainingJob) -> float:
    """The learning rate's factor at a share (0 to 1) of all steps: a linear rise, then the curve
    down to 0."""
    schedule = job.schedule
    if share < schedule.warmup:
        return max(0.01, share / schedule.warmup)
    done = min(1.0, (share - schedule.warmup) / (1.0 - schedule.warmup))
    if schedule.curve == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * done)
    return float((1.0 - done) ** 0.9) if schedule.curve == "poly" else 1.0
