"""Commands for events: what they are told, in which order, how long, how many, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.events.hook_rules import HookLimits, HookRule
from rtmpd.events.hooks import ExecHooks
from rtmpd.events.model import Event, EventKind
from rtmpd.processes.command import Command
from rtmpd.processes.words import HookCounts, HookEnd

PATIENCE = 10.0
AGES = "for _ in $(seq 3000); do sleep 0.01; done"
"""Not for ever: nobody ends it when the tests themselves are killed."""
TURN = AGES.replace("do", "do [ -s $OUT ] && break;", 1)
"""Not before somebody has written."""
SHOW, NEWS = StreamKey("live", "show"), StreamKey("live", "news")
BOTH = frozenset({EventKind.PUBLISHED, EventKind.UNPUBLISHED})


def hook(text: str, *arguments: str, timeout: float = PATIENCE) -> HookRule:
    return HookRule(Command(("sh", "-c", text, *arguments)), BOTH, timeout)


class Bench:
    """Hooks that write into a file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "told"
        self.file.touch()
        self.rules: dict[str, HookRule] = {}
        inherited = {"PATH": os.environ["PATH"], "OUT": str(self.file)}
        self.now = 0.0
        self.hooks = ExecHooks(lambda: self.now, lambda key: self.rules, inherited, HookCounts())

    def tell(self, kind: EventKind = EventKind.PUBLISHED, key: StreamKey = SHOW) -> None:
        if self.hooks.wants(kind, key):
            origin = Origin(session=5, address="192.0.2.7", agent="OBS")
            self.hooks.hear(Event(kind, "id-1", 1e9, key, origin, 1, {"bytes": 7}))

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines()

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it has not come: {self.hooks.counts} {self.lines()}")

    async def ends(self, **ends: int) -> None:
        await self.until(lambda: self.hooks.counts.ends == {HookEnd(name): n for name, n in ends.items()})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await asyncio.wait_for(bench.hooks.close(0.0), PATIENCE)
    assert (bench.hooks.counts.running, bench.hooks.counts.waiting) == (0, 0)


async def test_what_a_command_is_told(bench: Bench) -> None:
    text = (
        'echo "$0 $1 $RTMPD_HOOK $RTMPD_PATH $RTMPD_ADDRESS $RTMPD_AGENT" >>$OUT; echo "$RTMPD_JSON" >>$OUT'
    )
    bench.rules = {"note": hook(text, "{event}", "{name}")}
    bench.tell()
    bench.tell(EventKind.HELD)
    await bench.ends(finished=1)
    told, document = bench.lines()
    assert told == "published show note live/show 192.0.2.7 OBS"
    assert json.loads(document)["data"] == {"bytes": 7}


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("exit 0", "finished"),
        ("exit 3", "error"),
        ("kill -9 $$", "signal"),
        ("exec sleep 60", "timeout"),
        ("trap '' TERM; sleep 60 & wait; sleep 60", "timeout"),
    ],
)
async def test_how_it_ends(bench: Bench, text: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.events.hooks._STOP_TIMEOUT", 0.1)
    bench.rules = {"note": hook(text, timeout=PATIENCE if end != "timeout" else 0.1)}
    bench.tell()
    await bench.ends(**{end: 1})


async def test_there_is_no_such_program(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.rules = {name: HookRule(Command((f"/nowhere/{name}",)), BOTH) for name in ("note", "count")}
    for _ in range(3):
        bench.tell()
    await bench.ends(not_started=6)
    told = [record.__dict__["fields"]["problem"].partition(":")[0] for record in caplog.records]
    assert told == [f"there is no program '/nowhere/{name}'" for name in ("note", "count")]
    bench.now += 10
    bench.tell()
    await bench.ends(not_started=8)
    assert len(caplog.records) == 4


async def test_those_of_one_stream_come_in_order_and_hold_up_no_other(bench: Bench) -> None:
    # The first waits for what only another stream's hook does.
    text = f"if [ $0$1 = publishedshow ]; then {TURN}; fi; echo $0 $1 >>$OUT"
    bench.rules = {"note": hook(text, "{event}", "{name}")}
    bench.tell()
    bench.tell(EventKind.UNPUBLISHED)
    bench.tell(key=NEWS)
    await bench.ends(finished=3)
    assert bench.lines() == ["published news", "published show", "unpublished show"]


async def test_so_many_run_at_a_time_and_so_many_wait(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.hooks.apply(HookLimits(max_at_once=2, max_waiting=3))
    bench.rules = {"note": hook(TURN)}
    for number in range(10):
        bench.tell(key=StreamKey("live", f"s{number}"))
    counts = bench.hooks.counts
    assert (counts.running, counts.waiting, counts.ends) == (2, 3, {HookEnd.LOST: 5})
    assert [record.msg for record in caplog.records].count("hook lost") == 1
    bench.file.write_text("go\n")
    await bench.ends(lost=5, finished=5)


async def test_no_stream_has_the_hooks_of_others_lost(bench: Bench) -> None:
    bench.hooks.apply(HookLimits(max_at_once=1, max_waiting=4))
    bench.rules = {"note": hook(f"{TURN}; echo $0 $1 >>$OUT", "{event}", "{name}")}
    for _ in range(4):
        bench.tell()
        bench.tell(EventKind.UNPUBLISHED)
    bench.tell(key=NEWS)
    bench.tell(EventKind.UNPUBLISHED, NEWS)
    assert (bench.hooks.counts.waiting, bench.hooks.counts.ends) == (4, {HookEnd.LOST: 5})
    bench.file.write_text("go\n")
    await bench.ends(lost=5, finished=5)
    told = bench.lines()[1:]
    assert sorted(told[1:]) == ["published news", "published show", "unpublished news", "unpublished show"]
    assert told[0] == "published show"


async def test_at_the_end_what_waits_has_its_time_and_no_more(bench: Bench) -> None:
    bench.rules = {"note": hook("sleep 0.1; echo x >>$OUT")}
    bench.tell()
    bench.tell()
    await bench.hooks.close(PATIENCE)
    assert bench.lines() == ["x", "x"]


async def test_what_hangs_at_the_end_is_ended(bench: Bench) -> None:
    bench.rules = {"note": hook(f"trap '' TERM; {AGES}")}
    bench.tell()
    bench.tell()
    began = time.monotonic()
    await bench.hooks.close(0.2)
    assert time.monotonic() - began < 2.0
    assert bench.hooks.counts.ends == {HookEnd.STOPPED: 1, HookEnd.LOST: 1}
    bench.tell()
    assert bench.hooks.counts.ends[HookEnd.LOST] == 2


async def test_another_rule_holds_at_once(bench: Bench) -> None:
    bench.rules = {"note": hook("echo 1 >>$OUT")}
    bench.tell()
    await bench.ends(finished=1)
    bench.rules = {"note": replace(hook("echo 2 >>$OUT"), kinds=frozenset({EventKind.ENDED}))}
    bench.tell()
    bench.tell(EventKind.ENDED)
    await bench.ends(finished=2)
    assert bench.lines() == ["1", "2"]
