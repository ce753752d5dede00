"""Runs of packets that are delivered together, and their bytes in each wire format that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable

from rtmpd.engine.headers import HeaderCache
from rtmpd.engine.packet import Packet, WireFormat
from rtmpd.media.tracks import TrackChoice

HeadKey = tuple[int, int, int, bool, bool]
"""Version of the header cache, what it withholds, timestamp, and whether audio and video are wanted."""


class Encoding:
    """A wire format in use by one stream. Images are kept by encoding and not by wire format, because an
    object's own hash is a tenth of a dataclass's.
    """

    __slots__ = ("_for_frames", "_head", "_head_key", "_head_messages", "tracks", "wire_format")

    def __init__(self, wire_format: WireFormat, for_frames: Encoding | None = None) -> None:
        self.wire_format = wire_format
        self.tracks: TrackChoice = wire_format.tracks
        self._for_frames = for_frames
        """None for itself: a cycle would wait for the collector with every stream that ends."""
        self._head_key: HeadKey | None = None
        self._head = b""
        self._head_messages = 0

    @property
    def for_frames(self) -> Encoding:
        """Whose images of frames are the same bytes; only headers differ. Often itself."""
        return self if self._for_frames is None else self._for_frames

    def image(self, packets: Iterable[Packet]) -> bytes:
        """``packets`` joined in this wire format."""
        encode = self.wire_format.encode
        return b"".join([encode(packet) for packet in packets])

    def head(self, headers: HeaderCache, timestamp: int, *, audio: bool, video: bool) -> tuple[bytes, int]:
        """The image of what a joiner needs before its first frame, and how many messages that is.

        The last one is kept: all who join in the same GOP get the same.
        """
        key = (headers.version, headers.withheld, timestamp, audio, video)
        if key != self._head_key:
            packets = headers.packets(timestamp, audio=audio, video=video)
            self._head = self.image(packets)
            self._head_messages = len(packets)
            self._head_key = key
        return self._head, self._head_messages


class Segment:
    """A run of packets: either headers, or frames of which a keyframe can only be the first."""

    __slots__ = ("_parts", "_payload_bytes", "cached", "images", "packets", "version_before")

    def __init__(self, packets: list[Packet], version_before: int, *, cached: bool) -> None:
        self.packets = packets
        self.version_before = version_before
        """Version of the header cache before the first packet."""
        self.cached = cached
        """Frames, which the GOP cache took if it takes any; not headers and the like."""
        self._payload_bytes = -1
        self.images: dict[Encoding, bytes] = {}
        """All packets joined, as far as anybody has asked for it."""
        self._parts: dict[tuple[Encoding, tuple[int, ...]], tuple[list[Packet], bytes]] = {}
        """Images of a choice of packets, by their identities, which are theirs alone while they are held."""

    @property
    def payload_bytes(self) -> int:
        """Of all packets together."""
        if self._payload_bytes < 0:
            self._payload_bytes = sum([len(packet.payload) for packet in self.packets])
        return self._payload_bytes

    def image(self, encoding: Encoding) -> bytes:
        """All packets joined; encoded when first asked for."""
        if self.cached:
            encoding = encoding.for_frames
        image = self.images.get(encoding)
        if image is None:
            image = self.images[encoding] = encoding.image(self.packets)
        return image

    def part(self, encoding: Encoding, packets: list[Packet]) -> tuple[bytes, bool]:
        """What was chosen for one player, and whether nobody before it was written the same.

        Others for whom the same is chosen share it: players that fall behind together wait with the same
        bytes, and not with a copy each.
        """
        if packets == self.packets:
            return self.image(encoding), False
        key = (encoding, tuple([id(packet) for packet in packets]))
        part = self._parts.get(key)
        if part is not None:
            return part[1], False
        image = encoding.image(packets)
        self._parts[key] = (packets, image)
        return image, True
