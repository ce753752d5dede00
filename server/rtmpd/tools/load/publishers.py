"""Many publishers in one process.

They are put into a few groups that run at different phases. A packet is made, stamped and encoded once for
its group, then sent to each member in a write of its own, as each encoder sends its own.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rtmpd.exceptions import UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.constants import MEDIA_CSIDS
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.load.common import Dialled, Dialler, Distribution, dial_all, stream_name
from rtmpd.tools.load.media import MediaSpec, Programme

MAX_BACKLOG_BYTES: Final = 2 * 1024 * 1024
"""A publisher with more than this unsent drops its packets, as encoders do."""
_MAX_GROUPS: Final = 20
_DRAIN_INTERVAL: Final = 0.5
_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PublishLoad:
    """What to do to the server. Times in seconds."""

    publishers: int
    duration: float
    """Of the measurement, which begins when all publishers send."""
    warmup: float = 1.0
    rate: float = 0.0
    """Publishers that connect in a second; 0 is as fast as they are answered."""
    chunk_size: int = 4096
    media: MediaSpec = field(default_factory=MediaSpec)

    def __post_init__(self) -> None:
        if self.publishers < 1 or self.duration <= 0:
            raise UsageError("publishers and duration are more than 0")
        if not 1 <= self.chunk_size <= 0xFFFFFF:
            raise UsageError("a chunk size is from 1 to 16777215 bytes")


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What the publishers sent. Everything but the connect times is of the measurement only."""

    publishers: int
    failures: dict[str, int]
    closed: int
    """Publishers whose connection the server ended, ever."""
    joining_seconds: float
    connect_ms: Distribution
    """From the first SYN to the answer to connect."""
    seconds: float
    bytes: int
    """Taken by the sockets."""
    packets: int
    dropped: int
    """Packets that a publisher could not send because the server reads too slowly."""
    stalls: int
    """Writes that the socket did not take at once in whole."""
    cpu_seconds: float
    """Of this process: at more than about 0.8 times ``seconds`` it measures itself."""
    late_ms: Distribution
    """How late packets were made."""

    @property
    def empty(self) -> bool:
        """Nothing went out."""
        return not self.bytes


@dataclass(slots=True)
class _Counts:
    bytes: int = 0
    packets: int = 0
    dropped: int = 0
    stalls: int = 0
    lateness: list[float] = field(default_factory=list)


class _Publisher:
    """One connection on which publishing has begun."""

    __slots__ = ("backlog", "closed", "link", "send", "sock")

    def __init__(self, link: Dialled) -> None:
        self.link = link
        self.sock = link.sock
        self.send = link.sock.send
        self.backlog = b""
        self.closed = False


class _Group:
    """Publishers that send the same packets at the same time."""

    def __init__(self, programme: Programme, started_at: float) -> None:
        self.programme = programme
        self.started_at = started_at
        self.waiting: list[_Publisher] = []
        """They begin with the next key frame."""
        self.members: dict[int, list[_Publisher]] = {}
        """By message stream id, which most servers make the same for all."""


