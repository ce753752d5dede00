"""How attacks are judged: bounds, what ten rounds may leave, and what is seen of a server under attack."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import attacks
import memory_graph
import pytest
from hostile import judging
from hostile.looked_into import Inside
from hostile.scene import ATTACKS, Attack, Finding, Scene
from hostile.stranger import Crowd, greeting, request, unfinished
from hostile.target import Place, running

from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.control import set_chunk_size
from rtmpd.rtmp.limits import Limits

HERE = Place(Path(sys.executable).with_name("rtmpd"), 0)
MB = 1_000_000


def inside(rss: int = 60 * MB, traced: int = 20 * MB, files: int = 10, **objects: int) -> Inside:
    return {"rss_bytes": rss, "traced_bytes": traced, "files": files, "objects": objects}


def broken(looks: list[Inside], held: Sequence[float] = (0.0,), series: Sequence[int] = (70,)) -> list[str]:
    """First words of what has not stayed as it was."""
    findings = judging.compare(looks, held, series)
    return [finding.what.partition(" ")[0] for finding in findings if not finding.kept]


def test_a_bound_is_kept_up_to_its_edge() -> None:
    assert Finding("p99", 25.0, most=25.0).kept
    assert not Finding("p99", 25.1, most=25.0).kept
    assert Finding("served", 0.9, least=0.9).kept
    assert str(Finding("served", 0.5, least=0.9)) == "served 0.5 (>= 0.9) FAILED"


class TestRounds:
    def test_a_server_that_is_as_it_was_passes(self) -> None:
        assert broken([inside(Connection=0)] * 10) == []

    def test_memory_may_grow_until_the_third_round_and_by_5_mb_from_there(self) -> None:
        warm = [inside(rss=60 * MB), inside(rss=70 * MB), inside(rss=80 * MB)]
        assert broken([*warm, *[inside(rss=85 * MB)] * 7]) == []
        assert broken([*warm, *[inside(rss=86 * MB)] * 7]) == ["RSS"]

    def test_objects_may_grow_until_the_fifth_round(self) -> None:
        growing = [inside(Stream=40 * number) for number in (1, 2, 3, 3, 3)]
        assert broken([*growing, *[inside(Stream=120)] * 5]) == []
        assert broken([*growing, *[inside(Stream=121)] * 5]) == ["objects"]

    def test_everything_else_is_held_to_the_first_round(self) -> None:
        looks = [inside(Stream=1)] * 9
        assert broken([*looks, inside(Stream=2)]) == ["objects"]
        assert broken([*looks, inside(traced=21 * MB, Stream=1)]) == ["Python's"]
        assert broken([*looks, inside(files=11, Stream=1)]) == ["files"]
        assert broken([*looks, inside(Stream=1)], held=[0.0] * 9 + [1.0]) == ["budget"]
        assert broken([*looks, inside(Stream=1)], series=[70] * 9 + [71]) == ["series"]


def test_memory_is_drawn_before_and_after() -> None:
    document = memory_graph.draw({"closed_mid_message": ([60.0, 400.0, 860.0], [60.0, 70.0, 70.0])})
    root = ET.fromstring(document)
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [3, 3]
    assert "closed mid message" in document


class TestAttacks:
    @pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
    def test_an_attack_is_explained_and_bounded(self, attack: Attack) -> None:
        assert attack.about.endswith((".", ":")) or ": " in attack.about
        assert 0 < attack.seconds <= 20 or 0 < attack.rounds <= 2

    def test_the_quick_ones_are_done_in_a_few_minutes(self) -> None:
        quick = [attack for attack in ATTACKS.values() if attack.quick]
        assert attacks.duration(quick, quick=True) <= 120

    def test_an_unfinished_message_lets_others_through(self) -> None:
        reader = ChunkReader(Limits())
        announce = set_chunk_size(65536)
        reader.receive_data(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0" + announce.payload)
        assert reader.receive_data(unfinished(MessageType.VIDEO, 200_000, 8)) == []
        (heard,) = reader.receive_data(request("play", "cam", -2))
        assert heard.type == MessageType.COMMAND_AMF0


def test_a_server_is_looked_into_while_a_stranger_is_there_and_after() -> None:
    async def visit() -> tuple[Inside, int]:
        with Crowd(target.port) as crowd:
            scene = Scene(target, crowd, 5.0)
            stranger = await crowd.join(crowd.address())
            stranger.say(greeting() + request("play", scene.name("cam"), -2))
            assert await stranger.hear(b"NetStream.Play.Start")
            return await scene.ask(target.look_inside), crowd.closed

    with running(HERE, traced=True) as target:
        during, closed = asyncio.run(visit())
        target.wait_until_quiet()
        after = target.look_inside()
        assert target.log_lines() > 2
        assert target.cpu_seconds() > 0
    assert closed == 0
    assert during["objects"]["ServerConnection"] == 1
    assert during["files"] == after["files"] + 1
    assert 0 < after["traced_bytes"] < after["rss_bytes"]


def test_no_count_is_lost_while_something_is_awaited() -> None:
    """``count += await ...`` reads the count first, and what other tasks have added meanwhile is gone."""
    found = []
    for path in Path(attacks.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        shared = {name for node in ast.walk(tree) if isinstance(node, ast.Nonlocal) for name in node.names}
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.AugAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in shared
            and any(isinstance(each, ast.Await) for each in ast.walk(node.value))
        ]
    assert found == []
