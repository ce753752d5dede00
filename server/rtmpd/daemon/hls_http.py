"""HLS on the public HTTP listener: who may have what of it, once some app lets anybody."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtmpd.daemon.config import Config
from rtmpd.daemon.hls_side import HlsSide
from rtmpd.engine.key import StreamKey
from rtmpd.serving.server import RtmpServer

if TYPE_CHECKING:
    from rtmpd.http.hls import Hls
    from rtmpd.http.hls_counts import HlsCounts
    from rtmpd.http.hls_place import HlsTerms
    from rtmpd.http.server import HttpServer
    from rtmpd.packaging.stats import HlsStats

_SECRET_BYTES = 32


class HlsHttp:
    """Offers what ``packages`` has. ``config()`` is the configuration in force."""

    def __init__(self, server: RtmpServer, packages: HlsSide, config: Callable[[], Config]) -> None:
        self._server = server
        self._packages = packages
        self._config = config
        self._hls: Hls | None = None

    def offer(self, http: HttpServer) -> None:
        """Answer requests to ``http``, if any app has HLS; idempotent."""
        if self._hls is not None or not any(app.hls.enabled for app in self._config().outcomes.values()):
            return
        from rtmpd.http.hls import Hls
        from rtmpd.http.hls_answers import HlsAnswers
        from rtmpd.http.hls_beacons import BEACON, HlsBeacons
        from rtmpd.http.hls_quick import QuickHls
        from rtmpd.http.hls_tokens import TokenMint

        mint = TokenMint(secrets.token_bytes(_SECRET_BYTES))
        hls = self._hls = Hls(lambda: self._server.context, self._packages, self._terms, mint)
        answers = HlsAnswers(hls)
        http.ways.offer(".m3u8", answers.playlist)
        http.ways.offer(".mp4", answers.file, first=True)
        http.ways.offer(BEACON, HlsBeacons(hls).answer)
        http.answerer = QuickHls(hls)

    @property
    def counts(self) -> HlsCounts | None:
        """None as long as no app has had HLS."""
        return None if self._hls is None else self._hls.counts

    @property
    def stats(self) -> HlsStats | None:
        """Of what is packaged; None as long as nothing is."""
        packages = self._packages.packages
        return None if packages is None else packages.stats

    def look(self) -> None:
        """Mind who watches; about once a second."""
        if self._hls is not None:
            self._hls.look()

    def close(self) -> None:
        """Nobody watches any more."""
        if self._hls is not None:
            self._hls.close()

    def _terms(self, key: StreamKey) -> HlsTerms:
        from rtmpd.http.hls_place import HlsTerms

        app = self._config().at(str(key))
        pull = app.pull_rule
        patience = pull.timeout if pull is not None and pull.on_demand else 0.0
        return HlsTerms(app.hls.enabled, app.hls.protect, app.hls.cdn_secret, patience)
