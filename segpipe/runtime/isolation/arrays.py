"""Arrays that come from a child process: types and shapes are checked, bytes aren't copied."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
"""The bytes of the arrays beside a message, each uint8 [N]."""
_MOST_AXES = 4


class Unexpected(ValueError):
    """A message holds something else than it has to."""


def wrong(wanted: str, value: Any) -> Unexpected:
    """The error for a value of another type than the wanted one."""
    return Unexpected(f"{type(value).__name__} instead of {wanted}")


def array_reader(dtype: np.dtype[Any]) -> Callable[[Any, Arrays], np.ndarray]:
    """What reads arrays of a type. Raises TypeError for one of objects."""
    if dtype.kind not in "biuf":
        raise TypeError(f"arrays of {dtype} can't come from the process that reads footage")
    code = dtype.kind + str(dtype.itemsize)

    def read(value: Any, arrays: Arrays) -> Any:
        if not isinstance(value, list) or len(value) != 3 or value[0] != code:
            raise wrong(f"an array of {dtype}", value)
        _, shape, place = value
        numbers = [*shape, place] if isinstance(shape, list) and len(shape) <= _MOST_AXES else [-1]
        if not all(type(n) is int and n >= 0 for n in numbers) or place >= len(arrays):
            raise Unexpected("the shape or the place of an array")
        if math.prod(shape) * dtype.itemsize != arrays[place].nbytes:
            raise Unexpected("an array of another size than its shape")
        if dtype.kind == "b":  # a byte that is neither 0 nor 1 would be both true and false
            return (arrays[place] != 0).reshape(shape)
        return arrays[place].view(dtype).reshape(shape)

    return read
