"""Stream keys that came at run time, and those that were revoked, so that the next process knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from rtmpd.access.keys import Key
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.exceptions import UsageError
from rtmpd.serving.access import Action

if TYPE_CHECKING:
    from rtmpd.state.rows import KeyRow
    from rtmpd.state.store import Store
    from rtmpd.state.tables import Contents

logger = logging.getLogger(__name__)


class KeptKeys:
    """The ``KeyMemory`` of ``keys``: writes to a store while there is one. Of keys there are digests alone.

    ``named()`` are the digests of those that the settings name; ``review()`` ends whom nobody would let in
    any more.
    """

    def __init__(
        self, keys: RuntimeKeys, named: Callable[[], Container[bytes]], review: Callable[[], None]
    ) -> None:
        self._keys = keys
        self._named = named
        self._review = review
        self._store: Store | None = None
        keys.memory = self

    def follow(self, store: Store | None) -> None:
        """Write there from now on; ``merge`` what it has."""
        self._store = store

    def merge(self, contents: Contents) -> dict[str, int]:
        """Go on with those of an earlier process, and have the store keep what it lacks; how many there
        are."""
        added, revoked = {row.digest for row in contents.keys}, set(contents.revoked)
        restored = sum(map(self._restore, contents.keys))
        named = self._named() if revoked else ()
        news = [each for each in map(bytes.fromhex, contents.revoked) if not self._keys.is_revoked(each)]
        for digest in news:
            self._keys.revoke(digest, named=digest in named)
        for key in self._keys:
            if key.key.digest.hex() not in added:
                self.added(key)
        for digest, _ in self._keys.revoked():
            if digest.hex() not in revoked:
                self.revoked(digest, yes=True)
        if news:
            self._review()
        return {"keys": restored, "revoked": len(news)}

    # As ``KeyMemory``

    def added(self, key: RuntimeKey) -> None:
        if self._store is None:
            return
        from rtmpd.state.rows import KeyRow

        made = key.key
        self._store.keep(
            KeyRow(
                digest=made.digest.hex(),
                action=key.action.value,
                path=key.path,
                label=made.label,
                until=made.until,
                backup=int(made.backup),
                since=key.since,
                is_token=int(key.is_token),
            )
        )

    def removed(self, digest: bytes) -> None:
        if self._store is not None:
            self._store.forget(("keys", (digest.hex(),)))

    def revoked(self, digest: bytes, yes: bool) -> None:
        if self._store is None:
            return
        from rtmpd.state.rows import RevokedRow

        row = RevokedRow(digest.hex())
        if yes:
            self._store.keep(row)
        else:
            self._store.forget(("revoked", (row.digest,)))

    def _restore(self, row: KeyRow) -> bool:
        """False for one that is there already, or cannot be any more."""
        digest = bytes.fromhex(row.digest)
        if digest in self._keys or self._keys.is_revoked(digest):
            return False
        name = row.path.partition("/")[2]
        key = Key(digest, name, row.label, row.until, bool(row.backup))
        try:
            self._keys.restore(RuntimeKey(Action(row.action), row.path, key, row.since, bool(row.is_token)))
        except (UsageError, ValueError) as problem:
            fields = {"stream": row.path, "label": row.label, "problem": str(problem)}
            logger.warning("key not restored", extra={"fields": fields})
            self.removed(digest)
            return False
        return True
