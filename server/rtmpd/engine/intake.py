"""What becomes of a packet before it is delivered: gates and caches, and the burst for a joiner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rtmpd.engine.books import Books
from rtmpd.engine.budget import MemoryBudget
from rtmpd.engine.checkup import Checkup
from rtmpd.engine.drops import DropReason
from rtmpd.engine.gop import GopCache
from rtmpd.engine.headers import HeaderCache, Stored
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.packet import (
    ASIDE,
    AUDIO,
    DATA,
    ELECT,
    ORDERS,
    RELEASE,
    SWITCH,
    TRACKED,
    VIDEO,
    Packet,
    track_id,
)
from rtmpd.engine.segment import Encoding
from rtmpd.engine.sink import StartPolicy
from rtmpd.media.tags import (
    CODED_FRAME,
    END_OF_SEQUENCE,
    KEYFRAME,
    SEQUENCE_HEADER,
    UNKNOWN_CODEC,
    audio_codec,
    video_codec,
)
from rtmpd.media.tracks import ALL, ALL_TRACKS, DEFAULT_TRACK, TrackChoice

_NEEDS_HEADER: Final = frozenset({"avc1", "hvc1", "vvc1", "mp4a", "fLaC"})
"""Codecs whose frames mean nothing to a decoder without the sequence header."""
NO_TRACKS: Final[frozenset[int]] = frozenset()
_RARE: Final = END_OF_SEQUENCE | KEYFRAME | TRACKED


class Opening(NamedTuple):
    """What a joiner is sent at once."""

    head: bytes
    """Headers and metadata; empty if there are none."""
    head_messages: int
    """How many are in ``head``."""
    frames: Sequence[bytes]
    """Images; live, to be written at once."""
    messages: int
    """How many are in ``frames``."""
    synced: bool
    """Any video frame may follow."""
    begun: frozenset[int]
    """If not, the tracks whose frames may follow all the same, for who is sent all of them."""


class PacketOpening(NamedTuple):
    """The same for who takes packets, of every track."""

    packets: list[Packet]
    """Headers and metadata, then frames."""
    synced: bool
    begun: frozenset[int]


class Intake:
    """The state of a publication as far as it has been delivered.

    Two gates hold back for everybody what nobody can decode: frames before the header that their codec needs,
    and video before the first keyframe of its track. The second is open from the start where players begin
    ``LIVE``, and opens when no keyframe has come for ``keyframe_timeout`` seconds.
    """

    __slots__ = (
        "_any_frame",
        "_audio_open",
        "_held",
        "_held_since",
        "_start",
        "_video_absent",
        "_video_open",
        "books",
        "checkup",
        "gop",
        "headers",
        "keyframe_timeout",
        "open_tracks",
        "timestamp",
    )

    def __init__(
        self,
        key: StreamKey,
        headers: HeaderCache,
        gop: GopCache,
        books: Books,
        limits: EngineLimits,
        now: float,
    ) -> None:
        self._start = limits.start
        self.keyframe_timeout = limits.keyframe_timeout
        """Seconds that anybody's video waits for a keyframe; 0 is for ever."""
        self.headers = headers
        self.gop = gop
        self.books = books
        self.checkup = Checkup(key, books.stream, headers, limits.stall, now)
        self._video_open = False
        self._video_absent = False
        """It was announced, and does not come."""
        self._audio_open = False
        self._any_frame = self._start is StartPolicy.LIVE
        """Video need not begin with a keyframe."""
        self._held = False
        """A frame was held back, and no keyframe has come since."""
        self._held_since: float | None = None
        """Clock reading of the first look after that."""
        self.open_tracks: set[int] = set()
        """Tracks that have had a keyframe, of a video of several."""
        self.timestamp = 0
        """Of the last packet that was no header (64-bit ms)."""

    @classmethod
    def within(
        cls, limits: EngineLimits, key: StreamKey, books: Books, budget: MemoryBudget, now: float
    ) -> Intake:
        """One with caches of its own, as large as ``limits`` say, which begins ``now``."""
        headers = HeaderCache(limits.headers, budget)
        gop = GopCache(limits.gop, budget, books.stream, books.server)
        return cls(key, headers, gop, books, limits, now)

    def begin(self, now: float) -> None:
        """The publication begins, of which nothing has come yet."""
        self.books.stream.begin(now)
        self.checkup.begin(now)

    def apply(self, limits: EngineLimits) -> None:
        """Other limits from now on; a gate that is open stays open."""
        self._start = limits.start
        self._any_frame = self._any_frame or limits.start is StartPolicy.LIVE
        self.keyframe_timeout = limits.keyframe_timeout
        self.gop.apply(limits.gop)
        self.checkup.stall = limits.stall

    def reopen(self, timestamp: int) -> None:
        """The publication goes on air at ``timestamp`` (ms): video begins anew, with what it goes on with."""
        self._video_open = False
        self.open_tracks = set()
        self.timestamp = timestamp
        self.gop.clear()

    def pause(self) -> None:
        """The publication has ended, and its audience waits for the next: headers stay."""
        self.gop.clear()
        self.checkup.end()

    def clear(self) -> None:
        """The publication has ended."""
        self.headers.clear()
        self.gop.clear()
        self.checkup.end()

    def look(self, now: float) -> None:
        """Note which media flow; let those go on that have waited for a keyframe for too long."""
        if self._held and not self._any_frame:
            if self._held_since is None:
                self._held_since = now
            elif self.has_waited(self._held_since, now):
                self._any_frame = True
        self.checkup.look(now, video_open=self._video_open or self._any_frame)

    def judge(self, now: float) -> None:
        """Judge what has come by the last look; about once a second."""
        self._video_absent = self.checkup.absent(now) == VIDEO
        self.checkup.judge(now)

    def has_waited(self, since: float, now: float) -> bool:
        """Whether who has waited for a keyframe since then goes on without one, which is counted."""
        if not self.keyframe_timeout or now - since < self.keyframe_timeout:
            return False
        self.books.server.keyframe_timeouts += 1
        return True

    # What the publisher sends

    @property
    def shows_video(self) -> bool:
        """Somebody can begin with what has come of the video."""
        return self._video_open or bool(self.open_tracks)

    def may_begin(self, packet: Packet) -> bool:
        """Whether somebody who has had nothing of the publication can begin with this frame."""
        flags, kind = packet.flags, packet.kind
        if not flags & (KEYFRAME | CODED_FRAME) or flags & ASIDE:
            return False
        if kind == VIDEO:
            codec = video_codec(packet.payload)
            ready = flags & KEYFRAME != 0 or self._any_frame
        else:
            codec = audio_codec(packet.payload)
            ready = self._video_absent or not (
                self.books.stream.video.messages_in or self.headers.announces(VIDEO)
            )
        return ready and (codec not in _NEEDS_HEADER or self.headers.has_header(kind, codec))

    def take_in(self, packet: Packet) -> bool:
        """Pass a frame or data message through the gates and into the cache; False when it is dropped."""
        flags = packet.flags
        kind = packet.kind
        if flags & _RARE:
            if flags & END_OF_SEQUENCE:
                return True
            if flags & KEYFRAME:
                if not self._pass_keyframe(packet):
                    return False
            elif (
                kind == VIDEO
                and flags & CODED_FRAME
                and track_id(packet) not in self.open_tracks
                and not self._pass_frame(packet)
            ):
                return False
        elif kind == VIDEO and not self._video_open and flags & CODED_FRAME and not self._pass_frame(packet):
            return False
        if kind == AUDIO and not self._audio_open and flags & CODED_FRAME:
            codec = audio_codec(packet.payload)
            if codec in _NEEDS_HEADER and not self.headers.has_header(AUDIO, codec):
                self.books.refuse(DropReason.NO_HEADER)
                return False
            self._audio_open = True
        self.timestamp = packet.timestamp
        self.gop.append(packet)
        return True

    def take_in_header(self, packet: Packet) -> list[Packet]:
        """Store a header, codec metadata or onMetaData, or carry out an order; what is delivered of it."""
        flags = packet.flags
        if flags & ORDERS:
            return self._follow(packet)
        stored = self.headers.store(packet)
        if stored is Stored.REFUSED:
            self.books.refuse(DropReason.HEADER_CAP)
            return []
        if flags & SEQUENCE_HEADER and stored is not Stored.REPEATED:
            if stored is Stored.CHANGED:
                self.books.stream.sequence_header_changes += 1
            self._outdate(packet)
        return [packet]

    def announced(self, batch: list[Packet]) -> list[Packet]:
        """``batch`` with an order before the first frame of the medium that joiners were not promised."""
        withheld = self.headers.withheld
        for number, packet in enumerate(batch):
            if packet.kind == withheld and packet.flags & CODED_FRAME and not packet.flags & ASIDE:
                return [*batch[:number], Packet(withheld, packet.timestamp, b"", RELEASE), *batch[number:]]
        return batch

    # What subscribers are sent

    def opening(
        self, encoding: Encoding, start: StartPolicy, now: float, *, audio: bool, video: bool
    ) -> Opening:
        """What a joiner is sent that wants ``audio`` and ``video``."""
        self.look(now)
        headers = self.headers
        if not headers.withheld:
            headers.withhold(self.checkup.absent(now))
        gop = self.gop
        encoding_of_frames = encoding.for_frames
        audio_flows = audio and headers.withheld != AUDIO
        video_flows = video and headers.withheld != VIDEO
        timestamp = self.timestamp
        frames: Sequence[bytes] = ()
        messages = 0
        if start is StartPolicy.GOP:
            if headers.withheld == VIDEO:
                recent = gop.recent_audio(timestamp) if audio else []
                if recent:
                    frames, messages = [encoding_of_frames.image(recent)], len(recent)
                    timestamp = recent[0].timestamp
            elif gop.whole or not gop.has_keyframe:
                burst = gop.burst(encoding_of_frames, audio=audio_flows, video=video_flows)
                frames, messages = burst.images(), burst.messages
                if messages:
                    timestamp = burst.timestamp
            elif video_flows:
                # Stamped now, or the player would play the gap up to the live packets as a pause.
                frames = [encoding_of_frames.image([p.restamped(timestamp) for p in gop.packets])]
                messages = 1
        head, head_messages = encoding.head(headers, timestamp, audio=audio, video=video)
        synced, begun = self._sync(encoding.tracks, start)
        return Opening(head, head_messages, frames, messages, synced, begun)

    def opening_packets(self, start: StartPolicy) -> PacketOpening:
        """What a joiner is given that takes packets, in order."""
        headers, gop = self.headers, self.gop
        withheld = headers.withheld
        frames: list[Packet] = []
        if start is StartPolicy.GOP:
            if withheld == VIDEO:
                frames = gop.recent_audio(self.timestamp)
            elif gop.whole or not gop.has_keyframe:
                frames = [packet for packet in gop.decodable() if packet.kind != withheld]
        timestamp = frames[0].timestamp if frames else self.timestamp
        synced, begun = self._sync(ALL, start)
        return PacketOpening([*headers.packets(timestamp), *frames], synced, begun)

    # Inside

    def _sync(self, tracks: TrackChoice, start: StartPolicy) -> tuple[bool, frozenset[int]]:
        """``synced`` and ``begun`` of an opening."""
        if start is StartPolicy.LIVE:
            return True, NO_TRACKS
        cached = start is StartPolicy.GOP and self.headers.withheld != VIDEO
        opened = self.open_tracks
        if opened and tracks.video == ALL_TRACKS:
            begun = self.gop.tracks_begun if cached else NO_TRACKS
            return opened <= begun, begun
        flows = tracks.video in opened if opened and tracks.video != DEFAULT_TRACK else self._video_open
        return not flows or (cached and self.gop.begins(tracks)), NO_TRACKS

    def _follow(self, order: Packet) -> list[Packet]:
        headers = self.headers
        flags, kind = order.flags, order.kind
        if flags & ELECT:
            if kind == VIDEO and self._video_open:
                # What has flowed so far without being told apart.
                self.open_tracks.add(track_id(order))
                self.gop.begin_tracks()
            return headers.elect(kind, track_id(order), order.timestamp)
        if flags & RELEASE:
            return headers.release(order.timestamp)
        if flags & SWITCH:
            headers.switch()
            return []
        if kind == DATA:
            headers.forget_metadata()
        else:
            headers.forget_track(kind, track_id(order), order.payload.decode())
            self._outdate(order)
        return []

    def _outdate(self, header: Packet) -> None:
        """What is cached cannot be decoded with the header that has come."""
        if header.kind == AUDIO:
            self.gop.forget_audio()
        elif header.flags & ASIDE:
            self.gop.forget_track(track_id(header))
        else:
            self.gop.clear()

    def _pass_frame(self, packet: Packet) -> bool:
        """A frame before the first keyframe of its track."""
        if not self._any_frame:
            self._held = True
            self.books.refuse(DropReason.NO_KEYFRAME)
            return False
        codec = video_codec(packet.payload)
        if codec in _NEEDS_HEADER and not self.headers.has_header(VIDEO, codec):
            self.books.refuse(DropReason.NO_HEADER)
            return False
        return True

    def _pass_keyframe(self, packet: Packet) -> bool:
        codec = video_codec(packet.payload)
        if codec in _NEEDS_HEADER and not self.headers.has_header(VIDEO, codec):
            self.books.refuse(DropReason.NO_HEADER)
            return False
        if codec != UNKNOWN_CODEC:
            self.headers.forget_track(VIDEO, track_id(packet), codec)
        if packet.flags & TRACKED:
            self.open_tracks.add(track_id(packet))
        if not packet.flags & ASIDE:
            self._video_open = True
        self._held = False
        self._held_since = None
        return True
