"""Who listens in hears everything, and changes nothing."""

from __future__ import annotations

import asyncio

from rtmpd.net.wire_tap import WireTap


class Pipe(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 5)})
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False


class Session:
    def __init__(self) -> None:
        self.received = b""

    def receive_data(self, data: bytes, now: float) -> None:
        self.received += data
        self.now = now


def test_a_transport() -> None:
    told: list[bytes] = []
    pipe = Pipe()
    transport = WireTap(received=print, sent=told.append).on_transport(pipe)
    transport.write(memoryview(b"ab"))
    transport.writelines(iter([b"c", b"d"]))
    assert (told, pipe.written) == ([b"ab", b"cd"], b"abcd")
    assert transport.get_extra_info("peername") == ("192.0.2.1", 5)
    assert not transport.is_closing()


def test_a_session() -> None:
    told: list[bytes] = []
    session = Session()
    WireTap(received=told.append, sent=print).on_session(session).receive_data(b"ab", 7.0)
    assert (told, session.received, session.now) == ([b"ab"], b"ab", 7.0)
