"""Settings that change while the server runs: what a reload will do, done by hand."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from backend_kit import answer, backend
from client_kit import AVC_HEADER, keyframe
from pydantic import BaseModel

import rtmpd
from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.daemon import doors, logs, looks
from rtmpd.daemon.access_rules import ConfiguredRules
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.keys import Key, walk
from rtmpd.daemon.logs import LogOutput
from rtmpd.daemon.machine import Machine
from rtmpd.daemon.settings import Settings, load
from rtmpd.daemon.worker import Worker
from rtmpd.exceptions import ConfigError, PlayRejected, PublishRejected, StreamFailed
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance
from rtmpd.net.listeners import open_listener

PATIENCE = 15.0
VIDEO = 9
FRAMES = [b"\x27\x01\x00\x00\x00" + bytes(1000) + bytes((number,)) for number in range(100)]
GOP = [AVC_HEADER, keyframe(), *FRAMES]
NEXT = keyframe()[:-1] + b"next"
ALWAYS = (
    "rtmp.listen=127.0.0.1:0",
    "admin.listen=[]",
    "http.listen=[]",
    "log.level=debug",
    "shutdown.drain_timeout=1s",
)


def configured(*assignments: str) -> Config:
    return load((), {}, [*ALWAYS, *assignments]).config


def made(config: Config, log: LogOutput) -> Worker:
    """A worker that has nowhere to read other settings from."""
    settings = Settings(config, {})
    return Worker(settings, lambda: settings, asyncio.get_running_loop(), Machine.survey(), log)


class Ear(logging.Handler):
    """Hears where the worker listens."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str, str]] = []
        """What, of which protocol, and where."""
        self.listening = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        if "protocol" in fields:
            where = f"{fields['address']}:{fields['port']}" if fields["port"] else str(fields["address"])
            self.heard.append((record.getMessage(), fields["protocol"], where))
            self.listening.set()


class House:
    """A worker that serves, and what it has told."""

    def __init__(self, worker: Worker, ear: Ear) -> None:
        self.worker = worker
        self._ear = ear

    async def apply(self, *assignments: str) -> dict[Effect, list[str]]:
        return await self.worker.apply(configured(*assignments))

    def told(self, what: str, protocol: str) -> list[str]:
        """Where it has begun to listen, or stopped to."""
        return [where for *event, where in self._ear.heard if event == [what, protocol]]

    def url(self, app: str = "live", listener: int = 0) -> str:
        return f"rtmp://{self.told('listening', 'rtmp')[listener]}/{app}"


@asynccontextmanager
async def serving(
    log: LogOutput, *assignments: str, inherited: Sequence[socket.socket] = ()
) -> AsyncIterator[House]:
    """A worker, which a signal ends."""
    worker = made(configured(*assignments), log)
    ear = Ear()
    doors.logger.addHandler(ear)
    serves = asyncio.create_task(worker.serve(inherited))
    house = House(worker, ear)
    async with asyncio.timeout(PATIENCE):
        await ear.listening.wait()
    # A connection is answered once the signals are ours, too.
    async with await rtmpd.connect(house.url()):
        yield house
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await serves
    doors.logger.removeHandler(ear)


@pytest.fixture
def log() -> Iterator[LogOutput]:
    with Path(os.devnull).open("w") as file, logs.configured("debug", "json", fd=file.fileno()) as log:
        yield log


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector of this process stays as it is."""
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *numbers: None)


@pytest.fixture
async def server(log: LogOutput) -> AsyncIterator[House]:
    async with serving(log) as house:
        yield house


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a Unix socket: short, as some folders of tests are too deep."""
    return tmp_path_factory.mktemp("u") / "rtmp.sock"


def is_there(path: Path) -> bool:
    return path.exists()


