"""The dialects by the names that the settings call them."""

from __future__ import annotations

from typing import Final

from rtmpd.hooks.mediamtx import MediaMtx
from rtmpd.hooks.model import Dialect
from rtmpd.hooks.native import Native
from rtmpd.hooks.nginx_rtmp import NginxRtmp
from rtmpd.hooks.rules import DialectName
from rtmpd.hooks.srs import Srs

MOMENTS: Final = {
    DialectName.NATIVE: Native.moments,
    DialectName.NGINX_RTMP: NginxRtmp.moments,
    DialectName.SRS: Srs.moments,
    DialectName.MEDIAMTX: MediaMtx.moments,
}
"""At which each has something to say."""


def speak(name: DialectName, *, server_id: str = "", get: bool = False) -> Dialect:
    """The dialect; ``get`` is for nginx-rtmp's alone."""
    match name:
        case DialectName.NGINX_RTMP:
            return NginxRtmp(get=get)
        case DialectName.SRS:
            return Srs(server_id)
        case DialectName.MEDIAMTX:
            return MediaMtx()
        case _:
            return Native()
