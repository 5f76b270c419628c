"""The same labels and statistics as `upsampling`, in torch operations: for CUDA, and as the reference in tests.

Labels and sums are computed where the logits are; only the label map and a few numbers per class leave the device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segpipe.frames import VOID, ClassStatistics, View
from segpipe.stats import finish
from segpipe.upsampling import Axis, axes


def labels_and_sums(
    logits: Tensor, probabilities: Tensor, view: View, input_height: int, input_width: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Labels uint8 [H, W] and sums on the device, for one frame's logits and probabilities [C, h, w]."""
    classes, rows, columns = logits.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    seen = _winners(logits, ys, xs)
    near = probabilities[:, _index(ys.nearest, logits)][:, :, _index(xs.nearest, logits)]
    confidence = near.gather(0, seen[None])[0].double()
    flat = seen.reshape(-1)
    height, width = seen.shape
    x = torch.arange(width, device=seen.device).expand(height, width).reshape(-1) + view.x0
    y = torch.arange(height, device=seen.device)[:, None].expand(height, width).reshape(-1) + view.y0
    total = torch.stack([_sums(flat, v, classes) for v in (confidence.reshape(-1), x.double(), y.double())], 1)
    box = torch.stack(
        [_extreme(flat, x, classes, "amin"), _extreme(flat, y, classes, "amin"),
         _extreme(flat, x, classes, "amax"), _extreme(flat, y, classes, "amax")], 1,
    )  # fmt: skip
    part = probabilities[:, ys.nearest[0] : ys.nearest[-1] + 1, xs.nearest[0] : xs.nearest[-1] + 1]
    entropy = torch.special.entr(part.double()).sum(0).mean()
    labels = torch.full((view.height, view.width), VOID, dtype=torch.uint8, device=seen.device)
    labels[view.y0 : view.y1, view.x0 : view.x1] = seen.to(torch.uint8)
    count = torch.bincount(flat, minlength=classes)
    return labels, {"count": count, "box": box, "total": total, "entropy": entropy}


def to_statistics(sums: dict[str, Tensor]) -> ClassStatistics:
    """Bring the sums of one frame to the host."""
    count, box = sums["count"].cpu().numpy().astype(np.int64), sums["box"].cpu().numpy().astype(np.int64)
    return finish(count, box, sums["total"].cpu().numpy(), float(sums["entropy"]))


def _winners(logits: Tensor, ys: Axis, xs: Axis) -> Tensor:
    """Index of the largest interpolated logit, int64 [rows, columns] of the seen part. The axes are separable."""
    wy = torch.from_numpy(ys.weight).to(logits.device)[None, :, None]
    wx = torch.from_numpy(xs.weight).to(logits.device)[None, None, :]
    tall = logits[:, _index(ys.low, logits)] * (1 - wy) + logits[:, _index(ys.high, logits)] * wy
    full = tall[:, :, _index(xs.low, logits)] * (1 - wx) + tall[:, :, _index(xs.high, logits)] * wx
    return full.argmax(0)


def _index(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(like.device)


def _sums(flat: Tensor, values: Tensor, classes: int) -> Tensor:
    return torch.zeros(classes, dtype=torch.float64, device=flat.device).index_add_(0, flat, values)


def _extreme(flat: Tensor, values: Tensor, classes: int, reduce: str) -> Tensor:
    start = torch.full((classes,), -1 if reduce == "amax" else 2**31, dtype=torch.int64, device=flat.device)
    return start.scatter_reduce_(0, flat, values, reduce)
