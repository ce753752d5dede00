"""Messages with open files between two processes of one machine, over a Unix socket that tells them apart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

MAX_MESSAGE: Final = 128 * 1024
"""Bytes of one that goes through the socket itself."""
MAX_ENCLOSED: Final = 16 * 1024 * 1024
"""Bytes of a longer one: it goes as a file in memory, the first of its files."""
_ENCLOSED: Final = {"enclosed": True}
_MAX_FILES: Final = 64
"""In one message."""
_CREDENTIALS: Final = struct.Struct("iII")

Message = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def peer_uid(sock: socket.socket) -> int:
    """The user that the process at the other end runs as."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)


class MessageSocket:
    """One end. ``heard(message, files)`` owns the files; ``ended()`` is called once, unless we close it."""

    def __init__(
        self,
        sock: socket.socket,
        heard: Callable[[Message, list[int]], None],
        ended: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._heard = heard
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, Sequence[int]]] = deque()
        self._loop.add_reader(sock, self._read)

    def send(self, message: Message, files: Sequence[int] = ()) -> None:
        """The files are ours, and are sent at once or copied. Nothing comes of it where nobody hears us.

        Raises ValueError if it is too long.
        """
        if self._sock.fileno() < 0:
            return
        data = json.dumps(message).encode()
        if len(data) > MAX_ENCLOSED or len(files) >= _MAX_FILES:
            raise ValueError("a message that is too long")
        if len(data) <= MAX_MESSAGE:
            self._send(data, files)
            return
        enclosure = os.memfd_create("message")
        try:
            os.write(enclosure, data)
            self._send(json.dumps(_ENCLOSED).encode(), (enclosure, *files))
        finally:
            os.close(enclosure)

    def _send(self, data: bytes, files: Sequence[int]) -> None:
        if not self._waiting:
            try:
                socket.send_fds(self._sock, [data], files)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._write)
            except OSError:
                return  # The end is read.
            else:
                return
        self._waiting.append((data, [os.dup(number) for number in files]))

    def close(self) -> None:
        """Idempotent."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        while self._waiting:
            _close(self._waiting.popleft()[1])
        self._sock.close()

    def _read(self) -> None:
        try:
            data, files, flags, _ = socket.recv_fds(self._sock, MAX_MESSAGE, _MAX_FILES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, files, flags = b"", [], 0
        for number in files:  # No program that we start is to have them; recv_fds passes no flag on.
            os.set_inheritable(number, False)
        message = None
        if not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(data) if data else None
                if message == _ENCLOSED and files:
                    message = json.loads(_enclosed(files.pop(0)))
        if not isinstance(message, dict):
            _close(files)
            self.close()
            self._ended()
            return
        self._heard(message, files)

    def _write(self) -> None:
        while self._waiting:
            data, files = self._waiting[0]
            try:
                socket.send_fds(self._sock, [data], files)
            except BlockingIOError:
                return
            except OSError:
                pass  # The end is read.
            self._waiting.popleft()
            _close(files)
        self._loop.remove_writer(self._sock)


def _enclosed(number: int) -> bytes:
    """What is in the file, which is closed. Raises ValueError where it is none that can be read."""
    try:
        return os.pread(number, MAX_ENCLOSED, 0)
    except OSError as error:
        raise ValueError(error.strerror) from None
    finally:
        os.close(number)


def _close(files: Sequence[int]) -> None:
    for number in files:
        os.close(number)
