"""Whether a change is more than the passes differ among themselves.

The same street looks different each time: other traffic, other light, another lane. How much, the
passes of one dataset through one cell tell. For each cell, indicator and dataset:

- the value is the mean over the passes, weighted by metres (or frames);
- the variance between passes is the cell's own, drawn towards the pooled variance of all cells of
  the dataset as if that had been seen in `PRIOR` more passes. A cell that was passed once has the
  pooled variance alone; a cell that was passed often has nearly its own. With two or three passes
  a cell's own variance is mostly chance, and would call chance a change;
- the variance of the mean is that over the number of passes (of passes of equal weight that they
  are worth).

The noise of a change is the standard error: the root of the two variances' sum. A change is
significant where it exceeds the noise by Student's t for 95 % (two-sided, Welch's degrees of
freedom: 2.3 for cells passed once, towards 2 for many). So of cells where nothing changed, up to
one in twenty is called significant: look for places where neighbours agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

PRIOR = 4.0
_FREEDOM = np.array([1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120, 1e9])
_T = np.array(
    [
        12.706,
        4.303,
        3.182,
        2.776,
        2.571,
        2.447,
        2.306,
        2.228,
        2.131,
        2.086,
        2.042,
        2.000,
        1.980,
        1.960,
    ]
)


def pooled_variance(estimates: pandas.DataFrame) -> dict[str, tuple[float, float]]:
    """Each indicator's variance between passes over all cells that were passed more than once, and
    its degrees of freedom."""
    found = {}
    repeated = estimates[estimates["variance"].notna()]
    for name, cells in repeated.groupby("indicator"):
        freedom = cells["effective_passes"] - 1
        if freedom.sum() > 0:
            found[str(name)] = (
                float((freedom * cells["variance"]).sum() / freedom.sum()),
                float(freedom.sum()),
            )
    return found


def noise_of(
    joined: pandas.DataFrame, pooled: list[dict[str, tuple[float, float]]]
) -> tuple[Any, Any]:
    """The standard error of each row's change, and the change above which it is significant (NaN
    where neither is known)."""
    parts = [_variance(joined, side, pooled[i], pooled[1 - i]) for i, side in enumerate("ab")]
    total = parts[0][0] + parts[1][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / sum(v**2 / f for v, f in parts)
    # Student's t is nearly linear in one over the degrees of freedom; without any spread they don't
    # matter.
    t = np.interp(-1 / np.nan_to_num(freedom, nan=1e9), -1 / _FREEDOM, _T)
    return np.sqrt(total), t * np.sqrt(total)


def _variance(
    joined: pandas.DataFrame, side: str, own: dict[str, Any], other: dict[str, Any]
) -> tuple[Any, Any]:
    """The variance of each row's mean in one dataset, and its degrees of freedom."""
    prior = [own.get(n) or other.get(n) or (np.nan, np.nan) for n in joined["indicator"]]
    variance, known = np.array(prior, float).reshape(-1, 2).T
    worth = np.minimum(PRIOR, known)
    effective = joined[f"effective_passes_{side}"].to_numpy(float)
    seen = np.where(joined[f"variance_{side}"].isna(), 0.0, effective - 1)
    mixed = (worth * variance + seen * joined[f"variance_{side}"].fillna(0.0).to_numpy(float)) / (
        worth + seen
    )
    return mixed / effective, worth + seen
