"""What is asked for of the last seconds of a stream."""

from __future__ import annotations

from pydantic import Field

from rtmpd.control.answers import Model


class ClipQuery(Model):
    """How much of it."""

    seconds: float = Field(default=20.0, gt=0, le=86_400)
    """The last so many, from the key frame before on."""
