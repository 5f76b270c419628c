"""Object stores: from a URL to a place, the first contact, and what is said when one refuses or can't be reached."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from segpipe.errors import ConfigError, DatasetError, SegpipeError, one_line
from segpipe.secrets import HIDDEN, filled, shown

if TYPE_CHECKING:
    from upath import UPath

CONTACT_S = 12.0
"""How long the first contact may take: a store that is away is to be told at once, not after all retries."""
_S3 = {"s3", "s3a"}
_S3_OPTIONS: dict[str, Any] = {
    "use_listings_cache": False,  # what is there decides what is done: nothing remembered will do
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "max_attempts": 3}},
}
_AT_IS_NO_USER = {"abfs", "abfss", "wasb", "wasbs", "az", "adl"}
"""Azure's URLs: container@account."""
_TALKATIVE = ("adlfs", "aiobotocore", "aiohttp", "asyncio", "azure", "botocore", "fsspec", "gcsfs", "s3fs", "urllib3")
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
_NO_CONNECTION = {"HTTPClientError", "ClientConnectionError", "ConnectionError", "TimeoutError", "FSTimeoutError"}


def at_url(text: str) -> UPath:
    """The place of a URL, its credentials kept apart from its path: they show in no text of it.

    ${NAME} stands for a variable of the environment. Raises ConfigError for a URL that can't be a dataset's, and where the package
    that reaches it isn't installed.
    """
    try:
        from upath import UPath
    except ImportError:
        raise ConfigError(f"{shown(text)}: object stores need the extra s3: pip install 'segpipe[s3]'") from None
    scheme, _, rest = text.partition("://")
    options, rest = _options(scheme.lower(), rest, text)
    _quiet()
    try:
        found: UPath = UPath(f"{scheme.lower()}://{filled(rest, text).rstrip('/')}", **options)
        _ = found.fs
        return found
    except ImportError as error:
        raise ConfigError(f"{shown(text)}: a package isn't installed ({error}); s3:// needs segpipe[s3]") from None
    except ValueError as error:
        raise ConfigError(f"{shown(text)}: can't hold a dataset ({error}); give a folder, or s3://bucket/folder") from None


def _options(scheme: str, rest: str, text: str) -> tuple[dict[str, Any], str]:
    """What the filesystem needs to know, and the URL's place without it."""
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if "?" in rest:
        raise ConfigError(f"{shown(text)}: a dataset's URL has no query; what a store needs to know comes from the environment")
    if not host:
        raise ConfigError(f"{shown(text)}: no bucket; give s3://bucket/folder")
    if scheme not in _S3:
        if at and scheme not in _AT_IS_NO_USER:
            raise ConfigError(f"{shown(text)}: credentials in the URL are for s3:// only; give them through the environment")
        return {}, rest
    key, colon, secret = user.partition(":")
    if ":" in host or (at and not (key and colon and secret)):
        raise ConfigError(
            f"{scheme}://{HIDDEN}: not a bucket's URL; give s3://bucket/folder, with KEY:SECRET@ before the bucket where the "
            "environment has no credentials: ${NAME} stands for a variable, and a written-out secret has %2F for /"
        )
    own = {"key": filled(unquote(key), text), "secret": filled(unquote(secret), text)} if at else {}
    return _S3_OPTIONS | own, f"{host}{slash}{path}"


def _quiet() -> None:
    """In debug mode these would log their requests, and with them key ids, signatures and tokens."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def reach(root: UPath) -> None:
    """The first contact. Raises DatasetError where the bucket isn't there, the store refuses, or doesn't answer for `CONTACT_S`."""
    failed: list[Exception] = []

    def ask() -> None:
        try:
            root.fs.ls(root.path, detail=False)
        except Exception as error:  # noqa: BLE001 - it is raised below, in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=ask, daemon=True)  # it may hang in retries: nobody waits for it
    thread.start()
    thread.join(CONTACT_S)
    if thread.is_alive():
        raise _unreachable(root, f"no answer for {CONTACT_S:g} s")
    if not failed:
        return
    if isinstance(failed[0], FileNotFoundError):
        # Without a cause it says that the folder is empty; the server's own answer is about the bucket.
        if failed[0].__cause__ is not None:
            raise DatasetError(f"{root}: there is no bucket {root.drive or root.path!r}; make it, or name another") from None
        return
    with translated(root):
        raise failed[0]


@contextlib.contextmanager
def translated(path: UPath) -> Iterator[None]:
    """Within it, a store's errors become DatasetErrors of one line; FileNotFoundError and FileExistsError pass."""
    try:
        yield
    except (SegpipeError, FileNotFoundError, FileExistsError):
        raise
    except Exception as error:  # noqa: BLE001 - each store has kinds of its own
        raise _said(path, error) from None  # what came before may quote a request


def _said(path: UPath, error: Exception) -> DatasetError:
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NO_CREDENTIALS:
        return DatasetError(
            f"{path}: no credentials were found ({one_line(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        )
    if isinstance(error, PermissionError):
        return DatasetError(f"{path}: the store refused ({error}); check the credentials and their rights to read, write and list")
    if names & _NO_CONNECTION:
        return _unreachable(path, one_line(error))
    return DatasetError(f"{path}: the store failed ({one_line(error)})")


def _unreachable(path: UPath, why: str) -> DatasetError:
    found = DatasetError(f"{path}: the store can't be reached ({why}); check the network and AWS_ENDPOINT_URL")
    found.transient = True
    return found
