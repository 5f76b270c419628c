"""How to decode, and what is too much to decode."""

from __future__ import annotations

from dataclasses import dataclass

from segpipe.core.config.sections import ReadSettings
from segpipe.core.errors import SourceError

MAX_PIXELS: int = ReadSettings().max_pixels


@dataclass(frozen=True, slots=True)
class Decoding:
    """`threads` of a video decoder; pictures of more than `max_pixels` are refused before they are
    decoded. `skip` wanted frames of a shard are passed over, those that are done with."""

    threads: int = 1
    max_pixels: int = MAX_PIXELS
    skip: int = 0

    def check(self, width: int, height: int) -> None:
        """Raises SourceError for a picture that is too large."""
        if width * height > self.max_pixels:
            raise SourceError(
                f"{width} x {height} = {width * height} pixels are too large to decode safely "
                f"(read.max_pixels is {self.max_pixels}; raise it if such pictures are wanted)"
            )


PLAIN = Decoding()