def takes(address: tuple[str, int] | str) -> bool:
    """Whether anybody listens there."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        return sock.connect_ex(address) == 0


def place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def publish(connection: rtmpd.Connection) -> rtmpd.Stream:
    """An encoder of ``cam`` whose group of pictures has arrived."""
    stream = await connection.publish("cam")
    for number, payload in enumerate(GOP):
        await stream.send_video(payload, 40 * number)
    await connection.call("getStreamLength", "cam")  # Answered in its turn.
    return stream


async def joined(connection: rtmpd.Connection, encoder: rtmpd.Stream) -> list[bytes]:
    """What a player of ``cam`` is sent up to the next key frame."""
    stream = await connection.play("cam")
    await encoder.send_video(NEXT, 10_000)
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        async for message in stream:
            if message.payload == NEXT:
                break
            if message.type == VIDEO:
                got.append(message.payload)
    return got


async def test_the_cache_of_one_app_is_cut_while_its_stream_is_live(server: House) -> None:
    async with (
        await rtmpd.connect(server.url()) as live,
        await rtmpd.connect(server.url("other")) as other,
        await rtmpd.connect(server.url()) as viewer_of_live,
        await rtmpd.connect(server.url("other")) as viewer_of_other,
    ):
        cut, whole = await publish(live), await publish(other)
        await server.apply("apps.live.gop.max_bytes=64KiB")
        assert await joined(viewer_of_other, whole) == GOP
        assert await joined(viewer_of_live, cut) == GOP[:2]


async def test_players_of_one_app_get_other_rules_with_their_next_play(server: House) -> None:
    await server.apply(
        'apps."live/soon".player.wait_timeout=50ms', "apps.other.player.max_players_per_stream=1"
    )
    async with await rtmpd.connect(server.url()) as patient, await rtmpd.connect(server.url()) as hasty:
        waiting, refused = await patient.play("later"), await hasty.play("soon")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StreamFailed, match=r"within 0\.05 s"):
                async for _ in refused:
                    pass
        waiting.check()
    async with (
        await rtmpd.connect(server.url("other")) as first,
        await rtmpd.connect(server.url("other")) as second,
    ):
        await first.play("cam")
        with pytest.raises(PlayRejected, match=r"This stream takes 1 player at a time: try again"):
            await second.play("cam")


async def test_who_may_take_a_name_over_follows_at_once(server: House) -> None:
    async with await rtmpd.connect(server.url()) as first, await rtmpd.connect(server.url()) as second:
        stream = await first.publish("cam")
        changes = await server.apply("apps.live.handover.on_duplicate=takeover")
        assert changes[Effect.CONNECTIONS] == ["apps.live"]
        await second.publish("cam")
        async with asyncio.timeout(PATIENCE):
            _ = [event async for event in first.events()]
        with pytest.raises(StreamFailed, match="superseded"):
            stream.check()


async def test_whether_players_are_kept_follows_while_the_encoder_is_there(server: House) -> None:
    async with await rtmpd.connect(server.url()) as viewer:
        encoder = await rtmpd.connect(server.url())
        await publish(encoder)
        player = await viewer.play("cam")
        await server.apply("apps.live.handover.grace=0")
        encoder.abort()
        await encoder.close()
        async with asyncio.timeout(PATIENCE):
            _ = [message async for message in player]
        player.check()


# -- listeners


async def test_listeners_come_and_go_and_who_is_connected_stays(server: House, path: Path) -> None:
    kept = server.url()
    async with await rtmpd.connect(kept) as before:
        changes = await server.apply(f'rtmp.listen=["127.0.0.1:0", "unix:{path}", "localhost:0"]')
        assert changes == {Effect.AT_ONCE: ["rtmp.listen"]}
        assert takes(str(path))
        async with await rtmpd.connect(server.url(listener=2)) as newcomer:
            await server.apply(f'rtmp.listen=["unix:{path}"]')
            assert set(server.told("listening no more", "rtmp")) == {
                server.told("listening", "rtmp")[0],
                server.told("listening", "rtmp")[2],
            }
            assert not takes(place(kept.split("/")[2]))
            await before.publish("cam")
            await newcomer.play("cam")
        await server.apply()
        assert not is_there(path)
        async with await rtmpd.connect(server.url(listener=3)) as again:
            await again.play("cam")


async def test_an_address_that_cannot_be_had_changes_nothing(server: House, path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as told:
            await server.apply(
                f'rtmp.listen=["unix:{path}", "127.0.0.1:{port}"]',
                'admin.listen=["127.0.0.1:0", "203.0.113.1:9935"]',
                "stream.max_streams=1",
            )
    used, strange = told.value.problems
    assert re.fullmatch(rf"cannot listen on 127\.0\.0\.1:{port}: .*; is another server running there\?", used)
    assert strange.startswith("cannot listen on 203.0.113.1:9935: ")
    assert not is_there(path)
    assert server.told("listening", "admin") == server.told("listening no more", "rtmp") == []
    async with await rtmpd.connect(server.url()) as one, await rtmpd.connect(server.url()) as other:
        await one.publish("cam")
        await other.publish("desk")


async def test_a_port_of_ours_is_not_given_up_for_another_address_on_it(server: House) -> None:
    (old,) = server.told("listening", "rtmp")
    port = place(old)[1]
    with pytest.raises(ConfigError) as told:
        await server.apply(f"rtmp.listen=:{port}")
    text = f"cannot listen on :{port} while this server listens on {old}: use another port, or restart"
    assert told.value.problems == (text,)
    assert takes(place(old))


PROXIES = "network.trusted_proxies=127.0.0.0/8"
HEADER = b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 1935\r\n"


async def greet(where: str, said: bytes) -> bytes:
    """The first byte of the answer to a client's handshake behind ``said``; empty if it is hung up."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*place(where))
        writer.write(said + b"\x03" + bytes(1536))
        try:
            return await reader.read(1)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_what_is_said_of_an_address_follows_on_the_same_socket(
    server: House, caplog: pytest.LogCaptureFixture
) -> None:
    (where,) = server.told("listening", "rtmp")
    listen = "rtmp.listen=127.0.0.1:0"
    assert (await greet(where, b""), await greet(where, HEADER)) == (b"\x03", b"")
    await server.apply(f"{listen} proxy=accept", PROXIES)
    assert (await greet(where, b""), await greet(where, HEADER)) == (b"\x03", b"\x03")
    await server.apply(f"{listen} proxy=require", PROXIES)
    assert (await greet(where, b""), await greet(where, HEADER)) == (b"", b"\x03")
    await server.apply(f"{listen} proxy=require", "network.trusted_proxies=192.0.2.1")
    assert await greet(where, HEADER) == b""
    await server.apply(listen)
    assert await greet(where, b"") == b"\x03"
    assert set(server.told("listening", "rtmp")) == {where}
    assert server.told("listening no more", "rtmp") == []
    opened = [vars(each)["fields"] for each in caplog.records if each.getMessage() == "listening"]
    assert [each.get("proxy") for each in opened] == ["accept", "require", None]


