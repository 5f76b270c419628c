"""Run lengths of masks: what was encoded is decoded, and what doesn't fill a mask is refused."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segpipe.store import masks
from tests.fuzz.support import little_memory

_shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40)
_few = st.integers(0, 3)
_sizes = st.one_of(st.integers(-3, 40), st.integers(-(2**63), 2**63 - 1), st.just(2**31))
_lengths = st.lists(st.one_of(st.integers(0, 50), st.integers(0, 2**32 - 1)), max_size=12)


@given(arrays.arrays(np.uint8, _shapes, elements=st.one_of(_few, st.integers(0, 255))))
def test_what_was_encoded_is_decoded(labels: np.ndarray) -> None:
    values, lengths = masks.encode(labels)
    assert int(lengths.sum()) == labels.size
    assert (lengths > 0).all()
    assert (values[1:] != values[:-1]).all()
    np.testing.assert_array_equal(masks.decode(values, lengths, *labels.shape), labels)


@given(arrays.arrays(np.uint8, _shapes, elements=_few))
def test_views_are_encoded_by_what_they_show(labels: np.ndarray) -> None:
    for view in (labels.T, labels[::-1, ::2], np.asfortranarray(labels)):
        np.testing.assert_array_equal(masks.decode(*masks.encode(view), *view.shape), view)


@given(st.binary(max_size=12), _lengths, _sizes, _sizes)
def test_any_runs_give_a_mask_of_the_size_or_a_value_error(
    values: bytes, lengths: list[int], height: int, width: int
) -> None:
    runs = np.frombuffer(values, np.uint8), np.array(lengths, np.uint32)
    with little_memory():
        try:
            mask = masks.decode(*runs, height, width)
        except ValueError:
            return
    assert mask.shape == (height, width)
    assert mask.dtype == np.uint8


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 30)), max_size=12), st.integers(1, 9))
def test_runs_that_fill_a_mask_are_unfolded(runs: list[tuple[int, int]], width: int) -> None:
    values = np.array([v for v, _ in runs], np.uint8)
    lengths = np.array([n * width for _, n in runs], np.uint32)
    height = int(lengths.sum()) // width
    mask = masks.decode(values, lengths, height, width)
    np.testing.assert_array_equal(mask.reshape(-1), np.repeat(values, lengths))
