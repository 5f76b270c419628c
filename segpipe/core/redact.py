"""URLs as they may be shown: without user, password and tokens. Whatever leaves segpipe as text
goes through here."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

HIDDEN = "***"
_PLAIN = frozenset(
    {
        "camera",
        "channel",
        "fps",
        "height",
        "id",
        "profile",
        "resolution",
        "stream",
        "subtype",
        "width",
    }
)
"""Query keys whose values say which picture is meant; all others are hidden, for no list of secrets
is complete."""
_SECRET = re.compile(
    r"auth|cred|key|login|pas|pwd|sas|secret|sess|sig|token|user|x-amz|expires|^_?pw$",
    re.IGNORECASE,
)
_URL = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,30}://(?:(?!,\s*[A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s'\"<>\\])+"
)
"""Up to what can't be part of one, and in a list of them up to the next."""
_USER = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)(?!\*\*\*@)[^/?#\n]{1,256}?@(?=[^\s@/]*[/:?#\s]|[^\s@/]*$)"
)
"""User and password, whatever stands in them: a space or a quotation mark too."""
_HARMLESS, _SHORT = re.compile(r"[\w.-]{0,32}"), re.compile(r"[\w.-]{0,8}")
_ANY = frozenset({"id", "stream"})
"""Keys of _PLAIN that may stand before anything: only a short value of theirs is harmless."""
_PAIR = re.compile(r"([\w.-]{1,64})=(.*?)(?=[/&;?#]|_[A-Za-z][A-Za-z0-9]{0,64}=|$)")
"""Key and value in a path, as cameras have them: /user=joe&password=x&channel=1,
/user=joe_password=x_channel=1, /live;token=x"""
SERVER = re.compile(r"://([^:@/]*|\[[^]@/]*\])(:\d*)?/|@")
"""A server with its path as it stands before a query: anything else may be a user and the beginning
of a password."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_url(text: str) -> bool:
    """Whether a text names something by its protocol."""
    return _URL.match(text) is not None


def redact(text: str) -> str:
    """The text with every URL in it shown without user, password and the values of all but harmless
    query keys."""
    return _URL.sub(_in_text, _USER.sub(rf"\1{HIDDEN}@", text)) if "://" in text else text


def _in_text(found: re.Match[str]) -> str:
    """What ends a URL in a sentence isn't part of it."""
    url = found.group().rstrip(".,:;)")
    return shown(url) + found.group()[len(url) :]


def shown(url: str) -> str:
    """One URL as it may be shown; where it had a user or a password, *** stands for both."""
    head, mark, query = url.partition("?")
    if "@" in query and not SERVER.search(head):  # an unescaped ? in a password
        before, _, after = query.rpartition("@")
        head, (_, mark, query) = f"{head}{before}@{after.partition('?')[0]}", after.partition("?")
    scheme, sign, rest = head.partition("://")
    # A password may hold anything, an unescaped slash too: all up to the last @ goes. Better to
    # hide a piece of a path.
    user, at, place = rest.rpartition("@")
    place, hidden, _ = place.partition("#")
    cleaned = (
        f"{scheme}{sign}{HIDDEN if user else ''}{at}{with_path_values(place, lambda _: HIDDEN)}"
    )
    if mark and not hidden:
        query, hidden, _ = query.partition("#")
        cleaned += mark + _shown_query(query, user=bool(at))
    return cleaned + (hidden and f"#{HIDDEN}")


def _shown_query(query: str, user: bool) -> str:
    """The pairs of a query as they may be shown. What stands before an @ may be the end of a
    password with an unescaped ?: it is hidden where a `user` went before, or where it has no
    key."""
    pairs = re.split("[&;]", query)
    last = max((i for i, pair in enumerate(pairs) if "@" in pair), default=-1)
    return "&".join(
        HIDDEN if i <= last and pair and (user or "=" not in pair) else shown_pair(pair)
        for i, pair in enumerate(pairs)
    )


def shown_pair(text: str) -> str:
    """A `key=value` of a query as it may be shown."""
    key, sign, value = text.partition("=")
    harmless = key.lower() in _PLAIN and (_SHORT if key.lower() in _ANY else _HARMLESS).fullmatch(
        value
    )
    return text if not sign or not value or harmless else f"{key}={HIDDEN}"


def with_path_values(path: str, changed: Callable[[str], str]) -> str:
    """A path with the values changed whose keys sound like secrets."""
    return _PAIR.sub(
        lambda m: f"{m[1]}={changed(m[2])}" if m[2] and _SECRET.search(m[1]) else m[0], path
    )


def identity(url: str) -> str:
    """What a URL names, for a digest: without user and password, and without the values of keys
    that sound like secrets, in path and query: a password that changes must not make another camera
    of it."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    query = [
        f"{k}={v}"
        for k, v in parse_qsl(parts.query.replace(";", "&"), keep_blank_values=True)
        if not _SECRET.search(k)
    ]
    return f"{parts.scheme.lower()}://{place}{with_path_values(parts.path, lambda _: '')}" + (
        "?" + "&".join(query) if query else ""
    )
