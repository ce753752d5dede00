"""One backend: asked what is to be decided, told what has ended, and spared while it is down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from rtmpd.engine.claim import ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import HttpFailed
from rtmpd.hooks.breaker import Breaker
from rtmpd.hooks.decision_cache import DecisionCache
from rtmpd.hooks.dialects import speak
from rtmpd.hooks.model import ENDS, QUESTIONS, Progress, Verdict, Visit
from rtmpd.hooks.rules import HookRules, Moment, OnError
from rtmpd.hooks.stats import BackendStats, HookOutcome, HookStats
from rtmpd.net.http_message import HttpAnswer, HttpRequest, shown_url
from rtmpd.net.tasks import TaskSet
from rtmpd.reasons import HttpFailure

_logger = logging.getLogger(__name__)

MAX_NOTICES: Final = 1000
"""Notices of one backend that are on their way at a time."""
MAX_ASKED: Final = 64
"""Questions of one kind that one backend is asked at a time; further ones wait, within their time."""
MAX_TOLD: Final = 16
"""Notices that one backend is sent at a time."""
_ATTEMPTS: Final = 3
"""To tell it something."""
_BETWEEN: Final = 2.0
"""Seconds from one of these to the next."""
_NOTHING: Final = Progress()
_BEGINNINGS: Final = frozenset({Moment.CONNECT, Moment.PUBLISH, Moment.PLAY})
_MAYBE_ALLOWED: Final = frozenset({HttpFailure.TIMEOUT, HttpFailure.BROKEN, HttpFailure.TOO_LONG})
"""Failures behind which a backend may have allowed something all the same, and counts it."""


class Call(Protocol):
    """``net.http_caller.HttpCaller.call``."""

    def __call__(
        self, request: HttpRequest, *, within: float, ca_file: str = ""
    ) -> Coroutine[Any, Any, HttpAnswer]: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all backends work with."""

    call: Call
    clock: Callable[[], float]
    claim: Callable[[bool], ClaimPolicy]
    """Of a publish that may have a name that another has, or may not."""
    stats: HookStats
    push: Callable[[StreamKey, object, tuple[str, ...]], None]
    """Have a stream pushed to these URLs, for somebody, instead of those that were said for it before; those
    of nobody else.
    """
    dismiss: Callable[[int], None]
    """End the session with that number: its backend has taken back what it allowed."""
    server_id: str = ""


