"""Recordings of ours of which nothing is known but where they lie: what their heads say. For a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rtmpd.engine.key import StreamKey
from rtmpd.outputs.catalog import Known
from rtmpd.outputs.flv_head import HEAD_BYTES, milliseconds, payload_of, read_head
from rtmpd.outputs.folder_scan import FoundFile
from rtmpd.outputs.recording import Recording, RecordingEnd


def described(files: Iterable[tuple[str, FoundFile]]) -> dict[str, Known]:
    """Those of ``files``, each with its root, that are recordings of ours and finished, by their paths."""
    found: dict[str, Known] = {}
    for root, file in files:
        try:
            known = _described(root, file)
        except OSError:  # It is gone, or may not be read: so it stays one that is not known.
            continue
        if known is not None:
            found[file.path] = known
    return found


def _described(root: str, file: FoundFile) -> Known | None:
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(descriptor, HEAD_BYTES, 0)
    finally:
        os.close(descriptor)
    read = read_head(payload_of(head))
    if read is None:
        return None
    told, values = read
    duration = values.get("duration")
    if not isinstance(duration, float) or milliseconds(duration) is None:
        return None
    key = StreamKey(told.app, told.name)
    end = RecordingEnd.PUBLISH_ENDED  # As good as any: no head says why.
    recording = Recording(key, file.path, root, told.part, told.started_at, duration, file.size, (), end)
    return Known(recording, changed_at=file.changed_at, by_head=True)
