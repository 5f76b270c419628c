"""URLs as they may be shown: without user, password and tokens. Whatever leaves segpipe as text goes through here."""

from __future__ import annotations

import itertools
import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from segpipe.errors import ConfigError

HIDDEN = "***"
_PLAIN = frozenset({"camera", "channel", "fps", "height", "id", "profile", "resolution", "stream", "subtype", "width"})
"""Query keys whose values say which picture is meant; all others are hidden, for no list of secrets is complete."""
_SECRET = re.compile(r"auth|cred|key|pass|pwd|sas|secret|sess|sig|token|user|x-amz|expires", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:(?!,\s*[A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"<>\\])+")
"""Up to what can't be part of one, and in a list of them up to the next."""
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?!\*\*\*@)[^/?#\n]{1,256}?@(?=[^\s@/]*[/:?#\s]|[^\s@/]*$)")
"""User and password, whatever stands in them: a space or a quotation mark too."""
_HARMLESS = re.compile(r"[\w.-]*")
_SERVER = re.compile(r"://([^:@/]*|\[[^]@/]*\])(:\d*)?/|@")
"""A server with its path as it stands before a query: anything else may be a user and the beginning of a password."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


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
    scheme, _, rest = head.partition("://")
    # A password may hold anything, an unescaped slash too: all up to the last @ goes. Better to hide a piece of a path.
    user, at, place = rest.rpartition("@")
    cleaned = f"{scheme}://{HIDDEN}@{place}" if at and user else head
    return cleaned + (mark + "&".join(_part(p) for p in re.split("[&;]", query)) if mark else "")


def _part(text: str) -> str:
    key, sign, value = text.partition("=")
    harmless = key.lower() in _PLAIN and _HARMLESS.fullmatch(value)
    return text if not sign or not value or harmless else f"{key}={HIDDEN}"


def identity(url: str) -> str:
    """What a URL names, for a digest: without user and password, and without query keys that sound like secrets, for a
    password that changes must not make another camera of it."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    query = [f"{k}={v}" for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _SECRET.search(k)]
    return f"{parts.scheme.lower()}://{place}{parts.path}" + ("?" + "&".join(query) if query else "")


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

    return _VARIABLE.sub(value, part)


def holds_secrets(url: str) -> bool:
    """Whether a URL says a user, a password or a hidden query value itself, and not by ${NAME}."""
    if not is_url(url):
        return False
    _, users, _, query = _parts(url)
    return any(_VARIABLE.sub("", u) for u in users) or any(_part(q) != q and _VARIABLE.sub("", q.partition("=")[2]) for q in query)


def in_environment(url: str, prefix: str = "SEGPIPE_SECRET") -> str:
    """The URL with its secrets moved to variables of this process: what keeps the text then keeps none of them."""
    if not holds_secrets(url):
        return url
    head, users, place, query = _parts(url)
    user = ":".join(_moved(u, prefix) for u in users) + "@" if users else ""
    pairs = [q.partition("=") for q in query]
    values = [f"{k}={_moved(v, prefix)}" if _part(f"{k}={v}") != f"{k}={v}" else k + sign + v for k, sign, v in pairs]
    return f"{head}://{user}{place}" + ("?" + "&".join(values) if query else "")


def _parts(url: str) -> tuple[str, list[str], str, list[str]]:
    """Protocol, user and password, server with path, and the parts of the query."""
    head, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if at and "?" in user and _SERVER.search(url.partition("?")[0]):  # the @ is in the query
        user, place = "", rest
    place, _, query = place.partition("?")
    return head, user.split(":", 1) if user else [], place, query.split("&") if query else []


def _moved(value: str, prefix: str) -> str:
    if not _VARIABLE.sub("", value):
        return value
    number = next(n for n in itertools.count(1) if os.environ.get(f"{prefix}_{n}", unquote(value)) == unquote(value))
    os.environ[f"{prefix}_{number}"] = unquote(value)
    return f"${{{prefix}_{number}}}"
