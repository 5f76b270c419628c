"""What one clock reads, and the UTC time that follows from it. A time without a zone is never
guessed as UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from segpipe.telemetry.metadata import Clock

NO_ZONE = "local time without a zone; time.timezone says which"
NEVER_SET = "the camera's clock was never set"
_FIRST_YEAR, _LAST_YEAR = 1981, 2199
"""Cameras whose clock was never set write 1904, 1970 or 1980, and some files lie."""
_EPOCHS = {datetime(2001, 1, 1, tzinfo=UTC)}
"""The zero of Matroska's clock and of Apple's."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock says: `raw` as found, `moment` as a datetime (naive where it is local time of a
    zone that it doesn't say).

    The clock says it `back_s` seconds after the source's first moment. `fine`: it counts fractions
    of a second. `note` says what is special about it, or, where `moment` is None, why it can't be
    used.
    """

    source: str
    raw: str
    moment: datetime | None
    back_s: float = 0.0
    fine: bool = False
    note: str = ""

    def rough_us(self) -> int | None:
        """UTC in microseconds since 1970, to within a day: a local time is taken as it stands."""
        if self.moment is None or not _FIRST_YEAR <= self.moment.year <= _LAST_YEAR:
            return None
        return _us(
            self.moment if self.moment.tzinfo is not None else self.moment.replace(tzinfo=UTC)
        )

    def clock(self, zone: str | None) -> Clock:
        """The clock with the UTC time of the source's first moment; `zone` is that of times that
        don't say theirs.

        A local time that a change of the clocks makes ambiguous has two readings: `utc_us` is the
        first in the order of Python's `fold`, `other_us` the second.
        """
        if self.moment is None:
            return Clock(self.source, self.raw, None, self.note)
        if not _FIRST_YEAR <= self.moment.year <= _LAST_YEAR or self.moment in _EPOCHS:
            return Clock(self.source, self.raw, None, NEVER_SET)
        times = _readings(self.moment, zone)
        if times is None:
            return Clock(self.source, self.raw, None, NO_ZONE)
        first, second = (t - round(self.back_s * 1e6) for t in times)
        other = second if second != first else None
        return Clock(self.source, self.raw, first, self.note, other_us=other, fine=self.fine)


def _readings(moment: datetime, zone: str | None) -> tuple[int, int] | None:
    """UTC in microseconds since 1970 by either reading; None for a time without a zone where none
    is given."""
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return _us(moment.replace(fold=0)), _us(moment.replace(fold=1))


def _us(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def iso(time_us: int) -> str:
    """UTC in microseconds since 1970 as text."""
    return (
        (_EPOCH + timedelta(microseconds=time_us))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
