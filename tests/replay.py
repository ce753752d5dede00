"""Recordings of encoders, sent again in their own time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from golden_captures import load
from rtmpd_process import RtmpdProcess

SECONDS = 6.5
"""How long the encoder took for the recording."""


class Replay(threading.Thread):
    """Sends a recording as OBS did: the same bytes in about the same time."""

    def __init__(self, server: RtmpdProcess, name: str) -> None:
        super().__init__(daemon=True)
        capture = load(f"obs32/obs32-{name}-pub")
        self._data = capture.handshake + capture.chunks
        self._socket = socket.create_connection(("127.0.0.1", server.port("rtmp")))

    def run(self) -> None:
        data, began = self._data, time.monotonic()
        sent = 0
        while sent < len(data):
            due = int(len(data) * min(1.0, (time.monotonic() - began) / SECONDS))
            self._socket.sendall(data[sent:due])
            sent = due
            # What the server says is not listened to, only taken.
            with contextlib.suppress(BlockingIOError):
                self._socket.recv(65536, socket.MSG_DONTWAIT)
            time.sleep(0.02)

    def close(self) -> None:
        self.join()
        self._socket.close()
