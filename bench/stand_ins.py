"""What stands for connections in workloads: it takes everything, and nothing ends it."""

from __future__ import annotations

from collections.abc import Sequence

from rtmpd.engine.packet import WireFormat
from rtmpd.engine.sink import CloseReason


class NullSink:
    """A player that is always ready."""

    def __init__(self, wire_format: WireFormat) -> None:
        self.wire_format = wire_format

    def write(self, data: bytes) -> None:
        pass

    def write_all(self, images: Sequence[bytes]) -> None:
        pass

    def stream_started(self) -> None:
        pass

    def stream_ended(self) -> None:
        pass

    def close(self, reason: CloseReason) -> None:
        raise AssertionError(f"closed: {reason}")


class EmptyTransport:
    """One that is never full."""

    def backlog(self) -> int:
        return 0

    def abort(self, reason: CloseReason) -> None:
        raise AssertionError(f"aborted: {reason}")


class NullPublisher:
    """One that is never ended."""

    def close(self, reason: CloseReason) -> None:
        raise AssertionError(f"closed: {reason}")


class Unplanned:
    """A flush that nobody runs: the workloads flush when they mean to."""

    def cancel(self) -> None:
        pass
