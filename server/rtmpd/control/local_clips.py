"""The last seconds and the newest pictures of the streams of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rtmpd.control.actor import Actor
from rtmpd.control.clip_answers import ClipQuery, HeldFile
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.exceptions import NotFound
from rtmpd.reasons import Problem


class ClipMaker(Protocol):
    """Whoever makes them. Each raises ControlError where it is not possible, or not now."""

    def has_ring(self, key: StreamKey) -> bool:
        """Whether anything of the stream is kept."""

    async def last(self, key: StreamKey, seconds: float) -> tuple[bytes, Callable[[], None]] | None:
        """The last seconds, as FLV, and what lets go of them; None where nothing is kept."""

    async def snapshot(self, key: StreamKey) -> bytes | None:
        """The newest key frame, as FLV; None where there is none."""

    async def picture(self, key: StreamKey) -> bytes | None:
        """The same as a JPEG."""


class LocalClips:
    """``control.Clips`` of this process."""

    def __init__(self, registry: Registry, maker: Callable[[], ClipMaker]) -> None:
        self._registry = registry
        self._maker = maker

    async def last(self, key: StreamKey, query: ClipQuery, by: Actor) -> HeldFile:
        self._check(key, by, self._maker().has_ring(key))
        clip = await self._maker().last(key, query.seconds)
        if clip is None:
            text = f"nothing is kept of {key}: it takes a ring, as in [apps.{key.app}.ring] seconds = 60"
            raise NotFound(Problem.NOTHING_KEPT, text)
        return HeldFile(*clip)

    async def snapshot(self, key: StreamKey, by: Actor) -> HeldFile:
        self._check(key, by)
        return self._found(key, await self._maker().snapshot(key))

    async def picture(self, key: StreamKey, by: Actor) -> HeldFile:
        self._check(key, by)
        return self._found(key, await self._maker().picture(key))

    def _check(self, key: StreamKey, by: Actor, kept: bool = False) -> None:
        if not by.sees(key) or not (kept or key in self._registry.streams):
            raise NotFound(Problem.STREAM_NOT_FOUND, f"nobody publishes {key}, and nobody waits for it")

    def _found(self, key: StreamKey, data: bytes | None) -> HeldFile:
        if data is None:
            text = f"{key} has no key frame that is kept: it has no video, or stream.gop.enabled is off"
            raise NotFound(Problem.NOTHING_KEPT, text)
        budget = self._registry.budget
        budget.charge_queues(len(data))
        return HeldFile(data, lambda: budget.charge_queues(-len(data)))
