"""What a client asks for: the answers to its connect, publishes and plays, and what it was granted."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Final, Protocol, assert_never

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.media.track_names import MARK, split_name
from rtmpd.net.socket_options import set_user_timeout
from rtmpd.reasons import Word
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import (
    BufferLengthSet,
    ClientWish,
    ConnectRequested,
    LengthRequested,
    PauseRequested,
    PlayControl,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ReceiveAudio,
    ReceiveVideo,
    Request,
    SeekRequested,
)
from rtmpd.rtmp.url import clean_path
from rtmpd.rtmp.via import check_connect, introduction, via_of
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Action, Figures, Grant
from rtmpd.serving.authorization import authorize, authorize_redirect
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.file_playing import FilePlayer, may_be_file
from rtmpd.serving.following import CONNECTION, Following
from rtmpd.serving.lengths import Lengths
from rtmpd.serving.peer import Peer, Session
from rtmpd.serving.playing import Player, begin_to_play, begin_to_play_file
from rtmpd.serving.publishing import Publisher, begin_to_publish

_BEYOND_POLICY: Final = 20.0
"""Seconds that the kernel waits for a player longer than the slow-player policy, whose decision it is."""
_NO_PARAMS: Final = ConnectParams()
_ACTIONS: Final[Mapping[type[Request], Action]] = {
    ConnectRequested: Action.CONNECT,
    PublishRequested: Action.PUBLISH,
    PlayRequested: Action.PLAY,
}

logger = logging.getLogger(__name__)


class Client(Peer, Protocol):
    """The connection that asks."""

    @property
    def over(self) -> bool:
        """Nothing is processed and nothing is said any more."""
        ...

    def read_in_rounds(self, wanted: bool) -> None:
        """Its socket may be read in rounds with others, or no more."""
        ...

    def check(self, action: Action) -> None:
        """Raise ``Refused`` if it has asked for that too often."""
        ...

    def refused(self, action: Action, refusal: Refused) -> None:
        """It was refused what it asked for and has been told so: it ends."""
        ...

    def identified(self, state: str) -> None:
        """It was granted something, and is no stranger any more."""
        ...

    def answered(self) -> None:
        """The request that the session waited with has its answer; what came behind it may be the next."""
        ...


class Requests:
    """Answers one client, and keeps what it publishes and plays: at most one on a message stream.

    Its requests are answered one at a time, as the session reports them.
    """

    __slots__ = (
        "_answering",
        "_following",
        "_lengths",
        "bytes_out",
        "connect_params",
        "origin",
        "players",
        "publishers",
        "valid_until",
    )

    file_player_type: ClassVar[type[FilePlay]] = FilePlayer
    """Writes files that are played as the client's protocol has it."""

    def __init__(self, origin: Origin) -> None:
        self._answering: asyncio.Task[None] | None = None
        self._following: Following | None = None
        """None as long as nobody follows anything."""
        self.connect_params = _NO_PARAMS
        """Of the connect."""
        self.origin = origin
        """Who the client is, as far as it has said so."""
        self.publishers: tuple[Publisher, ...] = ()
        self.players: tuple[Player | FilePlay, ...] = ()
        self._lengths: Lengths | None = None
        """None as long as nobody asks how long something is."""
        self.bytes_out = 0
        """Bytes of media written to plays that are over."""
        self.valid_until = math.inf
        """Clock reading at which the first of what it was granted runs out."""

    @property
    def introduced(self) -> bool:
        """The client has asked to connect."""
        return self.connect_params is not _NO_PARAMS

    def handle(self, client: Client, event: ClientWish) -> None:
        """Act on what the client wants, as its session reports it."""
        match event:
            case ConnectRequested() | PublishRequested():
                self._begin(client, event)
            case PlayRequested() | LengthRequested():
                if MARK in event.name:
                    name, query = split_name(event.name, event.query)
                    event = replace(event, name=name, query=query)
                self._begin(client, event)
            case PublishEnded():
                self._end_publish(event.stream_id)
                if not self.publishers:
                    client.read_in_rounds(False)
            case PlayEnded():
                self._end_play(event.stream_id)
            case PauseRequested() | SeekRequested() | ReceiveAudio() | ReceiveVideo() | BufferLengthSet():
                self._adjust(event)
            case _:
                assert_never(event)

    def announce_shutdown(self, session: Session) -> None:
        """Have ``session`` say that the server ends what is published and played."""
        for publisher in self.publishers:
            session.end_publish(
                publisher.stream_id, StatusCode.PUBLISH_FAILED, "The server is shutting down."
            )
        for player in self.players:
            session.notify_unpublished(player.stream_id)

    def next_deadline(self) -> float:
        """When there is something to end; ``inf`` while nothing waits or runs out."""
        publishes = [publisher.ends_at for publisher in self.publishers]
        plays = [min(player.ends_at, player.waits_until) for player in self.players]
        return min([self.valid_until, *publishes, *plays])

    def look(self, now: float) -> None:
        """End what has lasted long enough, and plays that have waited for a publisher long enough."""
        for publisher in self.publishers:
            publisher.look(now)
        for player in self.players:
            player.look(now)

    async def redirect(self, client: Client, before: StreamKey | None, to: StreamKey) -> int:
        """Have those who play ``before``, or whatever they play, go on with ``to`` if they may; how many do.

        Raises ``Refused``.
        """
        moved = 0
        for player in self.players:
            if isinstance(player, FilePlay) or player.key == to or before not in (None, player.key):
                continue
            if not player.may_switch:
                continue
            grant = await authorize_redirect(client, to, player.query)
            if player not in self.players:  # It has left meanwhile.
                grant.abandon()
                continue
            try:
                self.bytes_out += player.switch(grant)
            except BaseException:
                grant.abandon()
                raise
            if self._following is not None:
                self._following.end(player.stream_id)
            self._limit(client, grant, player.ends_at)
            self._follow(player.stream_id, grant, player.figures)
            moved += 1
        return moved

    def dismiss(self, reason: CloseReason, by: Origin | None) -> None:
        """End what is published and played, because ``by`` wants it so: the client is told of each."""
        for player in self.players:
            player.dismiss(reason, by)
        for publisher in self.publishers:
            publisher.dismiss(reason, by)

    def release(self, reason: CloseReason, detail: Word | None = None) -> None:
        """Take everything out of the engine, and answer nothing more."""
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        following, self._following = self._following, None
        if following is not None:
            following.end_all()
        if self._lengths is not None:
            self._lengths.forget()
        publishers, self.publishers = self.publishers, ()
        players, self.players = self.players, ()
        for publisher in publishers:
            publisher.release(reason, detail)
        for player in players:
            self.bytes_out += player.release(reason, detail)
        if following is not None:
            following.end(CONNECTION)

    def make_player(self, peer: Peer, event: PlayRequested, grant: Grant, requested_at: float) -> Player:
        """Who writes what is live as the client's protocol has it. Raises ``Refused``."""
        return Player(peer, event, grant, requested_at)

    # Inside

    def _begin(self, client: Client, event: Request | LengthRequested) -> None:
        """Ask whoever decides, and answer: now if they do, else a task waits for them.

        What waits does so with ``asyncio.sleep(0)`` first, and finds itself in the task behind it.
        """
        answer = self._answer(client, event)
        try:
            answer.send(None)
        except StopIteration:
            return
        name = f"request-{self.origin.connection}"
        self._answering = asyncio.get_running_loop().create_task(answer, name=name)

    async def _answer(self, client: Client, event: Request | LengthRequested) -> None:
        try:
            match event:
                case ConnectRequested():
                    await self._answer_connect(client, event)
                case PublishRequested():
                    await self._answer_publish(client, event)
                case PlayRequested():
                    await self._answer_play(client, event)
                case LengthRequested():
                    await self._answer_length(client, event)
                case _:
                    assert_never(event)
            if self._answering is not None:
                self._answering = None
                client.answered()
        except Exception:
            # Nobody may wait for an answer that never comes, or for what came behind the request.
            fields = {"client": self.origin.shown, "connection": self.origin.connection}
            logger.exception("request failed", extra={"fields": fields})
            if not isinstance(event, LengthRequested):
                client.context.stats.levels.note_failed(_ACTIONS[type(event)])
            client.end(CloseReason.INTERNAL_ERROR)
        except BaseException:
            client.end(CloseReason.INTERNAL_ERROR)  # As above, unless it is our own end.
            raise

    async def _answer_connect(self, client: Client, event: ConnectRequested) -> None:
        context, session = client.context, client.session
        params = self.connect_params = event.params
        try:
            via = via_of(params.connect_object)
            self.origin = self.origin.introduced(params.flash_ver, via)
            check_connect(via, context.instance_id)
            grant = await authorize(client, event)
        except Refused as refusal:
            log.connect_refused(client, self._key(client, ""), refusal)
            session.reject_connect(refusal.code, refusal.description, context.clock())
            self._answering = None  # It is us, who are not to be cancelled.
            client.refused(Action.CONNECT, refusal)
        else:
            self.origin = self.origin.found_to_be(grant.account, grant.identity)
            if grant.key != self._key(client, ""):  # It is led to another app.
                self.connect_params = replace(params, app=str(grant.key).rstrip("/"))
            self._limit(client, grant)
            if grant.follower is not None:
                self._follow(CONNECTION, grant, lambda: self._figures(session))
            session.accept_connect(context.clock(), **introduction(via, context.instance_id))
            context.stats.levels.note_granted(Action.CONNECT)
            log.connected(client)

    async def _answer_publish(self, client: Client, event: PublishRequested) -> None:
        clock, session = client.context.clock, client.session
        try:
            client.check(Action.PUBLISH)
            grant = await authorize(client, event)
            publisher = await begin_to_publish(client, event, grant)
        except Refused as refusal:
            log.publish_refused(client, self._key(client, event.name), refusal)
            session.reject_publish(event.stream_id, refusal.code, refusal.description, clock())
            self._answering = None  # As above.
            client.refused(Action.PUBLISH, refusal)
        else:
            # Ours before anything is promised: whatever happens from here on, our end frees the name.
            self.publishers = (*self.publishers, publisher)
            self._limit(client, grant, publisher.ends_at)
            self._follow(event.stream_id, grant, publisher.figures)
            session.accept_publish(event.stream_id, clock(), publisher.receive)
            client.context.stats.levels.note_granted(Action.PUBLISH)
            client.identified("publishing")
            # What came behind the request may have made the engine close us.
            if not client.over:
                client.read_in_rounds(all(each.in_rounds for each in self.publishers))

    async def _answer_play(self, client: Client, event: PlayRequested) -> None:
        clock, session = client.context.clock, client.session
        requested_at = clock()
        player: Player | FilePlay
        try:
            client.check(Action.PLAY)
            known = None if self._lengths is None else self._lengths.take(event, requested_at)
            grant = known or await authorize(client, event)
            if may_be_file(client, event, grant.key):
                of_file = self.file_player_type
                player = await begin_to_play_file(
                    client, event, grant, requested_at, self.make_player, of_file
                )
            else:
                player = begin_to_play(client, event, grant, requested_at, self.make_player)
        except Refused as refusal:
            log.play_refused(client, self._key(client, event.name), refusal)
            session.reject_play(event.stream_id, refusal.code, refusal.description, clock())
            self._answering = None  # As above.
            client.refused(Action.PLAY, refusal)
        else:
            # Ours before anything is promised, as a publish is.
            self.players = (*self.players, player)
            self._limit(client, grant, player.ends_at)
            self._follow(event.stream_id, grant, player.figures)
            session.accept_play(event.stream_id, clock(), recorded=isinstance(player, FilePlay))
            client.context.stats.levels.note_granted(Action.PLAY)
            if client.over:  # Memory is short, or what came behind the request was not in order.
                return
            client.flush()
            player.start()
            policy = player.policy
            patience = policy.max_backlog_seconds + policy.disconnect_after + _BEYOND_POLICY
            sock: socket.socket = client.transport.get_extra_info("socket")
            set_user_timeout(sock, patience)
            client.identified("playing")

    async def _answer_length(self, client: Client, event: LengthRequested) -> None:
        if self._lengths is None:
            self._lengths = Lengths()
        clock, session = client.context.clock, client.session
        try:
            seconds = await self._lengths.answer(client, event)
        except Refused as refusal:
            log.play_refused(client, self._key(client, event.name), refusal)
            session.reject_length(event.transaction_id, refusal.code, refusal.description, clock())
            self._answering = None  # As above.
            client.refused(Action.PLAY, refusal)
        else:
            session.answer_length(event.transaction_id, seconds, clock())

    def _adjust(self, event: PlayControl) -> None:
        """Have a play follow the player's controls."""
        for player in self.players:
            if player.stream_id == event.stream_id:
                player.adjust(event)

    def _end_publish(self, stream_id: int) -> None:
        """The client has ended a publish."""
        if self._following is not None:
            self._following.end(stream_id)
        ended = [each for each in self.publishers if each.stream_id == stream_id]
        self.publishers = tuple(each for each in self.publishers if each.stream_id != stream_id)
        for publisher in ended:
            publisher.release(CloseReason.FINISHED)

    def _end_play(self, stream_id: int) -> None:
        """The client has ended a play."""
        if self._following is not None:
            self._following.end(stream_id)
        ended = [each for each in self.players if each.stream_id == stream_id]
        self.players = tuple(each for each in self.players if each.stream_id != stream_id)
        for player in ended:
            self.bytes_out += player.release(CloseReason.FINISHED)

    def _follow(self, on: int, grant: Grant, figures: Callable[[], Figures]) -> None:
        """Have whoever granted it know how it gets on, if they want to."""
        if grant.follower is not None:
            self._following = self._following or Following()
            self._following.begin(on, grant, figures)

    def _figures(self, session: Session) -> Figures:
        """Of the connection, without the media of plays that go on."""
        return Figures(0, session.bytes_received, session.bytes_sent + self.bytes_out)

    def _limit(self, client: Client, grant: Grant, ends_at: float = math.inf) -> None:
        """Have the session end when ``grant`` does, and what was granted at ``ends_at``."""
        if grant.valid_for < math.inf:
            self.valid_until = min(self.valid_until, client.context.clock() + grant.valid_for)
        if (deadline := min(self.valid_until, ends_at)) < math.inf:
            client.look_by(deadline)

    def _key(self, client: Client, name: str) -> StreamKey:
        """The stream that the client calls ``name``."""
        return StreamKey.of_path(clean_path(self.connect_params.app, name), client.context.apps)
