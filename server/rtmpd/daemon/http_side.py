"""Streams by HTTP, built when there is an address for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from rtmpd.daemon.access_side import AccessSide
from rtmpd.daemon.config import Config
from rtmpd.daemon.doors import Door, Doors
from rtmpd.daemon.hls_http import HlsHttp
from rtmpd.daemon.outputs_side import OutputsSide
from rtmpd.daemon.page_side import PageSide
from rtmpd.multitrack.words import ConfigOutcome
from rtmpd.net.addresses import Address
from rtmpd.net.certificates import Certificates
from rtmpd.net.entrances import Entrance, ProxyUse
from rtmpd.net.listeners import Listener, Place
from rtmpd.serving.server import RtmpServer

if TYPE_CHECKING:
    from rtmpd.http.server import HttpRules, HttpServer


class HttpPlace(NamedTuple):
    """Where browsers find all that; as ``control.server_answers.PublicHttp`` tells it."""

    url: str | None
    scheme: str
    port: int | None
    prefix: str


class HttpSide:
    """One HTTP server for all addresses. Its connections are those of ``server``, which ends them."""

    def __init__(
        self,
        server: RtmpServer,
        access: AccessSide,
        certificates: Certificates,
        outputs: OutputsSide,
    ) -> None:
        self._server = server
        self._access = access
        self._certificates = certificates
        self._outputs = outputs
        self._all_doors: Doors | None = None
        self._pages = PageSide()
        self._config = Config()
        self.obs_counts: Counter[str] = Counter(dict.fromkeys(map(str, ConfigOutcome), 0))
        """What became of those who asked how OBS is to encode."""
        self._http: HttpServer | None = None
        self.hls = HlsHttp(server, outputs.hls, lambda: self._config)

    def doors(self) -> dict[str, Door]:
        """How it is served, by the table of its addresses."""
        stop = self._server.stop_listening
        return {"http": Door(self._open, stop), "https": Door(self._open_tls, stop)}

    def beside(self, doors: Doors) -> Doors:
        """``doors`` are those of all protocols: where browsers play, and where the console is."""
        self._all_doors = doors
        return doors

    def apply(self, config: Config) -> None:
        """Follow other settings, but for the addresses."""
        self._config = config
        if self._http is not None:
            self._http.rules = self._rules()
            self.hls.offer(self._http)

    async def check(self, config: Config) -> None:
        """What can fail, before ``apply`` does the rest. Raises ConfigError."""
        await self._pages.prepare(config)

    async def prepare(self) -> None:
        """Have all that is needed to serve, where time counts then."""
        if self._config.http.listen or self._config.https.listen:
            await self.check(self._config)
            await self._built()

    async def wait_closed(self) -> None:
        """End what is not ended yet; who plays or publishes is by then."""
        self.hls.close()
        if self._http is not None:
            await self._http.close()

    async def _open(self, entrance: Entrance, place: Place) -> Listener:
        http = await self._built()
        if entrance.proxy is ProxyUse.OFF:
            return await self._server.listen(place, serve=http.serve)
        return self._server.listen_behind(place, entrance.proxy, serve=http.serve)

    async def _open_tls(self, entrance: Entrance, place: Place) -> Listener:
        http = await self._built()
        return self._server.listen_behind(
            place, entrance.proxy, lambda: self._certificates.context, http.serve
        )

    async def _built(self) -> HttpServer:
        if self._http is None:
            from rtmpd.http.mp4 import Mp4Answers
            from rtmpd.http.server import HttpServer

            http = HttpServer(self._server, self._access.mask, lambda: self._outputs.ring.clips)
            self._http = http
            http.rules = self._rules()
            http.ways.offer(".mp4", Mp4Answers(self._outputs.mp4).answer)
            self.hls.offer(http)
            self._offer_obs(http)
        return self._http

    def place(self) -> HttpPlace | None:
        """Where browsers play; None where there is no port for them."""
        url, prefix = self._config.http.public_url, self._config.http.prefix
        if url:
            return HttpPlace(url, url.partition(":")[0], None, "")
        found = ((scheme, port) for scheme in ("http", "https") for port in self._ports(scheme))
        return next((HttpPlace(None, scheme, port, prefix) for scheme, port in found), None)

    def _bound(self, protocol: str) -> list[Address]:
        """Where that is served."""
        return [] if self._all_doors is None else self._all_doors.bound(protocol)

    def _console_ports(self) -> frozenset[int]:
        return frozenset(self._ports("admin"))

    def _ports(self, protocol: str) -> list[int]:
        return [address.port for address in self._bound(protocol) if not address.path]

    def _offer_obs(self, http: HttpServer) -> None:
        from rtmpd.daemon.obs_side import ObsDesk
        from rtmpd.http.obs import ObsPage
        from rtmpd.http.ways import NO_ENDING

        desk = ObsDesk(lambda: self._config, self._access.obs, self._bound, self.obs_counts)
        page = ObsPage(desk, lambda: self._config.http.obs)
        http.ways.offer(NO_ENDING, page.configure, first=True)
        http.ways.offer(".json", page.override, first=True)
        http.ways.explain = page.explain

    def _rules(self) -> HttpRules:
        from rtmpd.http.aliases import Aliases
        from rtmpd.http.answers import Origins
        from rtmpd.http.server import HttpRules

        config = self._config
        origins = Origins(config.http.allowed(), self._console_ports)
        return HttpRules(config.http.prefix, origins, self._pages.rules(config), Aliases(config.http.aliases))
