"""The errors of segpipe, and the exit code that each of them gives the command line.

    SegpipeError                 1
    ├── ConfigError              2   the job, a key, a value or a flag is wrong
    ├── SourceError              3   an input is missing, empty or can't be read
    ├── ModelError               4   a model can't be loaded or doesn't fit
    ├── DatasetError             5   an output folder is not a dataset, or is another one
    │   └── DatasetMismatch      5   the dataset there was made with other settings
    └── TrainingError            7   a training run can't start, go on or finish

A message says what was found, what is allowed and what to do. Exit code 6 (`EXIT_SOME_FAILED`) is no error of this
tree: the run finished and some frames are rows with `status = 'error'`. Ctrl-C exits with 130.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_SOME_FAILED = 6
EXIT_INTERRUPTED = 130


class SegpipeError(Exception):
    """The root: everything that segpipe raises on purpose."""

    exit_code = 1


class ConfigError(SegpipeError):
    """The job description is wrong: an unknown key, a value out of range, a flag that doesn't exist."""

    exit_code = 2


class SourceError(SegpipeError):
    """An input is missing, empty or can't be read."""

    exit_code = 3


class ModelError(SegpipeError):
    """A model can't be found, loaded or trusted, or its classes don't fit."""

    exit_code = 4


class DatasetError(SegpipeError):
    """A dataset folder is missing, is no dataset, or doesn't hold what was asked for."""

    exit_code = 5


class DatasetMismatch(DatasetError):
    """The dataset was made with other settings than this job's."""


class TrainingError(SegpipeError):
    """A training run can't start, go on or finish: not enough memory, a loss that is no number, another run's checkpoint."""

    exit_code = 7


def one_line(error: BaseException) -> str:
    """An error as one line of at most 300 characters; the kind is named where it is none of ours."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, SegpipeError) else f"{type(error).__name__}: {text}"
