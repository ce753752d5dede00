"""Documents and calls of other servers, built when a setting asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rtmpd.daemon.config import Config

if TYPE_CHECKING:
    from rtmpd.web.compat import Desk, Dialect, Mounted
    from rtmpd.web.compat_nginx_rtmp import NginxRtmpSettings

SRS_PREFIX: Final = "/srs"
"""Where the API of SRS is beside ours, which has its paths."""


class CompatSide:
    """The dialects, by the names of their tables; what they tell is found at the ``desk``."""

    def __init__(self, config: Config, desk: Callable[[], Desk]) -> None:
        self._config = config
        self._desk = desk
        self._dialects: dict[str, Dialect] = {}

    def apply(self, config: Config) -> None:
        """Follow other settings, but for addresses."""
        self._config = config

    def beside_ours(self) -> Sequence[Mounted]:
        """Those that are spoken at the addresses of ``admin.listen``, now."""
        compat = self._config.compat
        tables = {"nginx_rtmp": compat.nginx_rtmp, "srs": compat.srs, "mediamtx": compat.mediamtx}
        names = [name for name, table in tables.items() if table.admin]
        return [each for name in names for each in self.alone(name, SRS_PREFIX if name == "srs" else "")]

    def alone(self, name: str, prefix: str = "") -> Sequence[Mounted]:
        """One of them, as it is spoken at an address of its own."""
        from rtmpd.web.compat import Mounted

        dialect = self._dialects.get(name)
        if dialect is None:
            dialect = self._dialects[name] = self._build(name)
        return (Mounted(dialect, prefix),)

    def _build(self, name: str) -> Dialect:
        match name:
            case "nginx_rtmp":
                from rtmpd.web.compat_nginx_rtmp import NginxRtmp

                return NginxRtmp(self._desk(), self._nginx_rtmp, self._apps)
            case "srs":
                from rtmpd.web.compat_srs import Srs

                return Srs(self._desk())
        from rtmpd.daemon.mediamtx_settings import HeldSettings
        from rtmpd.web.compat_mediamtx import MediaMtx

        return MediaMtx(self._desk(), HeldSettings(lambda: self._config))

    def _nginx_rtmp(self) -> NginxRtmpSettings:
        from rtmpd.web.compat_nginx_rtmp import NginxRtmpSettings

        settings = self._config.compat.nginx_rtmp
        return NginxRtmpSettings(settings.stat_path, settings.control_path, settings.max_clients)

    def _apps(self) -> list[str]:
        return sorted(self._config.app_names())
