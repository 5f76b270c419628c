"""The article's network: two convolutions with ReLU and pooling, and its fully connected layer made
convolutional.

A fully connected layer on a whole picture would fix the picture's size and give one answer for it.
As a convolution it is the same layer applied at every place (Long and others, 2015), so that each
place gets logits, at any size.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class SimpleCNN(nn.Module):
    """Logits float [N, classes, h / 4, w / 4] of pictures float [N, 3, h, w]."""

    def __init__(
        self,
        classes: int,
        channels: tuple[int, int] = (16, 32),
        hidden: int = 64,
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "_model_class": "SimpleCNN",
            "classes": classes,
            "channels": list(channels),
            "hidden": hidden,
            "kernel_size": kernel_size,
        }
        first, second = channels
        pad = kernel_size // 2
        self.features = nn.Sequential(
            nn.Conv2d(3, first, kernel_size, padding=pad),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, kernel_size, padding=pad),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Conv2d(second, hidden, kernel_size, padding=pad),
            nn.ReLU(),
            nn.Conv2d(hidden, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.classifier(self.features(x))
        return found
