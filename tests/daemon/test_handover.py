"""One process of a server takes over from another: nobody is refused, no stream is lost."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from client_kit import AVC_HEADER, keyframe
from evening_kit import evening, order, successor
from net_kit import eventually
from relay_kit import Server, serve
from rtmpd_process import RtmpdProcess, assert_clean_exit, rtmpd

import rtmpd as library
from rtmpd.daemon import handover
from rtmpd.daemon.doors import Given
from rtmpd.daemon.handover import Arrival, Departure
from rtmpd.daemon.neighbour import Answer, Handler, Neighbour
from rtmpd.exceptions import HandoverFailed
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance
from rtmpd.net.messages import MAX_ENCLOSED, Message, pair

PATIENCE = 15.0
"""Seconds after which a test that waits has failed."""
SILENT = "rtmp.limits.idle_publisher_timeout=1m"
"""An encoder may send nothing for as long as a process takes to start on a busy machine."""


class Knocker:
    """Connects again and again, as an encoder does at first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.let_in = 0
        self.problems: list[str] = []
        self.over = False

    async def run(self) -> None:
        while not self.over:
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    try:
                        writer.write(b"\3" + bytes(1536))
                        await reader.readexactly(1 + 1536)
                    finally:
                        writer.transport.abort()
                self.let_in += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.problems.append(repr(error))


@asynccontextmanager
async def knocking(port: int) -> AsyncIterator[Knocker]:
    knocker = Knocker(port)
    tasks = [asyncio.create_task(knocker.run()) for _ in range(4)]
    try:
        yield knocker
    finally:
        knocker.over = True
        await asyncio.gather(*tasks)


