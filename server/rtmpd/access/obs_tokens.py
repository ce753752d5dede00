"""Tokens by which OBS publishes what it was configured for, in place of the key that the streamer has typed.

One stands for that key, at its app, with the query that was typed behind it: whoever decides is asked again
at each publish, so a key that was revoked meanwhile opens nothing, and two tokens of a key no more than the
key does. It is good for one start: while its publish goes on, and a while before and after, for OBS connects
again with the same token when its connection breaks. What it stands for is kept so that only the token reads
it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol

from rtmpd.access.keys import digest_of, new_key
from rtmpd.access.local_tokens import Reviewer
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.url import clean_path, parse_query
from rtmpd.serving.access import AccessRequest, Action, Figures, Follower, Grant

LIFE: Final = 600.0
"""Seconds that a token is good before its publish has begun, and after it has ended."""
MOST: Final = 10_000
"""Tokens that are known at a time, and bytes of what they stand for:"""
MOST_BYTES: Final = 4 * 1024 * 1024
PER_KEY: Final = 4
"""Of one key at its app: a further one takes the place of the oldest."""
_MARK: Final = "obs-"
_FORM: Final = re.compile(rf"{_MARK}[a-z2-9]{{33}}")
"""No stream is called so that people have named."""
_CONFIG_ID: Final = "clientConfigId"
"""OBS appends it to the key."""
_ID_BYTES: Final = 8
_DIGITS: Final = 6
_SEAL: Final = b"what was typed into OBS:"
"""Keeps the pad another than the digest."""
_OVER: Final = "This start is over: stop streaming in OBS, and start again."
_OTHER: Final = "This belongs to another start of OBS: stop streaming in OBS, and start again."


class Decider(Reviewer, Protocol):
    """Decides, and knows what may be shown of what it has not granted."""

    def as_public(self, action: Action, key: StreamKey, /) -> StreamKey: ...


class ObsToken(NamedTuple):
    """One, as OBS is told it."""

    text: str
    config_id: str


@dataclass(slots=True)
class _Held:
    """What is kept of one."""

    owner: bytes
    """The same for the same key at the same app."""
    app: str
    sealed: bytes = field(repr=False)
    """What was typed."""
    config_id: str
    until: float
    """Clock reading to which it is good while nothing is published by it."""
    publishes: int = 0
    """That go on by it: two for a moment, when one takes over from another that is silent."""
    is_served: bool = False
    """The last publish that it was shown for came about."""


class ObsTokens:
    """Lets in who shows a token that is good as ``inner`` does who shows the key; asks it about all others.

    ``tables()`` are the apps with settings of their own, ``clock()`` is that of the engine.
    """

    def __init__(
        self,
        inner: Decider,
        tables: Callable[[], Container[str]],
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._inner = inner
        self._tables = tables
        self._clock = clock
        self._random_bytes = random_bytes
        self._held: dict[bytes, _Held] = {}
        """By digest, the oldest first."""
        self._by_owner: dict[bytes, list[bytes]] = {}
        """Digests, the oldest first."""
        self._bytes = 0

    def authorize(self, request: AccessRequest) -> Grant | Coroutine[Any, Any, Grant]:
        """Grant what the key of a token opens. Raises ``Refused``, also what the coroutine does."""
        if request.action is Action.CONNECT or not _is_token(request.key):
            return self._inner.authorize(request)
        if request.action is Action.PLAY:
            text = "This is what OBS publishes by, and no name of a stream: play it by its public name."
            raise Refused(StatusCode.PLAY_STREAM_NOT_FOUND, text, Refusal.KEY_AS_NAME)
        return self._publish(request, _last_level(request.key))

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        """As whoever decides on the key says: who came by a token is who has the key."""
        return self._inner.withdrawn(action, key, origin)

    def as_public(self, action: Action, key: StreamKey) -> StreamKey:
        """Of a token six digits by which it is known again."""
        shown = self._inner.as_public(action, key)
        if not _is_token(key):
            return shown
        return StreamKey(shown.app, f"~{digest_of(_last_level(key)).hex()[:_DIGITS]}")

    def issue(self, app: str, typed: str) -> ObsToken | None:
        """A new token for ``typed`` at ``app``: a stream key with what may follow ``?``.

        None where there is no room for one: the key opens the stream, too.
        """
        owner, plain = _owner(app, typed), typed.encode()
        same = [each for each in self._by_owner.get(owner, ()) if not self._held[each].publishes]
        for digest in same[: max(len(same) + 1 - PER_KEY, 0)]:
            self._forget(digest)
        while self._held and self._is_old(oldest := next(iter(self._held))):
            self._forget(oldest)
        if not self._has_room(plain):
            # Behind one by which somebody publishes for hours.
            for digest in list(filter(self._is_old, self._held)):
                self._forget(digest)
            if not self._has_room(plain):
                return None
        text = _MARK + new_key(self._random_bytes)
        config_id = self._random_bytes(_ID_BYTES).hex()
        self._bytes += len(plain)
        digest = digest_of(text)
        self._held[digest] = _Held(owner, app, _sealed(plain, text), config_id, self._clock() + LIFE)
        self._by_owner.setdefault(owner, []).append(digest)
        return ObsToken(text, config_id)

    def was_turned_away(self, app: str, typed: str) -> bool:
        """OBS has had a token for that already, and has not been served by the last one."""
        tokens = self._by_owner.get(_owner(app, typed))
        if not tokens:
            return False
        last = self._held[tokens[-1]]
        return not (last.publishes or last.is_served) and last.until > self._clock()

    def __len__(self) -> int:
        """Those that are known."""
        return len(self._held)

    # Inside

    async def _publish(self, request: AccessRequest, text: str) -> Grant:
        held = self._held.get(digest_of(text))
        if held is None or not (held.publishes or held.until > self._clock()):
            raise Refused(StatusCode.PUBLISH_REJECTED, _OVER, Refusal.START_OVER)
        app = str(request.key).rpartition("/")[0]
        if held.app != app or parse_query(request.query).get(_CONFIG_ID) != held.config_id:
            raise Refused(StatusCode.PUBLISH_REJECTED, _OTHER, Refusal.KEY_WRONG)
        name, _, query = _sealed(held.sealed, text).decode().partition("?")
        key = StreamKey.of_path(clean_path(app, name), self._tables())
        held.is_served = False
        answer = self._inner.authorize(replace(request, key=key, query=query))
        grant = answer if isinstance(answer, Grant) else await answer
        return replace(grant, follower=_Use(held, grant.follower, self._clock))

    def _has_room(self, plain: bytes) -> bool:
        return len(self._held) < MOST and self._bytes + len(plain) <= MOST_BYTES

    def _is_old(self, digest: bytes) -> bool:
        held = self._held[digest]
        return not held.publishes and held.until <= self._clock()

    def _forget(self, digest: bytes) -> None:
        held = self._held.pop(digest)
        self._bytes -= len(held.sealed)
        tokens = self._by_owner[held.owner]
        tokens.remove(digest)
        if not tokens:
            del self._by_owner[held.owner]


class _Use:
    """A publish by a token, which ``inner`` follows, too."""

    def __init__(self, held: _Held, inner: Follower | None, clock: Callable[[], float]) -> None:
        self._held = held
        self._inner = inner
        self._clock = clock
        self._has_begun = False

    def began(self, figures: Callable[[], Figures], /) -> None:
        """It has come about."""
        self._has_begun = self._held.is_served = True
        self._held.publishes += 1
        if self._inner is not None:
            self._inner.began(figures)

    def ended(self, figures: Figures, /) -> None:
        """It is over, or did not come about."""
        if self._has_begun:
            self._held.publishes -= 1
            self._held.until = self._clock() + LIFE
        if self._inner is not None:
            self._inner.ended(figures)


def _is_token(key: StreamKey) -> bool:
    return _MARK in key.name and _FORM.fullmatch(_last_level(key)) is not None


def _last_level(key: StreamKey) -> str:
    return key.name.rpartition("/")[2]


def _owner(app: str, typed: str) -> bytes:
    return digest_of(f"{app}/{typed}")


def _sealed(text: bytes, token: str) -> bytes:
    """``text`` as nobody reads it without the token; and what was sealed so, as it was."""
    pad = hashlib.shake_256(_SEAL + token.encode()).digest(len(text))
    return bytes(one ^ other for one, other in zip(text, pad, strict=True))
