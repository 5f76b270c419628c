"""Why a connection to a stream failed or ended, in words that hold no secret; and how long to wait
before the next."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import av

from segpipe.core.redact import redact
from segpipe.sources.stream.gaps import GapKind


class Lost(Exception):
    """A connection that failed or ended, in words that hold no secret. `permanent`: it will not do
    better at another time."""

    def __init__(self, kind: GapKind, message: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.kind, self.permanent = kind, permanent


def lost_by(error: Exception, timeout_s: float) -> Lost:
    """An error of FFmpeg's in words that hold no secret: its own text ends with the address."""
    said = redact(str(getattr(error, "strerror", None) or type(error).__name__))
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        code = 401 if isinstance(error, av.error.HTTPUnauthorizedError) else 403
        return Lost(
            "lost",
            f"the server refuses access ({code}); check the user and the password in the address",
            permanent=True,
        )
    if isinstance(error, av.error.HTTPNotFoundError):
        return Lost(
            "lost",
            "the server has nothing under this path (404); check the address",
            permanent=True,
        )
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return Lost("stall", f"nothing came for {timeout_s:g} s")
    if isinstance(error, FileNotFoundError):
        return Lost("lost", "there is no such device or file here", permanent=True)
    if isinstance(error, av.error.InvalidDataError):
        return Lost(
            "lost", "what comes is no video that FFmpeg can read; check the address", permanent=True
        )
    if isinstance(error, av.error.ArgumentError):
        return Lost(
            "lost",
            "what comes is damaged, or of a format that isn't opened from such an address; check "
            "the address",
            permanent=True,
        )
    if isinstance(error, ValueError) and not isinstance(error, av.error.FFmpegError):
        return Lost("lost", "FFmpeg knows no input device of this name", permanent=True)
    permanent = (
        av.error.HTTPBadRequestError,
        av.error.ProtocolNotFoundError,
        av.error.DemuxerNotFoundError,
        PermissionError,
        IsADirectoryError,
    )
    return Lost("lost", said, permanent=isinstance(error, permanent))


class BackOff:
    """Waits that double up to a limit, each cut by chance ("full jitter"), so that a hundred
    readers don't come back at once."""

    def __init__(
        self, first_s: float, most_s: float, chance: Callable[[], float] = random.random
    ) -> None:
        self.first_s, self.most_s, self.chance = first_s, most_s, chance
        self.tries = 0

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self.tries = 0

    def next_s(self) -> float:
        """The next wait in seconds, at least a tenth of the first."""
        longest = min(self.most_s, self.first_s * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return float(max(0.1 * self.first_s, longest * self.chance()))

    def waits(self, at_most_s: float | None = None) -> Iterator[None]:
        """Sleep through the next wait in pieces of a fifth of a second, yielding between them."""
        left_s = self.next_s() if at_most_s is None else min(self.next_s(), max(0.0, at_most_s))
        until = time.monotonic() + left_s
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(0.2, left))
            yield None
