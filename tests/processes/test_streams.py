"""Which stream has which processes, from when, until when, and how many at a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from engine_kit import FakeSink, keyframe

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.engine.stats import ServerStats
from rtmpd.engine.subscriber import Subscription
from rtmpd.net.addresses import Address
from rtmpd.processes.command import Command
from rtmpd.processes.room import Room
from rtmpd.processes.rules import Restart, RunLimits, RunRule, Start
from rtmpd.processes.streams import StreamProcesses
from rtmpd.processes.words import ProcessCounts, ProcessEnd, ProcessState
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

PATIENCE = 10.0
AGES = "for _ in $(seq 3000); do sleep 0.01; done"
"""Not for ever: nobody ends it when the tests themselves are killed."""
SHOW = StreamKey("live", "show")
SMALL = StreamKey("live", "show_small")
SLEEP = RunRule(Command(("sleep", "60")))


def script(text: str) -> Command:
    return Command(("sh", "-c", text))


class FakeTokens:
    """Says what was issued, and that some sessions came by a token."""

    def __init__(self) -> None:
        self.issued: list[tuple[str, list[StreamKey], list[StreamKey], str]] = []
        self.good: set[str] = set()
        self.sessions: set[int] = set()

    def issue(
        self, holder: str, plays: Collection[StreamKey], publishes: Collection[StreamKey], host: str
    ) -> str:
        self.issued.append((holder, list(plays), list(publishes), host))
        token = f"token-{len(self.issued)}"
        self.good.add(token)
        return token

    def revoke(self, token: str) -> None:
        self.good.discard(token)

    def came_by_token(self, session: int) -> bool:
        return session in self.sessions


class Owner:
    def close(self, reason: CloseReason) -> None:
        """Nobody is told."""


class Stage:
    """A registry with processes, whose publishers and players a test makes."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        flusher = Flusher(loop.call_soon, loop.call_later, time.monotonic, time.thread_time)
        self.registry = Registry(flusher, ServerStats())
        self.tokens = FakeTokens()
        self.rules: dict[str, RunRule] = {}
        self.address: Address | None = Address("", 1935)
        self.processes = StreamProcesses(
            self.registry,
            self.tokens,
            time.monotonic,
            lambda key: self.rules,
            lambda: self.address,
            {"PATH": os.environ["PATH"]},
            ProcessCounts(),
        )
        self.registry.observe(self.processes)

    def publish(self, key: StreamKey = SHOW, *, media: bool = True, session: int = 1) -> Publication:
        origin = Origin(session=session, address="192.0.2.7", account="Studio 2")
        publication = self.registry.claim(key, Owner(), origin, time.monotonic())
        if media:
            self.feed(publication)
        return publication

    def feed(self, publication: Publication) -> None:
        message = Message(MessageType.VIDEO, 0, 1, keyframe())
        publication.receive(message, time.monotonic())

    def play(self, key: StreamKey, session: int = 2) -> Subscription:
        sink = FakeSink()
        outlet = sink.connect(self.registry.outlets, time.monotonic)
        options = PlayOptions(origin=Origin(session=session))
        return self.registry.attach(key, sink, outlet, options, time.monotonic())

    def states(self) -> dict[tuple[str, str], ProcessState]:
        return {(each.key.name, each.name): each.state for each in self.processes.statuses()}

    def pid(self, key: StreamKey = SHOW, name: str = "small") -> int | None:
        return next((s.pid for s in self.processes.statuses() if (s.key, s.name) == (key, name)), None)

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it has not come: {self.states()}")

    async def runs(self, key: StreamKey = SHOW, name: str = "small") -> int:
        """The process, once it is there."""
        await self.until(lambda: self.pid(key, name) is not None)
        pid = self.pid(key, name)
        assert pid is not None
        return pid


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await asyncio.wait_for(stage.processes.close(0.0), PATIENCE)
    assert stage.processes.statuses() == []
    assert stage.tokens.good == set()


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_process_begins_with_the_first_media_and_ends_with_the_stream(stage: Stage) -> None:
    stage.rules = {"small": SLEEP}
    publication = stage.publish(media=False)
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.WAITING})
    await asyncio.sleep(0.3)
    assert stage.pid() is None
    stage.feed(publication)
    pid = await stage.runs()
    assert stage.tokens.issued == [("small", [SHOW], [SMALL], "127.0.0.1")]
    assert stage.tokens.good
    publication.close(CloseReason.FINISHED)
    await stage.until(lambda: stage.states() == {})
    assert not is_there(pid)
    assert stage.processes.counts.ends == {ProcessEnd.STOPPED: 1}


