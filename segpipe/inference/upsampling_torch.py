"""The same labels and statistics as `upsampling`, in torch operations: for CUDA, and as the
reference in tests.

Labels and sums are computed where the logits are; only the label map and a few numbers per class
leave the device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segpipe.core.results import ClassStatistics
from segpipe.core.types import VOID, InputGeometry, UInt8
from segpipe.inference.axes import Axis, axes
from segpipe.inference.measures.class_stats import NO_BOX, Sums, finish
from segpipe.inference.measures.components import components
from segpipe.inference.measures.regions import RegionMap


def labels_and_sums(
    logits: Tensor,
    probabilities: Tensor,
    view: InputGeometry,
    input_height: int,
    input_width: int,
    regions: RegionMap,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Labels uint8 [H, W] and sums on the device, for one frame's logits and probabilities [C, h,
    w]."""
    classes, rows, columns = logits.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    seen = _winners(logits, ys, xs)
    y_near, x_near = _index(ys.nearest, logits), _index(xs.nearest, logits)
    confidence = probabilities[:, y_near][:, :, x_near].gather(0, seen[None])[0].double()
    entropy = torch.special.entr(probabilities.double()).sum(0)[y_near][:, x_near]
    atoms = _atoms(regions, seen.device)[view.y0 : view.y1, view.x0 : view.x1]
    valid = atoms > 0
    height, width = seen.shape
    x = torch.arange(width, device=seen.device).expand(height, width) + view.x0
    y = torch.arange(height, device=seen.device)[:, None].expand(height, width) + view.y0
    cells = regions.membership.shape[1] * classes
    flat = (atoms * classes + seen)[valid]
    sums = {
        "count": torch.bincount(flat, minlength=cells),
        "box": torch.stack(
            [
                _extreme(flat, v[valid], cells, how)
                for v, how in ((x, "amin"), (y, "amin"), (x, "amax"), (y, "amax"))
            ],
            1,
        ),
        "total": torch.stack(
            [_sums(flat, v[valid].double(), cells) for v in (confidence, x, y)], 1
        ),
        "entropy": entropy[valid].mean(),
    }
    labels = torch.full((view.height, view.width), VOID, dtype=torch.uint8, device=seen.device)
    labels[view.y0 : view.y1, view.x0 : view.x1] = torch.where(valid, seen, VOID).to(torch.uint8)
    return labels, sums


def pixel_confidence(
    labels: Tensor,
    probabilities: Tensor,
    view: InputGeometry,
    input_height: int,
    input_width: int,
) -> Tensor:
    """The confidence of each label, float32 [H, W] on the device, as `upsampling.pixel_confidence`;
    probabilities are [C, h, w]."""
    classes, rows, columns = probabilities.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    y_near, x_near = _index(ys.nearest, probabilities), _index(xs.nearest, probabilities)
    seen = labels[view.y0 : view.y1, view.x0 : view.x1].long()
    own = probabilities[:, y_near][:, :, x_near].gather(0, seen.clamp_max(classes - 1)[None])[0]
    confidence = torch.zeros(labels.shape, dtype=torch.float32, device=labels.device)
    confidence[view.y0 : view.y1, view.x0 : view.x1] = torch.where(seen == VOID, 0.0, own.float())
    return confidence


def to_statistics(
    sums: dict[str, Tensor], labels: UInt8, regions: RegionMap, classes: int
) -> ClassStatistics:
    """Bring the sums of one frame to the host; the components are counted there, from `labels`
    uint8 [H, W]."""
    shape = (regions.membership.shape[1], classes)
    count, box = (
        sums["count"].cpu().numpy().astype(np.int64),
        sums["box"].cpu().numpy().astype(np.int64),
    )
    total = sums["total"].cpu().numpy()
    found = Sums(
        count.reshape(shape),
        box.reshape(*shape, 4),
        total.reshape(*shape, 3),
        float(sums["entropy"]),
    )
    return finish(found, regions, components(labels, regions, classes))


def _atoms(regions: RegionMap, device: torch.device) -> Tensor:
    """The atoms on the device, int64 [H, W]: a byte a pixel goes over, which is less than the frame
    itself."""
    return torch.from_numpy(regions.atoms).to(device, non_blocking=True).long()


def _winners(logits: Tensor, ys: Axis, xs: Axis) -> Tensor:
    """Index of the largest interpolated logit, int64 [rows, columns] of the seen part. The axes are
    separable."""
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
    start = torch.full(
        (classes,), -1 if reduce == "amax" else NO_BOX, dtype=torch.int64, device=flat.device
    )
    return start.scatter_reduce_(0, flat, values, reduce)
