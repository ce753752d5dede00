"""The fast path: one image, written to every subscriber of a wire format without a look at any of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from operator import length_hint

from rtmpd.engine.outlet import Backlog, Feed
from rtmpd.engine.segment import Encoding
from rtmpd.engine.sink import Sink

_logger = logging.getLogger(__name__)


class Member(Feed):
    """What a fast list knows of whom it has."""

    __slots__ = ("fanout_position", "sink")

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.sink = sink
        self.fanout_position = -1
        """Where on the fast list; -1 while not on it."""

    def joined_fanout(self, position: int) -> None:
        """Put on the fast list."""
        self.fanout_position = position

    def left_fanout(self) -> None:
        """Taken off the fast list."""
        self.fanout_position = -1

    def sink_failed(self) -> None:
        """The sink raised, which is logged already."""
        raise NotImplementedError


class Fanout:
    """The fast list of one wire format.

    While an image is written the list keeps its shape: members that leave are replaced by a hole, so that a
    write may detach anyone, itself included.
    """

    __slots__ = ("_holes", "_members", "_writes", "_writing", "backlog", "bytes_each", "encoding", "users")

    def __init__(self, encoding: Encoding, backlog: Backlog) -> None:
        self.encoding = encoding
        self.backlog = backlog
        """What its members hold unsent."""
        self.users = 0
        """Subscribers of the wire format, members or not, and other fast lists that share its images."""
        self.bytes_each = 0
        """Bytes that a member from the beginning would have been handed."""
        self._members: list[Member | None] = []
        self._writes: list[Callable[[bytes], object]] = []
        self._holes: list[int] = []
        self._writing = False

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> None:
        """Not while writing."""
        member.joined_fanout(len(self._members))
        self._members.append(member)
        self._writes.append(member.sink.write)

    def remove(self, member: Member) -> None:
        """At any time; no write follows."""
        position = member.fanout_position
        member.left_fanout()
        if self._writing:
            self._members[position] = None
            self._writes[position] = _discard
            self._holes.append(position)
        else:
            self._close_gap(position)

    def write(self, image: bytes) -> list[Member]:
        """Write ``image`` to every member; returns those whose sink raised."""
        self.bytes_each += len(image)
        self._writing = True
        failed: list[Member] = []
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
