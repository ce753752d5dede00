"""A client's connection to a server, as its user sees it."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from typing import Any, Self, assert_never

from rtmpd.client.link import Link, answer_of, settle
from rtmpd.client.mailbox import EventMailbox
from rtmpd.client.stream import Stream, with_status
from rtmpd.exceptions import CallFailed, ClientError, ConnectionLost, ConnectRejected, UsageError
from rtmpd.net.wire_tap import WireTap
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.client import ClientSession, ClientSettings
from rtmpd.rtmp.commands import ConnectParams, ConnectResult
from rtmpd.rtmp.constants import BandwidthLimit
from rtmpd.rtmp.control import UserControl
from rtmpd.rtmp.events import (
    CallRefused,
    CallSucceeded,
    ClientEvent,
    CommandReceived,
    ConnectAccepted,
    ConnectRefused,
    HandshakeCompleted,
    ReconnectRequested,
    SessionClosed,
    SessionFailed,
    StatusReceived,
    StreamCreated,
    StreamEnded,
    StreamRefused,
    StreamStarted,
    UserControlReceived,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl

ConnectionEvent = StatusReceived | UserControlReceived | ReconnectRequested | CommandReceived | Message
"""What ``Connection.events`` gives; a ``Message`` is data that belongs to no stream."""

_Answer = HandshakeCompleted | ConnectAccepted | ConnectRefused | StreamCreated | CallSucceeded | CallRefused
_EVENTS = 256
"""Events kept for a user who does not look."""
_LINGER = 2.0
"""Seconds that a server has to read our last words and close its side."""


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    """By either side; nothing can be sent any more."""


class Connection:
    """A connection that ``connect`` made. It is closed when its ``async with`` block ends.

    Every request waits at most the ``timeout`` that ``connect`` was given, then raises RequestTimeout.
    """

    def __init__(
        self,
        url: RtmpUrl,
        *,
        timeout: float,
        settings: ClientSettings,
        limits: Limits | None,
        send_buffer_bytes: int,
        receive_buffer_bytes: int,
        tap: WireTap | None,
    ) -> None:
        """For ``connect``, which is what makes connections."""
        loop = asyncio.get_running_loop()
        session = ClientSession(random_bytes=os.urandom, now=loop.time(), limits=limits, settings=settings)
        self.url = url
        """Where it is connected to, after all redirects."""
        self.link = Link(
            session,
            send_buffer_bytes=send_buffer_bytes,
            on_event=self._handle_event,
            on_lost=self._handle_lost,
            tap=tap,
        )
        """The transport's protocol."""
        self._timeout = timeout
        self._receive_buffer_bytes = receive_buffer_bytes
        self._info: ConnectResult | None = None
        self._streams: dict[int, Stream] = {}
        self._events: EventMailbox[ConnectionEvent] = EventMailbox(_EVENTS)
        self._handshaken: asyncio.Future[None] | None = loop.create_future()
        self._accepted: asyncio.Future[ConnectResult] | None = None
        self._created: dict[int, asyncio.Future[int]] = {}
        self._calls: dict[int, asyncio.Future[tuple[AmfValue, ...]]] = {}
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # What it is

    @property
    def info(self) -> ConnectResult:
        """What the server said of itself, its Enhanced RTMP capabilities among it."""
        if self._info is None:
            raise UsageError("the server has not accepted the connection yet")
        return self._info

    @property
    def state(self) -> ConnectionState:
        if self.link.error is not None:
            return ConnectionState.CLOSED
        return ConnectionState.CONNECTING if self._info is None else ConnectionState.CONNECTED

    @property
    def exception(self) -> ClientError | None:
        """Why it is closed: ConnectionLost when it broke, ConnectionClosed otherwise."""
        return self.link.error

    def get_extra_info(self, name: str) -> Any:
        """The transport's: ``peername``, ``sockname``, ``ssl_object``, ``socket``."""
        return self.link.transport.get_extra_info(name)

    # Opening, for connect

    async def handshake(self) -> None:
        """Wait for the handshake. Raises HandshakeError for a server that does not speak RTMP."""
        try:
            if self._handshaken is not None:
                await self._handshaken
        finally:
            self._handshaken = None

    async def open(self, params: ConnectParams) -> ConnectResult:
        """Send connect. Raises ConnectRejected."""
        self.link.check()
        self.link.session.connect(params)
        self._accepted = asyncio.get_running_loop().create_future()
        self.link.flush()
        try:
            self._info = await self._accepted
        finally:
            self._accepted = None
        return self._info

    # Streams and calls

    async def create_stream(self) -> Stream:
        """A message stream to publish or play. Raises CallFailed."""
        return await self._create_stream("")

    async def publish(self, name: str | None = None, mode: str = "live") -> Stream:
        """Create a stream and publish on it, in the order of OBS and ffmpeg. See ``Stream.publish``."""
        name = self._default_name if name is None else name
        stream = await self._create_stream(name)
        try:
            return await stream.publish(name, mode)
        except BaseException:
            stream.give_up()
            raise

    async def play(
        self, name: str | None = None, start: float = -2, duration: float = -1, *, buffer_ms: int = 3000
    ) -> Stream:
        """Create a stream and play on it. See ``Stream.play``."""
        stream = await self._create_stream("")
        try:
            return await stream.play(name, start, duration, buffer_ms=buffer_ms)
        except BaseException:
            stream.give_up()
            raise

    async def call(self, name: str, *args: AmfValue) -> tuple[AmfValue, ...]:
        """Call a method of the server's; the values of its ``_result``. Raises CallFailed for ``_error``.

        At most 64 requests of a connection may wait for their answers at once.
        """
        transaction_id = await self.link.say(lambda session: session.call(name, *args))
        self._calls[transaction_id] = asyncio.get_running_loop().create_future()
        try:
            return await answer_of(self._calls[transaction_id], self._timeout, name)
        finally:
            self.link.session.forget(transaction_id)
            self._calls.pop(transaction_id, None)

    async def notify(self, name: str, *args: AmfValue) -> None:
        """Call a method of the server's without an answer."""
        await self.link.say(lambda session: session.notify(name, *args))

    def events(self) -> EventMailbox[ConnectionEvent]:
        """What the server says unasked: iterate with ``async for``. The newest 256 are kept until taken.

        Ends when the connection is closed in order, raises ConnectionLost when it breaks. There is one
        queue, whoever asks for it.
        """
        return self._events

    # Protocol control

    async def set_chunk_size(self, chunk_size: int) -> None:
        """Send in chunks of up to ``chunk_size`` bytes from now on."""
        await self.link.say(lambda session: session.set_chunk_size(chunk_size))

    async def set_window_ack_size(self, window: int) -> None:
        """Ask for an Acknowledgement every ``window`` bytes."""
        await self.link.say(lambda session: session.set_window_ack_size(window))

    async def set_peer_bandwidth(self, window: int, limit: BandwidthLimit = BandwidthLimit.DYNAMIC) -> None:
        """Ask the server to limit what it sends unacknowledged to ``window`` bytes."""
        await self.link.say(lambda session: session.set_peer_bandwidth(window, limit))

    async def send_user_control(self, event: UserControl) -> None:
        """Send a User Control message."""
        await self.link.say(lambda session: session.send_user_control(event))

    # The end

    async def close(self) -> None:
        """End every stream, send what is left, close. Closing again waits for the same end."""
        for stream in list(self._streams.values()):
            stream.give_up()
        await self.link.finish(self._timeout, _LINGER)
        await self._closed.wait()

    def abort(self) -> None:
        """Close at once; what is unsent is lost."""
        self.link.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by whichever side; ``exception`` tells why."""
        await self._closed.wait()

    # Inside

    @property
    def _default_name(self) -> str:
        url = self.url
        return f"{url.name}?{url.query}" if url.name and url.query else url.name

    async def _create_stream(self, publish_name: str) -> Stream:
        transaction_id = await self.link.say(lambda session: session.create_stream(publish_name))
        future = self._created[transaction_id] = asyncio.get_running_loop().create_future()
        try:
            stream_id = await answer_of(future, self._timeout, "createStream")
        except BaseException:
            # Cancelled in the moment of the answer: nobody will ever use the stream.
            if future.done() and not future.cancelled() and future.exception() is None:
                self.link.session.delete_stream(future.result())
            raise
        finally:
            del future  # See ``answer_of``.
        stream = Stream(
            self.link,
            stream_id,
            default_name=self._default_name,
            announced=publish_name,
            timeout=self._timeout,
            receive_buffer_bytes=self._receive_buffer_bytes,
            on_closed=self._forget,
        )
        self._streams[stream_id] = stream
        return stream

    def _forget(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)

    def _handle_event(self, event: ClientEvent) -> None:
        match event:
            case Message():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.receive(event)
                else:
                    self._events.put(event)
            case StatusReceived():
                self._events.put(event)
                self._tell_stream(event)
            case StreamStarted() | StreamRefused() | StreamEnded():
                self._tell_stream(event)
            case UserControlReceived() | ReconnectRequested() | CommandReceived():
                self._events.put(event)
            case SessionFailed() | SessionClosed():
                pass  # The link ends, and says so: ``_handle_lost``.
            case _:
                self._handle_answer(event)

    def _tell_stream(self, event: StatusReceived | StreamStarted | StreamRefused | StreamEnded) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.react(event)

    def _handle_answer(self, event: _Answer) -> None:
        match event:
            case HandshakeCompleted():
                settle(self._handshaken, None)
            case ConnectAccepted():
                settle(self._accepted, event.result)
            case ConnectRefused():
                text = f"{self.url} refused the connection"
                settle(self._accepted, with_status(ConnectRejected, text, event.status))
            case StreamCreated():
                if not settle(self._created.pop(event.transaction_id), event.stream_id):
                    self.link.session.delete_stream(event.stream_id)
            case CallSucceeded():
                settle(self._calls.get(event.transaction_id), event.values)
            case CallRefused():
                error = with_status(CallFailed, "the server refused the call", event.status)
                settle(self._created.pop(event.transaction_id, None), error)
                settle(self._calls.get(event.transaction_id), error)
            case _:
                assert_never(event)

    def _handle_lost(self, error: ClientError) -> None:
        if settle(self._handshaken, error.again()) and self._handshaken is not None:
            self._handshaken.exception()  # Perhaps nobody waits: that is no bug to be logged.
        settle(self._accepted, error.again())
        for created in self._created.values():
            settle(created, error.again())
        for call in self._calls.values():
            settle(call, error.again())
        for stream in self._streams.values():
            stream.lost(error)
        self._streams.clear()  # They hold us.
        self._events.finish(error if isinstance(error, ConnectionLost) else None)
        self._closed.set()
