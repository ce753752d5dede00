"""The console as somebody sees it: in a real browser, against a real server where that matters."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import pytest
from browser_kit import Browser
from control_kit import Desk
from engine_kit import AAC_HEADER, FULL_HD, inter, keyframe, sound
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

import rtmpd as library
from rtmpd.control.local_figures import LocalFigures
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.sessions import SessionFigures, Use
from rtmpd.engine.sink import CloseReason
from rtmpd.media.flv import encode_header
from rtmpd.rtmp.commands import ConnectParams

pytestmark = pytest.mark.console

HOSTILE = "<img src=x onerror=alert(1)>"
"""What an encoder calls itself. Streams cannot be called so."""
LONG = "שלום-📺-" + "x" * 240
"""The name of a stream, as long as one may be."""


def admin_of(server: RtmpdProcess) -> str:
    return f"http://127.0.0.1:{server.port('admin')}"


class Encoders:
    """Streams of a server, published in real time by a thread of ours."""

    def __init__(self, server: RtmpdProcess) -> None:
        self._server = server
        self._over = threading.Event()
        self._ready = threading.Event()
        self.quiet = threading.Event()
        """They send nothing."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @contextmanager
    def publishing(self) -> Iterator[None]:
        self._thread.start()
        try:
            assert self._ready.wait(20.0)
            yield
        finally:
            self._over.set()
            self._thread.join()

    async def _run(self) -> None:
        app = self._server.url("x").rpartition("/")[0]
        async with AsyncExitStack() as stack:
            streams: dict[library.Stream, int] = {}
            for name, interval in (("show", 9800), (LONG, 1000)):
                params = ConnectParams(flash_ver=HOSTILE)
                connection = await stack.enter_async_context(await library.connect(app, params=params))
                stream = await connection.publish(name)
                await stream.send_video(FULL_HD, 0)
                await stream.send_audio(AAC_HEADER, 0)
                await stream.send_video(keyframe(), 0)
                streams[stream] = interval
                if name == "show":  # A warning for which nobody waits.
                    await stream.send_video(keyframe(), interval)
            for _ in range(3):
                connection = await stack.enter_async_context(await library.connect(app))
                await connection.play("show")
            timestamp = 9800
            while not self._over.is_set():
                self._ready.set()
                if self.quiet.is_set():
                    await asyncio.sleep(0.04)
                    continue
                timestamp += 40
                for stream, interval in list(streams.items()):
                    picture = inter("P" * 2000) if timestamp % interval else keyframe()
                    try:
                        await stream.send_video(picture, timestamp)
                        await stream.send_audio(sound(), timestamp)
                    except library.ClientError:
                        del streams[stream]  # Thrown out.
                await asyncio.sleep(0.04)


@pytest.fixture
def nobody() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def busy(nobody: int) -> Iterator[RtmpdProcess]:
    """A server with streams that are well, ill and hostile, and with a push that is down."""
    settings = (f"apps.live.push.away.url=rtmp://127.0.0.1:{nobody}/x/key",)
    with rtmpd(*settings) as server:
        with Encoders(server).publishing():
            yield server
        assert_clean_exit(server)


def test_what_is_wrong_is_seen_on_every_screen(browser: Browser, busy: RtmpdProcess, nobody: int) -> None:
    with ExitStack() as stack:

        def hang() -> None:
            """Whoever connects there from now on waits in vain."""
            stack.enter_context(socket.create_server(("127.0.0.1", nobody)))

        browser.run("looks", admin_of(busy), hang=hang)


def test_everything_is_done_by_the_keyboard(browser: Browser, busy: RtmpdProcess) -> None:
    def is_there() -> str:
        ended = busy.log.find({"event": "publish ended", "stream": "show", "reason": "kicked"})
        return "no" if ended else "yes"

    browser.run("keys", admin_of(busy), **{"is": is_there})


def test_what_has_happened_is_told_with_no_more_of_addresses_than_is_shown(browser: Browser) -> None:
    with rtmpd("privacy.addresses=truncated") as server, ExitStack() as stack:

        def publish() -> None:
            stack.enter_context(Encoders(server).publishing())

        browser.run("happens", admin_of(server), publish=publish)
        stack.close()
        assert_clean_exit(server)


def test_a_page_without_scripts_says_where_everything_is(browser: Browser, busy: RtmpdProcess) -> None:
    browser.run("unscripted", admin_of(busy))


def test_pushes_and_players_are_led_elsewhere(browser: Browser, busy: RtmpdProcess) -> None:
    browser.run("acts", admin_of(busy), where=lambda: f"live/{LONG}")


