"""What somebody in charge sees of a server of real parts, and does to it."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import replace

import pytest
from control_kit import Desk, FakeStored
from engine_kit import keyframe
from metrics_sources import fake_relay
from net_kit import HEADERS, House, eventually, serve

from rtmpd.access.bans import BanRules
from rtmpd.control import session_views
from rtmpd.control.actor import Actor
from rtmpd.control.answers import PageQuery
from rtmpd.control.ban_answers import BanRequest
from rtmpd.control.drain_answers import DrainRequest
from rtmpd.control.log_answers import LogRequest
from rtmpd.control.relay_answers import PushRequest, RelayQuery
from rtmpd.control.session_answers import KickRequest, Session, SessionKind, SessionQuery, UseKind
from rtmpd.control.settings_answers import Reload, ReloadRequest, SettingQuery
from rtmpd.control.stream_answers import Source, StreamQuery, StreamState
from rtmpd.engine.claim import MAIN
from rtmpd.engine.health import HealthKind
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin, parse_session
from rtmpd.engine.sessions import Use
from rtmpd.exceptions import Conflict, ControlError, NotFound, NotPossible
from rtmpd.reasons import Problem
from rtmpd.rtmp.amf import EcmaArray, encode_values
from rtmpd.rtmp.messages import Message
from rtmpd.state.store import StoreStats
from rtmpd.state.words import StateFailure

ANN = Actor("ann", "192.0.2.7")
CAM = StreamKey("live", "cam")


def desk_of(house: House) -> Desk:
    return Desk(house.registry, house.context.clock)


async def sessions(desk: Desk, **query: object) -> list[Session]:
    return list((await desk.control.sessions.list(SessionQuery.model_validate(query), ANN)).items)


async def test_a_stream_is_told_as_it_is() -> None:
    async with serve() as house:
        desk = desk_of(house)
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        said = EcmaArray(encoder="obs", width=1280.0, live=True, odd=float("nan"), deep=EcmaArray(a=1.0))
        encoder.send(*HEADERS, (0, keyframe("A")))
        encoder.say(Message(18, 0, 1, encode_values("@setDataFrame", "onMetaData", said)))
        encoder.send((40, keyframe("B")))
        await player.until("1: B@40")
        house.stream().health.raise_warning(HealthKind.KEYFRAMES_FAR, house.context.clock(), seconds=9.81234)
        told = await desk.control.streams.get(CAM, ANN)
        assert (told.app, told.name, told.state, told.players) == ("live", "cam", StreamState.LIVE, 1)
        assert told.video is not None
        assert told.audio is not None
        assert (told.video.codec, told.audio.codec) == ("avc1", "mp4a")
        assert (told.video.timestamp_seconds, told.audio.timestamp_seconds) == (0.04, 0.0)
        assert (told.video.profile, told.video.level, told.video.compatibility) == ("High", "4.0", 0)
        assert (told.audio.profile, told.audio.samples_per_second, told.audio.channels) == ("LC", 44100, 2)
        assert told.video.key_frame_interval_seconds == 0.04
        assert told.video.key_frame_age_seconds is not None
        assert told.metadata == {"encoder": "obs", "width": 1280.0, "live": True}
        (publication,) = told.publications
        assert (publication.on_air, publication.source, publication.protocol) == (True, Source.MAIN, "rtmp")
        assert publication.session == told.session
        (warning,) = told.warnings
        assert (warning.kind, warning.figures) == ("keyframes_far", {"seconds": 9.812})
        assert warning.text.startswith("Key frame interval 9.8 s: players begin up to 9.8 s late, and")
        assert warning.remedy.startswith("Set 2 s, in OBS under Settings > Output > Keyframe Interval")
        assert (told.since is not None, told.held_since, told.bytes_out > 0) == (True, None, True)
        listed = await desk.control.streams.list(StreamQuery(), ANN)
        assert listed.total == 1
        short = listed.items[0].model_dump(exclude={"video"})
        assert short == {name: value for name, value in told.model_dump().items() if name in short}
        assert told.delay_seconds == 0.0
        house.registry.apply(replace(house.registry.limits, delay=120.0))
        assert (await desk.control.streams.get(CAM, ANN)).delay_seconds == 120.0
        with pytest.raises(NotFound) as gone:
            await desk.control.streams.get(StreamKey("live", "other"), ANN)
        assert gone.value.problem is Problem.STREAM_NOT_FOUND


async def test_streams_are_chosen_and_come_in_parts() -> None:
    desk = Desk()
    keys = [StreamKey(app, name) for app in ("edge", "live") for name in ("Ab", "b", "c/d")]
    for key in reversed(keys):
        desk.registry.claim(key, Nobody(), Origin(), 0.0, place=MAIN)

    async def names(**query: object) -> list[str]:
        page = await desk.control.streams.list(StreamQuery.model_validate(query), ANN)
        return [f"{each.app}/{each.name}" for each in page.items]

    assert await names() == sorted(keys)
    assert await names(app="live") == ["live/Ab", "live/b", "live/c/d"]
    assert await names(q="aB") == ["edge/Ab", "live/Ab"]
    assert await names(state="holding") == []
    seen, after = [], None
    while True:
        page = await desk.control.streams.list(StreamQuery(limit=4, after=after), ANN)
        seen.append([f"{each.app}/{each.name}" for each in page.items])
        assert page.total == 6
        if (after := page.next) is None:
            break
    assert seen == [sorted(keys)[:4], sorted(keys)[4:]]


class Nobody:
    def close(self, _reason: object) -> None:
        raise AssertionError


async def test_sessions_tell_who_they_are_and_what_they_do() -> None:
    async with serve() as house:
        desk = desk_of(house)
        encoder = await (await house.client()).publish()
        player = await (await house.client()).play()
        await house.client()
        encoder.send(*HEADERS, (0, keyframe("A" * 1000)))
        await player.until(f"1: {'A' * 1000}@0")
        everybody = await sessions(desk)
        assert [each.kind for each in everybody] == ["publisher", "player", "pending"]
        (published,) = await sessions(desk, kind="publisher")
        assert (published.address, published.protocol, published.tls) == ("127.0.0.1", "rtmp", False)
        first = everybody[0].connection
        assert [each.connection - first for each in everybody] == [0, 1, 2]
        (use,) = published.uses
        assert (use.app, use.name, use.action) == ("live", "cam", UseKind.PUBLISH)
        assert published.bytes_in == encoder.bytes_said
        (played,) = await sessions(desk, kind=SessionKind.PLAYER)
        assert played.bytes_out == player.bytes_heard
        assert (played.dropped, played.behind_seconds, played.backlog_bytes) == (0, None, 0)
        assert played.tcp is not None
        assert played.tcp.round_trip_seconds > 0
        for query, number in (
            ({"app": "live"}, 2),
            ({"app": "other"}, 0),
            ({"stream": "live/cam"}, 2),
            ({"stream": "live/ca"}, 0),
            ({"address": "127.0.0.1"}, 3),
            ({"address": "127.0.0.0/8", "kind": "pending"}, 1),
            ({"address": "127.0.0.2"}, 0),
        ):
            assert len(await sessions(desk, **query)) == number, query
        assert (await desk.control.sessions.get(uuid.UUID(played.id).int, ANN)).id == played.id
        first = await desk.control.sessions.list(SessionQuery(limit=2), ANN)
        (last,) = (await desk.control.sessions.list(SessionQuery(limit=2, after=first.next), ANN)).items
        assert [*(each.id for each in first.items), last.id] == [each.id for each in everybody]


async def test_a_kick_ends_a_session_and_says_who_wanted_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    async with serve() as house:
        desk = desk_of(house)
        encoder = await (await house.client()).publish()
        (session,) = await sessions(desk)
        number = uuid.UUID(session.id).int
        with pytest.raises(NotPossible) as refused:  # This machine.
            await desk.control.sessions.kick(number, KickRequest(ban=60.0), ANN)
        assert refused.value.problem is Problem.NETWORK_REFUSED
        assert house.stats.publishes_ended == {}
        await desk.control.sessions.kick(number, KickRequest(reason="late"), ANN)
        assert await encoder.rest() == ["1: onStatus 0 error NetStream.Publish.Failed"]
        await encoder.close()
        await eventually(lambda: not house.connections)
        with pytest.raises(NotFound):
            await desk.control.sessions.kick(number, KickRequest(), ANN)
    results = [facts["result"] for _, _, facts in desk.audited]
    assert results == ["refused", "done", "refused"]
    by, key, facts = desk.audited[1]
    assert (by.who, by.address, by.protocol, key) == ("ann", "192.0.2.7", "http", CAM)
    told = {"change": "kick", "target": session.id, "reason": "late", "before": "publishes live/cam"}
    assert facts == told | {"result": "done", "after": None, "problem": None, "detail": None}
    lines = [(each.msg, each.__dict__["fields"]) for each in caplog.records if "change" in each.msg]
    assert [message for message, _ in lines] == ["change not made", "change made", "change not made"]
    assert lines[1][1] == {"by": "ann", "from": "192.0.2.7", **facts}
    (ended,) = [record.__dict__["fields"] for record in caplog.records if record.msg == "publish ended"]
    assert ended["by"] == "ann"


class Visitor:
    """A session of whatever protocol, from far away."""

    def __init__(self, network: str) -> None:
        self.uses: tuple[Use, ...] = ()
        self.origin = Origin(session=1 << 100, address=network, network=network)
        self.ended: list[object] = []

    def dismiss(self, reason: object, by: Origin | None = None) -> None:
        self.ended.append((reason, by))


async def test_a_kick_bans_the_network_too_if_that_is_wanted() -> None:
    desk, visitor = Desk(), Visitor("203.0.113.7")
    desk.registry.sessions.add_shelf({1 << 100: visitor})
    await desk.control.sessions.kick(1 << 100, KickRequest(ban=60.0, reason="spam"), ANN)
    assert visitor.ended == [("kicked", ANN.origin)]
    assert desk.guard.turns_away("203.0.113.7")
    (ban,) = (await desk.control.bans.list(PageQuery(), ANN)).items
    assert (ban.network, ban.reason, ban.automatic, ban.refused) == ("203.0.113.7", "spam", False, 1)
    assert 59.0 < ban.remaining_seconds <= 60.0
    ((_, _, kicked),) = desk.audited  # Both are one change.
    assert (kicked["change"], kicked["after"]) == ("kick", "203.0.113.7 banned for 60 s")
    await desk.control.bans.lift("203.0.113.7", ANN)
    assert not desk.guard.turns_away("203.0.113.7")
    assert str(desk.audited[1][2]["before"]).startswith("by hand, until 20")
    nobody_knows = Visitor("unix-7")
    desk.registry.sessions.add_shelf({1: nobody_knows})
    with pytest.raises(NotPossible):
        await desk.control.sessions.kick(1, KickRequest(ban=60.0), ANN)
    assert nobody_knows.ended == []


async def test_bans_that_cannot_be_are_said_to_be_none() -> None:
    desk = Desk(rules=BanRules(exempt=()))
    for network in ("nobody", "127.0.0.1", "203.0.113.7/24"):
        with pytest.raises(NotPossible) as refused:
            await desk.control.bans.add(BanRequest(network=network, seconds=60.0), ANN)
        assert refused.value.problem is Problem.NETWORK_REFUSED
        with pytest.raises(NotFound):
            await desk.control.bans.lift(network, ANN)
    assert (await desk.control.bans.list(PageQuery(), ANN)).total == 0


async def test_only_what_is_held_can_be_ended() -> None:
    desk = Desk()
    with pytest.raises(NotFound):
        await desk.control.streams.end_hold(CAM, ANN)
    desk.registry.claim(CAM, Nobody(), Origin(), 0.0)
    with pytest.raises(Conflict) as refused:
        await desk.control.streams.end_hold(CAM, ANN)
    assert refused.value.problem is Problem.NOT_HELD


async def test_the_server_tells_of_itself() -> None:
    now = 100.0
    desk = Desk(clock=lambda: now, unready="starting")
    desk.registry.stats.connections["playing"] = 2
    told = await desk.control.server.info(ANN)
    assert (told.ready, told.unready_reason, told.uptime_seconds) == (False, "starting", 100.0)
    assert told.started.isoformat() == "2027-01-15T08:00:00+00:00"
    assert told.totals.connections == {"playing": 2}
    assert (told.instance, told.process.id) == ("0123456789abcdef", os.getpid())
    assert told.process.memory_bytes is not None
    assert 1_000_000 < told.process.memory_bytes < told.machine.memory_bytes


async def test_many_sessions_do_not_hold_up_the_loop() -> None:
    """Others have their turn while a list is made."""
    desk = Desk()
    shelf = {number << 80: Visitor("203.0.113.7") for number in range(1, 2001)}
    for number, visitor in shelf.items():
        visitor.origin = Origin(session=number, address="203.0.113.7")
    desk.registry.sessions.add_shelf(shelf)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    await asyncio.sleep(0)
    page = await desk.control.sessions.list(SessionQuery(limit=1, kind="player"), ANN)
    task.cancel()
    assert (page.total, page.items, turns >= 4) == (0, (), True)


def test_errors_are_of_one_tree_and_say_what_to_do() -> None:
    error = NotFound(Problem.BAN_NOT_FOUND, "x is not banned")
    assert isinstance(error, ControlError)
    assert (str(error), str(error.again()), error.problem.status) == (
        "x is not banned",
        "x is not banned",
        404,
    )


async def test_settings_are_read_again_or_only_compared() -> None:
    desk = Desk()
    for dry_run in (True, False):
        told = await desk.control.settings.reload(ReloadRequest(dry_run=dry_run), Actor())
        assert told == Reload(dry_run=dry_run, changed={"new plays": ("player.max_players",)})
    assert desk.reloads == [True, False]
    assert [facts["after"] for _, _, facts in desk.audited] == ["player.max_players"]
    desk.mistakes = ("a: wrong", "b: wrong")
    with pytest.raises(NotPossible, match="a: wrong; b: wrong") as caught:
        await desk.control.settings.reload(ReloadRequest(), Actor())
    assert caught.value.problem is Problem.SETTINGS_REFUSED


async def test_who_has_to_do_with_some_streams_sees_and_changes_nothing_else() -> None:
    async with serve() as house:
        desk = desk_of(house)
        mia = Actor("mia", "192.0.2.8", streams=("other", "live/mine"))
        client = await house.client()
        await client.publish()
        (session,) = await sessions(desk)
        number = parse_session(session.id)
        desk.pushes.relays = [fake_relay("push")]
        unseen = (
            desk.control.streams.get(CAM, mia),
            desk.control.streams.end_hold(CAM, mia),
            desk.control.sessions.get(number, mia),
            desk.control.sessions.kick(number, KickRequest(), mia),
            desk.control.pushes.add(CAM, PushRequest(url="rtmp://a/b/c"), mia),
            desk.control.pushes.remove(CAM, "api-1", mia),
        )
        for asked in unseen:
            with pytest.raises(NotFound):
                await asked
        assert desk.pushes.calls == []
        for listed in (
            await desk.control.streams.list(StreamQuery(), mia),
            await desk.control.sessions.list(SessionQuery(), mia),
            await desk.control.relays.list(RelayQuery(), mia),
        ):
            assert (listed.total, listed.items) == (0, ())
        near = Actor("ann", streams=("live/ca",))
        assert (await desk.control.streams.list(StreamQuery(), near)).total == 0
        for streams in (("live",), ("live/cam",), ("x", "*"), ()):
            hers = Actor("ann", streams=streams)
            assert (await desk.control.streams.get(CAM, hers)).name == "cam"
            assert (await desk.control.sessions.get(number, hers)).id == session.id
            assert (await desk.control.relays.list(RelayQuery(), hers)).total == 1
        with pytest.raises(NotPossible, match="the whole server, and ann is for some streams only"):
            await desk.control.sessions.kick(number, KickRequest(ban=60), Actor("ann", streams=("live",)))
        assert desk.guard.bans() == []


async def test_of_a_session_nobody_sees_a_part() -> None:
    """What is done to it is done to all that it does."""
    desk, visitor = Desk(), Visitor("203.0.113.7")
    desk.registry.sessions.add_shelf({1 << 100: visitor})
    for uses, seen in (
        ((), False),
        ((Use(True, CAM, 0.0),), True),
        ((Use(True, CAM, 0.0), Use(False, StreamKey("other", "cam"), 0.0)), False),
    ):
        visitor.uses = uses
        query = SessionQuery.model_validate({})
        wanted = session_views.wanted(query, Actor(streams=("live",)))
        assert (wanted(visitor), session_views.wanted(query, ANN)(visitor)) == (seen, True)


async def test_what_outlives_a_restart_is_told_and_why_not_when_it_does_not() -> None:
    desk = Desk()
    assert (await desk.control.server.info(ANN)).state is None
    desk.stored.stats = StoreStats(bytes=4096)
    told = (await desk.control.server.info(ANN)).state
    assert told is not None
    assert (told.writable, told.reason, told.problem, told.bytes) == (True, None, None, 4096)
    desk.stored.stats = StoreStats(failure=StateFailure.FULL, problem="make room")
    told = (await desk.control.server.info(ANN)).state
    assert told is not None
    assert (told.writable, told.reason, told.problem) == (False, "full", "make room")


@pytest.mark.parametrize("kept", [None, False, True])
async def test_who_bans_somebody_is_told_whether_that_is_stored(kept: bool | None) -> None:
    desk = Desk(stored=FakeStored(kept=kept))
    ban = await desk.control.bans.add(BanRequest(network="192.0.2.1", seconds=60), ANN)
    assert ban.kept is bool(kept)


async def test_the_end_of_the_server_is_asked_for_in_numbers_and_told_as_times() -> None:
    desk = Desk()
    assert (await desk.control.server.info(Actor())).drain is None
    drain = await desk.control.server.drain(DrainRequest(wait_seconds=60.0, reconnect_to="rtmp://b"), Actor())
    assert (drain.until - drain.since).total_seconds() == 60.0
    assert (drain.publishers, drain.players) == (2, 3)
    assert desk.ending.asked == [(60.0, None, "rtmp://b")]
    assert (await desk.control.server.info(Actor())).drain is not None
    with pytest.raises(NotPossible, match="reconnect_to: that is no server"):
        await desk.control.server.drain(DrainRequest(reconnect_to="bad"), Actor())


async def test_another_process_takes_over_or_does_not() -> None:
    desk = Desk()
    successor = await desk.control.server.replace(Actor())
    assert (successor.pid, successor.version) == (4242, "9.9")
    desk.mistakes = ("rtmp.listen: no such address",)
    with pytest.raises(Conflict, match="no such address"):
        await desk.control.server.replace(Actor())


async def test_who_has_to_do_with_other_streams_switches_no_target() -> None:
    desk, other = Desk(), Actor("bob", streams=("live/other",))
    pushes = desk.control.pushes
    for change in (pushes.remove, pushes.switch_off, pushes.switch_on, pushes.restart):
        with pytest.raises(NotFound, match="live/cam is pushed to no target api-1"):
            await change(CAM, "api-1", other)
        assert desk.pushes.calls == []
        await change(CAM, "api-1", ANN)
        desk.pushes.calls.clear()
    with pytest.raises(Conflict, match="off: switch it on"):
        await pushes.restart(CAM, "off", ANN)
    pulls = desk.control.pulls
    desk.pushes.calls.clear()
    for switch, word in ((pulls.switch_off, "off"), (pulls.switch_on, "on"), (pulls.restart, "restart")):
        with pytest.raises(NotFound, match="live/cam is "):
            await switch(CAM, other)
        assert desk.pushes.calls == []
        await switch(CAM, ANN)
        assert desk.pushes.calls.pop() == (word, CAM, "api-1")


async def test_settings_are_told_in_parts_and_by_what_is_wanted() -> None:
    settings = Desk().control.settings

    async def keys(**query: object) -> list[str]:
        page = await settings.list(SettingQuery.model_validate(query), ANN)
        return [each.key for each in page.items]

    assert await keys() == ["a.b", "log.level"]
    page = await settings.list(SettingQuery(), ANN)
    assert [each.value for each in page.items] == ['["sha256:..."]', '"info"']
    assert await keys(said=True) == await keys(q="LOG") == await keys(after="a.b") == ["log.level"]
    assert await keys(path="live/cam", limit=1) == ["live/cam"]
    for path in ("a b", "x" * 2000):
        with pytest.raises((NotPossible, ValueError)):
            await keys(path=path)
    with pytest.raises(NotPossible) as caught:
        await settings.list(SettingQuery(), Actor("bob", streams=("live",)))
    assert caught.value.problem is Problem.OUT_OF_SCOPE


async def test_more_is_logged_for_a_while() -> None:
    desk = Desk()
    log = desk.control.log
    told = await log.set_level(LogRequest(level="debug", trace="192.0.2.7"), ANN)
    assert (told.level, told.trace, told.until is not None) == ("debug", "192.0.2.7/32", True)
    assert (await desk.control.server.info(ANN)).log.level == "debug"
    assert await log.end_level(ANN) == await log.level(ANN)
    with pytest.raises(NotPossible, match="trace: "):
        await log.set_level(LogRequest(level="debug", trace="here"), ANN)
    with pytest.raises(NotPossible):
        await log.end_level(Actor("bob", streams=("live",)))
    changes = [(facts["before"], facts["after"], facts["result"]) for _, _, facts in desk.audited]
    assert changes == [
        ("info", "debug 192.0.2.7/32", "done"),
        ("debug 192.0.2.7/32", "info", "done"),
        (None, None, "refused"),
        (None, None, "refused"),
    ]
