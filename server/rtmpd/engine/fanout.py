"""The fast path: one image, written to every subscriber of a wire format without a look at any of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from operator import length_hint
from typing import TYPE_CHECKING

from rtmpd.engine.packet import Packet, WireFormat

if TYPE_CHECKING:
    from rtmpd.engine.subscriber import Subscription

_logger = logging.getLogger(__name__)


class Segment:
    """A run of packets delivered together: headers that change something first, frames after them."""

    __slots__ = ("_images", "_parts", "_payload_bytes", "packets", "version_before")

    def __init__(self, packets: list[Packet], version_before: int) -> None:
        self.packets = packets
        self.version_before = version_before
        """Version of the header cache before the first packet."""
        self._payload_bytes = -1
        # By fast list and not by wire format: an object's own hash is a tenth of a dataclass's.
        self._images: dict[Fanout, bytes] = {}
        self._parts: dict[tuple[Fanout, tuple[int, ...]], tuple[list[Packet], bytes]] = {}
        """Images of a choice of packets, by their identities, which are theirs alone while they are held."""

    @property
    def payload_bytes(self) -> int:
        """Of all packets together."""
        if self._payload_bytes < 0:
            self._payload_bytes = sum([len(packet.payload) for packet in self.packets])
        return self._payload_bytes

    def image(self, fanout: Fanout) -> bytes:
        """All packets joined in the fast list's wire format; encoded when first asked for."""
        image = self._images.get(fanout)
        if image is None:
            image = self._images[fanout] = fanout.image(self.packets)
        return image

    def image_of(self, fanout: Fanout, packets: list[Packet]) -> bytes:
        """What was chosen for one player, shared with others for whom the same was chosen.

        Players that fall behind together wait with the same bytes then, and not with a copy each.
        """
        if packets == self.packets:
            return self.image(fanout)
        key = (fanout, tuple([id(packet) for packet in packets]))
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = (packets, fanout.image(packets))
        return part[1]


class Fanout:
    """The fast list of one wire format.

    While an image is written the list keeps its shape: members that leave are replaced by a hole, so that a
    write may detach anyone, itself included.
    """

    __slots__ = ("_holes", "_members", "_writes", "_writing", "bytes_each", "wire_format")

    def __init__(self, wire_format: WireFormat) -> None:
        self.wire_format = wire_format
        self.bytes_each = 0
        """Bytes that a member from the beginning would have been handed."""
        self._members: list[Subscription | None] = []
        self._writes: list[Callable[[bytes], object]] = []
        self._holes: list[int] = []
        self._writing = False

    def __len__(self) -> int:
        return len(self._members)

    def image(self, packets: list[Packet]) -> bytes:
        """``packets`` joined in this wire format."""
        wire_format = self.wire_format
        return b"".join([packet.encoded(wire_format) for packet in packets])

    def add(self, subscription: Subscription) -> None:
        """Not while writing."""
        subscription.joined_fanout(len(self._members))
        self._members.append(subscription)
        self._writes.append(subscription.sink.write)

    def remove(self, subscription: Subscription) -> None:
        """At any time; no write follows."""
        position = subscription.fanout_position
        subscription.left_fanout()
        if self._writing:
            self._members[position] = None
            self._writes[position] = _discard
            self._holes.append(position)
        else:
            self._close_gap(position)

    def write(self, image: bytes) -> list[Subscription]:
        """Write ``image`` to every member; returns those whose sink raised."""
        self.bytes_each += len(image)
        self._writing = True
        failed: list[Subscription] = []
        writes = self._writes
        queue = iter(writes)
        while True:
            try:
                for write in queue:
                    write(image)
                break
            except Exception:
                _logger.exception("a sink failed to take %d bytes", len(image))
                member = self._members[len(writes) - length_hint(queue) - 1]
                if member is not None:
                    failed.append(member)
        self._writing = False
        # From the end, so that a gap is never closed with a hole.
        for position in sorted(self._holes, reverse=True):
            self._close_gap(position)
        self._holes.clear()
        return failed

    def _close_gap(self, position: int) -> None:
        member = self._members.pop()
        write = self._writes.pop()
        if position < len(self._members) and member is not None:
            self._members[position] = member
            self._writes[position] = write
            member.fanout_position = position


def _discard(image: bytes) -> None:
    """Stands in for a member that left while the list is being written."""