class Backend:
    """What one table of the settings names; its rules may change while it is used."""

    def __init__(self, table: str, rules: HookRules, around: Surroundings) -> None:
        self.table = table
        self.around = around
        self.rules = rules
        self.stats = around.stats.backends.setdefault(table, BackendStats())
        self.asking = TaskSet()
        """Questions that nobody waits with."""
        self._telling = TaskSet()
        self._cache = DecisionCache()
        self._breaker = Breaker(rules.max_failures, rules.retry_after)
        self._dialect = speak(rules.dialect, server_id=around.server_id, get=rules.get)
        # Players who wait for an answer hold up no encoder, and notices nobody.
        told = asyncio.Semaphore(MAX_TOLD)
        self._lanes = {each: asyncio.Semaphore(MAX_ASKED) if each in QUESTIONS else told for each in Moment}

    def apply(self, table: str, rules: HookRules) -> None:
        """Follow other rules, for all that is asked and told from now on, as what ``table`` names."""
        if table != self.table:
            self.table = table
            self.stats = self.around.stats.backends.setdefault(table, BackendStats())
            self.stats.is_open = self._breaker.is_open
        if (rules.dialect, rules.urls) != (self.rules.dialect, self.rules.urls):
            self._cache.clear()
        self.rules = rules
        self._breaker.max_failures, self._breaker.pause = rules.max_failures, rules.retry_after
        self._dialect = speak(rules.dialect, server_id=self.around.server_id, get=rules.get)

    def leave(self) -> None:
        """Nothing names it any more: ask nothing, but tell the ends of what it has allowed."""
        told = {moment for moments in ENDS.values() for moment in moments}
        urls = {moment: urls for moment, urls in self.rules.urls.items() if moment in told}
        self.rules = replace(self.rules, urls=urls)

    def asks(self, moment: Moment) -> bool:
        return bool(self.rules.urls.get(moment))

    async def decide(self, moment: Moment, visit: Visit, progress: Progress = _NOTHING) -> Verdict | None:
        """What it says, or has said to the same question, or what ``on_error`` says: None is no answer."""
        now, rules = self.around.clock(), self.rules
        if moment is not Moment.UPDATE and (known := self._cache.fresh(moment, visit, now)) is not None:
            self.stats.decided(HookOutcome.REUSED)
            return known
        try:
            verdict = await self._ask(moment, visit, progress)
        except HttpFailed as failure:
            otherwise = self._without_answer(moment, visit, failure)
            if otherwise is None and moment in _BEGINNINGS and failure.reason in _MAYBE_ALLOWED:
                self.tell_ended(visit)
            return otherwise
        except BaseException:
            # Whoever asks has gone.
            if moment in _BEGINNINGS:
                self.tell_ended(visit)
            raise
        self.stats.decided(HookOutcome.ALLOWED if verdict.allow else HookOutcome.REFUSED)
        ttl = rules.ttl if verdict.ttl is None else verdict.ttl
        if moment is not Moment.UPDATE and (ttl > 0 or rules.on_error is OnError.CACHED):
            self._cache.put(moment, visit, verdict, self.around.clock() + ttl)
        return verdict

    def tell(self, moment: Moment, visit: Visit, progress: Progress) -> None:
        """Let it know, without waiting; what it does not take is tried again, and then counted as lost."""
        for url in self.rules.urls.get(moment, ()):
            if len(self._telling) >= MAX_NOTICES:
                self._lose(moment, "too many are on their way already")
                continue
            request = self._dialect.write(url, moment, visit, progress)
            self._telling.start(self._tell(moment, request), name=f"hook-{self.table}-{moment}")

    def tell_ended(self, visit: Visit, progress: Progress = _NOTHING) -> None:
        """Let it know that what it may have allowed is over, or does not come about."""
        for moment in ENDS[visit.action]:
            self.tell(moment, visit, progress)

    async def close(self, grace: float) -> None:
        """Have what is on its way arrive, within ``grace`` seconds."""
        await self.asking.wait_closed()
        await self._telling.drain(grace)
        await self._telling.wait_closed()

    # Inside

    async def _ask(self, moment: Moment, visit: Visit, progress: Progress) -> Verdict:
        """Ask all that are to be asked. Raises HttpFailed."""
        rules, stats, verdict = self.rules, self.stats, Verdict(allow=True)
        now = self.around.clock()
        if not self._breaker.allows(now):
            raise HttpFailed(HttpFailure.CIRCUIT_OPEN, "it is left alone, as it has failed again and again")
        deadline = now + rules.timeout
        stats.waiting += 1
        try:
            for url in rules.urls.get(moment, ()):
                request = self._dialect.write(url, moment, visit, progress)
                left = max(deadline - self.around.clock(), 0.001)
                answer = await self._call(moment, request, left)
                said = self._read(moment, request, answer)
                verdict = _both(verdict, said) if said.allow else said
                if not verdict.allow:
                    break
        except HttpFailed:
            self._breaker.failed(self.around.clock())
            raise
        else:
            self._breaker.succeeded()
        finally:
            stats.waiting -= 1
            self.stats.is_open = self._breaker.is_open
        if verdict.unknown:
            fields = {"backend": self.table, "moment": moment, "words": " ".join(verdict.unknown)}
            _logger.warning("backend answer not understood", extra={"fields": fields})
        return verdict

    async def _call(self, moment: Moment, request: HttpRequest, within: float) -> HttpAnswer:
        begun, lane = self.around.clock(), self._lanes[moment]
        try:
            if lane.locked():
                async with asyncio.timeout(within):
                    await lane.acquire()
            else:
                await lane.acquire()
        except TimeoutError as error:
            text = f"{shown_url(request.url)} is busy with others that it was asked before, for {within:g} s"
            raise HttpFailed(HttpFailure.TIMEOUT, text) from error
        try:
            left = max(begun + within - self.around.clock(), 0.001)
            return await self.around.call(request, within=left, ca_file=self.rules.ca_file)
        finally:
            lane.release()
            self.around.stats.seconds.observe(self.around.clock() - begun)

    def _read(self, moment: Moment, request: HttpRequest, answer: HttpAnswer) -> Verdict:
        try:
            return self._dialect.read(moment, answer)
        except HttpFailed as failure:
            text = f"{shown_url(request.url)} answered with {failure}"
            raise HttpFailed(failure.reason, text) from failure

    def _without_answer(self, moment: Moment, visit: Visit, failure: HttpFailed) -> Verdict | None:
        self._note(moment, failure)
        verdict, outcome = None, HookOutcome.FAILED_REFUSED
        if moment is Moment.UPDATE:
            verdict, outcome = Verdict(allow=True), HookOutcome.FAILED_KEPT
        elif self.rules.on_error is OnError.ALLOW:
            verdict, outcome = Verdict(allow=True), HookOutcome.FAILED_ALLOWED
        elif self.rules.on_error is OnError.CACHED:
            last = self._cache.last(moment, visit)
            if last is not None:
                verdict, outcome = last, HookOutcome.FAILED_CACHED
        self.stats.decided(outcome)
        return verdict

    def _note(self, moment: Moment, failure: HttpFailed) -> None:
        self.stats.failed(failure.reason)
        fields = {"backend": self.table, "moment": moment, "reason": failure.reason, "detail": str(failure)}
        _logger.warning("backend failed", extra={"fields": fields})

    async def _tell(self, moment: Moment, request: HttpRequest) -> None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_BETWEEN * attempt)
            try:
                answer = await self._call(moment, request, self.rules.timeout)
            except HttpFailed as failure:
                self._note(moment, failure)
            else:
                if answer.status < 500:
                    self.stats.told += 1
                    return
                self.stats.failed(HttpFailure.SERVER_ERROR)
        self._lose(moment, "it was not taken")

    def _lose(self, moment: Moment, why: str) -> None:
        self.stats.lost += 1
        fields = {"backend": self.table, "moment": moment, "reason": why}
        _logger.warning("backend notice lost", extra={"fields": fields})


def _both(first: Verdict, second: Verdict) -> Verdict:
    """Of two backends that allow: what both say, the later one where they differ."""
    return Verdict(
        allow=True,
        name=second.name or first.name,
        push=(*first.push, *second.push),
        max_kbps=_later(first.max_kbps, second.max_kbps),
        max_players=_later(first.max_players, second.max_players),
        record=second.record if second.record is not None else first.record,
        takeover=second.takeover if second.takeover is not None else first.takeover,
        ttl=second.ttl
        if first.ttl is None
        else first.ttl
        if second.ttl is None
        else min(first.ttl, second.ttl),
        unknown=(*first.unknown, *second.unknown),
    )


def _later(first: int | None, second: int | None) -> int | None:
    return first if second is None else second
