"""Two processes of one server, of which one has taken over: what somebody in charge sees of both as one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from control_kit import Desk, FakeDraining
from engine_kit import keyframe
from metrics_sources import fake_relay
from net_kit import HEADERS, PATIENCE, Client, House, eventually, serve
from shelf_kit import FakeShelf

from rtmpd.access.keys import digest_of
from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.before import read, read_items
from rtmpd.control.drain_answers import DrainRequest
from rtmpd.control.key_answers import StreamKeyQuery
from rtmpd.control.questions import Questions, spell_actor
from rtmpd.control.recording_answers import RecordingQuery
from rtmpd.control.redirect_answers import RedirectRequest
from rtmpd.control.relay_answers import PushRequest, RelayQuery
from rtmpd.control.session_answers import KickRequest, Session, SessionQuery
from rtmpd.control.stream_answers import StreamQuery, StreamSummary
from rtmpd.daemon.neighbour import Answer, Neighbour
from rtmpd.daemon.predecessor import Carried, Legacy, Predecessor
from rtmpd.engine.handover import Handover, HandoverRules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import HANDOVER, Origin, parse_session, spell_session
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Conflict, NotFound, NotPossible
from rtmpd.net.messages import Message, pair
from rtmpd.outputs.catalog import file_id
from rtmpd.reasons import Problem

ANN = Actor("ann", "192.0.2.7")
MIA = Actor("mia", "192.0.2.8", streams=("live/other",))
CAM = StreamKey("live", "cam")


@dataclass
class Both:
    """The one that was taken over from, and the one that has."""

    old: House
    new: House
    old_desk: Desk
    desk: Desk
    predecessor: Predecessor
    neighbour: Neighbour

    async def streams(self, by: Actor = ANN, **query: Any) -> list[StreamSummary]:
        return list((await self.desk.control.streams.list(StreamQuery(**query), by)).items)

    async def sessions(self, **query: Any) -> list[Session]:
        return list((await self.desk.control.sessions.list(SessionQuery(**query), ANN)).items)


@asynccontextmanager
async def both() -> AsyncIterator[Both]:
    kept = Handover(lambda _key: HandoverRules(grace=60.0))
    async with serve(claim_policy=kept) as old, serve() as new:
        predecessor = Predecessor(new.context.clock, 0.01)
        old_desk = Desk(old.registry, old.context.clock)
        desk = Desk(new.registry, new.context.clock, before=predecessor)
        questions = Questions(old_desk.control, old.registry.sessions, old_desk.keys)
        now = old.context.clock()
        draining = FakeDraining(now, now + 3600.0)
        legacy = Legacy(old.registry, lambda: draining, lambda: questions, old.context.clock)
        ours, theirs = pair()
        answering = Neighbour(ours, legacy.handlers, lambda: None)
        neighbour = Neighbour(theirs, {}, predecessor.part)
        predecessor.meet(neighbour, 4242, "9.9")
        try:
            yield Both(old, new, old_desk, desk, predecessor, neighbour)
        finally:
            predecessor.part()
            neighbour.close()
            answering.close()
            for house in (old, new):  # Both have one loop, in which nothing is to be left of the other.
                for client in house.clients:
                    await client.close()
                await house.server.close(PATIENCE)


async def on_air(house: House, name: str = "cam") -> Client:
    encoder = await (await house.client()).publish(name)
    encoder.send(*HEADERS, (0, keyframe("A")))
    stream = house.stream(name)
    await eventually(lambda: stream.publication is not None)
    return encoder


async def test_streams_of_both_are_those_of_one_server() -> None:
    async with both() as two:
        await on_air(two.old, "cam")
        await on_air(two.old, "b")
        await on_air(two.new, "a")
        await (await two.old.client()).play("cam")
        await (await two.new.client()).play("cam")
        await (await two.new.client()).play("waits")
        told = [
            (each.name, each.state, each.carried_by, each.players, each.predecessor_players)
            for each in await two.streams()
        ]
        assert told == [
            ("a", "live", "this", 0, 0),
            ("b", "live", "predecessor", 0, 0),
            ("cam", "live", "predecessor", 2, 1),
            ("waits", "idle", "this", 1, 0),
        ]
        assert [each.name for each in await two.streams(state="live")] == ["a", "b", "cam"]
        assert [each.name for each in await two.streams(state="live", q="A")] == ["a", "cam"]
        assert await two.streams(MIA) == []
        first = await two.desk.control.streams.list(StreamQuery(limit=2), ANN)
        assert (first.total, first.next) == (4, "live/b")
        rest = await two.desk.control.streams.list(StreamQuery(limit=2, after=first.next), ANN)
        assert ([each.name for each in rest.items], rest.next) == (["cam", "waits"], None)
        whole = await two.desk.control.streams.get(CAM, ANN)
        assert ([each.protocol for each in whole.publications], whole.players) == (["rtmp"], 2)
        assert whole.video is not None
        for key, by in ((StreamKey("live", "none"), ANN), (CAM, MIA)):
            with pytest.raises(NotFound):
                await two.desk.control.streams.get(key, by)


async def test_what_is_fetched_from_the_other_is_told_by_who_has_its_encoder() -> None:
    async with both() as two:
        encoder = await on_air(two.old)
        borrowed = two.new.registry.claim(CAM, Nobody(), Origin(protocol=HANDOVER), two.new.context.clock())
        (told,) = await two.streams()
        assert (told.carried_by, told.address) == ("predecessor", "127.0.0.1")
        whole = await two.desk.control.streams.get(CAM, ANN)
        assert [each.protocol for each in whole.publications] == ["rtmp"]
        # It has come to the new one, and the old one fetches it.
        await encoder.close()
        await eventually(lambda: CAM not in two.old.registry.streams)
        borrowed.close(CloseReason.FINISHED)
        await on_air(two.new)
        now = two.old.context.clock()
        borrowed = two.old.registry.claim(CAM, Nobody(), Origin(protocol=HANDOVER), now)
        (told,) = await two.streams()
        assert (told.carried_by, told.address) == ("this", "127.0.0.1")
        borrowed.close(CloseReason.FINISHED)


async def test_a_hold_of_the_other_is_seen_and_ended() -> None:
    async with both() as two:
        encoder = await on_air(two.old)
        await (await two.old.client()).play("cam")
        await (await two.new.client()).play("cam")
        encoder.reset()
        await eventually(lambda: two.old.stream().life == "holding")
        (told,) = await two.streams(state="holding")
        assert (told.carried_by, told.players) == ("predecessor", 2)
        with pytest.raises(NotFound):
            await two.desk.control.streams.end_hold(CAM, MIA)
        await two.desk.control.streams.end_hold(CAM, ANN)
        assert [each.state for each in await two.streams()] == ["idle"]
        ((_, _, facts),) = [each for each in two.desk.audited if each[2]["result"] == "done"]
        assert (facts["change"], facts["target"]) == ("end", "live/cam")


async def test_the_server_tells_what_is_left() -> None:
    async with both() as two:
        await on_air(two.old)
        await (await two.old.client()).play("cam")
        await eventually(lambda: two.predecessor.carried is not None and two.predecessor.carried.players == 1)
        left = (await two.desk.control.server.info(ANN)).predecessor
        assert left is not None
        assert (left.pid, left.version, left.publishers, left.players, left.streams) == (4242, "9.9", 1, 1, 1)
        assert left.since is not None
        assert left.until is not None
        assert (left.until - left.since).total_seconds() == pytest.approx(3600.0, abs=0.01)
        two.predecessor.part()
        assert (await two.desk.control.server.info(ANN)).predecessor is None
        assert await two.streams() == []
        with pytest.raises(NotFound):
            await two.desk.control.sessions.get(1, ANN)


async def test_sessions_of_the_other_are_seen_and_thrown_out_there_and_banned_here() -> None:
    async with both() as two:
        encoder = await on_air(two.old)
        await on_air(two.new, "a")
        listed = await two.sessions()
        assert [(each.kind, each.carried_by) for each in listed] == [
            ("publisher", "predecessor"),
            ("publisher", "this"),
        ]
        there = await two.desk.control.sessions.at_address("127.0.0.1", ANN)
        assert [each.id for each in there] == [each.id for each in listed]
        page = await two.desk.control.sessions.list(SessionQuery(limit=1), ANN)
        assert (page.total, page.next) == (2, listed[0].id)
        assert [each.id for each in await two.sessions(after=page.next)] == [listed[1].id]
        number = parse_session(listed[0].id)
        assert (await two.desk.control.sessions.get(number, ANN)).carried_by == "predecessor"
        for asked in (
            two.desk.control.sessions.kick(number, KickRequest(), MIA),
            two.desk.control.sessions.get(number, MIA),
        ):
            with pytest.raises(NotFound):
                await asked
        two.desk.audited.clear()
        with pytest.raises(NotPossible) as refused:  # This machine is never banned.
            await two.desk.control.sessions.kick(number, KickRequest(ban=60.0), ANN)
        assert refused.value.problem is Problem.NETWORK_REFUSED
        assert two.old.open_connections == 1
        assert len(await two.streams()) == 2
        await two.desk.control.sessions.kick(number, KickRequest(reason="spam"), ANN)
        await encoder.close()
        await eventually(lambda: two.old.open_connections == 0)
        assert [each.name for each in await two.streams()] == ["a"]
        assert [(facts["change"], facts["result"]) for _, _, facts in two.desk.audited] == [
            ("kick", "refused"),
            ("kick", "done"),
        ]
        with pytest.raises(NotFound):
            await two.desk.control.sessions.kick(number, KickRequest(), ANN)


async def test_who_is_thrown_out_there_with_a_ban_is_not_let_in_here() -> None:
    async with both() as two:
        visitor = Visitor()
        two.old.registry.sessions.add_shelf({7 << 80: visitor})
        await two.desk.control.sessions.kick(7 << 80, KickRequest(ban=60.0, reason="spam"), ANN)
        assert visitor.ended == ["kicked"]
        (ban,) = (await two.desk.control.bans.list(PageQuery(), ANN)).items
        assert (ban.network, ban.reason) == ("203.0.113.7", "spam")
        assert not two.old_desk.guard.bans()
        questions = Questions(two.old_desk.control, two.old.registry.sessions, two.old_desk.keys)
        with pytest.raises(NotFound):
            await questions.answer("network", {"session": spell_session(7 << 80)}, spell_actor(MIA))


async def test_players_there_are_led_elsewhere_and_holds_there_ended() -> None:
    async with both() as two:
        await on_air(two.old)
        await on_air(two.old, "slate")
        await (await two.old.client()).play("cam")
        led = await two.desk.control.streams.redirect(CAM, RedirectRequest(name="slate"), ANN)
        assert (led.redirected, led.refused, led.unable) == (1, 0, 0)
        (player,) = await two.sessions(kind="player")
        led = await two.desk.control.sessions.redirect(
            parse_session(player.id), RedirectRequest(name="cam"), ANN
        )
        assert led.redirected == 1
        with pytest.raises(Conflict) as refused:
            await two.desk.control.streams.end_hold(CAM, ANN)
        assert refused.value.problem is Problem.NOT_HELD
        with pytest.raises(Conflict) as refused:
            await two.desk.control.streams.redirect(CAM, RedirectRequest(name="nothing"), ANN)
        assert refused.value.problem is Problem.NOT_LIVE


async def test_push_targets_are_changed_where_their_stream_is() -> None:
    async with both() as two:
        two.old_desk.pushes.relays = [fake_relay("push")]
        pushes = two.desk.control.pushes
        (relay,) = (await two.desk.control.relays.list(RelayQuery(), ANN)).items
        assert relay.carried_by == "predecessor"
        key = StreamKey(relay.app, relay.name)
        assert (await pushes.restart(key, relay.id, ANN)).carried_by == "predecessor"
        await pushes.remove(key, relay.id, ANN)
        assert two.desk.pushes.calls == []
        await pushes.switch_off(key, "api-1", ANN)
        await pushes.switch_on(key, "api-1", ANN)
        await pushes.add(key, PushRequest(url="rtmp://127.0.0.1/live/x", track="all"), ANN)
        changes = [call[0] for call in two.old_desk.pushes.calls]
        assert changes == ["restart", "remove", "off", "on", "add"]
        assert [call[0] for call in two.desk.pushes.calls] == ["off", "on", "add"]
        del two.old_desk.pushes.relays[1:]
        # They are two of a name then, and told as one.
        assert (await two.desk.control.relays.list(RelayQuery(), ANN)).total == 1


async def test_pulls_are_changed_in_both() -> None:
    async with both() as two:
        pulls = two.desk.control.pulls
        assert (await pulls.restart(CAM, ANN)).carried_by == "predecessor"  # It is fetched there alone.
        assert two.desk.pushes.calls == []
        two.desk.pushes.relays = [fake_relay("pull")]
        for change in (pulls.switch_off, pulls.switch_on, pulls.restart):
            assert (await change(CAM, ANN)).carried_by == "this"
        changes = [call[0] for call in two.desk.pushes.calls]
        assert changes == ["off", "on", "restart"]
        assert [call[0] for call in two.old_desk.pushes.calls] == ["restart", *changes]


async def test_recordings_are_told_begun_and_ended_where_the_stream_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with both() as two:
        await on_air(two.old, "cam")
        await on_air(two.new, "a")
        old, new = two.old_desk.shelf, two.desk.shelf = FakeShelf(tmp_path), FakeShelf(tmp_path)
        recordings = two.desk.control.recordings
        a = StreamKey("live", "a")
        assert (await recordings.start(CAM, ANN)).recording
        await recordings.start(a, ANN)
        assert (old.calls, new.calls) == ([("start", CAM)], [("start", a)])
        finished = new.finish("z.flv")

        async def listed(by: Actor = ANN, **query: Any) -> list[tuple[str, str]]:
            page = await recordings.list(RecordingQuery(**query), by)
            assert page.total >= len(page.items)
            return [(each.state, each.file) for each in page.items]

        written = [("recording", "live/a.flv"), ("recording", "live/cam.flv")]
        assert sorted(await listed(state="recording")) == written
        assert await listed(state="finished") == [("finished", "z.flv")]
        assert sorted((await listed())[:2]) == written
        assert await listed(MIA) == []
        first = await recordings.list(RecordingQuery(limit=1), ANN)
        assert len(await listed(limit=2, after=first.next)) == 2

        there = file_id(str(tmp_path / "live/cam.flv"))
        assert (await recordings.get(there, ANN)).state == "recording"
        with pytest.raises(Conflict, match="it is being written"):
            await recordings.delete(there, ANN)
        with pytest.raises(NotFound):
            await recordings.get(there, MIA)
        two.desk.shelf = None  # Other settings, by which nothing is recorded.
        assert await listed() == [("recording", "live/cam.flv")]
        assert (await recordings.split(CAM, ANN)).file == "live/cam.flv"
        assert not (await recordings.stop(CAM, ANN)).recording
        assert old.calls == [("start", CAM), ("split", CAM), ("stop", CAM)]
        two.desk.shelf, looks = new, list[str]()
        monkeypatch.setattr(new.housekeeping, "wake", lambda: looks.append("soon"))
        assert await listed(MIA) == []
        assert (await listed(state="recording"), looks) == ([("recording", "live/a.flv")], ["soon"])
        assert len(await listed()) == 2
        assert looks == ["soon"]  # For what is gone since.
        two.desk.shelf = None
        assert await listed() == []
        with pytest.raises(NotFound):
            await recordings.get(file_id(str(finished)), ANN)
        with pytest.raises(NotFound):
            await recordings.start(StreamKey("live", "nobody"), ANN)
        with pytest.raises(NotFound):
            await recordings.start(CAM, MIA)


async def test_both_end_together_when_the_server_is_to_end() -> None:
    async with both() as two:
        await on_air(two.old)
        carried = two.predecessor
        await eventually(lambda: carried.carried is not None and carried.carried.publishers == 1)
        drain = await two.desk.control.server.drain(DrainRequest(wait_seconds=60.0), ANN)
        assert (drain.publishers, drain.players) == (3, 3)  # The desk says two and three of itself.
        assert two.desk.ending.asked == two.old_desk.ending.asked == [(60.0, None, None)]


async def test_a_revoked_key_opens_nothing_there_either() -> None:
    async with both() as two:
        (key,) = (await two.desk.control.keys.list(StreamKeyQuery(), ANN)).items
        await two.desk.control.keys.revoke(key.id, ANN)
        assert two.old_desk.keys.keys.is_revoked(digest_of("k" * 20))


async def test_one_that_knows_no_such_question_is_said_to_be_so() -> None:
    """An older version, whose streams are its own."""
    async with serve() as new:
        predecessor = Predecessor(new.context.clock)
        desk = Desk(new.registry, new.context.clock, before=predecessor)
        ours, theirs = pair()
        answering, neighbour = Neighbour(ours, {}, lambda: None), Neighbour(theirs, {}, predecessor.part)
        predecessor.meet(neighbour, 4242, "0.0.9")
        await eventually(lambda: predecessor.carried is not None and predecessor.carried.problem)
        left = (await desk.control.server.info(ANN)).predecessor
        assert left is not None
        assert (
            left.problem == "it does not say what it carries: this version of rtmpd does not know 'carried'"
        )
        assert (left.publishers, left.streams) == (None, None)
        await on_air(new)
        assert (await desk.control.streams.list(StreamQuery(), ANN)).total == 1
        assert (await desk.control.sessions.list(SessionQuery(), ANN)).total == 1
        assert (await desk.control.streams.get(CAM, ANN)).carried_by == "this"
        with pytest.raises(Conflict, match="does not know 'control'") as refused:
            await desk.control.sessions.kick(7 << 80, KickRequest(), ANN)
        assert refused.value.problem is Problem.PREDECESSOR
        answering.close()
        await eventually(lambda: predecessor.carried is None)
        neighbour.close()


@pytest.mark.parametrize(
    ("question", "asked", "by"),
    [
        ("dance", {}, {}),
        ("streams", {"limit": 1, "colour": "red"}, {}),
        ("streams", {"limit": "many"}, {}),
        ("stream", {"app": "live"}, {}),
        ("kick", {"session": "no number"}, {}),
        ("push", {"app": "a", "name": "b", "change": "paint", "relay": "1"}, {}),
        ("streams", {}, {"name": "ann", "only_on_sundays": True}),
        ("streams", {}, None),
    ],
)
async def test_what_another_version_asks_in_its_own_way_is_refused(
    question: str, asked: dict[str, object], by: object
) -> None:
    desk = Desk()
    with pytest.raises(NotPossible, match="this version of rtmpd") as refused:
        await Questions(desk.control, desk.registry.sessions, desk.keys).answer(question, asked, by)
    assert refused.value.problem is Problem.PREDECESSOR


def test_what_another_version_tells_is_understood_as_far_as_can_be() -> None:
    whole: dict[str, Any] = {
        "app": "live", "name": "cam", "state": "live", "carried_by": "this", "since": "2026-11-26T16:37:08Z",
        "held_since": None, "session": "01a218b7-ceab-7346-89ef-94a3dc3bc071", "address": "192.0.2.7",
        "account": "", "video": None, "audio": None, "players": 3, "predecessor_players": 0, "bytes_out": 1,
        "bits_per_second_out_10s": 1.0, "dropped": 0, "warnings": [],
    }  # fmt: skip
    said = {
        name: value
        for name, value in whole.items()
        if name not in ("players", "account", "warnings", "held_since")
    }
    told = read(StreamSummary, said | {"colour": "red", "video": None})
    assert (told.players, told.account, told.warnings, told.held_since) == (0, None, (), None)
    assert read(StreamSummary, dict(whole)).players == 3
    page: Mapping[str, Any] = {
        "items": [dict(whole), whole | {"state": "dancing"}, 7, whole | {"players": "x"}]
    }
    assert [each.name for each in read_items(StreamSummary, page)] == ["cam"]
    assert list(read_items(StreamSummary, {"items": 7})) == []
    with pytest.raises(Conflict, match="another version"):
        read(StreamSummary, [])


async def test_figures_that_are_none_are_left_out() -> None:
    live = [["live"], 7, ["live", "a", "b"]]
    told: Message = {"publishers": "many", "players": 2, "live": live, "ago": 1e300, "up_to": "x"}

    async def carried(_message: Message, _files: list[socket.socket]) -> Answer:
        return told, ()

    predecessor = Predecessor(lambda: 100.0)
    ours, theirs = pair()
    other = Neighbour(ours, {"carried": carried}, lambda: None)
    neighbour = Neighbour(theirs, {}, predecessor.part)
    predecessor.meet(neighbour, 4242, "9.9")
    await eventually(lambda: predecessor.carried is not None and predecessor.carried.players)
    assert predecessor.carried == Carried(4242, "9.9", players=2, live=(StreamKey("live", "a"),))
    predecessor.part()
    neighbour.close()
    other.close()


def test_an_actor_goes_over_whole() -> None:
    assert spell_actor(MIA) == {
        "name": "mia",
        "address": "192.0.2.8",
        "role": "operate",
        "streams": ["live/other"],
        "protocol": "http",
    }


class Nobody:
    def close(self, _reason: object) -> None:
        pass


class Visitor:
    """From somewhere that can be banned."""

    def __init__(self) -> None:
        self.origin = Origin(session=7 << 80, address="203.0.113.7", network="203.0.113.7")
        self.uses = ()
        self.ended: list[str] = []

    def figures(self) -> Any:
        raise AssertionError

    def dismiss(self, reason: CloseReason, _by: Origin | None = None) -> None:
        self.ended.append(reason.value)
