"""What is wrong in settings, in one line for people."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from segpipe.core.redact import redact, shown


def explain(error: ValidationError, kind: type[BaseModel]) -> str:
    """A pydantic error as one line: each place, what is wrong there, and the keys that are
    allowed."""
    parts = []
    for item in error.errors(include_url=False):
        place = ".".join(str(p) for p in item["loc"]) or "job"
        if item["type"] == "extra_forbidden":
            parts.append(
                f"unknown key '{place}' (allowed there: "
                f"{', '.join(_allowed(kind, item['loc'][:-1]))})"
            )
        elif item["type"] == "model_type":
            parts.append(
                f"{place}: a group of keys is needed ({', '.join(_allowed(kind, item['loc']))}; "
                f"found {_shown(item['input'])!r})"
            )
        else:
            given = "" if item["type"] == "missing" else f" (found {_shown(item['input'])!r})"
            parts.append(f"{place}: {redact(item['msg'].removeprefix('Value error, '))}{given}")
    return "; ".join(parts)


def _shown(value: Any) -> Any:
    """What was found, as it may be shown: URLs without their secrets."""
    if isinstance(value, dict):
        return {k: _shown(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(v) for v in value]
    return shown(value) if isinstance(value, str) and "://" in value else value


def _allowed(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys of the group at a place; positions in lists are passed over."""
    model = kind
    for name in place:
        if isinstance(name, int):
            continue
        inner: Any = model.model_fields[name].annotation
        for argument in (inner, *get_args(inner)):
            if isinstance(argument, type) and issubclass(argument, BaseModel):
                model = argument
                break
        else:
            return []
    return list(model.model_fields)
