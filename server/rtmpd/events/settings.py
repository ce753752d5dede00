"""Who is notified of what, where and how: what the configuration makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.events.model import EventKind

ALL_STREAMS: Final = "*"


class Format(StrEnum):
    """What a target is sent."""

    NATIVE = "native"
    """JSON of ``Event.as_json``, signed."""
    DISCORD = "discord"
    """A webhook of a channel there."""
    NTFY = "ntfy"
    """A topic there, or on a server of one's own."""
    NGINX_RTMP = "nginx-rtmp"
    """The forms of its hooks."""
    SRS = "srs"
    """The JSON of its hooks."""

    @property
    def kinds(self) -> frozenset[EventKind]:
        """What can be said so."""
        return _KINDS.get(self, _ALL_KINDS)

    @property
    def heeds(self) -> bool:
        """What the target answers decides whether it has taken it. Of hooks any answer will do."""
        return self not in _KINDS


_ALL_KINDS: Final = frozenset(EventKind)
_OF_HOOKS: Final = frozenset(
    {
        *(EventKind.PUBLISHED, EventKind.UNPUBLISHED, EventKind.PLAYER_JOINED, EventKind.PLAYER_LEFT),
        EventKind.RECORDING_FINISHED,
    }
)
_KINDS: Final[Mapping[Format, frozenset[EventKind]]] = {Format.NGINX_RTMP: _OF_HOOKS, Format.SRS: _OF_HOOKS}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a target is, and how it is spoken to. ``repr()`` shows no secret."""

    url: str = field(repr=False)
    """Webhooks are known by it alone, so it is a secret."""
    format: Format = Format.NATIVE
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    """Each signs what is sent as ``NATIVE``."""
    token: str = field(default="", repr=False)
    """Goes along as ``Authorization: Bearer``."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """What a target is told, and how. Times in seconds."""

    address: Address
    kinds: frozenset[EventKind]
    streams: Collection[str] = (ALL_STREAMS,)
    """Paths of apps and streams."""
    timeout: float = 10.0
    keep: float = 900.0
    """How long a notification may wait until it is given up."""
    max_queued: int = 1000
    ca_file: str = ""

    def wants(self, kind: EventKind, key: StreamKey) -> bool:
        """Whether such events of that stream are for it."""
        return kind in self.kinds and any(
            path in (ALL_STREAMS, key) or key.startswith(f"{path}/") for path in self.streams
        )
