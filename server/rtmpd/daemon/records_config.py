"""What is kept of sessions that are over: ``[records]`` and ``[access_log]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtmpd.daemon.fields import Count, FileName, Section


class RecordsConfig(Section):
    """What became of sessions, for /api/v1/records of the admin port: docs/api.md."""

    max_kept: Annotated[Count, Field(le=100_000)] = 1000
    """Sessions that are remembered when they are over, 2 KiB or so each. 0 remembers none."""


class AccessLogConfig(Section):
    """A line of JSON for each session that is over, in a file: docs/operations.md has its fields."""

    path: FileName = ""
    """The file, which is made if it is not there, with mode 0640. Empty: there is none."""
