"""A `Segmenter` around a torch module: normalise on the device, run, give logits at the network's
own resolution."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from segpipe.inference.models.heads import two_logits
from segpipe.inference.models.inference import Forward, for_inference
from segpipe.inference.models.spec import ModelSpec


class TorchSegmenter:
    """Wraps a module in evaluation mode. `forward` takes the module and a normalised batch and
    gives logits, one channel where the specification has a threshold."""

    def __init__(self, module: nn.Module, spec: ModelSpec, forward: Forward | None = None) -> None:
        self._spec = spec
        forward = forward or (lambda m, x: m(x))
        self.forward_of = forward if spec.threshold is None else two_logits(forward)
        # Before anything is folded.
        self.parameter_count = sum(p.numel() for p in module.parameters())
        self.module = for_inference(module, self.forward_of)
        prep = spec.preprocessing
        # (x * scale - mean) / std as one multiplication and one addition
        self.gain = torch.tensor([prep.scale / s for s in prep.std])
        self.shift = torch.tensor([-m / s for m, s in zip(prep.mean, prep.std, strict=True)])

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def with_threshold(self, threshold: float) -> TorchSegmenter:
        """The same one-class model with another threshold; returns itself."""
        self._spec = replace(self._spec, threshold=threshold)
        return self

    def to(self, device: torch.device) -> TorchSegmenter:
        self.module.to(device)
        self.gain, self.shift = self.gain.to(device), self.shift.to(device)
        return self

    def logits(self, pixels: Tensor) -> Tensor:
        # [N, h, w, 3] seen as [N, 3, h, w] is channels-last already: the permutation copies
        # nothing.
        x = (pixels.float() * self.gain + self.shift).permute(0, 3, 1, 2)
        return self.forward_of(self.module, x).float()