class PublisherCrowd:
    """Runs one PublishLoad. ``on_phase`` is told ``joined``, ``measuring`` and ``measured`` as they come."""

    def __init__(self, url: RtmpUrl, load: PublishLoad, on_phase: Callable[[str], None]) -> None:
        self._url = url
        self._load = load
        self._on_phase = on_phase
        self._loop = asyncio.get_running_loop()
        self._publishers: list[_Publisher] = []
        self._failures: dict[str, int] = {}
        self._counts = _Counts()
        self._tasks = TaskSet()

    async def run(self) -> PublishReport:
        """Connect, publish, measure, leave; where nobody could publish there is nothing to measure.

        Raises ``UsageError`` for a bad URL, ``ConnectFailed`` for a host that cannot be found.
        """
        load = self._load
        dialler = await Dialler.resolve(self._url, load.chunk_size)
        groups = self._make_groups()
        self._tasks.start(self._drain(), name="drain")
        try:
            begin = self._loop.time()
            await dial_all(
                load.publishers,
                load.rate,
                lambda i: self._join(dialler, i, groups[i % len(groups)]),
                self._failures,
            )
            joining = self._loop.time() - begin
            if not self._publishers:
                self._on_phase("joined")
                return await self._measure(joining, 0.0)
            # Every group passes a key frame in this time, so that all are members.
            await asyncio.sleep(load.media.keyframe_interval)
            self._on_phase("joined")
            await asyncio.sleep(load.warmup)
            self._on_phase("measuring")
            return await self._measure(joining, load.duration)
        finally:
            self._tasks.cancel()
            for publisher in self._publishers:
                self._close(publisher)

    def _make_groups(self) -> list[_Group]:
        load = self._load
        number = min(_MAX_GROUPS, load.publishers)
        now = self._loop.time()
        interval = load.media.keyframe_interval
        groups = [_Group(Programme(load.media), now + interval * index / number) for index in range(number)]
        for group in groups:
            self._tasks.start(self._send_group(group), name="group")
        return groups

    async def _join(self, dialler: Dialler, index: int, group: _Group) -> None:
        link = await dialler.publish(stream_name(self._url.name, index, self._load.publishers))
        publisher = _Publisher(link)
        self._publishers.append(publisher)
        group.waiting.append(publisher)

    # Sending

    async def _send_group(self, group: _Group) -> None:
        loop = self._loop
        programme = group.programme
        while True:
            due = group.started_at + programme.due
            # Sleeps even when it is late, so that others run too.
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._counts.lateness.append(max(0.0, loop.time() - due))
            if programme.at_keyframe and group.waiting:
                self._admit(group)
            now_ns = time.monotonic_ns()
            packet = programme.next_packet(0, now_ns)
            for stream_id, members in group.members.items():
                packet.stream_id = stream_id
                image = self._encode(packet)
                for publisher in members:
                    self._send(publisher, image)

    def _admit(self, group: _Group) -> None:
        timestamp = round(group.programme.due * 1000)
        for publisher in group.waiting:
            stream_id = publisher.link.stream_id
            for message in group.programme.headers(stream_id, timestamp):
                self._send(publisher, self._encode(message))
            group.members.setdefault(stream_id, []).append(publisher)
        group.waiting.clear()

    def _send(self, publisher: _Publisher, image: bytes) -> None:
        counts = self._counts
        if publisher.closed:
            return
        if publisher.backlog:
            if len(publisher.backlog) < MAX_BACKLOG_BYTES:
                publisher.backlog += image
            else:
                counts.dropped += 1
            return
        try:
            sent = publisher.send(image)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(publisher)
            return
        counts.bytes += sent
        counts.packets += 1
        if sent < len(image):
            counts.stalls += 1
            publisher.backlog = image[sent:]
            self._loop.add_writer(publisher.sock, self._send_backlog, publisher)

    def _send_backlog(self, publisher: _Publisher) -> None:
        try:
            sent = publisher.send(publisher.backlog)
        except BlockingIOError:
            return
        except OSError:
            self._close(publisher)
            return
        self._counts.bytes += sent
        publisher.backlog = publisher.backlog[sent:]
        if not publisher.backlog:
            self._loop.remove_writer(publisher.sock)

    def _encode(self, message: Message) -> bytes:
        return encode_message(
            message.type,
            message.timestamp,
            message.stream_id,
            message.payload,
            MEDIA_CSIDS[message.type],
            self._load.chunk_size,
        )

    # Receiving

    async def _drain(self) -> None:
        """Read and forget what servers say to publishers, and notice those that hang up."""
        while True:
            await asyncio.sleep(_DRAIN_INTERVAL)
            for publisher in self._publishers:
                if not publisher.closed and not _drained(publisher.sock):
                    self._close(publisher)

    def _close(self, publisher: _Publisher) -> None:
        if not publisher.closed:
            publisher.closed = True
            self._loop.remove_writer(publisher.sock)
            publisher.sock.close()

    async def _measure(self, joining: float, duration: float) -> PublishReport:
        counts = self._counts = _Counts()
        started = self._loop.time()
        cpu_before = time.process_time()
        await asyncio.sleep(duration)
        seconds = self._loop.time() - started if duration else 0.0
        cpu = time.process_time() - cpu_before
        closed = sum(publisher.closed for publisher in self._publishers)
        self._on_phase("measured")
        links = [publisher.link for publisher in self._publishers]
        return PublishReport(
            publishers=self._load.publishers,
            failures=self._failures,
            closed=closed,
            joining_seconds=round(joining, 3),
            connect_ms=Distribution.of([link.connected_at - link.started_at for link in links], 1e3),
            seconds=round(seconds, 3),
            bytes=counts.bytes,
            packets=counts.packets,
            dropped=counts.dropped,
            stalls=counts.stalls,
            cpu_seconds=round(cpu, 3),
            late_ms=Distribution.of(counts.lateness, 1e3),
        )


def _drained(sock: socket.socket) -> bool:
    """Read what there is; False at the end of the connection."""
    try:
        return bool(sock.recv(_READ_BYTES))
    except BlockingIOError:
        return True
    except OSError:
        return False
