"""Does a server work? Publish a second of media, play it back, compare every byte."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from rtmpd.client.connect import Connection, Stream
from rtmpd.exceptions import ProbeFailed, RequestTimeout, UsageError
from rtmpd.media.tags import CODED_FRAME, KEYFRAME, SEQUENCE_HEADER, audio_flags, video_flags
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.load.media import MediaSpec, Programme

MEDIA_SECONDS: Final = 1.0
MEDIA: Final = MediaSpec(bitrate=1_000_000, fps=30.0, keyframe_interval=0.5)
"""Two groups of pictures, and the sound that goes with them."""
_GOODBYE: Final = 0.5
"""Seconds for both connections to end in order."""
_NAMES: Final = {int(MessageType.AUDIO): "audio", int(MessageType.VIDEO): "video"}

Connect = Callable[[RtmpUrl], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a probe found."""

    round_trip: float
    """Seconds from the sending of the first key frame to its return; of a mere play, from the request on."""
    total: float
    """Seconds, connecting and all."""
    packets: int
    """That came back unchanged; 0 of a mere play."""


class Probe:
    """One probe of a server, which ``connect`` connects to.

    It takes ``timeout`` seconds at most, and then raises RequestTimeout. Raises whatever the client does for
    a server that cannot be reached, does not speak RTMP or refuses, and ProbeFailed for one that loses or
    changes media.
    """

    def __init__(self, url: RtmpUrl, connect: Connect, timeout: float) -> None:
        self._url = url
        self._connect = connect
        self._timeout = timeout
        self._connections: list[Connection] = []
        self._missing = "connection"
        """What the deadline would miss now."""

    async def round_trip(self) -> ProbeReport:
        """Publish a second of media under the URL's name, or else a random one, and play it back."""
        url = self._url
        if not url.name:
            # The URL's query is the application's then, and goes with every connection.
            return await self._bounded(self._round_trip(f"probe-{secrets.token_hex(6)}"))
        return await self._bounded(self._round_trip(f"{url.name}?{url.query}" if url.query else url.name))

    async def play_only(self) -> ProbeReport:
        """Play the URL's stream until there is a picture, or sound where there are no pictures."""
        if not self._url.name:
            raise UsageError("the URL names no stream to play: rtmp://host/app/name is expected")
        return await self._bounded(self._play_only())

    async def _bounded(self, work: Coroutine[Any, Any, ProbeReport]) -> ProbeReport:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                report = await work
        except BaseException as error:
            for connection in self._connections:
                connection.abort()
            if isinstance(error, TimeoutError) and not isinstance(error, RequestTimeout):
                raise RequestTimeout(f"no {self._missing} within {self._timeout:g} s") from None
            raise
        report = replace(report, total=time.perf_counter() - began)
        await self._leave()
        return report

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(_GOODBYE):
                await asyncio.gather(*(connection.close() for connection in self._connections))
        except TimeoutError:
            for connection in self._connections:
                connection.abort()

    async def _dial(self) -> Connection:
        connection = await self._connect(self._url)
        self._connections.append(connection)
        return connection

    async def _round_trip(self, name: str) -> ProbeReport:
        source, sink = await self._dial(), await self._dial()
        self._missing = "answer to publish"
        publisher = await source.publish(name)
        programme = Programme(MEDIA)
        headers = programme.headers(publisher.id, 0)
        await _send(publisher, headers)
        # Play behind the headers: some servers refuse a stream whose codecs they do not know yet.
        self._missing = "answer to play"
        player = await sink.play(name)
        packets = []
        while programme.due < MEDIA_SECONDS:
            packets.append(programme.next_packet(publisher.id, time.perf_counter_ns()))
        comparison = _Comparison(headers, packets)
        self._missing = "key frame back"
        sent = time.perf_counter()
        await _send(publisher, packets[:1])
        await comparison.take(player, 1)
        round_trip = time.perf_counter() - sent
        self._missing = "return of all packets"
        await _send(publisher, packets[1:])
        await comparison.take(player, len(packets))
        comparison.check_headers()
        return ProbeReport(round_trip, 0.0, len(packets))

    async def _play_only(self) -> ProbeReport:
        sink = await self._dial()
        self._missing = "answer to play"
        asked = time.perf_counter()
        player = await sink.play()
        self._missing = "picture or sound"
        pictures = False
        async for message in player:
            if message.type == MessageType.VIDEO:
                flags = video_flags(message.payload)
                pictures |= bool(flags & SEQUENCE_HEADER)
                if flags & KEYFRAME:
                    break
            elif not pictures and _is_sound(message):
                break
        else:
            raise ProbeFailed("the stream ended before there was a picture or sound")
        return ProbeReport(time.perf_counter() - asked, 0.0, 0)


class _Comparison:
    """What has gone out, and what of it has come back."""

    def __init__(self, headers: list[Message], packets: list[Message]) -> None:
        self._headers = {message.type: message.payload for message in headers if message.type in _NAMES}
        self._awaited = {
            kind: deque(packet.payload for packet in packets if packet.type == kind) for kind in _NAMES
        }
        self._total = len(packets)
        self._seen_headers: set[int] = set()
        self.returned = 0

    async def take(self, player: Stream, count: int) -> None:
        """Take what comes back until ``count`` frames have. Raises ProbeFailed at the first difference."""
        while self.returned < count:
            try:
                message = await anext(player)
            except StopAsyncIteration:
                text = f"the play ended after {self.returned} of {self._total} packets"
                raise ProbeFailed(text) from None
            if message.type in _NAMES:
                self._compare(message)

    def check_headers(self) -> None:
        """Raise ProbeFailed if a sequence header never came."""
        for kind, name in _NAMES.items():
            if kind not in self._seen_headers:
                raise ProbeFailed(f"the {name} sequence header did not come back")

    def _compare(self, message: Message) -> None:
        kind, payload = message.type, message.payload
        flags = video_flags(payload) if kind == MessageType.VIDEO else audio_flags(payload)
        if flags & SEQUENCE_HEADER:
            self._seen_headers.add(kind)
            if payload != self._headers[kind]:
                raise ProbeFailed(f"the {_NAMES[kind]} sequence header came back changed")
        elif flags & CODED_FRAME:
            awaited = self._awaited[kind]
            if not awaited:
                raise ProbeFailed(f"more {_NAMES[kind]} came back than was sent")
            if payload != awaited[0]:
                fate = "are lost" if payload in awaited else "came back changed"
                raise ProbeFailed(
                    f"{_NAMES[kind]} packets {fate}: {self.returned} of {self._total} are right"
                )
            awaited.popleft()
            self.returned += 1


def _is_sound(message: Message) -> bool:
    return message.type == MessageType.AUDIO and bool(audio_flags(message.payload) & CODED_FRAME)


async def _send(stream: Stream, messages: list[Message]) -> None:
    for message in messages:
        await stream.send(message.type, message.payload, message.timestamp)
