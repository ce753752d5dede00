"""What tells the world what happens, built when there is somebody to tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.daemon.records_side import RecordsSide
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.registry import Registry
from rtmpd.relay.status import RelayStatus

if TYPE_CHECKING:
    from rtmpd.control.audit import Audit
    from rtmpd.events.delivery import NotifyStatus
    from rtmpd.events.feed import EventFeed, EventListener
    from rtmpd.events.model import Fact
    from rtmpd.events.notifications import Notifications
    from rtmpd.events.ring import EventRing
    from rtmpd.net.http_caller import HttpCaller
    from rtmpd.outputs.recording import Recording


class EventsSide:
    """The feed of events, and the targets of notifications.

    A server that tells nobody anything has neither: no observer more is called, and nothing is imported.
    ``new_id`` is as for the feed, ``server`` as in ``Delivery``.
    """

    def __init__(
        self, registry: Registry, new_id: Callable[[], int], clock: Callable[[], float], server: str
    ) -> None:
        self._registry = registry
        self._new_id = new_id
        self._clock = clock
        self._server = server
        self._feed: EventFeed | None = None
        self._notifications: Notifications | None = None
        self.records = RecordsSide(registry, clock)
        self._audit: Audit | None = None
        self._ring: EventRing | None = None
        self._max_kept = 0
        self.note_change: Callable[[Origin, Mapping[str, Fact]], None] = lambda _by, _facts: None
        """Writes down what somebody in charge changes."""

    @property
    def audit(self) -> Audit:
        """Notes what somebody in charge changes; made when somebody does."""
        if self._audit is None:
            from rtmpd.control.audit import Audit

            self._audit = Audit(self._audited)
        return self._audit

    @property
    def ring(self) -> EventRing:
        """The newest events, from the first time on that somebody asks for them."""
        if self._ring is None:
            from rtmpd.events.ring import EventRing

            self._ring = EventRing(self._server, self._registry.budget, self._max_kept)
            self.add_listener(self._ring)
        return self._ring

    def add_listener(self, listener: EventListener) -> None:
        """Tell ``listener`` what happens from now on."""
        if self._feed is None:
            from rtmpd.events.feed import EventFeed

            self._feed = EventFeed(self._registry.sessions, self._new_id, self._clock, time.time)
            self._registry.observe(self._feed)
        self._feed.add_listener(listener)

    def ended_by_signal(self) -> None:
        """A signal ends the server: a change as others are, if somebody hears of those."""
        if self._feed is not None:
            from rtmpd.control.actor import Actor
            from rtmpd.control.audit import Change

            self.audit.note(Actor("SIGTERM", protocol="signal"), Change.DRAIN)

    def push_changed(self, status: RelayStatus, origin: Origin) -> None:
        """See ``EventFeed``."""
        if self._feed is not None:
            self._feed.push_changed(status, origin)

    def recording_started(self, key: StreamKey, path: str, origin: Origin) -> None:
        """See ``EventFeed``."""
        if self._feed is not None:
            self._feed.recording_started(key, path, origin)

    def recording_finished(self, recording: Recording, origin: Origin) -> None:
        """See ``EventFeed``."""
        if self._feed is not None:
            self._feed.recording_finished(recording, origin)

    def recording_failed(self, key: StreamKey, path: str, problem: str, origin: Origin) -> None:
        """See ``EventFeed``."""
        if self._feed is not None:
            self._feed.recording_failed(key, path, problem, origin)

    def apply(self, config: Config) -> None:
        """Tell those of the settings, in the running event loop."""
        self.records.apply(config)
        self._max_kept = config.events.max_kept
        if self._ring is not None:
            self._ring.apply(self._max_kept)
        targets = {name: each.to_settings() for name, each in config.notify.items() if each.enabled}
        if targets and self._notifications is None:
            self._notifications = self._build()
            self.add_listener(self._notifications)
        if self._notifications is not None:
            self._notifications.apply(targets)

    def statuses(self) -> Sequence[NotifyStatus]:
        """Every target of notifications."""
        return self._notifications.statuses() if self._notifications is not None else ()

    async def close(self, grace: float) -> None:
        """Send what waits within ``grace`` seconds, and write what is to be written."""
        await self.records.close()
        if self._notifications is not None:
            await self._notifications.close(grace)

    def _audited(self, by: Origin, key: StreamKey, facts: Mapping[str, Fact]) -> None:
        self.note_change(by, facts)
        if self._feed is not None:
            self._feed.audited(by, key, facts)

    def _build(self) -> Notifications:
        from rtmpd.events.notifications import Notifications
        from rtmpd.events.target import Surroundings

        return Notifications(
            Surroundings(self._registry.budget, self._server, self._clock, time.time, _new_caller)
        )


def _new_caller() -> HttpCaller:
    """One connection: a target is told one thing after another."""
    from rtmpd.net.http_caller import HttpCaller

    return HttpCaller(max_connections=1)
