"""URLs as they may be shown: without user, password and tokens. Whatever leaves segpipe as text goes through here."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, urlsplit

from segpipe.errors import ConfigError

HIDDEN = "***"
_PLAIN = frozenset({"camera", "channel", "fps", "height", "id", "profile", "resolution", "stream", "subtype", "width"})
"""Query keys whose values say which picture is meant; all others are hidden, for no list of secrets is complete."""
_SECRET = re.compile(r"auth|cred|key|pass|pwd|sas|secret|sess|sig|token|user|x-amz|expires", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>\\]+")
_SERVER = re.compile(r"://([^:@/]*|\[[^]@/]*\])(:\d*)?/|@")
"""A server with its path as it stands before a query: anything else may be a user and the beginning of a password."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_url(text: str) -> bool:
    """Whether a text names something by its protocol."""
    return _URL.match(text) is not None


def redact(text: str) -> str:
    """The text with every URL in it shown without user, password and the values of all but harmless query keys."""
    return _URL.sub(lambda found: shown(found.group()), text) if "://" in text else text


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
    return text if not sign or not value or key.lower() in _PLAIN else f"{key}={HIDDEN}"


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
