"""aiohttp's side of a connection to the HTTP listener."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rtmpd.engine.origin import Origin
from rtmpd.engine.outlet import Outlet
from rtmpd.http.lane import Lane
from rtmpd.net.http import StreamReader
from rtmpd.net.visitors import Visit


class Host(Protocol):
    """The connection."""

    body: StreamReader | None
    """Of a request, while it is read."""
    outlet: Outlet

    @property
    def over(self) -> bool: ...
    def may_ask(self, origin: Origin, cost: int) -> bool: ...
    def begin_waiting(self) -> None: ...
    def note_answered(self) -> None: ...
    def count_in(self, size: int) -> None: ...
    def hold(self, size: int) -> None: ...
    def check_waiting(self) -> None: ...
    def read_body_on(self, wanted: bool) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def lost(self, exc: BaseException | None) -> None: ...


class HttpVisit(Visit):
    """aiohttp's side of a connection, until somebody plays."""

    __slots__ = ("connection", "lane")
    connection: Host
    lane: Lane
    """What need not be read by aiohttp goes there."""

    @property
    def whole(self) -> int:
        """Requests that have come until now."""
        return self._request_count

    # The road of the lane

    @property
    def is_idle(self) -> bool:
        waiter, transport = self._waiter, self.transport
        return (
            waiter is not None and not waiter.done() and transport is not None and not transport.is_closing()
        )

    @property
    def is_stuck(self) -> bool:
        return self.connection.outlet.congestion is not None

    @property
    def over(self) -> bool:
        return self.connection.over

    def may_ask(self, origin: Origin, cost: int) -> bool:
        return self.connection.may_ask(origin, cost)

    def hold(self, size: int) -> None:
        self.connection.hold(size)
        self.connection.check_waiting()

    def come_back(self) -> None:
        asyncio.get_running_loop().call_soon(self.lane.go_on)

    def begin_waiting(self) -> None:
        self.connection.begin_waiting()

    def write_answer(self, head: bytes, body: bytes) -> None:
        if self.transport is not None:
            self.transport.writelines((head, body))
            self.connection.note_answered()

    # asyncio

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        connection.count_in(len(data))
        if not self.lane.receive(data):
            self.hear(data)

    def hear(self, data: bytes) -> None:
        """Read it as what it is, whatever that is."""
        connection = self.connection
        connection.hold(len(data))
        body = connection.body
        had = 0 if body is None else body.total_bytes
        super().data_received(data)
        if body is not None and (body.total_bytes > had or body.is_eof()):
            connection.read_body_on(False)
        connection.check_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.connection.resume_writing()
        self.lane.go_on()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._leave_lane()
        self.connection.lost(exc)

    def let_go(self) -> None:
        """The connection is another's from now on: forget it without a word to the client."""
        self._leave_lane()
        self.transport = None
        super().connection_lost(None)

    def _leave_lane(self) -> None:
        self.lane.close()
        del self.lane  # Which has us.
