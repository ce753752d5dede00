"""A line between two networks of their own, with delay, a rate, loss, reordering and cuts.

Each end is a network namespace with a tun device; a thread moves the packets from one device to the other,
late, lost or out of order as the numbers say. Which packets are hit depends on nothing but the seed and how
many came before. Namespaces have no name and devices no owner but this process: nothing is left behind,
however it ends.

    with Link(delay=0.05, loss=0.01, rate=20e6, seed=7) as link:
        server = link.left.start([rtmpd, "serve", "--set", f"rtmp.listen={link.left.address}:1935"])
        with link.right.entered():
            sock = socket.create_connection((link.left.address, 1935))
        link.cut()

Needs Linux, /dev/net/tun and CAP_NET_ADMIN and CAP_SYS_ADMIN (root); ``find_obstacle`` says what is missing.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

_CLONE_NEWNET: Final = 0x40000000
_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
"""Packets come bare, without four bytes that tell their protocol."""
_DEVICE: Final = "line"
_LEFT, _RIGHT = "10.77.0.1", "10.77.0.2"
_MAX_PACKET: Final = 65536
_PACKETS_A_TURN: Final = 64
"""Read from one end before the other has its turn."""
_END_TIMEOUT: Final = 5.0

_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


@dataclass(slots=True)
class Conditions:
    """What happens to packets on the way; may be changed while they flow. Of each direction by itself."""

    delay: float = 0.0
    """Seconds from end to end, besides what the rate takes."""
    rate: float | None = None
    """Bit/s; None is as fast as the machine can."""
    queue_bytes: int = 1_000_000
    """What may wait in front of the rate; the rest is dropped, as a router does."""
    loss: float = 0.0
    """Share of the packets that vanish, 0 to 1."""
    reorder: float = 0.0
    """Share of the packets that come ``reorder_delay`` late, behind those that left after them."""
    reorder_delay: float = 0.01
    is_cut: bool = False
    """Everything vanishes, what is under way included."""


class Direction:
    """The way from one end to the other: packets in, packets out, and what became of each."""

    def __init__(self, conditions: Conditions, dice: random.Random) -> None:
        self.conditions = conditions
        self.sent = self.delivered = self.lost = self.overflowed = self.reordered = 0
        """Packets; ``lost`` by dice or by a cut, ``overflowed`` for want of room before the rate."""
        self._dice = dice
        self._under_way: list[tuple[float, int, bytes]] = []
        self._free_at = 0.0
        """When the line has sent what waits for it."""

    @property
    def next_at(self) -> float | None:
        """When the next packet arrives, None while nothing is under way."""
        return self._under_way[0][0] if self._under_way else None

    def send(self, packet: bytes, now: float) -> None:
        """A packet leaves one end."""
        conditions = self.conditions
        self.sent += 1
        # Thrown for every packet, so that the n-th one's fate depends on n alone.
        is_lost = self._dice.random() < conditions.loss
        is_late = self._dice.random() < conditions.reorder
        if is_lost or conditions.is_cut:
            self.lost += 1
            return
        leaves_at = now
        if conditions.rate is not None:
            waiting = max(0.0, self._free_at - now) * conditions.rate / 8
            if waiting + len(packet) > conditions.queue_bytes:
                self.overflowed += 1
                return
            leaves_at = self._free_at = max(now, self._free_at) + len(packet) * 8 / conditions.rate
        if is_late:
            self.reordered += 1
            leaves_at += conditions.reorder_delay
        heapq.heappush(self._under_way, (leaves_at + conditions.delay, self.sent, packet))

    def take_arrived(self, now: float) -> Iterator[bytes]:
        """The packets that have reached the other end by now."""
        while self._under_way and self._under_way[0][0] <= now:
            packet = heapq.heappop(self._under_way)[2]
            if self.conditions.is_cut:
                self.lost += 1
            else:
                self.delivered += 1
                yield packet


class End:
    """One end of a line: a network with a loopback and one device, whose peer is the other end."""

    def __init__(self, address: str, peer: str, mtu: int) -> None:
        self.address = address
        """IPv4 address, to be reached from either end."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._namespace, self.device = _in_thread(lambda: _make_network(address, peer, mtu))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes and programs that it starts in the block belong to this end.

        No await in it: whatever else runs meanwhile would be at this end as well.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._namespace)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def run(
        self, command: Sequence[str], timeout: float = 60.0, **options: Any
    ) -> subprocess.CompletedProcess[Any]:
        """``subprocess.run`` at this end."""
        with self.entered():
            return subprocess.run(command, check=False, timeout=timeout, **options)

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """``subprocess.Popen`` at this end; it ends with the line at the latest."""
        with self.entered():
            process = subprocess.Popen(command, **options)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_END_TIMEOUT)
        os.close(self.device)
        os.close(self._namespace)


