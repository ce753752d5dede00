"""The line between two networks: what it delays, loses, reorders and cuts, by real sockets at its ends."""

from __future__ import annotations

import random
import socket
import statistics
import subprocess
import sys
import time

import lossy_link
import pytest
from lossy_link import Conditions, Direction, Link

PATIENCE = 5.0


@pytest.fixture(scope="module")
def namespaces() -> None:
    obstacle = lossy_link.find_obstacle()
    if obstacle is not None:
        pytest.skip(obstacle)


def udp_pair(link: Link) -> tuple[socket.socket, socket.socket]:
    """A socket at the left end that sends to the one at the right end."""
    with link.right.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind((link.right.address, 0))
    with link.left.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(receiver.getsockname())
    receiver.settimeout(PATIENCE)
    return sender, receiver


def tcp_pair(link: Link) -> tuple[socket.socket, socket.socket]:
    """A connection that the right end has opened to the left one: (left, right)."""
    with link.left.entered():
        listener = socket.create_server((link.left.address, 0))
    with listener:
        with link.right.entered():
            right = socket.create_connection(listener.getsockname(), PATIENCE)
        left, _ = listener.accept()
    left.settimeout(PATIENCE)
    return left, right


def receive_until(receiver: socket.socket, last: bytes) -> list[bytes]:
    received = []
    while not received or received[-1] != last:
        received.append(receiver.recv(100))
    return received


class TestDirection:
    """Fates by number and dice, without a network."""

    def test_the_fate_of_a_packet_depends_on_seed_and_number_alone(self) -> None:
        ways = [Direction(Conditions(loss=0.3), random.Random("7")) for _ in range(2)]
        for number in range(100):
            ways[0].send(b"%d" % number, 0.0)
            ways[1].send(b"%d" % number, number / 10)
        fates = [list(way.take_arrived(1000.0)) for way in ways]
        assert fates[0] == fates[1]
        assert len(fates[0]) == ways[0].delivered == 100 - ways[0].lost

    def test_a_rate_spaces_packets_and_its_queue_is_bounded(self) -> None:
        way = Direction(Conditions(rate=8000.0, queue_bytes=3000), random.Random(0))
        for _ in range(5):
            way.send(bytes(1000), 0.0)
        assert [len(list(way.take_arrived(now))) for now in (0.9, 1.0, 2.0, 3.0, 9.0)] == [0, 1, 1, 1, 0]
        assert (way.delivered, way.overflowed) == (3, 2)

    def test_late_packets_come_behind_those_that_left_after_them(self) -> None:
        way = Direction(Conditions(delay=1.0, reorder=1.0, reorder_delay=0.5), random.Random(0))
        way.send(b"late", 0.0)
        way.conditions.reorder = 0.0
        way.send(b"next", 0.1)
        assert list(way.take_arrived(2.0)) == [b"next", b"late"]
        assert way.reordered == 1

    def test_a_cut_takes_what_is_under_way(self) -> None:
        way = Direction(Conditions(delay=1.0), random.Random(0))
        way.send(b"under way", 0.0)
        way.conditions.is_cut = True
        way.send(b"into the cut", 0.5)
        assert list(way.take_arrived(5.0)) == []
        way.conditions.is_cut = False
        way.send(b"afterwards", 5.0)
        assert list(way.take_arrived(6.0)) == [b"afterwards"]
        assert (way.sent, way.lost, way.delivered) == (3, 2, 1)


@pytest.mark.usefixtures("namespaces")
class TestLink:
    def test_round_trips_take_twice_the_delay(self) -> None:
        with Link(delay=0.05) as link:
            sender, receiver = udp_pair(link)
            with sender, receiver:
                sender.settimeout(PATIENCE)
                times = []
                for _ in range(10):
                    began = time.monotonic()
                    sender.send(b"ping")
                    _, address = receiver.recvfrom(100)
                    receiver.sendto(b"pong", address)
                    sender.recv(100)
                    times.append(time.monotonic() - began)
        assert min(times) >= 0.1
        assert statistics.median(times) < 0.2

    def test_the_packets_lost_are_those_of_the_seed(self) -> None:
        dice = random.Random("7 right")
        survivors = [b"%d" % number for number in range(300) if (dice.random(), dice.random())[0] >= 0.2]
        with Link(loss=0.2, seed=7) as link:
            sender, receiver = udp_pair(link)
            with sender, receiver:
                for number in range(300):
                    sender.send(b"%d" % number)
                received = receive_until(receiver, survivors[-1])
        assert received == survivors
        assert 30 < link.to_right.lost < 90

    def test_a_tcp_connection_outlives_a_cut(self) -> None:
        with Link(delay=0.01) as link:
            left, right = tcp_pair(link)
            with left, right:
                right.settimeout(0.2)
                link.cut()
                left.sendall(b"hello")
                with pytest.raises(TimeoutError):
                    right.recv(5)
                link.heal()
                right.settimeout(PATIENCE)
                assert right.recv(5) == b"hello"
        assert link.to_right.lost > 0

    def test_a_rate_bounds_what_gets_through(self) -> None:
        with Link(rate=1e6) as link:
            left, right = tcp_pair(link)
            with left, right:
                began = time.monotonic()
                missing = left.send(bytes(40_000))
                while missing > 0:
                    missing -= len(right.recv(65536))
                seconds = time.monotonic() - began
        assert seconds >= 0.3

    def test_programs_run_at_an_end_and_are_gone_behind_the_block(self) -> None:
        show = "import socket; print(*(name for _, name in socket.if_nameindex()))"
        with Link() as link:
            done = link.left.run([sys.executable, "-c", show], capture_output=True, text=True)
            sleeper = link.right.start(["sleep", "60"])
        assert sorted(done.stdout.split()) == ["line", "lo"]
        assert sleeper.poll() is not None

    def test_this_process_is_back_home_behind_entered(self) -> None:
        names = socket.if_nameindex()
        with Link() as link, link.left.entered():
            assert socket.if_nameindex() != names
        assert socket.if_nameindex() == names


def test_without_a_namespace_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(lossy_link, "_make_network", refuse)
    assert "Operation not permitted" in (lossy_link.find_obstacle() or "")
