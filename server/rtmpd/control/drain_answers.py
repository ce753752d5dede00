"""What is told of the end of a server, and asked of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from rtmpd.control.answers import Answer, Model

_Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]


class DrainRequest(Model):
    """How the server is to end. What is null is as the settings say."""

    wait_seconds: _Seconds | None = None
    """How long publishers may go on, as `shutdown.wait_for_publishers`."""
    grace_seconds: _Seconds | None = None
    """How long everybody else may, as `shutdown.drain_timeout`; of no account once it has begun."""
    reconnect_to: Annotated[str, Field(max_length=512)] | None = None
    """Where clients are asked to go, as `shutdown.reconnect_to`; of no account once it has begun."""
    reason: Annotated[str, Field(max_length=200)] = ""
    """For others in charge."""


class Successor(Answer):
    """The process that has taken over from the one that was asked, and has its addresses now."""

    pid: int
    """Its number."""
    version: str
    """Of its rtmpd."""


class Drain(Answer):
    """The end of the server, which has begun."""

    since: datetime
    """When it began."""
    until: datetime
    """When publishers are told that it is over, if they have not left by then."""
    publishers: int
    """Connections that publish, or have."""
    players: int
    """Connections that play, or have."""
