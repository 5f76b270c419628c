"""Text that every table and terminal can hold."""

from __future__ import annotations


def printable_text(text: str) -> str:
    """Text that Parquet can hold: of a path, bytes that are no UTF-8 become backslash escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
