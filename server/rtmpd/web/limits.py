"""What strangers may cost the admin port."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminLimits:
    """Limits of one address of the admin server."""

    max_connections: int = 32
    """Open at a time; one more costs the oldest one."""
    request_timeout: float = 10.0
    """Seconds for a request's headers, as many for the rest of it, and as many between two requests."""
