"""What the kernel says of a TCP connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

import pytest

from rtmpd.net.tcp_info import TcpInfo, parse_tcp_info, read_tcp_info


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_connection_tells_its_round_trip_and_what_is_on_its_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        with client, peer:
            client.sendall(b"x" * 10_000)
            peer.recv(10_000, socket.MSG_WAITALL)
            info = parse_tcp_info(read_tcp_info(client))
            assert info is not None
            assert 0.0 < info.round_trip < 1.0
            assert 0.0 < info.shortest_round_trip <= info.round_trip
            assert info.congestion_window >= 1
            assert 500 < info.segment_bytes < 66_000
            assert info.retransmitted == 0
            # The peer reads no more: what it has no room for stays with us.
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while client.send(b"x" * 100_000):
                    pass
            full = parse_tcp_info(read_tcp_info(client))
            assert full is not None
            assert full.not_sent_bytes > 10_000
            received = parse_tcp_info(read_tcp_info(peer))
            assert received is not None
            assert received.received_ago < 5.0


def test_each_figure_is_where_the_kernel_has_it() -> None:
    """linux/tcp.h: eight bytes, 24 words from tcpi_rto on, four long words, four from tcpi_segs_out on."""
    data = struct.pack("=8B24I4Q4I", *range(8), *range(100, 124), *range(200, 204), *range(300, 304))
    assert parse_tcp_info(data + bytes(100)) == TcpInfo(
        round_trip=115e-6,
        deviation=116e-6,
        shortest_round_trip=303e-6,
        retransmitted=123,
        congestion_window=118,
        segment_bytes=102,
        unacknowledged=104,
        not_sent_bytes=302,
        received_ago=0.111,
    )


def test_what_is_no_tcp_connection_tells_nothing() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert read_tcp_info(one) == b""
    assert read_tcp_info(one) == b""
    assert read_tcp_info(None) == b""
    assert parse_tcp_info(b"") is None
    assert parse_tcp_info(bytes(100)) is None
