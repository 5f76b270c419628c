"""Why a connection to a stream failed or ended, in words that hold no secret."""

from __future__ import annotations

import av

from segpipe.secrets import redact
from segpipe.sources.gaps import GapKind


class Lost(Exception):
    """A connection that failed or ended, in words that hold no secret. `permanent`: it will not do better at another time."""

    def __init__(self, kind: GapKind, message: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.kind, self.permanent = kind, permanent


def lost_by(error: Exception, timeout_s: float) -> Lost:
    """An error of FFmpeg's in words that hold no secret: its own text ends with the address."""
    said = redact(str(getattr(error, "strerror", None) or type(error).__name__))
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        code = 401 if isinstance(error, av.error.HTTPUnauthorizedError) else 403
        return Lost("lost", f"the server refuses access ({code}); check the user and the password in the address", permanent=True)
    if isinstance(error, av.error.HTTPNotFoundError):
        return Lost("lost", "the server has nothing under this path (404); check the address", permanent=True)
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return Lost("stall", f"nothing came for {timeout_s:g} s")
    if isinstance(error, FileNotFoundError):
        return Lost("lost", "there is no such device or file here", permanent=True)
    if isinstance(error, av.error.InvalidDataError):
        return Lost("lost", "what comes is no video that FFmpeg can read; check the address", permanent=True)
    if isinstance(error, ValueError) and not isinstance(error, av.error.FFmpegError):
        return Lost("lost", "FFmpeg knows no input device of this name", permanent=True)
    permanent = (
        av.error.HTTPBadRequestError, av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError, av.error.ArgumentError,
        PermissionError, IsADirectoryError,
    )  # fmt: skip
    return Lost("lost", said, permanent=isinstance(error, permanent))