def test_streams_are_recorded_and_recordings_fetched_and_deleted(browser: Browser, tmp_path: Path) -> None:
    settings = (
        f"apps.live.record.root={tmp_path}",
        "apps.live.record.start=manual",
        "apps.live.still=true",
        "apps.live.delay=1s",
        "http.listen=127.0.0.1:0",
    )
    with rtmpd(*settings) as server, ExitStack() as stack:
        encoders = Encoders(server)
        stack.enter_context(encoders.publishing())

        def http() -> None:
            """Somebody plays so, and reads what comes."""
            answer = stack.enter_context(
                urllib.request.urlopen(f"http://127.0.0.1:{server.port('http')}/live/show.flv", timeout=20)
            )
            threading.Thread(target=drain, args=(answer,), daemon=True).start()

        browser.run(
            "records",
            admin_of(server),
            http=http,
            silence=encoders.quiet.set,
            files=lambda: str(len(list(tmp_path.rglob("*.flv")))),
        )
        stack.close()
        assert_clean_exit(server)


def drain(answer: HTTPResponse) -> None:
    with suppress(OSError, ValueError, AttributeError, HTTPException):
        while answer.read(65536):
            pass


def test_whoever_comes_from_elsewhere_shows_a_token(browser: Browser, tmp_path: Path) -> None:
    tokens = {
        "rob": ("token-of-rob-who-looks-only", "read", "*"),
        "ann": ("token-of-ann-who-operates", "operate", "*"),
        "sue": ("token-of-sue-for-live-show", "operate", "live/show"),
    }
    (tmp_path / "old.flv").write_bytes(encode_header(audio=True, video=True))
    settings = ["admin.listen=0.0.0.0:0", f"apps.live.record.root={tmp_path}"]
    for name, (token, role, streams) in tokens.items():
        digest = hashlib.sha256(token.encode()).hexdigest()
        settings += [
            f"admin.tokens.{name}.sha256=sha256:{digest}",
            f"admin.tokens.{name}.role={role}",
            f"admin.tokens.{name}.streams={streams}",
        ]
    with rtmpd(*settings) as server:
        browser.run("login", admin_of(server))
        server.log.wait_for({"event": "change made", "by": "ann", "target": "192.0.2.7"})
        assert_clean_exit(server)


def test_a_server_that_goes_and_comes_back(browser: Browser, nobody: int) -> None:
    setting = f"admin.listen=127.0.0.1:{nobody}"
    with rtmpd(setting) as first:
        running = [first]

        def start() -> None:
            running.append(RtmpdProcess(setting))
            running[-1].port("admin")

        try:
            browser.run(
                "lost", f"http://127.0.0.1:{nobody}", stop=lambda: assert_clean_exit(first), start=start
            )
        finally:
            for server in running[1:]:
                server.close()


class Session:
    """Somebody who plays."""

    def __init__(self, number: int, stream: StreamKey) -> None:
        address = f"198.51.100.{number % 250}"
        self.origin = Origin(session=uuid.UUID(int=number).int, address=address, agent="<b>player</b>\u202e")
        self.uses = (Use(False, stream, 0.0),)

    def figures(self) -> SessionFigures:
        return SessionFigures(3000, 5_000_000, 0, 0, None, b"")

    def dismiss(self, reason: CloseReason, by: Origin | None = None) -> None:
        raise AssertionError


class Publisher:
    def close(self, _reason: object) -> None:
        raise AssertionError


@contextmanager
def crowd(streams: int, sessions: int, interval: float = 1.0, *, coming: bool = False) -> Iterator[str]:
    """A server without media that has them, and tells its figures every so many seconds."""
    address: Future[str] = Future()
    over = threading.Event()

    async def run() -> None:
        desk = Desk()
        keys = [StreamKey("live", f"s{number:03}") for number in range(streams)]
        for key in keys:
            desk.registry.claim(key, Publisher(), Origin(session=7), desk.clock())
        everybody = [Session(number, keys[number % streams]) for number in range(sessions)]
        desk.registry.sessions.add_shelf({each.origin.session: each for each in everybody})
        figures = LocalFigures(desk.control.server, desk.control.streams, time.time, interval)
        desk.control = replace(desk.control, figures=figures)
        number = 0
        async with desk.client() as client:
            address.set_result(str(client._base_url).rstrip("/"))
            while not await asyncio.to_thread(over.wait, interval * 3):
                if coming:
                    number += 1
                    key = StreamKey("live", f"new{number}")
                    desk.registry.claim(key, Publisher(), Origin(session=7), desk.clock())
                    if number > 10:
                        gone = desk.registry.streams[StreamKey("live", f"new{number - 10}")]
                        gone.publications[0].close(CloseReason.FINISHED)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield address.result(20.0)
    finally:
        over.set()
        thread.join()


def test_500_streams_and_2000_connections(browser: Browser) -> None:
    with crowd(500, 2000) as url:
        browser.run("many", url)


def test_who_cannot_follow_any_more_is_told_why(browser: Browser) -> None:
    with rtmpd("events.max_followers=1") as server:
        browser.run("crowded", admin_of(server))
        assert_clean_exit(server)


def test_nothing_is_kept_of_what_was(browser: Browser) -> None:
    with crowd(30, 60, 0.03, coming=True) as url:
        browser.run("lasting", url)
