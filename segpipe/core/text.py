"""Text that every table and terminal can hold. Names of files and of classes are what somebody
else wrote."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet would begin to calculate: at the start of a cell, also of one that it makes
at a semicolon. The last four are the wide forms of = + - @."""


def printable_text(text: str) -> str:
    """Text that Parquet can hold: of a path, bytes that are no UTF-8 become backslash escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun in English: `1 frame`, `2 frames`. A plural that isn't the noun with
    an s is given: `1 fix`, `2 fixes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def one_line_text(text: str) -> str:
    """Text that a terminal shows as one line: control characters, which could move the cursor or
    colour it, and marks that turn the direction of writing become escapes."""
    text = printable_text(text)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in text
    )


def plain_lines(text: str) -> str:
    """The same for text of several lines: line feeds stay."""
    return text if text.isprintable() else "\n".join(map(one_line_text, text.split("\n")))


def csv_text(text: str) -> str:
    """A text as a cell of CSV: one line, and an apostrophe before what a spreadsheet would take for
    a formula."""
    return _FORMULA.sub(r"\1'", one_line_text(text))


def csv_cell(value: object) -> object:
    """A cell of CSV: a text as `csv_text`, any other value as it is."""
    return csv_text(value) if isinstance(value, str) else value
