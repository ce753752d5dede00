"""Records what real servers in real trouble show, in recorded/*.yml; with these promtool proves the alerts.

    .venv/bin/python tests/deploy/record_alerts.py [SCENARIO ...]

runs every scenario at once, for eight minutes, and writes a file for each. ffmpeg must be installed, and the
scenarios of the control group and of full disks need root. EXPECTED says which alerts a scenario raises;
any other that fires is a failure of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent.parent))

import trustme
from client_kit import AAC_HEADER, AVC_HEADER, keyframe
from engine_kit import FULL_HD
from prometheus_client.parser import text_string_to_metric_families
from rtmpd_process import RtmpdProcess

import rtmpd

HERE = Path(__file__).parent
_RULES = HERE.parents[1] / "deploy" / "prometheus"
ALERTS = (_RULES / "alerts.yml").read_text() + (_RULES / "service_levels.yml").read_text()
RTMPD = str(Path(sys.executable).with_name("rtmpd"))
INTERVAL = 15
SCRAPES = 33
FOLDER = "/var/lib/rtmpd/recordings"
FRAME = b"\x27\x01\x00\x00\x00"
"""An AVC inter frame's first bytes."""

STARTING = threading.Lock()
"""Twenty interpreters that start at once take longer than anybody waits for one."""

Labels = tuple[tuple[str, str], ...]


