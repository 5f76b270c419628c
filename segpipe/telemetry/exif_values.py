"""Values of EXIF as cameras write them: what can't be read is None, or an empty text."""

from __future__ import annotations

import math
from typing import Any


def text_of(value: Any) -> str:
    """A text, empty for other types."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def number_of(value: Any) -> float | None:
    """A finite number; None for a rational with denominator 0 and for other types."""
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def triple_of(value: Any) -> tuple[float, float, float] | None:
    """Degrees (or hours), minutes and seconds; what is missing at the end is 0."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        value = (value,)
    numbers = [number_of(part) for part in value][:3]
    known = [n for n in numbers if n is not None]
    if not known or len(known) != len(numbers):
        return None
    first, second, third = [*known, 0.0, 0.0][:3]
    return first, second, third
