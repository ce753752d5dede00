"""What uvloop alone costs: a server that writes every player the bytes it reads from the publisher.

Until somebody publishes or plays the library answers; then nothing looks at what passes, which serves the
publisher and players of ``rtmpd bench``, whose messages have full headers and chunks of one size.
So this is the floor of any server that is written in Python, and no server.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import cast

import uvloop

from rtmpd.rtmp.events import ConnectRequested, PlayRequested, PublishRequested
from rtmpd.rtmp.server import ServerSession, ServerSettings

_SETTINGS = ServerSettings(chunk_size=4096)
"""As ``rtmpd bench publish`` cuts its messages."""
_players: list[asyncio.WriteTransport] = []


class Relay(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._session = ServerSession(random_bytes=os.urandom, now=time.monotonic(), settings=_SETTINGS)
        self._publishes = False

    def data_received(self, data: bytes) -> None:
        if self._publishes:
            for player in _players:
                player.write(data)
            return
        session, now = self._session, time.monotonic()
        session.receive_data(data, now)
        for event in session.events_received():
            match event:
                case ConnectRequested():
                    session.accept_connect(now)
                case PublishRequested():
                    session.accept_publish(event.stream_id, now)
                    self._publishes = True
                case PlayRequested():
                    session.accept_play(event.stream_id, now)
                    _players.append(self._transport)
                case _:
                    pass
        self._transport.writelines(session.data_to_send())

    def connection_lost(self, _error: Exception | None) -> None:
        if self._transport in _players:
            _players.remove(self._transport)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Relay, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
