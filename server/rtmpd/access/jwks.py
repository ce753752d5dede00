"""The public keys of who issues JWTs (RFC 7517): fetched when needed, and kept while they cannot be."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rtmpd.access.token_rules import JwksRules
from rtmpd.exceptions import ClientError, ProofFailed
from rtmpd.net.tasks import TaskSet
from rtmpd.reasons import Refusal

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set."""

    key: Any
    """As the library wants it that verifies."""
    algorithms: frozenset[str]
    """What it may verify: a token does not choose how its signature is read."""


_RULES: Final = JwksRules()


class Jwks:
    """The keys of one issuer, by their ``kid``.

    ``fetch()`` returns a key set as it came, or raises ClientError; ``parse`` makes keys of it, or raises
    ValueError with a sentence. ``place`` says in log lines where it comes from and holds no secret.
    ``clock`` in seconds. One fetch runs at a time, for all who wait for it.
    """

    def __init__(
        self,
        place: str,
        fetch: Callable[[], Awaitable[bytes]],
        parse: Callable[[bytes], Mapping[str, PublicKey]],
        clock: Callable[[], float],
        rules: JwksRules = _RULES,
    ) -> None:
        self.place = place
        self.problem = ""
        """Why the last fetch was of no use; empty if it was."""
        self.failures = 0
        """Fetches that were of no use."""
        self._fetch = fetch
        self._parse = parse
        self._clock = clock
        self._rules = rules
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._tasks = TaskSet()
        self._running: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds since the keys were fetched; infinite if they never were."""
        return self._clock() - self._fetched_at

    def refresh(self) -> None:
        """Begin a fetch if one is due, so that nobody has to wait for it; in a running event loop."""
        if self.age >= self._rules.refresh:
            self._start()

    async def find(self, kid: str) -> PublicKey:
        """The key of that name, or the only one there is if ``kid`` is empty.

        Waits for a fetch if there is no such key, or none that is fresh enough to be used. Raises
        ProofFailed if there is none after it, either: nobody has guessed then, if the fetch has failed.
        """
        self.refresh()
        if self.age >= self._rules.max_stale or self._get(kid) is None:
            await self._refreshed()
        key = self._get(kid)
        if self.age >= self._rules.max_stale or (key is None and self.problem):
            text = "The server cannot tell at the moment whether this token is genuine; try again later."
            raise ProofFailed(Refusal.JWT_KEYS_UNAVAILABLE, text)
        if key is None:
            text = "This token is signed with a key that its issuer does not name; get a new one."
            raise ProofFailed(Refusal.JWT_KEY_UNKNOWN, text)
        return key

    async def close(self) -> None:
        """End a fetch that runs; whoever waits for it is told that the keys cannot be had."""
        await self._tasks.wait_closed()

    def _get(self, kid: str) -> PublicKey | None:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refreshed(self) -> None:
        """After the fetch that runs, or one that is due."""
        self._start()
        if self._running is not None:
            # Whoever waits may be cancelled; the fetch is for others, too.
            await asyncio.wait([self._running])

    def _start(self) -> None:
        now = self._clock()
        if self._running is None and now - self._tried_at >= self._rules.retry:
            self._tried_at = now
            self._running = self._tasks.start(self._renew(), name="jwks")
            self._running.add_done_callback(self._done)

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._running = None

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._rules.timeout):
                data = await self._fetch()
            keys = self._parse(data)
        except TimeoutError:
            self._keep(f"no answer in {self._rules.timeout:g} s")
        except (ClientError, ValueError) as error:
            self._keep(str(error))
        else:
            if self.problem or keys.keys() != self._keys.keys():
                fields = {"source": self.place, "keys": len(keys)}
                logger.info("jwks read", extra={"fields": fields})
            self._keys, self._fetched_at, self.problem = keys, self._clock(), ""

    def _keep(self, problem: str) -> None:
        self.failures += 1
        if problem != self.problem:
            fields = {"source": self.place, "keys": len(self._keys), "problem": problem}
            logger.warning("jwks not renewed", extra={"fields": fields})
        self.problem = problem