async def test_what_it_is_told(stage: Stage, tmp_path: Path) -> None:
    told = tmp_path / "told"
    text = (
        f'echo "$0 $RTMPD_PLAY_URL $RTMPD_PUBLISH_URL_2 $RTMPD_ADDRESS $RTMPD_ACCOUNT" >{told}; exec sleep 60'
    )
    command = Command(("sh", "-c", text, "{publish_url}"))
    stage.rules = {"small": replace(SLEEP, command=command, publish=("{app}/{name}_{process}", "b/{name}"))}
    stage.publish()
    await stage.until(lambda: told.exists() and told.read_text().endswith("\n"))
    place = "rtmp://127.0.0.1:1935"
    assert told.read_text() == (
        f"{place}/live/show_small?key=token-1 {place}/live/show?key=token-1 {place}/b/show?key=token-1 "
        "192.0.2.7 Studio 2\n"
    )


async def test_one_that_ends_comes_back_later_each_time_with_another_token(stage: Stage) -> None:
    stage.rules = {"small": replace(SLEEP, command=script("exit 1"))}
    stage.publish()
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.BACKOFF})
    assert stage.tokens.good == set()
    await stage.until(lambda: stage.processes.statuses()[0].starts == 2)
    assert len(stage.tokens.issued) == 2
    assert stage.processes.counts.ends[ProcessEnd.ERROR] >= 1


@pytest.mark.parametrize(
    ("restart", "text", "state"),
    [
        (Restart.NEVER, "exit 1", ProcessState.DONE),
        (Restart.FAILURE, "exit 0", ProcessState.DONE),
        (Restart.FAILURE, "exit 1", ProcessState.BACKOFF),
        (Restart.ALWAYS, "exit 0", ProcessState.BACKOFF),
    ],
)
async def test_whether_it_comes_back(stage: Stage, restart: Restart, text: str, state: ProcessState) -> None:
    stage.rules = {"small": replace(SLEEP, command=script(text), restart=restart)}
    publication = stage.publish()
    await stage.until(lambda: stage.states() == {("show", "small"): state})
    publication.close(CloseReason.FINISHED)
    await stage.until(lambda: stage.states() == {})


async def test_a_program_that_is_not_there_is_tried_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.rules = {"small": replace(SLEEP, command=Command(("/nowhere/ffmpeg",)))}
    stage.publish()
    await stage.until(lambda: stage.processes.counts.ends.get(ProcessEnd.NOT_STARTED, 0) == 2)
    assert stage.tokens.good == set()
    problem = caplog.records[0].__dict__["fields"]["problem"]
    assert problem == "there is no program '/nowhere/ffmpeg': install it, or write its whole path"


async def test_without_a_port_nothing_starts(stage: Stage) -> None:
    stage.rules = {"small": SLEEP}
    stage.address = None
    stage.publish()
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.FAILED})


async def test_one_that_ignores_sigterm_is_killed(stage: Stage) -> None:
    command = script(f"trap '' TERM; {AGES}")
    stage.rules = {"small": replace(SLEEP, command=command, stop_timeout=0.1)}
    publication = stage.publish()
    pid = await stage.runs()
    publication.close(CloseReason.FINISHED)
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.STOPPING})
    await stage.until(lambda: stage.states() == {})
    assert not is_there(pid)
    assert stage.processes.counts.ends == {ProcessEnd.KILLED: 1}


