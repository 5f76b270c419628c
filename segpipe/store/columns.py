"""Arrow columns made without `pa.array`, which imports pandas where that is installed: that takes
half a second of a run that finds nothing new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def strings(texts: Sequence[str]) -> pa.Array:
    """Texts as a column of large strings, none of them null."""
    content = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, content)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(content))]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def numbers(values: Sequence[int], kind: pa.DataType | None = None) -> pa.Array:
    """Whole numbers as a column of int64, or of another type of 64 bits, none of them null."""
    buffers = [None, pa.py_buffer(np.array(values, np.int64))]
    return pa.Array.from_buffers(kind or pa.int64(), len(values), buffers)
