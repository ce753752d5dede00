"""One push: a stream's relay to one address, which connects, publishes and comes back when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import SlateRules
from rtmpd.exceptions import ConnectionClosed
from rtmpd.media.tags import ENHANCED_CODECS
from rtmpd.media.track_names import TrackWish
from rtmpd.media.tracks import ALL, DEFAULT
from rtmpd.net.backoff import Backoff
from rtmpd.relay.dialer import EXPECTED, RelayDialer, RetryPolicy, explain, is_final, last_words
from rtmpd.relay.moving import ASKED, Mover
from rtmpd.relay.push.sink import ENDS, Progress, PushSink
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.relay.template import RelayTarget
from rtmpd.rtmp.commands import ConnectResult
from rtmpd.rtmp.events import ReconnectRequested, StatusReceived
from rtmpd.rtmp.via import Via, via_of

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection, Stream
    from rtmpd.relay.push.branch import Branch

logger = logging.getLogger(__name__)

_TICK: Final = 1.0
"""Seconds between looks at how a push gets on."""
_SHOWN_EVERY: Final = 0.25
"""Seconds between looks at whether a stream that is sent later has come that far."""
_GOODBYE: Final = 5.0
"""Seconds that the one before has to leave the other server, which may let nobody else in before."""


class House(Protocol):
    """What a target asks of whoever has all of them."""

    registry: Registry
    dialer: RelayDialer
    clock: Callable[[], float]
    retry: RetryPolicy
    tell: Callable[[RelayStatus, Origin], None]
    sessions: dict[int, PushSink]

    def publication(self, key: StreamKey) -> Publication | None: ...
    def delay(self, target: RelayTarget) -> float: ...
    def later(self, target: RelayTarget) -> DelayedStream | None: ...
    def forget(self, target: PushTarget) -> None: ...


class PushTarget:
    """One stream's relay to one address: connects, publishes, and comes back when it fails.

    It never holds up the publisher, the players or another target: what the remote does not take is bounded
    by a slow-player policy of its own, and everything else happens in its own task.
    """

    def __init__(
        self,
        relays: House,
        relay_id: str,
        target: RelayTarget,
        *,
        permanent: bool = False,
        before: PushTarget | None = None,
    ) -> None:
        """``before`` has had the same name, and is on its way out."""
        self.id = relay_id
        self.target = target
        self.permanent = permanent
        """Added at run time: stays while nobody publishes."""
        self.over = asyncio.Event()
        """It has left the other server."""
        self._before = before
        self._relays = relays
        self._retry = relays.retry
        self._clock = relays.clock
        self._backoff = Backoff(random.random, initial=self._retry.initial, maximum=self._retry.maximum)
        self._changed = asyncio.Event()
        self._removed = False
        self._silent = False
        self._state = RelayState.IDLE
        self._reason = ""
        self._status = ""
        self._unannounced: tuple[str, ...] = ()
        self._bytes_before = 0
        self._retries = 0
        self._task: asyncio.Task[None] | None = None
        self._retry_at: float | None = None
        self._sink: PushSink | None = None
        self._progress = Progress()
        self._origin = NOBODY
        self._told = RelayState.IDLE
        self._mover = Mover(self._clock)
        own = target.slate if not relays.delay(target) else None
        self._branch = None if own is None else self._make_branch(own)
        self._source: Publication | None = None
        """What is sent later, or was."""
        self._encoder_lost = False
        """The last attempt ended while this server waited for the encoder."""

    @property
    def origin(self) -> Origin:
        """Of whom it pushes, or pushed last."""
        return self._origin

    @property
    def status(self) -> RelayStatus:
        """How it gets on now."""
        now = self._clock()
        sink = self._sink
        return RelayStatus(
            kind="push",
            id=self.id,
            key=self.target.key,
            remote=self.target.label,
            state=self._state,
            bytes=self._bytes_before + (sink.bytes_sent if sink is not None else 0),
            retries=self._retries,
            lag_bytes=sink.backlog() if sink is not None else 0,
            lag_seconds=self._progress.lag(now) if sink is not None else 0.0,
            unannounced=self._unannounced,
            status=self._status,
            reason=self._reason,
            retry_in=None if self._retry_at is None else max(self._retry_at - now, 0.0),
            slate=None if self._branch is None or self._branch.slate is None else self._branch.slate.slate,
        )

    def wake(self) -> None:
        """A publisher has come or left: look again."""
        self._changed.set()

    def follow(self, publication: Publication) -> None:
        """It is published from now on."""
        if self._branch is not None and not self._removed:
            self._branch.follow(publication)

    def lose(self, publication: Publication) -> None:
        """Nobody publishes the stream any more; this one did."""
        if self._branch is not None:
            self._branch.leave(publication)

    def remove(self, *, silently: bool = False) -> None:
        """End in order and do not come back. Of who leaves ``silently`` no more is told."""
        self._removed = True
        self._silent = silently
        self._changed.set()
        if self._sink is not None:
            self._sink.close(CloseReason.KICKED)
        elif self._state is RelayState.CONNECTING and self._task is not None:
            self._task.cancel()

    def leave(self) -> None:
        """End the connection in order: the encoder may come back, but not here."""
        if self._branch is not None:
            self._branch.end()
        if self._sink is not None:
            self._sink.close(CloseReason.FINISHED)

    async def run(self) -> None:
        """Until it is removed, or nobody publishes a stream that its app is pushed for."""
        self._task = asyncio.current_task()
        try:
            await self._wait_for_goodbye()
            while not self._removed:
                self._changed.clear()
                publication = self._publication()
                if publication is not None and self._is_early():
                    await self._wait_for_delay()
                elif publication is not None:
                    self._origin = publication.origin
                    delay = await self._attempt(publication)
                    if delay is not None:
                        await self._pause(delay, publication)
                elif self.permanent:
                    self._enter(RelayState.IDLE)
                    self._tell()
                    await self._changed.wait()
                else:
                    break
        finally:
            if self._branch is not None:
                self._branch.end()
            self._mover.close()
            self._enter(RelayState.IDLE)
            self._tell()
            self.over.set()
            self._relays.forget(self)

    def _make_branch(self, slate: SlateRules) -> Branch:
        from rtmpd.relay.push.branch import Branch

        return Branch(self._relays.registry, self.target.key, self.id, slate, self._clock)

    def _publication(self) -> Publication | None:
        """What is sent; of who has a slate of its own also what was, while that is shown instead, and of who
        is sent it later what was as long as anything of it waits.
        """
        publication = self._relays.publication(self.target.key)
        if self._relays.delay(self.target):
            self._source = publication or self._source
            later = self._relays.later(self.target)
            return self._source if later is not None and later.fed else None
        if self._branch is None:
            return publication
        if publication is not None:
            self._branch.follow(publication)
        return publication or self._branch.lost

    def _is_early(self) -> bool:
        """What is sent later has not come that far."""
        later = self._relays.later(self.target)
        return later is not None and not later.live

    async def _wait_for_delay(self) -> None:
        """Other servers do not wait for media that comes minutes later."""
        self._enter(RelayState.IDLE, "waits for its delay")
        self._tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHOWN_EVERY):
                await self._changed.wait()

    async def _wait_for_goodbye(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await before.over.wait()

    async def _attempt(self, publication: Publication) -> float | None:
        """Relay until it ends; seconds to wait before the next attempt, None when the stream is over."""
        self._enter(RelayState.CONNECTING)
        self._encoder_lost = False
        live_at: float | None = None
        try:
            connection = self._mover.take() or await self._dial(publication.origin.via)
            try:
                stream = await connection.publish(self.target.stream)
                live_at = self._clock()
                await self._relay(connection, stream)
            except BaseException:
                connection.abort()
                raise
            finally:
                await self._mover.stop()
            await connection.close()
        except Exception as error:
            if self._mover.ready:
                return 0.0
            if not isinstance(error, EXPECTED):
                # It costs this target an attempt, and nobody else anything.
                logger.exception("push broke", extra={"fields": self._fields()})
            if live_at is not None and self._clock() - live_at >= self._retry.steady:
                self._backoff.reset()
            if self._encoder_lost:
                self._wait_for_encoder(error)
                return None
            return self._fail(error)
        self._backoff.reset()
        return None

    async def _dial(self, via: Via) -> Connection:
        return await self._relays.dialer.dial(self.target, via)

    def _leave(self, connection: Connection) -> None:
        logger.info("push connects anew", extra={"fields": self._fields()})
        connection.link.abort(ConnectionClosed(ASKED))

    async def _relay(self, connection: Connection, stream: Stream) -> None:
        """Send the stream until it ends. Raises why it broke off."""
        key = self.target.key
        if self._removed or self._publication() is None:
            return
        # Another rtmpd introduces itself, and has players of its own who choose.
        usual = ALL if via_of(connection.info.status.info).hops else DEFAULT
        origin = self._relays.dialer.origin("push", self.target, connection)
        tracks = self.target.tracks or TrackWish(*usual)
        sink = PushSink(connection, stream, tracks, origin, self._relays.registry, self._clock)
        reader = asyncio.get_running_loop().create_task(self._listen(connection, stream), name=f"push-{key}")
        try:
            self._sink, self._progress = sink, Progress()
            sink.attach(key, self._branch, self.target.delay)
            self._relays.sessions[origin.session] = sink
            self._mover.arrived()
            self._enter(RelayState.LIVE)
            logger.info("push live", extra={"fields": self._fields() | {"session": origin.session_id}})
            either: list[asyncio.Future[Any]] = [sink.over, reader]
            while not any(future.done() for future in either):
                self._compare_codecs(connection.info)
                await asyncio.wait(either, timeout=_TICK, return_when=asyncio.FIRST_COMPLETED)
                self._look()
            await self._settle(sink, reader)
        finally:
            self._relays.sessions.pop(origin.session, None)
            sink.detach()
            self._encoder_lost = sink.encoder_lost
            self._bytes_before += sink.bytes_sent
            self._sink = None
            self._enter(RelayState.IDLE)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            logger.info("push ended", extra={"fields": self._fields() | {"bytes": self._bytes_before}})

    async def _settle(self, sink: PushSink, reader: asyncio.Task[None]) -> None:
        """Tell ends that are meant from ends that are not."""
        reason = sink.over.result() if sink.over.done() else CloseReason.CONNECTION_LOST
        if reason is CloseReason.FINISHED or (reason is CloseReason.KICKED and self._removed):
            return
        if reason is CloseReason.CONNECTION_LOST:
            await reader
        raise ConnectionClosed(ENDS.get(reason, f"this server ended it: {sink.ending or reason}"))

    async def _listen(self, connection: Connection, stream: Stream) -> None:
        """Note what the remote says. Raises what it ends the stream or the connection with."""
        async for event in connection.events():
            if isinstance(event, StatusReceived):
                status = event.status
                self._status = self.target.scrub(f"{status.code} {status.description}")
                stream.check()
            elif isinstance(event, ReconnectRequested):
                self._mover.ask(partial(self._dial, self._origin.via), partial(self._leave, connection))
        stream.check()
        raise ConnectionClosed("the server closed the connection")

    def _compare_codecs(self, remote: ConnectResult) -> None:
        """Tell of codecs that the remote may drop without a word, as servers do that are older than those."""
        stream = self._relays.registry.streams.get(self.target.key)
        if stream is None:
            return
        sent = (stream.stats.video.codec, stream.stats.audio.codec)
        unannounced = tuple(
            codec for codec in sent if codec in ENHANCED_CODECS and not remote.announces(codec)
        )
        if not set(unannounced) <= set(self._unannounced):
            fields = self._fields() | {"codecs": "+".join(unannounced)}
            logger.warning("push codecs not announced", extra={"fields": fields})
        self._unannounced = unannounced

    def _look(self) -> None:
        sink = self._sink
        if sink is None or sink.over.done():
            return
        now = self._clock()
        self._progress.look(now, sink.bytes_sent, sink.backlog())
        stalled = self._progress.stalled(now)
        if stalled and self._state is RelayState.LIVE:
            self._enter(RelayState.STALLED, "the server takes nothing more")
            logger.warning("push stalled", extra={"fields": self._fields() | {"backlog": sink.backlog()}})
        elif not stalled and self._state is RelayState.STALLED:
            self._enter(RelayState.LIVE)

    def _fail(self, error: Exception) -> float:
        """Note why an attempt failed; seconds to the next."""
        self._retries += 1
        self._status = last_words(error, self.target) or self._status
        final = is_final(error)
        delay = self._retry.failed if final else self._backoff.next_delay()
        self._enter(RelayState.FAILED if final else RelayState.BACKOFF, explain(error, self.target))
        fields = self._fields() | {"reason": self._reason, "retry_in": round(delay, 1)}
        logger.warning("push failed", extra={"fields": fields})
        return delay

    def _wait_for_encoder(self, error: Exception) -> None:
        """The server was not willing to wait for one that we wait for, which is no failure of this push."""
        self._status = last_words(error, self.target) or self._status
        fields = self._fields() | {"reason": explain(error, self.target)}
        logger.info("push waits for its encoder", extra={"fields": fields})

    async def _pause(self, delay: float, publication: Publication) -> None:
        """Wait for the next attempt, or until it is about another publication, or none."""
        self._retry_at = self._clock() + delay
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                while not self._removed and self._publication() is publication:
                    await self._changed.wait()
                    self._changed.clear()
        self._retry_at = None

    def _enter(self, state: RelayState, reason: str = "") -> None:
        self._state = state
        if reason or state in (RelayState.IDLE, RelayState.LIVE):
            self._reason = reason
        if state not in (RelayState.IDLE, RelayState.CONNECTING):  # They come and go with every attempt.
            self._tell()

    def _tell(self) -> None:
        """Say what it does now, unless that was said last."""
        if self._state is not self._told and not self._silent:
            self._told = self._state
            self._relays.tell(self.status, self._origin)

    def _fields(self) -> dict[str, object]:
        key = self.target.key
        return {"app": key.app, "stream": key.name, "target": self.target.label, "relay": self.id}
