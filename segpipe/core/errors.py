"""The errors of segpipe, and the exit code that each of them gives the command line.

    SegpipeError                 1
    ├── ConfigError              2   the job, a key, a value or a flag is wrong
    ├── SourceError              3   an input is missing, empty or can't be read
    ├── ModelError               4   a model can't be loaded or doesn't fit
    ├── DatasetError             5   an output folder is not a dataset, or is another one
    │   ├── DatasetMismatch      5   the dataset there was made with other settings
    │   ├── DatasetBusy          5   another run is writing to it
    │   └── DiskFull             5   there is no room to write on; what is done is done
    ├── ReaderFailed             1   the process that reads footage can't be started
    ├── FramesFailed             1   every frame of a run failed
    ├── TrainingError            7   a training run can't start, go on or finish
    ├── DatasetIncomplete        8   rows are missing, duplicated or wrong (`segpipe verify`)
    └── Stopped                143   SIGTERM asked the run to end

A message says what was found, what is allowed and what to do. Exit code 6 (`EXIT_SOME_FAILED`) is
no error of this tree: the run finished and some frames are rows with `status = 'error'`. Ctrl-C
exits with 130.
"""

from __future__ import annotations

import errno

from segpipe.core.redact import redact

EXIT_OK = 0
EXIT_SOME_FAILED = 6
EXIT_INTERRUPTED = 130


class SegpipeError(Exception):
    """The root: everything that segpipe raises on purpose. `transient`: the same may work at
    another time."""

    exit_code = 1
    transient = False


class ConfigError(SegpipeError):
    """The job description is wrong: an unknown key, a value out of range, a flag that doesn't
    exist."""

    exit_code = 2


class SourceError(SegpipeError):
    """An input is missing, empty or can't be read. A transient one is tried again by the next
    run."""

    exit_code = 3

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, bool]]:
        return type(self), (str(self), self.transient)


class ModelError(SegpipeError):
    """A model can't be found, loaded or trusted, or its classes don't fit."""

    exit_code = 4


class DatasetError(SegpipeError):
    """A dataset folder is missing, is no dataset, or doesn't hold what was asked for."""

    exit_code = 5


class DatasetMismatch(DatasetError):
    """The dataset was made with other settings than this job's."""


class DatasetBusy(DatasetError):
    """Another run is writing to the dataset."""

    transient = True


class DiskFull(DatasetError):
    """There is no room left to write on: the run ends, and the next one goes on from what is
    whole."""

    transient = True


class ReaderFailed(SegpipeError):
    """The process that reads footage can't be started. No footage is to blame, so the run ends and
    no row says `error` for it."""


class FramesFailed(SegpipeError):
    """Every frame that a run attempted failed. Their rows are in the dataset, with `status =
    'error'`."""


class TrainingError(SegpipeError):
    """A training run can't start, go on or finish: not enough memory, a loss that is no number,
    another run's checkpoint."""

    exit_code = 7


class DatasetIncomplete(SegpipeError):
    """Rows are missing, duplicated or wrong."""

    exit_code = 8


class Stopped(SegpipeError):
    """The run was asked to end; what was committed stays, and the next run goes on from there."""

    exit_code = 143
    transient = True


def _numbers(*names: str) -> frozenset[int]:
    """The error numbers of this system by those names: each system lacks some."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NO_ROOM = _numbers("ENOSPC", "EDQUOT", "EFBIG")
_TRANSIENT = _numbers(
    "EIO",
    "EAGAIN",
    "EBUSY",
    "EINTR",
    "EMFILE",
    "ENFILE",
    "ENODEV",
    "ENOMEM",
    "ENOTCONN",
    "ENOENT",
    "ESTALE",
    "ETIMEDOUT",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "ENETDOWN",
    "ENETUNREACH",
    "EREMOTEIO",
    "EACCES",
    "EPERM",
)
"""What a disk, a network or a person may mend without touching the footage: a file that is away, a
right that is missing."""


def is_transient(error: BaseException) -> bool:
    """Whether the same may work at another time. Damaged content is permanent; trouble of the
    machine is not."""
    if isinstance(error, SegpipeError):
        return error.transient
    if isinstance(error, (MemoryError, TimeoutError, ConnectionError)):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT


def is_no_room(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that a disk or a quota is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DiskFull) or (isinstance(seen, OSError) and seen.errno in _NO_ROOM):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def ends_the_run(error: BaseException) -> bool:
    """Whether nothing more can be done after an error: no other shard would fare better."""
    if not isinstance(error, Exception):
        return True
    return isinstance(error, (DatasetBusy, ReaderFailed, Stopped)) or is_no_room(error)


def one_line(error: BaseException) -> str:
    """An error as one line of at most 300 characters; the kind is named where it is none of ours.
    URLs lose their secrets."""
    text = redact(" ".join(str(error).split()))[:300]
    return text if isinstance(error, SegpipeError) else f"{type(error).__name__}: {text}"
