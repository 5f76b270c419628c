"""The columns of the shards' tables: names, types, order and nullability are a contract."""

from __future__ import annotations

import pyarrow as pa
import pytest

from segpipe.inference.measures.table import class_columns, frame_columns
from segpipe.store.schema import CLASS_STATS, FRAMES

POINTS = "struct<xmin: double, ymin: double, xmax: double, ymax: double>"
FROZEN = {
    "frames": f"""
        frame_id: string not null
        source_id: string not null
        frame_index: int64
        pts_s: double
        timestamp: timestamp[us, tz=UTC]
        timestamp_source: string
        geometry: binary
        bbox: {POINTS}
        latitude: double
        longitude: double
        altitude_m: double
        speed_mps: double
        heading_deg: double
        position_accuracy_m: double
        position_source: string
        odometer_m: double
        uri: string not null
        width: int32
        height: int32
        valid_pixels: int64
        mean_confidence: double
        mean_entropy: double
        sharpness: double
        brightness: double
        contrast: double
        saturated_fraction: double
        changed_fraction: double
        usable: bool not null
        status: string not null
        error: string
        error_class: string
    """,
    "class_stats": """
        frame_id: string not null
        source_id: string not null
        frame_index: int64
        pts_s: double
        region: string not null
        class_id: int32 not null
        class_name: string not null
        pixel_count: int64 not null
        valid_pixels: int64 not null
        pixel_fraction: double not null
        mean_confidence: double not null
        x_min: int32 not null
        y_min: int32 not null
        x_max: int32 not null
        y_max: int32 not null
        centroid_x: double not null
        centroid_y: double not null
        components: int32 not null
        largest_component_fraction: double not null
        largest_x_min: int32 not null
        largest_y_min: int32 not null
        largest_x_max: int32 not null
        largest_y_max: int32 not null
    """,
}


@pytest.mark.parametrize(("table", "schema"), [("frames", FRAMES), ("class_stats", CLASS_STATS)])
def test_the_columns_are_those_of_the_contract(table: str, schema: pa.Schema) -> None:
    frozen = [line.strip() for line in FROZEN[table].strip().splitlines()]
    there = [f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in schema]
    assert there == frozen


def test_measured_columns_say_their_meaning_and_unit() -> None:
    for schema, columns in ((FRAMES, frame_columns()), (CLASS_STATS, class_columns())):
        for column in columns:
            metadata = schema.field(column.name).metadata
            assert metadata[b"meaning"].decode() == column.meaning
            assert metadata.get(b"unit", b"").decode() == column.unit
    assert FRAMES.field("mean_entropy").metadata[b"unit"] == b"nat"


def test_no_two_measures_have_a_column_of_one_name() -> None:
    for schema in (FRAMES, CLASS_STATS):
        assert len(set(schema.names)) == len(schema.names)
