"""Secrets of URLs in the environment: `${NAME}` in an address, and secrets moved to variables of
this process."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from segpipe.core.errors import ConfigError
from segpipe.core.redact import SERVER, VARIABLE, is_url, redact, shown_pair, with_path_values


def with_environment(text: str) -> str:
    """A URL with each ${NAME} replaced by that variable of the environment; paths are left alone.
    Raises ConfigError where one isn't set."""
    return filled(text, text) if "://" in text else text


def filled(part: str, url: str) -> str:
    """A part of a URL with each ${NAME} replaced; raises as `with_environment`. Split first: a
    secret may hold any character."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"{redact(url)}: the environment has no variable {name}; set it, or write "
                "the URL out"
            )
        return os.environ[name]

    return VARIABLE.sub(value, part)


def holds_secrets(url: str) -> bool:
    """Whether a URL says a user, a password or another value that is hidden itself, and not by
    ${NAME}."""
    return bool(
        is_url(url)
        and _moved_all(url, lambda value, _: "" if VARIABLE.sub("", value) else value) != url
    )


def in_environment(url: str, prefix: str = "SEGPIPE_SECRET") -> str:
    """The URL with its secrets moved to variables of this process: what keeps the text then keeps
    none of them."""

    def moved(value: str, escaped: bool) -> str:
        plain = unquote(value) if escaped else value
        number = next(
            n for n in itertools.count(1) if os.environ.get(f"{prefix}_{n}", plain) == plain
        )
        os.environ[f"{prefix}_{number}"] = plain
        return f"${{{prefix}_{number}}}"

    return (
        _moved_all(url, lambda v, escaped: moved(v, escaped) if VARIABLE.sub("", v) else v)
        if is_url(url)
        else url
    )


def _moved_all(url: str, moved: Callable[[str, bool], str]) -> str:
    """The URL with each of its secrets moved; the second argument says whether it is escaped when
    it is put back: it is not in a path, which may be escaped otherwise."""
    head, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    before = re.split("[?#]", rest)[0]
    if len(before) < len(user) and SERVER.search(f"://{before}"):  # the last @ is in the query
        user, at, place = before.rpartition("@")
        place += rest[len(before) :]
    place, sign, fragment = place.partition("#")
    place, mark, query = place.partition("?")
    users = ":".join(moved(u, True) for u in user.split(":", 1)) if user else ""
    pairs = [(p, *p.partition("=")) for p in re.split("([&;])", query)]
    values = [f"{k}={moved(v, True)}" if shown_pair(p) != p else p for p, k, _, v in pairs]
    pieces = [p.partition("=") for p in fragment.split("&")]
    ends = "&".join(
        f"{k}={moved(v, True)}" if eq and v else moved(k, True) if k and not eq else k + eq
        for k, eq, v in pieces
    )
    path = with_path_values(place, lambda v: moved(v, False))
    return f"{head}://{users}{at}{path}{mark}{''.join(values)}{sign}{ends}"