async def until_payload(player: library.Stream, payload: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        async for message in player:
            if message.payload == payload:
                return
    raise AssertionError("the stream is over")


async def test_nobody_is_refused_and_streams_go_on_wherever_their_encoder_and_players_are() -> None:
    async with serve("platform") as platform:
        target = f"apps.live.push={platform.url('live/{name}')}"
        settings = ("rtmp.limits.max_connects_per_minute=0", "http.listen=127.0.0.1:0", target, SILENT)
        with rtmpd(*settings) as server:
            with successor(server):
                await one_move(server, platform)
            assert server.wait() == 0


async def one_move(server: RtmpdProcess, platform: Server) -> None:
    pushed = platform.context.stats
    url = server.url("show")
    async with (
        evening(server) as live,
        knocking(server.port("rtmp")) as knocker,
        watching_by_http(server) as watched,
    ):
        await eventually(lambda: pushed.publishers == 1)
        code, told = await asyncio.to_thread(order, server, "replace")
        assert (code, told.startswith("process "), "has taken over" in told) == (0, True, True)
        assert await live.asked() == url.rpartition("/")[0]
        assert await live.goes_on()
        before = knocker.let_in
        assert server.get("/readyz") == "ready\n"  # It is the new one that says so.
        await what_stayed_is_told(server)
        # Who joins there sees what the old one has,
        async with await library.connect(url) as late, await library.connect(url) as source:
            joined = await late.play()
            await until_payload(joined, keyframe())
            await eventually(lambda: players_of(server) == (3, 2))  # No process is a player.
            async with watching_by_http(server):
                await eventually(lambda: players_of(server) == (4, 2))
            # nobody else may publish it,
            with pytest.raises(library.PublishRejected):
                await source.publish()
            assert pushed.publishes_total == 1
            # and once its encoder has come all go on.
            live.source.abort()
            gone = {"event": "publish ended", "stream": "show"}
            await asyncio.to_thread(server.log.wait_for, gone)
            async with await library.connect(url) as source:
                stream = await source.publish()
                await stream.send_video(AVC_HEADER, 0)
                await stream.send_video(keyframe(b"there"), 0)
                await until_payload(joined, keyframe(b"there"))
                await until_payload(live.player, keyframe(b"there"))
                await stream.send_video(keyframe(b"still"), 40)
                await until_payload(live.player, keyframe(b"still"))
                await watched.readuntil(b"still")
                await until_payload(joined, keyframe(b"still"))
                await eventually(lambda: (pushed.publishers, pushed.publishes_total) == (1, 2))
        await eventually(lambda: knocker.let_in >= before + 20)
    assert knocker.problems == []
    # Nobody is left there.
    server.log.wait_for({"event": "the process before has ended"})


@asynccontextmanager
async def watching_by_http(server: RtmpdProcess) -> AsyncIterator[asyncio.StreamReader]:
    """A player by HTTP, who has been sent something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port("http"))
    writer.write(b"GET /live/show.flv?key=k HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"\r\n\r\nFLV")
            yield reader
    finally:
        writer.close()


async def what_stayed_is_told(server: RtmpdProcess) -> None:
    labels = {"app": "live", "stream": "show"}
    await eventually(lambda: server.metric("rtmpd_predecessor_stream_live", **labels) == 1)
    counts = [server.metric(f"rtmpd_predecessor{name}") for name in ("", "_publishers", "_players")]
    assert counts == [1, 1, 2]
    _, told = await asyncio.to_thread(order, server, "status")
    assert "before this one (rtmpd" in told
    assert "live/show  live*" in told
    (stream,) = json.loads(server.get("/api/v1/streams"))["items"]
    assert (stream["carried_by"], stream["players"], stream["predecessor_players"]) == ("predecessor", 2, 2)


def players_of(server: RtmpdProcess) -> tuple[int, int]:
    """Of its stream: all, and those of the process before."""
    (told,) = json.loads(server.get("/api/v1/streams"))["items"]
    return told["players"], told["predecessor_players"]


async def test_who_comes_by_the_folder_takes_over_and_files_of_sockets_stay(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("h")
    path = folder / "rtmp.sock"
    settings = (f'rtmp.listen=["127.0.0.1:0", "unix:{path}"]', f"shutdown.runtime_dir={folder}")
    with rtmpd(*settings) as old:
        code, _ = await asyncio.to_thread(order, old, "ban", "192.0.2.0/24", "--for", "1h")
        assert code == 0
        push = {"url": "rtmp://127.0.0.1:9/live/there?key=s3cret"}
        await asyncio.to_thread(ask_for_push, old, push)
        with rtmpd(*settings, options=["--replace"]) as new:
            assert old.wait() == 0  # Nobody was there.
            assert (new.port("rtmp"), new.port("admin")) == (old.port("rtmp"), old.port("admin"))
            assert oct((folder / "handover").stat().st_mode)[-3:] == "700"
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
            assert "192.0.2.0/24" in new.get("/api/v1/bans")
            assert "api-1" in new.get("/api/v1/relays")
            assert "s3cret" not in str(old.log) + str(new.log)
            assert_clean_exit(new)
        assert not path.exists()


def ask_for_push(server: RtmpdProcess, body: dict[str, str]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('admin')}/api/v1/streams/live/cam/push",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=5).close()


async def test_one_that_cannot_start_takes_nothing_over(tmp_path: Path) -> None:
    file = tmp_path / "rtmpd.toml"
    file.write_text("")
    with rtmpd(SILENT, environment={"RTMPD_CONFIG": str(file)}) as server:
        async with evening(server) as live:
            file.write_text("[rtmp]\nlissten = 1")
            code, told = await asyncio.to_thread(order, server, "replace")
            assert code == 1
            assert told.startswith("rtmpd: the new process does not take over: ")
            assert "rtmp.lissten: there is no such key" in told
            assert await live.goes_on()
            async with await library.connect(server.url("show")):
                pass
        server.log.wait_for({"event": "hand-over failed"})
        assert server.terminate() == 0


# -- what is said


class FakeHouse:
    """A server with one address."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.done: list[str] = []
        self.obstacle: str | None = None
        self.serving_since = 1.8e9
        self.handlers: Mapping[str, Handler] = {}

    def copies(self) -> tuple[Given, Sequence[socket.socket]]:
        entrance = Entrance(Address("127.0.0.1", 0))
        return {("rtmp", entrance.address): (entrance, self.sock.dup())}, [self.sock.dup()]

    def stop_accepting(self) -> None:
        self.done.append("stopped")

    async def resume_accepting(self, given: Given, inherited: Sequence[socket.socket]) -> None:
        self.done.append(f"resumed {len(given)} {len(inherited)}")
        for sock in (*(sock for _, sock in given.values()), *inherited):
            sock.close()

    def belongings(self) -> Message:
        return {"bans": []}

    def handed_over(self, _neighbour: Neighbour, pid: int) -> None:
        self.done.append(f"over to {pid}")

    def neighbour_gone(self) -> None:
        self.done.append("alone")


@dataclass
class Meeting:
    house: FakeHouse
    departure: Departure
    arrival: Arrival
    changing: asyncio.Lock
    heard: list[object]
    """What the one before said at its end."""


@pytest.fixture
async def meeting() -> AsyncIterator[Meeting]:
    ours, theirs = pair()
    house, changing = FakeHouse(), asyncio.Lock()
    departure = Departure(ours, house, changing)
    heard: list[object] = []

    async def ended(message: Message, _files: list[socket.socket]) -> Answer:
        heard.append(message["cut"])
        return {}, ()

    arrival = Arrival(theirs, {"ended": ended}, lambda: None)
    yield Meeting(house, departure, arrival, changing, heard)
    departure.abandon("the test is over")
    arrival.neighbour.close()
    house.sock.close()


async def test_each_word_in_its_turn(meeting: Meeting) -> None:
    handed = await meeting.arrival.hello()
    address = meeting.house.sock.getsockname()
    assert [sock.getsockname() for _, sock in handed.doors.values()] == [address]
    assert [sock.getsockname() for sock in handed.inherited] == [address]
    assert (handed.pid, meeting.changing.locked()) == (os.getpid(), True)
    with pytest.raises(HandoverFailed, match="say that you are ready first"):
        await meeting.arrival.serving()
    assert await meeting.arrival.ready() == {"bans": []}
    await meeting.departure.say_ended(cut=True)  # It is none of the other's business yet.
    await meeting.arrival.serving()
    assert (await meeting.departure.outcome)[0] == os.getpid()
    await meeting.departure.say_ended(cut=True)
    assert meeting.heard == [True]
    assert not meeting.changing.locked()
    meeting.arrival.neighbour.close()
    await eventually(lambda: meeting.house.done == ["stopped", f"over to {os.getpid()}", "alone"])
    for sock in (*(sock for _, sock in handed.doors.values()), *handed.inherited):
        sock.close()


@pytest.mark.parametrize("versions", [[7], [], "1", None])
async def test_another_version_is_refused_in_words(meeting: Meeting, versions: object) -> None:
    with pytest.raises(HandoverFailed, match=r"knows hand-overs of version 1, and not of .*: restart"):
        await meeting.arrival.neighbour.ask("hello", versions=versions, rtmpd="9", pid=1)
    assert meeting.house.done == []


async def test_one_of_several_versions_and_words_that_nobody_knows(meeting: Meeting) -> None:
    answer, sockets = await meeting.arrival.neighbour.ask("hello", versions=[2, 1], rtmpd="9", pid=1)
    assert answer["version"] == 1
    with pytest.raises(HandoverFailed, match="does not know 'dance'"):
        await meeting.arrival.neighbour.ask("dance")
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("ready", [False, True])
async def test_one_that_ends_before_it_serves_changes_nothing(meeting: Meeting, ready: bool) -> None:
    for sock in (await meeting.arrival.neighbour.ask("hello", versions=[1], rtmpd="9", pid=1))[1]:
        sock.close()
    if ready:
        await meeting.arrival.ready()
    await meeting.arrival.failed(["no room"])
    meeting.arrival.neighbour.close()
    with pytest.raises(HandoverFailed, match="does not take over: no room"):
        await meeting.departure.outcome
    await eventually(lambda: meeting.house.done == (["stopped", "resumed 1 1"] if ready else []))
    assert not meeting.changing.locked()


async def test_one_that_takes_too_long_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PATIENCE", 0.02)
    ours, theirs = pair()
    house = FakeHouse()
    with house.sock, theirs, pytest.raises(HandoverFailed, match="has not begun to serve"):
        await Departure(ours, house, asyncio.Lock()).outcome
    assert house.done == []


async def test_an_obstacle_is_told(meeting: Meeting) -> None:
    meeting.house.obstacle = "this process ends already"
    with pytest.raises(HandoverFailed, match="this process ends already"):
        await meeting.arrival.hello()


@pytest.mark.parametrize(
    ("doors", "found", "left"),
    [
        ([["rtmp", "127.0.0.1:1935", "more"], ["quic", "127.0.0.1:1", {}]], ["quic", "rtmp"], 1),
        ([["rtmp", "a door of another kind"], ["rtmp"], 7], [], 0),
        (None, None, 0),
        ([["rtmp", "127.0.0.1:1935"]] * 4, None, 0),
    ],
)
async def test_what_a_younger_process_hands_over(doors: object, found: list[str] | None, left: int) -> None:
    ours, theirs = pair()
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]

    async def hello(_message: Message, _files: list[socket.socket]) -> Answer:
        answer = {"version": 1, "rtmpd": "9", "pid": "?", "doors": doors, "news": [1], "serving_since": None}
        return answer, sockets

    other, arrival = Neighbour(ours, {"hello": hello}, lambda: None), Arrival(theirs, {}, lambda: None)
    if found is None:
        with pytest.raises(HandoverFailed, match="not understood: restart the service"):
            await arrival.hello()
    else:
        handed = await arrival.hello()
        assert sorted(protocol for protocol, _ in handed.doors) == found
        assert (len(handed.inherited), handed.serving_since) == (left, None)
        assert (handed.pid, handed.version) == (0, "9")
        for sock in (*(sock for _, sock in handed.doors.values()), *handed.inherited):
            sock.close()
    arrival.neighbour.close()
    other.close()


