"""Packets of a live stream with the moments at which they came."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import av

from segpipe.runtime.isolation import heartbeat
from segpipe.sources.stream.backoff import Lost, lost_by
from segpipe.sources.stream.gaps import SteadyClock

Arrival: TypeAlias = "tuple[av.Packet[Any], int]"
"""A packet, and when it came (UTC, microseconds)."""
_AT_ONCE_S, _BURST_S = 0.01, 0.3
"""Packets that had been kept come faster than this one after the other, and all of them in no more
time than that."""


def packets_of(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    clock: SteadyClock,
    timeout_s: float,
) -> Iterator[Arrival]:
    """A stream's packets; the empty one at the end drains the decoder. Raises Lost, also where none
    comes for `timeout_s` while sound or data go on: FFmpeg's own limit is for a connection that
    gives nothing at all."""
    try:
        last_s = time.monotonic()
        for packet in container.demux():
            heartbeat()  # for those too that no frame comes of
            if packet.stream.index == stream.index:
                yield packet, clock.now_us()
                last_s = time.monotonic()  # what the consumer took is none of the stream's silence
            elif time.monotonic() - last_s > timeout_s:
                break
        else:
            return
        lost = Lost("stall", f"no picture came for {timeout_s:g} s, though other data did")
    except Exception as error:  # noqa: BLE001
        lost = lost_by(error, timeout_s)
    raise lost


def spread(packets: Iterator[Arrival], opening_s: float) -> Iterator[Arrival]:
    """What came while FFmpeg opened a stream comes at once afterwards. Without times of its own,
    each gets an even share of the seconds that the opening took."""
    kept: list[Arrival] = []
    for packet, arrival_us in packets:
        if kept and (
            arrival_us - kept[-1][1] > _AT_ONCE_S * 1e6 or arrival_us - kept[0][1] > _BURST_S * 1e6
        ):
            packets = itertools.chain([(packet, arrival_us)], packets)
            break
        kept.append((packet, arrival_us))
    for number, (packet, arrival_us) in enumerate(kept, 1):
        yield packet, arrival_us - round(opening_s * 1e6 * (1 - number / len(kept)))
    yield from packets
