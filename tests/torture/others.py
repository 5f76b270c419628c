"""Files that are no footage under the names of footage, some of which ask a reader to open other
things."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.torture.bases import video
from tests.torture.recipes import Recipe, content, contents


def _zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("words.txt", "nothing to see" * 1000)
    return sink.getvalue()


def _program() -> bytes:
    with Path(sys.executable).open("rb") as file:
        return file.read(20_000)


_OTHERS: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"these are words and no film\n" * 50,
    "html": lambda: b"<!doctype html><html><body>404 Not Found</body></html>",
    "zip": _zip,
    "program": _program,
    "noise": lambda: Random(5).randbytes(50_000),
    "zeros": lambda: bytes(50_000),
    "spaces": lambda: b" " * 50_000,
    "one-byte": lambda: b"\xff",
    "svg": lambda: (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"><image '
        b'href="file:///etc/hostname"/></svg>'
    ),
}
_SCRIPTS: dict[str, bytes] = {
    "playlist-itself.mp4": b"ffconcat version 1.0\nfile 'playlist-itself.mp4'\nfile "
    b"'playlist-itself.mp4'\n",
    "playlist-of-itself-and-a-neighbour.mp4": b"ffconcat version 1.0\nfile 'hls.mp4'\nfile "
    b"'playlist-itself.mp4'\n",
    "playlist-outside.mp4": b"ffconcat version 1.0\nfile '/etc/hostname'\n",
    "playlist-long.mp4": b"ffconcat version 1.0\n"
    + b"file 'gone.mp4'\nduration 1000000000\n" * 5000,
    "hls.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://192.0.2.1/a.ts\n#EXTINF:10,\nhls.mp4\n",
    "hls.ts": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nfile:///etc/hostname\n",
    "dash.mp4": b'<?xml version="1.0"?><MPD '
    b'xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://192.0.2.1/</BaseURL></MPD>',
    "session.mp4": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=video 59999 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "redirect.avi": b"[Reference]\r\nRef1=http://192.0.2.1/a.avi\r\n",
    "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100000 "
    b"100000\n%%EndComments\n{} loop\n",
    "playlist-pictures.png": b"ffconcat version 1.0\nfile 'playlist-pictures.png'\n",
}
_ENTITIES = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12))
_TRACKS: dict[str, bytes] = {
    "entities.gpx": b'<?xml version="1.0"?><!DOCTYPE gpx [<!ENTITY e0 "ha">'
    + _ENTITIES
    + b"]><gpx><trk><name>&e11;</name></trk></gpx>",
    "cut-off.gpx": b'<?xml version="1.0"?><gpx version="1.1"><trk><trkseg><trkpt '
    b'lat="52.1" lon="4.',
    "nonsense.gpx": b'<gpx version="1.1"><trk><trkseg>'
    + b'<trkpt lat="inf" lon="nan"><time>9999999</time></trkpt>' * 50
    + b"</trkseg></trk></gpx>",
    "far.gpx": b'<gpx version="1.1"><trk><trkseg><trkpt lat="9e300" '
    b'lon="-9e300"><time>0001-01-01T00:00:00Z</time></trkpt>'
    b"</trkseg></trk></gpx>",
    "noise.nmea": Random(6).randbytes(5000),
    "line.nmea": b"$GPRMC," * 200_000,
    "empty.gpx": b"",
    "noise.csv": b"time,lat,lon\n" + b"1e400,NaN,inf\n" * 100,
}


def _beside(track: bytes, suffix: str) -> Callable[[Path], Path | None]:
    def write(path: Path) -> None:
        path.write_bytes(video("moov-first.mp4"))
        path.with_suffix(suffix).write_bytes(track)

    return write


def recipes() -> Iterator[Recipe]:
    for name, make in _OTHERS.items():
        yield from contents("no footage", {f"{name}.mp4": make, f"{name}.jpg": make})
    yield content("no footage", "words.ts", partial(bytes, b"G" + b"words " * 400))
    for name, script in _SCRIPTS.items():
        yield content("points elsewhere", name, partial(bytes, script))
    for name, track in _TRACKS.items():
        stem, _, suffix = name.rpartition(".")
        yield Recipe(
            "hostile track beside a clip",
            f"{stem}-{suffix}.mp4",
            f"{stem}-{suffix}.mp4",
            _beside(track, f".{suffix}"),
        )
