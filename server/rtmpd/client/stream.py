"""One message stream of a client's connection: what a user publishes or plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Self, TypeVar, assert_never

from rtmpd.client.link import Link, answer_of, settle
from rtmpd.client.mailbox import PacketMailbox
from rtmpd.exceptions import (
    CallFailed,
    ClientError,
    ConnectionClosed,
    ConnectionLost,
    PlayRejected,
    PublishRejected,
    RequestRejected,
    StreamFailed,
    UsageError,
)
from rtmpd.rtmp.amf import AmfValue, EcmaArray, encode_values
from rtmpd.rtmp.client import ClientSession
from rtmpd.rtmp.commands import Status
from rtmpd.rtmp.constants import ON_META_DATA, SET_DATA_FRAME, MessageType, StatusCode
from rtmpd.rtmp.events import StatusReceived, StreamEnded, StreamRefused, StreamStarted
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import redact

_AUDIO, _VIDEO, _DATA = int(MessageType.AUDIO), int(MessageType.VIDEO), int(MessageType.DATA_AMF0)

E = TypeVar("E", bound=ClientError)


class Stream:
    """Made by ``Connection.create_stream``. It publishes or plays, until it is closed.

    Playing, it is an asynchronous iterator of ``Message``: audio (type 8), video (9) and data (18). It ends
    when the publisher leaves, the recording is over or the connection is closed in order, and raises
    StreamFailed or ConnectionLost when it broke. What is not taken yet is bounded in bytes; when the bound
    is reached, the whole connection is read no further. So close a stream that is no longer iterated.
    """

    def __init__(
        self,
        link: Link,
        stream_id: int,
        *,
        default_name: str,
        announced: str,
        timeout: float,
        receive_buffer_bytes: int,
        on_closed: Callable[[Stream], None],
    ) -> None:
        self.id = stream_id
        """Message stream id, from 1 on."""
        self.name = ""
        """What it publishes or plays, with its query; may hold secrets."""
        self._link = link
        self._default_name = default_name
        self._timeout = timeout
        self._receive_buffer_bytes = receive_buffer_bytes
        self._on_closed = on_closed
        self._announced = announced
        self._verb = ""
        self._closed = False
        self._packets: PacketMailbox | None = None
        self._begun: asyncio.Future[Status] | None = None
        self._notices: list[tuple[str, asyncio.Future[Status]]] = []
        self._ended: ClientError | None = None
        self.cut_off = False
        """What is played has ended with the connection, and not because the server said so."""
        self._began_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Publishing

    async def publish(self, name: str | None = None, mode: str = "live") -> Stream:
        """Publish under ``name``, by default what the connection's URL names, with its query.

        ``mode`` is ``live``, or ``record``, ``append`` or ``appendWithGap`` on servers that record. Raises
        PublishRejected with the server's reason.
        """
        name = self._name_or_default(name)
        await self._link.writable()
        self._link.session.publish(self.id, name, mode, announce=self._announced != name)
        await self._begin(name, "publish")
        self._began_at = asyncio.get_running_loop().time()
        return self

    async def send_audio(self, payload: bytes, timestamp: int | None = None) -> None:
        """Send one audio message, an FLV audio tag's body. See ``send``."""
        await self.send(_AUDIO, payload, timestamp)

    async def send_video(self, payload: bytes, timestamp: int | None = None) -> None:
        """Send one video message, an FLV video tag's body. See ``send``."""
        await self.send(_VIDEO, payload, timestamp)

    async def send_data(self, payload: bytes, timestamp: int | None = None) -> None:
        """Send one data message, AMF0: a handler's name and its arguments. See ``send``."""
        await self.send(_DATA, payload, timestamp)

    async def send_metadata(self, properties: Mapping[str, AmfValue], timestamp: int = 0) -> None:
        """Set the stream's metadata (``@setDataFrame``, ``onMetaData``)."""
        await self.send(_DATA, ON_META_DATA + encode_values(EcmaArray(properties)), timestamp)

    async def send(self, message_type: int, payload: bytes, timestamp: int | None = None) -> None:
        """Send one message of type 8, 9 or 18, such as an FLV tag holds; waits while too much is unsent.

        ``timestamp`` in ms is taken modulo 2**32; left out, it is the time since the publish began. A bare
        ``onMetaData``, as in FLV files, is sent as a server wants it (``@setDataFrame``). Raises StreamFailed
        when the server has ended the publish, ConnectionClosed when the connection is over.
        """
        self.check()
        try:
            await self._link.writable()
        except ConnectionClosed:
            self.check()  # A server that ends a publish says why, and then closes the connection.
            raise
        self.check()
        if message_type == _DATA and payload.startswith(ON_META_DATA):
            payload = SET_DATA_FRAME + payload
        if timestamp is None:
            timestamp = int((asyncio.get_running_loop().time() - self._began_at) * 1000)
        self._link.session.send_media(message_type, self.id, timestamp, payload)
        self._link.flush()

    # Playing

    async def play(
        self,
        name: str | None = None,
        start: float = -2,
        duration: float = -1,
        reset: bool = True,
        *,
        buffer_ms: int = 3000,
    ) -> Stream:
        """Play ``name``, by default what the connection's URL names; iterate over what is returned.

        ``start`` in seconds: -2 live or else recorded, -1 live only, from 0 on a place in a recording.
        ``duration`` in seconds, -1 to the end. On a stream that plays already, ``reset`` tells whether this
        replaces it or follows it. Raises PlayRejected with the server's reason.
        """
        name = self._name_or_default(name)
        await self._link.writable()
        self._link.session.play(self.id, name, start, duration, reset, buffer_ms)
        if reset or self._packets is None or self._packets.finished:
            self._new_packets()
        await self._begin(name, "play")
        return self

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Message:
        if self._packets is None:
            raise UsageError("this stream does not play")
        return await self._packets.__anext__()

    async def pause(self, position_ms: int = 0) -> None:
        """Stop the media; returns when the server has. Raises CallFailed when it will not, or has no more."""
        await self._ask(StatusCode.PAUSE_NOTIFY, "pause", lambda s: s.pause(self.id, True, position_ms))

    async def resume(self, position_ms: int = 0) -> None:
        """Go on after ``pause``. Raises CallFailed when the server will not."""
        await self._ask(StatusCode.UNPAUSE_NOTIFY, "resume", lambda s: s.pause(self.id, False, position_ms))

    async def seek(self, position_ms: int) -> None:
        """Go to another place of a recording. Raises CallFailed; servers may ignore it on live streams."""
        await self._ask(StatusCode.SEEK_NOTIFY, "seek", lambda s: s.seek(self.id, position_ms))

    async def receive_audio(self, enabled: bool) -> None:
        """Ask for audio, or for none. Raises CallFailed after the end."""
        await self._adjust(lambda session: session.receive_audio(self.id, enabled))

    async def receive_video(self, enabled: bool) -> None:
        """Ask for video (it comes back at a keyframe), or for none. Raises CallFailed after the end."""
        await self._adjust(lambda session: session.receive_video(self.id, enabled))

    # Both

    async def notify(self, name: str, *args: AmfValue) -> None:
        """Call a method of the server's on this stream, without an answer."""
        await self._link.say(lambda session: session.notify(name, *args, stream_id=self.id))

    async def set_buffer_length(self, length_ms: int) -> None:
        """Tell the server how much we buffer."""
        await self._link.say(lambda session: session.set_buffer_length(self.id, length_ms))

    def check(self) -> None:
        """Raise StreamFailed if the server has ended what it had let us publish or play."""
        if self._ended is not None:
            raise self._ended.again()

    async def close(self) -> None:
        """End the publish or play (FCUnpublish, deleteStream). Iterations end; closing again does nothing."""
        self.give_up()
        self._link.flush()

    # For the connection

    def receive(self, message: Message) -> None:
        """Take media that the server sent."""
        if self._packets is not None:
            self._packets.put(message)

    def react(self, event: StreamStarted | StreamRefused | StreamEnded | StatusReceived) -> None:
        """Take what the server said about this stream."""
        status = event.status
        match event:
            case StreamStarted():
                settle(self._begun, status)
            case StreamRefused():
                settle(self._begun, self._rejection(status))
            case StreamEnded(failed=failed):
                text = f"the server ended {redact(self.name)}"
                self._end(with_status(StreamFailed, text, status) if failed else None)
            case StatusReceived():
                for code, notice in self._notices:
                    if status.code == code:
                        settle(notice, status)
                    elif status.is_error:
                        settle(notice, with_status(CallFailed, "the server refused", status))
            case _:
                assert_never(event)

    def lost(self, error: ClientError) -> None:
        """The connection is over."""
        for future in (self._begun, *(notice for _, notice in self._notices)):
            settle(future, error.again())
        self.cut_off = self._packets is not None and not self._packets.finished
        if self._ended is None:
            self._end(error if isinstance(error, ConnectionLost) else None)

    def give_up(self) -> None:
        """Close without writing yet."""
        if self._closed:
            return
        self._closed = True
        if self._link.error is None:
            self._link.session.delete_stream(self.id)
        settle(self._begun, StreamFailed("the stream was closed meanwhile"))
        self._end(None)
        if self._packets is not None:
            self._packets.clear()
        self._on_closed(self)

    # Inside

    async def _begin(self, name: str, verb: str) -> None:
        """Send the request just made and wait for its answer."""
        self.name, self._verb = name, verb
        self._ended = None
        self._begun = asyncio.get_running_loop().create_future()
        self._link.flush()
        try:
            await answer_of(self._begun, self._timeout, verb)
        finally:
            self._begun = None

    async def _ask(self, code: str, request: str, send: Callable[[ClientSession], None]) -> None:
        """Send a request that a status with ``code`` answers."""
        await self._adjust(send)
        notice = (code, asyncio.get_running_loop().create_future())
        self._notices.append(notice)
        try:
            await answer_of(notice[1], self._timeout, request)
        finally:
            self._notices.remove(notice)
            del notice  # See ``answer_of``.

    async def _adjust(self, send: Callable[[ClientSession], None]) -> None:
        """Send a control of a play. That may end at any moment: who has missed it has made no mistake."""

        def ask(session: ClientSession) -> None:
            if self._packets is not None and self._packets.finished:
                raise CallFailed(f"{redact(self.name)} has ended")
            send(session)

        await self._link.say(ask)

    def _end(self, error: ClientError | None) -> None:
        self._ended = error
        if self._packets is not None:
            self._packets.finish(error)

    def _rejection(self, status: Status) -> RequestRejected:
        kind = PublishRejected if self._verb == "publish" else PlayRejected
        return with_status(kind, f"the server refused to {self._verb} {redact(self.name)}", status)

    def _new_packets(self) -> None:
        if self._packets is not None:
            self._packets.finish()
            self._packets.clear()
        link, number = self._link, self.id
        self._packets = PacketMailbox(
            self._receive_buffer_bytes, lambda: link.hold(number), lambda: link.release(number)
        )

    def _name_or_default(self, name: str | None) -> str:
        if self._closed:
            raise UsageError("this stream is closed")
        if name is None:
            name = self._default_name
        if not name:
            raise UsageError("no stream name: neither the call nor the URL has one")
        return name


def with_status(kind: type[E], text: str, status: Status) -> E:
    """The exception for what the server said."""
    said = ": ".join(part for part in (text, status.description or status.code) if part)
    return kind(said, code=status.code, description=status.description, info=status.info)
