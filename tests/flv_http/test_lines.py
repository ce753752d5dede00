"""Streams by HTTP over lines that are encrypted, proxied, slow or dead; what a player leaves in memory."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import socket
import ssl
import struct
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from engine_kit import inter, keyframe
from flv_kit import clip
from http_kit import UPGRADE, Browser, Site, site
from net_kit import HEADERS, Doorman, eventually

from rtmpd.engine.sink import CloseReason, PlayOptions, SlowPlayerPolicy
from rtmpd.http.connection import HttpConnection, HttpVisit
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import ProxyUse
from rtmpd.net.listeners import open_listener
from rtmpd.net.proxies import TrustedProxies
from rtmpd.outputs.library import Library
from rtmpd.outputs.vod_rules import VodRules

PATH = "/live/cam.flv"
POLICY = SlowPlayerPolicy(
    max_backlog_bytes=512 * 1024,
    max_backlog_seconds=60.0,
    resume_backlog_bytes=64 * 1024,
    disconnect_after=0.2,
)
FRAME = 50_000


@asynccontextmanager
async def over_tls(there: Site) -> AsyncIterator[Browser]:
    """A connection to another listener of the same server."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = there.house.server
    place = open_listener(Address("127.0.0.1", 0))
    listener = server.listen_behind(place, tls=lambda: context, serve=there.http.serve)
    link = await asyncio.open_connection(
        "127.0.0.1", listener.address.port, ssl=trusting, server_hostname="localhost"
    )
    browser = Browser(*link)
    there.browsers.append(browser)
    yield browser
    browser.writer.close()
    server.stop_listening(listener)


@pytest.mark.parametrize("framed", [False, True])
async def test_the_same_over_tls(framed: bool) -> None:
    async with site() as there, over_tls(there) as player:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe("A")))
        await eventually(lambda: there.house.stream().stats.video.messages_in == 2)
        player.ask_with(PATH, UPGRADE if framed else {})
        assert await player.head() == (101 if framed else 200)
        if framed:
            assert (await player.frame())[1].startswith(b"FLV")
        else:
            assert await player.until("A@0") == ["AAC@0", "AVC@0", "A@0"]
            encoder.send((40, inter("B")))
            assert await player.until("B@40") == ["B@40"]
        (origin,) = [each.origin for each in there.house.registry.sessions if each.origin.protocol != "rtmp"]
        assert origin.tls
        await encoder.close()
        await player.closed()


async def test_a_proxy_header_says_who_asks() -> None:
    doorman = Doorman()
    proxies = TrustedProxies([ipaddress.ip_network("127.0.0.1")])
    async with site(authorizer=doorman, proxies=proxies) as there:
        place = open_listener(Address("127.0.0.1", 0))
        listener = there.house.server.listen_behind(place, ProxyUse.REQUIRE, serve=there.http.serve)
        browser = Browser(*await asyncio.open_connection("127.0.0.1", listener.address.port))
        there.browsers.append(browser)
        browser.writer.write(b"PROXY TCP4 198.51.100.7 198.51.100.1 40000 8935\r\n")
        # The proxy has said it; what else the client says is no proxy's.
        browser.ask(PATH, X_Forwarded_For="127.0.0.1")
        await eventually(lambda: doorman.requests)
        assert doorman.requests[0].origin.address == "198.51.100.7"
        there.house.server.stop_listening(listener)


@pytest.mark.parametrize("framed", [False, True])
async def test_a_player_that_stops_reading_is_dropped_and_delays_nobody(
    framed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtmpd.serving.playing")
    options = PlayOptions(policy=POLICY)
    async with site(play_options=options, high_water_bytes=64 * 1024) as there:
        house = there.house
        encoder = await (await house.client()).publish()
        encoder.send(*HEADERS)
        quick = await (await house.client()).play()
        stuck = await there.browser(limit=4096)
        stuck.ask_with(PATH, UPGRADE if framed else {})
        await eventually(lambda: house.stats.players == 2)
        (connection,) = [each for each in house.connections if each.origin.protocol != "rtmp"]
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        number = 0
        while house.stats.players == 2:
            encoder.send((40 * number, keyframe(str(number) + "." * FRAME)))
            await quick.until(f"1: {number}@{40 * number}")
            number += 1
            house.registry.sample(asyncio.get_running_loop().time())
        assert house.stats.players_closed == {CloseReason.SLOW: 1}
        assert house.stats.drops["slow_video"] > 0
        (told,) = [record.fields for record in caplog.records if record.message == "play ended"]
        assert told["protocol"] == ("ws-flv" if framed else "http-flv")


async def test_a_line_that_was_cut_is_told_from_who_has_left(caplog: pytest.LogCaptureFixture) -> None:
    """A browser that stops resets the connection, which is no failure; the kernel that gives up is one."""
    caplog.set_level(logging.INFO, "rtmpd.serving.playing")
    async with site() as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        await eventually(lambda: there.house.stream().stats.video.messages_in == 2)
        player = await there.get(PATH)
        sock: socket.socket = player.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        player.writer.transport.abort()
        await eventually(lambda: not there.house.stats.players)
        (told,) = [record.fields for record in caplog.records if record.message == "play ended"]
        assert told["reason"] == CloseReason.FINISHED
    assert not [record for record in caplog.records if record.exc_info]


async def test_who_plays_keeps_nothing_of_the_request_and_who_has_left_keeps_nothing() -> None:
    async with site() as there:
        encoder = await (await there.house.client()).publish()
        encoder.send(*HEADERS, (0, keyframe()))
        await eventually(lambda: there.house.stream().stats.video.messages_in == 2)
        player = await there.get(PATH)
        (connection,) = [each for each in there.house.connections if each.state == "playing"]
        await eventually(lambda: not there.http._http.connections)
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, HttpVisit)]
        left = weakref.ref(connection)
        del connection
        player.writer.close()
        gc.disable()
        try:
            await eventually(lambda: left() is None)
        finally:
            gc.enable()


async def test_who_takes_a_file_slowly_over_tls_has_time_for_the_end_of_it(tmp_path: Path) -> None:
    size = clip(tmp_path / "cam.flv", 3, size=100_000).stat().st_size
    library = Library(lambda _key: VodRules(str(tmp_path)))
    async with site(library=library) as there, over_tls(there) as player:
        player.ask(PATH)
        assert await player.head() == 200
        (connection,) = (each for each in there.house.connections if isinstance(each, HttpConnection))
        await eventually(lambda: connection.over)  # All is written, whoever holds it now.
        assert connection.look_at > there.house.context.clock() + 10.0
        assert not connection.transport.is_closing()
        assert len(await player.reader.readexactly(size)) == size
