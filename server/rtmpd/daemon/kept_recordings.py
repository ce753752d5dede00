"""What is known of finished recordings, and what is still to be done with them, for the next process."""

from __future__ import annotations

import logging
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rtmpd.engine.key import StreamKey

if TYPE_CHECKING:
    from rtmpd.outputs.catalog import Catalog, Known
    from rtmpd.state.rows import RecordingRow
    from rtmpd.state.store import Store
    from rtmpd.state.tables import Contents

logger = logging.getLogger(__name__)

_MOST_PROBLEM: Final = 500


class KeptRecordings:
    """The ``CatalogMemory`` of the catalog that there is, once there is one."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._store: Store | None = None
        self._unread: tuple[RecordingRow, ...] = ()
        """What an earlier process knew, until there is a catalog."""

    @property
    def is_stored(self) -> bool:
        """The next process finds it."""
        return self._store is not None

    def serve(self, catalog: Catalog) -> None:
        """Keep what this one knows, and tell it what was kept."""
        self._catalog = catalog
        catalog.memory = self
        rows, self._unread = self._unread, ()
        self._restore(catalog, rows)

    def follow(self, store: Store | None) -> None:
        """Write there from now on; ``merge`` what it has."""
        self._store = store

    def merge(self, contents: Contents) -> dict[str, int]:
        """Go on with what an earlier process knew, and have the store keep what it lacks; how many files
        there are."""
        if self._catalog is None:
            self._unread = contents.recordings
            return {}
        there = {row.path for row in contents.recordings}
        self._restore(self._catalog, contents.recordings)
        for entry in self._catalog.entries():
            if entry.known is not None and not entry.known.by_head and entry.path not in there:
                self.noted(entry.known)
        return {"recordings": len(there)}

    # As ``CatalogMemory``

    def noted(self, known: Known) -> None:
        if self._store is None:
            return
        from rtmpd.outputs.afterwork_words import Step
        from rtmpd.state.rows import RecordingRow

        recording = known.recording
        self._store.keep(
            RecordingRow(
                path=recording.path,
                root=recording.root,
                app=recording.key.app,
                name=recording.key.name,
                part=recording.part,
                started=recording.started_at,
                duration=recording.duration,
                size=recording.size,
                changed=known.changed_at,
                codecs=" ".join(recording.codecs),
                reason=str(recording.end),
                step=str(known.step),
                uploaded=known.uploaded,
                upload_id=known.upload_id,
                problem=known.problem[:_MOST_PROBLEM],
            ),
            # Else the next process would find a file of which nothing says that it waits for something.
            at_once=known.step is not Step.NONE,
        )

    def forgotten(self, path: str) -> None:
        if self._store is not None:
            from rtmpd.state.rows import RecordingRow

            self._store.forget((RecordingRow.TABLE, (path,)))

    # Inside

    def _restore(self, catalog: Catalog, rows: tuple[RecordingRow, ...]) -> None:
        for row in rows:
            known = _known(row)
            if known is None:
                fields = {"file": row.path, "reason": row.reason, "step": row.step}
                logger.warning("recording not restored", extra={"fields": fields})
                self.forgotten(row.path)
            else:
                catalog.restore(known)


def _known(row: RecordingRow) -> Known | None:
    """None where a row is none of ours."""
    from rtmpd.outputs.afterwork_words import Step
    from rtmpd.outputs.catalog import Known
    from rtmpd.outputs.recording import Recording, RecordingEnd

    ends, steps = {str(end): end for end in RecordingEnd}, {str(step): step for step in Step}
    within = PurePath(row.path).is_absolute() and PurePath(row.path).is_relative_to(row.root)
    if row.reason not in ends or row.step not in steps or not within:
        return None
    recording = Recording(
        key=StreamKey(row.app, row.name),
        path=row.path,
        root=row.root,
        part=row.part,
        started_at=row.started,
        duration=row.duration,
        size=row.size,
        codecs=tuple(row.codecs.split()),
        end=ends[row.reason],
    )
    return Known(recording, steps[row.step], row.uploaded, row.upload_id, row.problem, row.changed)