class Link:
    """Two ends and the line between them, from ``with`` to the end of its block.

    Raises ``OSError`` where namespaces or tun devices are not to be had.
    """

    left: End
    right: End

    def __init__(
        self,
        *,
        delay: float = 0.0,
        rate: float | None = None,
        queue_bytes: int = 1_000_000,
        loss: float = 0.0,
        reorder: float = 0.0,
        reorder_delay: float = 0.01,
        mtu: int = 1500,
        seed: int = 0,
    ) -> None:
        """Of both directions alike; for more, set ``to_left.conditions`` and ``to_right.conditions``."""
        self._mtu = mtu
        self.to_right, self.to_left = (
            Direction(
                Conditions(delay, rate, queue_bytes, loss, reorder, reorder_delay),
                random.Random(f"{seed} {way}"),
            )
            for way in ("right", "left")
        )

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.left = End(_LEFT, _RIGHT, self._mtu)
            stack.callback(self.left.close)
            self.right = End(_RIGHT, _LEFT, self._mtu)
            stack.callback(self.right.close)
            stop_reader, stop_writer = os.pipe()
            stack.callback(os.close, stop_reader)
            mover = threading.Thread(target=self._move, args=(stop_reader,), name="line", daemon=True)
            mover.start()
            stack.callback(mover.join)
            stack.callback(os.close, stop_writer)
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def cut(self) -> None:
        """Nothing passes any more, in either direction; the ends are not told."""
        self.to_left.conditions.is_cut = self.to_right.conditions.is_cut = True

    def heal(self) -> None:
        """Undo ``cut``."""
        self.to_left.conditions.is_cut = self.to_right.conditions.is_cut = False

    def _move(self, stop: int) -> None:
        ways = [
            (self.left.device, self.to_right, self.right.device),
            (self.right.device, self.to_left, self.left.device),
        ]
        with select.epoll() as poll:
            for fileno in (stop, self.left.device, self.right.device):
                poll.register(fileno, select.EPOLLIN)
            while True:
                due = [at for _, way, _ in ways if (at := way.next_at) is not None]
                timeout = max(0.0, min(due) - time.monotonic()) if due else None
                ready = {fileno for fileno, _ in poll.poll(timeout)}
                if stop in ready:
                    return
                for source, way, target in ways:
                    if source in ready:
                        _read(source, way)
                    for packet in way.take_arrived(time.monotonic()):
                        _write(target, packet)


def find_obstacle() -> str | None:
    """Why there can be no Link here, None if there can."""
    if not _TUN.exists():
        return f"there is no {_TUN}"
    try:
        with Link():
            return None
    except OSError as error:
        return f"no network namespace with a tun device: {error}"


def _read(source: int, way: Direction) -> None:
    for _ in range(_PACKETS_A_TURN):
        try:
            packet = os.read(source, _MAX_PACKET)
        except BlockingIOError:
            return
        # A new device looks for IPv6 neighbours when it likes to: no packet of anybody's count.
        if packet[0] >> 4 == 4:
            way.send(packet, time.monotonic())


def _write(target: int, packet: bytes) -> None:
    # The device is down, or its queue is full: what a line loses.
    with contextlib.suppress(OSError):
        os.write(target, packet)


def _make_network(address: str, peer: str, mtu: int) -> tuple[int, int]:
    """A new network namespace and the tun device in it, as descriptors. The thread that calls stays there."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise _error("unshare")
    with contextlib.ExitStack() as stack:
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, namespace)
        device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, device)
        request = struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(device, _TUNSETIFF, request)
        for command in (
            f"link set dev {_DEVICE} mtu {mtu} up",
            f"address add {address} peer {peer} dev {_DEVICE}",
            "link set dev lo up",
        ):
            done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise OSError(f"ip {command}: {done.stderr.strip()}")
        stack.pop_all()
    return namespace, device


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise _error("setns")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


def _in_thread(work: Callable[[], _T]) -> _T:
    """Do it in a thread of its own, whose network may change with nobody noticing."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()
