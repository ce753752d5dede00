"""Push relays: every stream of an app, or one stream at run time, published on other servers too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from rtmpd.engine.delayed import DelayedStream
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import RelayDialer, RetryPolicy
from rtmpd.relay.push.sink import PushSink
from rtmpd.relay.push.switched import NoMemory, OffTarget, PushMemory, SwitchedOff
from rtmpd.relay.push.target import PushTarget
from rtmpd.relay.status import RelayStatus
from rtmpd.relay.template import RelayTarget, RelayTemplate

MAX_TARGETS: Final = 16
"""Targets of one stream."""
MAX_ADDED: Final = 1000
"""Targets added at run time, of all streams together."""
ADDED: Final = "api-"
"""Begins the names of those; no other target may have one."""


class PushRelays(StreamObserver):
    """All push relays of the process; an observer of the registry.

    ``templates_of(key)`` is asked with each publish where the stream goes: templates by the names of targets.
    ``tell(status, origin)`` is told of each target that goes live, stalls, fails, ends or is switched off,
    and whom it pushes; it raises nothing.
    """

    def __init__(
        self,
        registry: Registry,
        dialer: RelayDialer,
        clock: Callable[[], float],
        templates_of: Callable[[StreamKey], Mapping[str, RelayTemplate]],
        retry: RetryPolicy | None = None,
        tell: Callable[[RelayStatus, Origin], None] | None = None,
    ) -> None:
        self.registry = registry
        self.dialer = dialer
        self.clock = clock
        self.retry = retry or RetryPolicy()
        self.tell = tell or (lambda _status, _origin: None)
        self.memory: PushMemory = NoMemory()
        """Is told what is added, removed and switched."""
        self._templates_of = templates_of
        self._targets: dict[StreamKey, dict[str, PushTarget]] = {}
        self._off = SwitchedOff()
        self._leaving: dict[tuple[StreamKey, str], PushTarget] = {}
        self._number = 0
        """Of the last one that was added."""
        self._tasks = TaskSet()
        self._closing = False
        self.moving = False
        """Another process of this server takes over: it pushes what encoders send that leave us."""
        self.sessions: dict[int, PushSink] = {}
        """Connections that are live."""
        registry.sessions.add_shelf(self.sessions)

    def statuses(self) -> list[RelayStatus]:
        """Every target of every stream, in order of arrival; those that are off last."""
        running = [target.status for targets in self._targets.values() for target in targets.values()]
        return running + [target.status for target in self._off]

    @property
    def running(self) -> int:
        """How many targets have something to do, or would if their stream were published."""
        return sum(map(len, self._targets.values()))

    # At the hands of somebody in charge

    def add(
        self, key: StreamKey, url: str, track: object = None, relay_id: str = "", *, on: bool = True
    ) -> RelayStatus:
        """Push ``key`` to one more address, whenever it is published, until it is removed.

        ``track`` is as in ``RelayTemplate.parse``; ``relay_id`` is what another process called it. Raises
        UsageError, whose text holds no secret.
        """
        if not relay_id or relay_id in self._targets.get(key, {}) or relay_id in self._off.of(key):
            relay_id = f"{ADDED}{self._number + 1}"
        status = self.restore(key, relay_id, url, track, on=on)
        self.memory.added(key, relay_id, url, track)
        if not on:
            self.memory.switched(key, relay_id, on=False)
        return status

    def restore(
        self, key: StreamKey, relay_id: str, url: str, track: object = None, *, on: bool = True
    ) -> RelayStatus:
        """The same for one that was added in another life, as it was remembered."""
        target = RelayTemplate.parse(url, track).expand(key)
        running, off = self._targets.get(key, {}), self._off.of(key)
        urls = [each.target.url for each in running.values()] + [each.target.url for each in off.values()]
        if target.url in urls:
            raise UsageError("the stream is pushed there already")
        if len(urls) >= MAX_TARGETS:
            raise UsageError(f"a stream is pushed to {MAX_TARGETS} targets at most")
        added = sum(target.permanent for each in self._targets.values() for target in each.values())
        if added + sum(target.permanent for target in self._off) >= MAX_ADDED:
            raise UsageError(f"{MAX_ADDED} targets can be added at most")
        with contextlib.suppress(ValueError):
            self._number = max(self._number, int(relay_id.removeprefix(ADDED)))
        if on:
            return self._start(relay_id, target, permanent=True).status
        sleeping = OffTarget(relay_id, target, permanent=True)
        self._off.put(sleeping)
        return sleeping.status

    def added(self) -> list[tuple[str, str, str, object, str, bool]]:
        """App, name, URL with all secrets, track and id of each target that was added and not removed, and
        whether it is on."""
        running = [each for of in self._targets.values() for each in of.values() if each.permanent]
        off = [each for each in self._off if each.permanent]
        found = [(each.target, each.id, True) for each in running]
        found += [(each.target, each.id, False) for each in off]
        return [
            (target.key.app, target.key.name, target.url.full, target.track, name, on)
            for target, name, on in found
        ]

    def off(self) -> list[tuple[str, str, str]]:
        """App, name and id of each target of the settings that is off."""
        targets = [each for each in self._off if not each.permanent]
        return [(each.target.key.app, each.target.key.name, each.id) for each in targets]

    def remove(self, key: StreamKey, relay_id: str) -> bool:
        """End a target; False when there is none. One of the configuration comes with the next publisher.

        Raises UsageError for one of the configuration that is off: to be so is all that can be done to it.
        """
        off = self._off.of(key).get(relay_id)
        if off is not None and not off.permanent:
            raise UsageError("it is off already, and stays in the list for as long as the settings name it")
        target = self._targets.get(key, {}).get(relay_id)
        if off is not None:
            self._off.take(key, relay_id)
        elif target is not None:
            target.remove()
        else:
            return False
        if off is not None or (target is not None and target.permanent):
            self.memory.removed(key, relay_id)
        return True

    def switch_off(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """Send nothing there until it is switched on, whoever publishes and whatever the settings become.

        One of the configuration is on again once the settings name it no more. None when there is no such
        target. Raises UsageError when too many are off.
        """
        off = self._off.of(key).get(relay_id)
        if off is not None:
            return off.status
        target = self._targets.get(key, {}).get(relay_id)
        origin = NOBODY
        if target is not None:
            off = OffTarget(relay_id, target.target, target.permanent)
            origin = target.origin
        else:
            template = self._templates_of(key).get(relay_id)
            if template is None:
                return None
            off = OffTarget(relay_id, template.expand(key), permanent=False)
        self._off.put(off)
        if target is not None:
            self._leave(target, silently=True)
        self.memory.switched(key, relay_id, on=False)
        self.tell(off.status, origin)
        return off.status

    def switch_on(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """Send there again, at once if the stream is published. None when there is no such target."""
        off = self._off.take(key, relay_id)
        if off is not None:
            self.memory.switched(key, relay_id, on=True)
        running = self._targets.get(key, {}).get(relay_id)
        if running is not None:
            return running.status
        if off is not None and (off.permanent or self.publication(key) is not None):
            return self._start(relay_id, off.target, permanent=off.permanent).status
        template = self._templates_of(key).get(relay_id)
        return None if template is None else PushTarget(self, relay_id, template.expand(key)).status

    def restart(self, key: StreamKey, relay_id: str) -> RelayStatus | None:
        """Leave the other server and come back, or try again now. None when it does not run.

        Raises UsageError for one that is off.
        """
        if relay_id in self._off.of(key):
            raise UsageError("it is off: switch it on")
        target = self._targets.get(key, {}).get(relay_id)
        if target is None:
            return None
        self._leave(target)
        return self._start(relay_id, target.target, permanent=target.permanent).status

    # At the hands of the settings

    def apply(self) -> None:
        """Follow what ``templates_of`` says now of what is published: targets come, go and change."""
        for key in {*self.registry.streams, *(target.target.key for target in self._off)}:
            self.follow(key)

    def follow(self, key: StreamKey) -> None:
        """The same for one stream."""
        templates = self._templates_of(key)
        for name in self._off.follow(key, templates):
            self.memory.switched(key, name, on=True)
        publication = self.publication(key)
        if publication is None:
            return
        for target in list(self._targets.get(key, {}).values()):
            template = templates.get(target.id)
            if not target.permanent and (template is None or template.expand(key) != target.target):
                self._leave(target)
        self.published(publication)

    async def close(self, grace: float) -> None:
        """End everything: in order within ``grace`` seconds, then at once."""
        self._closing = True
        self._off = SwitchedOff()
        for targets in list(self._targets.values()):
            for target in targets.values():
                target.remove()
        await self._tasks.drain(grace)
        await self._tasks.wait_closed()

    # The registry's observer

    def published(self, publication: Publication) -> None:
        key = publication.key
        running, off = self._targets.get(key, {}), self._off.of(key)
        for name, template in self._templates_of(key).items():
            if name not in running and name not in off:
                self._start(name, template.expand(key))
        for target in self._targets.get(key, {}).values():
            target.follow(publication)
        self._wake(key)

    def unpublished(self, publication: Publication) -> None:
        if self.moving:
            for target in list(self._targets.get(publication.key, {}).values()):
                target.leave()
        stream = self.registry.streams.get(publication.key)
        if stream is None or not stream.publications:
            for target in self._targets.get(publication.key, {}).values():
                target.lose(publication)
        self._wake(publication.key)

    # For the targets

    def publication(self, key: StreamKey) -> Publication | None:
        """What is published under ``key`` now, or is about to go on air, or was while a slate is shown."""
        stream = self.registry.streams.get(key)
        if stream is None:
            return None
        holder = stream.holder or (stream.lost if stream.slate is not None else None)
        return None if holder is None or holder.origin.is_borrowed else holder

    def delay(self, target: RelayTarget) -> float:
        """Seconds by which it is behind."""
        return self.registry.limits_at(target.key).delay if target.delay is None else target.delay

    def later(self, target: RelayTarget) -> DelayedStream | None:
        """What it is sent that is behind; None if it is not, or nothing waits."""
        stream, delay = self.registry.streams.get(target.key), self.delay(target)
        return None if stream is None or not delay else stream.later.get(delay)

    def forget(self, target: PushTarget) -> None:
        """The target has ended."""
        key = target.target.key
        targets = self._targets.get(key, {})
        # Another may have its name by now.
        if targets.get(target.id) is target:
            del targets[target.id]
            if not targets:
                del self._targets[key]
        if target.over.is_set() and self._leaving.get((key, target.id)) is target:
            del self._leaving[key, target.id]

    def _leave(self, target: PushTarget, *, silently: bool = False) -> None:
        """End a target whose name is free at once: who has it next waits until this one is gone."""
        target.remove(silently=silently)
        self._leaving[target.target.key, target.id] = target
        self.forget(target)

    def _start(self, relay_id: str, target: RelayTarget, *, permanent: bool = False) -> PushTarget:
        before = self._leaving.get((target.key, relay_id))
        push = PushTarget(self, relay_id, target, permanent=permanent, before=before)
        self._targets.setdefault(target.key, {})[relay_id] = push
        if not self._closing:
            self._tasks.start(push.run(), name=f"push-{target.key}-{relay_id}")
        return push

    def _wake(self, key: StreamKey) -> None:
        for target in self._targets.get(key, {}).values():
            target.wake()
