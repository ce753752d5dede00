"""What is said of commands that are run for events."""

from __future__ import annotations

from dataclasses import dataclass

from rtmpd.events.model import EventKind
from rtmpd.processes.command import Command


@dataclass(frozen=True, slots=True)
class HookRule:
    """A command, and what it is run for."""

    command: Command
    kinds: frozenset[EventKind]
    timeout: float = 30.0
    """Seconds that it may take."""


@dataclass(frozen=True, slots=True)
class HookLimits:
    """How many commands there may be, and how much they may say."""

    max_at_once: int = 4
    max_waiting: int = 200
    lines_per_minute: int = 60
    """Of the output of one command that go into our log."""
