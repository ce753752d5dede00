"""How players are led elsewhere, and what became of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Model

_Name = Annotated[str, Field(min_length=1, max_length=256)]


class RedirectRequest(Model):
    """Where players are to go on: with a stream here that somebody publishes, or at another server."""

    name: _Name | None = None
    """Of a stream here, which they go on with over the same connection."""
    app: _Name | None = None
    """Of the same; null is the app of the stream that they play."""
    server: Annotated[str, Field(max_length=512, examples=["rtmp://other.example"])] | None = None
    """Another server instead, for clients that know how to be asked (ReconnectRequest of Enhanced RTMP)."""
    reason: Annotated[str, Field(max_length=200)] = ""
    """For others in charge."""


class Redirected(Answer):
    """What became of it."""

    redirected: int
    """Players that go on there, or have been asked to connect there."""
    refused: int
    """Players who may not play the other stream, or have no room there: they go on as they were."""
    unable: int
    """Players whose protocol or program knows no such thing: they go on as they were."""