class Scenario:
    """A server in some trouble, and what Prometheus would have scraped of it."""

    def __init__(self, name: str, trouble: Callable[[Scenario], object], *settings: str, launcher=()) -> None:
        self.name = name
        self.settings = settings
        self.launcher = launcher
        self.over = threading.Event()
        self.server: RtmpdProcess | None = None
        self.series: dict[tuple[str, Labels], list[float | None]] = {}
        self._trouble = trouble
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> RtmpdProcess:
        with STARTING:
            server = RtmpdProcess(*self.settings, launcher=self.launcher)
            server.port("admin")
        self.server = server
        return server

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """A command that ends with the scenario."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process

    def bench(self, kind: str, name: str, *options: str) -> subprocess.Popen[bytes]:
        assert self.server is not None
        length = str(10 * INTERVAL * SCRAPES)
        return self.run(RTMPD, "bench", kind, "-d", length, "--warmup", "0", *options, self.server.url(name))

    def play_for_ever(self) -> None:
        self._trouble(self)

    def scrape(self, number: int) -> None:
        try:
            assert self.server is not None
            page = self.server.get("/metrics")
        except OSError:
            page = ""
        found: dict[tuple[str, Labels], float] = {("up", (("job", "rtmpd"),)): float(bool(page))}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if re.search(rf"\b{sample.name}\b", ALERTS):
                    # Everybody's own label, and those that Prometheus adds.
                    found[sample.name, (*sample.labels.items(), ("job", "rtmpd"))] = sample.value
        for key in found.keys() | self.series.keys():
            values = self.series.setdefault(key, [None] * number)
            values.append(found.get(key))

    def close(self) -> None:
        self.over.set()
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server.pid, signal.SIGCONT)
            self.server.close()

    def yaml(self) -> Iterator[str]:
        for (name, labels), values in sorted(self.series.items()):
            if dict(labels).get("reason") and not any(values):
                continue  # Each of many dozen reasons for which nothing happened.
            # Not the temporary one.
            told = ((label, FOLDER if label == "folder" else text) for label, text in labels)
            shown = ", ".join(f'{label}="{text}"' for label, text in (*told, ("instance", self.name)))
            yield f"      - series: '{name}{{{shown}}}'"
            yield f'        values: "{compress(values)}"'


def compress(values: list[float | None]) -> str:
    """As promtool writes series: ``5x3`` is four times 5."""
    words = []
    for value, group in itertools.groupby(values):
        times = len(list(group))
        text = "_" if value is None else f"{value:.12g}"
        words.append(text if times == 1 else f"{text}x{times if value is None else times - 1}")
    return " ".join(words)


def publishing(
    work: Callable[[Scenario, rtmpd.Stream], Awaitable[None]],
) -> Callable[[Scenario], None]:
    """A trouble that is made by an encoder of our own."""

    async def publish(scenario: Scenario) -> None:
        assert scenario.server is not None
        async with await rtmpd.connect(scenario.server.url("cam")) as connection:
            stream = await connection.publish()
            await stream.send(9, AVC_HEADER, 0)
            await work(scenario, stream)

    return lambda scenario: asyncio.run(publish(scenario))


# -- the troubles


def healthy(scenario: Scenario) -> None:
    """An encoder, viewers, an encoder that ends, viewers that leave, and a restart that was planned."""
    server = scenario.start()
    for _ in range(2):
        scenario.bench("publish", "cam", "--bitrate", "2000000")
        server.wait_for_live(server.url("cam"))
        players = scenario.bench("play", "cam", "-n", "5")
        scenario.over.wait(INTERVAL * SCRAPES / 4)
        players.send_signal(signal.SIGINT)
        scenario.over.wait(INTERVAL * SCRAPES / 4)
        if not scenario.over.is_set():
            server.terminate()
            server = scenario.start()


def lagging(scenario: Scenario) -> None:
    server = scenario.start()
    with contextlib.suppress(ProcessLookupError):
        while not scenario.over.wait(0.6):
            os.kill(server.pid, signal.SIGSTOP)
            time.sleep(0.3)
            os.kill(server.pid, signal.SIGCONT)


def players_that_read(share: float) -> Callable[[Scenario], None]:
    """Players that read only a share of a stream of 6 Mbit/s."""
    rate = 750_000 * share

    async def play(scenario: Scenario, url: str) -> None:
        while not scenario.over.is_set():
            async with await rtmpd.connect(url) as connection:
                player = await connection.play()
                if not share:
                    # Until it has been closed, then it comes again.
                    await asyncio.sleep(75.0)
                    continue
                with contextlib.suppress(rtmpd.RtmpdError):
                    async for packet in player:
                        await asyncio.sleep(len(packet.payload) / rate)
                        if scenario.over.is_set():
                            return

    async def play_all(scenario: Scenario, url: str) -> None:
        await asyncio.gather(*(play(scenario, url) for _ in range(5)))

    def trouble(scenario: Scenario) -> None:
        server = scenario.start()
        scenario.bench("publish", "cam", "--bitrate", "6000000", "--keyframe-interval", "1")
        server.wait_for_live(server.url("cam"))
        asyncio.run(play_all(scenario, server.url("cam")))

    return trouble


def lost_streams(scenario: Scenario) -> None:
    """One encoder hangs, one is gone."""
    server = scenario.start()
    encoders = [scenario.bench("publish", name, "--bitrate", "500000") for name in ("hung", "gone")]
    for name in ("hung", "gone"):
        server.wait_for_live(server.url(name))
    scenario.over.wait(INTERVAL * 4)
    encoders[0].send_signal(signal.SIGSTOP)
    encoders[1].kill()


def on_slate(scenario: Scenario) -> None:
    """An encoder is gone, and its last picture is held."""
    server = scenario.start()
    encoder = scenario.bench("publish", "cam", "--bitrate", "500000")
    server.wait_for_live(server.url("cam"))
    scenario.over.wait(INTERVAL * 4)
    encoder.kill()


def one_stream(scenario: Scenario) -> None:
    server = scenario.start()
    scenario.bench("publish", "cam", "--bitrate", "500000")
    server.wait_for_live(server.url("cam"))


def idle(scenario: Scenario) -> None:
    """Nobody comes."""
    scenario.start()
    scenario.over.wait()


def files(scenario: Scenario) -> None:
    address = ("127.0.0.1", scenario.start().port("rtmp"))
    connections = [socket.create_connection(address) for _ in range(90)]
    scenario.over.wait()
    for connection in connections:
        connection.close()


def fill(name: str, limit: str) -> Callable[[Scenario], None]:
    """An encoder whose group of pictures takes nine tenths of a limit."""

    async def grow(scenario: Scenario, stream: rtmpd.Stream) -> None:
        server = scenario.server
        assert server is not None
        for number in range(1, 1_000_000):
            values = [await asyncio.to_thread(server.metric, sample) for sample in (name, limit)]
            full = values[0] / values[1] > 0.92
            if number == 1:
                await stream.send(9, keyframe(bytes(1000)), number)
            else:
                await stream.send(9, FRAME + bytes(1000 if full else 300_000), number * 40)
            await asyncio.sleep(1.0 if full else 0.02)
            if scenario.over.is_set():
                return

    def trouble(scenario: Scenario) -> None:
        scenario.start()
        publishing(grow)(scenario)

    return trouble


def control_group() -> tuple[str, ...]:
    """A launcher into a group with 120 MiB."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        if root.is_dir():
            group = root / "rtmpd-record-alerts"
            group.mkdir(exist_ok=True)
            (group / limit).write_text(str(120 * 2**20))
            return ("/bin/bash", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "launcher")
    raise RuntimeError("no control groups here")


