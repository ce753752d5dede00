"""Recorded files as tests need them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rtmpd.control.recording_views import WrittenFile
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.outputs.afterwork_words import Step
from rtmpd.outputs.catalog import Catalog, Known
from rtmpd.outputs.housekeeping import Housekeeping
from rtmpd.outputs.recording import Recording, RecordingEnd
from rtmpd.outputs.retention import KeepRules

SHOW = StreamKey("live", "show")
NOW = 1_700_000_000.0


def put(path: Path, size: int = 10, age: float = 0.0) -> Path:
    """A file that was finished ``age`` seconds before ``NOW``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))
    return path


def recording(path: Path, root: Path, key: StreamKey = SHOW, size: int = 10) -> Recording:
    """What a recorder tells of it."""
    return Recording(
        key=key,
        path=str(path),
        root=str(root),
        part=1,
        started_at=NOW - 60.0,
        duration=60.0,
        size=size,
        codecs=("H.264", "AAC"),
        end=RecordingEnd.PUBLISH_ENDED,
    )


def known(
    path: Path, root: Path, step: Step = Step.NONE, key: StreamKey = SHOW, size: int = 10, age: float = 0.0
) -> Known:
    """The same with what is to be done with it."""
    return Known(recording(path, root, key, size), step, changed_at=NOW - age)


class FakeShelf:
    """Real files, and a recorder that only says that it records."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog()
        self.housekeeping = Housekeeping(
            self.catalog, lambda _entry: KeepRules(), time.monotonic, lambda: NOW
        )
        self.recorded: dict[StreamKey, Path] = {}
        self.calls: list[tuple[str, object]] = []
        self.refuses = ""

    def finish(
        self, name: str, key: StreamKey = SHOW, size: int = 10, age: float = 0.0, **more: Step
    ) -> Path:
        """A file of a stream is finished."""
        path = put(self.root / name, size, age)
        self.catalog.add(known(path, self.root, key=key, size=size, age=age, **more))
        return path

    def written(self) -> list[WrittenFile]:
        root = str(self.root)
        return [WrittenFile(key, str(path), root, NOW, 7, 1.5) for key, path in self.recorded.items()]

    def is_recording(self, key: StreamKey) -> bool:
        return key in self.recorded

    def start(self, key: StreamKey) -> None:
        if self.refuses:
            raise UsageError(self.refuses)
        self.calls.append(("start", key))
        self.recorded[key] = self.root / f"{key}.flv"

    def stop(self, key: StreamKey) -> None:
        self.calls.append(("stop", key))
        del self.recorded[key]

    def split(self, key: StreamKey) -> None:
        self.calls.append(("split", key))

    def retry(self, path: str) -> None:
        self.calls.append(("retry", path))
