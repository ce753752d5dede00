"""Players of FLV and MP4 over HTTP and WebSocket, which are RTMP's players but for what they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from rtmpd.engine.flv_wire import EVERYTHING, FlvWire
from rtmpd.engine.key import StreamKey
from rtmpd.engine.mp4_wire import Mp4Wire
from rtmpd.engine.packet import AUDIO, VIDEO, ShiftedWire, WireFormat
from rtmpd.engine.sink import CloseReason, PlayOptions, StartPolicy
from rtmpd.engine.subscriber import Subscription
from rtmpd.http.answers import status_of
from rtmpd.http.dialogue import Dialogue
from rtmpd.http.files import FileSender
from rtmpd.http.making import Made
from rtmpd.http.websocket import NOT_ALLOWED
from rtmpd.media.flv import encode_header
from rtmpd.media.tracks import ALL_TRACKS, DEFAULT_TRACK, TrackChoice
from rtmpd.reasons import Word
from rtmpd.rtmp.events import PlayRequested
from rtmpd.serving.access import Grant
from rtmpd.serving.file_play import FilePlay
from rtmpd.serving.peer import Peer
from rtmpd.serving.playing import Player
from rtmpd.serving.requests import Requests

NOT_FOR_MP4: Final = 4415
"""Code of a WebSocket's end, for 415 of HTTP."""


class HttpPlayer(Player):
    """Begins an answer with the first that it is written, and ends it with the stream."""

    __slots__ = ("_begun",)

    def __init__(self, peer: Peer, event: PlayRequested, grant: Grant, requested_at: float) -> None:
        self._begun = False
        super().__init__(peer, event, grant, requested_at)
        self.write = self._begin_with

    def write_all(self, images: Sequence[bytes]) -> None:
        self._begin()
        super().write_all(images)

    def close(self, reason: CloseReason) -> None:
        if self._refusal is not None:
            self._dialogue.finish(self._refusal.description, status_of(self._refusal), NOT_ALLOWED)
        super().close(reason)

    def stream_ended(self) -> None:
        self._dialogue.finish()
        self._peer.end(CloseReason.FINISHED)

    def release(self, reason: CloseReason, detail: Word | None = None) -> int:
        written = super().release(reason, detail)
        del self.write  # Which may have us.
        return written

    @property
    def _dialogue(self) -> Dialogue:
        return cast("Dialogue", self._peer.session)

    def _begin_with(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._begin()
        self.write(data)

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        transport = self._peer.transport
        self.write = transport.write
        opening = self._opening()
        if opening:
            transport.write(opening)

    def _opening(self) -> bytes:
        """What comes before the first that it is written."""
        return self._dialogue.opening()


class FlvPlayer(HttpPlayer):
    """Is written tags, behind the header of a file."""

    __slots__ = ()

    @property
    def wire_format(self) -> WireFormat:
        wire = FlvWire(self._sent_tracks, self._dialogue.only, self._dialogue.framed)
        return ShiftedWire(wire, self._offset) if self._offset else wire

    def _opening(self) -> bytes:
        return self._dialogue.opening(encode_header(self._has(AUDIO), self._has(VIDEO)))

    def _has(self, kind: int) -> bool:
        """Whether the file has that medium, as far as is known: players that believe it wait for both."""
        if self._dialogue.only != EVERYTHING:
            return kind == self._dialogue.only
        headers = self._subscription.seat.headers
        if not (headers.announces(AUDIO) or headers.announces(VIDEO)):
            return True
        return headers.announces(kind) and headers.withheld != kind


class Mp4Player(HttpPlayer):
    """Is written what somebody makes of the stream, for all who have the same wish."""

    __slots__ = ("_made",)
    _made: Made

    @property
    def wire_format(self) -> WireFormat:
        return Mp4Wire(self._dialogue.framed)

    @property
    def may_switch(self) -> bool:
        return self._dialogue.framed

    def start(self) -> None:
        if self._made.problem:
            self._subscription.close(CloseReason.CODEC)
        else:
            super().start()

    def stream_ended(self) -> None:
        # By messages a page is told what changes; a file that has begun cannot.
        if not self._made.changing or (self._begun and not self._dialogue.framed):
            super().stream_ended()

    def close(self, reason: CloseReason) -> None:
        if reason is CloseReason.CODEC:
            text = f"{self._made.problem}."
            self._dialogue.finish(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, NOT_FOR_MP4)
            self._peer.end(reason)
        else:
            super().close(reason)

    def _attach(self, key: StreamKey, options: PlayOptions, now: float) -> Subscription:
        order = self._dialogue.mp4
        if order is None:
            raise TypeError("a play of MP4 that nobody makes")
        self._peer.context.registry.check_attach(key, network=options.origin.network)
        if self._by_name is not None:  # It is made for one track, from now on.
            stream = self._peer.context.registry.streams.get(key)
            self._tracks, self._by_name = self._by_name.settle(stream, key, now), None
        wish = replace(order.wish, tracks=_one_of_each(self._sent_tracks))
        made = self._made = order.maker.find(key, wish, options)
        # In the middle of a GOP no decoder of MP4 begins.
        start = StartPolicy.GOP if options.start is StartPolicy.LIVE else options.start
        return super()._attach(key, options._replace(apart=made.number, start=start), now)


class HttpRequests(Requests):
    """Those of one connection."""

    __slots__ = ()
    file_player_type: ClassVar[type[FilePlay]] = FileSender

    def make_player(self, peer: Peer, event: PlayRequested, grant: Grant, requested_at: float) -> Player:
        dialogue = cast("Dialogue", peer.session)
        player = FlvPlayer if dialogue.mp4 is None else Mp4Player
        return player(peer, event, grant, requested_at)


def _one_of_each(tracks: TrackChoice) -> TrackChoice:
    """Players of MP4 take one video and one audio track, so that all of them are as good as no choice."""
    return TrackChoice(*(DEFAULT_TRACK if each == ALL_TRACKS else each for each in tracks))
