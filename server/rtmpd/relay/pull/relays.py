"""Pull relays: streams fetched from other servers, always or when the first player asks for them.

A name has one publisher. While a pull is live an encoder that publishes the name is refused, like any second
publisher; while it is still connecting the encoder wins and the pull gives way until the name is free again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import ClientError, ConnectionClosed, RequestTimeout, StreamBusy
from rtmpd.net.backoff import Backoff
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import EXPECTED, RelayDialer, RetryPolicy, explain, is_final, last_words
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.relay.template import RelayTarget
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.events import StatusReceived
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.via import MAX_HOPS, NO_VIA, Via, join, via_of

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection

logger = logging.getLogger(__name__)

_DATA: Final = MessageType.DATA_AMF0
_ON_STATUS: Final = b"\x02\x00\x08onStatus"
_MAX_HELD: Final = 16
"""Data messages kept from before the first audio or video."""
MAX_DIALS: Final = 50
"""Attempts under way for the players of one address."""
_RENEWAL: Final = 1.0
"""Seconds between renewals of the deadline for silence: it costs a timer, and messages are many."""
_ATTEMPTS = 4
"""At least so many fit into the time for which players wait."""


class PullRelay:
    """One stream's way here: asks the origins in order, publishes what comes, starts over when it ends."""

    def __init__(self, relays: PullRelays, key: StreamKey, rule: PullRule) -> None:
        self.key = key
        self._relays = relays
        self._clock = relays.clock
        self._retry = relays.retry
        self.follow(rule)
        self._target = self._targets[0]
        self._publication: Publication | None = None
        self._connection: Connection | None = None
        self._state = RelayState.CONNECTING
        self._reason = ""
        self._status = ""
        self._bytes = 0
        self._retries = 0
        self._retry_at: float | None = None
        self._was_live = False
        """In the round under way."""
        self._last_media = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn: asyncio.Semaphore | None = None
        """Taken for the attempt under way."""
        self._stopped = False

    @property
    def publication(self) -> Publication | None:
        """What it publishes now."""
        return self._publication

    @property
    def status(self) -> RelayStatus:
        """How it gets on now."""
        now = self._clock()
        live = self._publication is not None
        return RelayStatus(
            kind="pull",
            id="pull",
            key=self.key,
            remote=self._target.label,
            state=self._state,
            bytes=self._bytes,
            retries=self._retries,
            lag_bytes=0,
            lag_seconds=max(now - self._last_media, 0.0) if live else 0.0,
            unannounced=(),
            status=self._status,
            reason=self._reason,
            retry_in=None if self._retry_at is None else max(self._retry_at - now, 0.0),
        )

    def start(self, tasks: TaskSet) -> None:
        """Begin to ask."""
        self._task = tasks.start(self._run(), name=f"pull-{self.key}")

    def stop(self) -> None:
        """Nobody needs it any more, or somebody else publishes the name."""
        self._stopped = True
        self.keep()
        if self._patience is not None:
            self._patience.cancel()
        if self._task is not None:
            self._task.cancel()

    def follow(self, rule: PullRule) -> None:
        """Fetch by ``rule`` from now on; what is under way goes on as it began."""
        self.rule = rule
        longest = self._retry.maximum
        if rule.on_demand:
            # An origin that is back is found while those who wait still do.
            longest = min(longest, rule.timeout / _ATTEMPTS)
        initial = min(self._retry.initial, longest)
        self._backoff = Backoff(random.random, initial=initial, maximum=longest)
        self._targets = [origin.expand(self.key) for origin in rule.origins]

    @property
    def misled(self) -> bool:
        """Where it asks, or gets the stream from, is no origin any more."""
        return self._target not in self._targets

    def keep(self) -> None:
        """Somebody watches again."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def linger(self, then: Callable[[], None]) -> None:
        """Nobody watches: call ``then`` when it has been so for long enough; at once if nothing came yet."""
        if self._publication is None:
            then()
        elif self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(self.rule.linger, then)

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the publication; the origin is asked again if it is still wanted."""
        if self._connection is not None:
            self._connection.link.abort(ConnectionClosed(f"this server ended the stream: {reason}"))

    # Inside

    async def _run(self) -> None:
        self._expect_media()
        try:
            while True:
                self._was_live = False
                delay = await self._round()
                self._retry_at = self._clock() + delay
                await asyncio.sleep(delay)
                self._retry_at = None
        except StreamBusy:
            # Somebody else publishes the name now; the registry tells when it is free again.
            pass
        finally:
            self._relays.forget(self)

    async def _round(self) -> float:
        """Ask every origin until one has been live; seconds to wait before the next round."""
        final = True
        for target in self._targets:
            self._target = target
            try:
                final = await self._ask(target) and final
            except StreamBusy:
                raise
            except Exception as error:
                # It costs this pull an attempt, and nobody else anything.
                logger.exception("pull broke", extra={"fields": self._fields()})
                self._reason = explain(error, target)
                final = False
            self._retries += 1
            if self._was_live:
                final = False
                break
        self._state = RelayState.FAILED if final else RelayState.BACKOFF
        return self._retry.failed if final else self._backoff.next_delay()

    async def _ask(self, target: RelayTarget) -> bool:
        """Attempt one origin and note how that ended; whether it is pointless to ask it again soon."""
        via = self._ways()
        error = await self._attempt(target, via)
        self._status = last_words(error, target) or self._status
        self._reason = explain(error, target)
        fields = self._fields() | {"reason": self._reason}
        if self._was_live:
            logger.warning("pull ended", extra={"fields": fields})
        else:
            logger.warning("pull failed", extra={"fields": fields})
        return is_final(error, via)

    async def _attempt(self, target: RelayTarget, via: Via) -> Exception:
        """Receive the stream from one origin until it ends; why it did."""
        await self._take_turn()
        self._state = RelayState.CONNECTING
        share = self.rule.timeout / len(self._targets)
        silence = asyncio.timeout(share)
        try:
            async with silence:
                connection = await self._relays.dialer.dial(target, via)
                try:
                    await self._receive(connection, target, silence)
                except BaseException as error:
                    # Who is told to stop says goodbye; who was let down does not.
                    if not isinstance(error, asyncio.CancelledError) or silence.expired():
                        connection.abort()
                    raise
                finally:
                    await connection.close()
        except StreamBusy:
            raise
        except EXPECTED as error:
            if silence.expired():
                waited = self.rule.timeout if self._was_live else share
                return RequestTimeout(f"the origin sent no media for {waited:g} s")
            return error
        finally:
            self._end_turn()
        return ConnectionClosed("the origin ended the stream")

    async def _take_turn(self) -> None:
        """Wait until few enough attempts are under way for the address that asked for this stream."""
        turn = self._relays.turn(self.key) if self.rule.on_demand else None
        if turn is not None:
            if turn.locked():
                self._state = RelayState.QUEUED
            await turn.acquire()
            self._turn = turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()

    async def _receive(self, connection: Connection, target: RelayTarget, silence: asyncio.Timeout) -> None:
        """Play, and publish what comes. Returns when the origin says that it is over."""
        listener = asyncio.get_running_loop().create_task(self._listen(connection, target))
        self._connection = connection
        try:
            await self._publish(connection, target, silence)
        finally:
            self._connection = None
            self._end_publication()
            listener.cancel()

    async def _publish(self, connection: Connection, target: RelayTarget, silence: asyncio.Timeout) -> None:
        stream = await connection.play(target.stream)
        # It answers: if it is silent, it waits for a publisher as we do.
        self._backoff.reset()
        held: list[Message] = []
        renew_at = 0.0
        publication: Publication | None = None
        async for message in stream:
            now = self._clock()
            if publication is None:
                if message.type == _DATA:
                    held = [*held[1 - _MAX_HELD :], message]
                    continue
                publication = self._begin(now, connection, target)
                for early in held:
                    self._take(publication, early, now)
            self._take(publication, message, now)
            if now >= renew_at:
                renew_at = now + _RENEWAL
                silence.reschedule(now + self.rule.timeout)
        if publication is not None and publication.closed:
            raise ConnectionClosed(f"this server ended the stream: {publication.ending}")

    def _take(self, publication: Publication, message: Message, now: float) -> None:
        self._bytes += len(message.payload)
        self._last_media = now
        # What the origin says to its players about the play is not for ours.
        if message.type != _DATA or not message.payload.startswith(_ON_STATUS):
            publication.receive(message, now)

    def _begin(self, now: float, connection: Connection, target: RelayTarget) -> Publication:
        """The first media: take the name. Raises ``Refused``."""
        via = via_of(connection.info.status.info)
        origin = self._relays.dialer.origin("pull", target, connection, via)
        publication = self._relays.registry.claim(self.key, self, origin, now)
        self._end_turn()
        self._publication = publication
        self._relays.sessions[origin.session] = publication
        self._was_live = True
        self._reason = ""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._state = RelayState.LIVE
        logger.info("pull live", extra={"fields": self._fields() | {"session": origin.session_id}})
        return publication

    def _end_publication(self) -> None:
        publication, self._publication = self._publication, None
        if publication is not None:
            del self._relays.sessions[publication.origin.session]
            publication.close(CloseReason.CONNECTION_LOST)
            self._expect_media()

    def _expect_media(self) -> None:
        """Give waiting players the time that the rule allows."""
        if self.rule.on_demand and not self._stopped:
            self._patience = asyncio.get_running_loop().call_later(self.rule.timeout, self._disappoint)

    def _disappoint(self) -> None:
        """No origin had it in time: tell everybody who waits."""
        self._expect_media()
        stream = self._relays.stream(self.key)
        if stream is not None and stream.holder is None:
            for subscription in list(stream.subscriptions):
                subscription.close(CloseReason.NOT_FOUND)

    def _ways(self) -> Via:
        """Servers that wait for this stream through us: none of them can be its origin.

        A way that can be no longer ends here, so that it spoils the others nothing.
        """
        stream = self._relays.stream(self.key)
        if stream is None:
            return NO_VIA
        for subscription in [each for each in stream.subscriptions if each.origin.via.hops >= MAX_HOPS]:
            subscription.close(CloseReason.NOT_FOUND)
        return join(each.origin.via for each in stream.subscriptions)

    async def _listen(self, connection: Connection, target: RelayTarget) -> None:
        """Note what the origin says."""
        with contextlib.suppress(ClientError):
            async for event in connection.events():
                if isinstance(event, StatusReceived):
                    self._status = target.scrub(f"{event.status.code} {event.status.description}")

    def _fields(self) -> dict[str, object]:
        return {"app": self.key.app, "stream": self.key.name, "origin": self._target.label}


