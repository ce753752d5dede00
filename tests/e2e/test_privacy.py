"""``privacy.addresses`` in the real server: what is shown of an address, wherever anything is shown."""

from __future__ import annotations

import ast
import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from client_kit import AVC_HEADER, keyframe
from rtmpd_process import RtmpdProcess
from rtmpd_process import rtmpd as start

import rtmpd
from rtmpd.net.address_mask import is_hashed

ENCODER = "127.83.21.7"
PLAYER = "127.83.22.8"
GUESSER = "127.83.23.9"
ADDRESSES = (ENCODER, PLAYER, GUESSER)
PACKAGE = Path(rtmpd.__file__).parent

DECIDING = {
    "access.guard": "what it tells is masked where it tells it",
    "access.local_tokens": "a token of a process is good where it runs",
    "access.policy": "rules name networks",
    "engine.claim": "two encoders of one address",
    "hooks.model": "answers of backends are kept for who has asked",
    "hooks.nginx_rtmp": "whether it is a Unix socket",
    "serving.arrivals": "which proxies are believed",
    "serving.identity": "whose share of the ceilings it takes",
    "serving.porch": "which proxies are believed",
    "serving.tracing": "whom log.trace names",
    "control.session_views": "whom somebody looks for; see AddressMask.finder",
    "daemon.doors": "addresses to listen on",
    "control.local_sessions": "whom somebody names who speaks to it as to nginx-rtmp",
    "control.local_records": "whom somebody looks for; see AddressMask.finder",
    "engine.origin": "the mask is asked",
    "http.connection": "which proxies are believed",
    "http.server": "for whom they ask",
}
"""Modules that read the true address of somebody, and what for: not one shows it."""


