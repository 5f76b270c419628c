"""The column `time_map` of the table `sources`: how UTC runs against a film's own time."""

from __future__ import annotations

import pyarrow as pa

from segpipe.telemetry.time_map import TimeMap


def entries(time_map: TimeMap) -> pa.Array:
    """A map as an array of structs, one for each of its entries; what isn't known is null."""
    columns = {"media_s": time_map.media_s, "elapsed_s": time_map.elapsed_s}
    arrays = [pa.array(values, pa.float64(), from_pandas=True) for values in columns.values()]
    return pa.StructArray.from_arrays(arrays, names=list(columns))


def read_time_map(found: pa.Array) -> TimeMap | None:
    """The map of `entries`; None where there are none."""
    if not len(found):
        return None
    media_s, elapsed_s = (
        found.field(name).fill_null(float("nan")).to_numpy(zero_copy_only=False)
        for name in ("media_s", "elapsed_s")
    )
    return TimeMap(media_s, elapsed_s)