def restarting(scenario: Scenario) -> None:
    for _ in range(4):
        server = scenario.start()
        if scenario.over.wait(INTERVAL * 4):
            return
        server.close()
    scenario.start()


def down(scenario: Scenario) -> None:
    server = scenario.start()
    scenario.over.wait(INTERVAL * 4)
    server.close()


def refusing(scenario: Scenario) -> None:
    """An encoder in a loop, for a name that is taken."""
    server = scenario.start()
    scenario.bench("publish", "cam", "--bitrate", "500000")
    server.wait_for_live(server.url("cam"))

    async def ask() -> None:
        while not scenario.over.is_set():
            with contextlib.suppress(rtmpd.RtmpdError):
                async with await rtmpd.connect(server.url("cam")) as connection:
                    await connection.publish()
            await asyncio.sleep(0.3)

    asyncio.run(ask())


def guessing(scenario: Scenario) -> None:
    """Somebody who tries keys, from another address four times a minute, from each until it is banned."""
    url = scenario.start().url("guessed")

    async def guess(number: int) -> None:
        with contextlib.suppress(rtmpd.ConnectFailed, rtmpd.ConnectionClosed):
            while True:
                async with await rtmpd.connect(url, local_addr=(f"127.0.3.{number}", 0)) as connection:
                    with contextlib.suppress(rtmpd.PublishRejected):
                        await connection.publish()

    async def guess_on() -> None:
        async with asyncio.TaskGroup() as guessers:
            for number in itertools.count(1):
                if scenario.over.is_set():
                    return
                guessers.create_task(guess(number))
                await asyncio.sleep(INTERVAL)

    asyncio.run(guess_on())


def backend_down(scenario: Scenario) -> None:
    """A backend that nobody listens for, and an encoder that comes again and again."""
    scenario.settings = ("apps.live.hooks.on_publish=http://127.0.0.1:9/auth",)
    asking_a_backend(scenario)


def backend_slow(scenario: Scenario) -> None:
    """A backend that thinks for two seconds."""

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(2.0)
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/auth"
        scenario.settings = (f"apps.live.hooks.on_publish={url}", "bans.attempts=0")
        asking_a_backend(scenario)
        server.shutdown()


def asking_a_backend(scenario: Scenario) -> None:
    server = scenario.start()

    async def ask() -> None:
        while not scenario.over.is_set():
            with contextlib.suppress(rtmpd.RtmpdError):
                async with await rtmpd.connect(server.url("cam")) as connection:
                    await connection.publish()
            await asyncio.sleep(2.0)

    asyncio.run(ask())


