"""Key frames as JPEGs: decoded in a process of its own, which a broken stream may crash without harm."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.engine.packet import Packet
from rtmpd.exceptions import NotPossible, TryLater
from rtmpd.reasons import Problem

AT_ONCE: Final = 2
"""Processes at a time."""
MAX_WAITING: Final = 16
"""Pictures that somebody waits for; each is of another stream."""
TIMEOUT: Final = 10.0
KEPT: Final = 200
"""Pictures that are kept for who asks again."""
LEAST_AGE: Final = 2.0
"""Seconds for which one is good, whatever has come since."""
_LONGEST_KEPT: Final = 60.0
"""Seconds."""
_MAX_BYTES: Final = 16 * 1024 * 1024
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG")


class Pictures:
    """Makes them, once for all who ask about the same.

    ``charge`` is told how many bytes more, or less, are kept.
    """

    def __init__(self, clock: Callable[[], float], charge: Callable[[int], None]) -> None:
        self._clock = clock
        self._charge = charge
        self._kept: dict[StreamKey, tuple[float, Packet, bytes]] = {}
        self._made: dict[StreamKey, asyncio.Task[bytes]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def picture(self, key: StreamKey, frame: Packet, clip: Callable[[], bytes]) -> bytes:
        """The JPEG of a key frame, which ``clip()`` has as a file; of one a moment older if there is one.

        Raises NotPossible without a picture, TryLater if too many are asked for.
        """
        kept = self._kept.get(key)
        if kept is not None and (kept[1] is frame or self._clock() - kept[0] < LEAST_AGE):
            return kept[2]
        task = self._made.get(key)
        if task is None:
            if len(self._made) >= MAX_WAITING:
                text = f"{MAX_WAITING} pictures are being made: ask again in a moment"
                raise TryLater(Problem.CLIPS_BUSY, text, 2.0)
            task = asyncio.get_running_loop().create_task(self._make(key, frame, clip), name=f"picture-{key}")
            self._made[key] = task
            task.add_done_callback(lambda _: self._made.pop(key, None))
        return await asyncio.shield(task)

    async def _make(self, key: StreamKey, frame: Packet, clip: Callable[[], bytes]) -> bytes:
        if importlib.util.find_spec("av") is None:
            raise _failed("pictures need PyAV on the server: pip install 'rtmpd[mp4]'")
        async with self._room:
            picture = await _decode(clip())
        self._forget(key)
        self._kept[key] = (self._clock(), frame, picture)
        self._charge(len(picture))
        while len(self._kept) > KEPT:
            self._forget(next(iter(self._kept)))
        return picture

    def look(self) -> None:
        """Forget what is old; call it about once a second."""
        before = self._clock() - _LONGEST_KEPT
        for key in [key for key, (made_at, _, _) in self._kept.items() if made_at < before]:
            self._forget(key)

    def close(self) -> None:
        """Keep nothing."""
        for key in list(self._kept):
            self._forget(key)

    def _forget(self, key: StreamKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._charge(-len(kept[2]))


async def _decode(data: bytes) -> bytes:
    environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    command = (sys.executable, "-P", "-m", "rtmpd.outputs.picture_job")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environ
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            picture, _ = await process.communicate(data)
    except TimeoutError:
        raise _failed(f"the key frame could not be decoded within {TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not picture.startswith(b"\xff\xd8") or len(picture) > _MAX_BYTES:
        raise _failed("the key frame could not be decoded: it is broken, or PyAV knows no such codec")
    return picture


def _failed(text: str) -> NotPossible:
    return NotPossible(Problem.NO_PICTURE, text)