class PullRelays(StreamObserver):
    """All pull relays of the process; an observer of the registry.

    ``rule_of(key)`` is asked whenever players come and go.
    """

    def __init__(
        self,
        registry: Registry,
        dialer: RelayDialer,
        clock: Callable[[], float],
        rule_of: Callable[[StreamKey], PullRule | None],
        retry: RetryPolicy | None = None,
    ) -> None:
        self.registry = registry
        self.dialer = dialer
        self.clock = clock
        self.retry = retry or RetryPolicy()
        self._rule_of = rule_of
        self._max_dials = MAX_DIALS
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._relays: dict[StreamKey, PullRelay] = {}
        self._tasks = TaskSet()
        self._closing = False
        self.sessions: dict[int, Publication] = {}
        """Connections that are live, as what they publish."""
        registry.sessions.add_shelf(self.sessions)

    def apply(self, always: Iterable[StreamKey], max_dials: int) -> None:
        """Follow ``rule_of`` as it is now: pulls come and go.

        One from an origin that is none any more begins anew, every other goes on. ``always`` are the
        streams whose rule is not on demand. ``max_dials`` is how many attempts may be under way for the
        players of one address, or network, as far as they are not live: further streams wait for their turn.
        """
        self._max_dials = max_dials
        for relay in list(self._relays.values()):
            rule = self._rule_of(relay.key)
            if rule is None or not rule.covers(relay.key.name):
                self.forget(relay)
            elif rule != relay.rule:
                relay.follow(rule)
                if relay.misled:
                    self.forget(relay)
        for key in dict.fromkeys((*always, *self._relays, *self.registry.streams)):
            self._reconsider(key)

    def statuses(self) -> list[RelayStatus]:
        """Every pull that is under way."""
        return [relay.status for relay in self._relays.values()]

    async def close(self) -> None:
        """End everything."""
        self._closing = True
        for relay in self._relays.values():
            relay.stop()
        self._relays.clear()
        await self._tasks.wait_closed()

    # The registry's observer

    def published(self, publication: Publication) -> None:
        self._reconsider(publication.key)

    def unpublished(self, publication: Publication) -> None:
        self._reconsider(publication.key)

    def wanted(self, key: StreamKey) -> None:
        self._reconsider(key)

    def unwanted(self, key: StreamKey) -> None:
        self._reconsider(key)

    # For the relays

    def stream(self, key: StreamKey) -> LiveStream | None:
        """The registry's entry, if there is one."""
        return self.registry.streams.get(key)

    def turn(self, key: StreamKey) -> asyncio.Semaphore | None:
        """What to hold during an attempt to fetch ``key``; None when nobody waits for it."""
        stream = self.stream(key)
        waiting = () if stream is None else stream.subscriptions
        network = next((each.origin.network for each in waiting if each.audience), None)
        if network is None:
            return None
        turn = self._turns.get(network)
        if turn is None:
            turn = self._turns[network] = asyncio.Semaphore(self._max_dials)
        return turn

    def forget(self, relay: PullRelay) -> None:
        """The relay has given way."""
        if self._relays.get(relay.key) is relay:
            relay.stop()
            del self._relays[relay.key]

    # Inside

    def _reconsider(self, key: StreamKey) -> None:
        """Start, keep or stop the pull of a stream, by what the registry says now."""
        rule = self._rule_of(key)
        if rule is None or not rule.covers(key.name) or self._closing:
            return
        stream = self.stream(key)
        relay = self._relays.get(key)
        publication = None if stream is None else stream.holder
        if publication is not None and (relay is None or publication is not relay.publication):
            if relay is not None:
                self.forget(relay)
        elif not rule.on_demand or (stream is not None and stream.players):
            if relay is None:
                relay = self._relays[key] = PullRelay(self, key, rule)
                relay.start(self._tasks)
            relay.keep()
        elif relay is not None:
            relay.linger(lambda: self.forget(relay))
