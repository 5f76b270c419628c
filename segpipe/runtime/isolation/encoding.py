"""Values of a child process as plain ones: what msgpack has, and large arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np

_SCALARS = frozenset({bool, int, float, str, bytes, type(None)})


def plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value of numbers, texts, lists, mappings, dataclasses and arrays. A dataclass becomes a
    list of its name and its fields, an array its type, its shape and its place in `arrays`, to
    which it is added. Raises TypeError for anything else."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind in (tuple, list):
        return [plain(v, arrays) for v in value]
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value, value.dtype.newbyteorder("=")))
        return [value.dtype.kind + str(value.dtype.itemsize), list(value.shape), len(arrays) - 1]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: plain(v, arrays) for k, v in value.items()}
    if is_dataclass(kind):
        return [kind.__name__, *(plain(getattr(value, f), arrays) for f in field_names(kind))]
    raise TypeError(f"{kind.__name__} can't be sent from the process that reads footage")


@cache
def field_names(kind: type) -> tuple[str, ...]:
    """The fields that a dataclass is made of, in order."""
    return tuple(f.name for f in fields(kind) if f.init)


def as_bytes(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data
