"""Who decides on whoever comes, as the settings have it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rtmpd.access.guard import Guard
from rtmpd.access.local_tokens import LocalTokens
from rtmpd.access.obs_tokens import ObsTokens
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.review import review
from rtmpd.access.runtime_keys import RuntimeKeys
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.banner import APP, Admission
from rtmpd.daemon.config import Config
from rtmpd.daemon.hook_side import HookContext, HookSide
from rtmpd.daemon.key_entries import entries
from rtmpd.engine.registry import Registry
from rtmpd.net.address_mask import AddressMask

if TYPE_CHECKING:
    from rtmpd.access.admin_access import AdminAccess


class AccessSide:
    """The rules, who decides by them, and who remembers what came of it."""

    def __init__(
        self, config: Config, clock: Callable[[], float], registry: Registry, about: HookContext
    ) -> None:
        """Raises ConfigError as ``ConfiguredRules`` does."""
        self.rules = ConfiguredRules(config)
        self.clock = clock
        self.runtime_keys = RuntimeKeys(time.time)
        self.policy = AccessPolicy(self.rules, time.time, os.urandom(16), self.runtime_keys)
        self.hooks = HookSide(about, self.policy)
        self.obs = ObsTokens(self.hooks, lambda: self.rules.tables, clock, os.urandom)
        """Of starts of OBS."""
        self.tokens = LocalTokens(self.obs, os.urandom)
        """Who is asked first: processes that this server runs show it tokens."""
        self.mask = AddressMask(time.monotonic, os.urandom)
        """How much of addresses is shown."""
        self.guard = Guard(clock, registry.stats, self.mask)
        self._registry = registry
        self._reviewed = self._readings()
        self._admin: AdminAccess | None = None

    @property
    def admin(self) -> AdminAccess:
        """Who may ask the admin port; there once somebody shows something there."""
        if self._admin is None:
            from rtmpd.access.admin_access import AdminAccess

            self._admin = AdminAccess(self.guard, time.time, asyncio.sleep)
            self._admin.apply(self.rules.config.admin.to_rules(), self.rules.admin_tokens)
        return self._admin

    def apply(self, rules: ConfiguredRules) -> None:
        """Follow other settings, with their files read."""
        self.rules = rules
        self.mask.apply(rules.config.privacy.shown, rules.config.privacy.to_backends)
        self.policy.apply(rules)
        self.hooks.apply(rules.config)
        rules.take_over()
        if self._admin is not None:
            self._admin.apply(rules.config.admin.to_rules(), rules.admin_tokens)
        self.guard.apply(rules.config.bans.to_rules(rules.config.network.networks()))
        self.review()

    def admissions(self) -> dict[str, Admission]:
        """Who comes in by app: see ``banner``."""
        config = self.rules.config
        names = (APP, *sorted(config.app_names() - {APP}), "")
        return {name: Admission(self.rules.at(name), config.at(name).hooks.to_rules()) for name in names}

    def look(self) -> None:
        """Notice what has changed beside the settings; call it every second or so."""
        self.guard.look()
        for file in self.rules.files.values():
            file.look()
        self.rules.issuers.refresh()
        if self._readings() != self._reviewed:
            self.review()

    def review(self) -> None:
        """End the sessions that nobody would be let in for any more: keys go, addresses are denied."""
        self._reviewed = self._readings()
        self.runtime_keys.forget_revoked(self.named_keys)
        review(self._registry, self.tokens.withdrawn)

    def named_keys(self) -> set[bytes]:
        """Digests of the keys that the settings, and files of theirs, name."""
        return {entry.key.digest for entry in entries(self.rules)}

    def key_files(self) -> Mapping[str, int]:
        """How many files of keys are in force as they are now, and how many as they were."""
        outdated = sum(bool(file.problem) for file in self.rules.files.values())
        return {"current": len(self.rules.files) - outdated, "outdated": outdated}

    def _readings(self) -> list[int]:
        """How often the keys of each file have become others."""
        return [file.readings for file in self.rules.files.values()]
