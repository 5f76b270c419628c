"""The sentences of an NMEA 0183 log, put together by the moment that they tell of."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynmea2  # type: ignore[import-untyped]

from segpipe.core.errors import SourceError
from segpipe.runtime.isolation import heartbeat

_HALF_DAY_US = 43_200_000_000
_EPOCH_DAY = dt.date(1970, 1, 1)


@dataclass
class Moment:
    """What the sentences of one time of day say; microseconds since midnight UTC."""

    of_day_us: int
    days: int | None = None
    rmc: Any = None
    gga: Any = None


def moments_in(path: Path, dropped: Counter[str]) -> Iterator[Moment]:
    """Sentences of one time of day that follow each other, together."""
    now: Moment | None = None
    for sentence in _sentences(path, dropped):
        time = sentence.timestamp
        if not isinstance(time, dt.time):
            dropped["without a time"] += 1
            continue
        of_day_us = (
            (time.hour * 60 + time.minute) * 60 + time.second
        ) * 1_000_000 + time.microsecond
        if now is None or now.of_day_us != of_day_us:
            if now is not None:
                yield now
            now = Moment(of_day_us)
        date = _date_of(sentence)
        now.days = now.days if date is None else (date - _EPOCH_DAY).days
        if sentence.sentence_type == "RMC" and (now.rmc is None or now.rmc.status != "A"):
            now.rmc = sentence
        elif sentence.sentence_type == "GGA" and (now.gga is None or not now.gga.gps_qual):
            now.gga = sentence
    if now is not None:
        yield now


def _sentences(path: Path, dropped: Counter[str]) -> Iterator[Any]:
    """The RMC, GGA and ZDA sentences. Other kinds are nothing of ours and aren't counted."""
    try:
        with path.open("r", encoding="ascii", errors="replace") as file:
            for line in file:
                heartbeat()
                # The last one: where a line end was lost, the second sentence is whole.
                start = line.rfind("$")
                try:
                    sentence = (
                        pynmea2.parse(line[start:].strip("\0 \r\n\t")) if start >= 0 else None
                    )
                except pynmea2.ChecksumError:
                    dropped["wrong checksum"] += 1
                    continue
                except pynmea2.SentenceTypeError:
                    continue
                except (pynmea2.ParseError, ValueError):
                    sentence = None
                if sentence is None:
                    if line.strip():
                        dropped["no NMEA"] += 1
                elif _tells(sentence):
                    yield sentence
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror})") from None


def _tells(sentence: Any) -> bool:
    """Whether it is an RMC, GGA or ZDA sentence, and not a request for one: that has no values."""
    return isinstance(sentence, pynmea2.TalkerSentence) and (
        sentence.sentence_type in {"RMC", "GGA", "ZDA"}
    )


def _date_of(sentence: Any) -> dt.date | None:
    if sentence.sentence_type == "RMC":
        return sentence.datestamp if isinstance(sentence.datestamp, dt.date) else None
    if sentence.sentence_type == "ZDA":
        try:
            return dt.date(int(sentence.year), int(sentence.month), int(sentence.day))
        except (TypeError, ValueError, OverflowError):
            return None
    return None


def give_dates(moments: list[Moment]) -> bool:
    """Give moments without a date that of the one before, and the first ones that of the one after.
    False if none has any."""
    for way in (moments, moments[::-1]):
        known: Moment | None = None
        for moment in way:
            if moment.days is None and known is not None and known.days is not None:
                # More than half a day between neighbours means that midnight lies between them.
                ahead = moment.of_day_us - known.of_day_us
                moment.days = known.days + (ahead < -_HALF_DAY_US) - (ahead > _HALF_DAY_US)
            known = moment if moment.days is not None else known
    return all(moment.days is not None for moment in moments)


def joined(moments: list[Moment]) -> list[Moment]:
    """Moments of one time that didn't follow each other in the log, together; those with ZDA alone
    (a date, no place) go."""
    found: dict[tuple[int | None, int], Moment] = {}
    for moment in moments:
        first = found.setdefault((moment.days, moment.of_day_us), moment)
        first.rmc = first.rmc or moment.rmc
        first.gga = first.gga or moment.gga
    return [moment for moment in found.values() if moment.rmc or moment.gga]
