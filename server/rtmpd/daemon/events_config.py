"""Who may follow what happens, and what is kept for them: ``[events]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rtmpd.daemon.fields import Count, Section


class EventsConfig(Section):
    """What happens is told to whoever follows /api/v1/events of the admin port: docs/api.md."""

    max_kept: Annotated[Count, Field(le=100_000)] = 1000
    """Events that are kept, for those who follow and were away for a moment. 0 keeps none."""
    max_followers: Annotated[Count, Field(ge=1, le=1000)] = 32
    """Who may follow at a time, beside the connections of admin.max_connections."""