def strangers(scenario: Scenario) -> None:
    """Somebody who speaks HTTP to the RTMP port."""
    address = ("127.0.0.1", scenario.start().port("rtmp"))
    while not scenario.over.wait(0.1):
        with socket.create_connection(address) as connection, contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(100)


def expiring(scenario: Scenario) -> None:
    """A certificate that was not renewed: it expires in the year in which promtool's clock begins."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    issued = trustme.CA().issue_cert("localhost", not_before=start, not_after=start + timedelta(days=10))
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        pair = f'[{{"chain_file": "{chain}", "key_file": "{key}"}}]'
        scenario.settings = ("rtmps.listen=127.0.0.1:0", f"rtmps.certificates={pair}")
        scenario.start()
        scenario.over.wait()


def torn_keys(scenario: Scenario) -> None:
    """A file of keys that somebody has made a mistake in."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys")
        keys.write_text(f"cam sha256:{'0' * 64}\n")
        scenario.settings = (f"apps.live.publish.keys_file={keys}",)
        scenario.start()
        scenario.over.wait(INTERVAL * 3)
        keys.write_text("cam\n")
        scenario.over.wait()


def full_disk(scenario: Scenario) -> None:
    """A disk for what outlives a restart that somebody fills; who watches how much is to be noted there."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "rtmpd-record-alerts", folder], check=True)
        try:
            scenario.settings = (f"state.dir={folder}/state",)
            one_stream(scenario)
            scenario.bench("play", "cam", "-n", "2")
            scenario.over.wait(INTERVAL * 3)
            with contextlib.suppress(OSError), Path(folder, "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(1024))
            scenario.over.wait()
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def recording_fails(scenario: Scenario) -> None:
    """Somebody removes the folder that is recorded into."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "recordings")
        root.mkdir()
        scenario.settings = ("apps.live.record.start=always", f"apps.live.record.root={root}")
        one_stream(scenario)
        scenario.over.wait(INTERVAL * 6)
        shutil.rmtree(root)
        scenario.over.wait()


def recordings_fill(scenario: Scenario) -> None:
    """A small disk for a long recording."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "rtmpd-record-alerts", folder], check=True)
        try:
            scenario.settings = ("apps.live.record.start=always", f"apps.live.record.root={folder}")
            one_stream(scenario)
            scenario.over.wait()
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def not_uploaded(scenario: Scenario) -> None:
    """A bucket that nobody answers for, and a recording of two hours ago, whose encoder has gone since."""
    with tempfile.TemporaryDirectory() as folder:
        scenario.settings = (
            "apps.live.record.start=always",
            f"apps.live.record.root={folder}",
            "apps.live.record.name={name}",
            "apps.live.record.upload.bucket=rec",
            "apps.live.record.upload.endpoint=http://127.0.0.1:9",
            "apps.live.record.upload.region=us-east-1",
            "apps.live.record.upload.access_key_id=id",
            "apps.live.record.upload.secret_access_key=secret",
        )
        server = scenario.start()
        scenario.run(RTMPD, "bench", "publish", "-d", "10", "--warmup", "0", server.url("cam"))
        server.log.wait_for({"event": "recording job not done"}, timeout=60)
        os.utime(Path(folder, "cam.flv"), (time.time() - 7200,) * 2)
        scenario.over.wait()


def broken_settings(scenario: Scenario) -> None:
    """A reload that finds a mistake."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "rtmpd.toml")
        settings.write_text("reload.watch = true\n")
        scenario.launcher = ("env", f"RTMPD_CONFIG={settings}")
        scenario.start()
        scenario.over.wait(INTERVAL * 3)
        settings.write_text("rtmp.lisen = 1\n")
        scenario.over.wait()


def without_keys(scenario: Scenario) -> None:
    """An issuer of tokens that is away."""
    scenario.settings = (
        "apps.live.play.jwt.issuer=https://id.test/",
        "apps.live.play.jwt.audience=rtmpd",
        "apps.live.play.jwt.algorithms=ES256",
        "apps.live.play.jwt.jwks=https://127.0.0.1:9/keys",
    )
    scenario.start()
    scenario.over.wait()


