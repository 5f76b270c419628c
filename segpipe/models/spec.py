"""What every model tells of itself, and the protocol that the worker speaks to it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from segpipe.errors import ModelError
from segpipe.models.preprocess import Preprocessing

if TYPE_CHECKING:
    import torch

MAX_CLASSES = 255
"""Labels are bytes, and the last value means void."""


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class: its label, its name and its colour (red, green, blue; 0 to 255)."""

    id: int
    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's identity and contract.

    `digest` is made from the weights' bytes. `scores` says what `logits` returns: real logits, of which the softmax is
    the probability, or non-negative scores (mask classification), of which the share of the sum is.
    """

    source: str
    digest: str
    classes: tuple[ClassInfo, ...]
    preprocessing: Preprocessing
    scores: Literal["logits", "scores"] = "logits"
    trained: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ModelError(f"{self.source}: {len(self.classes)} classes; 1 to {MAX_CLASSES} fit a byte of label")

    def describe(self) -> dict[str, Any]:
        """The part that `dataset.json` keeps, in JSON types."""
        return {
            "source": self.source,
            "digest": self.digest,
            "classes": [{"id": c.id, "name": c.name, "colour": list(c.colour)} for c in self.classes],
            "preprocessing": asdict(self.preprocessing),
            "scores": self.scores,
            "trained": self.trained,
        }


class Segmenter(Protocol):
    """A segmentation network: pixels in, logits at its own resolution out. Engines other than torch fit here."""

    @property
    def spec(self) -> ModelSpec:
        """Identity, classes and preprocessing."""
        ...

    def to(self, device: torch.device) -> Segmenter:
        """Move to a device; returns itself."""
        ...

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits float32 [N, C, h', w'] for pixels uint8 [N, h, w, 3] in RGB, resized as `spec.preprocessing` says.

        Normalisation is the model's own work, on its device. Called from several threads at once.
        """
        ...


def file_digest(*paths: Path) -> str:
    """SHA-256 over the bytes of weight files, shortened to 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
