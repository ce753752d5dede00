"""Recorded files as they are told: which are wanted, in which order, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from rtmpd.control.actor import Actor
from rtmpd.control.recording_answers import RecordedFile, RecordingQuery, RecordingState
from rtmpd.control.times import on_wall
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import NotPossible
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.catalog import Entry, file_id
from rtmpd.reasons import Problem


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is being written."""

    key: StreamKey
    path: str
    """What it will be called."""
    root: str
    started_at: float
    """Seconds since 1970."""
    size: int
    """Bytes, as far as they are known."""
    seconds: float
    """Of its media."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is being written, beside the others."""

    id: str
    file: WrittenFile

    @property
    def key(self) -> StreamKey:
        return self.file.key

    @property
    def waits(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class WrittenThere:
    """A file that the process before this one is writing, as that tells of it."""

    file: RecordedFile

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def key(self) -> StreamKey | None:
        file = self.file
        return None if file.app is None or file.name is None else StreamKey(file.app, file.name)

    @property
    def waits(self) -> bool:
        return False


Item = Entry | Written | WrittenThere


def written(file: WrittenFile) -> Written:
    return Written(file_id(file.path), file)


def is_seen(entry: Item, by: Actor) -> bool:
    """What is of no stream that is known is for who has to do with all."""
    return not by.is_scoped if entry.key is None else by.sees(entry.key)


def is_wanted(query: RecordingQuery, by: Actor, entry: Item) -> bool:
    state = RecordingState.FINISHED if isinstance(entry, Entry) else RecordingState.RECORDING
    return (
        is_seen(entry, by)
        and (query.state is None or state is query.state)
        and (query.waiting is None or entry.waits is query.waiting)
        and (query.app is None or (entry.key is not None and entry.key.app == query.app))
        and (query.stream is None or entry.key == query.stream)
    )


def order(entry: Item) -> tuple[int, float, str]:
    """The place in the list: written first, then the newest."""
    if isinstance(entry, Entry):
        return 1, -entry.changed_at, entry.id
    if isinstance(entry, Written):
        return 0, -entry.file.started_at, entry.id
    return 0, -(entry.file.started or entry.file.changed).timestamp(), entry.id


def spell(place: tuple[int, float, str]) -> str:
    return f"{place[0]}-{-place[1]!r}-{place[2]}"


def place(text: str) -> tuple[int, float, str]:
    """Raises NotPossible."""
    kind, _, rest = text.partition("-")
    at, _, wanted = rest.rpartition("-")
    try:
        return int(kind), -float(at), wanted
    except ValueError:
        raise NotPossible(Problem.BAD_REQUEST, "after: send what next was") from None


def told(entry: Item) -> RecordedFile:
    if isinstance(entry, WrittenThere):
        return entry.file
    return _finished(entry) if isinstance(entry, Entry) else _unfinished(entry)


def _unfinished(entry: Written) -> RecordedFile:
    file = entry.file
    return RecordedFile(
        id=entry.id,
        state=RecordingState.RECORDING,
        app=file.key.app,
        name=file.key.name,
        file=relative(file),
        path=file.path,
        part=None,
        started=on_wall(file.started_at),
        changed=on_wall(file.started_at + file.seconds),
        seconds=file.seconds,
        bytes=file.size,
        codecs=(),
        reason=None,
        waits_for=str(Step.NONE),
        problem=None,
        uploaded=None,
    )


def _finished(entry: Entry) -> RecordedFile:
    known = entry.known
    recording = None if known is None else known.recording
    return RecordedFile(
        id=entry.id,
        state=RecordingState.FINISHED,
        app=None if recording is None else recording.key.app,
        name=None if recording is None else recording.key.name,
        file=_shown(entry.relative),
        path=_shown(entry.path),
        part=None if recording is None else recording.part,
        started=None if recording is None else on_wall(recording.started_at),
        changed=on_wall(entry.changed_at),
        seconds=None if recording is None else recording.duration,
        bytes=entry.size,
        codecs=() if recording is None else recording.codecs,
        reason=None if known is None or known.by_head else str(known.recording.end),
        waits_for=str(Step.NONE if known is None else known.step),
        problem=None if known is None else known.problem or None,
        uploaded=None if known is None else known.uploaded or None,
    )


def relative(file: WrittenFile) -> str:
    """Its path below its root, which other settings may have changed meanwhile."""
    path = PurePath(file.path)
    return str(path.relative_to(file.root)) if path.is_relative_to(file.root) else path.name


def _shown(path: str) -> str:
    """Names of files are bytes, and those that somebody else has put there may be no text."""
    return path.encode(errors="surrogateescape").decode(errors="replace")