async def test_what_is_no_message_ends_it(meeting: Meeting) -> None:
    meeting.arrival.neighbour.close()
    ours, theirs = pair()
    left = asyncio.Event()
    neighbour = Neighbour(ours, {}, left.set)
    theirs.send(b"[]")
    async with asyncio.timeout(PATIENCE):
        await left.wait()
    with pytest.raises(HandoverFailed, match="gone"):
        await neighbour.ask("has")
    theirs.close()


@pytest.mark.parametrize("size", [1, 200_000, 17_000_000])
async def test_what_is_long_goes_as_a_file_and_what_is_too_long_is_refused(size: int) -> None:
    """A thousand bans with their reasons are more than a socket takes at once."""
    ours, theirs = pair()

    async def tell(message: Message, files: list[socket.socket]) -> Answer:
        for each in files:
            each.close()
        return {"text": "x" * int(message["size"])}, (ours.dup(),)

    answering, asking = Neighbour(ours, {"tell": tell}, lambda: None), Neighbour(theirs, {}, lambda: None)
    before = open_files()
    if size > MAX_ENCLOSED:
        with pytest.raises(HandoverFailed, match="the answer is a message that is too long"):
            await asking.ask("tell", size=size)
        with pytest.raises(HandoverFailed, match="the question is a message that is too long"):
            await asking.ask("tell", size=1, text="x" * size)
    else:
        answer, files = await asking.ask("tell", (lent := theirs.dup(),), size=size, text="x" * size)
        lent.close()
        assert (len(answer["text"]), len(files)) == (size, 1)
        assert not files[0].get_inheritable()
        files[0].close()
    await eventually(lambda: open_files() <= before)
    answering.close()
    asking.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
