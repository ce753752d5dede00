"""Other servers: who is pushed to, whom streams are fetched from, and who has which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rtmpd.daemon.borrowing import Borrowing
from rtmpd.daemon.config import Config
from rtmpd.daemon.hook_side import HookPushes
from rtmpd.engine.handover import BorrowedHandover, HandoverRules, PullHandover
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, SessionIds
from rtmpd.engine.registry import Registry
from rtmpd.relay.dialer import RelayDialer
from rtmpd.relay.origin_map import StaticOrigins
from rtmpd.relay.pull.relays import PullRelays
from rtmpd.relay.push.relays import PushRelays
from rtmpd.relay.status import RelayStatus
from rtmpd.relay.template import RelayTemplate
from rtmpd.serving.claims import Claims

if TYPE_CHECKING:
    from rtmpd.daemon.neighbour import Neighbour


class RelaySide:
    """Pushes and pulls, as the settings of each stream are now, and backends want them besides.

    ``config()`` is the configuration in force; ``tell`` as for ``PushRelays``.
    """

    def __init__(
        self,
        registry: Registry,
        config: Callable[[], Config],
        clock: Callable[[], float],
        new_session: SessionIds,
        instance_id: str,
        tell: Callable[[RelayStatus, Origin], None],
    ) -> None:
        self.clock = clock
        self._config = config
        self.leaving = False
        """Another process of this server takes over from us."""
        self._dialer = RelayDialer(instance_id, new_session)
        self.hook_pushes = HookPushes(lambda key: self.pushes.follow(key))
        self.pushes = PushRelays(registry, self._dialer, clock, self._targets, tell=tell)
        static = StaticOrigins(lambda key: config().at(str(key)).pull.templates)
        origins = self._borrowing = Borrowing(registry, static)
        self.claims = Claims(origins, clock)
        self.pulls = PullRelays(
            registry,
            self._dialer,
            clock,
            origins,
            lambda key: self._borrowing.rule(config().at(str(key)).pull_rule, key),
            policy=PullHandover(self.handover_rules),
            borrowed_policy=BorrowedHandover(self.handover_rules),
        )
        registry.observe(self.pushes)
        registry.observe(self.pulls, borrowed=True)

    def handover_rules(self, key: StreamKey) -> HandoverRules:
        """Who may have a name that another has, and how long it is kept."""
        rules = self._config().handover_rules(str(key))
        return replace(rules, moving=True) if self.leaving else rules

    def meet(self, neighbour: Neighbour | None, *, leaving: bool) -> None:
        """There is another process of this server, or none any more. ``leaving``: it takes over from us."""
        self._borrowing.neighbour = neighbour
        self.leaving = self.pushes.moving = leaving
        self.apply_pulls()

    def apply(self) -> None:
        """Follow the configuration in force, but for ``apply_pulls``."""
        self._dialer.apply(self._config().relay.ca_file or None)
        self.pushes.apply()

    def apply_pulls(self) -> None:
        """Once all listeners are open: it may begin to connect."""
        config = self._config()
        self.pulls.apply(config.pulled_always(), config.relay.max_dials_per_address)

    def statuses(self) -> list[RelayStatus]:
        """Every push and every pull."""
        return [*self.pushes.statuses(), *self.pulls.statuses()]

    def _targets(self, key: StreamKey) -> Mapping[str, RelayTemplate]:
        return {**self._config().at(str(key)).pushes(key.name), **self.hook_pushes.of(key)}
