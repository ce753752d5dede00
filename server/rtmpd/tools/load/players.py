"""Many players in one process: a few that read every packet, and many whose bytes are only counted.

A *parsed* player takes the stream apart: it measures latency and missing packets. A *counted* player is
parsed up to its first key frame; after that it reads as soon as something arrives, too, but the bytes are
thrown away, by the kernel where it can, which costs about two microseconds, and lets one core hold thousands.
The server cannot tell them from each other.

With a ``drain_interval`` counted players read only so often. Their acknowledgements are then as late as those
of players far away, which lets servers that leave Nagle's algorithm on send larger and cheaper pieces later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from rtmpd.exceptions import ProtocolError, UsageError
from rtmpd.media.tags import KEYFRAME, video_flags
from rtmpd.net.tasks import TaskSet
from rtmpd.rtmp import control
from rtmpd.rtmp.chunk_writer import encode_message
from rtmpd.rtmp.constants import CSID_CONTROL, MessageType
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.url import RtmpUrl
from rtmpd.tools.load.common import Dialled, Dialler, Distribution, dial_all, refusal, stream_name
from rtmpd.tools.load.http_players import HttpDialler, HttpUrl
from rtmpd.tools.load.media import read_stamp

NO_MEDIA_SECONDS: Final = 3.0
"""Nobody publishes what not one player has got a byte of media of after this time."""
_LATENESS_INTERVAL: Final = 0.002
_SLICES: Final = 25
"""Players that read now and then do so in as many groups, so that parsed players are not held up by them."""
_ARRIVALS_AT_ONCE: Final = 256
_READ_BYTES: Final = 256 * 1024
_BUFFER: Final = memoryview(bytearray(1024 * 1024))
# On Linux a truncating read of a TCP socket drops the bytes without copying them.
_DISCARD: Final = socket.MSG_TRUNC if sys.platform == "linux" else 0
_AUDIO: Final = int(MessageType.AUDIO)
_VIDEO: Final = int(MessageType.VIDEO)


@dataclass(frozen=True, slots=True)
class PlayLoad:
    """What to do to the server. Times in seconds."""

    players: int
    duration: float
    """Of the measurement, which begins when every player has a picture."""
    warmup: float = 1.0
    """Between the last picture and the measurement."""
    patience: float = 15.0
    """How long to wait for pictures after the last player connected; ``NO_MEDIA_SECONDS`` at most while no
    media comes at all."""
    rate: float = 0.0
    """Players that join in a second; 0 is as fast as they are answered."""
    streams: int = 1
    """Streams that the players are spread over, by the ``{i}`` in the name."""
    parsed: int = 32
    """Players that take their stream apart, spread evenly over those that do not stall."""
    stalled: int = 0
    """Players that stop reading at their first key frame, spread evenly over all."""
    drain_interval: float = 0.0
    """Between two reads of a counted player; 0 reads at once."""

    def __post_init__(self) -> None:
        if self.players < 1 or self.streams < 1 or self.duration <= 0:
            raise UsageError("players, streams and duration are all more than 0")
        if not self.drain_interval and not hasattr(select, "epoll"):
            raise UsageError("players that read at once need Linux: give a drain interval, such as 0.05")


@dataclass(frozen=True, slots=True)
class PlayReport:
    """What the players saw. Bytes and times are of the measurement only, joining times of all."""

    players: int
    parsed: int
    stalled: int
    failures: dict[str, int]
    """Players that could not connect or play, by reason."""
    closed: int
    """Players whose connection the server ended; those that stopped reading do not notice it."""
    without_picture: int
    joining_seconds: float
    """From the first connect to the last."""
    connect_ms: Distribution
    """From the first SYN to the answer to connect."""
    first_frame_ms: Distribution
    """From the first SYN to the first key frame."""
    seconds: float
    """0 when nobody had a picture, so that there was nothing to measure."""
    bytes: int
    bits_per_second: Distribution
    """Of each player that reads."""
    longest_silence_ms: Distribution
    """Of each player that reads: its longest time without a byte."""
    latency_ms: Distribution
    """Of each stamped packet at the parsed players; none when the publisher does not stamp."""
    packets: int
    """Stamped packets at the parsed players."""
    missing: int
    """Numbers that were skipped among them."""
    cpu_seconds: float
    """Of this process: at more than about 0.8 times ``seconds`` it measures itself."""
    late_ms: Distribution
    """How late this process ran what was due, which is in every latency above."""

    @property
    def empty(self) -> bool:
        """Nothing came through. Players that all stop reading on purpose have their pictures only."""
        return not self.bytes and self.stalled < self.players


class _Player:
    """One connection, from its first byte of media."""

    __slots__ = (
        "acknowledge_every",
        "acknowledged",
        "bytes",
        "closed",
        "first_frame_at",
        "joined_ns",
        "last_at",
        "last_number",
        "link",
        "longest_silence",
        "parsed",
        "reader",
        "recv_into",
        "sock",
        "stalled",
    )

    def __init__(self, link: Dialled, *, parsed: bool, stalled: bool, now: float) -> None:
        self.link = link
        self.sock = link.sock
        self.recv_into = link.sock.recv_into
        self.reader = link.reader
        self.acknowledge_every = link.acknowledge_every
        self.parsed = parsed
        self.stalled = stalled
        self.bytes = 0
        self.acknowledged = 0
        self.last_at = now
        self.longest_silence = 0.0
        self.joined_ns = time.monotonic_ns()
        self.first_frame_at = 0.0
        self.last_number = -1
        self.closed = False

    def heard(self, size: int, now: float) -> None:
        """Count an arrival."""
        self.bytes += size
        silence = now - self.last_at
        self.last_at = now
        if silence > self.longest_silence:
            self.longest_silence = silence
        if self.bytes - self.acknowledged >= self.acknowledge_every:
            self.acknowledged = self.bytes
            report = control.acknowledgement(self.bytes & 0xFFFFFFFF)
            _send(self.sock, report)


@dataclass(slots=True)
class _Measured:
    """What the parsed players add up, from the beginning of the measurement."""

    latencies: list[float] = field(default_factory=list)
    """Seconds."""
    missing: int = 0
    lateness: list[float] = field(default_factory=list)
    """Seconds."""


class PlayerCrowd:
    """Runs one PlayLoad. ``on_phase`` is told ``joined``, ``measuring`` and ``measured`` as they come."""

    _arrivals: select.epoll

    def __init__(self, url: RtmpUrl | HttpUrl, load: PlayLoad, on_phase: Callable[[str], None]) -> None:
        self._url = url
        self._load = load
        self._on_phase = on_phase
        self._loop = asyncio.get_running_loop()
        self._players: list[_Player] = []
        self._counted: dict[int, _Player] = {}
        """By file descriptor; these are no business of the event loop."""
        self._slices: list[list[_Player]] = [[] for _ in range(_SLICES)]
        self._stalled = set(_evenly(range(load.players), load.stalled))
        others = [index for index in range(load.players) if index not in self._stalled]
        self._parsed = set(_evenly(others, load.parsed))
        self._failures: dict[str, int] = {}
        self._waiting = load.players
        """Players that may still see their first picture."""
        self._all_playing = asyncio.Event()
        """Or gone."""
        self._any_media = asyncio.Event()
        self._measured = _Measured()
        self._tasks = TaskSet()

    async def run(self) -> PlayReport:
        """Join, wait for pictures, measure, leave; without a picture there is nothing to measure.

        Raises ``UsageError`` for a bad URL, ``ConnectFailed`` for a host that cannot be found.
        """
        load = self._load
        dialler = await _resolve(self._url)
        self._tasks.start(self._measure_lateness(), name="lateness")
        if load.drain_interval:
            self._tasks.start(self._drain_slices(load.drain_interval), name="drain")
        else:
            self._arrivals = select.epoll()
            self._loop.add_reader(self._arrivals, self._drain_arrived)
        try:
            begin = self._loop.time()
            await dial_all(load.players, load.rate, lambda i: self._join(dialler, i), self._failures)
            joining = self._loop.time() - begin
            self._waiting -= sum(self._failures.values())
            await self._wait_for_pictures()
            self._on_phase("joined")
            if any(player.first_frame_at for player in self._players):
                await asyncio.sleep(load.warmup)
                self._on_phase("measuring")
                return await self._measure(joining, load.duration)
            return await self._measure(joining, 0.0)
        finally:
            self._tasks.cancel()
            for player in self._players:
                self._close(player)
            if not load.drain_interval:
                self._loop.remove_reader(self._arrivals)
                self._arrivals.close()

    # Joining

    async def _join(self, dialler: Dialler | HttpDialler, index: int) -> None:
        load = self._load
        link = await dialler.play(stream_name(self._url.name, index, load.streams))
        player = _Player(
            link, parsed=index in self._parsed, stalled=index in self._stalled, now=self._loop.time()
        )
        self._players.append(player)
        self._loop.add_reader(link.sock, self._read, player)
        self._take(player, link.early)

    async def _wait_for_pictures(self) -> None:
        if self._waiting <= 0:
            return
        patience = self._load.patience
        with contextlib.suppress(TimeoutError):  # The report says how many are without.
            async with asyncio.timeout(min(patience, NO_MEDIA_SECONDS)) as deadline:
                await self._any_media.wait()
                deadline.reschedule(self._loop.time() + patience)
                await self._all_playing.wait()

    def _has_picture(self, player: _Player) -> None:
        player.first_frame_at = self._loop.time()
        self._waiting -= 1
        self._set_if_nobody_waits()
        if not player.parsed and not player.closed:
            self._loop.remove_reader(player.sock)
            if not player.stalled:
                self._count_only(player)

    # Receiving

    def _read(self, player: _Player) -> None:
        """A parsed player's socket, or that of one without a picture, has something."""
        try:
            data = player.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(player)
            return
        player.heard(len(data), self._loop.time())
        try:
            self._take(player, player.reader.receive_data(data))
        except ProtocolError as error:
            self._fail(player, str(error))

    def _take(self, player: _Player, messages: list[Message]) -> None:
        now_ns = time.monotonic_ns()
        measured = self._measured
        for message in messages:
            kind = message.type
            if kind != _VIDEO and kind != _AUDIO:
                self._take_other(player, message)
                continue
            payload = message.payload
            self._any_media.set()
            if not player.first_frame_at and kind == _VIDEO and video_flags(payload) & KEYFRAME:
                self._has_picture(player)
            stamp = read_stamp(payload)
            # What is older than the player came out of a cache: that is no latency.
            if stamp is None or stamp[0] < player.joined_ns:
                continue
            measured.latencies.append((now_ns - stamp[0]) / 1e9)
            if player.last_number >= 0:
                measured.missing += max(0, stamp[1] - player.last_number - 1)
            player.last_number = stamp[1]

    def _take_other(self, player: _Player, message: Message) -> None:
        refused = refusal(message)
        if refused is not None:
            self._fail(player, str(refused))
        elif message.type == MessageType.USER_CONTROL:
            event = control.parse_user_control(message.payload)
            if isinstance(event, control.PingRequest):
                _send(player.sock, control.user_control(control.PingResponse(event.timestamp)))

    def _count_only(self, player: _Player) -> None:
        number = player.sock.fileno()
        self._counted[number] = player
        if self._load.drain_interval:
            self._slices[number % _SLICES].append(player)
        else:
            self._arrivals.register(number, select.EPOLLIN)

    def _drain_arrived(self) -> None:
        """Counted players' sockets have something."""
        counted = self._counted
        for number, _ in self._arrivals.poll(0, _ARRIVALS_AT_ONCE):
            self._drain(counted[number])

    async def _drain_slices(self, interval: float) -> None:
        """Drain the counted players, one slice after the other, for ever."""
        loop = self._loop
        due = loop.time()
        for members in itertools.cycle(self._slices):
            due = max(due + interval / _SLICES, loop.time())
            await asyncio.sleep(due - loop.time())
            for player in members:
                if not player.closed:
                    self._drain(player)

    def _drain(self, player: _Player) -> None:
        try:
            size = player.recv_into(_BUFFER, 0, _DISCARD)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size:
            player.heard(size, self._loop.time())
        else:
            self._close(player)

    async def _measure_lateness(self) -> None:
        loop = self._loop
        while True:
            due = loop.time() + _LATENESS_INTERVAL
            await asyncio.sleep(_LATENESS_INTERVAL)
            self._measured.lateness.append(max(0.0, loop.time() - due))

    # Leaving

    def _fail(self, player: _Player, text: str) -> None:
        self._failures[text] = self._failures.get(text, 0) + 1
        self._close(player)

    def _close(self, player: _Player) -> None:
        if player.closed:
            return
        player.closed = True
        if self._counted.pop(player.sock.fileno(), None) is None:
            self._loop.remove_reader(player.sock)
        player.sock.close()
        if not player.first_frame_at:
            self._waiting -= 1
            self._set_if_nobody_waits()

    def _set_if_nobody_waits(self) -> None:
        if self._waiting <= 0:
            self._any_media.set()
            self._all_playing.set()

    # The measurement

    async def _measure(self, joining: float, duration: float) -> PlayReport:
        readers = [player for player in self._players if not player.stalled and not player.closed]
        started = self._loop.time()
        for player in readers:
            player.longest_silence = 0.0
            player.last_at = started
        before = [player.bytes for player in readers]
        cpu_before = time.process_time()
        measured = self._measured = _Measured()
        await asyncio.sleep(duration)
        ended = self._loop.time()
        cpu = time.process_time() - cpu_before
        received = [player.bytes - base for player, base in zip(readers, before, strict=True)]
        silences = [max(player.longest_silence, ended - player.last_at) for player in readers]
        closed = sum(player.closed for player in self._players)
        self._on_phase("measured")
        playing = [player for player in self._players if player.first_frame_at]
        links = [player.link for player in self._players]
        seconds = ended - started if duration else 0.0
        return PlayReport(
            players=self._load.players,
            parsed=sum(player.parsed for player in playing),
            stalled=sum(player.stalled for player in playing),
            failures=self._failures,
            closed=closed,
            without_picture=self._load.players - len(playing),
            joining_seconds=round(joining, 3),
            connect_ms=Distribution.of([link.connected_at - link.started_at for link in links], 1e3),
            first_frame_ms=Distribution.of(
                [player.first_frame_at - player.link.started_at for player in playing], 1e3
            ),
            seconds=round(seconds, 3),
            bytes=sum(received),
            bits_per_second=Distribution.of([size * 8 / seconds for size in received] if seconds else []),
            longest_silence_ms=Distribution.of(silences, 1e3),
            latency_ms=Distribution.of(measured.latencies, 1e3),
            packets=len(measured.latencies),
            missing=measured.missing,
            cpu_seconds=round(cpu, 3),
            late_ms=Distribution.of(measured.lateness, 1e3),
        )


def _evenly(values: Sequence[int], wanted: int) -> list[int]:
    """``wanted`` of ``values``, or all if they are fewer, spread evenly over them."""
    wanted = min(wanted, len(values))
    return [values[len(values) * number // wanted] for number in range(wanted)]


def _send(sock: socket.socket, message: Message) -> None:
    """Say something small; a connection that cannot take it is found out when it is read."""
    with contextlib.suppress(OSError):
        sock.send(encode_message(message.type, 0, 0, message.payload, CSID_CONTROL, 4096))


async def _resolve(url: RtmpUrl | HttpUrl) -> Dialler | HttpDialler:
    return await (HttpDialler.resolve(url) if isinstance(url, HttpUrl) else Dialler.resolve(url, 4096))
