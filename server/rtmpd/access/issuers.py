"""The issuers of tokens that are trusted: their key sets, each fetched once for all apps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from rtmpd.access.jwks_source import open_source, shown_source
from rtmpd.access.token_rules import JwksRules
from rtmpd.net.http_message import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from rtmpd.access.jwks import Jwks, PublicKey
    from rtmpd.net.http_caller import HttpCaller

_RULES: Final = JwksRules()


class Issuers:
    """Keeps key sets while rules come and go, and has them fresh before anybody asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, rules: JwksRules = _RULES) -> None:
        self._clock = clock
        self._rules = rules
        self._sets: dict[tuple[str, str], Jwks] = {}
        self._caller: HttpCaller | None = None

    def key_set(self, source: str, ca_file: str, parse: Callable[[bytes], Mapping[str, PublicKey]]) -> Jwks:
        """That of a source which ``check_source`` has seen, the same one each time; nothing is fetched yet.

        ``ca_file`` names who vouches for an https server, in place of the system's authorities.
        """
        found = self._sets.get((source, ca_file))
        if found is None:
            from rtmpd.access.jwks import Jwks

            fetch = open_source(source, partial(self._call, ca_file=ca_file))
            found = Jwks(shown_source(source), fetch, parse, self._clock, self._rules)
            self._sets[source, ca_file] = found
        return found

    def __iter__(self) -> Iterator[Jwks]:
        return iter(tuple(self._sets.values()))  # Others are made by a thread that reads settings.

    def keep(self, wanted: Collection[Jwks]) -> None:
        """Forget all but these."""
        self._sets = {name: each for name, each in self._sets.items() if each in wanted}

    def refresh(self) -> None:
        """Begin what fetches are due; to be called every now and then, in the running event loop."""
        for each in self:
            each.refresh()

    async def close(self) -> None:
        """End all fetches, and close what is open."""
        await asyncio.gather(*(each.close() for each in self))
        if self._caller is not None:
            await self._caller.close()

    async def _call(self, request: HttpRequest, ca_file: str) -> HttpAnswer:
        if self._caller is None:
            from rtmpd.net.http_caller import HttpCaller

            self._caller = HttpCaller()
        return await self._caller.call(request, within=self._rules.timeout, ca_file=ca_file)
