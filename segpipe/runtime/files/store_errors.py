"""What is said when an object store refuses or can't be reached."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from segpipe.core.errors import DatasetError, SegpipeError, one_line

if TYPE_CHECKING:
    from upath import UPath

_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
}
_NO_CONNECTION = {
    "HTTPClientError",
    "ClientConnectionError",
    "ConnectionError",
    "TimeoutError",
    "FSTimeoutError",
}


@contextlib.contextmanager
def translated(path: UPath) -> Iterator[None]:
    """Within it, a store's errors become DatasetErrors of one line; FileNotFoundError and
    FileExistsError pass."""
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
            f"{path}: no credentials were found ({one_line(error)}); set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a profile"
        )
    if isinstance(error, PermissionError):
        return DatasetError(
            f"{path}: the store refused ({error}); check the credentials and their rights to "
            "read, write and list"
        )
    if names & _NO_CONNECTION:
        return unreachable(path, one_line(error))
    return DatasetError(f"{path}: the store failed ({one_line(error)})")


def unreachable(path: UPath, why: str) -> DatasetError:
    """What to raise for a store that doesn't answer; another try may find it."""
    found = DatasetError(
        f"{path}: the store can't be reached ({why}); check the network and AWS_ENDPOINT_URL"
    )
    found.transient = True
    return found
