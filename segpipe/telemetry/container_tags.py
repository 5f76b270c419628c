"""What a video container and its streams say of the time of recording."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import av

_DATED_KEYS = ("com.apple.quicktime.creationdate", "date_recorded", "date")
"""Apple's key, Matroska's DATE_RECORDED, and the `©day` of QuickTime and ICRD of AVI, which FFmpeg
calls `date`."""
_OFFSET = re.compile(r"(?:[Zz]|[+-]\d\d:?(?:\d\d)?)$")
_TIME_OF_DAY = re.compile(r"\d\d:\d\d:\d\d")
_FIRST_YEAR = 1981
_EPOCHS = {datetime(2001, 1, 1, tzinfo=UTC)}
"""Zero in Matroska and on Apple's systems. That of MP4 (1904) and of Unix (1970) are years without
digital cameras."""


@dataclass(frozen=True)
class ClockTags:
    """Texts as found. `creation_time` is the container's own; where that is missing or the zero of
    an epoch, the one of the video stream, else of another stream: `creation_time_of` names which.
    `creationdate` is the date that the recording device wrote, usually with its zone (Apple's
    `com.apple.quicktime.creationdate`); exports keep it, while they renew `creation_time`."""

    creation_time: str | None = None
    creation_time_of: str = "container"
    creationdate: str | None = None


def clock_tags(container: av.container.InputContainer, stream: av.VideoStream) -> ClockTags:
    """The times of recording in a container's metadata, and in that of its streams."""
    others = [s for s in container.streams if s.index != stream.index]
    places = [("container", _lower(container.metadata)), ("video stream", _lower(stream.metadata))]
    places += [(f"stream {s.index}", _lower(s.metadata)) for s in others]
    found = [(place, tags["creation_time"]) for place, tags in places if tags.get("creation_time")]
    real = [(place, text) for place, text in found if not is_epoch(text)]
    place, text = next(iter(real or found), ("container", None))
    return ClockTags(text, place, _creationdate([tags for _, tags in places[:2]]))


def _creationdate(places: list[dict[str, str]]) -> str | None:
    """Keys that other software writes too (`date`) count only as a full time with its zone."""
    for key in _DATED_KEYS:
        for tags in places:
            text = tags.get(key, "").strip()
            full = _TIME_OF_DAY.search(text) and (key != "date" or _OFFSET.search(text))
            if full and not is_epoch(text):
                return text
    return None


def _lower(tags: dict[str, str]) -> dict[str, str]:
    """Matroska's tags are in capitals, whatever they were before."""
    return {name.lower(): text for name, text in tags.items()}


def is_epoch(text: str) -> bool:
    """Whether a time in ISO 8601 is the zero of an epoch, which devices write whose clock was
    never set."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return moment.year < _FIRST_YEAR or aware in _EPOCHS
