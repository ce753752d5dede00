"""Recordings of ours of which nothing is known but where they lie: what their heads say. For a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rtmpd.engine.key import StreamKey
from rtmpd.media import flv
from rtmpd.media.metadata import read_metadata
from rtmpd.outputs.catalog import Known
from rtmpd.outputs.flv_head import HEAD_BYTES, OWN, RESERVED_BYTES
from rtmpd.outputs.folder_scan import FoundFile
from rtmpd.outputs.recording import Recording, RecordingEnd
from rtmpd.rtmp.constants import ON_META_DATA


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
    payload = head[13 + flv.TAG_HEADER_BYTES : HEAD_BYTES - 4]
    if len(payload) != RESERVED_BYTES or not payload.startswith(ON_META_DATA):
        return None
    told = read_metadata(payload)
    match told.get(OWN.decode()), told.get("duration"):
        case {
            "app": str(app),
            "stream": str(name),
            "part": float(part),
            "started": float(started),
        }, float(duration):
            key = StreamKey(app, name)
            end = RecordingEnd.PUBLISH_ENDED  # As good as any: no head says why.
            recording = Recording(key, file.path, root, int(part), started, duration, file.size, (), end)
            return Known(recording, changed_at=file.changed_at, by_head=True)
    return None
