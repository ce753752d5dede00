"""Access policies."""

from __future__ import annotations

from rtmpd.serving.access import AccessRequest, Grant


class OpenPolicy:
    """Everyone who reaches the port may publish and play everything."""

    def authorize(self, request: AccessRequest) -> Grant:
        return Grant(request.key)
