"""Where a dataset lies. A folder of this machine is a `pathlib.Path`; a URL is a `UPath`, its like
for what fsspec reaches.

What differs between the two is done here, and nothing else of segpipe asks which one it has. On an
object store these functions raise FileNotFoundError for what isn't there, and DatasetError, one
line without secrets, for all other trouble.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from segpipe.core.errors import ConfigError, DatasetError
from segpipe.core.redact import redact
from segpipe.runtime.files.plain import MOST_TEXT_BYTES, check_plain, read_plain, too_large

if TYPE_CHECKING:
    from typing_extensions import TypeIs
    from upath import UPath

AnyPath: TypeAlias = "Path | UPath"
_PROTOCOL = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")
_REQUESTS_AT_ONCE = 16
Found = TypeVar("Found")


def path_of(text: str | AnyPath) -> AnyPath:
    """The place that a text names: an absolute local path, or a URL's place. Raises ConfigError for
    what is neither."""
    if isinstance(text, str) and _PROTOCOL.match(text):
        from segpipe.runtime.files.object_store import (
            at_url,
        )  # nobody who writes to a folder pays for the imports

        return at_url(text)
    if not isinstance(text, (str, Path)):
        return text
    try:
        return (
            Path(text.removeprefix("file://") if isinstance(text, str) else text)
            .expanduser()
            .resolve()
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{redact(str(text))[:200]!r} is no folder's path ({error})") from None


def as_shown(text: str) -> str:
    """An output as it is printed: a path as it was given, a URL without its credentials."""
    return str(path_of(text)) if _PROTOCOL.match(text) else text


def is_local(path: AnyPath) -> TypeIs[Path]:
    """Whether a place is a path of this machine."""
    return isinstance(path, Path)


@contextlib.contextmanager
def reaching(path: AnyPath) -> Iterator[None]:
    """Within it, trouble with an object store becomes a DatasetError; a local path's errors stay as
    they are."""
    if is_local(path):
        yield
        return
    from segpipe.runtime.files.store_errors import translated

    with translated(path):
        yield


def reach(root: AnyPath) -> None:
    """The first contact with an object store. Raises DatasetError, soon, where that isn't there,
    refuses or doesn't answer."""
    if not is_local(root):
        from segpipe.runtime.files import object_store as objects

        objects.reach(root)


def list_dir(folder: AnyPath, suffix: str = "") -> list[AnyPath]:
    """What lies in a folder, by name: all, or what ends in `suffix`. A folder that isn't there is
    empty."""
    return [folder / name for name in list_names(folder) if name.endswith(suffix)]


def list_names(folder: AnyPath) -> list[str]:
    """The names of what lies in a folder, sorted; none where it isn't there."""
    try:
        if is_local(folder):
            return sorted(os.listdir(folder))
        with reaching(folder):
            names = {
                str(p).rstrip("/").rpartition("/")[2]
                for p in folder.fs.ls(folder.path, detail=False)
            }
    except FileNotFoundError:
        return []
    return sorted(names - {folder.name, ""})


def remove(path: AnyPath) -> None:
    """Delete a file, there or not."""
    with contextlib.suppress(FileNotFoundError), reaching(path):
        path.unlink() if is_local(path) else path.fs.rm_file(path.path)


def remove_folder(folder: AnyPath, is_ours: Callable[[str], bool]) -> None:
    """Delete the files of a folder, there or not, whose names are ours, and the folder if nothing
    else is in it. Raises DatasetError where a file can't be deleted."""
    try:
        # One by one: to fsspec's own, a name with brackets is a pattern; and nothing that is left
        # over may go unnoticed.
        map_paths(
            remove,
            [
                p
                for p in list_dir(folder)
                if is_ours(p.name) and not (is_local(p) and p.is_dir() and not p.is_symlink())
            ],
        )
    except OSError as error:
        raise DatasetError(
            f"{folder}: can't be emptied ({error.strerror}); delete it by hand, or write elsewhere"
        ) from None
    if is_local(folder):
        with contextlib.suppress(OSError):
            folder.rmdir()


def read_bytes(path: AnyPath, most_bytes: int = MOST_TEXT_BYTES) -> bytes:
    """A small file whole, by one request. Raises FileNotFoundError, and DatasetError for one of
    more than `most_bytes` or a local one that is no plain file."""
    if is_local(path):
        return read_plain(path, most_bytes)
    with reaching(path):
        found: bytes = path.fs.cat_file(path.path, start=0, end=most_bytes + 1)
    if len(found) > most_bytes:
        raise too_large(path, most_bytes)
    return found


@contextlib.contextmanager
def opened(path: AnyPath) -> Iterator[str | IO[bytes]]:
    """A plain file to read pieces of, such as a footer. Raises DatasetError for a local one that
    isn't plain."""
    if is_local(path):
        check_plain(path)
        yield str(path)
        return
    with reaching(path), path.fs.open(path.path, "rb", cache_type="none") as file:
        yield file


def vanished_error(path: AnyPath) -> DatasetError:
    """What to raise for a file that was listed and isn't there any more."""
    return DatasetError(
        f"{path}: it was there a moment ago; a run is changing this dataset: try again when "
        "it is done"
    )


def map_paths(function: Callable[[Any], Found], paths: list[AnyPath]) -> list[Found]:
    """`function` of each path, in their order; on an object store several at once, where most of
    the time is waiting."""
    if len(paths) < 2 or is_local(paths[0]):
        return [function(p) for p in paths]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        return list(pool.map(function, paths))