async def test_further_ones_take_their_turn(stage: Stage) -> None:
    stage.rules = {"a": SLEEP, "b": SLEEP}
    for limits in (RunLimits(max_processes=1), RunLimits(max_per_app=1), RunLimits(max_per_stream=1)):
        stage.processes.apply(limits)
        publication = stage.publish()
        await stage.until(
            lambda: stage.states() == {("show", "a"): ProcessState.RUNNING, ("show", "b"): ProcessState.FULL}
        )
        publication.close(CloseReason.FINISHED)
        await stage.until(lambda: stage.states() == {})
    stage.processes.apply(RunLimits(max_per_app=1))
    first, second = stage.publish(), stage.publish(StreamKey("live", "other"))
    await stage.runs(name="a")
    del stage.rules["b"]
    first.close(CloseReason.FINISHED)
    stage.processes.apply(RunLimits(max_per_app=1))
    await stage.runs(second.key, "a")


# -- renditions


async def test_what_a_process_publishes_has_none(stage: Stage) -> None:
    stage.rules = {"small": SLEEP}
    stage.publish()
    await stage.runs()
    stage.publish(SMALL, session=8)  # By its name.
    stage.tokens.sessions.add(9)
    stage.publish(StreamKey("live", "anything"), session=9)  # By its token.
    stage.publish(StreamKey("live", "show2"), session=10)
    await stage.runs(StreamKey("live", "show2"))
    assert set(stage.states()) == {("show", "small"), ("show2", "small")}


async def test_what_a_process_publishes_has_one_if_that_is_wanted(stage: Stage) -> None:
    stage.rules = {"small": SLEEP, "log": replace(SLEEP, renditions=True, publish=())}
    stage.publish()
    await stage.runs()
    stage.publish(SMALL, session=8)
    await stage.runs(SMALL, "log")
    assert ("show_small", "small") not in stage.states()


async def test_a_script_that_feeds_itself_is_found_out(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """As it would with names and URLs of its own, time after time."""
    stage.rules = {"small": SLEEP}
    for name in ("show", "show_low", "show_low_low"):
        stage.publish(StreamKey("live", name))
        await asyncio.sleep(0.05)
    assert set(stage.states()) == {("show", "small"), ("show_low", "small")}
    refused = [r.__dict__["fields"]["stream"] for r in caplog.records if r.msg == "process refused"]
    assert refused == ["show_low_low"]


# -- viewers


async def test_a_process_for_viewers_lives_while_somebody_watches_what_it_publishes(stage: Stage) -> None:
    stage.rules = {"small": replace(SLEEP, start=Start.VIEWER, linger=0.2)}
    stage.publish()
    stage.play(SHOW)
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.WAITING})
    player = stage.play(SMALL)
    pid = await stage.runs()
    await asyncio.sleep(0.4)
    assert stage.pid() == pid
    player.detach()
    await stage.until(lambda: stage.states() == {("show", "small"): ProcessState.WAITING})
    assert not is_there(pid)


async def test_without_something_to_publish_other_viewers_than_ours_count(stage: Stage) -> None:
    stage.rules = {"small": replace(SLEEP, start=Start.VIEWER, linger=0.0, publish=())}
    stage.publish()
    stage.tokens.sessions.add(5)
    stage.play(SHOW, session=5)
    await asyncio.sleep(0.4)
    assert stage.states() == {("show", "small"): ProcessState.WAITING}
    stage.play(SHOW)
    await stage.runs()


async def test_a_process_that_publishes_the_very_stream_begins_with_its_viewer(stage: Stage) -> None:
    stage.rules = {
        "fetch": replace(SLEEP, start=Start.VIEWER, linger=0.2, publish=("{app}/{name}",)),
        "small": SLEEP,
    }
    player = stage.play(SHOW)
    pid = await stage.runs(SHOW, "fetch")
    stage.tokens.sessions.add(6)
    publication = stage.publish(SHOW, session=6)
    await stage.runs(SHOW, "small")  # It is no rendition.
    player.detach()
    await stage.until(lambda: not is_there(pid))
    publication.close(CloseReason.FINISHED)
    await stage.until(lambda: stage.states() == {})


