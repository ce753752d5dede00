"""A slate as it is kept: an FLV file as packets, read once for all streams that show it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rtmpd.engine.books import Books
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.intake import Intake
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.packet import CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.publication import Home, Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats, StreamStats
from rtmpd.engine.terms import USUAL
from rtmpd.exceptions import ConfigError, FlvError
from rtmpd.media.codec_names import spoken
from rtmpd.media.codecs import AudioInfo, audio_info
from rtmpd.media.flv import FlvReader, FlvTag
from rtmpd.media.tags import CODED_FRAME, END_OF_SEQUENCE, KEYFRAME, audio_flags, video_flags
from rtmpd.media.timeline import Timeline
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_TAGS: Final = 200_000
"""About as many as an hour of pictures and sound has."""
LEAST_MS: Final = 1000
_PIECE: Final = 1024 * 1024
_KEY: Final = StreamKey("slate", "file")
_ENOUGH: Final = 1 << 62
_MEDIA: Final = (int(MessageType.AUDIO), int(MessageType.VIDEO))
_DATA: Final = int(MessageType.DATA_AMF0)


class SlateFile:
    """What is shown: packets as every stream is sent them, but for their time.

    Raises ConfigError, whose sentence begins with the file, where it cannot be read or shown.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _read(path)
        self.size = len(data)
        """Bytes."""
        script, reader = _Script(), FlvReader()
        script.play(_tags(path, data, reader))
        stats = script.stats
        self.is_cut_off = reader.incomplete
        """It ends in the middle of a message, or what follows is none."""
        self.left_out = script.begun
        """What comes before its first key frame (ms)."""
        self.headers: tuple[Packet, ...] = tuple(script.headers)
        """What comes before the first frame."""
        self.packets: tuple[Packet, ...] = tuple(script.packets)
        """Frames, and headers between them, stamped from 0 on (ms)."""
        self.duration = script.duration
        """From one beginning to the next (ms)."""
        self.changes = any(packet.flags & CACHED_HEADER for packet in self.packets)
        """Its headers have to be sent anew each time it begins again."""
        self.video, self.audio = stats.video.codec, stats.audio.codec
        """FourCCs or their legacy equivalents; None for a medium that it does not have."""
        self.width, self.height = stats.width, stats.height
        self.sound: AudioInfo | None = audio_info(script.intake.headers.header(_MEDIA[0]))
        self.interval = script.longest_gop
        """Longest way from a key frame to the next, the first of the next round included (ms)."""
        if (problem := self._find_problem(script)) is not None:
            raise ConfigError([f"{path}: {problem}"])

    def __str__(self) -> str:
        return f"{self.media}, {self.duration / 1000:.1f} s, {self.size / 2**20:.1f} MiB"

    @property
    def media(self) -> str:
        """Its codecs, the size of its picture and the rate of its sound, in words."""
        rate = None if self.sound is None else self.sound.sample_rate
        return in_words(self.video, self.width, self.height, self.audio, rate)

    @property
    def kbps(self) -> float:
        """Bitrate on average."""
        return sum(len(packet.payload) for packet in self.packets) * 8 / self.duration

    def _find_problem(self, script: _Script) -> str | None:
        if script.has_video and not any(each.flags & KEYFRAME for each in self.packets):
            return "its video has no key frame behind a sequence header"
        broken = ", and breaks off there" if self.is_cut_off else ""
        if not self.packets:
            return f"it holds neither video nor audio that can be shown{broken}"
        if self.duration < LEAST_MS:
            return f"it lasts {self.duration} ms{broken}: a slate has at least a second"
        return None


def in_words(
    video: str | None, width: int | None, height: int | None, audio: str | None, rate: int | None
) -> str:
    """What a stream holds: FourCCs, pixels, samples a second; None where it has none, or does not say."""
    size = f" {width}x{height}" if width and height else ""
    picture = "no picture" if video is None else f"{spoken(video)}{size}"
    sound = "no sound" if audio is None else spoken(audio)
    return f"{picture}, {sound}{f' {rate / 1000:g} kHz' if audio is not None and rate else ''}"