async def test_the_file_of_a_unix_socket_follows_and_comes_back_when_something_fails(
    server: House, path: Path
) -> None:
    def mode() -> int:
        return path.stat().st_mode & 0o777

    await server.apply(f"rtmp.listen=unix:{path}")
    await server.apply(f"rtmp.listen=unix:{path} mode=0600")
    assert mode() == 0o600
    with pytest.raises(ConfigError):
        await server.apply(f'rtmp.listen=["unix:{path} mode=0666", "203.0.113.1:1935"]')
    assert mode() == 0o600
    assert takes(str(path))
    with pytest.raises(ConfigError, match="this machine has no group none-such"):
        await server.apply(f"rtmp.listen=unix:{path} owner=:none-such")
    await server.apply()
    assert not is_there(path)


async def test_sockets_that_were_handed_over_stay_whatever_the_settings_say(
    log: LogOutput, path: Path
) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    async with serving(log, inherited=[sock]) as house:
        await house.apply(f"rtmp.listen=unix:{path}", "admin.listen=127.0.0.1:0")
        assert len(house.told("listening", "rtmp")) == len(house.told("listening", "admin")) == 1
        assert house.told("listening no more", "rtmp") == []
        assert not is_there(path)
        async with await rtmpd.connect(house.url()):
            pass


