"""What is told of the log, and how more is written into it for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from rtmpd.control.answers import Answer, Model

Level = Literal["debug", "info", "warning", "error"]


class LogLevel(Answer):
    """What is written into the log now."""

    level: Level
    """From which on messages are written."""
    trace: str
    """Address or network whose connections are told byte by byte, from those on that come anew; empty is
    none."""
    until: datetime | None
    """When what the settings say holds again; null while it does."""


class LogRequest(Model):
    """What to write into the log for a while."""

    level: Level
    """From which on messages are written."""
    seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 600.0
    """How long."""
    trace: Annotated[str, Field(max_length=100, examples=["192.0.2.7", "192.0.2.0/24"])] | None = None
    """Address or network whose connections are to be told, as log.trace does; null leaves that as it is."""
