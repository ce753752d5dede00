"""What a client asks for: the answers to its connect, publishes and plays, and what it was granted."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.net.socket_options import set_user_timeout
from rtmpd.reasons import Word
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import (
    ConnectRequested,
    PauseRequested,
    PlayRequested,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    SeekRequested,
)
from rtmpd.rtmp.server import ServerSession
from rtmpd.rtmp.url import clean_path
from rtmpd.rtmp.via import Via, check_connect, introduction, via_of
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Action, check_app
from rtmpd.serving.peer import Peer
from rtmpd.serving.playing import Player, ask_to_play
from rtmpd.serving.publishing import Publisher, ask_to_publish
from rtmpd.serving.reading import SocketReader

_BEYOND_POLICY: Final = 20.0
"""Seconds that the kernel waits for a player longer than the slow-player policy, whose decision it is."""
_NO_PARAMS: Final = ConnectParams()

logger = logging.getLogger(__name__)


class Client(Peer, Protocol):
    """The connection that asks."""

    @property
    def over(self) -> bool:
        """Nothing is processed and nothing is said any more."""
        ...

    @property
    def reader(self) -> SocketReader: ...

    @property
    def listener(self) -> str:
        """Where it came in."""
        ...

    def check(self, action: Action) -> None:
        """Raise ``Refused`` if it has asked for that too often."""
        ...

    def refused(self, refusal: Refused) -> None:
        """It was refused something and has been told so: it ends."""
        ...

    def identified(self, state: str) -> None:
        """It was granted something, and is no stranger any more."""
        ...

    def answered(self) -> None:
        """The request that the session waited with has its answer; what came behind it may be the next."""
        ...


class Requests:
    """Answers one client, and keeps what it publishes and plays: at most one on a message stream.

    Publishes and plays are answered one at a time, as the session reports them.
    """

    __slots__ = ("_answering", "bytes_out", "connect_params", "origin", "players", "publishers")

    def __init__(self) -> None:
        self._answering: asyncio.Task[None] | None = None
        self.connect_params = _NO_PARAMS
        """Of the connect."""
        self.origin = NOBODY
        """Who the client is, as of the connect."""
        self.publishers: tuple[Publisher, ...] = ()
        self.players: tuple[Player, ...] = ()
        self.bytes_out = 0
        """Bytes of media written to plays that are over."""

    @property
    def introduced(self) -> bool:
        """The client has asked to connect."""
        return self.connect_params is not _NO_PARAMS

    def connect(self, client: Client, event: ConnectRequested) -> None:
        """Accept or reject the connect."""
        context = client.context
        params = self.connect_params = event.params
        try:
            check_app(params.app, context.limits)
            via = via_of(params.connect_object)
            check_connect(via, context.instance_id)
        except Refused as refusal:
            log.connect_refused(client, self._key(client, ""), refusal)
            client.session.reject_connect(refusal.code, refusal.description, context.clock())
            client.refused(refusal)
            return
        self.origin = _describe(client, params, via)
        client.session.accept_connect(context.clock(), **introduction(via, context.instance_id))
        log.connected(client)

    def answer(self, client: Client, event: PublishRequested | PlayRequested) -> None:
        """Ask whoever decides, and answer: now if they do, else a task waits for them.

        What waits does so with ``asyncio.sleep(0)`` first, and finds itself in the task behind it.
        """
        answer = self._answer(client, event)
        try:
            answer.send(None)
        except StopIteration:
            return
        self._answering = asyncio.get_running_loop().create_task(answer, name=f"request-{client.number}")

    def adjust(self, event: PauseRequested | SeekRequested | ReceiveAudio | ReceiveVideo) -> None:
        """Have a play follow the player's controls."""
        for player in self.players:
            if player.stream_id == event.stream_id:
                player.adjust(event)

    def end_publish(self, stream_id: int) -> None:
        """The client has ended a publish."""
        ended = [each for each in self.publishers if each.stream_id == stream_id]
        self.publishers = tuple(each for each in self.publishers if each.stream_id != stream_id)
        for publisher in ended:
            publisher.release(CloseReason.FINISHED)

    def end_play(self, stream_id: int) -> None:
        """The client has ended a play."""
        ended = [each for each in self.players if each.stream_id == stream_id]
        self.players = tuple(each for each in self.players if each.stream_id != stream_id)
        for player in ended:
            self._release_player(player, CloseReason.FINISHED)

    def announce_shutdown(self, session: ServerSession) -> None:
        """Have ``session`` say that the server ends what is published and played."""
        for publisher in self.publishers:
            session.end_publish(
                publisher.stream_id, StatusCode.PUBLISH_FAILED, "The server is shutting down."
            )
        for player in self.players:
            session.notify_unpublished(player.stream_id)

    def next_deadline(self) -> float:
        """When ``look`` wants to be called; ``inf`` while nothing waits."""
        return min([player.waits_until for player in self.players], default=math.inf)

    def look(self, now: float) -> None:
        """End plays that have waited for a publisher long enough."""
        for player in self.players:
            player.look(now)

    def release(self, reason: CloseReason, detail: Word | None = None) -> None:
        """Take everything out of the engine, and answer nothing more."""
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        publishers, self.publishers = self.publishers, ()
        players, self.players = self.players, ()
        for publisher in publishers:
            publisher.release(reason, detail)
        for player in players:
            self._release_player(player, reason, detail)

    # Inside

    async def _answer(self, client: Client, event: PublishRequested | PlayRequested) -> None:
        try:
            if isinstance(event, PublishRequested):
                await self._answer_publish(client, event)
            else:
                await self._answer_play(client, event)
        except Exception:
            # Nobody may wait for an answer that never comes.
            fields = {"client": client.address, "connection": client.number}
            logger.exception("request failed", extra={"fields": fields})
            client.end(CloseReason.INTERNAL_ERROR)
        if self._answering is not None:
            self._answering = None
            client.answered()

    async def _answer_publish(self, client: Client, event: PublishRequested) -> None:
        clock, session = client.context.clock, client.session
        try:
            client.check(Action.PUBLISH)
            publisher = await ask_to_publish(client, event)
        except Refused as refusal:
            log.publish_refused(client, self._key(client, event.name), refusal)
            session.reject_publish(event.stream_id, refusal.code, refusal.description, clock())
            self._answering = None  # It is us, who are not to be cancelled.
            client.refused(refusal)
        else:
            # Ours before anything is promised: whatever happens from here on, our end frees the name.
            self.publishers = (*self.publishers, publisher)
            session.accept_publish(event.stream_id, clock(), publisher.receive)
            client.identified("publishing")
            # What came behind the request may have made the engine close us.
            if not client.over:
                client.reader.join_rounds()

    async def _answer_play(self, client: Client, event: PlayRequested) -> None:
        clock, session = client.context.clock, client.session
        try:
            client.check(Action.PLAY)
            player = await ask_to_play(client, event)
        except Refused as refusal:
            log.play_refused(client, self._key(client, event.name), refusal)
            session.reject_play(event.stream_id, refusal.code, refusal.description, clock())
            self._answering = None  # As above.
            client.refused(refusal)
        else:
            # Ours before anything is promised, as a publish is.
            self.players = (*self.players, player)
            session.accept_play(event.stream_id, clock())
            if client.over:  # Memory is short, or what came behind the request was not in order.
                return
            client.flush()
            player.start()
            policy = player.policy
            patience = policy.max_backlog_seconds + policy.disconnect_after + _BEYOND_POLICY
            sock: socket.socket = client.transport.get_extra_info("socket")
            set_user_timeout(sock, patience)
            client.identified("playing")

    def _key(self, client: Client, name: str) -> StreamKey:
        """The stream that the client calls ``name``."""
        return StreamKey.of_path(clean_path(self.connect_params.app, name), client.context.apps)

    def _release_player(self, player: Player, reason: CloseReason, detail: Word | None = None) -> None:
        player.release(reason, detail)
        self.bytes_out += player.bytes_out


def _describe(client: Client, params: ConnectParams, via: Via) -> Origin:
    return Origin(
        session=client.context.new_session(),
        address=client.address,
        network=client.network,
        connection=client.number,
        listener=client.listener,
        tls=client.transport.get_extra_info("sslcontext") is not None,
        agent=params.flash_ver,
        via=via,
    )
