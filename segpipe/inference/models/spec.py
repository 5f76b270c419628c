"""What every model tells of itself, and the protocol that torch's engines speak to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from segpipe.core.errors import ModelError
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.weight_files import sha256_of

if TYPE_CHECKING:
    import torch

MAX_CLASSES = 255
"""Labels are bytes, and the last value means void."""


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class: its label, its name and its colour (red, green, blue; 0 to 255).

    `common_class` is the name that models with different classes share; without it, the
    taxonomies' name for it counts.
    """

    id: int
    name: str
    colour: tuple[int, int, int]
    common_class: str | None = None

    @property
    def common_name(self) -> str:
        """The model's own common class, else that of the taxonomies; `other` where none knows the
        name."""
        from segpipe.core.taxonomy_files import common_name

        return self.common_class or common_name(self.name)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's identity and contract.

    `digest` is made from the weights' bytes. `scores` says what `logits` returns: real logits, of
    which the softmax is the probability, or non-negative scores (mask classification), of which
    the share of the sum is. `threshold` is set for a one-class model: its class is the label where
    its probability is above it, else the background, class 0.
    """

    source: str
    digest: str
    classes: tuple[ClassInfo, ...]
    preprocessing: Preprocessing
    scores: Literal["logits", "scores"] = "logits"
    trained: bool = True
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            count = "1 class" if len(self.classes) == 1 else f"{len(self.classes)} classes"
            raise ModelError(
                f"{self.source}: {count}; a label needs 2 to choose from, and {MAX_CLASSES} at "
                "most fit a byte"
            )
        if self.threshold is not None and not (len(self.classes) == 2 and 0 < self.threshold < 1):
            raise ModelError(
                f"{self.source}: threshold {self.threshold:g} with {len(self.classes)} classes; "
                "a threshold lies between 0 and 1, "
                "and is for a background and one class"
            )

    def describe(self) -> dict[str, Any]:
        """The part that `dataset.json` keeps, in JSON types."""
        return {
            "source": self.source,
            "digest": self.digest,
            "classes": [
                {
                    "id": c.id,
                    "name": c.name,
                    "colour": list(c.colour),
                    "common_class": c.common_name,
                }
                for c in self.classes
            ],
            "preprocessing": asdict(self.preprocessing),
            "scores": self.scores,
            "trained": self.trained,
            "threshold": self.threshold,
        }


class Segmenter(Protocol):
    """A segmentation network in torch: pixels in, logits at its own resolution out. An engine runs
    it (`segpipe.inference.engines`)."""

    @property
    def spec(self) -> ModelSpec:
        """Identity, classes and preprocessing."""
        ...

    def to(self, device: torch.device) -> Segmenter:
        """Move to a device; returns itself."""
        ...

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits float32 [N, C, h', w'] for pixels uint8 [N, h, w, 3] in RGB, resized as
        `spec.preprocessing` says.

        Normalisation is the model's own work, on its device. Called from several threads at once.
        """
        ...


def file_digest(*paths: Path) -> str:
    """SHA-256 over the bytes of weight files, shortened to 16 hexadecimal digits."""
    return sha256_of(paths)[:16]
