"""Push relays: every stream of an app, or one stream at run time, published on other servers too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import ConnectionClosed, UsageError
from rtmpd.media.tags import ENHANCED_CODECS
from rtmpd.media.tracks import ALL, DEFAULT
from rtmpd.net.backoff import Backoff
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import EXPECTED, RelayDialer, RetryPolicy, explain, is_final, last_words
from rtmpd.relay.moving import ASKED, Mover
from rtmpd.relay.push.sink import ENDS, Progress, PushSink
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.relay.template import RelayTarget, RelayTemplate
from rtmpd.rtmp.commands import ConnectResult
from rtmpd.rtmp.events import ReconnectRequested, StatusReceived
from rtmpd.rtmp.via import Via, via_of

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection, Stream

logger = logging.getLogger(__name__)

MAX_TARGETS: Final = 16
"""Targets of one stream."""
MAX_ADDED: Final = 1000
"""Targets added at run time, of all streams together."""
ADDED: Final = "api-"
"""Begins the names of those; no other target may have one."""
_TICK: Final = 1.0
"""Seconds between looks at how a push gets on."""


class PushTarget:
    """One stream's relay to one address: connects, publishes, and comes back when it fails.

    It never holds up the publisher, the players or another target: what the remote does not take is bounded
    by a slow-player policy of its own, and everything else happens in its own task.
    """

    def __init__(self, relays: PushRelays, relay_id: str, target: RelayTarget, *, permanent: bool) -> None:
        self.id = relay_id
        self.target = target
        self.permanent = permanent
        """Added at run time: stays while nobody publishes."""
        self._relays = relays
        self._retry = relays.retry
        self._clock = relays.clock
        self._backoff = Backoff(random.random, initial=self._retry.initial, maximum=self._retry.maximum)
        self._changed = asyncio.Event()
        self._removed = False
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
        """Of the publication that is pushed, or was."""
        self._told = RelayState.IDLE
        self._mover = Mover(self._clock)
        self._encoder_lost = False
        """The last attempt ended while this server waited for the encoder."""

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
        )

    def wake(self) -> None:
        """A publisher has come or left: look again."""
        self._changed.set()

    def remove(self) -> None:
        """End in order and do not come back."""
        self._removed = True
        self._changed.set()
        if self._sink is not None:
            self._sink.close(CloseReason.KICKED)
        elif self._state is RelayState.CONNECTING and self._task is not None:
            self._task.cancel()

    def leave(self) -> None:
        """End the connection in order: the encoder may come back, but not here."""
        if self._sink is not None:
            self._sink.close(CloseReason.FINISHED)

    async def run(self) -> None:
        """Until it is removed, or nobody publishes a stream that its app is pushed for."""
        self._task = asyncio.current_task()
        try:
            while not self._removed:
                self._changed.clear()
                publication = self._relays.publication(self.target.key)
                if publication is not None:
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
            self._mover.close()
            self._enter(RelayState.IDLE)
            self._tell()
            self._relays.forget(self)

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
        if self._removed or self._relays.publication(key) is None:
            return
        # Another rtmpd introduces itself, and has players of its own who choose.
        usual = ALL if via_of(connection.info.status.info).hops else DEFAULT
        origin = self._relays.dialer.origin("push", self.target, connection)
        tracks = self.target.tracks or usual
        sink = PushSink(connection, stream, tracks, origin, self._relays.registry, self._clock)
        reader = asyncio.get_running_loop().create_task(self._listen(connection, stream), name=f"push-{key}")
        try:
            self._sink, self._progress = sink, Progress()
            sink.attach(key)
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
                while not self._removed and self._relays.publication(self.target.key) is publication:
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
        if self._state is not self._told:
            self._told = self._state
            self._relays.tell(self.status, self._origin)

    def _fields(self) -> dict[str, object]:
        key = self.target.key
        return {"app": key.app, "stream": key.name, "target": self.target.label, "relay": self.id}


class PushRelays(StreamObserver):
    """All push relays of the process; an observer of the registry.

    ``templates_of(key)`` is asked with each publish where the stream goes: templates by the names of targets.
    ``tell(status, origin)`` is told of each target that goes live, stalls, fails or ends, and whom it pushes;
    it raises nothing.
    """

    def __init__(
        self,
        registry: Registry,
        dialer: RelayDialer,
        clock: Callable[[], float],
        templates_of: Callable[[StreamKey], Mapping[str, RelayTemplate]],
        retry: RetryPolicy | None = None,
        tell: Callable[[RelayStatus, Origin], None] | None = None,
    ) -> None:
        self.registry = registry
        self.dialer = dialer
        self.clock = clock
        self.retry = retry or RetryPolicy()
        self.tell = tell or (lambda _status, _origin: None)
        self._templates_of = templates_of
        self._targets: dict[StreamKey, dict[str, PushTarget]] = {}
        self._numbers = itertools.count(1)
        self._tasks = TaskSet()
        self._closing = False
        self.moving = False
        """Another process of this server takes over: it pushes what encoders send that leave us."""
        self.sessions: dict[int, PushSink] = {}
        """Connections that are live."""
        registry.sessions.add_shelf(self.sessions)

    def statuses(self) -> list[RelayStatus]:
        """Every target of every stream, in order of arrival."""
        return [target.status for targets in self._targets.values() for target in targets.values()]

    def add(self, key: StreamKey, url: str, track: object = None) -> RelayStatus:
        """Push ``key`` to one more address, whenever it is published, until it is removed.

        ``track`` is as in ``RelayTemplate.parse``. Raises UsageError, whose text holds no secret.
        """
        target = RelayTemplate.parse(url, track).expand(key)
        targets = self._targets.get(key, {})
        if any(existing.target.url == target.url for existing in targets.values()):
            raise UsageError("the stream is pushed there already")
        if len(targets) >= MAX_TARGETS:
            raise UsageError(f"a stream is pushed to {MAX_TARGETS} targets at most")
        added = sum(target.permanent for each in self._targets.values() for target in each.values())
        if added >= MAX_ADDED:
            raise UsageError(f"{MAX_ADDED} targets can be added at most")
        return self._start(f"{ADDED}{next(self._numbers)}", target, permanent=True).status

    def added(self) -> list[tuple[str, str, str, object]]:
        """App, name, URL with all secrets, and track of each target that was added and not removed."""
        targets = [each for of in self._targets.values() for each in of.values() if each.permanent]
        return [(each.target.key.app, each.target.key.name, each.target.url.full, None) for each in targets]

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """End a target; False when there is none. One of the configuration comes with the next publisher."""
        target = self._targets.get(key, {}).get(relay_id)
        if target is None:
            return False
        target.remove()
        return True

    def apply(self) -> None:
        """Follow what ``templates_of`` says now of what is published: targets come, go and change."""
        for key in self.registry.streams:
            self.follow(key)

    def follow(self, key: StreamKey) -> None:
        """The same for one stream."""
        publication = self.publication(key)
        if publication is None:
            return
        templates = self._templates_of(key)
        for target in list(self._targets.get(key, {}).values()):
            template = templates.get(target.id)
            if not target.permanent and (template is None or template.expand(key) != target.target):
                target.remove()
                self.forget(target)
        self.published(publication)

    async def close(self, grace: float) -> None:
        """End everything: in order within ``grace`` seconds, then at once."""
        self._closing = True
        for targets in list(self._targets.values()):
            for target in targets.values():
                target.remove()
        await self._tasks.drain(grace)
        await self._tasks.wait_closed()

    # The registry's observer

    def published(self, publication: Publication) -> None:
        key = publication.key
        running = self._targets.get(key, {})
        for name, template in self._templates_of(key).items():
            if name not in running:
                self._start(name, template.expand(key), permanent=False)
        self._wake(key)

    def unpublished(self, publication: Publication) -> None:
        if self.moving:
            for target in list(self._targets.get(publication.key, {}).values()):
                target.leave()
        self._wake(publication.key)

    # For the targets

    def publication(self, key: StreamKey) -> Publication | None:
        """What is published under ``key`` now, or is about to go on air."""
        stream = self.registry.streams.get(key)
        holder = None if stream is None else stream.holder
        return None if holder is None or holder.origin.is_borrowed else holder

    def forget(self, target: PushTarget) -> None:
        """The target has ended."""
        key = target.target.key
        targets = self._targets.get(key, {})
        # Another may have its name by now.
        if targets.get(target.id) is target:
            del targets[target.id]
            if not targets:
                del self._targets[key]

    def _start(self, relay_id: str, target: RelayTarget, *, permanent: bool) -> PushTarget:
        push = PushTarget(self, relay_id, target, permanent=permanent)
        self._targets.setdefault(target.key, {})[relay_id] = push
        if not self._closing:
            self._tasks.start(push.run(), name=f"push-{target.key}-{relay_id}")
        return push

    def _wake(self, key: StreamKey) -> None:
        for target in self._targets.get(key, {}).values():
            target.wake()