def late_pictures(scenario: Scenario) -> None:
    """Players that wait for a key frame each time, as nothing is kept for them."""
    server = scenario.start()
    threading.Thread(
        target=publishing(lambda *both: _frames(*both, lambda number: number * 40, 0, 100)), args=(scenario,)
    ).start()
    server.wait_for_live(server.url("cam"))

    async def join() -> None:
        while not scenario.over.is_set():
            async with await rtmpd.connect(server.url("cam")) as connection:
                player = await connection.play()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(6.0):
                        async for packet in player:
                            if packet.type == 9 and packet.payload[1] == 1:
                                break
            await asyncio.sleep(1.3)

    asyncio.run(join())


def rare_keyframes(scenario: Scenario) -> None:
    server = scenario.start()
    scenario.bench("publish", "cam", "--bitrate", "500000", "--keyframe-interval", "8.3")
    server.wait_for_live(server.url("cam"))


async def _frames(
    scenario: Scenario, stream: rtmpd.Stream, stamp: Callable[[int], int], sound: int, interval: int = 50
) -> None:
    """25 frames a second, stamped by their number; sound for the first ``sound`` of them."""
    if sound:
        await stream.send(8, AAC_HEADER, 0)
    began = time.monotonic()
    for number in itertools.count():
        picture = keyframe(bytes(500)) if number % interval == 0 else FRAME + bytes(500)
        await stream.send(9, picture, stamp(number))
        if number < sound:
            await stream.send(8, b"\xaf\x01" + bytes(50), number * 40)
        await asyncio.sleep(max(began + number * 0.04 - time.monotonic(), 0.0))
        if scenario.over.is_set():
            return


def encoder(stamp: Callable[[int], int], sound: int) -> Callable[[Scenario], None]:
    def trouble(scenario: Scenario) -> None:
        scenario.start()
        publishing(lambda *both: _frames(*both, stamp, sound))(scenario)

    return trouble


def many_streams(scenario: Scenario) -> None:
    server = scenario.start()
    for name in ("one", "two"):
        scenario.bench("publish", name, "--bitrate", "300000")
        server.wait_for_live(server.url(name))


BROKEN = """
import sys
from rtmpd.daemon import cli
from rtmpd.serving import playing
def stream_started(self): raise RuntimeError("a bug")
playing.Player.stream_started = stream_started
del sys.argv[1]
cli.main()
"""


def bug(scenario: Scenario) -> None:
    """A server whose players fail when the stream that they wait for begins."""
    server = scenario.start()
    scenario.run(RTMPD, "play", server.url("cam"))
    server.wait_for_plays(server.url("cam"))
    scenario.over.wait(INTERVAL * 3)
    scenario.bench("publish", "cam", "--bitrate", "300000")


def watch_by_hls(scenario: Scenario, name: str) -> None:
    """A player that knows low latency: it asks for what comes next, and waits."""
    assert scenario.server is not None
    port = scenario.server.port("http")
    home = f"http://127.0.0.1:{port}/live/{name}/"
    while not scenario.over.wait(1.0):
        with contextlib.suppress(OSError, LookupError):
            uri = read_text(f"{home}index.m3u8").splitlines()[-1]
            text = read_text(home + uri)
            while not scenario.over.is_set():
                msn, part = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="\w+_(\d+)_(\d+).mp4"', text)[-1]
                text = read_text(f"{home}{uri}&_HLS_msn={msn}&_HLS_part={part}")


def read_text(url: str) -> str:
    with urlopen(url, timeout=40) as answer:
        return str(answer.read().decode())


