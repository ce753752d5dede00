"""Names that clients want to publish, claimed where other servers have a say, and given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from rtmpd.engine.claim import Lease
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import OriginMapUnavailable, Refused
from rtmpd.net.tasks import TaskSet, awaiting_others
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.rates import TokenBucket

logger = logging.getLogger(__name__)

_SAY_AGAIN: Final = 10.0
"""Seconds from one log line about names that nobody can be asked for to the next, whichever the name."""


class Names(Protocol):
    """Who has which name, as far as other servers know: what publishes need of an ``OriginMap``."""

    def claim(self, key: StreamKey, origin: Origin) -> Lease | Coroutine[Any, Any, Lease]: ...
    def release(self, lease: Lease) -> Coroutine[Any, Any, None] | None: ...


class Claims:
    """Claims names for clients: whatever becomes of the client, each lease is given back, and once.

    Names that are had at once cost no task. What has to be waited for has ``timeout`` seconds.
    """

    def __init__(self, names: Names, clock: Callable[[], float], timeout: float = 10.0) -> None:
        self._names = names
        self._clock = clock
        self._timeout = timeout
        self._lines = TokenBucket(1 / _SAY_AGAIN, 1, clock())
        self._tasks = TaskSet()

    async def claim(self, key: StreamKey, origin: Origin) -> Lease:
        """Have the name; the caller gives it to ``release``.

        Raises ``Refused``, also when nobody can be asked. A caller that is cancelled has got nothing.
        """
        with self._telling(key, but=Refused):
            answer = self._names.claim(key, origin)
            if isinstance(answer, Lease):
                return answer
            if (lease := await self._awaited(key, answer)) is not None:
                return lease
        text = "The server could not find out whether somebody else publishes this stream; try again later."
        # quirk(obs): shows Rejected to its user; Failed sends it into reconnecting.
        raise Refused(StatusCode.PUBLISH_REJECTED, text, Refusal.CLAIM_FAILED)

    def release(self, lease: Lease) -> None:
        """Give the name back. Never raises; what takes its time is waited for in ``close``."""
        with self._telling(lease.key):
            answer = self._names.release(lease)
            if answer is not None:
                self._tasks.start(self._give_back(lease.key, answer), name=f"release-{lease.key}")

    async def close(self, grace: float) -> None:
        """Wait until all is given back, ``grace`` seconds at most."""
        await self._tasks.drain(grace)
        await self._tasks.wait_closed()

    # Inside

    async def _awaited(self, key: StreamKey, answer: Coroutine[Any, Any, Lease]) -> Lease | None:
        # In a task that the end of the connection does not end: what is granted by then must be known.
        asking = self._tasks.start(self._ask(key, answer), name=f"claim-{key}")
        try:
            await asyncio.sleep(0)  # First, as all that waits in a request.
            await asyncio.wait((asking,))
        except asyncio.CancelledError:
            asking.add_done_callback(self._unwanted)
            raise
        outcome = asking.result()
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def _ask(self, key: StreamKey, answer: Coroutine[Any, Any, Lease]) -> Lease | Refused | None:
        """What came of it; None is nothing, which is told."""
        outcome: Lease | Refused | None = None
        with self._telling(key):
            try:
                async with asyncio.timeout(self._timeout):
                    outcome = await answer
            except Refused as refusal:
                outcome = refusal
        return outcome

    def _unwanted(self, asking: asyncio.Task[Lease | Refused | None]) -> None:
        """Who asked has gone."""
        if not asking.cancelled() and isinstance(outcome := asking.result(), Lease):
            self.release(outcome)

    async def _give_back(self, key: StreamKey, answer: Coroutine[Any, Any, None]) -> None:
        with self._telling(key):
            async with asyncio.timeout(self._timeout):
                await answer

    @contextmanager
    def _telling(self, key: StreamKey, but: type[Refused] | tuple[()] = ()) -> Iterator[None]:
        """Whatever fails within is told, ``but`` that, and goes no further."""
        fields = {"app": key.app, "stream": key.name}
        try:
            with awaiting_others():
                yield
        except but:
            raise
        except (OriginMapUnavailable, OSError) as error:
            if self._lines.allow(self._clock()):
                reason = str(error) or f"no answer within {self._timeout:g} s"
                logger.warning("claim failed", extra={"fields": fields | {"reason": reason}})
        except Exception:
            logger.exception("claim broke", extra={"fields": fields})
