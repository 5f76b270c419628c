"""Run lengths: a label map goes in and comes out."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.store import masks


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (37, 53), (0, 5)])
def test_round_trip(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for labels in (rng.integers(0, 3, shape, np.uint8), np.full(shape, 255, np.uint8)):
        values, lengths = masks.encode(labels)
        assert (values.dtype, lengths.dtype) == (np.uint8, np.uint32)
        assert np.array_equal(masks.decode(values, lengths, *shape), labels)
        assert np.array_equal(np.repeat(values, lengths).reshape(shape), labels)
        assert not np.any(values[1:] == values[:-1])  # runs are as long as they can be


def test_a_mask_of_a_view_is_encoded_by_what_it_shows() -> None:
    labels = np.arange(24, dtype=np.uint8).reshape(4, 6)[:, ::2]
    assert np.array_equal(masks.decode(*masks.encode(labels), 4, 3), labels)


def test_runs_that_do_not_fill_the_mask_are_refused() -> None:
    with pytest.raises(ValueError, match="don't fill 2 x 3"):
        masks.decode(np.array([1], np.uint8), np.array([5], np.uint32), 2, 3)
