"""A condition as DuckDB's parser understands it, a tree of mappings: what it compares, and what has
to be true of something for it to make sense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_COMPARISONS = {
    "COMPARE_EQUAL",
    "COMPARE_NOTEQUAL",
    "COMPARE_DISTINCT_FROM",
    "COMPARE_NOT_DISTINCT_FROM",
}
_LISTS = {"COMPARE_IN", "COMPARE_NOT_IN"}
_NEGATIONS = {
    "COMPARE_NOTEQUAL": "COMPARE_EQUAL",
    "COMPARE_DISTINCT_FROM": "COMPARE_NOT_DISTINCT_FROM",
    "COMPARE_NOT_IN": "COMPARE_IN",
}
_UNLIKE = {"!~~": "~~", "!~~*": "~~*"}
"""DuckDB's names of NOT LIKE and NOT ILIKE."""


def affirmed(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What has to be true of some class or region, else the part is a mistake: the part itself,
    each value of its list, and of a negation what it excludes."""
    negated = node.get("type") in _NEGATIONS or node.get("function_name") in _UNLIKE
    if negated and not _has_value(node):  # two columns, or NULL
        return
    node = {**node, "type": _NEGATIONS.get(node["type"], node["type"])}
    if node.get("function_name") in _UNLIKE:
        node["function_name"] = _UNLIKE[node["function_name"]]
        if "qualified_name" in node:  # DuckDB 2
            node["qualified_name"] = {"path": [node["function_name"]]}
    if node["type"] != "COMPARE_IN":
        yield node
        return
    column, *values = node["children"]
    equal = {"class": "COMPARISON", "type": "COMPARE_EQUAL", "alias": "", "left": column}
    yield from ({**equal, "right": value} for value in values if _has_value(value))


def _has_value(node: Any) -> bool:
    """Whether there is a constant other than NULL below a node."""
    if isinstance(node, list):
        return any(_has_value(child) for child in node)
    if not isinstance(node, dict):
        return False
    if node.get("class") == "CONSTANT":
        null = (
            node["literal"]["kind"] == "NULL_LITERAL"
            if "literal" in node
            else node["value"]["is_null"]
        )
        return not null
    return any(_has_value(child) for child in node.values())


def compared(node: Any) -> Iterator[tuple[str, str]]:
    """Each (column, text) of a comparison, depth first."""
    if isinstance(node, list):
        for child in node:
            yield from compared(child)
    if not isinstance(node, dict):
        return
    if node.get("type") in _COMPARISONS and "left" in node:
        sides = [node["left"], node["right"]]
        yield from _pairs(sides, sides)
    elif node.get("type") in _LISTS:
        first, *others = node["children"]
        yield from _pairs([first], others)
    for child in node.values():
        yield from compared(child)


def _pairs(columns: list[Any], values: list[Any]) -> Iterator[tuple[str, str]]:
    names = [n for c in columns if (n := _column(c)) is not None]
    texts = [t for v in values if (t := _text(v)) is not None]
    yield from ((n, t) for n in names for t in texts)


def texts(node: Any) -> Iterator[str]:
    """The text constants below a node."""
    if isinstance(node, dict):
        if (text := _text(node)) is not None:
            yield text
        for child in node.values():
            yield from texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from texts(child)


def columns(node: Any) -> Iterator[str]:
    """The names of all columns below a node."""
    if isinstance(node, dict):
        if (name := _column(node)) is not None:
            yield name
        for child in node.values():
            yield from columns(child)
    elif isinstance(node, list):
        for child in node:
            yield from columns(child)


def _column(node: dict[str, Any]) -> str | None:
    """The name of a column, None for anything else."""
    return str(node["column_names"][-1]).lower() if node.get("class") == "COLUMN_REF" else None


def _text(node: dict[str, Any]) -> str | None:
    """A text constant, cast or not; None for anything else. DuckDB 2 has `literal` where 1 has
    `value`."""
    if node.get("class") == "CAST":
        return _text(node["child"])
    if node.get("class") != "CONSTANT":
        return None
    if "literal" in node:
        return str(node["literal"]["text"]) if node["literal"]["kind"] == "STRING" else None
    value = node["value"]
    return (
        str(value["value"]) if value["type"]["id"] == "VARCHAR" and not value["is_null"] else None
    )