async def _bursts(scenario: Scenario, stream: rtmpd.Stream) -> None:
    """25 frames a second, but on a line that carries nothing for a second and a half, and then all of it."""
    await stream.send(9, FULL_HD, 0)
    for _ in range(3):
        threading.Thread(target=watch_by_hls, args=(scenario, "cam"), daemon=True).start()
    begun = time.monotonic()
    for number in itertools.count():
        early = begun + number * 0.04 - time.monotonic()
        if number % 38 == 0 and early > 0:
            await asyncio.sleep(early)
        if scenario.over.is_set():
            return
        picture = keyframe(bytes(500)) if number % 25 == 0 else FRAME + bytes(500)
        await stream.send(9, picture, number * 40)


def in_bursts(scenario: Scenario) -> None:
    scenario.start()
    publishing(_bursts)(scenario)


BURNS = ("RtmpdErrorBudgetBurnsFast", "RtmpdErrorBudgetBurnsSlowly")
"""Of one service level."""

EXPECTED: dict[str, tuple[str, ...]] = {
    "healthy": (),
    "lagging": ("RtmpdEventLoopLagging",),
    "slow-players": ("RtmpdPlayersFallBehind",),
    "stalled-players": ("RtmpdPlayersFallBehind", "RtmpdPlayersTooSlow"),
    "lost-streams": ("RtmpdStreamLost", "RtmpdStreamLost", "RtmpdStreamUnhealthy"),
    "on-slate": ("RtmpdSlateOnAir", "RtmpdStreamLost"),
    "push-down": ("RtmpdPushDown",),
    "pull-down": ("RtmpdRelayDown",),
    "notifications-stuck": ("RtmpdNotificationsStuck",),
    "files": ("RtmpdFilesNearLimit",),
    "memory": ("RtmpdMemoryNearCeiling", "RtmpdStreamUnhealthy"),
    "control-group": ("RtmpdMemoryNearGroupLimit",),
    "restarting": ("RtmpdRestarted",),
    "down": ("RtmpdDown",),
    "refusing": ("RtmpdManyRefusals",),
    "guessing": ("RtmpdBansRising",),
    "backend-down": ("RtmpdBackendFails", *BURNS),
    "backend-slow": ("RtmpdBackendSlow",),
    "strangers": ("RtmpdHandshakeFailures",),
    "expiring": ("RtmpdCertificateExpires",),
    "broken-settings": ("RtmpdReloadFailed",),
    "torn-keys": ("RtmpdKeysOutdated",),
    "full-disk": ("RtmpdStateNotWritable",),
    "recording-fails": ("RtmpdRecordingIncomplete",),
    "recordings-fill": ("RtmpdRecordingsDiskFull",),
    "not-uploaded": ("RtmpdRecordingNotUploaded", "RtmpdStreamLost"),
    "without-keys": ("RtmpdJwksStale",),
    "late-pictures": ("RtmpdFirstFrameSlow", *BURNS),
    "hls-runs-dry": BURNS,
    "rare-keyframes": ("RtmpdKeyframesRare",),
    "silent-audio": ("RtmpdAudioVideoSkew", "RtmpdStreamUnhealthy"),
    "backwards": ("RtmpdTimestampsRegress",),
    "many-streams": ("RtmpdStreamsWithoutSeries",),
    "bug": ("RtmpdSinkErrors",),
}


