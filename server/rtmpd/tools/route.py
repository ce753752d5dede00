"""The way to a stream, which a server may change (ReconnectRequest of Enhanced RTMP v2).

A server that is about to stop, or that has too much to do, asks its clients to go elsewhere and serves on
until they have left. It is followed a few times in a row only, to the same scheme only, and the connection
after one that failed goes to the first address again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Protocol

from rtmpd.client.connect import Connection, Stream
from rtmpd.exceptions import ClientError, UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.rtmp.client import CLIENT_CAPS_EX
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import CapsEx
from rtmpd.rtmp.events import ReconnectRequested
from rtmpd.rtmp.url import RtmpUrl

MAX_MOVES: Final = 3
"""Moves in a row: servers that send a client to each other must not keep it busy."""
STEADY_SECONDS: Final = 10.0
"""A connection that went on for this long was a success: counting begins anew."""


class Connect(Protocol):
    """``rtmpd.connect`` with everything else decided."""

    async def __call__(self, url: RtmpUrl, *, params: ConnectParams) -> Connection: ...


class Route:
    """Connects to ``url``, and then to where its servers send us. One connection at a time.

    ``on_move`` is told each address that we are sent to and will go to; ``params`` are those of ``connect``.
    """

    def __init__(
        self,
        url: RtmpUrl,
        connect: Connect,
        on_move: Callable[[RtmpUrl], None],
        params: ConnectParams | None = None,
    ) -> None:
        self.moving = asyncio.Event()
        """Set while the server of the connection wants us elsewhere."""
        self._home = self._url = url
        self._app_query = ""
        self._connect = connect
        params = params or ConnectParams()
        self._params = replace(params, caps_ex=(params.caps_ex or CLIENT_CAPS_EX) | CapsEx.RECONNECT)
        self._on_move = on_move
        self._moves = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A connection to where the way leads now. Raises what ``rtmpd.connect`` does."""
        self.moving.clear()
        tasks = TaskSet()
        url, app_query = self._url, self._app_query
        self._url, self._app_query = self._home, ""
        params = replace(self._params, app_query=app_query or self._params.app_query)
        async with await self._connect(url, params=params) as connection:
            tasks.start(self._watch(connection, url), name="route")
            try:
                yield connection
            finally:
                await tasks.wait_closed()

    async def plays(self) -> AsyncGenerator[Stream, None]:
        """The play of the URL's stream, ended when the server wants us elsewhere; then the play there."""
        going_on = True
        while going_on:
            async with self.connected() as connection:
                stream = await connection.play()
                tasks = TaskSet()
                tasks.start(self._leave(stream), name="leave")
                try:
                    yield stream
                finally:
                    await tasks.wait_closed()
                going_on = self.moving.is_set()
                await stream.close()

    async def _watch(self, connection: Connection, url: RtmpUrl) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        with contextlib.suppress(ClientError):  # Whoever uses the connection learns of it.
            async for event in connection.events():
                if isinstance(event, ReconnectRequested) and not self.moving.is_set():
                    if loop.time() - begin >= STEADY_SECONDS:
                        self._moves = 0
                    self._follow(event.tc_url, url)

    def _follow(self, tc_url: str, url: RtmpUrl) -> None:
        if self._moves >= MAX_MOVES:
            return
        try:
            self._url, self._app_query = url.moved_to(tc_url)
        except UsageError:  # The server goes on serving: so do we.
            return
        self._moves += 1
        self._on_move(self._url)
        self.moving.set()

    async def _leave(self, stream: Stream) -> None:
        await self.moving.wait()
        await stream.close()