# -- other settings, and the end


async def test_processes_follow_what_is_said_now(stage: Stage) -> None:
    stage.rules = {"small": SLEEP, "gone": SLEEP}
    stage.publish()
    first, gone = await stage.runs(), await stage.runs(name="gone")
    stage.processes.apply(RunLimits())
    await asyncio.sleep(0.3)
    assert (stage.pid(), stage.pid(name="gone")) == (first, gone)
    stage.rules = {"small": replace(SLEEP, command=Command(("sleep", "61"))), "new": SLEEP}
    stage.processes.apply(RunLimits())
    await stage.until(lambda: stage.pid() not in (None, first))
    await stage.runs(name="new")
    await stage.until(lambda: len(stage.states()) == 2)
    assert not is_there(first)
    assert not is_there(gone)


async def test_one_that_is_wanted_again_before_it_has_ended_comes_back(stage: Stage) -> None:
    rules = {"small": SLEEP}
    stage.rules = rules
    stage.publish()
    first = await stage.runs()
    for stage.rules in ({}, rules):
        stage.processes.apply(RunLimits())
    await stage.until(lambda: stage.pid() not in (None, first))


async def test_who_waits_for_room_is_woken_in_turn_and_asks_nobody_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rtmpd.processes.run._SELDOM", 60.0)
    stage.processes.apply(RunLimits(max_processes=1))
    stage.rules = {"small": SLEEP}
    streams = [stage.publish(StreamKey("live", name)) for name in "abc"]
    await stage.until(lambda: list(stage.states().values()).count(ProcessState.FULL) == 2)
    asked: list[StreamKey] = []
    shortage = Room.shortage

    def ask(room: Room, key: StreamKey) -> str:
        asked.append(key)
        return shortage(room, key)

    monkeypatch.setattr(Room, "shortage", ask)
    await asyncio.sleep(0.4)
    assert asked == []
    streams[0].close(CloseReason.FINISHED)
    await stage.runs(streams[1].key)
    assert stage.states() == {("b", "small"): ProcessState.RUNNING, ("c", "small"): ProcessState.FULL}
    assert [record.msg for record in caplog.records].count("process has no room") == 1


async def test_who_needs_no_room_any_more_leaves_it_to_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtmpd.processes.run._SELDOM", 60.0)
    stage.processes.apply(RunLimits(max_processes=1))
    stage.rules = {"small": SLEEP}
    streams = [stage.publish(StreamKey("live", name)) for name in "abc"]
    await stage.until(lambda: list(stage.states().values()).count(ProcessState.FULL) == 2)
    for stream in streams[:2]:
        stream.close(CloseReason.FINISHED)
    await stage.runs(streams[2].key)


async def test_the_end_waits_as_long_as_it_may_and_no_longer(stage: Stage) -> None:
    stage.rules = {"small": replace(SLEEP, command=script(f"trap '' TERM; {AGES}"))}
    stage.publish()
    pid = await stage.runs()
    began = time.monotonic()
    await stage.processes.close(0.2)
    assert 0.1 < time.monotonic() - began < 2.0
    assert not is_there(pid)
    stage.publish(StreamKey("live", "late"))
    await asyncio.sleep(0.05)
    assert stage.states() == {}


async def test_a_second_end_beside_the_first_is_at_once(stage: Stage) -> None:
    stage.rules = {"small": replace(SLEEP, command=script(f"trap '' TERM; {AGES}"))}
    stage.publish()
    pid = await stage.runs()
    ending = asyncio.create_task(stage.processes.close(60.0))
    await asyncio.sleep(0.05)
    assert is_there(pid)
    await asyncio.wait_for(stage.processes.close(0.0), 3.0)
    await asyncio.wait_for(ending, 3.0)
    assert not is_there(pid)
