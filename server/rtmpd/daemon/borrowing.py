"""Streams of the other process of this server, for our players, and ours for its players."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rtmpd.engine.claim import Lease, Place
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import HANDOVER, Origin
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import ConnectFailed, HandoverFailed, StreamBusy
from rtmpd.reasons import Refusal
from rtmpd.relay.origin_map import OriginMap
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.template import RelayTarget
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.url import RtmpUrl, asks_to_stand_by
from rtmpd.serving.identity import newcomer
from rtmpd.serving.server import RtmpServer
from rtmpd.serving.takeover import await_silence

if TYPE_CHECKING:
    from rtmpd.daemon.neighbour import Answer, Handler, Neighbour
    from rtmpd.net.messages import Message

RULE: Final = PullRule(linger=1.0, timeout=1.0, grace=10.0, moving=True)
"""By which a stream is fetched from the other process: it is looked for four times a second."""
_CLAIM_TIMEOUT: Final = 8.0
"""Seconds for the other process to find out whether a publisher of its own is gone."""
_FACTS: Final = ("protocol", "address", "network", "nameless", "identity", "account", "query")
"""What of an origin decides whether two are one encoder."""


class Borrowing:
    """Knows which streams the other process has, as an ``OriginMap`` before ``origins``.

    As long as there is no other process it is in nobody's way.
    """

    def __init__(self, registry: Registry, origins: OriginMap) -> None:
        self._registry = registry
        self._origins = origins
        self.neighbour: Neighbour | None = None

    def rule(self, rule: PullRule | None, key: StreamKey) -> PullRule | None:
        """How a stream is fetched whose settings say ``rule``."""
        if self.neighbour is None or (rule is not None and rule.covers(key.name)):
            return rule
        return RULE

    # What an OriginMap is asked

    async def locate(self, key: StreamKey) -> Sequence[RelayTarget]:
        neighbour = self.neighbour
        if neighbour is not None:
            try:
                answer, _ = await neighbour.ask("has", app=key.app, name=key.name)
            except HandoverFailed:
                answer = {}
            if answer.get("has"):
                url = RtmpUrl("rtmp", HANDOVER, 1935, key.app, key.name, "track=all")
                return [RelayTarget(url, key, borrow=self._connect)]
        return await self._origins.locate(key)

    def claim(self, key: StreamKey, origin: Origin) -> Lease | Coroutine[Any, Any, Lease]:
        if self.neighbour is None:
            return self._origins.claim(key, origin)
        return self._claim(self.neighbour, key, origin)

    def release(self, lease: Lease) -> Coroutine[Any, Any, None] | None:
        return self._origins.release(lease)

    # What the other process is asked

    async def _connect(self) -> socket.socket:
        if self.neighbour is None:
            raise ConnectFailed("the other process is gone")
        try:
            _, sockets = await self.neighbour.ask("connect")
        except HandoverFailed as error:
            raise ConnectFailed(str(error)) from None
        sockets[0].setblocking(False)
        return sockets[0]

    async def _claim(self, neighbour: Neighbour, key: StreamKey, origin: Origin) -> Lease:
        facts = {name: getattr(origin, name) for name in _FACTS}
        try:
            answer, _ = await neighbour.ask(
                "claim", within=_CLAIM_TIMEOUT, app=key.app, name=key.name, origin=facts
            )
        except HandoverFailed:
            answer = {}  # Whom it has will be gone soon.
        busy = answer.get("busy")
        if isinstance(busy, str):
            raise StreamBusy(StatusCode.PUBLISH_BAD_NAME, busy, Refusal.STREAM_BUSY)
        answered = self._origins.claim(key, origin)
        return answered if isinstance(answered, Lease) else await answered


class Lending:
    """Answers what the other process asks about our streams."""

    def __init__(self, server: RtmpServer, registry: Registry) -> None:
        self._server = server
        self._registry = registry

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"has": self._has, "connect": self._connect, "claim": self._claim}

    async def _has(self, message: Message, _files: list[socket.socket]) -> Answer:
        stream = self._registry.streams.get(_key(message))
        holder = None if stream is None else stream.holder
        return {"has": holder is not None and not holder.origin.is_relay}, ()

    async def _connect(self, _message: Message, _files: list[socket.socket]) -> Answer:
        """A connection for the other process, as of a client who may play everything."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        known = replace(newcomer("", HANDOVER, tls=False), protocol=HANDOVER)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self._server.expect(known), ours)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return {}, (theirs,)

    async def _claim(self, message: Message, _files: list[socket.socket]) -> Answer:
        """Whether a publisher of the other process may have a name; ours goes for it if it may."""
        key, origin, context = _key(message), _origin(message), self._server.context
        place, policy = Place(asks_to_stand_by(origin.query)), context.claim_policy
        await await_silence(context, key, origin, policy, place)
        try:
            self._registry.give_way(key, origin, context.clock(), policy, place)
        except StreamBusy as busy:
            return {"busy": busy.description}, ()
        return {}, ()


def _key(message: Message) -> StreamKey:
    app, name = message.get("app"), message.get("name")
    if not (isinstance(app, str) and isinstance(name, str)):
        raise HandoverFailed("a question without app and name")
    return StreamKey(app, name)


def _origin(message: Message) -> Origin:
    facts = message.get("origin")
    known = facts if isinstance(facts, dict) else {}
    default = Origin()
    return replace(
        default,
        **{name: known[name] for name in _FACTS if isinstance(known.get(name), type(getattr(default, name)))},
    )
