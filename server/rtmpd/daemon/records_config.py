"""What is kept of sessions that are over: ``[records]`` and ``[access_log]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtmpd.daemon.fields import Count, Effect, FileName, Section


class RecordsConfig(Section):
    """What became of sessions, for /api/v1/records of the admin port: docs/api.md."""

    max_kept: Annotated[Count, Field(le=100_000)] = 1000
    """Sessions that are remembered when they are over, 2 KiB or so each. 0 remembers none."""
    keep_input: Annotated[bool, Effect.CONNECTIONS] = False
    """Whether the first 64 KiB are remembered, too, that a client sent which broke the protocol, for somebody
    who wants to know what is wrong with an encoder: those of the newest 16, with texts blanked out when they
    are handed out. Meanwhile they are held of 256 connections."""


class AccessLogConfig(Section):
    """A line of JSON for each session that is over, in a file: docs/operations.md has its fields."""

    path: FileName = ""
    """The file, which is made if it is not there, with mode 0640. Empty: there is none."""
