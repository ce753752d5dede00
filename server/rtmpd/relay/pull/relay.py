"""One pull: asks where a stream is, fetches it and publishes it here, and starts over when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from rtmpd.engine.claim import REFUSE, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import (
    ClientError,
    ConnectionClosed,
    OriginMapUnavailable,
    RequestTimeout,
    StreamBusy,
)
from rtmpd.net.backoff import Backoff
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import BUG, EXPECTED, RelayDialer, RetryPolicy, explain, is_final, last_words
from rtmpd.relay.moving import ASKED, Mover
from rtmpd.relay.pull.locator import Locator
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.pull.session import PullSession
from rtmpd.relay.pull.waiting import Waiting
from rtmpd.relay.status import RelayState, RelayStatus
from rtmpd.relay.template import RelayTarget
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.events import ReconnectRequested, StatusReceived
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.via import Via, via_of

if TYPE_CHECKING:
    from rtmpd.client.connect import Connection

logger = logging.getLogger(__name__)

PULL: Final = "pull"
"""The ``protocol`` of what pulls publish."""
_DATA: Final = MessageType.DATA_AMF0
_ON_STATUS: Final = b"\x02\x00\x08onStatus"
_LIVE_ONLY: Final = -1.0
"""What a play asks for: an origin may have a file of the name, too."""
_MAX_HELD: Final = 16
"""Data messages kept from before the first audio or video."""
_RENEWAL: Final = 1.0
"""Seconds between renewals of the deadline for silence: it costs a timer, and messages are many."""
_ATTEMPTS = 4
"""At least so many fit into the time for which players wait."""


@dataclass(frozen=True, slots=True)
class PullContext:
    """What all pulls of a server work with."""

    registry: Registry
    dialer: RelayDialer
    clock: Callable[[], float]
    locator: Locator
    waiting: Waiting
    retry: RetryPolicy
    policy: ClaimPolicy = REFUSE
    """For how long the audience of an origin that was lost is kept."""
    borrowed_policy: ClaimPolicy = REFUSE
    """The same of what another process of this server has."""
    sessions: dict[int, PullSession] = field(default_factory=dict)
    """Connections that are live."""


class PullRelay:
    """One stream's way here: asks the origins in order, publishes what comes, starts over when it ends.

    Each time it starts over it asks anew which servers those are.
    """

    def __init__(
        self, context: PullContext, key: StreamKey, rule: PullRule, forget: Callable[[PullRelay], None]
    ) -> None:
        """``forget(relay)`` is called when it has given way."""
        self.key = key
        self._context = context
        self._forget = forget
        self._clock = context.clock
        self._retry = context.retry
        self.target: RelayTarget | None = None
        """The origin that it asked last, and gets the stream from if it does."""
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
        self._patient_for = 0.0
        """Seconds for which the origin may send nothing, once it has."""
        self._patience: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._turn: asyncio.Semaphore | None = None
        """Taken for the attempt under way."""
        self._mover = Mover(context.clock)
        self._stopped = False
        self.follow(rule)

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
            remote=self._label,
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
        """Fetch by ``rule`` from now on; what is under way goes on as it began.

        Who waits has the time that the rule allows, from now.
        """
        self.rule = rule
        longest = self._retry.maximum
        if rule.on_demand:
            # An origin that is back is found while those who wait still do.
            longest = min(longest, rule.timeout / _ATTEMPTS)
        initial = min(self._retry.initial, longest)
        self._backoff = Backoff(random.random, initial=initial, maximum=longest)
        if self._task is not None and self._publication is None:
            self._expect_media()

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
            self._mover.close()
            self._forget(self)

    async def _round(self) -> float:
        """Ask every origin until one has been live; seconds to wait before the next round."""
        targets = (self.target,) if self._mover.ready and self.target else await self._locate()
        final = bool(targets)
        for target in targets:
            self.target = target
            try:
                final = await self._ask(target, self.rule.timeout / len(targets)) and final
            except StreamBusy:
                raise
            except Exception:
                # It costs this pull an attempt, and nobody else anything.
                logger.exception("pull broke", extra={"fields": self._fields()})
                self._reason = BUG
                final = False
            if self._mover.ready:
                return 0.0
            self._retries += 1
            if self._was_live:
                final = False
                break
        self._state = RelayState.FAILED if final else RelayState.BACKOFF
        return self._retry.failed if final else self._backoff.next_delay()

    async def _locate(self) -> Sequence[RelayTarget]:
        """The origins of the round under way. If there are none, that was an attempt that failed."""
        self._state = RelayState.CONNECTING
        targets: Sequence[RelayTarget] = ()
        reason = "no server is known to have this stream"
        try:
            targets = await self._context.locator.locate(self.key, self.rule.timeout / _ATTEMPTS)
        except OriginMapUnavailable as error:
            reason = f"could not find out which server has this stream: {error}"
        except Exception:
            logger.exception("pull broke", extra={"fields": self._fields()})
            reason = BUG
        if self._stopped:
            raise asyncio.CancelledError  # Which the map has swallowed.
        if not targets:
            self._retries += 1
            self._reason = reason
        return targets

    async def _ask(self, target: RelayTarget, share: float) -> bool:
        """Attempt one origin, which has ``share`` seconds to begin, and note how that ended.

        Whether it is pointless to ask it again soon.
        """
        via = self._context.waiting.ways(self.key)
        error = await self._attempt(target, share, via)
        if self._mover.ready:
            return False
        self._status = last_words(error, target) or self._status
        self._reason = explain(error, target)
        fields = self._fields() | {"reason": self._reason}
        if self._was_live:
            logger.warning("pull ended", extra={"fields": fields})
        else:
            logger.warning("pull failed", extra={"fields": fields})
        return is_final(error, via)

    async def _attempt(self, target: RelayTarget, share: float, via: Via) -> Exception:
        """Receive the stream from one origin until it ends; why it did."""
        await self._take_turn()
        self._state = RelayState.CONNECTING
        silence = asyncio.timeout(share)
        try:
            async with silence:
                connection = self._mover.take() or await self._context.dialer.dial(target, via)
                try:
                    await self._receive(connection, target, silence)
                except BaseException as error:
                    # Who is told to stop says goodbye; who was let down does not.
                    if not isinstance(error, asyncio.CancelledError) or silence.expired():
                        connection.abort()
                    raise
                finally:
                    await self._mover.stop()
                    await connection.close()
        except StreamBusy:
            raise
        except EXPECTED as error:
            if silence.expired():
                waited = self._patient_for if self._was_live else share
                return RequestTimeout(f"the origin sent no media for {waited:g} s")
            return error
        finally:
            self._end_turn()
        return ConnectionClosed("the origin ended the stream")

    async def _take_turn(self) -> None:
        """Wait until few enough attempts are under way for the address that asked for this stream."""
        turn = self._context.waiting.turn(self.key) if self.rule.on_demand else None
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
        reason = CloseReason.CONNECTION_LOST
        try:
            await self._publish(connection, target, silence)
            reason = CloseReason.FINISHED
        finally:
            self._connection = None
            self._end_publication(CloseReason.FINISHED if self._stopped else reason)
            listener.cancel()

    async def _publish(self, connection: Connection, target: RelayTarget, silence: asyncio.Timeout) -> None:
        stream = await connection.play(target.stream, _LIVE_ONLY)
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
                silence.reschedule(now + self._patient_for)
        if publication is not None and publication.closed:
            raise ConnectionClosed(f"this server ended the stream: {publication.ending}")
        if stream.cut_off:
            raise ConnectionClosed("the origin closed the connection")

    def _take(self, publication: Publication, message: Message, now: float) -> None:
        self._bytes += len(message.payload)
        self._last_media = now
        # What the origin says to its players about the play is not for ours.
        if message.type != _DATA or not message.payload.startswith(_ON_STATUS):
            publication.receive(message, now)

    def _begin(self, now: float, connection: Connection, target: RelayTarget) -> Publication:
        """The first media: take the name. Raises ``Refused``."""
        via = via_of(connection.info.status.info)
        origin = self._context.dialer.origin(PULL, target, connection, via)
        self._patient_for = self.rule.timeout + (self.rule.grace if via.hops else 0.0)
        policy = self._context.policy if target.borrow is None else self._context.borrowed_policy
        publication = self._context.registry.claim(self.key, self, origin, now, policy)
        self._end_turn()
        self._publication = publication
        self._mover.arrived()
        self._context.sessions[origin.session] = PullSession(publication, connection)
        self._was_live = True
        self._reason = ""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._state = RelayState.LIVE
        logger.info("pull live", extra={"fields": self._fields() | {"session": origin.session_id}})
        return publication

    def _end_publication(self, reason: CloseReason) -> None:
        publication, self._publication = self._publication, None
        if publication is not None:
            del self._context.sessions[publication.origin.session]
            publication.close(reason)
            self._expect_media()

    def _expect_media(self) -> None:
        """Give waiting players the time that the rule allows."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self.rule.on_demand and not self.rule.moving and not self._stopped:
            self._patience = asyncio.get_running_loop().call_later(self.rule.timeout, self._disappoint)

    def _disappoint(self) -> None:
        self._expect_media()
        self._context.waiting.disappoint(self.key)

    async def _listen(self, connection: Connection, target: RelayTarget) -> None:
        """Note what the origin says."""
        with contextlib.suppress(ClientError):
            async for event in connection.events():
                if isinstance(event, StatusReceived):
                    self._status = target.scrub(f"{event.status.code} {event.status.description}")
                elif isinstance(event, ReconnectRequested):
                    dial = partial(self._context.dialer.dial, target, self._context.waiting.ways(self.key))
                    self._mover.ask(dial, partial(self._leave, connection))

    def _leave(self, connection: Connection) -> None:
        logger.info("pull connects anew", extra={"fields": self._fields()})
        connection.link.abort(ConnectionClosed(ASKED))

    @property
    def _label(self) -> str:
        return self.target.label if self.target is not None else ""

    def _fields(self) -> dict[str, object]:
        return {"app": self.key.app, "stream": self.key.name, "origin": self._label}
