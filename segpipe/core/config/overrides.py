"""A job's content before it is checked: a YAML file, and what is put over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from segpipe.core.errors import ConfigError


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a job's YAML as a mapping. Raises ConfigError where it is missing, unreadable or no
    mapping."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the config can't be read ({error.strerror}); name an existing YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: the config is a {type(content).__name__}; a mapping of keys is needed"
        )
    return content


def apply_sets(content: dict[str, Any], sets: list[str]) -> dict[str, Any]:
    """Put `a.b=value` assignments (values in YAML) over a mapping; returns a new mapping."""
    result = dict(content)
    for text in sets:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(
                f"--set {text}: give it as key=value, such as --set sampling.every_n=5"
            )
        put(result, key.strip(), _value(text, value), f"--set {text}")
    return result


def put(content: dict[str, Any], key: str, value: Any, origin: str = "the job") -> None:
    """Put a value at `a.b` into a mapping. Raises ConfigError where `a` is no group of keys."""
    *parents, last = key.split(".")
    for parent in parents:
        inner = content.get(parent)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"{origin}: {parent} is a value, not a group of keys")
        content[parent] = dict(inner or {})
        content = content[parent]
    content[last] = value


def _value(text: str, value: str) -> Any:
    """A value on the command line: YAML, but `fake:` is a model and not a mapping."""
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: {value!r} is no valid YAML value") from None
    return value if isinstance(found, dict) and not value.lstrip().startswith("{") else found
