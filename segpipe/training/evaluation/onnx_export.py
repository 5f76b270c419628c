"""`export`: a torch model as ONNX, kept only after it gave the same logits as torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segpipe.core.errors import ConfigError, ModelError
from segpipe.core.extras import require
from segpipe.inference.models import Segmenter
from segpipe.inference.models.torch_segmenter import TorchSegmenter
from segpipe.runtime.files.atomic import publish, temp_path

TOLERANCE = 1e-3
"""Largest difference of a logit that is allowed, as a share of the largest logit."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: the largest difference to torch and the sizes [N, H, W] that were
    tried."""

    path: Path
    worst: float
    sizes: tuple[tuple[int, int, int], ...]


class PixelsToLogits(nn.Module):
    """What is exported: pixels uint8 [N, H, W, 3] in RGB to logits float32 [N, C, h, w],
    normalisation included."""

    gain: Tensor
    shift: Tensor

    def __init__(self, segmenter: TorchSegmenter) -> None:
        super().__init__()
        self.inner = segmenter.module
        self.forward_of = segmenter.forward_of
        self.register_buffer("gain", segmenter.gain)
        self.register_buffer("shift", segmenter.shift)

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() * self.gain + self.shift).permute(0, 3, 1, 2)
        return self.forward_of(self.inner, x).float()


def check_name(path: Path) -> None:
    """Raises ConfigError for the name of a file that isn't ONNX."""
    if path.suffix.lower() != ".onnx":
        raise ConfigError(
            f"{path}: segpipe export writes ONNX only; give -o a name that ends in .onnx, such "
            "as model.onnx"
        )


def export_onnx(segmenter: Segmenter, path: Path) -> Exported:
    """Write an ONNX file with dynamic batch, height and width. Raises ModelError where the model
    can't be exported, or the file doesn't give torch's logits on random pixels of several sizes;
    then nothing is left."""
    check_name(path)
    if not isinstance(segmenter, TorchSegmenter):
        raise ModelError(f"{segmenter.spec.source}: not a torch network, nothing to export")
    require("export", "segpipe export", ModelError)
    import onnxruntime

    step = max(32, segmenter.spec.preprocessing.multiple_of)
    sizes = ((1, 4 * step, 5 * step), (2, 3 * step, 6 * step), (3, 5 * step, 3 * step))
    module = PixelsToLogits(segmenter).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temp_path(path)
    try:
        _write(module, sizes[1], step, temporary, segmenter.spec.source)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        worst = max(_difference(module, session, size) for size in sizes)
        if not worst <= TOLERANCE:
            raise ModelError(
                f"{segmenter.spec.source}: ONNX and torch differ by {worst:.2g} of the largest "
                f"logit (allowed: {TOLERANCE:g})"
            )
        publish(path)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(temporary.name + ".data").unlink(missing_ok=True)
    return Exported(path, worst, sizes)


def _write(
    module: nn.Module, size: tuple[int, int, int], step: int, path: Path, source: str
) -> None:
    batch, rows, columns = (
        torch.export.Dim("batch"),
        torch.export.Dim("rows"),
        torch.export.Dim("columns"),
    )
    example = torch.zeros((*size, 3), dtype=torch.uint8)
    shapes = {"pixels": {0: batch, 1: step * rows, 2: step * columns}}
    try:
        with _quiet():
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=["pixels"],
                output_names=["logits"],
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # torch's exporter raises many kinds for what it can't trace
        line = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{source}: torch can't export this network to ONNX ({type(error).__name__}: {line})"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on every channel there is."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _difference(module: nn.Module, session: Any, size: tuple[int, int, int]) -> float:
    pixels = np.random.default_rng(size).integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = module(torch.from_numpy(pixels)).numpy()
    (found,) = session.run(None, {"pixels": pixels})
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(1e-6, np.abs(expected).max()))
