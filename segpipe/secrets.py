"""URLs as they may be shown: without user, password and tokens. Whatever leaves segpipe as text goes through here."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from segpipe.errors import ConfigError

HIDDEN = "***"
_PLAIN = frozenset({"camera", "channel", "fps", "height", "id", "profile", "resolution", "stream", "subtype", "width"})
"""Query keys whose values say which picture is meant; all others are hidden, for no list of secrets is complete."""
_SECRET = re.compile(r"auth|cred|key|login|pas|pwd|sas|secret|sess|sig|token|user|x-amz|expires|^_?pw$", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://(?:(?!,\s*[A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s'\"<>\\])+")
"""Up to what can't be part of one, and in a list of them up to the next."""
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)(?!\*\*\*@)[^/?#\n]{1,256}?@(?=[^\s@/]*[/:?#\s]|[^\s@/]*$)")
"""User and password, whatever stands in them: a space or a quotation mark too."""
_HARMLESS, _SHORT = re.compile(r"[\w.-]{0,32}"), re.compile(r"[\w.-]{0,8}")
_ANY = frozenset({"id", "stream"})
"""Keys of _PLAIN that may stand before anything: only a short value of theirs is harmless."""
_PAIR = re.compile(r"([\w.-]{1,64})=(.*?)(?=[/&;?#]|_[A-Za-z][A-Za-z0-9]{0,64}=|$)")
"""Key and value in a path, as cameras have them: /user=joe&password=x&channel=1, /user=joe_password=x_channel=1, /live;token=x"""
_SERVER = re.compile(r"://([^:@/]*|\[[^]@/]*\])(:\d*)?/|@")
"""A server with its path as it stands before a query: anything else may be a user and the beginning of a password."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_url(text: str) -> bool:
    """Whether a text names something by its protocol."""
    return _URL.match(text) is not None


def redact(text: str) -> str:
    """The text with every URL in it shown without user, password and the values of all but harmless query keys."""
    return _URL.sub(_in_text, _USER.sub(rf"\1{HIDDEN}@", text)) if "://" in text else text


def _in_text(found: re.Match[str]) -> str:
    """What ends a URL in a sentence isn't part of it."""
    url = found.group().rstrip(".,:;)")
    return shown(url) + found.group()[len(url) :]


def shown(url: str) -> str:
    """One URL as it may be shown; where it had a user or a password, *** stands for both."""
    head, mark, query = url.partition("?")
    if "@" in query and not _SERVER.search(head):  # an unescaped ? in a password
        before, _, after = query.rpartition("@")
        head, (_, mark, query) = f"{head}{before}@{after.partition('?')[0]}", after.partition("?")
    scheme, sign, rest = head.partition("://")
    # A password may hold anything, an unescaped slash too: all up to the last @ goes. Better to hide a piece of a path.
    user, at, place = rest.rpartition("@")
    place, hidden, _ = place.partition("#")
    cleaned = f"{scheme}{sign}{HIDDEN if user else ''}{at}{_in_path(place, lambda _: HIDDEN)}"
    if mark and not hidden:
        query, hidden, _ = query.partition("#")
        cleaned += mark + "&".join(_part(p) for p in re.split("[&;]", query))
    return cleaned + (hidden and f"#{HIDDEN}")


def _part(text: str) -> str:
    key, sign, value = text.partition("=")
    harmless = key.lower() in _PLAIN and (_SHORT if key.lower() in _ANY else _HARMLESS).fullmatch(value)
    return text if not sign or not value or harmless else f"{key}={HIDDEN}"


def _in_path(path: str, changed: Callable[[str], str]) -> str:
    """A path with the values changed whose keys sound like secrets."""
    return _PAIR.sub(lambda m: f"{m[1]}={changed(m[2])}" if m[2] and _SECRET.search(m[1]) else m[0], path)


def identity(url: str) -> str:
    """What a URL names, for a digest: without user and password, and without the values of keys that sound like
    secrets, in path and query: a password that changes must not make another camera of it."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    query = [f"{k}={v}" for k, v in parse_qsl(parts.query.replace(";", "&"), keep_blank_values=True) if not _SECRET.search(k)]
    return f"{parts.scheme.lower()}://{place}{_in_path(parts.path, lambda _: '')}" + ("?" + "&".join(query) if query else "")


def with_environment(text: str) -> str:
    """A URL with each ${NAME} replaced by that variable of the environment; paths are left alone. Raises ConfigError where one
    isn't set."""
    return filled(text, text) if "://" in text else text


def filled(part: str, url: str) -> str:
    """A part of a URL with each ${NAME} replaced; raises as `with_environment`. Split first: a secret may hold any character."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise ConfigError(f"{redact(url)}: the environment has no variable {name}; set it, or write the URL out")
        return os.environ[name]

    return VARIABLE.sub(value, part)


def holds_secrets(url: str) -> bool:
    """Whether a URL says a user, a password or another value that is hidden itself, and not by ${NAME}."""
    return bool(is_url(url) and _moved_all(url, lambda value, _: "" if VARIABLE.sub("", value) else value) != url)


def in_environment(url: str, prefix: str = "SEGPIPE_SECRET") -> str:
    """The URL with its secrets moved to variables of this process: what keeps the text then keeps none of them."""

    def moved(value: str, escaped: bool) -> str:
        plain = unquote(value) if escaped else value
        number = next(n for n in itertools.count(1) if os.environ.get(f"{prefix}_{n}", plain) == plain)
        os.environ[f"{prefix}_{number}"] = plain
        return f"${{{prefix}_{number}}}"

    return _moved_all(url, lambda v, escaped: moved(v, escaped) if VARIABLE.sub("", v) else v) if is_url(url) else url


def _moved_all(url: str, moved: Callable[[str, bool], str]) -> str:
    """The URL with each of its secrets moved; the second argument says whether it is escaped when it is put back: it is not in a
    path, which may be escaped otherwise."""
    head, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    before = re.split("[?#]", rest)[0]
    if len(before) < len(user) and _SERVER.search(f"://{before}"):  # the last @ is in the query
        user, at, place = before.rpartition("@")
        place += rest[len(before) :]
    place, sign, fragment = place.partition("#")
    place, mark, query = place.partition("?")
    users = ":".join(moved(u, True) for u in user.split(":", 1)) if user else ""
    pairs = [(p, *p.partition("=")) for p in re.split("([&;])", query)]
    values = [f"{k}={moved(v, True)}" if _part(p) != p else p for p, k, _, v in pairs]
    pieces = [p.partition("=") for p in fragment.split("&")]
    ends = "&".join(f"{k}={moved(v, True)}" if eq and v else moved(k, True) if k and not eq else k + eq for k, eq, v in pieces)
    return f"{head}://{users}{at}{_in_path(place, lambda v: moved(v, False))}{mark}{''.join(values)}{sign}{ends}"
