"""Stream keys that come while the server runs, and keys that somebody has revoked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from rtmpd.access.keys import MAX_LENGTH, MIN_LENGTH, Key, digest_in, digest_of
from rtmpd.access.proof import KEY
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ProofFailed, UsageError
from rtmpd.reasons import Refusal
from rtmpd.serving.access import Action

MAX_ADDED: Final = 10_000
"""Keys that are there at a time, those that have expired included as long as there is room."""
MAX_REVOKED: Final = 10_000
"""Revoked ones that are known."""


@dataclass(frozen=True, slots=True)
class RuntimeKey:
    """One that was added while the server ran."""

    action: Action
    """Publish or play."""
    path: str
    """App and name of the stream."""
    key: Key
    since: float
    """When it was made, in seconds since 1970."""
    is_token: bool = False
    """Whoever showed a JWT has got it."""


class KeyMemory(Protocol):
    """Keeps all this for the next start."""

    def added(self, key: RuntimeKey) -> None:
        """It is good from now on."""

    def removed(self, digest: bytes) -> None:
        """One that was added is gone."""

    def revoked(self, digest: bytes, yes: bool) -> None:
        """A key is revoked, or is not any more."""


class NoMemory:
    """Forgets it all."""

    def added(self, key: RuntimeKey) -> None:
        pass

    def removed(self, digest: bytes) -> None:
        pass

    def revoked(self, digest: bytes, yes: bool) -> None:
        pass


class RuntimeKeys:
    """All of them. A revoked key opens nothing, wherever it stands.

    ``wall_clock()`` is seconds since 1970.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._keys: dict[bytes, RuntimeKey] = {}
        """By digest, the oldest first."""
        self._revoked: dict[bytes, bool] = {}
        """Digests, the oldest first, and whether the settings name the key."""
        self._numbers = Counter[Action]()
        self.memory: KeyMemory = NoMemory()
        self.were_there = False
        """There are keys, or were: a text that somebody shows may be one."""

    def __bool__(self) -> bool:
        return bool(self._keys or self._revoked)

    def __len__(self) -> int:
        """Those that were added."""
        return len(self._keys)

    def __iter__(self) -> Iterator[RuntimeKey]:
        """Those that were added, expired ones too."""
        return iter(self._keys.values())

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._keys

    def add(self, key: RuntimeKey) -> None:
        """Raises UsageError if it is there already, or there is no room for it."""
        self.restore(key)
        self.memory.added(key)

    def restore(self, key: RuntimeKey) -> None:
        """The same for one that was added in another life, as it was remembered."""
        if key.key.digest in self._keys:
            raise UsageError("this is a key already, and a key is for one stream")
        if len(self._keys) >= MAX_ADDED and not self._make_room():
            raise UsageError(f"there are {MAX_ADDED} keys already that were added and have not expired")
        self.were_there = True
        self._keys[key.key.digest] = key
        self._numbers[key.action] += 1

    def revoke(self, digest: bytes, *, named: bool) -> None:
        """It opens nothing any more. One that was added is gone for good; ``named`` are those of the
        settings and their files."""
        self._remove(digest)
        if digest not in self._revoked:
            if len(self._revoked) >= MAX_REVOKED:
                self.lift(next(iter(self._revoked)))
            self._revoked[digest] = named
            self.memory.revoked(digest, yes=True)

    def lift(self, digest: bytes) -> bool:
        """It is good again where it still stands; False if it was not revoked."""
        if digest not in self._revoked:
            return False
        del self._revoked[digest]
        self.memory.revoked(digest, yes=False)
        return True

    def revoked(self) -> Iterator[tuple[bytes, bool]]:
        """Digests of those that are, and whether the settings named them."""
        return iter(self._revoked.items())

    def is_revoked(self, digest: bytes) -> bool:
        """Whether somebody in charge has said so."""
        return digest in self._revoked

    def forget_revoked(self, named: Callable[[], Container[bytes]]) -> None:
        """Those of the settings that are ``named`` there no more need not be known as revoked."""
        known = [digest for digest, were_named in self._revoked.items() if were_named]
        still = named() if known else ()
        for digest in known:
            if digest not in still:
                self.lift(digest)

    def takes(self, action: Action) -> bool:
        """Whether there may be keys for that."""
        return self._numbers[action] > 0

    def find(self, action: Action, app: str, text: str) -> Key | None:
        """The key for a stream of ``app`` that ``text`` is; None if it is none that was added.

        Raises ProofFailed for one that has expired, and for any that is revoked.
        """
        if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
            return None
        digest = digest_of(text)
        if digest in self._revoked:
            text = "This key has been revoked; ask for another one."
            raise ProofFailed(Refusal.KEY_REVOKED, text)
        found = self._keys.get(digest)
        if found is None or found.action is not action or not found.path.startswith(f"{app}/"):
            return None
        found.key.check_time(self._wall_clock())
        return replace(found.key, name=found.path.removeprefix(f"{app}/"))

    def knows(self, app: str, text: str) -> bool:
        """Whether ``text`` is a key to publish in ``app``, or was one."""
        try:
            return self.find(Action.PUBLISH, app, text) is not None
        except ProofFailed:
            return True

    def vouches_for(self, action: Action, key: StreamKey, identity: str) -> bool:
        """Whether whoever was let in by a key could still be."""
        found = self._keys.get(digest_in(identity)) if identity.startswith(KEY) else None
        return found is not None and found.action is action and found.path == key

    def has_revoked(self, identity: str) -> bool:
        """Whether whoever was let in came by a key that is revoked now."""
        return bool(self._revoked) and identity.startswith(KEY) and digest_in(identity) in self._revoked

    def _make_room(self) -> bool:
        """Have the one go that expired first; False if none has."""
        now = self._wall_clock()
        expired = [
            (each.key.until, digest)
            for digest, each in self._keys.items()
            if each.key.until is not None and each.key.until <= now
        ]
        for _, digest in sorted(expired)[:1]:
            self._remove(digest)
        return bool(expired)

    def _remove(self, digest: bytes) -> None:
        gone = self._keys.pop(digest, None)
        if gone is not None:
            self._numbers[gone.action] -= 1
            self.memory.removed(digest)
