"""Object stores: from a URL to a place, and the first contact."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from segpipe.core.credentials import filled
from segpipe.core.errors import ConfigError, DatasetError
from segpipe.core.extras import install_hint, require
from segpipe.core.redact import HIDDEN, shown
from segpipe.runtime.files.store_errors import translated, unreachable

if TYPE_CHECKING:
    from upath import UPath

CONTACT_S = 12.0
"""How long the first contact may take: a store that is away is to be told at once, not after all
retries."""
_S3 = {"s3", "s3a"}
_S3_OPTIONS: dict[str, Any] = {
    "use_listings_cache": False,  # what is there decides what is done: nothing remembered will do
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 30,
        "retries": {"mode": "standard", "max_attempts": 3},
    },
}
_AT_IS_NO_USER = {"abfs", "abfss", "wasb", "wasbs", "az", "adl"}
"""Azure's URLs: container@account."""
_TALKATIVE = (
    "adlfs",
    "aiobotocore",
    "aiohttp",
    "asyncio",
    "azure",
    "botocore",
    "fsspec",
    "gcsfs",
    "s3fs",
    "urllib3",
)


def at_url(text: str) -> UPath:
    """The place of a URL, its credentials kept apart from its path: they show in no text of it.

    ${NAME} stands for a variable of the environment. Raises ConfigError for a URL that can't be a
    dataset's, and where the package that reaches it isn't installed.
    """
    require("s3", f"{shown(text)}: an object store", modules=("upath",))
    from upath import UPath

    scheme, _, rest = text.partition("://")
    options, rest = _options(scheme.lower(), rest, text)
    _quiet()
    try:
        found: UPath = UPath(f"{scheme.lower()}://{filled(rest, text).rstrip('/')}", **options)
        _ = found.fs
        return found
    except ImportError as error:
        raise ConfigError(
            f"{shown(text)}: a package isn't installed ({error}); s3:// needs the extra "
            f"'s3': {install_hint('s3')}"
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"{shown(text)}: can't hold a dataset ({error}); give a folder, or s3://bucket/folder"
        ) from None


def _options(scheme: str, rest: str, text: str) -> tuple[dict[str, Any], str]:
    """What the filesystem needs to know, and the URL's place without it."""
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if "?" in rest:
        raise ConfigError(
            f"{shown(text)}: a dataset's URL has no query; what a store needs to know comes from "
            "the environment"
        )
    if not host:
        raise ConfigError(f"{shown(text)}: no bucket; give s3://bucket/folder")
    if scheme not in _S3:
        if at and scheme not in _AT_IS_NO_USER:
            raise ConfigError(
                f"{shown(text)}: credentials in the URL are for s3:// only; give them through "
                "the environment"
            )
        return {}, rest
    key, colon, secret = user.partition(":")
    if ":" in host or (at and not (key and colon and secret)):
        raise ConfigError(
            f"{scheme}://{HIDDEN}: not a bucket's URL; give s3://bucket/folder, with KEY:SECRET@ "
            "before the bucket where the "
            "environment has no credentials: ${NAME} stands for a variable, and a written-out "
            "secret has %2F for /"
        )
    own = {"key": filled(unquote(key), text), "secret": filled(unquote(secret), text)} if at else {}
    return _S3_OPTIONS | own, f"{host}{slash}{path}"


def _quiet() -> None:
    """In debug mode these would log their requests, and with them key ids, signatures and
    tokens."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def reach(root: UPath) -> None:
    """The first contact. Raises DatasetError where the bucket isn't there, the store refuses, or
    doesn't answer for `CONTACT_S`."""
    failed: list[Exception] = []

    def ask() -> None:
        try:
            root.fs.ls(root.path, detail=False)
        except Exception as error:  # noqa: BLE001 - it is raised below, in the thread that asked
            failed.append(error)

    # It may hang in retries: nobody waits for it.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONTACT_S)
    if thread.is_alive():
        raise unreachable(root, f"no answer for {CONTACT_S:g} s")
    if not failed:
        return
    if isinstance(failed[0], FileNotFoundError):
        # Without a cause it says that the folder is empty; the server's own answer is about the
        # bucket.
        if failed[0].__cause__ is not None:
            raise DatasetError(
                f"{root}: there is no bucket {root.drive or root.path!r}; make it, or name another"
            ) from None
        return
    with translated(root):
        raise failed[0]
