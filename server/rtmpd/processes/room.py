"""How many processes there are, and whether there may be one more."""

from __future__ import annotations

from collections import Counter

from rtmpd.engine.key import StreamKey
from rtmpd.processes.rules import RunLimits


class Room:
    """Counts them as they come and go: whoever waits for room asks often."""

    def __init__(self) -> None:
        self.taken = 0
        """By how many."""
        self._of_apps: Counter[str] = Counter()
        self._of_streams: Counter[StreamKey] = Counter()

    def enter(self, key: StreamKey) -> None:
        """There is one more of a stream."""
        self.taken += 1
        self._of_apps[key.app] += 1
        self._of_streams[key] += 1

    def leave(self, key: StreamKey) -> None:
        """There is one fewer."""
        self.taken -= 1
        self._of_apps -= Counter([key.app])
        self._of_streams -= Counter([key])

    def shortage(self, key: StreamKey, limits: RunLimits) -> str:
        """The limit that leaves no room for another one of a stream; empty if none does."""
        if self.taken >= limits.max_processes:
            return "run.max_processes"
        if self._of_apps[key.app] >= limits.max_per_app:
            return "run.max_per_app"
        return "run.max_per_stream" if self._of_streams[key] >= limits.max_per_stream else ""
