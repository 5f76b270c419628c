"""What changed between two datasets, cell by cell, and whether the change is more than the passes
differ among themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segpipe.analysis.aggregate import measure, say_not_measurable, weightless
from segpipe.analysis.cells import Cells, hexagon
from segpipe.analysis.exposure import Exposure, Settled, settle
from segpipe.analysis.queries import rows
from segpipe.analysis.same_footage import same_footage
from segpipe.analysis.significance import noise_of, pooled_variance
from segpipe.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb
    import geopandas
    import pandas


@dataclass(frozen=True)
class Difference:
    """A row per cell and indicator: cell, indicator, a, b, change (b - a), noise (standard error of
    the change), significant, frames, metres and passes of both, and the cell's hexagon as geometry
    (CRS84). Only cells with enough exposure in both. `warnings` are sentences about what the
    figures can't tell."""

    frame: geopandas.GeoDataFrame
    cells: Cells
    exposure: Settled
    warnings: tuple[str, ...]


def diff(
    connection_a: duckdb.DuckDBPyConnection,
    connection_b: duckdb.DuckDBPyConnection,
    by: str,
    exposure: Exposure | None = None,
) -> Difference:
    """Compare the cells that both datasets saw; `by` is h3:RES. Raises ConfigError for another
    `by`: pieces of a way are places of one drive and have no counterpart in another dataset."""
    import geopandas

    cells = Cells.parse(by)
    if cells.kind != "h3":
        raise ConfigError(
            f"cells {by!r}: two datasets share no odometer; compare them by h3:N, such as h3:10"
        )
    connections = [connection_a, connection_b]
    settled = settle(exposure or Exposure(), cells, connections)
    both = [_estimates(c, cells, settled) for c in connections]
    pooled = [pooled_variance(e) for e in both]
    same = same_footage(*connections)
    warnings = [*same, *_warnings(*pooled), *_not_measured(connections, settled)]
    joined = both[0].merge(both[1], on=["cell", "indicator"], suffixes=("_a", "_b"))
    if joined.empty:
        warnings.append("no cell has enough exposure in both datasets: nothing can be compared")
    _add_change(joined, pooled, bool(same))
    columns = ["cell", "indicator", "a", "b", "change", "noise", "significant"]
    columns += [f"{n}_{side}" for n in ("frames", "metres", "passes") for side in "ab"]
    outlines = {n: hexagon(n) for n in joined["cell"].unique()}
    geometry = geopandas.GeoSeries([outlines[n] for n in joined["cell"]], crs="OGC:CRS84")
    return Difference(
        geopandas.GeoDataFrame(joined[columns], geometry=geometry), cells, settled, tuple(warnings)
    )


def _estimates(
    connection: duckdb.DuckDBPyConnection, cells: Cells, settled: Settled
) -> pandas.DataFrame:
    """A row per cell and indicator of one dataset."""
    measure(connection, cells, settled)
    return rows(
        connection, "estimates", min_frames=settled.min_frames, min_metres=settled.min_metres
    ).to_pandas()


def _not_measured(connections: list[duckdb.DuckDBPyConnection], settled: Settled) -> list[str]:
    """What one of the datasets, or both, can't tell."""
    missing = [say_not_measurable(c, "{}") for c in connections]
    alike = missing[0] == missing[1]
    said = [line.format("A and that of B") for line in missing[0]] if alike else []
    for name, connection, lines in zip("AB", connections, missing, strict=True):
        said += [] if alike else [line.format(name) for line in lines]
        said += weightless(connection, settled, f" of {name}")
    return said


def _add_change(
    joined: pandas.DataFrame, pooled: list[dict[str, tuple[float, float]]], same: bool
) -> None:
    """Add what changed from A to B. Of the same footage (`same`) there is no noise to tell."""
    joined["a"], joined["b"] = joined["mean_a"], joined["mean_b"]
    joined["change"] = joined["b"] - joined["a"]
    joined["noise"], limit = noise_of(joined, pooled)
    joined["noise"] = joined["noise"].mask(joined["change"].isna() | same)
    joined["significant"] = (
        (joined["change"].abs() > limit + 1e-12).astype("boolean").mask(joined["noise"].isna())
    )


def _warnings(a: dict[str, tuple[float, float]], b: dict[str, tuple[float, float]]) -> list[str]:
    if not a and not b:
        return [
            "no cell was passed twice in either dataset: how much passes differ isn't known, so "
            "noise and significant are null"
        ]
    if not a or not b:
        alone, other = ("A", "B") if not a else ("B", "A")
        return [
            f"no cell was passed twice in {alone}: its noise is taken from {other}, as if its "
            "passes differed as much"
        ]
    return []
