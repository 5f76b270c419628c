"""How the tests read messages: whether nouns and verbs agree with their counts."""

from __future__ import annotations

import re

_ONE = re.compile(r"(?<![\w.,:/-])1 (?:[a-z]+ )?(?:\w+[^s\W]s|have|are)\b")
_NO_PLURALS = {"has", "is", "was", "its", "this"}


def disagreeing(text: str) -> list[str]:
    """What a text says of one thing as of several: `1 frames`, `1 ok frames`, `1 have`."""
    found = [match[0] for match in _ONE.finditer(text)]
    return [words for words in found if not _NO_PLURALS & {*words.split()}]
