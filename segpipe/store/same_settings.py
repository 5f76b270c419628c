"""Whether a run's settings are those that a dataset was made with: others are refused, the
difference named."""

from __future__ import annotations

from typing import Any

from segpipe.core.errors import DatasetMismatch
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.manifest import Content

_MOST, _MOST_SHOWN = 20, 300
"""Differences that are named, and letters of a value."""


def decides_rows(content: Content) -> Content:
    """A manifest without the common names of the classes: they are read beside the rows, and may
    change after them."""
    model = content.get("model") or {}
    classes = [
        {k: v for k, v in c.items() if k != "common_class"} for c in model.get("classes", [])
    ]
    return {**content, "model": {**model, "classes": classes}}


def check_same(root: AnyPath, there: Content, wanted: Content) -> None:
    """Raises DatasetMismatch that names each difference, where a dataset was made with other
    settings."""
    found = _differences(decides_rows(there), decides_rows(wanted))
    if found:
        more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
        found = [*found[:_MOST], *more]
        raise DatasetMismatch(
            f"{root}: this dataset was made with other settings: {'; '.join(found)}. Write to "
            "another folder with -o, "
            "or throw this dataset away with --replace"
        )


def same_rows(there: Content, wanted: Content) -> bool:
    """Whether two manifests stand for the same rows: what `check_same` refuses, no more. A key that
    an earlier segpipe didn't write is the same as null."""
    return not _differences(decides_rows(there), decides_rows(wanted))


def _differences(there: Any, wanted: Any, place: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(wanted, dict):
        keys = list(dict.fromkeys([*there, *wanted]))
        return [
            d
            for k in keys
            for d in _differences(there.get(k), wanted.get(k), f"{place}.{k}" if place else k)
        ]
    if there == wanted:
        return []
    if isinstance(there, list) and isinstance(wanted, list) and place.endswith("classes"):
        return [
            f"{place}: {len(there)} there ({_names(there)}), {len(wanted)} wanted "
            f"({_names(wanted)})"
        ]
    there, wanted = (str(value)[:_MOST_SHOWN] for value in (there, wanted))
    return [f"{place[:_MOST_SHOWN]}: {there} there, {wanted} wanted"]


def _names(classes: list[dict[str, Any]]) -> str:
    names = [str(c["name"])[:40] for c in classes]
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
