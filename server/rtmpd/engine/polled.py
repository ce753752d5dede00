"""Flow control for transports that do not say when they are full: they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtmpd.engine.outlet import Outlet, Outlets, Transport
from rtmpd.engine.sink import Sink


class PolledOutlet(Outlet):
    """A transport that is asked for its backlog: after every write, and when it was full at every look at it.

    It counts as full above ``high_water_bytes`` and as drained at a quarter of that. ``clock`` reads seconds.
    """

    __slots__ = ("_clock", "_high_water_bytes")

    def __init__(
        self,
        outlets: Outlets,
        transport: Transport,
        clock: Callable[[], float],
        high_water_bytes: int,
        *,
        private: bool = False,
    ) -> None:
        super().__init__(outlets, transport, private=private)
        self._clock = clock
        self._high_water_bytes = high_water_bytes

    def poll(self) -> None:
        """Something was written."""
        if self.congestion is None and self._transport.backlog() > self._high_water_bytes:
            self.pause_writing(self._clock())

    def measure(self, now: float) -> None:
        super().measure(now)
        if self.congestion is not None and self.unsent_bytes <= self._high_water_bytes // 4:
            self.resume_writing(now)


class PolledSink:
    """A sink on a ``PolledOutlet``: what the engine attaches in the place of the sink itself."""

    __slots__ = ("_outlet", "_sink", "close", "stream_ended", "stream_started", "wire_format")

    def __init__(self, sink: Sink, outlet: PolledOutlet) -> None:
        self._sink = sink
        self._outlet = outlet
        self.wire_format = sink.wire_format
        self.stream_started = sink.stream_started
        self.stream_ended = sink.stream_ended
        self.close = sink.close

    def write(self, data: bytes) -> None:
        """Hand over and look."""
        self._sink.write(data)
        self._outlet.poll()

    def write_all(self, images: Sequence[bytes]) -> None:
        """The same."""
        self._sink.write_all(images)
        self._outlet.poll()