def scenarios() -> list[Scenario]:
    nowhere = "apps.live.push.twitch.url=rtmp://127.0.0.1:9/live/key"
    wanted = ("apps.live.pull.on_demand=false", "apps.live.pull.names=cam")
    return [
        Scenario("healthy", healthy),
        Scenario("lagging", lagging),
        Scenario("slow-players", players_that_read(0.44)),
        Scenario("stalled-players", players_that_read(0.0)),
        Scenario("lost-streams", lost_streams),
        Scenario("on-slate", on_slate, "apps.live.still=true", "apps.live.slate_for=10m"),
        Scenario("push-down", one_stream, nowhere),
        Scenario("pull-down", idle, 'apps.live.pull.from=["rtmp://127.0.0.1:9/live/cam"]', *wanted),
        Scenario("notifications-stuck", one_stream, "notify.backend.url=http://127.0.0.1:9/hook"),
        Scenario(
            "files",
            files,
            "rtmp.limits.handshake_timeout=1h",
            launcher=("/bin/bash", "-c", 'ulimit -n 150; exec "$@"', "launcher"),
        ),
        Scenario(
            "memory", fill("rtmpd_memory_held_bytes", "rtmpd_memory_limit_bytes"), "memory.max_bytes=16MiB"
        ),
        Scenario(
            "control-group",
            fill("rtmpd_memory_group_used_bytes", "rtmpd_memory_group_limit_bytes"),
            "memory.max_bytes=1GiB",
            "stream.gop.max_bytes=512MiB",
            launcher=control_group(),
        ),
        Scenario("restarting", restarting),
        Scenario("down", down),
        Scenario("refusing", refusing),
        Scenario("guessing", guessing, f"apps.live.publish.keys.cam=sha256:{'0' * 64}", "bans.local=true"),
        Scenario("backend-down", backend_down),
        Scenario("backend-slow", backend_slow),
        Scenario("strangers", strangers),
        Scenario("expiring", expiring),
        Scenario("broken-settings", broken_settings),
        Scenario("torn-keys", torn_keys),
        Scenario("full-disk", full_disk),
        Scenario("recording-fails", recording_fails),
        Scenario("recordings-fill", recordings_fill),
        Scenario("not-uploaded", not_uploaded),
        Scenario("without-keys", without_keys),
        Scenario("late-pictures", late_pictures, "stream.gop.start=keyframe"),
        Scenario("hls-runs-dry", in_bursts, "http.listen=127.0.0.1:0"),
        Scenario("rare-keyframes", rare_keyframes),
        Scenario("silent-audio", encoder(lambda number: number * 40, 100)),
        Scenario("backwards", encoder(lambda number: number * 40 - (500 if number % 50 == 0 else 0), 0)),
        Scenario("many-streams", many_streams, "metrics.max_streams=1"),
        Scenario("bug", bug, launcher=(sys.executable, "-c", BROKEN)),
    ]


HEAD = """\
# Written by tests/deploy/record_alerts.py from the metrics of a real server: do not edit.
rule_files:
  - ../../../deploy/prometheus/service_levels.yml
  - ../../../deploy/prometheus/alerts.yml

evaluation_interval: 15s

tests:
  - name: {name}
    interval: 15s
    input_series:
"""


def tail(alerts: Sequence[str]) -> Iterator[str]:
    length = f"{INTERVAL * SCRAPES}s"
    fired = f"max_over_time(ALERTS{{alertstate='firing'}}[{length}])"
    yield "    promql_expr_test:"
    yield f"      - expr: count by (alertname) ({fired})"
    yield f"        eval_time: {length}"
    if alerts:
        yield "        exp_samples:"
    for alert in sorted(set(alerts)):
        yield f"          - labels: '{{alertname=\"{alert}\"}}'"
        yield f"            value: {alerts.count(alert)}"


def main() -> None:
    wanted = sys.argv[1:]
    running = [scenario for scenario in scenarios() if not wanted or scenario.name in wanted]
    threads = [threading.Thread(target=each.play_for_ever, name=each.name, daemon=True) for each in running]
    try:
        for thread in threads:
            thread.start()
        while any(scenario.server is None for scenario in running):
            time.sleep(0.1)
        began = time.monotonic()
        for number in range(SCRAPES):
            for scenario in running:
                scenario.scrape(number)
            time.sleep(max(began + (number + 1) * INTERVAL - time.monotonic(), 0.0))
    finally:
        for scenario in running:
            scenario.close()
    for scenario in running:
        lines = [*scenario.yaml(), *tail(EXPECTED[scenario.name])]
        text = HEAD.format(name=scenario.name) + "\n".join(lines) + "\n"
        (HERE / "recorded" / f"{scenario.name}.yml").write_text(text)


if __name__ == "__main__":
    main()
