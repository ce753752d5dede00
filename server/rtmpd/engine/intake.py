"""What becomes of a packet before it is delivered: gates and caches, and the burst for a joiner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rtmpd.engine.books import Books
from rtmpd.engine.gop import GopCache
from rtmpd.engine.headers import HeaderCache, Stored
from rtmpd.engine.packet import AUDIO, CACHED_HEADER, VIDEO, Packet
from rtmpd.engine.segment import Encoding
from rtmpd.engine.sink import StartPolicy
from rtmpd.engine.stats import DropReason
from rtmpd.media.tags import (
    CODED_FRAME,
    END_OF_SEQUENCE,
    KEYFRAME,
    MULTITRACK,
    SEQUENCE_HEADER,
    parse_audio,
    parse_video,
)

_NEEDS_HEADER: Final = frozenset({"avc1", "hvc1", "vvc1", "mp4a", "fLaC"})
"""Codecs whose frames mean nothing to a decoder without the sequence header."""
_RARE: Final = CACHED_HEADER | END_OF_SEQUENCE | KEYFRAME


class Opening(NamedTuple):
    """What a joiner is sent at once."""

    headers: list[Packet]
    frames: Sequence[bytes]
    """Images; live, to be written at once."""
    messages: int
    """How many are in ``frames``."""
    synced: bool
    """Any video frame may follow."""


class Intake:
    """The state of a publication as far as it has been delivered.

    Two gates hold back for everybody what nobody can decode: frames before the header that their codec needs,
    and video before the first keyframe.
    """

    __slots__ = (
        "_anchor_track",
        "_audio_open",
        "_books",
        "_video_open",
        "gop",
        "headers",
        "timestamp",
    )

    def __init__(self, headers: HeaderCache, gop: GopCache, books: Books) -> None:
        self.headers = headers
        self.gop = gop
        self._books = books
        self.begin()

    def begin(self) -> None:
        """A new publication: the gates are closed."""
        self._video_open = False
        self._audio_open = False
        self._anchor_track: int | None = None
        self.timestamp = 0
        """Of the last packet that was no header (64-bit ms)."""

    def clear(self) -> None:
        """The publication has ended."""
        self.headers.clear()
        self.gop.clear()

    def take_in(self, packet: Packet) -> bool:
        """Pass the gates and into the caches; False when the packet is dropped for everybody."""
        flags = packet.flags
        kind = packet.kind
        if flags & _RARE:
            if flags & CACHED_HEADER:
                return self._take_in_header(packet)
            if flags & END_OF_SEQUENCE:
                return True
            if not self._pass_keyframe(packet):
                return False
        elif kind == VIDEO:
            if not self._video_open and flags & CODED_FRAME:
                self._books.drop(DropReason.NO_KEYFRAME)
                return False
        elif kind == AUDIO and not self._audio_open and flags & CODED_FRAME:
            codec = parse_audio(packet.payload).codec
            if codec in _NEEDS_HEADER and not self.headers.has_header(AUDIO, codec):
                self._books.drop(DropReason.NO_HEADER)
                return False
            self._audio_open = True
        self.timestamp = packet.timestamp
        self.gop.append(packet)
        return True

    def opening(self, encoding: Encoding, start: StartPolicy, *, audio: bool, video: bool) -> Opening:
        """What a joiner is sent that wants ``audio`` and ``video``."""
        gop = self.gop
        synced = not self._video_open or start is StartPolicy.LIVE
        timestamp = self.timestamp
        frames: Sequence[bytes] = ()
        messages = 0
        if start is StartPolicy.GOP:
            synced = synced or gop.whole
            if gop.whole or not gop.has_keyframe:
                burst = gop.burst(encoding.for_frames, audio=audio, video=video)
                frames, messages = burst.images(), burst.messages
                if messages:
                    timestamp = burst.timestamp
            elif video:
                # Stamped now, or the player would play the gap up to the live packets as a pause.
                frames = [encoding.for_frames.image([p.restamped(timestamp) for p in gop.packets])]
                messages = 1
        headers = self.headers.packets(timestamp, audio=audio, video=video)
        return Opening(headers, frames, messages, synced)

    def _take_in_header(self, packet: Packet) -> bool:
        stored = self.headers.store(packet)
        if stored is Stored.REFUSED:
            self._books.drop(DropReason.HEADER_CAP)
            return False
        if packet.flags & SEQUENCE_HEADER:
            if stored is Stored.REPEATED:
                self._books.stream.sequence_header_repeats += 1
            else:
                # What is cached cannot be decoded with the new header.
                self.gop.clear()
                if stored is Stored.CHANGED:
                    self._books.stream.sequence_header_changes += 1
        return True

    def _pass_keyframe(self, packet: Packet) -> bool:
        tag = parse_video(packet.payload)
        if tag.codec in _NEEDS_HEADER and not self.headers.has_header(VIDEO, tag.codec):
            self._books.drop(DropReason.NO_HEADER)
            return False
        if packet.flags & MULTITRACK:
            # A GOP begins at the keyframe of the track that was seen first; other tracks' come inside it.
            if self._anchor_track is None and not self._video_open:
                self._anchor_track = tag.track_ids[0]
            if self._anchor_track not in tag.track_ids:
                packet.flags &= ~KEYFRAME
        else:
            self._anchor_track = None
        self._video_open = True
        return True
