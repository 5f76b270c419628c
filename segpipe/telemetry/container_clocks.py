"""The clocks in a video's container."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from segpipe.core.config.time_and_place import TimeSettings
from segpipe.telemetry.container_tags import ClockTags
from segpipe.telemetry.readings import Reading


def creationdate_reading(tags: ClockTags) -> Reading | None:
    """What QuickTime's creationdate says, where there is one."""
    if not tags.creationdate:
        return None
    moment = _parsed(re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", tags.creationdate))
    if moment is None:
        return Reading("creationdate", tags.creationdate, None, note="no time in ISO 8601")
    return Reading("creationdate", tags.creationdate, moment, fine=moment.microsecond != 0)


def creation_time_reading(
    tags: ClockTags, duration_s: float, settings: TimeSettings
) -> Reading | None:
    """What creation_time says, where there is one; the recording took `duration_s`."""
    if not tags.creation_time:
        return None
    moment = _parsed(tags.creation_time)
    if moment is None:
        return Reading("container", tags.creation_time, None, note="no time in ISO 8601")
    if settings.creation_time_timezone is not None:
        moment = moment.replace(tzinfo=ZoneInfo(settings.creation_time_timezone))
    back_s = duration_s if settings.creation_time_is == "end" else 0.0
    note = (
        ""
        if tags.creation_time_of == "container"
        else f"creation_time of the {tags.creation_time_of}"
    )
    return Reading("container", tags.creation_time, moment, back_s, moment.microsecond != 0, note)


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
