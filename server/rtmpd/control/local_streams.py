"""The streams of this process, as they are told and changed."""

from __future__ import annotations

from collections.abc import Callable

from rtmpd.control import stream_views
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.local_redirects import LocalRedirects
from rtmpd.control.paging import build, cut
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery
from rtmpd.control.times import Times
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import Conflict, NotFound
from rtmpd.reasons import Problem


class LocalStreams:
    """``control.Streams`` of this process."""

    def __init__(
        self, registry: Registry, redirects: LocalRedirects, audit: Audit, times: Callable[[], Times]
    ) -> None:
        self._registry = registry
        self._redirects = redirects
        self._audit = audit
        self._times = times

    async def list(self, query: StreamQuery, by: Actor) -> StreamPage:
        named = stream_views.named(query, by)

        def wanted(stream: LiveStream) -> bool:
            return named(stream.key) and (query.state is None or stream.life.value == query.state.value)

        found = [*self._registry.streams.values()]
        part = await cut(found, wanted, lambda stream: str(stream.key), query.after, query.limit)
        times = self._times()
        items = await build(part.items, lambda stream: stream_views.summary(stream, times))
        last = None if part.last is None else str(part.last.key)
        return StreamPage(items=items, next=last, total=part.total)

    async def get(self, key: StreamKey, by: Actor) -> Stream:
        return stream_views.whole(self._find(key, by), self._times())

    async def redirect(self, key: StreamKey, request: RedirectRequest, by: Actor) -> Redirected:
        return await self._redirects.stream(key, request, by)

    async def end_hold(self, key: StreamKey, by: Actor) -> None:
        with self._audit.attempt(by, Change.END, key):
            self._find(key, by)
            if not self._registry.end_hold(key):
                text = f"{key} is not held: it has an encoder, or nobody waits for one"
                raise Conflict(Problem.NOT_HELD, text)

    def _find(self, key: StreamKey, by: Actor) -> LiveStream:
        stream = self._registry.streams.get(key) if by.sees(key) else None
        if stream is None:
            raise NotFound(Problem.STREAM_NOT_FOUND, f"nobody publishes {key}, and nobody waits for it")
        return stream
