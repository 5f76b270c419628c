"""torch on a CPU: a lane is one core, which computes frame after frame on one thread.

That wastes nothing on waiting at barriers, and makes the labels of a frame independent of its
batch, bit for bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from segpipe.core.types import Float32, UInt8
from segpipe.inference.engines.torch_engine import TorchEngine


class TorchCpuEngine(TorchEngine):
    """Gives logits; labels and statistics are the default ones."""

    def logits(self, pixels: UInt8) -> Float32:
        with torch.inference_mode(), one_thread(), self.autocast():
            frames = [self._frame(own) for own in pixels]
        return frames[0][None] if len(frames) == 1 else np.stack(frames)

    def _frame(self, pixels: UInt8) -> Float32:
        """Logits [h', w', C] of one frame. Networks in channels-last memory give them without a
        copy."""
        logits = self.segmenter.logits(torch.from_numpy(pixels)[None])[0]
        found: Float32 = logits.permute(1, 2, 0).contiguous().numpy()
        return found


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's operations in this thread only (OpenMP keeps the number per calling
    thread)."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
