"""A segmenter without a network: each pixel takes the class whose colour is nearest. For tests and
dry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.spec import ClassInfo, ModelSpec

if TYPE_CHECKING:
    import torch

DEFAULT_CLASSES = (
    ClassInfo(0, "dark", (0, 0, 0)),
    ClassInfo(1, "red", (220, 30, 30)),
    ClassInfo(2, "green", (30, 200, 30)),
    ClassInfo(3, "blue", (30, 30, 220)),
    ClassInfo(4, "bright", (255, 255, 255)),
)


class FakeSegmenter:
    """Public API: behaves as a model does, with a stride, without weights. Paint a picture in its
    colours and the labels are known."""

    def __init__(
        self,
        classes: tuple[ClassInfo, ...] = DEFAULT_CLASSES,
        stride: int = 4,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self.stride = stride
        prep = preprocessing or Preprocessing(multiple_of=stride)
        self._spec = ModelSpec("fake:", f"fake-{stride}", classes, prep)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def to(self, device: torch.device) -> FakeSegmenter:
        return self

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Minus the squared distance to each class's colour, scaled so that the softmax is neither
        flat nor hard."""
        import torch

        small = torch.nn.functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float(), self.stride)
        colours = torch.tensor(
            [c.colour for c in self._spec.classes], dtype=torch.float32, device=pixels.device
        )
        distance = (small[:, None] - colours[None, :, :, None, None]).square().sum(2)
        return -distance / 2000.0
