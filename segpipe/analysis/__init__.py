"""Answers from a dataset: events along the drives, layers of cells for a map, differences between
two datasets.

The work is plain DuckDB SQL in `sql/`, over the views that `Dataset.duckdb()` makes; Python adds
what SQL lacks: H3 cells, geometry, and files.
"""
