"""Which recorded files there are: those that this server has finished, and what else lies beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.folder_scan import FoundFile, Scan
from rtmpd.outputs.recording import Recording

MAX_KNOWN: Final = 100_000
"""Files that are known at a time; what is finished beyond is found in its folder all the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """One finished file of which more is known than that it lies there."""

    recording: Recording
    step: Step = Step.NONE
    uploaded: str = ""
    """Where it is stored, as ``s3://bucket/key``."""
    upload_id: str = ""
    """Of an upload in parts that has begun."""
    problem: str = ""
    """Why the step has not been done, as a sentence."""
    changed_at: float = 0.0
    """When the file was finished, in seconds since 1970."""
    by_head: bool = False
    """All of it is from the file itself, which does not say why it ended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file."""

    path: str
    """Absolute."""
    root: str
    size: int
    changed_at: float
    """Seconds since 1970."""
    known: Known | None = None

    @property
    def id(self) -> str:
        """Names it, and tells nothing of where it lies."""
        return file_id(self.path)

    @property
    def key(self) -> StreamKey | None:
        """The stream that it is of, if that is known."""
        return None if self.known is None else self.known.recording.key

    @property
    def waits(self) -> bool:
        """Whether something is still to be done with it."""
        return self.known is not None and self.known.step is not Step.NONE

    @property
    def relative(self) -> str:
        """Its path below ``root``."""
        return str(PurePath(self.path).relative_to(self.root))


class CatalogMemory(Protocol):
    """Keeps what is known through a restart; ``rtmpd.daemon.kept_recordings.KeptRecordings`` does."""

    def noted(self, known: Known) -> None:
        """There is something new about a file."""

    def forgotten(self, path: str) -> None:
        """A file is gone."""


