"""What is asked for of the last seconds of a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field

from rtmpd.control.answers import Model


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that is held in memory: whoever it was made for calls ``close``, once."""

    data: bytes
    close: Callable[[], None] = lambda: None


class ClipQuery(Model):
    """How much of it."""

    seconds: float = Field(default=20.0, gt=0, le=86_400)
    """The last so many, from the key frame before on."""
