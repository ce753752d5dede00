"""Pull relays: streams fetched from other servers, always or when the first player asks for them.

A name has one publisher. While a pull is live an encoder that publishes the name is refused, like any second
publisher; while it is still connecting the encoder wins and the pull gives way until the name is free again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from rtmpd.engine.claim import REFUSE, ClaimPolicy
from rtmpd.engine.key import StreamKey
from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.subscriber import Subscription
from rtmpd.exceptions import OriginMapUnavailable, UsageError
from rtmpd.net.tasks import TaskSet
from rtmpd.relay.dialer import RelayDialer, RetryPolicy
from rtmpd.relay.origin_map import OriginMap
from rtmpd.relay.pull.locator import Locator
from rtmpd.relay.pull.relay import PullContext, PullRelay
from rtmpd.relay.pull.rule import PullRule
from rtmpd.relay.pull.waiting import Waiting
from rtmpd.relay.status import RelayState, RelayStatus, switched_off

MAX_OFF: Final = 1000
"""Streams whose pull is switched off."""


class PullRelays(StreamObserver):
    """All pull relays of the process; an observer of the registry.

    ``origins`` knows where streams are. ``rule_of(key)`` is asked whenever players come and go.
    """

    def __init__(
        self,
        registry: Registry,
        dialer: RelayDialer,
        clock: Callable[[], float],
        origins: OriginMap,
        rule_of: Callable[[StreamKey], PullRule | None],
        retry: RetryPolicy | None = None,
        policy: ClaimPolicy = REFUSE,
        borrowed_policy: ClaimPolicy = REFUSE,
    ) -> None:
        self.context = PullContext(
            registry,
            dialer,
            clock,
            Locator(origins, clock),
            Waiting(registry),
            retry or RetryPolicy(),
            policy,
            borrowed_policy,
        )
        registry.sessions.add_shelf(self.context.sessions)
        self._rule_of = rule_of
        self._relays: dict[StreamKey, PullRelay] = {}
        self._off: dict[StreamKey, None] = {}
        """Switched off by hand, in that order."""
        self._tasks = TaskSet()
        self._closing = False

    def apply(self, always: Iterable[StreamKey], max_dials: int) -> None:
        """Follow ``rule_of`` as it is now: pulls come and go.

        One from an origin that is none any more begins anew, every other goes on. ``always`` are the
        streams whose rule is not on demand. ``max_dials`` is how many attempts may be under way for the
        players of one address, or network, as far as they are not live: further streams wait for their turn.
        """
        self.context.waiting.apply(max_dials)
        for key in [each for each in self._off if not self._is_pulled(each)]:
            del self._off[key]
        for relay in list(self._relays.values()):
            rule = self._rule_of(relay.key)
            if rule is None or not rule.covers(relay.key.name):
                self._forget(relay)
            else:
                if rule != relay.rule:
                    relay.follow(rule)
                self._tasks.start(self._check(relay), name=f"check-{relay.key}")
        for key in dict.fromkeys((*always, *self._relays, *self.context.registry.streams)):
            self._reconsider(key)

    def statuses(self) -> list[RelayStatus]:
        """Every pull that is under way; those that are off last."""
        return [relay.status for relay in self._relays.values()] + [_off(key) for key in self._off]

    def off(self) -> list[tuple[str, str]]:
        """App and name of each stream whose pull is switched off."""
        return [(key.app, key.name) for key in self._off]

    def switch_off(self, key: StreamKey) -> RelayStatus | None:
        """Fetch a stream no more until it is switched on, or no rule says that it is fetched.

        None if none says so now. Raises UsageError when too many are off.
        """
        if not self._is_pulled(key):
            return None
        if key not in self._off and len(self._off) >= MAX_OFF:
            raise UsageError(f"{MAX_OFF} pulls can be off at most: switch some on")
        self._off[key] = None
        relay = self._relays.get(key)
        if relay is not None:
            self._forget(relay)
        return _off(key)

    def switch_on(self, key: StreamKey) -> RelayStatus | None:
        """Fetch it again: at once if somebody waits for it, or always does. None if it is not off."""
        if key not in self._off:
            return None
        del self._off[key]
        self._reconsider(key)
        relay = self._relays.get(key)
        return replace(_off(key), state=RelayState.IDLE, reason="") if relay is None else relay.status

    def restart(self, key: StreamKey) -> RelayStatus | None:
        """Leave the origin of a stream and ask anew which it is, at once; None if it is not fetched now.

        Raises UsageError if it is off.
        """
        if key in self._off:
            raise UsageError("it is off: switch it on")
        relay = self._relays.get(key)
        if relay is None:
            return None
        status = relay.status
        self._forget(relay)
        self._reconsider(key)  # Or the registry has that done, once what is fetched now has ended.
        return replace(status, state=RelayState.CONNECTING, reason="", retry_in=None)

    async def close(self) -> None:
        """End everything."""
        self._closing = True
        for relay in self._relays.values():
            relay.stop()
        self._relays.clear()
        await self._tasks.wait_closed()

    # The registry's observer

    def published(self, publication: Publication) -> None:
        self._reconsider(publication.key)

    def unpublished(self, publication: Publication) -> None:
        self._reconsider(publication.key)

    def ended(self, publication: Publication) -> None:
        self._reconsider(publication.key)

    def wanted(self, first: Subscription) -> None:
        self._reconsider(first.key)

    def unwanted(self, last: Subscription) -> None:
        self._reconsider(last.key)

    # Inside

    def _forget(self, relay: PullRelay) -> None:
        if self._relays.get(relay.key) is relay:
            relay.stop()
            del self._relays[relay.key]

    def _is_pulled(self, key: StreamKey) -> bool:
        """Whether the settings say so, and not only that another process of this server has it."""
        rule = self._rule_of(key)
        return rule is not None and rule.covers(key.name) and not rule.moving

    async def _check(self, relay: PullRelay) -> None:
        """Have a pull begin anew whose origin is none any more, as far as anybody knows."""
        with contextlib.suppress(OriginMapUnavailable):
            targets = await self.context.locator.locate(relay.key, relay.rule.timeout)
            if targets and relay.target not in (None, *targets):
                self._forget(relay)
                self._reconsider(relay.key)

    def _reconsider(self, key: StreamKey) -> None:
        """Start, keep or stop the pull of a stream, by what the registry says now."""
        rule = self._rule_of(key)
        if rule is None or not rule.covers(key.name) or self._closing:
            return
        if key in self._off and not rule.moving:
            return
        stream = self.context.registry.streams.get(key)
        relay = self._relays.get(key)
        lost = None if stream is None else stream.lost
        if lost is not None and not rule.moving and not lost.origin.is_relay:
            return  # The name of an encoder that may be back any moment.
        publication = None if stream is None else stream.holder
        if publication is not None and (relay is None or publication is not relay.publication):
            if relay is not None:
                self._forget(relay)
        elif not rule.on_demand or (stream is not None and stream.players):
            if relay is None:
                relay = self._relays[key] = PullRelay(self.context, key, rule, self._forget)
                relay.start(self._tasks)
            relay.keep()
        elif relay is not None:
            relay.linger(lambda: self._forget(relay))


def _off(key: StreamKey) -> RelayStatus:
    return switched_off("pull", "pull", key, "")
