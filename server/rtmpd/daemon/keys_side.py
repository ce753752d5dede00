"""Stream keys at the hands of somebody in charge: those of the settings, and those that come at run time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping

from rtmpd.access.keys import Key, digest_of, new_key
from rtmpd.access.publish_tokens import ISSUED, PublishTokens
from rtmpd.access.runtime_keys import RuntimeKey
from rtmpd.control.key_answers import KeyOrigin
from rtmpd.control.local_keys import HeldKey
from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.key_entries import entries
from rtmpd.exceptions import UsageError
from rtmpd.serving.access import Action


class KeysSide:
    """``control.local_keys.KeyKeeper``, made when there is an address to ask at."""

    def __init__(self, access: AccessSide) -> None:
        self._access = access
        self._keys = access.runtime_keys
        self.tokens = PublishTokens(
            lambda: access.rules, access.runtime_keys, access.guard, access.clock, time.time, os.urandom
        )

    def held(self) -> Iterator[HeldKey]:
        """All keys; one may be there more than once."""
        revoked = self._keys.is_revoked
        for entry in entries(self._access.rules):
            key = entry.key
            origin = KeyOrigin.FILE if entry.file else KeyOrigin.SETTINGS
            path = f"{entry.table}/{key.name}"
            yield HeldKey(entry.action, path, key, origin, entry.setting, revoked(key.digest))
        for each in self._keys:
            origin = KeyOrigin.JWT if each.is_token else KeyOrigin.ADDED
            yield HeldKey(each.action, each.path, each.key, origin, since=each.since)

    def numbers(self) -> dict[str, int]:
        """How many came at run time, by where they come from."""
        tokens = sum(each.is_token for each in self._keys)
        return {KeyOrigin.ADDED.value: len(self._keys) - tokens, KeyOrigin.JWT.value: tokens}

    def token_counts(self) -> Mapping[str, int]:
        """How often one was asked for with a JWT, by what came of it."""
        return {ISSUED: 0, **self.tokens.counts}

    def add(
        self, action: str, path: str, digest: bytes | None, label: str, until: float | None, backup: bool
    ) -> tuple[str, HeldKey]:
        """A key that is made here and now, or the one of which ``digest`` is; then its text is empty.

        Raises UsageError if it is there already, or over already, or one too many.
        """
        if until is not None and until <= time.time():
            raise UsageError("this time is over already")
        text = new_key(os.urandom) if digest is None else ""
        digest = digest_of(text) if digest is None else digest
        if any(entry.key.digest == digest for entry in entries(self._access.rules)):
            raise UsageError("this is a key of the settings already")
        if self._keys.is_revoked(digest):
            raise UsageError("this key has been revoked: make another one")
        made = RuntimeKey(
            Action(action), path, Key(digest, path.partition("/")[2], label, until, backup), since=time.time()
        )
        self._keys.add(made)
        return text, HeldKey(action, path, made.key, KeyOrigin.ADDED, since=made.since)

    def revoke(self, digest: bytes) -> None:
        """It opens nothing any more, and whoever came by it is ended."""
        named = any(entry.key.digest == digest for entry in entries(self._access.rules))
        self._keys.revoke(digest, named=named)
        self._access.review()

    def lift(self, digest: bytes) -> bool:
        """A revoked key of the settings is good again; False if it was not revoked."""
        return self._keys.lift(digest)
