"""Playlists and segments as files, for a web server or a CDN that is there already.

There are no parts in them: whoever serves files cannot wait for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from rtmpd.net.workers import Workers
from rtmpd.packaging.media_playlist import Told, write_plain
from rtmpd.packaging.rendition import Rendition
from rtmpd.packaging.rules import RUN
from rtmpd.packaging.stats import HlsStats

_MOST_WAITING: Final = 32 * 1024 * 1024
"""Bytes that may wait for a drive; what comes while it is slower than that is missing."""
_INDEX: Final = "index.m3u8"
_PLAYLIST: Final = ".m3u8"
_OURS: Final = re.compile(rf".+_({RUN})(?:_(?:init_)?[0-9]+\.mp4|\.m3u8)")
"""Of a run, by its name."""
_TEMPORARY: Final = ".rtmpd-tmp"
_MODE: Final = 0o640
_STALE: Final = 3600.0
_SAY_AGAIN: Final = 60.0

_logger = logging.getLogger(__name__)


class Places(NamedTuple):
    """Which folders there are, for whoever knows of names."""

    root: str
    levels: Sequence[str]
    """Of the stream's folder below it."""
    open: Callable[[str, list[str]], int]
    """A descriptor of a folder ``(root, levels)``, which is made. Raises OSError."""


class FolderWriter:
    """The thread that writes for all streams. Nobody waits for it before the end of the server."""

    def __init__(self, charge: Callable[[int], None], clock: Callable[[], float], stats: HlsStats) -> None:
        """``charge`` is called with the bytes that wait more, or less."""
        self._charge = charge
        self._clock = clock
        self._stats = stats
        self._workers: Workers | None = None
        self._waiting = 0
        self._open: Counter[str] = Counter()
        """Jobs that wait or run, by folder."""
        self._settled = asyncio.Event()
        """Nothing is waited for any more."""
        self._closed = False
        self._said_at = -_SAY_AGAIN

    def run(self, folder: str, size: int, job: Callable[[], None], failed: Callable[[], None]) -> bool:
        """Have ``job`` done, which is to write ``size`` bytes; ``failed`` is called if it could not.

        False where too much waits, or at the end: then it is not done.
        """
        if self._closed:
            return False
        if self._waiting + size > _MOST_WAITING:
            self._stats.disk_failures += 1
            return False
        if self._workers is None:
            self._workers = Workers("hls files", 1)
        self._waiting += size
        self._charge(size)
        self._open[folder] += 1

        def done(outcome: object) -> None:
            self._waiting -= size
            self._charge(-size)
            self._open[folder] -= 1
            if self._open[folder] <= 0:
                del self._open[folder]
            if not self._open:
                self._settled.set()
            if isinstance(outcome, Exception):
                self._stats.disk_failures += 1
                self._say(folder, outcome)
                failed()

        self._workers.submit(job, done)
        return True

    def sweep(self, root: str) -> None:
        """Take away what nobody has written for an hour: of servers that were cut off."""
        self.run(root, 0, partial(_sweep, root), _nothing)

    def close(self) -> None:
        """Nothing more is written than what waits."""
        self._closed = True
        if self._workers is not None:
            self._workers.close()

    async def wait_closed(self, grace: float) -> None:
        """Have what waits done within ``grace`` seconds, and tell of what is not.

        A second call beside the first shortens it.
        """
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    self._settled.clear()
                    await self._settled.wait()
        for folder, jobs in self._open.items():
            fields = {"folder": folder, "jobs": jobs}
            _logger.warning("HLS files are left behind", extra={"fields": fields})
        self._open.clear()
        self._settled.set()

    def _say(self, folder: str, problem: Exception) -> None:
        now = self._clock()
        if now - self._said_at >= _SAY_AGAIN:
            self._said_at = now
            fields = {"folder": folder, "problem": str(problem)}
            _logger.warning("HLS files cannot be written", extra={"fields": fields})


class _Mirror:
    """What is in the folder of one rendition."""

    def __init__(self, rendition: Rendition) -> None:
        self.rendition = rendition
        self.next = 0
        """Number of the segment that is written next."""
        self.told: deque[Told] = deque()
        """Segments that the playlist lists, oldest first."""
        self.old: deque[Told] = deque()
        """Those before them, whose files are still there."""
        self.discontinuities = 0
        self.inits: set[int] = set()
        self.ended = False


