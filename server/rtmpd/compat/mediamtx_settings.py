"""Settings in force as MediaMTX tells its own: those that have a counterpart there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.compat.mediamtx import ANY_PATH, Answer

MOST_PATHS: Final = 100
"""Told on one page, as each is looked up by itself."""
_ABSENT: Final = ("pprof", "playback", "rtsp", "hls", "webrtc", "srt", "moq")
"""Servers of MediaMTX that are not here."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What holds for all. Addresses are as they are written, empty where there are none."""

    log_level: str
    log_json: bool
    idle_timeout: float
    """Seconds without media of a publisher, as the next one of a player that does not read."""
    behind_timeout: float
    rtmp: str
    rtmps: str
    tls: bool
    """``rtmps`` is listened on."""
    admin: str
    own: str
    """Of this API."""


@dataclass(frozen=True, slots=True)
class PathSettings:
    """What holds for streams of one path, or of all others."""

    source: str
    """URL without secrets of the server that they are fetched from; empty where they are published."""
    on_demand: bool
    start_timeout: float
    """Seconds, as the next one."""
    linger: float
    max_players: int
    """Of each; 0 is any number."""
    takeover: bool
    """Whoever publishes last has the name."""
    record: bool
    """Streams are recorded, whatever their encoders want."""
    record_kept: float
    """For how long (s); 0 is without an end."""


class Held(Protocol):
    """Knows what is in force."""

    def apps(self) -> Sequence[str]:
        """Paths with settings of their own."""

    def server(self) -> ServerSettings:
        """What holds for all."""

    def path(self, name: str) -> PathSettings:
        """What holds for a path."""


def global_settings(held: ServerSettings) -> Answer:
    """``/v3/config/global/get``"""
    return {
        "logLevel": "warn" if held.log_level == "warning" else held.log_level,
        "logStructured": held.log_json,
        "readTimeout": _duration(held.idle_timeout),
        "writeTimeout": _duration(held.behind_timeout),
        "api": True,
        "apiAddress": held.own or held.admin,
        "metrics": bool(held.admin),
        "metricsAddress": held.admin,
        "rtmp": True,
        "rtmpEncryption": "optional" if held.tls else "no",
        "rtmpAddress": held.rtmp,
        "rtmpsAddress": held.rtmps,
        **dict.fromkeys(_ABSENT, False),
    }


def path_settings(name: str, held: PathSettings) -> Answer:
    """An item of ``/v3/config/paths/list``"""
    return {"name": name, **path_defaults(held)}


def path_defaults(held: PathSettings) -> Answer:
    """``/v3/config/pathdefaults/get``, of what holds for all others."""
    return {
        "source": held.source or "publisher",
        "sourceOnDemand": bool(held.source) and held.on_demand,
        "sourceOnDemandStartTimeout": _duration(held.start_timeout),
        "sourceOnDemandCloseAfter": _duration(held.linger),
        "maxReaders": held.max_players,
        "alwaysAvailable": False,
        "record": held.record,
        "recordDeleteAfter": _duration(held.record_kept),
        "overridePublisher": held.takeover,
    }


def names(apps: Sequence[str]) -> list[str]:
    """Of all paths that settings know."""
    return [*sorted(apps), ANY_PATH]


def _duration(seconds: float) -> str:
    return f"{seconds:g}s"
