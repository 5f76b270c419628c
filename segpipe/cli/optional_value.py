"""A flag whose value may be left out, beside an argument that may not."""

from __future__ import annotations

from collections.abc import Callable


def with_argument(arguments: list[str], flag: str, takes_value: Callable[[str], bool]) -> list[str]:
    """The arguments of a command that needs one beside its flags. Where it has none but what
    follows on the last `flag`, that is the one: it is put before the flag."""
    places: list[int] = []
    i = 0
    while i < len(arguments):
        word = arguments[i]
        follows = i + 1 < len(arguments) and not arguments[i + 1].startswith("-")
        if len(word) > 2 and flag.startswith(word):
            places += [i] if follows else []
            i += 1 + follows
        elif word.startswith("-"):
            i += 1 + ("=" not in word and takes_value(word))
        else:
            return arguments
    if not places:
        return arguments
    last = places[-1]
    swapped = [arguments[last + 1], arguments[last]]
    return [*arguments[:last], *swapped, *arguments[last + 2 :]]
