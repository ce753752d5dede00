"""The stream keys of this process, as they are told, made and revoked."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rtmpd.access.keys import Key, check_label, parse_digest
from rtmpd.access.publish_tokens import PublishTokens
from rtmpd.control.actor import Actor
from rtmpd.control.audit import Attempt, Audit, Change
from rtmpd.control.before import Before, ask_if_there
from rtmpd.control.key_answers import (
    KeyOrigin,
    NewStreamKey,
    PublishToken,
    PublishTokenRequest,
    StreamKeyInfo,
    StreamKeyPage,
    StreamKeyQuery,
    StreamKeyRequest,
)
from rtmpd.control.paging import build, cut
from rtmpd.control.stored import Stored
from rtmpd.control.times import on_wall
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Conflict, NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import clean_path, validate_name

_ID_DIGITS: Final = 16
_MAX_NAME_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that there is."""

    action: str
    """What it opens: publish or play."""
    path: str
    """Of its stream; in place of the app the table of the settings that names it."""
    key: Key
    origin: KeyOrigin
    setting: str | None = None
    is_revoked: bool = False
    since: float | None = None
    """When it was made, in seconds since 1970, if that is known."""


class KeyKeeper(Protocol):
    """Has the keys; ``rtmpd.daemon.keys_side.KeysSide`` is one."""

    tokens: PublishTokens

    def held(self) -> Iterable[HeldKey]:
        """All keys; one may be there more than once."""

    def add(
        self, action: str, path: str, digest: bytes | None, label: str, until: float | None, backup: bool
    ) -> tuple[str, HeldKey]:
        """A key that is made, or the one of ``digest``; then its text is empty. Raises UsageError."""

    def revoke(self, digest: bytes) -> None:
        """It opens nothing any more, and whoever came by it is ended."""

    def lift(self, digest: bytes) -> bool:
        """A revoked key of the settings is good again; False if it was not revoked."""


class LocalKeys:
    """``control.Keys`` of this process. ``secret`` is random: names of keys are made with it."""

    def __init__(
        self,
        keeper: KeyKeeper,
        apps: Callable[[], Container[str]],
        wall_clock: Callable[[], float],
        secret: bytes,
        stored: Stored,
        audit: Audit,
        before: Before,
    ) -> None:
        self._keeper = keeper
        self._apps = apps
        self._wall_clock = wall_clock
        self._secret = secret
        self._stored = stored
        self._audit = audit
        self._before = before

    async def list(self, query: StreamKeyQuery, by: Actor) -> StreamKeyPage:
        def wanted(held: HeldKey) -> bool:
            return (
                by.sees(StreamKey.of_path(held.path))
                and (query.app is None or _app(held) == query.app)
                and (query.stream is None or held.path == query.stream)
                and (query.origin is None or held.origin is query.origin)
            )

        part = await cut(self._keeper.held(), wanted, self._place, query.after, query.limit)
        items = await build(part.items, self._told)
        last = None if part.last is None else self._place(part.last)
        return StreamKeyPage(items=items, next=last, total=part.total)

    async def add(self, request: StreamKeyRequest, by: Actor) -> NewStreamKey:
        key = self._stream(request.app, request.name)
        with self._audit.attempt(by, Change.ADD_KEY, key) as attempt:
            text, told = self._add(key, request, by)
            attempt.target, attempt.after = f"{request.action} {key} {told.id}", request.label or None
        return NewStreamKey(key=text or None, info=told, kept=bool(await self._stored.settled()))

    def _add(self, key: StreamKey, request: StreamKeyRequest, by: Actor) -> tuple[str, StreamKeyInfo]:
        if not by.sees(key):
            raise NotPossible(Problem.OUT_OF_SCOPE, f"{key} is none of the streams that you have to do with")
        until = None if request.seconds is None else self._wall_clock() + request.seconds
        try:
            check_label(request.label)
            digest = None if request.sha256 is None else parse_digest(request.sha256)
        except ValueError as error:
            raise NotPossible(Problem.BAD_REQUEST, str(error)) from None
        try:
            text, held = self._keeper.add(
                request.action, str(key), digest, request.label, until, request.backup
            )
        except UsageError as problem:
            raise NotPossible(Problem.KEY_REFUSED, str(problem)) from None
        return text, self._told(held)

    async def revoke(self, key_id: str, by: Actor) -> None:
        with self._attempt(by, Change.REVOKE_KEY, key_id) as (held, attempt):
            attempt.before = held.key.label or None
            self._keeper.revoke(held.key.digest)
        await ask_if_there(self._before, "revoke", {"digest": held.key.digest.hex()}, by)

    async def lift(self, key_id: str, by: Actor) -> StreamKeyInfo:
        with self._attempt(by, Change.LIFT_KEY, key_id) as (held, attempt):
            attempt.after = held.key.label or None
            if not self._keeper.lift(held.key.digest):
                raise Conflict(Problem.NOT_REVOKED, "this key is not revoked")
        return self._told(self._find(key_id, by))

    async def publish_token(self, request: PublishTokenRequest, by: Actor) -> PublishToken:
        key = self._stream(request.app, request.name)
        tokens = self._keeper.tokens
        text, made = await tokens.issue(str(key), request.jwt, request.seconds, by.address)
        until = made.key.until
        if until is None:
            raise TypeError("a key for a JWT expires")
        return PublishToken(key=text, app=key.app, name=key.name, until=on_wall(until))

    def _stream(self, app: str, name: str) -> StreamKey:
        key = StreamKey.of_path(clean_path(app, name), self._apps())
        if any(validate_name(text, _MAX_NAME_BYTES) is not None for text in (key.app, key.name)):
            raise NotPossible(Problem.BAD_REQUEST, "this cannot be the name of an app and a stream")
        return key

    @contextmanager
    def _attempt(self, by: Actor, change: Change, key_id: str) -> Iterator[tuple[HeldKey, Attempt]]:
        with self._audit.attempt(by, change, key_id[:_ID_DIGITS]) as attempt:
            held = self._find(key_id, by)
            attempt.target = f"{held.action} {held.path} {key_id}"
            yield held, attempt

    def _find(self, key_id: str, by: Actor) -> HeldKey:
        for held in self._keeper.held():
            if self._id(held) == key_id and by.sees(StreamKey.of_path(held.path)):
                return held
        raise NotFound(Problem.KEY_NOT_FOUND, f"there is no stream key {key_id[:_ID_DIGITS]}")

    def _id(self, held: HeldKey) -> str:
        return hmac.digest(self._secret, held.key.digest, "sha256").hex()[:_ID_DIGITS]

    def _place(self, held: HeldKey) -> str:
        return f"{held.path} {held.action} {self._id(held)}"

    def _told(self, held: HeldKey) -> StreamKeyInfo:
        key = held.key
        return StreamKeyInfo(
            id=self._id(held),
            action="play" if held.action == "play" else "publish",
            app=_app(held),
            name=key.name,
            label=key.label,
            origin=held.origin,
            setting=held.setting,
            since=None if held.since is None else on_wall(held.since),
            until=None if key.until is None else on_wall(key.until),
            expired=key.until is not None and key.until <= self._wall_clock(),
            revoked=held.is_revoked,
            backup=key.backup,
        )


def _app(held: HeldKey) -> str:
    return held.path.removesuffix(f"/{held.key.name}")