async def ask(place: str, request: str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") -> str:
    """What the admin server answers until it has nothing more to say."""
    host, _, port = place.rpartition(":")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
    return answer.decode()


async def test_http_comes_goes_and_follows(server: House) -> None:
    closing = "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    await server.apply("admin.listen=127.0.0.1:0", "metrics.max_age=60s", "memory.max_bytes=64MiB")
    (where,) = server.told("listening", "admin")
    assert "\nrtmpd_memory_limit_bytes 6.7108864e+07\n" in await ask(where, closing.format("/metrics"))
    await server.apply("admin.listen=127.0.0.1:0", "memory.max_bytes=32MiB", "metrics.max_age=0")
    assert "\nrtmpd_memory_limit_bytes 3.3554432e+07\n" in await ask(where, closing.format("/metrics"))
    await server.apply("admin.listen=127.0.0.1:0", "admin.request_timeout=50ms")
    # Half a request is waited for as long as is said now, and so is the next one on the same connection.
    assert await ask(where, "GET / HTTP/1.1\r\n") == ""
    assert (await ask(where)).startswith("HTTP/1.1 200")
    await server.apply()
    assert server.told("listening no more", "admin") == [where]
    assert not takes(place(where))


async def test_documents_of_other_servers_come_and_go(server: House) -> None:
    closing = "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    address = "admin.listen=127.0.0.1:0"
    await server.apply(address)
    (where,) = server.told("listening", "admin")

    async def status(path: str, place: str = where) -> str:
        return (await ask(place, closing.format(path))).split()[1]

    assert [await status(each) for each in ("/stat", "/srs/api/v1/versions", "/v3/info")] == ["404"] * 3
    tables = ("nginx_rtmp", "srs", "mediamtx")
    await server.apply(address, *(f"compat.{each}.admin=true" for each in tables))
    assert [await status(each) for each in ("/stat", "/srs/api/v1/versions", "/v3/info")] == ["200"] * 3
    await server.apply(address, "compat.nginx_rtmp.admin=true", "compat.nginx_rtmp.stat_path=/statistics")
    assert [await status(each) for each in ("/stat", "/statistics", "/v3/info")] == ["404", "200", "404"]
    await server.apply(address, *(f"compat.{each}.listen=127.0.0.1:0" for each in tables))
    assert server.told("listening no more", "admin") == []
    for table, path in zip(tables, ("/stat", "/api/v1/versions", "/v3/info"), strict=True):
        (alone,) = server.told("listening", f"compat.{table}")
        assert [await status(path, alone), await status("/metrics", alone)] == ["200", "404"]
        assert (await status(path)) == "404"
    await server.apply(address)
    assert all(server.told("listening no more", f"compat.{table}") for table in tables)


# -- certificates


@dataclass
class Issuer:
    """Writes certificates for ``localhost`` into a folder."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca_file(self) -> str:
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    def issue(self, name: str, other_name: str) -> str:
        """The settings of one more listener, with a certificate that has another name too."""
        issued = self.authority.issue_cert("localhost", other_name)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return f'rtmps.certificates=[{{"chain_file": "{chain}", "key_file": "{key}"}}]'

    async def visit(self, server: House) -> tuple[rtmpd.Connection, str]:
        """A connection over TLS, and the other name of the certificate that it was shown."""
        host, port = place(server.told("listening", "rtmps")[-1])
        assert host == "127.0.0.1"
        connection = await rtmpd.connect(f"rtmps://localhost:{port}/live", ca_file=self.ca_file)
        names = connection.get_extra_info("peercert")["subjectAltName"]
        return connection, names[1][1]


TLS_ADDRESS = "rtmps.listen=127.0.0.1:0"


async def test_tls_comes_with_a_certificate_follows_another_and_goes(server: House, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    await server.apply(TLS_ADDRESS)
    assert server.told("listening", "rtmps") == []
    await server.apply(TLS_ADDRESS, issuer.issue("one", "one.test"))
    first, name = await issuer.visit(server)
    async with first:
        assert name == "one.test"
        changes = await server.apply(TLS_ADDRESS, issuer.issue("two", "two.test"))
        assert changes == {Effect.CONNECTIONS: ["rtmps.certificates"]}
        second, name = await issuer.visit(server)
        async with second:
            assert name == "two.test"
            assert len(server.told("listening", "rtmps")) == 1
            await server.apply()
            assert server.told("listening no more", "rtmps") == server.told("listening", "rtmps")
            await first.publish("cam")
            await second.play("cam")


async def test_streams_by_https_come_with_the_same_certificates(server: House, tmp_path: Path) -> None:
    issuer, listen = Issuer(tmp_path), 'https.listen=["127.0.0.1:0"]'
    await server.apply(TLS_ADDRESS, listen, issuer.issue("one", "one.test"))
    host, port = place(server.told("listening", "https")[-1])
    trusting = ssl.create_default_context(cafile=issuer.ca_file)
    async with await rtmpd.connect(server.url()) as encoder, asyncio.timeout(PATIENCE):
        await publish(encoder)
        reader, writer = await asyncio.open_connection(host, port, ssl=trusting, server_hostname="one.test")
        writer.write(b"GET /live/cam.flv HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nFLV")
        await server.apply()
        assert server.told("listening no more", "https") == server.told("listening", "https")
        writer.close()


async def test_who_is_named_when_the_certificates_have_gone_is_let_go(
    server: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    behind = ('rtmps.listen=["127.0.0.1:0 proxy=require"]', "network.trusted_proxies=127.0.0.1")
    await server.apply(*behind, Issuer(tmp_path).issue("one", "one.test"))
    host, port = place(server.told("listening", "rtmps")[-1])
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(int(PATIENCE / 0.02)):
        if server.worker._stats.connections.get("pending"):
            break
        await asyncio.sleep(0.02)
    await server.apply()
    writer.write(b"PROXY TCP4 192.0.2.7 192.0.2.9 1 2\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_certificate_that_cannot_be_used_changes_nothing(server: House, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    await server.apply(TLS_ADDRESS, issuer.issue("one", "one.test"))
    broken = issuer.issue("two", "two.test").replace("two.key", "one.key")
    with pytest.raises(ConfigError, match="the key is of another certificate"):
        await server.apply(TLS_ADDRESS, broken, "stream.max_streams=1")
    with pytest.raises(ConfigError, match="cannot listen"):
        await server.apply(TLS_ADDRESS, issuer.issue("three", "three.test"), "admin.listen=203.0.113.1:9935")
    connection, name = await issuer.visit(server)
    async with connection:
        assert name == "one.test"
        await connection.publish("cam")
        await connection.publish("desk")


async def test_a_renewed_certificate_is_shown_without_a_word(
    log: LogOutput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_INTERVAL", 0.02)
    issuer = Issuer(tmp_path)
    async with serving(log, "rtmps.listen=127.0.0.1:0", issuer.issue("one", "old.test")) as server:
        old, name = await issuer.visit(server)
        async with old:
            assert name == "old.test"
            issuer.issue("one", "new.test")
            async with asyncio.timeout(PATIENCE):
                while name == "old.test":
                    connection, name = await issuer.visit(server)
                    await connection.close()
            await old.publish("cam")


# -- everything else


async def test_what_a_session_is_told_changes_for_those_who_connect(server: House) -> None:
    async with await rtmpd.connect(server.url()) as before:
        changes = await server.apply("rtmp.chunk_size=4096", "rtmp.limits.max_name_bytes=4")
        assert changes == {Effect.CONNECTIONS: ["rtmp.chunk_size", "rtmp.limits.max_name_bytes"]}
        await before.publish("long-name")
    async with await rtmpd.connect(server.url()) as after:
        with pytest.raises(PublishRejected):
            await after.publish("long-name")


async def test_a_stream_is_found_by_its_path_when_an_app_of_several_levels_comes(server: House) -> None:
    async with await rtmpd.connect(server.url()) as encoder, await rtmpd.connect(server.url()) as viewer:
        stream = await encoder.publish("room/cam")
        await stream.send_video(AVC_HEADER, 0)
        changes = await server.apply('apps."live/room".player.wait_timeout=50ms')
        assert changes == {
            Effect.PLAYS: ["apps.live/room.player.wait_timeout"],
            Effect.CONNECTIONS: ["apps.live/room"],
        }
        async with await rtmpd.connect(server.url()) as other:
            for connection in (viewer, other):
                playing = await connection.play("room/cam")
                await stream.send_video(keyframe(), 0)
                async with asyncio.timeout(PATIENCE):
                    async for message in playing:
                        if message.payload == keyframe():
                            break
            with pytest.raises(PublishRejected, match="published by somebody else"):
                await other.publish("room/cam")


async def test_the_log_follows(server: House, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as file, logs.configured("info", "text", fd=file.fileno()) as log:
        server.worker._log._output = log
        logging.getLogger("rtmpd").info("one")
        await server.apply("log.level=warning", "log.format=json")
        logging.getLogger("rtmpd").info("two")
        logging.getLogger("rtmpd").warning("three")
    first, *others = path.read_text().splitlines()
    assert first.endswith("INFO    one")
    assert [line.partition('"event":')[2] for line in others] == ['"three"}']


async def test_a_dialogue_is_written_down_for_whom_it_is_said_now(
    server: House, caplog: pytest.LogCaptureFixture
) -> None:
    def traced() -> int:
        return sum(each.getMessage() == "trace" for each in caplog.records)

    changes = await server.apply("log.trace=127.0.0.1")
    assert changes == {Effect.CONNECTIONS: ["log.trace"]}
    async with await rtmpd.connect(server.url()) as connection:
        await server.apply()
        before = traced()
        assert before
        await connection.call("getStreamLength", "cam")
        assert traced() == before


async def head_of(listener: str, path: str, origin: str) -> list[str]:
    """The status line and the headers of an answer by HTTP."""
    reader, writer = await asyncio.open_connection(*place(listener))
    writer.write(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        text = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    return text.split("\r\n")


async def test_streams_by_http_come_and_go_and_follow_their_rules(server: House, path: Path) -> None:
    page, listen = "https://www.example.com", 'http.listen=["127.0.0.1:0"]'
    assert server.told("listening", "http") == []
    await server.apply(listen)
    (listener,) = server.told("listening", "http")
    async with await rtmpd.connect(server.url()) as encoder:
        await publish(encoder)
        assert (await head_of(listener, "/live/cam.flv", page))[0] == "HTTP/1.1 403 Forbidden"
        for told in (f"http.origins={page}", f"http.public_url={page}/video"):
            await server.apply(listen, told)
            status, *headers = await head_of(listener, "/live/cam.flv", page)
            assert status == "HTTP/1.1 200 OK"
            assert f"Access-Control-Allow-Origin: {page}" in headers
        await server.apply(listen, "http.prefix=/video", f"http.origins={page}")
        for prefix, status in (("", "404 Not Found"), ("/video", "200 OK")):
            assert (await head_of(listener, f"{prefix}/live/cam.flv", page))[0] == f"HTTP/1.1 {status}"
        reader, writer = await asyncio.open_connection(*place(listener))
        writer.write(b"GET /video/live/cam.flv HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nFLV")
        await server.apply(f'http.listen=["unix:{path}"]')
        assert server.told("listening no more", "http") == [listener]
        assert not takes(place(listener))
        assert takes(str(path))
        assert not reader.at_eof()
        writer.close()


async def test_a_stream_that_is_always_fetched_comes_and_goes(server: House) -> None:
    async with await rtmpd.connect(server.url("origin")) as encoder:
        await publish(encoder)
        pull = [
            f'apps.live.pull.from=["{server.url("origin")}/cam"]',
            "apps.live.pull.on_demand=false",
            'apps.live.pull.names=["cam"]',
        ]
        await server.apply(*pull)
        async with await rtmpd.connect(server.url()) as viewer, asyncio.timeout(PATIENCE):
            async for _ in await viewer.play("cam"):
                break
        await server.apply()
        async with await rtmpd.connect(server.url()) as other, asyncio.timeout(PATIENCE):
            while True:  # The pull lets go of the name a moment later.
                try:
                    await other.publish("cam")
                except PublishRejected:
                    continue
                break


async def test_nothing_changes_before_the_start_or_after_the_end(log: LogOutput) -> None:
    idle = made(configured(), log)
    with pytest.raises(ConfigError, match="the server is starting: nothing was changed"):
        await idle.apply(configured())
    async with serving(log) as house:
        pass
    with pytest.raises(ConfigError, match="the server is shutting down: nothing was changed"):
        await house.apply()


# -- every key

_LISTENERS = {
    *("rtmp.listen", "admin.listen", "rtmps.listen", "rtmps.certificates", "rtmps.min_version"),
    *("compat.nginx_rtmp.listen", "compat.srs.listen", "compat.mediamtx.listen"),
    *("http.listen", "https.listen"),
    "rtmp.listen",
    "admin.listen",
    "metrics.listen",
    "rtmps.listen",
    "rtmps.certificates",
    "rtmps.min_version",
}
"""For which see above."""
_OF_THREADS = "state."
"""These a thread goes by, whose other values never are the same twice: see test_state_side.py."""
_OF_TOKENS = "admin.jwt."
"""Of no use one by one: see test_admin_tokens."""
_LOOKED_UP = {
    "player.max_backlog_bytes",
    "player.max_backlog_seconds",
    "player.resume_backlog_bytes",
    "player.disconnect_after",
    "player.wait_timeout",
    "admin.open",
    "admin.local",
    "admin.login_lifetime",
    "shutdown.drain_timeout",
    "shutdown.wait_for_publishers",
    "shutdown.reconnect_to",
    "shutdown.wait_after_handover",
    "shutdown.runtime_dir",
    "reload.watch",
    "compat.nginx_rtmp.admin",
    "compat.nginx_rtmp.stat_path",
    "compat.nginx_rtmp.control_path",
    "compat.nginx_rtmp.max_clients",
    "compat.srs.admin",
    "compat.mediamtx.admin",
    "http.prefix",
    "http.origins",
    "http.public_url",
    "http.aliases",
    "http.obs",
}
"""Nobody keeps these: they are read from the settings whenever they are needed."""
_OTHERS = {
    "admin.open": "metrics",
    "admin.local": "none",
    "network.trusted_proxies": "192.0.2.1",
    "privacy.addresses": "hashed",
    "privacy.backends": "truncated",
    "log.level": "error",
    "log.format": "json",
    "stream.gop.start": "live",
    "log.trace": "192.0.2.1",
    "shutdown.reconnect_to": "rtmp://other.example",
    "bans.exempt": "192.0.2.1",
    "http.prefix": "/video",
    "http.origins": "https://www.example.com",
    "http.public_url": "https://video.example.com",
    "http.aliases": "/hls/{name}.m3u8 -> /live/{name}/index.m3u8",
}
_COMPANY = {
    "run": (
        "apps.live.run.low.command=ffmpeg",
        "apps.live.exec.note.command=ffmpeg",
        "apps.live.exec.note.on=published",
    ),
    "records": ("admin.listen=127.0.0.1:0",),
}
"""Without these nobody keeps what such settings say."""
_PLAIN = (bool, int, float, str, bytes, type(None))


def another(key: Key) -> object:
    """A value of a setting that is not its default."""
    match key.read(Config()):
        case bool(value):
            return not value
        case int(value):
            return value + 1
        case float(value):
            return value + 1.0
        case "auto":
            return 64 << 20
        case value:
            return _OTHERS.get(key.name, f"{value}x")


def kept(worker: Worker) -> dict[str, object]:
    """Every plain value that a worker's own objects hold, but its settings, by the way to it."""
    found: dict[str, object] = {"level": logging.getLogger().level}
    waiting: list[tuple[str, object]] = [("", worker)]
    seen: set[int] = set()
    while waiting:
        way, value = waiting.pop()
        if isinstance(value, _PLAIN):
            found[way] = value
        elif id(value) not in seen and not isinstance(value, BaseModel):
            seen.add(id(value))
            found[way] = type(value).__name__
            if isinstance(value, Mapping):
                waiting += [(f"{way}[{number}]", each) for number, each in enumerate(value.values())]
            elif isinstance(value, list | tuple | set | frozenset):
                waiting += [(f"{way}[{number}]", each) for number, each in enumerate(value)]
            elif type(value).__module__.startswith("rtmpd") or isinstance(value, logging.Formatter):
                waiting += [(f"{way}.{name}", each) for name, each in attributes(value)]
    return found


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """Those of any object, with slots, without, or compiled."""
    names = dict.fromkeys(getattr(value, "__dict__", ()))
    for base in type(value).__mro__:
        slots = getattr(base, "__slots__", ())
        names |= dict.fromkeys((slots,) if isinstance(slots, str) else slots)
        names |= dict.fromkeys(getattr(base, "__mypyc_attrs__", ()))
    for name in names:
        if not name.startswith("__") and hasattr(value, name):
            yield name, getattr(value, name)


class Shop:
    """Makes workers that hold what settings say, and looks at them."""

    def __init__(self, log: LogOutput) -> None:
        self._log = log

    async def look(self, *configs: Config) -> dict[str, object]:
        """What a worker keeps that starts with the first of them and then follows the others."""
        worker = made(configs[0], self._log)
        entrance = Entrance(Address("127.0.0.1", 0))
        await worker._admin.open(entrance, open_listener(entrance))
        for config in configs:
            worker._follow(config, ConfiguredRules(config))
            worker._relays.apply_pulls()
        found = kept(worker)
        await worker._admin.wait_closed()
        return found


@pytest.mark.parametrize(
    "key",
    [
        key
        for key in walk()
        if key.name not in _LISTENERS and not key.name.startswith((_OF_THREADS, _OF_TOKENS))
    ],
    ids=lambda key: key.name,
)
async def test_who_follows_a_change_is_as_one_who_starts_with_it(log: LogOutput, key: Key) -> None:
    others = ["log.level=info", *_COMPANY.get(key.name.partition(".")[0], ())]
    shop, default = Shop(log), configured(*others)
    changed = configured(*others, f"{key.name}={another(key)}")
    before, again = await shop.look(default), await shop.look(default)
    fickle = {
        way
        for way, value in before.items()
        # Two that ask for any port may get the same one, and the process may stand still at any time.
        if again.get(way) != value or way.endswith((".address.port", "._lost"))
    }
    fresh, followed = await shop.look(changed), await shop.look(default, changed)
    for each in (before, fresh, followed):
        for way in fickle:
            each.pop(way, None)
    assert followed == fresh
    assert (fresh != before) is (key.name not in _LOOKED_UP)


async def test_keys_hold_for_everybody(server: House) -> None:
    key = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
    async with await rtmpd.connect(server.url()) as encoder, await rtmpd.connect(server.url()) as other:
        stream = await publish(encoder)
        changes = await server.apply(f"apps.live.publish.keys.show={spell_digest(digest_of(key))}")
        assert changes[Effect.AT_ONCE] == ["apps.live.publish.keys.show"]
        await encoder.wait_closed()  # It has shown none.
        with pytest.raises(StreamFailed, match="You may not publish this stream any more"):
            stream.check()
        with pytest.raises(PublishRejected, match="not known here"):
            await other.publish("show")
        async with await rtmpd.connect(server.url()) as owner, await rtmpd.connect(server.url()) as player:
            await owner.publish(key)
            await player.play("show")


async def test_a_backend_comes_changes_and_goes(server: House) -> None:
    """Who publishes goes on, and the backend of the hour is told of his end."""
    async with backend() as first, backend() as second:
        dialect = "apps.live.hooks.dialect=nginx-rtmp"
        async with await rtmpd.connect(server.url()) as encoder, await rtmpd.connect(server.url()) as other:
            changes = await server.apply(dialect, f"apps.live.hooks.on_publish={first.url}")
            assert changes[Effect.AT_ONCE] == ["apps.live.hooks.dialect", "apps.live.hooks.on_publish"]
            await publish(encoder)
            await server.apply(dialect, f"apps.live.hooks.on_publish_done={second.url}")
            await encoder.close()
            await second.wait_for(1)
            await server.apply()
            await other.publish("cam")
        told = [asked.form["call"] for each in (first, second) for asked in each.asked]
        assert told == ["publish", "publish_done"]


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (["live"], ["a", "live"], {"a"}),
        (["live"], ["a"], {"a", "live"}),
        (["a", "live"], ["live"], {"a", "live"}),
        (["a", "live"], ["a"], {"a", "live"}),
        (["live"], [], set()),
    ],
)
async def test_who_allowed_a_visit_is_told_of_its_end_whichever_table_names_him(
    server: House, before: list[str], after: list[str], names: set[str]
) -> None:
    async with backend() as asked, backend() as other:

        def said(tables: list[str]) -> list[str]:
            urls = f"dialect=nginx-rtmp on_publish={asked.url} on_publish_done={asked.url}".split()
            return [f"apps.{table}.hooks.{each}" for table in tables for each in urls]

        async with await rtmpd.connect(server.url()) as encoder:
            await server.apply(*said(before))
            await publish(encoder)
            elsewhere = [
                f"apps.{table}.hooks.on_publish_done={other.url}" for table in names.difference(after)
            ]
            await server.apply(*said(after), *elsewhere)
            assert server.worker._access.hooks.stats.backends.keys() == names
        await asked.wait_for(2)
        assert [each.form["call"] for each in asked.asked] == ["publish", "publish_done"]
        assert other.asked == []


