"""Documents and calls of other servers, for programs that were made for those: ``[compat]``."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from rtmpd.daemon.fields import Count, ListenAddresses, Section
from rtmpd.net.entrances import Entrance

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def _check_path(text: str) -> str:
    if text and not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is no path: write one such as /stat, or nothing for nowhere")
    return text


Path = Annotated[str, AfterValidator(_check_path)]


class DialectConfig(Section):
    """What all of them have."""

    listen: ListenAddresses = ()
    """Where it is served alone, at the paths that it has there. It is written as admin.listen is, and asks
    for the same tokens."""
    admin: bool = False
    """Whether it is served at the addresses of admin.listen too."""

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))


class NginxRtmpConfig(DialectConfig):
    """The statistics of nginx-rtmp (rtmp_stat), which NOALBS and exporters read, and its control
    (rtmp_control: drop, redirect)."""

    stat_path: Path = "/stat"
    """Where the statistics are; empty is nowhere."""
    control_path: Path = "/control"
    """What the calls of the control begin with; empty takes none."""
    max_clients: Count = 1000
    """Clients that the statistics list at most, the oldest; they count all of them."""


class SrsConfig(DialectConfig):
    """The API of SRS: /api/v1/versions, summaries, vhosts, streams and clients, which can be thrown out. At
    the addresses of admin.listen it is below /srs, as /api/v1 is our own there."""


class MediaMtxConfig(DialectConfig):
    """The API of MediaMTX: /v3/paths, rtmpconns, rtmpsconns, which can be thrown out, and config, which
    cannot be changed there."""


class CompatConfig(Section):
    """Documents and calls of other servers."""

    nginx_rtmp: NginxRtmpConfig = NginxRtmpConfig()
    srs: SrsConfig = SrsConfig()
    mediamtx: MediaMtxConfig = MediaMtxConfig()

    def entrances(self) -> dict[str, tuple[Entrance, ...]]:
        """Where each is served alone, by its table."""
        tables = {"nginx_rtmp": self.nginx_rtmp, "srs": self.srs, "mediamtx": self.mediamtx}
        return {f"compat.{name}": table.entrances() for name, table in tables.items()}
