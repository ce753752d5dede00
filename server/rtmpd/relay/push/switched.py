"""Push targets that somebody has switched off: nothing is sent there until they are switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.relay.status import RelayStatus, switched_off
from rtmpd.relay.template import RelayTarget, RelayTemplate

MAX_OFF: Final = 1000
"""Targets that are off, of all streams together."""


class PushMemory(Protocol):
    """Keeps what is done to targets at run time, for the next start."""

    def added(self, key: StreamKey, relay_id: str, url: str, track: object) -> None:
        """``url`` holds a stream key, ``track`` is as in ``RelayTemplate.parse``."""

    def removed(self, key: StreamKey, relay_id: str) -> None:
        """One that was added is gone."""

    def switched(self, key: StreamKey, relay_id: str, on: bool) -> None:
        """One is off from now on, or is not any more."""


class NoMemory:
    """Forgets it all."""

    def added(self, key: StreamKey, relay_id: str, url: str, track: object) -> None:
        pass

    def removed(self, key: StreamKey, relay_id: str) -> None:
        pass

    def switched(self, key: StreamKey, relay_id: str, on: bool) -> None:
        pass


@dataclass(frozen=True, slots=True)
class OffTarget:
    """One of them."""

    id: str
    target: RelayTarget
    permanent: bool
    """Added at run time; else it is off for as long as the settings, or a backend, name it."""

    @property
    def status(self) -> RelayStatus:
        """As of one that runs."""
        return switched_off("push", self.id, self.target.key, self.target.label)


class SwitchedOff:
    """All of them, by stream and name."""

    def __init__(self) -> None:
        self._targets: dict[StreamKey, dict[str, OffTarget]] = {}

    def __iter__(self) -> Iterator[OffTarget]:
        for targets in self._targets.values():
            yield from targets.values()

    def of(self, key: StreamKey) -> Mapping[str, OffTarget]:
        """Those of one stream."""
        return self._targets.get(key, {})

    def put(self, target: OffTarget) -> None:
        """Raises UsageError when there are too many."""
        if sum(map(len, self._targets.values())) >= MAX_OFF:
            raise UsageError(f"{MAX_OFF} push targets can be off at most: switch some on, or remove them")
        self._targets.setdefault(target.target.key, {})[target.id] = target

    def take(self, key: StreamKey, relay_id: str) -> OffTarget | None:
        """Out of them."""
        targets = self._targets.get(key, {})
        target = targets.pop(relay_id, None)
        if not targets:
            self._targets.pop(key, None)
        return target

    def follow(self, key: StreamKey, templates: Mapping[str, RelayTemplate]) -> list[str]:
        """The settings name these now, by what they call them; the names of those that are gone with them."""
        gone = []
        for target in list(self.of(key).values()):
            if target.permanent:
                continue
            template = templates.get(target.id)
            if template is None:
                self.take(key, target.id)
                gone.append(target.id)
            else:
                self._targets[key][target.id] = OffTarget(target.id, template.expand(key), permanent=False)
        return gone
