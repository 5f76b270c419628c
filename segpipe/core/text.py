"""Text that every table and terminal can hold."""

from __future__ import annotations


def printable_text(text: str) -> str:
    """Text that Parquet can hold: of a path, bytes that are no UTF-8 become backslash escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun in English: `1 frame`, `2 frames`. A plural that isn't the noun with
    an s is given: `1 fix`, `2 fixes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def one_line_text(text: str) -> str:
    """Text that a terminal shows as one line: control characters, which could move the cursor or
    colour it, become escapes."""
    return "".join(
        c if c.isprintable() or c == " " else c.encode("unicode_escape").decode()
        for c in printable_text(text)
    )
