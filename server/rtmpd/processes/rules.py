"""What is said of processes: when they live, what they publish, how many there may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import UsageError
from rtmpd.processes.command import Command
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import clean_path, validate_name

DEFAULT_PUBLISH: Final = "{app}/{name}_{process}"
"""What a process publishes of which nothing is said."""
LAST_LOOK: Final = 3.0
"""Seconds for processes to be gone that were killed, at the end of the server."""

_PLACEHOLDER: Final = re.compile(r"\{\w+\}")


class Start(StrEnum):
    """From when a process lives."""

    MEDIA = "media"
    """The first audio or video of its stream, until the stream ends."""
    VIEWER = "viewer"
    """While somebody watches what it publishes."""


class Restart(StrEnum):
    """Whether a process that ended by itself is started again while it is needed."""

    ALWAYS = "always"
    FAILURE = "failure"
    """Unless its exit status was 0."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class RunRule:
    """A process of each stream that it is for. Times in seconds."""

    command: Command
    publish: tuple[str, ...] = (DEFAULT_PUBLISH,)
    """Paths of streams that it may publish, with ``{app}``, ``{name}`` and ``{process}``."""
    start: Start = Start.MEDIA
    restart: Restart = Restart.ALWAYS
    linger: float = 10.0
    """Of ``Start.VIEWER``: how long it stays when nobody watches any more."""
    stop_timeout: float = 5.0
    """From SIGTERM to SIGKILL."""
    renditions: bool = False
    """Also for what processes of ours publish."""

    def published(self, key: StreamKey, name: str) -> tuple[StreamKey, ...]:
        """What the process ``name`` of the stream ``key`` may publish. Raises UsageError."""
        return tuple(StreamKey.of_path(fill_path(path, key, name)) for path in self.publish)


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How many processes may run at a time, and how much they may say."""

    max_processes: int = 32
    max_per_app: int = 32
    max_per_stream: int = 8
    lines_per_minute: int = 60
    """Of the output of one process that go into our log."""


def fill_path(path: str, key: StreamKey, process: str) -> str:
    """The path of a stream that a process publishes. Raises UsageError when it can be none."""
    if unknown := set(_PLACEHOLDER.findall(path)) - {"{app}", "{name}", "{process}"}:
        raise UsageError(f"{min(unknown)} in publish is not known: {{app}}, {{name}} and {{process}} are")
    values = {"{app}": key.app, "{name}": key.name, "{process}": process}
    path = clean_path(_PLACEHOLDER.sub(lambda found: values[found[0]], path))
    app, _, name = path.partition("/")
    if not name:
        raise UsageError(f"{path!r} is no app and name of a stream: write it as in {DEFAULT_PUBLISH}")
    if validate_name(app, Limits().max_app_bytes) or validate_name(name, Limits().max_name_bytes):
        raise UsageError("it is the name of no stream: blanks, quotes, braces and @ may not stand in one")
    return path