class StreamFolder:
    """Of one package."""

    def __init__(self, writer: FolderWriter, places: Places, run: str, window: float) -> None:
        """``window`` seconds are listed; files stay for three target durations more."""
        self._writer = writer
        self._places = places
        self._run = run
        self._window = window
        self._mirrors: dict[str, _Mirror] = {}
        self._index = b""
        self._removed = False
        self._submit(0, partial(_clean, run), always=True)

    def settle(self, renditions: Iterable[Rendition], index: bytes) -> None:
        """Write what has come; ``index`` is the multivariant playlist."""
        for rendition in renditions:
            mirror = self._mirrors.get(rendition.name)
            if mirror is None:
                mirror = self._mirrors[rendition.name] = _Mirror(rendition)
            for segment in list(rendition.shelf.listed):
                if segment.number >= mirror.next and segment.data is not None:
                    self._write(mirror, Told.of(segment), segment.data)
            if rendition.ended and mirror.told and not mirror.ended:
                mirror.ended = True
                self._submit(0, partial(_write_files, {rendition.names.playlist: self._text(mirror)}))
        if index and index != self._index:
            self._index = index
            self._submit(len(index), partial(_write_files, {_INDEX: index}), self._forget_index)

    def remove(self) -> None:
        """Nobody asks for any of it any more: what waits to be written is not, so that this is soon done."""
        self._removed = True
        levels = list(self._places.levels)
        self._submit(0, partial(_remove, self._run), always=True)
        self._writer.run(self._places.root, 0, partial(_drop_empty, self._places, levels), _nothing)

    # Inside

    def _write(self, mirror: _Mirror, told: Told, data: bytes) -> None:
        rendition = mirror.rendition
        names, inits = rendition.names, rendition.shelf.inits
        mirror.next = told.number + 1
        files: dict[str, bytes] = {}
        if told.init not in mirror.inits:
            files[names.init(told.init)] = inits.get(told.init, b"")
        files[names.segment(told.number)] = data
        mirror.told.append(told)
        gone = [names.segment(number) for number in self._trim(mirror)]
        files[names.playlist] = self._text(mirror)

        def job(folder: int) -> None:
            _write_files(files, folder)
            for name in gone:
                _unlink(folder, name)

        def lost() -> None:
            told.lost = True
            mirror.inits.discard(told.init)

        mirror.inits.add(told.init)
        if not self._submit(sum(map(len, files.values())), job, lost):
            lost()

    def _trim(self, mirror: _Mirror) -> list[int]:
        """Forget what is too old; numbers of segments whose files go."""
        told, old = mirror.told, mirror.old
        listed = sum([each.duration for each in told])
        least = 3.0 * mirror.rendition.target_duration
        while listed - told[0].duration >= max(self._window, least):
            listed -= told[0].duration
            mirror.discontinuities += told[0].discontinuity
            old.append(told.popleft())
        kept = sum([each.duration for each in old])
        gone: list[int] = []
        while old and kept - old[0].duration >= least:
            kept -= old[0].duration
            gone.append(old.popleft().number)
        return gone

    def _text(self, mirror: _Mirror) -> bytes:
        rendition = mirror.rendition
        return write_plain(
            rendition.plan,
            rendition.names,
            mirror.told,
            mirror.discontinuities,
            independent=rendition.shelf.independent,
            ended=mirror.ended,
        ).encode()

    def _forget_index(self) -> None:
        self._index = b""

    def _submit(
        self,
        size: int,
        job: Callable[[int], None],
        failed: Callable[[], None] | None = None,
        *,
        always: bool = False,
    ) -> bool:
        """Have a job done in the folder, of which it is given a descriptor; ``always``: though it goes."""
        places = self._places

        def work() -> None:
            if self._removed and not always:
                return
            folder = places.open(places.root, list(places.levels))
            try:
                job(folder)
            finally:
                os.close(folder)

        return self._writer.run(places.root, size, work, failed or _nothing)


# In the thread


def _write_files(files: dict[str, bytes], folder: int) -> None:
    """Each appears whole, or not at all."""
    for name, data in files.items():
        temporary = f".{name}{_TEMPORARY}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, _MODE, dir_fd=folder)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            _unlink(folder, temporary)
            raise
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _clean(run: str, folder: int) -> None:
    """Take away what other runs have left, one that was cut off perhaps."""
    for name in os.listdir(folder):
        ours = _OURS.fullmatch(name)
        if name.endswith(_TEMPORARY) or (ours is not None and ours[1] != run):
            _unlink(folder, name)


def _remove(run: str, folder: int) -> None:
    """Take away what this run has written; the multivariant playlist too, unless another run is there."""
    for name in os.listdir(folder):
        ours = _OURS.fullmatch(name)
        if ours is not None and ours[1] == run:
            _unlink(folder, name)
    left = [name for name in os.listdir(folder) if name.endswith(_PLAYLIST)]
    if left == [_INDEX]:
        _unlink(folder, _INDEX)


def _sweep(root: str) -> None:
    """Media that are old, and playlists and folders that have nothing else."""
    latest = time.time() - _STALE
    for _, folders, names, folder in os.fwalk(root, topdown=False):
        old = [name for name in names if _OURS.fullmatch(name) and _changed_at(folder, name) < latest]
        left = set(names) - set(old)
        if old and not any(_OURS.fullmatch(name) for name in left):
            old += [name for name in left if name.endswith((_PLAYLIST, _TEMPORARY))]
        for name in old:
            _unlink(folder, name)
        for name in folders:
            with contextlib.suppress(OSError):  # It is not empty.
                os.rmdir(name, dir_fd=folder)


def _changed_at(folder: int, name: str) -> float:
    with contextlib.suppress(OSError):
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
    return time.time()


def _drop_empty(places: Places, levels: list[str]) -> None:
    """Take away folders that are empty."""
    while levels:
        name = levels.pop()
        above = places.open(places.root, levels)
        try:
            os.rmdir(name, dir_fd=above)
        except OSError:
            return
        finally:
            os.close(above)


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _nothing() -> None:
    """Nobody minds."""
