"""Recordings as they are told, begun, ended, read and removed: of this process, and of the one before it.

That one writes on what it had begun. Finished files lie in folders that both have. What it needs for that is
imported when there are any.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Protocol

from rtmpd.control.actor import Actor
from rtmpd.control.audit import Audit, Change
from rtmpd.control.before import Before, ask_if_there, read, read_items
from rtmpd.control.paging import build, cut
from rtmpd.control.questions import spell_stream
from rtmpd.control.recording_answers import (
    OpenedFile,
    RecordedFile,
    Recorder,
    RecordingPage,
    RecordingQuery,
    RecordingState,
)
from rtmpd.control.stream_views import is_elsewhere
from rtmpd.engine.key import StreamKey
from rtmpd.engine.registry import Registry
from rtmpd.engine.stream import LiveStream
from rtmpd.exceptions import Conflict, NotFound, NotPossible, UsageError
from rtmpd.reasons import Problem

if TYPE_CHECKING:
    from rtmpd.control.recording_views import Item, WrittenFile
    from rtmpd.outputs.catalog import Catalog, Entry
    from rtmpd.outputs.housekeeping import Housekeeping

_MOST_THERE: Final = 1000
"""Files that the process before this one tells of."""
_WORDS: Final = {
    Change.START_RECORDING: "start",
    Change.STOP_RECORDING: "stop",
    Change.SPLIT_RECORDING: "split",
}


class RecordingShelf(Protocol):
    """Records streams and has the files; ``rtmpd.daemon.shelf_side.ShelfSide`` is one."""

    @property
    def catalog(self) -> Catalog:
        """Finished files."""

    @property
    def housekeeping(self) -> Housekeeping:
        """Who takes files away."""

    def written(self) -> Sequence[WrittenFile]:
        """Every file that is being written."""

    def is_recording(self, key: StreamKey) -> bool:
        """Whether a stream is recorded now, or will be from its next key frame."""

    def start(self, key: StreamKey) -> None:
        """Record what is published. Raises UsageError where that cannot be."""

    def stop(self, key: StreamKey) -> None:
        """Record it no more, until it is published anew."""

    def split(self, key: StreamKey) -> None:
        """Go on in another file from the next key frame."""

    def retry(self, path: str) -> None:
        """Do now with a file what is to be done with it."""


class LocalRecordings:
    """``control.Recordings``; ``shelf()`` is None where this process never records anything."""

    def __init__(
        self,
        shelf: Callable[[], RecordingShelf | None],
        apps: Callable[[], Container[str]],
        registry: Registry,
        audit: Audit,
        before: Before,
    ) -> None:
        self._shelf = shelf
        self._apps = apps
        self._registry = registry
        self._audit = audit
        self._before = before
        self._there_before: set[str] = set()
        """Of what the process before this one was writing when it was last asked."""

    async def list(self, query: RecordingQuery, by: Actor) -> RecordingPage:
        shelf = self._shelf()
        if shelf is None and self._before.carried is None:
            return RecordingPage(items=(), next=None, total=0)
        from rtmpd.control import recording_views as views

        after = None if query.after is None else views.place(query.after)
        found = [] if query.state is RecordingState.FINISHED else [*await self._written(by)]
        if shelf is not None and query.state is not RecordingState.RECORDING:
            found += shelf.catalog.entries()
        part = await cut(found, partial(views.is_wanted, query, by), views.order, after, query.limit)
        items = await build(part.items, views.told)
        last = None if part.last is None else views.spell(views.order(part.last))
        return RecordingPage(items=items, next=last, total=part.total)

    async def get(self, wanted: str, by: Actor) -> RecordedFile:
        found = await self._find(wanted, by)
        from rtmpd.control.recording_views import told

        return told(found)

    async def open(self, wanted: str, by: Actor) -> OpenedFile:
        entry = await self._finished(wanted, by)
        from rtmpd.outputs.folder_scan import open_to_read
        from rtmpd.outputs.housekeeping import in_thread

        try:
            descriptor = await in_thread(partial(open_to_read, entry.path))
        except BlockingIOError:
            raise Conflict(Problem.RECORDING_BUSY, "somebody else has locked the file") from None
        except FileNotFoundError:
            raise _unknown(wanted) from None
        except OSError as error:
            text = f"the file cannot be read: {error.strerror}"
            raise Conflict(Problem.RECORDING_BUSY, text) from None
        return OpenedFile(entry.path, PurePath(entry.path).name, partial(os.close, descriptor))

    async def delete(self, wanted: str, by: Actor) -> None:
        with self._audit.attempt(by, Change.DELETE_RECORDING, wanted) as attempt:
            entry = await self._finished(wanted, by)
            attempt.target, attempt.before = entry.relative, entry.size
            attempt.key = attempt.key if entry.key is None else entry.key
            from rtmpd.outputs.afterwork_words import RemovalReason

            shelf = self._there()
            failure = await asyncio.shield(shelf.housekeeping.remove(entry, RemovalReason.ASKED))
            if failure is not None:
                raise Conflict(Problem.RECORDING_BUSY, f"it cannot be removed: {failure.meaning}")

    async def retry(self, wanted: str, by: Actor) -> RecordedFile:
        with self._audit.attempt(by, Change.RETRY_RECORDING, wanted) as attempt:
            entry = await self._finished(wanted, by)
            attempt.target = entry.relative
            attempt.key = attempt.key if entry.key is None else entry.key
            if not entry.waits:
                raise Conflict(Problem.RECORDING_BUSY, "nothing is to be done with it")
            self._there().retry(entry.path)
        return await self.get(wanted, by)

    async def start(self, key: StreamKey, by: Actor) -> Recorder:
        return await self._change(by, Change.START_RECORDING, key)

    async def stop(self, key: StreamKey, by: Actor) -> Recorder:
        return await self._change(by, Change.STOP_RECORDING, key)

    async def split(self, key: StreamKey, by: Actor) -> Recorder:
        return await self._change(by, Change.SPLIT_RECORDING, key)

    # Inside

    async def _written(self, by: Actor) -> Sequence[Item]:
        """What is being written, here and by the process before this one."""
        from rtmpd.control import recording_views as views

        shelf = self._shelf()
        here = () if shelf is None else map(views.written, shelf.written())
        query = RecordingQuery(state=RecordingState.RECORDING, limit=_MOST_THERE).model_dump(mode="json")
        said = await ask_if_there(self._before, "recordings", query, by)
        there = [views.WrittenThere(each) for each in read_items(RecordedFile, said)]
        if not by.is_scoped:
            known, self._there_before = self._there_before, {each.id for each in there}
            if shelf is not None and known - self._there_before:
                # What was finished there lies in a folder that is looked into now and then.
                shelf.housekeeping.wake()
        return [*here, *there]

    async def _change(self, by: Actor, change: Change, key: StreamKey) -> Recorder:
        key = StreamKey.of_path(str(key), self._apps())
        with self._audit.attempt(by, change, key):
            stream = self._registry.streams.get(key) if by.sees(key) else None
            if by.sees(key) and await self._is_there(key, stream):
                asked = spell_stream(key) | {"change": _WORDS[change]}
                return read(Recorder, await self._before.ask("recording", asked, by))
            if stream is None or stream.holder is None:
                raise NotFound(Problem.STREAM_NOT_FOUND, f"nobody publishes {key}")
            shelf = self._there()
            if change is not Change.START_RECORDING and not shelf.is_recording(key):
                raise Conflict(Problem.NOT_RECORDED, f"{key} is not being recorded")
            acts = {
                Change.START_RECORDING: shelf.start,
                Change.STOP_RECORDING: shelf.stop,
                Change.SPLIT_RECORDING: shelf.split,
            }
            try:
                acts[change](key)
            except UsageError as error:
                raise NotPossible(Problem.RECORDING_REFUSED, str(error)) from None
        from rtmpd.control.recording_views import relative

        written = next((each for each in shelf.written() if each.key == key), None)
        return Recorder(
            app=key.app,
            name=key.name,
            recording=shelf.is_recording(key),
            file=None if written is None else relative(written),
            path=None if written is None else written.path,
        )

    async def _is_there(self, key: StreamKey, stream: LiveStream | None) -> bool:
        """Whether the process before this one has the encoder."""
        if stream is not None and stream.publication is not None and not is_elsewhere(stream):
            return False
        theirs = (await self._before.streams()).get(key)
        return theirs is not None and theirs.session is not None

    def _there(self) -> RecordingShelf:
        shelf = self._shelf()
        if shelf is None:
            text = "no [apps.NAME.record] says where recordings are kept: name root there"
            raise NotPossible(Problem.RECORDING_REFUSED, text)
        return shelf

    async def _find(self, wanted: str, by: Actor) -> Item:
        shelf = self._shelf()
        if shelf is None and self._before.carried is None:
            raise _unknown(wanted)
        from rtmpd.control import recording_views as views

        entry: Item | None = None if shelf is None else shelf.catalog.find(wanted)
        if entry is None:
            entry = next((each for each in await self._written(by) if each.id == wanted), None)
        if entry is None or not views.is_seen(entry, by):
            raise _unknown(wanted)
        return entry

    async def _finished(self, wanted: str, by: Actor) -> Entry:
        found = await self._find(wanted, by)
        from rtmpd.outputs.catalog import Entry

        if isinstance(found, Entry):
            return found
        raise Conflict(Problem.RECORDING_BUSY, "it is being written: stop the recording, or split it, first")


def _unknown(wanted: str) -> NotFound:
    text = f"there is no recording {wanted[:64]}: it is gone, or never was"
    return NotFound(Problem.RECORDING_NOT_FOUND, text)
