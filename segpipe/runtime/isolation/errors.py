"""The errors that a child process may raise in its parent: these and no others, by their names."""

from __future__ import annotations

from typing import Any

from segpipe.core.errors import (
    ConfigError,
    ModelError,
    SegpipeError,
    SourceError,
    is_transient,
    one_line,
)
from segpipe.runtime.isolation.arrays import Unexpected

_OURS = {kind.__name__: kind for kind in (SegpipeError, ConfigError, ModelError)}
_SYSTEM = {
    kind.__name__: kind
    for kind in (MemoryError, TimeoutError, EOFError, ValueError, TypeError, RuntimeError)
}


def error_as_plain(error: Exception) -> list[Any]:
    """An error as the name of the nearest kind that may be raised, its text, and what else it says;
    one of another kind is one of ours that says the same."""
    for kind in type(error).__mro__:
        if kind is SourceError:
            return ["SourceError", str(error), is_transient(error)]
        if kind is OSError and isinstance(error, OSError) and isinstance(error.errno, int):
            named = None if error.filename is None else str(error.filename)
            return ["OSError", str(error.strerror), error.errno, named]
        if (_OURS | _SYSTEM).get(kind.__name__) is kind:
            return [kind.__name__, str(error)]
    return ["SegpipeError", one_line(error)]


def error_of(value: Any) -> Exception:
    """The error that a message holds. Raises Unexpected."""
    match value:
        case ["SourceError", str(text), bool(transient)]:
            return SourceError(text, transient)
        case ["OSError", str(text), int(number), (str() | None) as named]:
            return OSError(number, text, named)
        case [str(name), str(text)] if name in _OURS:
            return _OURS[name](text)
        case [str(name), str(text)] if name in _SYSTEM:
            return _SYSTEM[name](text)
    raise Unexpected("an error of no known kind")
