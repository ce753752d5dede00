"""What of the settings in force is told in MediaMTX's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtmpd.compat.mediamtx_settings import PathSettings, ServerSettings
from rtmpd.daemon.config import Config


class HeldSettings:
    """``compat.mediamtx_settings.Held``, of the configuration that holds now."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config

    def apps(self) -> list[str]:
        return sorted(self._config().app_names())

    def server(self) -> ServerSettings:
        config = self._config()
        return ServerSettings(
            log_level=config.log.level,
            log_json=config.log.format == "json",
            idle_timeout=config.rtmp.limits.idle_publisher_timeout,
            behind_timeout=config.player.disconnect_after,
            rtmp=_first(config.rtmp.listen),
            rtmps=_first(config.rtmps.listen),
            tls=bool(config.rtmps.certificates),
            admin=_first(config.admin.listen),
            own=_first(config.compat.mediamtx.listen),
        )

    def path(self, name: str) -> PathSettings:
        app = self._config().at(name)
        return PathSettings(
            source=next(map(str, app.pull.templates), ""),
            on_demand=app.pull.on_demand,
            start_timeout=app.pull.timeout,
            linger=app.pull.linger,
            max_players=app.player.max_players_per_stream,
            takeover=app.handover.on_duplicate == "takeover",
            record=app.record.wanted and app.record.start == "always",
            record_kept=app.record.keep.max_age,
        )


def _first(addresses: Sequence[str]) -> str:
    return addresses[0] if addresses else ""
