"""The streams of this process and of the one before it, as one server's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rtmpd.control import stream_views
from rtmpd.control.actor import Actor
from rtmpd.control.answers import Carrier
from rtmpd.control.audit import Audit, Change
from rtmpd.control.before import Before, ask_if_there, read
from rtmpd.control.local_streams import LocalStreams
from rtmpd.control.paging import build, cut
from rtmpd.control.questions import spell_stream
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.stream_answers import Stream, StreamPage, StreamQuery, StreamSummary
from rtmpd.control.times import Times
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import HANDOVER
from rtmpd.engine.registry import Registry
from rtmpd.engine.sources import Life
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import ControlError, NotFound
from rtmpd.reasons import Problem

S = TypeVar("S", bound=StreamSummary)


class JoinedStreams:
    """``control.Streams`` of both; a stream that both have is one, told by who has its encoder."""

    def __init__(
        self,
        local: LocalStreams,
        before: Before,
        registry: Registry,
        audit: Audit,
        times: Callable[[], Times],
    ) -> None:
        self._local = local
        self._before = before
        self._registry = registry
        self._audit = audit
        self._times = times

    async def list(self, query: StreamQuery, by: Actor) -> StreamPage:
        theirs = await self._before.streams()
        if not theirs:
            return await self._local.list(query, by)
        ours, named = self._registry.streams, stream_views.named(query, by)

        def wanted(key: StreamKey) -> bool:
            return named(key) and (
                query.state is None or _state(ours.get(key), theirs.get(key)) == query.state
            )

        part = await cut({**ours, **theirs}, wanted, str, query.after, query.limit)
        times = self._times()

        def told(key: StreamKey) -> StreamSummary:
            stream, other = ours.get(key), theirs.get(key)
            summary = None if stream is None else stream_views.summary(stream, times)
            return _joined(stream, summary, other)

        items = await build(part.items, told)
        return StreamPage(items=items, next=part.last and str(part.last), total=part.total)

    async def get(self, key: StreamKey, by: Actor) -> Stream:
        said = await ask_if_there(self._before, "stream", spell_stream(key), by)
        if not said:
            return await self._local.get(key, by)
        theirs = read(Stream, said)
        stream = self._registry.streams.get(key)
        ours = None if stream is None else stream_views.whole(stream, self._times())
        told = _joined(stream, ours, theirs)
        if ours is None:
            return told
        both = (*theirs.publications, *ours.publications)
        encoders = [each for each in both if each.protocol != HANDOVER]
        drops = Counter(ours.drops) + Counter(theirs.drops)
        return told.model_copy(update={"publications": tuple(encoders), "drops": dict(drops)})

    async def redirect(self, key: StreamKey, request: RedirectRequest, by: Actor) -> Redirected:
        theirs = await self._theirs(key, by)
        if theirs is None:
            return await self._local.redirect(key, request, by)
        here = key in self._registry.streams
        led = await self._local.redirect(key, request, by) if here else None
        asked = spell_stream(key) | {"request": request.model_dump(mode="json")}
        try:
            there = read(Redirected, await self._pass_on("redirect_players", asked, Change.REDIRECT, key, by))
        except ControlError:
            if led is None:
                raise
            there = Redirected(redirected=0, refused=0, unable=theirs.players)
        if led is None:
            return there
        return Redirected(
            redirected=led.redirected + there.redirected,
            refused=led.refused + there.refused,
            unable=led.unable + there.unable,
        )

    async def end_hold(self, key: StreamKey, by: Actor) -> None:
        ours = self._registry.streams.get(key)
        if (ours is None or ours.life is not Life.HOLDING) and await self._theirs(key, by) is not None:
            await self._pass_on("end_hold", spell_stream(key), Change.END, key, by)
        else:
            await self._local.end_hold(key, by)

    # Inside

    async def _theirs(self, key: StreamKey, by: Actor) -> StreamSummary | None:
        return (await self._before.streams()).get(key) if by.sees(key) else None

    async def _pass_on(
        self, question: str, asked: Mapping[str, object], change: Change, key: StreamKey, by: Actor
    ) -> Any:
        with self._audit.attempt(by, change, key):
            return await self._before.ask(question, asked, by)


def _leads(ours: LiveStream | None, theirs: StreamSummary | None) -> bool:
    """Whether it is the other process that says what the stream is."""
    if ours is None or theirs is None:
        return ours is None
    if ours.publication is not None and not stream_views.is_elsewhere(ours):
        return False
    if theirs.session is not None and theirs.carried_by is Carrier.THIS:
        return True
    return ours.life is Life.IDLE and theirs.session is None


def _state(ours: LiveStream | None, theirs: StreamSummary | None) -> str | None:
    if _leads(ours, theirs):
        return None if theirs is None else theirs.state.value
    return None if ours is None else ours.life.value


def _joined(stream: LiveStream | None, ours: S | None, theirs: S | None) -> S:
    if theirs is None and ours is not None:
        return ours
    if theirs is None:
        raise NotFound(Problem.STREAM_NOT_FOUND, "nobody publishes it, and nobody waits for it")
    leads = ours is None or _leads(stream, theirs)
    base = theirs if ours is None or leads else ours
    return base.model_copy(
        update={
            "carried_by": Carrier.PREDECESSOR if leads else Carrier.THIS,
            "players": theirs.players + (0 if ours is None else ours.players),
            "predecessor_players": theirs.players,
            "bytes_out": theirs.bytes_out + (0 if ours is None else ours.bytes_out),
            "bits_per_second_out_10s": round(
                theirs.bits_per_second_out_10s + (0.0 if ours is None else ours.bits_per_second_out_10s), 1
            ),
            "dropped": theirs.dropped + (0 if ours is None else ours.dropped),
        }
    )
