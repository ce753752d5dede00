"""What a push sends and how far it is behind: its place in the stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rtmpd.engine.choosing import NamedTracks
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import PublishWire, WireFormat
from rtmpd.engine.registry import Registry
from rtmpd.engine.sessions import SessionFigures, Use
from rtmpd.engine.sink import CloseReason, Ending, PlayOptions, SlowPlayerPolicy, StartPolicy
from rtmpd.engine.sources import Life
from rtmpd.engine.subscriber import Subscription
from rtmpd.media.track_names import TrackWish
from rtmpd.net.tcp_info import read_tcp_info

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection, Stream
    from rtmpd.relay.push.branch import Branch

_STALLED_AFTER: Final = 3.0
"""Seconds without a byte sent, while some wait, that make a push stalled."""
_POLICY: Final = SlowPlayerPolicy(disconnect_after=15.0)
_OPTIONS: Final = PlayOptions(start=StartPolicy.GOP, policy=_POLICY, audience=False)

ENDS: Final = {
    CloseReason.SLOW: "the server took too little for too long",
    CloseReason.MEMORY: "memory was short, and this relay had much waiting",
    CloseReason.CONNECTION_LOST: "the connection broke",
}
"""Why a push has failed that the engine has ended, in words."""


class PushSink:
    """One connection's place in the stream: the engine writes straight to the transport."""

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        tracks: TrackWish,
        origin: Origin,
        registry: Registry,
        clock: Callable[[], float],
    ) -> None:
        self.origin = origin
        """The server on the other side."""
        self._registry = registry
        self._clock = clock
        self._link = connection.link
        transport = self._link.transport
        self._stream_id = stream.id
        self._tracks = tracks.fixed
        """None if one is wanted by its name."""
        self._by_name = NamedTracks(tracks, registry)
        self.write = transport.write
        self.write_all = transport.writelines
        self.over: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        """Why there is nothing more to send."""
        self.encoder_lost = False
        """It ended while its audience was kept for an encoder, and nothing was shown."""
        self._branch: Branch | None = None
        self._subscription: Subscription | None = None
        encrypted = transport.get_extra_info("sslcontext") is not None
        self._outlet = Outlet(registry.outlets, self, private=encrypted)

    @property
    def bytes_sent(self) -> int:
        """Media handed over and taken by the network."""
        subscription = self._subscription
        return 0 if subscription is None else max(subscription.bytes_out - self.backlog(), 0)

    def attach(self, key: StreamKey, branch: Branch | None = None, delay: float | None = None) -> None:
        """Begin: headers and the group of pictures so far are written at once, of ``branch`` if given, or
        ``delay`` seconds behind.
        """
        self._branch = branch
        self._link.writer = self
        now = self._clock()
        options = _OPTIONS._replace(origin=self.origin, delay=delay)
        if branch is None:
            self._subscription = self._registry.attach(key, self, self._outlet, options, now)
        else:
            self._subscription = branch.stream.attach(self, self._outlet, options, now)
        if self._tracks is None:
            self._by_name.join(self._subscription, now)
        else:
            self._subscription.join(now)

    @property
    def ending(self) -> Ending | None:
        """How its place in the stream ended; None while it has it."""
        return None if self._subscription is None else self._subscription.ending

    @property
    def uses(self) -> tuple[Use, ...]:
        """The stream that it is sent."""
        subscription = self._subscription
        if subscription is None or not subscription.attached:
            return ()
        return (Use(False, subscription.key, subscription.since),)

    def figures(self) -> SessionFigures:
        """How its connection gets on."""
        session, subscription, congestion = self._link.session, self._subscription, self._outlet.congestion
        return SessionFigures(
            bytes_in=session.bytes_received,
            bytes_out=session.bytes_sent + (0 if subscription is None else subscription.bytes_out),
            dropped=0 if subscription is None else subscription.dropped,
            backlog_bytes=self.backlog(),
            behind_since=None if congestion is None else congestion.behind_since,
            tcp_info=read_tcp_info(self._link.transport.get_extra_info("socket")),
        )

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End this connection, because ``by`` wants it so; the push tries again as after a failure."""
        if self._subscription is not None:
            self._subscription.close(reason, by)

    def detach(self, reason: CloseReason = CloseReason.FINISHED) -> None:
        """Write nothing more."""
        self._link.writer = None
        self._by_name.leave()
        self._outlet.close()
        if self._subscription is not None:
            self._subscription.detach(reason)

    # The engine's sink

    @property
    def wire_format(self) -> WireFormat:
        chunk_size = self._link.session.settings.chunk_size
        return PublishWire(chunk_size, self._stream_id, self._tracks or self._by_name.tracks)

    def stream_started(self) -> None:
        """Cannot happen: the first end is the end."""

    def stream_ended(self) -> None:
        self.close(CloseReason.FINISHED)

    def close(self, reason: CloseReason) -> None:
        if self._subscription is not None and self._subscription.attached:
            stream = self._registry.streams.get(self._subscription.key)
            dark = stream is not None and stream.life is Life.HOLDING and stream.slate is None
            self.encoder_lost = dark and self._branch is None
        self.detach(reason)
        if not self.over.done():
            self.over.set_result(reason)

    # The outlet's transport

    def backlog(self) -> int:
        return self._link.transport.get_write_buffer_size()

    def abort(self, reason: CloseReason) -> None:
        self.close(reason)

    # The link's writer

    def pause_writing(self) -> None:
        self._outlet.pause_writing(self._clock())

    def resume_writing(self) -> None:
        self._outlet.resume_writing(self._clock())

    def connection_lost(self) -> None:
        self.close(CloseReason.CONNECTION_LOST)


class Progress:
    """How far a push is behind, from looks at it about once a second."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, int]] = deque()
        """(when, bytes handed over by then), oldest first, of what was not sent at the last look."""
        self._sent = 0
        self._moved_at: float | None = None

    def look(self, now: float, sent: int, backlog: int) -> None:
        waiting = self._waiting
        while waiting and waiting[0][1] <= sent:
            waiting.popleft()
        if backlog:
            waiting.append((now, sent + backlog))
        if sent != self._sent or not backlog or self._moved_at is None:
            self._sent = sent
            self._moved_at = now

    def lag(self, now: float) -> float:
        """Seconds that the oldest unsent byte has waited, as far as was looked."""
        return now - self._waiting[0][0] if self._waiting else 0.0

    def stalled(self, now: float) -> bool:
        return self._moved_at is not None and now - self._moved_at >= _STALLED_AFTER
