"""The processes of all streams: who has which, how many there may be, and what they may do here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Codecs, Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life as StreamLife
from rtmpd.engine.stream import LiveStream
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import UsageError
from rtmpd.net.addresses import Address
from rtmpd.net.tasks import TaskSet
from rtmpd.processes.command import PLAY_URL, PUBLISH_URL, facts_of
from rtmpd.processes.room import Room
from rtmpd.processes.rules import LAST_LOOK, RunLimits, RunRule, Start
from rtmpd.processes.run import Life, Run
from rtmpd.processes.words import ProcessCounts, ProcessState, ProcessStatus

logger = logging.getLogger(__name__)

_QUIET: Final = 10.0
"""Seconds from one line about a process without room to the next."""


class Tokens(Protocol):
    """Who lets our own processes in."""

    def issue(
        self, holder: str, plays: Collection[StreamKey], publishes: Collection[StreamKey], host: str
    ) -> str:
        """A token that opens these streams to clients of this machine, until it is revoked."""
        ...

    def revoke(self, token: str) -> None:
        """It opens nothing any more."""
        ...

    def came_by_token(self, session: int) -> bool:
        """Whether the client with that session has shown a token that is good."""
        ...


class StreamProcesses(StreamObserver):
    """All processes that live as long as a stream; an observer of the registry.

    ``rules_of(key)`` says which ones a stream has, by their names. ``address()`` is where this machine
    reaches the server, None if by no port.
    """

    def __init__(
        self,
        registry: Registry,
        tokens: Tokens,
        clock: Callable[[], float],
        rules_of: Callable[[StreamKey], Mapping[str, RunRule]],
        address: Callable[[], Address | None],
        inherited: Mapping[str, str],
        counts: ProcessCounts,
    ) -> None:
        self.clock = clock
        self.counts = counts
        self.inherited = inherited
        self._registry = registry
        self._tokens = tokens
        self._rules_of = rules_of
        self._address = address
        self._limits = RunLimits()
        self._room = Room()
        self._runs: dict[StreamKey, dict[str, Run]] = {}
        self._tell_full_at = clock()
        self._tasks = TaskSet()
        self._closing = False

    def statuses(self) -> list[ProcessStatus]:
        """Every process of every stream, in order of arrival."""
        return [run.status for run in self._all()]

    @property
    def running(self) -> int:
        """How many processes there are now."""
        return self._room.taken

    def apply(self, limits: RunLimits) -> None:
        """Follow other limits, and what ``rules_of`` says now: processes come, go and change.

        Who runs already stays, though there are too many.
        """
        self._limits = limits
        self._room.apply(limits)
        for run in list(self._all()):
            rule = self._rules_of(run.key).get(run.name)
            if rule is None:
                run.remove()
                continue
            try:
                run.follow(rule)
            except UsageError as error:
                self._refuse(run.key, run.name, str(error))
                run.remove()
        for key in list(self._registry.streams):
            self._look_at(key)

    async def close(self, grace: float) -> None:
        """End all: with SIGTERM, and with SIGKILL after ``grace`` seconds or what their rules say."""
        self._closing = True
        until = self.clock() + grace + LAST_LOOK
        children = [run.child for run in self._all() if run.child is not None]
        for run in list(self._all()):
            run.remove(grace)
        await self._tasks.drain(grace + LAST_LOOK)
        await self._tasks.wait_closed()
        if children:
            await asyncio.wait([child.ended for child in children], timeout=max(until - self.clock(), 0.0))

    # The registry's observer

    def published(self, publication: Publication) -> None:
        key = publication.key
        rendition = self._is_rendition(publication)
        for name, rule in self._rules_of(key).items():
            if not rendition or rule.renditions:
                self._begin(key, name, rule)
        self._wake(key)

    def media_started(self, publication: Publication, _codecs: Codecs) -> None:
        self._wake(publication.key)

    def unpublished(self, publication: Publication) -> None:
        self._wake(publication.key)

    def ended(self, publication: Publication) -> None:
        self._wake(publication.key)

    def wanted(self, first: Subscription) -> None:
        self._count_viewers(first.key)

    def unwanted(self, last: Subscription) -> None:
        self._count_viewers(last.key)

    # For the runs

    @property
    def lines_per_minute(self) -> int:
        """See ``RunLimits``."""
        return self._limits.lines_per_minute

    def due(self, run: Run) -> bool:
        """Whether its process is to run now, if there is room for it."""
        stream = self._registry.streams.get(run.key)
        if run.rule.start is Start.VIEWER:
            now = self.clock()
            if self._watched(run):
                run.watched_until = now + run.rule.linger
            return now <= run.watched_until and (run.key in run.published or _has_media(stream))
        return _has_media(stream)

    def over(self, run: Run) -> bool:
        """Whether it never will be, unless the stream begins anew."""
        stream = self._registry.streams.get(run.key)
        if stream is not None and _is_borrowed(stream):
            return True
        if stream is not None and stream.life is not StreamLife.IDLE:
            return False
        return not (run.key in run.published and self.due(run))

    def full(self, run: Run) -> str:
        """The limit that leaves no room for its process; empty if none does."""
        limit = self._room.shortage(run.key)
        if limit:
            self._room.wait(run)
            self._tell_full(run, limit)
        return limit

    def step_out(self, run: Run) -> None:
        """It needs no room now."""
        self._room.step_out(run)

    @contextmanager
    def life(self, run: Run) -> Iterator[Life]:
        """What its process is given: a place, and a token that is good within. Raises UsageError."""
        run.alive = True
        self._room.enter(run.key)
        self._room.step_out(run)
        try:
            with self._invitation(run) as life:
                yield life
        finally:
            self._room.leave(run.key)
            run.alive = False

    @contextmanager
    def _invitation(self, run: Run) -> Iterator[Life]:
        address = self._address()
        if address is None:
            raise UsageError("rtmp.listen names no port that a process on this machine could connect to")
        host = address.host or "127.0.0.1"
        place = f"rtmp://{f'[{host}]' if ':' in host else host}:{address.port}"
        token = self._tokens.issue(run.name, [run.key], run.published, host)
        try:
            urls = {PLAY_URL: f"{place}/{run.key}?key={token}"}
            for number, key in enumerate(run.published, 1):
                name = PUBLISH_URL if number == 1 else f"{PUBLISH_URL}_{number}"
                urls[name] = f"{place}/{key}?key={token}"
            yield Life(self._facts(run) | urls, token)
        finally:
            self._tokens.revoke(token)

    def forget(self, run: Run) -> None:
        """It has ended."""
        self._room.step_out(run)
        runs = self._runs.get(run.key, {})
        # Another may have its name by now.
        if runs.get(run.name) is run:
            del runs[run.name]
            if not runs:
                del self._runs[run.key]
            if run.removed:  # The settings may have it again.
                self._look_at(run.key)

    # Inside

    def _all(self) -> Iterator[Run]:
        for runs in self._runs.values():
            yield from runs.values()

    def _look_at(self, key: StreamKey) -> None:
        """Begin what the stream is to have now and has not."""
        stream = self._registry.streams.get(key)
        if stream is not None and stream.holder is not None and not _is_borrowed(stream):
            self.published(stream.holder)
        if stream is not None and stream.players:
            self._count_viewers(key)

    def _count_viewers(self, key: StreamKey) -> None:
        """The first has come, or the last has left."""
        for run in self._all():
            if key in run.published:
                run.wake()
        for name, rule in self._rules_of(key).items():
            # A process that publishes the very stream needs no publisher before it.
            if rule.start is Start.VIEWER and key in self._published(key, name, rule):
                self._begin(key, name, rule)

    def _begin(self, key: StreamKey, name: str, rule: RunRule) -> None:
        if self._closing or name in self._runs.get(key, {}):
            return
        if self._feeds_itself(key, name):
            text = "it was about to run for what it has published itself: have it publish {publish_url}"
            self._refuse(key, name, text)
            return
        try:
            run = Run(self, key, name, rule)
        except UsageError as error:
            self._refuse(key, name, str(error))
            return
        self._runs.setdefault(key, {})[name] = run
        self._tasks.start(run.run(), name=f"process-{key}-{name}")

    def _refuse(self, key: StreamKey, name: str, problem: str) -> None:
        fields = {"app": key.app, "stream": key.name, "process": name, "problem": problem}
        logger.warning("process refused", extra={"fields": fields})

    def _tell_full(self, run: Run, limit: str) -> None:
        # Of a thousand streams one line is enough: `rtmpd_processes` counts them.
        now = self.clock()
        if now >= self._tell_full_at and run.status.state is not ProcessState.FULL:
            self._tell_full_at = now + _QUIET
            fields = {"app": run.key.app, "stream": run.key.name, "process": run.name, "limit": limit}
            logger.warning("process has no room", extra={"fields": fields | {"waiting": self._room.waiting}})

    def _wake(self, key: StreamKey) -> None:
        for run in self._runs.get(key, {}).values():
            run.wake()

    def _published(self, key: StreamKey, name: str, rule: RunRule) -> tuple[StreamKey, ...]:
        try:
            return rule.published(key, name)
        except UsageError:
            return ()

    def _is_rendition(self, publication: Publication) -> bool:
        """Whether a process of ours publishes it, be it without its token."""
        key = publication.key
        sources = [run.key for run in self._all() if run.alive and key in run.published]
        # What a process publishes as the very stream that it lives as long as is no rendition of it.
        return key not in sources and (
            bool(sources) or self._tokens.came_by_token(publication.origin.session)
        )

    def _feeds_itself(self, key: StreamKey, name: str) -> bool:
        """Whether a process names its streams itself, again and again: show, show_low, show_low_low.

        By then it runs for the second of them; but for a third and a fourth it will not.
        """
        names = {run.key.name for run in self._all() if run.name == name}
        for before in names:
            added = key.name.removeprefix(before)
            if added != key.name and added and before.removesuffix(added) in names - {before}:
                return True
        return False

    def _watched(self, run: Run) -> bool:
        """Whether anybody but processes of ours watches what it publishes, or without that its stream."""
        streams = self._registry.streams
        if run.published:
            return any(key in streams and streams[key].players for key in run.published)
        stream = streams.get(run.key)
        return stream is not None and any(
            subscription.audience and not self._tokens.came_by_token(subscription.origin.session)
            for subscription in stream.everybody
        )

    def _facts(self, run: Run) -> dict[str, str]:
        stream = self._registry.streams.get(run.key)
        publication = None if stream is None else stream.holder
        facts = {"app": run.key.app, "name": run.key.name, "path": str(run.key), "process": run.name}
        return facts if publication is None else facts | facts_of(publication.origin)


def _is_borrowed(stream: LiveStream) -> bool:
    """Whether another process of this server has it, and runs its processes."""
    return stream.holder is not None and stream.holder.origin.is_borrowed


def _has_media(stream: LiveStream | None) -> bool:
    if stream is None or stream.life is StreamLife.IDLE:
        return False
    holder = stream.holder
    return holder is None or holder.stats.last_media_at is not None
