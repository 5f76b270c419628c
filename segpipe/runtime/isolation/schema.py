"""What may come from a child process: exactly what its function is annotated to return.

The child reads what strangers wrote, and may do what they want. So this process never makes an
object that a message names: it knows from the annotation which dataclass, which number and which
array has to come, and takes nothing else.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from segpipe.runtime.isolation.arrays import Arrays, Unexpected, array_reader, wrong
from segpipe.runtime.isolation.encoding import field_names

Reader = Callable[[Any, Arrays], Any]
"""Makes a value of its plain form. Raises Unexpected."""
_SCALARS = (bool, int, float, str, bytes)


def returned_by(function: Callable[..., Any], each: bool = False) -> Reader:
    """What reads the values that a function returns by its annotation, or (`each`) that it yields;
    plain values where it has none."""
    kind = get_type_hints(function).get("return", Any)
    if each and get_origin(kind) is not None and issubclass(get_origin(kind), Iterator):
        (kind,) = get_args(kind)
    return reader_of(kind)


@cache
def reader_of(kind: Any) -> Reader:
    """What reads values of a type. Raises TypeError for one that can't be sent."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _plain
    if kind in _SCALARS or kind in (None, type(None)):
        return _scalar(type(None) if kind is None else kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _record({kind.__name__: kind})
    if origin in (Union, types.UnionType):
        return _one_of(inner)
    if origin is Literal:
        return _literal(inner)
    if origin is np.ndarray:
        return array_reader(np.dtype(get_args(inner[1])[0]))
    if origin in (tuple, list) and (origin is list or inner[1:] == (...,)):
        return _sequence(origin, reader_of(inner[0]))
    if origin is tuple:
        return _row(tuple(map(reader_of, inner)))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(reader_of(inner[0]), reader_of(inner[1]))
    raise TypeError(f"{kind} can't come from the process that reads footage")


def _plain(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return [_plain(v, arrays) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v, arrays) for k, v in value.items()}
    return value


def _scalar(kind: type) -> Reader:
    def read(value: Any, _: Arrays) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise wrong(kind.__name__, value)

    return read


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def read(value: Any, _: Arrays) -> Any:
        if not isinstance(value, (str, int, type(None))) or value not in allowed:
            raise wrong("one of the allowed values", value)
        return value

    return read


def _one_of(kinds: tuple[Any, ...]) -> Reader:
    """Of a union at most one type may have a plain form like another's: all its dataclasses are
    one, and go by their names."""
    records = {k.__name__: k for k in kinds if isinstance(k, type) and is_dataclass(k)}
    scalars = {k for k in kinds if k in _SCALARS}
    others = [k for k in kinds if k not in scalars and not is_dataclass(k) and k is not type(None)]
    if len(others) + bool(records) > 1:
        raise TypeError(f"{kinds}: which of them a message holds couldn't be told")
    other = _record(records) if records else reader_of(others[0]) if others else None

    def read(value: Any, arrays: Arrays) -> Any:
        if value is None and type(None) in kinds:
            return None
        if type(value) in scalars:
            return value
        if type(value) is int and float in scalars:
            return float(value)
        if other is None:
            raise wrong("another type", value)
        return other(value, arrays)

    return read


def _record(kinds: dict[str, Any]) -> Reader:
    hints = {name: get_type_hints(kind) for name, kind in kinds.items()}
    readers = {
        name: [reader_of(hints[name][field]) for field in field_names(kind)]
        for name, kind in kinds.items()
    }

    def read(value: Any, arrays: Arrays) -> Any:
        if not isinstance(value, list) or not value or value[0] not in tuple(kinds):
            raise wrong(" or ".join(kinds), value)
        name, *content = value
        if len(content) != len(readers[name]):
            raise Unexpected(f"{len(content)} fields of a {name}")
        return kinds[name](*[r(v, arrays) for r, v in zip(readers[name], content, strict=True)])

    return read


def _sequence(kind: type, reader: Reader) -> Reader:
    def read(value: Any, arrays: Arrays) -> Any:
        if not isinstance(value, list):
            raise wrong(kind.__name__, value)
        return kind([reader(v, arrays) for v in value])

    return read


def _row(readers: tuple[Reader, ...]) -> Reader:
    def read(value: Any, arrays: Arrays) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise wrong(f"a tuple of {len(readers)}", value)
        return tuple(r(v, arrays) for r, v in zip(readers, value, strict=True))

    return read


def _mapping(key: Reader, reader: Reader) -> Reader:
    def read(value: Any, arrays: Arrays) -> Any:
        if not isinstance(value, dict):
            raise wrong("a mapping", value)
        return {key(k, arrays): reader(v, arrays) for k, v in value.items()}

    return read
