"""Somebody who watches a stream by HLS: to the engine a player, to whoever is in charge a session."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.engine.packet import Packet, WireFormat
from rtmpd.engine.sessions import SessionEnd, SessionFigures, Use
from rtmpd.engine.sink import CloseReason
from rtmpd.http.permission import Permit
from rtmpd.http.wishes import Wish
from rtmpd.media.tracks import DEFAULT, TrackChoice
from rtmpd.reasons import Word
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Figures
from rtmpd.serving.following import Following
from rtmpd.serving.peer import ServerContext
from rtmpd.serving.publishing import codecs, last_timestamp

PROTOCOL: Final = "hls"
"""Of its session."""
_MOST_OFFERED: Final = 32
"""Renditions that are remembered: more than a stream has, whatever encoders that come and go call theirs."""
_PLAY: Final = 1
"""In place of a message stream: there is one."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HlsWire:
    """A wire format in which there is nothing: what everybody is sent is made once, and fetched."""

    @property
    def for_frames(self) -> WireFormat:
        return self

    @property
    def tracks(self) -> TrackChoice:
        return DEFAULT

    def encode(self, _packet: Packet) -> bytes:
        """Nothing."""
        return b""


_WIRE: Final = HlsWire()


class Viewer:
    """A session without a connection of its own: it goes on while its playlists are fetched."""

    def __init__(
        self,
        context: ServerContext,
        wish: Wish,
        permit: Permit,
        forget: Callable[[Viewer, CloseReason], None],
    ) -> None:
        """Count it in. Raises ``Refused`` where there is no room. ``forget`` is told of its end."""
        grant, now = permit.grant, context.clock()
        self.wish = wish
        """By what it has asked."""
        self.token = ""
        self._context = context
        self._forget = forget
        self._bytes_in = 0
        self._offered: dict[str, int] = {}
        """Bytes of media that there were of renditions when it was told of them last."""
        self._over = False
        self.dismissed = False
        """It has ended, and not because it has left: what it has asked for is not answered any more."""
        self.on_start: Callable[[], None] = _nothing
        """Is called when a publisher comes, or it ends."""
        self.seen_at = now
        """Clock reading of its last playlist, or beacon."""
        rules = grant.play or context.play_rules(grant.key)
        lasts = min(grant.valid_for, rules.max_duration or math.inf)
        self._ends_at = now + lasts
        self._ends_by = CloseReason.EXPIRED if grant.valid_for <= lasts else CloseReason.MAX_DURATION
        origin = permit.origin.asking(wish.query)
        options = rules.options.of(origin, now)
        if origin.is_borrowed:
            options = options._replace(audience=False)
        self._outlet = Outlet(context.registry.outlets, self)
        try:
            self._subscription = context.registry.attach(grant.key, self, self._outlet, options, now)
        except BaseException:
            grant.abandon()
            raise
        self._following = Following()
        self._following.begin(_PLAY, grant, self._figures)

    @property
    def key(self) -> StreamKey:
        """Of the stream."""
        return self._subscription.key

    @property
    def over(self) -> bool:
        """It has ended."""
        return self._over

    @property
    def is_live(self) -> bool:
        """Somebody publishes what it watches."""
        return self._subscription.live

    @property
    def begun(self) -> bool:
        """It has been given media to play."""
        return self._subscription.begun

    def touch(self, now: float, size: int) -> None:
        """It has asked again, in so many bytes."""
        self.seen_at = now
        self._bytes_in += size

    def begin(self, now: float) -> None:
        """It is given a playlist with media in it."""
        self._subscription.join(now, aside=True)

    def offer(self, rendition: str, made: int) -> None:
        """It is told of all media that there are of a rendition, ``made`` bytes since its begin: what of that
        it has not known it fetches, on whatever connection, and by way of whatever cache.
        """
        before = self._offered.get(rendition, made)
        if len(self._offered) >= _MOST_OFFERED:
            self._offered.clear()
        self._subscription.note_fetched(made - before if made >= before else made)
        self._offered[rendition] = made

    def look(self, now: float, patience: float) -> None:
        """End it where its time is up, or it has not been seen for ``patience`` seconds."""
        if self._ends_at <= now:
            self.dismiss(self._ends_by)
        elif self.seen_at + patience <= now:
            self._end(CloseReason.FINISHED)

    # The session

    @property
    def origin(self) -> Origin:
        return self._subscription.origin

    @property
    def uses(self) -> tuple[Use, ...]:
        subscription = self._subscription
        return () if self.over else (Use(False, subscription.key, subscription.since),)

    def figures(self) -> SessionFigures:
        return SessionFigures(self._bytes_in, self._subscription.bytes_out, 0, 0, None, b"")

    def leave(self, reason: CloseReason = CloseReason.FINISHED) -> None:
        """It has gone, or has nothing to watch."""
        self._end(reason)

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        """End it: what it asks for from now on is refused."""
        self._subscription.close(reason, by)

    # The engine's sink, and the transport of its outlet, by neither of which anything goes

    @property
    def wire_format(self) -> WireFormat:
        return _WIRE

    def write(self, data: bytes) -> None:
        """There is nothing."""

    def write_all(self, images: Sequence[bytes]) -> None:
        """The same."""

    def stream_started(self) -> None:
        self.on_start()

    def stream_ended(self) -> None:
        """It shows in the playlists. What is left is still to be watched."""

    def close(self, reason: CloseReason) -> None:
        self._end(reason)

    def backlog(self) -> int:
        return 0

    def abort(self, reason: CloseReason) -> None:
        """Nothing is on its way."""

    # Inside

    def _figures(self) -> Figures:
        return Figures(last_timestamp(self._subscription.stats), 0, self._subscription.bytes_out)

    def _end(self, reason: CloseReason, detail: Word | None = None) -> None:
        subscription = self._subscription
        if self._over:
            return
        self._over = True
        self.dismissed = reason is not CloseReason.FINISHED
        subscription.detach(reason)
        ending = subscription.ending
        self._following.end_all()
        self._outlet.close()
        fields = log.of_stream(subscription.origin, subscription.key) | {
            "duration": round(self._context.clock() - subscription.since, 3),
            "bytes": subscription.bytes_out,
            "dropped": 0,
            "codecs": codecs(subscription.stats),
            "agent": subscription.origin.agent,
            "account": subscription.origin.account or None,
            "reason": detail or reason,
            "by": log.who(ending),
        }
        logger.info("play ended", extra={"fields": fields})
        observer = self._context.registry.sessions.observer
        if observer is not None:
            by = None if ending is None else ending.by
            observer.session_ended(
                SessionEnd(subscription.origin, reason, detail, by, True, self.figures(), 0, "", b"")
            )
        self._forget(self, reason)
        self.on_start()


def _nothing() -> None:
    """Nobody waits."""
