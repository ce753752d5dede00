"""Stream keys for whoever shows a JWT: short enough for the field of an encoder, and good for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from rtmpd.access.guard import Guard
from rtmpd.access.keys import Key, digest_of, new_key
from rtmpd.access.rules import Allow, RuleBook
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import NotPossible, ProofFailed, UsageError
from rtmpd.net.addresses import network_of
from rtmpd.reasons import Problem
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action
from rtmpd.serving.network_rates import NetworkRates

PER_MINUTE: Final = 60
"""For one address, or IPv6 /64."""
_AT_ONCE: Final = 20
ISSUED: Final = "issued"
"""Counts keys that were made, beside the reasons why others were not."""
TOO_OFTEN: Final = "too_often"
NOT_TAKEN: Final = "not_taken"


class PublishTokens:
    """Gives one for each JWT that is genuine and allows to publish the stream.

    ``book()`` are the rules as they are now; who fails is known to ``guard``. ``clock()`` is that of the
    engine, ``wall_clock()`` seconds since 1970.
    """

    def __init__(
        self,
        book: Callable[[], RuleBook],
        keys: RuntimeKeys,
        guard: Guard,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._book = book
        self._keys = keys
        self._guard = guard
        self._clock = clock
        self._wall_clock = wall_clock
        self._random_bytes = random_bytes
        self._rates = NetworkRates(PER_MINUTE, _AT_ONCE)
        self.counts: Counter[str] = Counter()
        """How it went: ``ISSUED``, or why not."""

    async def issue(self, path: str, jwt: str, seconds: float | None, address: str) -> tuple[str, RuntimeKey]:
        """The key for the stream at ``path``, and what is kept of it.

        It is good for as long as the JWT, or ``seconds`` if that is less. Raises NotPossible.
        """
        network = network_of(address) if address else ""
        if self._guard.turns_away(network) or not self._rates.allow(network, self._clock()):
            self.counts[TOO_OFTEN] += 1
            text = "your address has asked too often, or is banned: wait a minute"
            raise NotPossible(Problem.TOKENS_OFTEN, text)
        rules = self._book().at(path).publish
        if rules.tokens is None or rules.allow is Allow.NOBODY:
            self.counts[NOT_TAKEN] += 1
            text = f"no JWT is taken to publish {path}: docs/jwt.md says what has to be configured"
            raise NotPossible(Problem.TOKEN_REFUSED, text)
        now = self._wall_clock()
        try:
            proof = await rules.tokens.verify(jwt, Action.PUBLISH, path, now)
        except ProofFailed as failure:
            self.counts[failure.reason] += 1
            origin = Origin(protocol="http", address=address, network=network)
            key = StreamKey.of_path(path, self._book().tables)
            request = AccessRequest(Action.PUBLISH, key, origin, ConnectParams())
            await asyncio.sleep(self._guard.refused(request, failure.reason))
            raise NotPossible(Problem.TOKEN_REFUSED, failure.description) from None
        text = new_key(self._random_bytes)
        until = proof.until if seconds is None else min(proof.until, now + seconds)
        key_of_it = Key(digest_of(text), path.partition("/")[2], proof.account, until)
        made = RuntimeKey(Action.PUBLISH, path, key_of_it, now, is_token=True)
        try:
            self._keys.add(made)
        except UsageError as error:
            self.counts[TOO_OFTEN] += 1
            raise NotPossible(Problem.TOKENS_OFTEN, str(error)) from None
        self.counts[ISSUED] += 1
        return text, made