async def test_the_end_waits_for_what_a_backend_is_told_that_has_gone(server: House) -> None:
    async with backend(lambda _: (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n")) as slow:
        slow.pause = 0.1
        async with await rtmpd.connect(server.url()) as encoder:
            await server.apply(f"apps.live.hooks.on_publish_done={slow.url}")
            await publish(encoder)
        await slow.wait_for(1)
        hooks = server.worker._access.hooks
        counts = hooks.stats.backends["live"]
        await server.apply()
        await hooks.close(PATIENCE)
        assert counts.told == 1


async def test_authorities_of_a_backend_that_cannot_be_read_change_nothing(
    server: House, tmp_path: Path
) -> None:
    hooks = ("apps.live.hooks.on_play=https://127.0.0.1:1/", f"apps.live.hooks.ca_file={tmp_path}/ca.pem")
    with pytest.raises(ConfigError, match=r"apps\.live\.hooks\.ca_file: cannot use the authorities in"):
        await server.apply(*hooks, "apps.live.play.allow=nobody")
    async with await rtmpd.connect(server.url()) as player:
        await player.play("cam")


async def test_an_issuer_of_settings_that_did_not_come_is_not_asked(server: House, tmp_path: Path) -> None:
    jwt = (f"jwks={tmp_path}/jwks", "issuer=me", "audience=us", "algorithms=ES256")
    said = [f"apps.live.publish.jwt.{each}" for each in jwt]
    with pytest.raises(ConfigError, match="cannot listen"):
        await server.apply(*said, "admin.listen=203.0.113.1:9935")
    assert not list(server.worker._access.rules.issuers)
    await server.apply(*said)
    assert [each.place for each in server.worker._access.rules.issuers] == [f"{tmp_path}/jwks"]


async def test_processes_of_streams_come_change_and_go(server: House, tmp_path: Path) -> None:
    told = tmp_path / "told"

    def running(word: str) -> str:
        text = f'echo "{word} $RTMPD_NAME" >>{told}; exec sleep 60'
        return f"apps.live.run.p.command={json.dumps(['sh', '-c', text])}"

    def now() -> tuple[list[str], int]:
        lines = told.read_text().splitlines() if told.exists() else []
        return lines, server.worker._programs.running

    async def until(lines: list[str], processes: int) -> None:
        for _ in range(int(PATIENCE / 0.02)):
            if now() == (lines, processes):
                return
            await asyncio.sleep(0.02)
        assert now() == (lines, processes)

    async with await rtmpd.connect(server.url()) as encoder:
        await publish(encoder)
        changes = await server.apply(running("first"))
        assert changes[Effect.AT_ONCE] == ["apps.live.run.p.command"]
        await until(["first cam"], 1)
        await server.apply(running("first"), "stream.max_streams=7")
        await server.apply(running("second"))
        await until(["first cam", "second cam"], 1)
        await server.apply()
        await until(["first cam", "second cam"], 0)


async def test_a_file_of_keys_that_cannot_be_read_changes_nothing(server: House, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keys: cannot be read"):
        await server.apply(f"apps.live.publish.keys_file={tmp_path}/keys", "apps.live.play.allow=nobody")
    async with await rtmpd.connect(server.url()) as player:
        await player.play("cam")


async def test_who_reads_and_who_writes_follow_the_same_window(log: LogOutput) -> None:
    shop = Shop(log)
    before, after = await shop.look(configured()), await shop.look(configured("stream.merge_window_ms=99"))
    changed = [way.rpartition(".")[2] for way, value in after.items() if before.get(way) != value]
    windows = sorted(name for name in changed if name.endswith("window"))
    # Of streams, and of the rounds of watched ones and of others.
    assert windows == ["_window", "_window", "merge_window"]


# -- limits of an app


async def send_until_told(stream: rtmpd.Stream) -> None:
    """Send headers until the server has had enough of them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await stream.send_video(AVC_HEADER, 0)
            await asyncio.sleep(0.01)


async def test_what_an_app_may_have_and_send_follows(server: House) -> None:
    async with (
        await rtmpd.connect(server.url()) as first,
        await rtmpd.connect(server.url()) as second,
        await rtmpd.connect(server.url()) as third,
    ):
        stream = await first.publish("cam")
        await server.apply("apps.live.publish.max_publishers=1", "apps.live.publish.reject.video_codecs=av1")
        with pytest.raises(PublishRejected, match=r"live takes 1 publisher at a time: try again"):
            await second.publish("desk")
        await stream.send_video(AVC_HEADER, 0)
        await first.call("getStreamLength", "cam")  # It was granted before, and goes on.
        await server.apply("apps.live.publish.reject.video_codecs=av1")
        other = await third.publish("desk")
        with pytest.raises(StreamFailed, match="This stream takes AV1 video only"):
            await send_until_told(other)


# -- bans


async def test_who_fails_is_banned_until_the_settings_forgive(server: House) -> None:
    locked = (f"apps.live.publish.keys.cam={spell_digest(digest_of('another'))}", "bans.attempts=1")
    await server.apply(*locked)
    async with await rtmpd.connect(server.url()) as connection:
        with pytest.raises(PublishRejected):  # A neighbour, whom nobody bans unasked.
            await connection.publish("wrong")
    await server.apply(*locked, "bans.local=true")
    async with await rtmpd.connect(server.url()) as connection:
        failing = asyncio.create_task(connection.publish("wrong"))
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    (await rtmpd.connect(server.url())).abort()
                except rtmpd.RtmpdError:
                    break
        failing.cancel()
    for harmless in ('bans.exempt=["127.0.0.1"]', "network.trusted_proxies=127.0.0.0/8"):
        await server.apply(*locked, "bans.local=true", harmless)
        for _ in range(2):
            async with await rtmpd.connect(server.url()) as connection:
                with pytest.raises(PublishRejected):
                    await connection.publish("wrong")


# -- notifications


async def test_who_is_notified_comes_changes_and_goes(server: House) -> None:
    async with backend(answer("503 Service Unavailable")) as away, backend() as back:
        target = f"notify.x.url={away.url}"
        changes = await server.apply(target, "notify.x.events=published,unpublished,ended")
        assert changes == {Effect.AT_ONCE: ["notify.x.url", "notify.x.events"]}
        async with await rtmpd.connect(server.url()) as encoder:
            await publish(encoder)
        await away.wait_for(1)
        # What waits is told to the other one.
        await server.apply(f"notify.x.url={back.url}", "notify.x.events=published,unpublished,ended")
        asked = await back.wait_for(3)
        assert [request.json["event"] for request in asked] == ["published", "unpublished", "ended"]
        assert [request.json["delivery"] for request in asked] == [1, 2, 3]
        assert asked[1].json["data"]["reason"] == "finished"
        await server.apply(f"notify.x.url={back.url}", "notify.x.enabled=false")
        async with await rtmpd.connect(server.url()) as encoder:
            await publish(encoder)
        await server.apply(f"notify.x.url={back.url}", "notify.x.events=published")
        async with await rtmpd.connect(server.url()) as encoder:
            await publish(encoder)
            asked = await back.wait_for(4)
        assert [request.json["delivery"] for request in asked] == [1, 2, 3, 1]