def test_nobody_reads_a_true_address_but_to_decide() -> None:
    readers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "address":
                holder = ast.unparse(node.value)
                if holder.rpartition(".")[2] in {"origin", "proxy", "one", "other"} or (
                    path.stem == "origin" and holder == "self"
                ):
                    readers.add(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    assert readers == DECIDING.keys()


_YES = b'{"allow": true}'


class Listener(ThreadingHTTPServer):
    """A backend that lets everybody in but ``guessed``, and is notified: it keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.arrived = threading.Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for(self, path: str, text: str) -> str:
        """The first body sent to ``path`` that has ``text`` in it."""

        def found() -> list[str]:
            return [body for to, body in self.heard if to == path and text in body]

        with self.arrived:
            assert self.arrived.wait_for(lambda: bool(found()), 10.0), self.heard
        return found()[0]


class Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.arrived:
            self.server.heard.append((self.path, body))
            self.server.arrived.notify_all()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_YES)))
        self.end_headers()
        self.wfile.write(_YES)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        yield server
        server.shutdown()


def write_settings(path: Path, listener: Listener, privacy: str) -> None:
    script = f"env > {path.parent}/hook.part && mv {path.parent}/hook.part {path.parent}/hook"
    path.write_text(
        f"""
        [privacy]
        {privacy}
        [bans]
        local = true
        attempts = 1
        [log]
        trace = "127.83.0.0/16"
        [apps.live.hooks]
        on_publish = "{listener.url}/ask"
        [apps.live.exec.note]
        command = ["/bin/sh", "-c", "{script}"]
        on = ["published"]
        [access_log]
        path = "{path.parent}/access.log"
        [notify.site]
        url = "{listener.url}/tell"
        [apps.kept.publish.keys]
        cam = "sha256:{"0" * 64}"
        """
    )


def written(path: Path) -> str:
    """What a hook has put there, once it has."""
    tick = threading.Event()
    for _ in range(500):
        if path.exists():
            break
        tick.wait(0.02)
    return path.read_text()


def logged_sessions(path: Path, before: int) -> str:
    """Lines of the access log behind the first ``before``, once there are two more."""
    tick = threading.Event()
    for _ in range(500):
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= before + 2 and any('"kind":"publisher"' in line for line in lines[before:]):
            break
        tick.wait(0.02)
    return "\n".join(lines[before:])


def ask(server: RtmpdProcess, method: str, path: str, body: object = None) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('admin')}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={} if body is None else {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def follow(server: RtmpdProcess) -> HTTPResponse:
    """Events, which are kept from the first time on."""
    url = f"http://127.0.0.1:{server.port('admin')}/api/v1/events?after=0"
    answer: HTTPResponse = urllib.request.urlopen(url, timeout=10)
    return answer


def followed(server: RtmpdProcess, player: str) -> str:
    """What is told of events, from the encoder's coming to the leaving of ``player``."""
    told: list[str] = []
    with follow(server) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                told.append(line.decode())
                if '"event":"player_left"' in told[-1] and player in told[-1]:
                    break
    begun = [number for number, line in enumerate(told) if '"event":"published"' in line]
    return "".join(told[begun[-1] :])


async def guess(server: RtmpdProcess) -> None:
    """Show a key that is none, which is one too many here; the answer is slow then, and is not waited for."""
    banned = len(server.log.find({"event": "banned"}))
    url = f"rtmp://127.0.0.1:{server.port('rtmp')}/kept/cam?key=no"
    async with await rtmpd.connect(url, local_addr=(GUESSER, 0)) as connection:
        asking = asyncio.create_task(connection.publish())
        await asyncio.to_thread(server.log.wait_for, {"event": "banned"}, banned + 1)
        asking.cancel()


async def come_and_go(server: RtmpdProcess, listener: Listener, folder: Path) -> dict[str, str]:
    """An encoder, a player, somebody who guesses keys until he is banned; all that is told of them."""
    url = f"rtmp://127.0.0.1:{server.port('rtmp')}"
    (await asyncio.to_thread(follow, server)).close()
    before, told = len(server.log.lines()), {}
    ended = len(server.log.find({"event": "publish ended"}))
    access_log = folder / "access.log"
    over = len(access_log.read_text().splitlines()) if access_log.exists() else 0
    listener.heard.clear()
    (folder / "hook").unlink(missing_ok=True)
    async with await rtmpd.connect(f"{url}/live/cam", local_addr=(ENCODER, 0)) as connection:
        stream = await connection.publish()
        await stream.send(9, AVC_HEADER, 0)
        await stream.send(9, keyframe(bytes(100)), 0)
        async with await rtmpd.connect(f"{url}/live/cam", local_addr=(PLAYER, 0)) as watching:
            player = await watching.play()
            await anext(aiter(player))
            for name in ("sessions", f"sessions?address={ENCODER}", "streams/live/cam"):
                told[name] = await asyncio.to_thread(ask, server, "GET", f"/{name}")
            async with await rtmpd.connect(f"{url}/live/cam", local_addr=(PLAYER, 0)) as late:
                with pytest.raises(rtmpd.PublishRejected):
                    await late.publish()
            await guess(server)
            told["bans"] = await asyncio.to_thread(ask, server, "GET", "/bans")
            sessions = json.loads(told["sessions"])["items"]
            number = next(each["id"] for each in sessions if each["kind"] == "player")
            await asyncio.to_thread(ask, server, "POST", f"/sessions/{number}/kick", {"reason": "enough"})
    told["backend"] = await asyncio.to_thread(listener.wait_for, "/ask", "on_publish")
    told["notified"] = await asyncio.to_thread(listener.wait_for, "/tell", '"event":"published"')
    told["hook"] = await asyncio.to_thread(written, folder / "hook")
    (ban,) = json.loads(told["bans"])["items"]
    # Who may not see a network can lift a ban all the same.
    assert await asyncio.to_thread(ask, server, "DELETE", f"/bans/{quote(ban['id'], safe='')}") == ""
    assert json.loads(await asyncio.to_thread(ask, server, "GET", "/bans"))["items"] == []
    with pytest.raises(urllib.error.HTTPError, match="404"):
        await asyncio.to_thread(ask, server, "DELETE", f"/bans/{GUESSER}")
    for event in ("publish ended", "change not made"):
        await asyncio.to_thread(server.log.wait_for, {"event": event}, ended + 1)
    lines = server.log.lines()[before:]
    logged = {line["event"] for line in lines}
    assert logged >= {"play ended", "publish refused", "banned", "change made", "trace"}
    told["log"] = "\n".join(map(str, lines))
    told["events"] = await asyncio.to_thread(followed, server, number)
    told["records"] = await asyncio.to_thread(ask, server, "GET", f"/records?limit={len(ADDRESSES)}")
    told[f"records?address={ENCODER}"] = await asyncio.to_thread(
        ask, server, "GET", f"/records?limit=1&kind=publisher&address={ENCODER}"
    )
    told["access log"] = await asyncio.to_thread(logged_sessions, access_log, over)
    told["metrics"] = await asyncio.to_thread(server.get, "/metrics")
    return told


async def test_an_address_is_shown_as_the_settings_have_it(listener: Listener, tmp_path: Path) -> None:
    config = tmp_path / "rtmpd.toml"
    write_settings(config, listener, 'addresses = "full"')
    with start(environment={"RTMPD_CONFIG": str(config)}) as server:

        async def under(privacy: str) -> dict[str, str]:
            write_settings(config, listener, privacy)
            await asyncio.to_thread(ask, server, "POST", "/reload", {})
            return await come_and_go(server, listener, tmp_path)

        told = await under('addresses = "full"')
        # Or what follows would find nothing of what it looks for.
        assert {name for name, text in told.items() if ENCODER in text} == told.keys() - {"bans", "metrics"}
        (ban,) = json.loads(told["bans"])["items"]
        assert ban["id"] == ban["network"] == GUESSER

        for mode in ("truncated", "hashed"):
            told = await under(f'addresses = "{mode}"')
            shown = [(name, each) for name, text in told.items() for each in ADDRESSES if each in text]
            assert shown == []
            sessions = {each["kind"]: each["address"] for each in json.loads(told["sessions"])["items"]}
            sessions.pop("pending", None)  # Who guessed before, and did not wait.
            (found,) = json.loads(told[f"sessions?address={ENCODER}"])["items"]
            assert found["kind"] == "publisher"
            (ban,) = json.loads(told["bans"])["items"]
            if mode == "truncated":
                assert sessions == {"publisher": "127.83.21.0", "player": "127.83.22.0"}
                assert ban["network"] == "127.83.23.0"
            else:
                assert all(map(is_hashed, (*sessions.values(), ban["network"])))
            # In every place something stands of them, and everywhere the same.
            for name in ("streams/live/cam", "backend", "notified", "hook", "log", "access log"):
                assert sessions["publisher"] in told[name], name
            assert f"'client': '{ban['network']}'" in told["log"]

        told = await under('addresses = "hashed"\nbackends = "full"')
        assert {name for name, text in told.items() if ENCODER in text} == {"backend"}