class _Script(Home):
    """Plays a file to nobody, and notes the packets that a stream would have had."""

    __slots__ = (
        "_keyframe_at",
        "_timeline",
        "begun",
        "duration",
        "has_video",
        "headers",
        "intake",
        "longest_gop",
        "packets",
        "stats",
    )

    def __init__(self) -> None:
        super().__init__(_KEY)
        self.stats = StreamStats()
        books = Books(self.stats, ServerStats())
        limits = EngineLimits(gop=GopLimits(max_bytes=0))
        self.intake = Intake.within(limits, _KEY, books, MemoryBudget(_ENOUGH, lambda: None), 0.0)
        self.headers: list[Packet] = []
        self.packets: list[Packet] = []
        self.duration = 0
        self.has_video = False
        self.longest_gop = 0
        self.begun = 0
        """When its first frame was (ms)."""
        self._keyframe_at: int | None = None
        self._timeline = Timeline()

    def play(self, tags: Iterator[FlvTag]) -> None:
        """All of it."""
        publication = Publication(self, self.intake, _Owner(), NOBODY, USUAL, StreamObserver(), 0.0)
        for tag in tags:
            kind, payload = tag.type, tag.payload
            if kind not in _MEDIA:
                if kind == _DATA:
                    time = self._timeline.place_other(kind, tag.timestamp)
                    publication.receive(Message(kind, time, 1, payload), time / 1000)
                continue
            flags = video_flags(payload) if kind == VIDEO else audio_flags(payload)
            if flags & END_OF_SEQUENCE:
                continue
            place = self._timeline.place_frame if flags & CODED_FRAME else self._timeline.place_other
            self.has_video |= kind == VIDEO
            time = place(kind, tag.timestamp)
            publication.receive(Message(kind, time & 0xFFFFFFFF, 1, payload), time / 1000)
        self.duration = self._timeline.end - self.begun
        self._note_keyframe(self._timeline.end)
        for packet in self.packets:
            packet.timestamp -= self.begun

    @property
    def watched(self) -> bool:
        return True

    def push(self, packet: Packet) -> None:
        if packet.flags & CACHED_HEADER:
            (self.packets or self.headers).extend(self.intake.take_in_header(packet))
        elif self.intake.take_in(packet):
            if packet.kind == VIDEO and packet.flags & KEYFRAME:
                self._note_keyframe(packet.timestamp)
                if self._keyframe_at is None:
                    self._begin(packet)
                self._keyframe_at = packet.timestamp
            self.begun = self.begun if self.packets else packet.timestamp
            self.packets.append(packet)

    def switched(self, _publication: Publication, _packet: Packet, _steady_for: float) -> bool:
        return False

    def end(self, publication: Publication) -> None:
        """There is nobody to tell."""

    def _begin(self, keyframe: Packet) -> None:
        """What came before the first key frame is left out: sound that has no picture."""
        self.headers += [each for each in self.packets if each.flags & CACHED_HEADER]
        self.packets.clear()
        self.begun = keyframe.timestamp

    def _note_keyframe(self, time: int) -> None:
        if self._keyframe_at is not None:
            self.longest_gop = max(self.longest_gop, time - self._keyframe_at)


class _Owner:
    """Of a publication that nobody ends."""

    def close(self, reason: CloseReason) -> None:
        """Nobody is there."""


def _read(path: Path) -> bytes:
    """Raises ConfigError."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError([f"{path}: is no file"])
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        missing = f"; `rtmpd slate make PICTURE {path}` makes one" if error.errno == 2 else ""
        raise ConfigError([f"{path}: cannot be read: {error.strerror}{missing}"]) from error
    if len(data) > MAX_BYTES:
        text = f"{path}: is larger than {MAX_BYTES // 2**20} MiB, which are kept in memory: make it shorter"
        raise ConfigError([text])
    return data


def _without_waiting(path: str, flags: int) -> int:
    """A pipe or a device would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _tags(path: Path, data: bytes, reader: FlvReader) -> Iterator[FlvTag]:
    """Raises ConfigError."""
    count = 0
    for offset in range(0, len(data), _PIECE):
        try:
            tags = reader.receive_data(data[offset : offset + _PIECE])
        except FlvError as error:
            raise ConfigError([f"{path}: {error}"]) from error
        count += len(tags)
        if count > MAX_TAGS:
            raise ConfigError([f"{path}: has more than {MAX_TAGS:,} messages: make it shorter"])
        yield from tags
    if not reader.header_parsed:
        raise ConfigError([f"{path}: is {'no FLV file' if data else 'empty'}"])
