"""What the publish and play flows may ask of the connection they belong to, and what they share with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from rtmpd.engine.claim import REFUSE, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import PLAIN, Mask, Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats
from rtmpd.exceptions import ProtocolError
from rtmpd.net.proxies import NO_PROXIES, TrustedProxies
from rtmpd.net.socket_options import UNSENT_BYTES
from rtmpd.reasons import Word
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.inlet import MediaReceiver
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import Action, Authorizer, Guard, NoGuard, PlayRules, PublishRules, as_it_is
from rtmpd.serving.claims import Claims
from rtmpd.serving.listening import InputKeeper
from rtmpd.serving.playback import Pacer
from rtmpd.serving.rejections import Rejections
from rtmpd.serving.rewinding import NoPast, Past
from rtmpd.serving.sweeper import Sweeper
from rtmpd.serving.tracing import Tracer
from rtmpd.serving.vod import Library, NoVod


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What every connection of a server works with."""

    registry: Registry
    authorizer: Authorizer
    claims: Claims
    """Of names, where other servers have a say."""
    stats: ServerStats
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    new_session: Callable[[], int]
    """Numbers the sessions: ``engine.origin.SessionIds``."""
    limits: Limits
    settings: ServerSettings
    play_rules: Callable[[StreamKey], PlayRules]
    """How a stream is played, as its settings are now."""
    publish_rules: Callable[[StreamKey], PublishRules]
    """The same of publishing."""
    sweeper: Sweeper
    pacer: Pacer = field(default_factory=Pacer)
    """Of those who play files."""
    library: Library = field(default_factory=NoVod)
    """Whoever has that."""
    past: Past = field(default_factory=NoPast)
    """Whoever has what live streams have been."""
    claim_policy: ClaimPolicy = REFUSE
    """What becomes of names that two want, as the settings of each stream are now."""
    as_public: Callable[[Action, StreamKey], StreamKey] = as_it_is
    """What may be shown of a stream that was not granted: its name or app may be meant as a secret."""
    guard: Guard = field(default_factory=NoGuard)
    """Who turns networks away that fail to prove who they are."""
    apps: frozenset[str] = frozenset()
    """Apps with settings of their own, which may have several levels."""
    high_water_bytes: int = UNSENT_BYTES
    """Unsent bytes of a connection, beside those that the kernel holds, from which its players are slow."""
    instance_id: str = ""
    """Names this server to others, so that relays that go round in circles are found out."""
    authorization_timeout: float = 10.0
    """Seconds the authorizer may take; a request that it leaves open is refused then."""
    tracer: Tracer | None = None
    """Whoever is to be listened in on."""
    input_keeper: InputKeeper | None = None
    """Keeps what clients send first, if somebody wants to look at it when it is wrong."""
    rejections: Rejections = field(default_factory=Rejections)
    """Whoever sent what may not be published."""
    mask: Mask = PLAIN
    """How much of clients' addresses is shown."""
    proxies: TrustedProxies = NO_PROXIES
    """Who is believed about the client that it connects for."""


class Session(Protocol):
    """A client's dialogue, as far as publishes and plays have a part in it: ``ServerSession``, for one.

    ``stream_id`` tells them apart where there can be several.
    """

    @property
    def since(self) -> float:
        """Clock reading at which it began."""
        ...

    @property
    def closing(self) -> bool:
        """Nothing is said any more but what is queued."""
        ...

    @property
    def bytes_received(self) -> int: ...
    @property
    def bytes_sent(self) -> int:
        """Without media."""
        ...

    @property
    def last_command(self) -> str:
        """The name of the last, ``other`` for one that is not known; empty without any."""
        ...

    @property
    def unfinished_since(self) -> float:
        """Clock reading at which what is half received began; ``inf`` if nothing is."""
        ...

    def accept_connect(self, now: float, /, **extra: AmfValue) -> None: ...
    def reject_connect(self, code: str, description: str, now: float, /) -> None: ...
    def accept_publish(self, stream_id: int, now: float, receive: MediaReceiver, /) -> None: ...
    def reject_publish(self, stream_id: int, code: str, description: str, now: float, /) -> None: ...
    def end_publish(self, stream_id: int, code: str, description: str, /) -> None: ...
    def accept_play(self, stream_id: int, now: float, /, *, recorded: bool = False) -> None: ...
    def reject_play(self, stream_id: int, code: str, description: str, now: float, /) -> None: ...
    def end_play(self, stream_id: int, code: str, description: str, /) -> None: ...
    def notify_published(self, stream_id: int, /) -> None: ...
    def notify_unpublished(self, stream_id: int, /) -> None: ...
    def switch_play(self, stream_id: int, name: str, /) -> None: ...
    def seeked(self, stream_id: int, position_ms: int, /) -> None: ...
    def complete_play(self, stream_id: int, duration: float, size: int, /) -> None: ...
    def answer_length(self, transaction_id: float, seconds: float, now: float, /) -> None: ...
    def reject_length(self, transaction_id: float, code: str, description: str, now: float, /) -> None: ...
    def fail(self, error: ProtocolError, /) -> None:
        """The client has broken a rule, or missed a deadline."""
        ...


class Peer(Protocol):
    """A client's connection, as its publish and play flows see it."""

    @property
    def context(self) -> ServerContext: ...
    @property
    def session(self) -> Session: ...
    @property
    def transport(self) -> asyncio.Transport: ...
    @property
    def outlet(self) -> Outlet:
        """The transport, as far as the engine minds."""
        ...

    @property
    def origin(self) -> Origin:
        """Who the client is, as far as it has said so."""
        ...

    @property
    def state(self) -> str:
        """``pending``, then ``publishing`` or ``playing`` by what it did first."""
        ...

    @property
    def introduced(self) -> bool:
        """It has asked to connect, whatever the answer was."""
        ...

    @property
    def connect_params(self) -> ConnectParams:
        """What it has asked for then; nothing before."""
        ...

    def flush(self) -> None:
        """Write what the session has to say."""
        ...

    def advance(self) -> None:
        """Act on what the session reports after it was given an answer, and write what it has to say."""
        ...

    def look_by(self, deadline: float) -> None:
        """Have ``look`` called when the clock reads ``deadline``, if not sooner."""
        ...

    def end(self, reason: CloseReason, detail: Word | None = None) -> None:
        """Write what the session has to say, then close in order. ``detail`` is for the log."""
        ...

    def abort(self, reason: CloseReason) -> None:
        """Close the connection at once; unsent bytes are lost."""
        ...
