"""The players of this process, as they are led elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Attempt, Audit, Change
from rtmpd.control.redirect_answers import Redirected, RedirectRequest
from rtmpd.control.session_views import seen
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.sessions import Redirectable, SessionHandle
from rtmpd.exceptions import Conflict, NotFound, NotPossible, Refused
from rtmpd.reasons import Problem
from rtmpd.rtmp.url import check_server, clean_path, validate_name

_MAX_NAME_BYTES = 256
_AT_ONCE = 25
"""Players that are led before others have their turn."""


class LocalRedirects:
    """Leads players; ``apps`` are as ``StreamKey.of_path`` wants them, now."""

    def __init__(self, registry: Registry, apps: Callable[[], Container[str]], audit: Audit) -> None:
        self._registry = registry
        self._apps = apps
        self._audit = audit

    async def stream(self, key: StreamKey, request: RedirectRequest, by: Actor) -> Redirected:
        """All players of a stream."""
        with self._audit.attempt(by, Change.REDIRECT, key, request.reason) as attempt:
            stream = self._registry.streams.get(key)
            if stream is None or not by.sees(key):
                raise NotFound(Problem.STREAM_NOT_FOUND, f"nobody publishes {key}, and nobody waits for it")
            sessions = [each.origin.session for each in stream.everybody if each.audience]
            handles = [self._registry.sessions.find(number) for number in dict.fromkeys(sessions)]
            return await self._lead(handles, key, request, by, attempt)

    async def session(self, handle: SessionHandle, request: RedirectRequest, by: Actor) -> Redirected:
        """All that a session plays."""
        with self._audit.attempt(by, Change.REDIRECT, handle.origin.session_id, request.reason) as attempt:
            played = next((use.key for use in handle.uses if not use.publishes), None)
            if played is None:
                raise Conflict(Problem.NOT_PLAYING, "this session plays nothing")
            attempt.key = played
            return await self._lead([handle], played, request, by, attempt)

    async def _lead(
        self,
        handles: Iterable[SessionHandle | None],
        key: StreamKey,
        request: RedirectRequest,
        by: Actor,
        attempt: Attempt,
    ) -> Redirected:
        attempt.before = str(key)
        to, server = self._goal(key, request, by)
        attempt.after = server or str(to)
        redirected = refused = unable = 0
        for number, handle in enumerate(handles, 1):
            # Who goes to another server goes with all that they do.
            if isinstance(handle, Redirectable) and (not server or seen(handle, by)):
                try:
                    moved = await _move(handle, key, to, server)
                except Refused:
                    refused += 1
                else:
                    redirected += moved
                    unable += not moved
            else:
                unable += 1
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return Redirected(redirected=redirected, refused=refused, unable=unable)

    def _goal(self, key: StreamKey, request: RedirectRequest, by: Actor) -> tuple[StreamKey, str]:
        if (request.name is None) == (request.server is None):
            raise NotPossible(Problem.BAD_REQUEST, "say either a name or a server")
        if request.server is not None:
            try:
                return key, check_server(request.server)
            except ValueError as problem:
                raise NotPossible(Problem.BAD_REQUEST, f"server: {problem}") from None
        path = clean_path(key.app if request.app is None else request.app, request.name or "")
        to = StreamKey.of_path(path, self._apps())
        if any(validate_name(text, _MAX_NAME_BYTES) is not None for text in (to.app, to.name)):
            raise NotPossible(Problem.BAD_REQUEST, "this cannot be the name of an app and a stream")
        stream = self._registry.streams.get(to)
        if stream is None or stream.publication is None or not by.sees(to):
            raise Conflict(Problem.NOT_LIVE, f"nobody publishes {to}: players would have nothing to see")
        if to == key:
            raise Conflict(Problem.NOT_LIVE, "these players are there already")
        return to, ""


async def _move(handle: Redirectable, before: StreamKey, to: StreamKey, server: str) -> int:
    if server:
        return int(handle.request_reconnect(server, "The server asks you to connect elsewhere."))
    # A connection that ends meanwhile cancels whoever asks for it, and that is not to be us.
    moving = asyncio.ensure_future(handle.redirect(before, to))
    try:
        await asyncio.wait({moving})
    except BaseException:
        moving.cancel()
        raise
    return 0 if moving.cancelled() else moving.result()
