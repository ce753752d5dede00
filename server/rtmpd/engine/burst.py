"""What a joiner is written: the images of a whole cache, shared by all who join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtmpd.engine.packet import Packet
from rtmpd.engine.segment import Encoding

_BLOCK_BYTES: Final = 64 * 1024
_LOOSE_IMAGES: Final = 32
"""Smaller images than a block at the end of a burst; the event loop pays for the pieces of a write."""


class Burst:
    """Cached packets in one encoding, as far as somebody needed the bytes.

    It grows by the very images that were written to live players, and by what is encoded for a joiner; either
    way the next joiner costs references.
    """

    __slots__ = ("_images", "_loose", "count", "encoding", "messages", "size", "start", "timestamp")

    def __init__(self, encoding: Encoding, start: int) -> None:
        self.encoding = encoding
        self.start = start
        """Number of its first packet in the cache."""
        self._images: list[bytes] = []
        self._loose = 0
        """Where in ``_images`` those begin that were not looked at for being small."""
        self.count = 0
        """Packets of the cache, from ``start`` on, whose images are here."""
        self.messages = 0
        """Of these packets, those that are in it."""
        self.timestamp = 0
        """Of the first message (64-bit ms)."""
        self.size = 0
        """Bytes."""

    def append(self, image: bytes, packets: Sequence[Packet]) -> None:
        """The next packets of the cache, which are all wanted, look like this."""
        count = len(packets)
        if not self.messages:
            self.timestamp = packets[0].timestamp
        self.messages += count
        self.count += count
        if image:
            self.size += len(image)
            self._images.append(image)

    def encode(self, wanted: Sequence[Packet], count: int) -> None:
        """Append the next ``count`` packets of the cache, of which only some are wanted."""
        if wanted and not self.messages:
            self.timestamp = wanted[0].timestamp
        self.messages += len(wanted)
        self.count += count
        encode = self.encoding.wire_format.encode
        images = [image for packet in wanted if (image := encode(packet))]
        self._images += images
        self.size += sum([len(image) for image in images])

    def images(self) -> Sequence[bytes]:
        """To be written in this order; live, so use it at once."""
        if len(self._images) - self._loose > _LOOSE_IMAGES:
            self._gather()
        return self._images

    def _gather(self) -> None:
        """Join small images; larger ones stay those that others are being sent."""
        blocks: list[bytes] = []
        small: list[bytes] = []
        size = 0
        for image in self._images[self._loose :]:
            if size and size + len(image) > _BLOCK_BYTES:
                blocks.append(small[0] if len(small) == 1 else b"".join(small))
                small = []
                size = 0
            small.append(image)
            size += len(image)
        if size:
            blocks.append(small[0] if len(small) == 1 else b"".join(small))
        self._images[self._loose :] = blocks
        self._loose = len(self._images)
