"""What FFmpeg may use to open a stream: the protocols and formats of each scheme, and the input
devices. All else is refused, whatever a server answers (docs/streams.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from segpipe.core.errors import SourceError

_VIDEO = (
    "mpegts,mov,matroska,webm,flv,live_flv,avi,asf,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,"
    "obu,av1,ivf,dirac,vc1,cavsvideo,avs2,avs3,mjpeg,mpjpeg,mjpeg_2000,smjpeg,ogg,nut,dv,"
    "yuv4mpegpipe,gif,apng,jpeg_pipe,jpegls_pipe,j2k_pipe,jpegxl_pipe,png_pipe,webp_pipe,bmp_pipe,"
    "tiff_pipe,ppm_pipe,pgm_pipe"
)
"""Containers and codings that hold their pictures themselves. None of them names another file:
playlists, scripts and descriptions of sessions aren't among them."""
_OF_PLAYLISTS = "hls,aac,mp3,ac3,eac3,webvtt"
"""HLS, and what its playlists may name beside video."""
_HTTP = "http,https,tls,tcp,httpproxy,crypto"


@dataclass(frozen=True, slots=True)
class Allowed:
    """FFmpeg's names of protocols and formats, with commas between."""

    protocols: str
    formats: str

    def as_options(self) -> dict[str, str]:
        """As FFmpeg's options."""
        return {"protocol_whitelist": self.protocols, "format_whitelist": self.formats}


ALLOWED = {
    "rtsp": Allowed("tcp,udp,rtp", "rtsp,mpegts"),
    "rtsps": Allowed("tcp,udp,rtp,tls", "rtsp,mpegts"),
    "rtmp": Allowed("rtmp,tcp", "flv,live_flv"),
    "rtmps": Allowed("rtmps,rtmp,tls,tcp", "flv,live_flv"),
    "http": Allowed(_HTTP, f"{_VIDEO},{_OF_PLAYLISTS}"),
    "https": Allowed(_HTTP, f"{_VIDEO},{_OF_PLAYLISTS}"),
    "udp": Allowed("udp", _VIDEO),
    "rtp": Allowed("rtp,udp", f"rtp,{_VIDEO}"),
    "tcp": Allowed("tcp", _VIDEO),
    "srt": Allowed("srt", _VIDEO),
}
"""By the scheme of an address."""

DEVICES = (
    "android_camera",
    "avfoundation",
    "decklink",
    "dshow",
    "fbdev",
    "gdigrab",
    "iec61883",
    "kmsgrab",
    "lavfi",
    "libdc1394",
    "v4l2",
    "vfwcap",
    "video4linux2",
    "x11grab",
    "xcbgrab",
)
"""FFmpeg's input devices that give pictures. Its other formats open files and addresses."""
_FILTERS = frozenset(
    {
        "allrgb",
        "allyuv",
        "color",
        "colorchart",
        "colorspectrum",
        "format",
        "fps",
        "gradients",
        "haldclutsrc",
        "hflip",
        "mandelbrot",
        "noise",
        "nullsrc",
        "pal100bars",
        "pal75bars",
        "realtime",
        "rgbtestsrc",
        "scale",
        "setpts",
        "sierpinski",
        "smptebars",
        "smptehdbars",
        "testsrc",
        "testsrc2",
        "vflip",
        "yuvtestsrc",
        "zoneplate",
    }
)
"""Filters of lavfi that read and write no file. Others do: movie, metadata, life, drawtext."""
_FILTER = re.compile(r"([a-z0-9_]+)(=[\w:.=/*+()%-]*)?")


def check_device(kind: str, name: str, said: str) -> None:
    """Raises SourceError for a format that is no input device, and for filters of lavfi that could
    read or write files. `said` is the address as it may be shown."""
    if kind not in DEVICES:
        raise SourceError(
            f"{said}: FFmpeg knows no input device of this name that segpipe reads; allowed are "
            f"{', '.join(DEVICES)}"
        )
    if kind != "lavfi":
        return
    for part in name.split(","):
        found = _FILTER.fullmatch(part.strip())
        if found is None or found[1] not in _FILTERS:
            raise SourceError(
                f"{said}: {part.strip()[:60]!r} is no filter that segpipe allows, for others read "
                f"and write files; allowed are {', '.join(sorted(_FILTERS))}, with commas between"
            )
