"""What somebody publishes in the body of a request: FLV."""

from __future__ import annotations

import asyncio
from typing import Final

from rtmpd.exceptions import FlvError, ProtocolError
from rtmpd.http.connection import HttpConnection
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.net.http import HttpProcessingError, StreamReader, web
from rtmpd.reasons import FlvFailure, SessionFailure
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

_EXPECTED: Final = "100-continue"
"""By who sends a body only when it is wanted."""
_PIECE: Final = 64 * 1024
"""That is read at once: what is cut into tags in one turn of the loop."""
_TAKEN: Final = frozenset({MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0})


async def read_body(request: web.BaseRequest, connection: HttpConnection) -> None:
    """Publish it, until it ends or the server ends it; what is wrong then stands in the dialogue."""
    try:
        if request.headers.get("Expect", "").lower() == _EXPECTED and request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await _read(request.content, connection)
    except (TimeoutError, ConnectionError):
        pass  # The server has ended it, or the client is gone.
    except (web.RequestPayloadError, HttpProcessingError):
        text = "the body is not what its headers say: chunked, or so long"
        _fail(connection, ProtocolError(SessionFailure.NOT_FLV, text))
    except FlvError as error:
        is_long = error.reason is FlvFailure.TAG_TOO_LARGE
        reason = SessionFailure.MESSAGE_TOO_LONG if is_long else SessionFailure.NOT_FLV
        _fail(connection, ProtocolError(reason, str(error)))
    except ProtocolError as error:
        _fail(connection, error)


async def _read(body: StreamReader, connection: HttpConnection) -> None:
    limits, clock = connection.context.limits, connection.context.clock
    reader, rate = FlvReader(limits.max_message_bytes), limits.message_rate
    paid_at = clock()
    connection.body = body
    try:
        async with asyncio.timeout(None) as connection.reading:
            while data := await _piece(body, connection):
                now = clock()
                tags = reader.receive_data(data)
                connection.count_in(0, len(tags))
                for begin in range(0, len(tags), limits.max_messages_per_turn):
                    if begin:
                        await asyncio.sleep(0)
                    _take(tags[begin : begin + limits.max_messages_per_turn], connection, now)
                if connection.session.receive is None:
                    return
                connection.charge(reader.held_bytes, now)
                paid_at = rate.spend(paid_at, len(tags), now)
                # There may be more in the body already: others have their turn before it.
                await asyncio.sleep(rate.debt(paid_at, now))
    finally:
        connection.reading = connection.body = None
        connection.read_body_on(True)


async def _piece(body: StreamReader, connection: HttpConnection) -> bytes:
    """What comes next, nothing at the end.

    What comes behind it waits until it is published: who sends the last of a stream and leaves, as ffmpeg
    does, would otherwise be gone before all of it is.
    """
    connection.read_body_on(True)
    try:
        return await body.read(_PIECE)
    finally:
        connection.read_body_on(False)


def _take(tags: list[FlvTag], connection: HttpConnection, now: float) -> None:
    """Publish them, as long as the server has not ended it. Raises ProtocolError."""
    session, max_data_bytes = connection.session, connection.context.limits.max_data_bytes
    for tag in tags:
        message, receive = _message(tag, max_data_bytes), session.receive
        if receive is None:
            return
        if message is not None:
            receive(message, now)


def _message(tag: FlvTag, max_data_bytes: int) -> Message | None:
    """None for what means nothing. Raises ProtocolError."""
    if tag.type == MessageType.DATA_AMF0 and len(tag.payload) > max_data_bytes:
        text = f"a data tag of {len(tag.payload)} bytes; the limit is {max_data_bytes}"
        raise ProtocolError(SessionFailure.MESSAGE_TOO_LONG, text)
    return Message(tag.type, tag.timestamp, 0, tag.payload) if tag.type in _TAKEN else None


def _fail(connection: HttpConnection, error: ProtocolError) -> None:
    connection.session.fail(error)
    connection.advance()
