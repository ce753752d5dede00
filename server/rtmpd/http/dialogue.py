"""One request for a stream, as publishes and plays see it: what they say, in HTTP or by WebSocket."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from rtmpd.engine.flv_wire import EVERYTHING, frame_head
from rtmpd.exceptions import DeadlineExceeded, ProtocolError
from rtmpd.http import websocket
from rtmpd.http.making import Order
from rtmpd.http.parts import PartWish
from rtmpd.rtmp.amf import AmfValue
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.inlet import MediaReceiver


class Dialogue:
    """What a ``ServerSession`` is to RTMP, without I/O. ``head`` begins the answer, and is written with the
    first that there is to say: until then an error can still be one of HTTP.
    """

    __slots__ = (
        "_out",
        "bytes_received",
        "bytes_sent",
        "closing",
        "error",
        "failure",
        "finished",
        "framed",
        "head",
        "last_command",
        "mp4",
        "only",
        "part",
        "plays",
        "receive",
        "sent_whole",
        "settled",
        "shared",
        "since",
        "unfinished_since",
    )

    def __init__(self, now: float) -> None:
        self.since = now
        self.closing = False
        self.bytes_received = 0
        self.bytes_sent = 0
        self.last_command = ""
        self.unfinished_since = math.inf
        self.head = b""
        """What an answer begins with that has not begun yet."""
        self.framed = False
        """It goes by WebSocket."""
        self.only = EVERYTHING
        """Message type of the one medium that is wanted."""
        self.mp4: Order | None = None
        """It is wanted as MP4; None is as FLV."""
        self.shared: dict[str, str] = {}
        """Headers of every answer."""
        self.sent_whole = False
        """All of an answer that has a length is written: the client may take its time."""
        self.part = PartWish()
        """What is wanted of a file."""
        self.settled = False
        """What was asked last is granted."""
        self.plays = False
        """A play is granted: the bytes of the connection are the player's from now on."""
        self.receive: MediaReceiver | None = None
        """Takes what is published."""
        self.finished = False
        """Its end has been said, if there is a way to."""
        self.error: ProtocolError | None = None
        """What rule the client has broken."""
        self.failure: tuple[HTTPStatus, str] | None = None
        """Why the server has ended what is published."""
        self._out: list[bytes] = []

    def data_to_send(self) -> bytes:
        """Everything to write since the last call."""
        data = b"".join(self._out)
        self._out.clear()
        self.bytes_sent += len(data)
        return data

    def say(self, data: bytes) -> None:
        """Write this too."""
        if data:
            self._out.append(data)

    def opening(self, header: bytes = b"") -> bytes:
        """What comes before the first that is played, with the ``header`` of a file if it has one."""
        framed = self.framed and header
        opening = self.head + (frame_head(len(header)) if framed else b"") + header
        self.head = b""
        self.bytes_sent += len(opening)
        return opening

    def begin_answer(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        """One of so many bytes as ``headers`` say, which ends the connection."""
        self.say(answer_head(status, {**headers, "Connection": "close", **self.shared}))

    def finish(
        self,
        text: str = "Nobody publishes this stream any more.",
        status: HTTPStatus = HTTPStatus.NOT_FOUND,
        code: int = websocket.NORMAL,
    ) -> None:
        """Nothing more comes: ``status`` says why where the answer has not begun, ``code`` by WebSocket."""
        if self.closing or self.finished:
            return
        self.finished = True
        if self.framed:
            self.say(websocket.close_frame(code, text))
        elif self.head:
            self.head = b""
            self.say(plain_answer(status, text))

    def close(self) -> None:
        """Say nothing more."""
        self.closing = True
        self.receive = None

    # Publishes and plays

    def accept_connect(self, _now: float, /, **_extra: AmfValue) -> None:
        self.settled = True

    def reject_connect(self, _code: str, _description: str, _now: float) -> None:
        """Whoever has asked answers."""

    def accept_publish(self, _stream_id: int, _now: float, receive: MediaReceiver) -> None:
        self.settled = True
        self.receive = receive

    def reject_publish(self, _stream_id: int, _code: str, _description: str, _now: float) -> None:
        """The same."""

    def end_publish(self, _stream_id: int, _code: str, description: str) -> None:
        self.failure = HTTPStatus.FORBIDDEN, description

    def accept_play(self, _stream_id: int, _now: float, /, *, recorded: bool = False) -> None:
        self.settled = self.plays = True
        if recorded:
            self.head = b""
        elif self.framed:  # Browsers do not wait for long.
            self.say(self.head)
            self.head = b""

    def reject_play(self, _stream_id: int, _code: str, _description: str, _now: float) -> None:
        """The same."""

    def end_play(self, _stream_id: int, code: str, description: str) -> None:
        if code == StatusCode.PLAY_STREAM_NOT_FOUND:
            self.finish(description)
        else:
            self.finish(description, HTTPStatus.SERVICE_UNAVAILABLE, websocket.NOT_ALLOWED)

    def notify_published(self, _stream_id: int) -> None:
        """It shows."""

    def notify_unpublished(self, _stream_id: int) -> None:
        """The end of the answer says so."""

    def switch_play(self, _stream_id: int, _name: str) -> None:
        """It shows."""

    def seeked(self, _stream_id: int, _position_ms: int) -> None:
        """Of RTMP alone, as what follows."""

    def complete_play(self, _stream_id: int, _duration: float, _size: int) -> None:
        """The same."""

    def answer_length(self, _transaction_id: float, _seconds: float, _now: float) -> None:
        """The same."""

    def reject_length(self, _transaction_id: float, _code: str, _description: str, _now: float) -> None:
        """The same."""

    def fail(self, error: ProtocolError) -> None:
        late = isinstance(error, DeadlineExceeded)
        self.error = error
        self.failure = (HTTPStatus.REQUEST_TIMEOUT if late else HTTPStatus.BAD_REQUEST), str(error)
        if self.plays:
            self.finish(str(error), self.failure[0], int(error.code or websocket.BROKEN))


def answer_head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    """Status line and headers; nothing in ``headers`` comes from clients but what was looked at."""
    lines = [f"HTTP/1.1 {status} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def plain_answer(status: HTTPStatus, text: str) -> bytes:
    """A whole answer that ends the connection."""
    body = f"{text}\n".encode()
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        "Server": "rtmpd",
        "X-Content-Type-Options": "nosniff",
    }
    return answer_head(status, headers) + body
