"""What a joiner is written: the images of a whole cache, shared by all who join."""

from __future__ import annotations

from collections import deque
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


class Images:
    """What is held of the images of cached packets, which are numbered in order of arrival.

    It is the bursts, and what live players were written that no burst has taken yet.
    """

    __slots__ = ("_bursts", "_written", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes."""
        self._bursts: dict[tuple[Encoding, bool, bool], Burst] = {}
        """By encoding and whether audio and video are in it."""
        self._written: deque[tuple[int, list[Packet], dict[Encoding, bytes]]] = deque()
        """Number of the first packet, packets, and those of their images that are left."""

    def keep(self, number: int, packets: list[Packet], images: dict[Encoding, bytes]) -> None:
        """Live players were written ``images`` of the ``packets`` from ``number`` on."""
        self._written.append((number, packets, images))
        for image in images.values():
            self.size += len(image)

    def burst(self, encoding: Encoding, start: int, *, audio: bool, video: bool) -> Burst:
        """The burst that begins at ``start``, maybe empty; one that began elsewhere is of an older GOP."""
        burst = self._bursts.get((encoding, audio, video))
        if burst is None or burst.start != start:
            if burst is not None:
                self.size -= burst.size
            burst = self._bursts[encoding, audio, video] = Burst(encoding, start)
        return burst

    def take_written(self, burst: Burst) -> Sequence[tuple[int, list[Packet], bytes]]:
        """What live players were written behind the end of ``burst``, whose it is from now on, in order.

        Number of the first packet, packets, image; what lies between them is in no image yet.
        """
        end = burst.start + burst.count
        found = []
        for number, packets, images in reversed(self._written):
            if number < end:
                break
            image = images.pop(burst.encoding, None)
            if image is not None:
                found.append((number, packets, image))
        found.reverse()
        return found

    def encode(self, burst: Burst, wanted: Sequence[Packet], count: int) -> None:
        """Have ``burst`` encode the next ``count`` packets, of which only some are wanted."""
        size = burst.size
        burst.encode(wanted, count)
        self.size += burst.size - size

    def cut(self, number: int) -> None:
        """The packets before ``number`` are gone."""
        for key in [key for key, burst in self._bursts.items() if burst.start < number]:
            self.size -= self._bursts.pop(key).size
        while self._written and self._written[0][0] < number:
            self.size -= sum(map(len, self._written.popleft()[2].values()))

    def forget(self, encoding: Encoding) -> None:
        """Nobody uses ``encoding`` any more."""
        for key in [key for key in self._bursts if key[0] is encoding]:
            self.size -= self._bursts.pop(key).size
        for _, _, images in self._written:
            self.size -= len(images.pop(encoding, b""))

    def clear(self) -> None:
        """Nothing is held any more."""
        self._bursts.clear()
        self._written.clear()
        self.size = 0