class NoMemory:
    """Keeps nothing."""

    def noted(self, _known: Known) -> None: ...

    def forgotten(self, _path: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what is known of a folder and what lies there."""

    seen: tuple[FoundFile, ...]
    """New, or changed."""
    gone: tuple[str, ...]
    """Paths."""


def difference(known: Mapping[str, Entry], root: str, scan: Scan) -> Difference:
    """What ``scan`` has found otherwise; fit for any thread. What could not be looked at stays as it was."""
    if scan.problem:
        return Difference((), ())
    seen = [file for file in scan.files if not _is_same(known.get(file.path), file)]
    if not scan.is_whole:
        return Difference(tuple(seen), ())
    there = {file.path for file in scan.files}
    gone = [path for path, entry in known.items() if entry.root == root and path not in there]
    return Difference(tuple(seen), tuple(gone))


def _is_same(entry: Entry | None, file: FoundFile) -> bool:
    return entry is not None and (entry.size, entry.changed_at) == (file.size, file.changed_at)


class Catalog:
    """All of them, in the event loop."""

    def __init__(self, memory: CatalogMemory | None = None) -> None:
        self.memory: CatalogMemory = memory or NoMemory()
        self.left_out = 0
        """Files that were finished, and not noted, as there are so many."""
        self.queued = 0
        """How many have begun to wait since the start."""
        self._entries: dict[str, Entry] = {}
        """By path, of the root it lies in."""
        self._paths: dict[str, str] = {}
        """By ``Entry.id``."""
        self._waiting: dict[Step, dict[str, None]] = {step: {} for step in Step if step is not Step.NONE}
        """Paths of those that wait, in the order in which they began to."""
        self._roots: frozenset[str] | None = None
        """The folders that are told of, once that is known."""
        self._fresh: set[str] = set()
        """Noted since the last scan of their folder began, which may not have them."""

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Iterator[Entry]:
        """All, in no order; not to be changed meanwhile."""
        return iter(self._entries.values())

    def snapshot(self) -> dict[str, Entry]:
        """All as they are now, by path."""
        return dict(self._entries)

    def find(self, wanted: str) -> Entry | None:
        """By ``Entry.id``."""
        path = self._paths.get(wanted)
        return None if path is None else self._entries.get(path)

    def at(self, path: str) -> Entry | None:
        """By its path."""
        return self._entries.get(path)

    def waiting(self) -> list[Entry]:
        """Those with which something is to be done."""
        return [entry for step in self._waiting for entry in self.waiting_for(step)]

    def waiting_for(self, step: Step) -> Iterator[Entry]:
        """Those that wait for it, in the order in which they began to; not to be changed meanwhile."""
        return (self._entries[path] for path in self._waiting[step])

    def add(self, known: Known) -> None:
        """A file is finished."""
        path = known.recording.path
        if path not in self._entries and len(self._entries) >= MAX_KNOWN:
            self.left_out += 1
            return
        self._put(Entry(path, known.recording.root, known.recording.size, known.changed_at, known))
        self._fresh.add(path)
        self.memory.noted(known)

    def restore(self, known: Known) -> None:
        """An earlier process knew a file; what this one knows of it holds."""
        entry = self._entries.get(known.recording.path)
        if entry is not None and (entry.known is None or entry.known.by_head):
            self._put(replace(entry, known=known))
        elif entry is None and len(self._entries) < MAX_KNOWN and self._is_told_of(known):
            size = known.recording.size
            self._put(Entry(known.recording.path, known.recording.root, size, known.changed_at, known))

    def note(self, path: str, known: Known) -> None:
        """Something else is known of a file that is there."""
        entry = self._entries.get(path)
        if entry is not None and entry.known != known:
            self._put(replace(entry, known=known))
            self.memory.noted(known)

    def leave_waiting(self) -> None:
        """Another process does what is still to be done: it has that from where this one keeps it."""
        for entry in self.waiting():
            if entry.known is not None:
                self._put(replace(entry, known=replace(entry.known, step=Step.NONE)))

    def describe(self, path: str, known: Known) -> None:
        """The file itself tells what it is."""
        entry = self._entries.get(path)
        if entry is not None and entry.known is None:
            self._put(replace(entry, known=known))

    def remove(self, path: str) -> None:
        """It is gone. Idempotent."""
        entry = self._entries.pop(path, None)
        self._fresh.discard(path)
        if entry is not None:
            self._wait(path, Step.NONE)
            del self._paths[entry.id]
            if entry.known is not None and not entry.known.by_head:
                self.memory.forgotten(path)

    def scan_begins(self, root: str) -> None:
        """What is noted from now on may not be in what the scan of ``root`` finds."""
        self._fresh = {path for path in self._fresh if self._entries[path].root != root}

    def see(self, root: str, file: FoundFile) -> None:
        """A file lies there."""
        entry = self._entries.get(file.path)
        if entry is None:
            if len(self._entries) < MAX_KNOWN:
                self._put(Entry(file.path, root, file.size, file.changed_at))
        else:
            self._put(replace(entry, size=file.size, changed_at=file.changed_at))

    def miss(self, path: str) -> None:
        """A file does not lie there any more."""
        if path not in self._fresh:
            self.remove(path)

    def keep_roots(self, roots: Iterable[str]) -> None:
        """Tell no more of other folders than these, but of what is still to be done there."""
        self._roots = kept = frozenset(roots)
        left = [each for each in self._entries.values() if each.root not in kept and not each.waits]
        for entry in left:
            del self._entries[entry.path], self._paths[entry.id]
            self._fresh.discard(entry.path)

    def _is_told_of(self, known: Known) -> bool:
        here = self._roots is None or known.recording.root in self._roots
        return here or known.step is not Step.NONE

    def _put(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._paths[entry.id] = entry.path
        self._wait(entry.path, Step.NONE if entry.known is None else entry.known.step)

    def _wait(self, path: str, wanted: Step) -> None:
        for step, paths in self._waiting.items():
            if step is not wanted:
                paths.pop(path, None)
            elif path not in paths:
                paths[path] = None
                self.queued += 1


def file_id(path: str) -> str:
    """The same for the same path."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:16]
