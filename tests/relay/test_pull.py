from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from client_kit import Peer, accept, scripted_server
from engine_kit import FakePublisher, FakeSink
from flv_kit import clip
from relay_kit import (
    AAC_HEADER,
    AVC_HEADER,
    HEVC_HEADER,
    KEY,
    METADATA,
    PATIENCE,
    Server,
    Viewer,
    eventually,
    inter,
    keyframe,
    logged,
    publishing,
    rule,
    serve,
    sound,
    watching,
)

import rtmpd
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason, PlayOptions
from rtmpd.exceptions import UsageError
from rtmpd.outputs.library import Library
from rtmpd.outputs.vod_rules import VodRules
from rtmpd.relay.dialer import RetryPolicy
from rtmpd.relay.pull.relay import PullRelay
from rtmpd.relay.pull.waiting import Waiting
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import ConnectRequested, PlayRequested, ServerEvent
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.via import Via


async def ended(viewer: Viewer) -> str:
    """The description of the last status that a viewer was sent, once its connection is over."""
    async with asyncio.timeout(PATIENCE):
        statuses = [
            event.status
            async for event in viewer.connection.events()
            if isinstance(event, rtmpd.StatusReceived)
        ]
    return f"{statuses[-1].code} {statuses[-1].description}"


async def test_the_first_player_brings_the_stream_and_the_last_takes_it_away() -> None:
    async with (
        serve("b") as b,
        serve("a", pull=rule(b.url("{app}/{name}"))) as a,
        publishing(b, headers=False) as encoder,
    ):
        sent = [
            (18, 0, METADATA),
            (8, 0, AAC_HEADER),
            (9, 0, HEVC_HEADER),
            (9, 0, b"\x91hvc1\x00\x00\x00" + b"k" * 100_000),
            (8, 20, sound(b"a")),
            (9, 40, b"\xa3hvc1" + b"p"),
        ]
        for kind, timestamp, payload in sent:
            await encoder.send(kind, payload, timestamp)
        await eventually(lambda: b.live)
        assert a.pull.statuses() == []
        async with watching(a) as first, watching(a) as second:
            await eventually(first.has(sent[-1][2]))
            await eventually(second.has(sent[-1][2]))
            got = [(message.type, message.timestamp, message.payload) for message in first.messages]
            assert got == sent
            assert b.context.stats.players == 1
            status = a.pulls()
            assert (status.state, status.remote) == ("live", b.url("live"))
            assert status.bytes > 100_000
            assert (status.retries, status.reason, status.retry_in) == (0, "", None)
            assert status.status.startswith("NetStream.Play.Start")
        # The rule lingers for 0.1 s.
        assert a.pull_is("live")()
        await eventually(lambda: a.pull.statuses() == [])
        await eventually(lambda: b.context.stats.players == 0)


async def test_a_player_that_comes_while_it_lingers_keeps_it() -> None:
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url(), linger=30.0)) as a:
        for _ in range(3):
            async with watching(a) as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
        assert b.context.stats.plays_total == 1
        assert a.pull_is("live")()


async def test_a_player_that_stays_outlives_the_linger() -> None:
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url(), linger=0.1)) as a:
        async with watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: a.context.stats.players == 0)
        async with watching(a) as viewer:
            clock = a.context.clock
            end = clock() + 0.2
            await eventually(lambda: clock() > end)
            assert a.pull_is("live")()
        assert b.context.stats.plays_total == 1


async def test_players_wait_for_the_origin_and_are_told_in_the_end() -> None:
    async with (
        serve("a", pull=rule("rtmp://127.0.0.1:1/live/{name}", timeout=0.3)) as a,
        watching(a) as viewer,
    ):
        await eventually(a.pull_is("backoff"))
        assert "Connection refused" in a.pulls().reason
        assert not viewer.over
        assert await ended(viewer) == "NetStream.Play.StreamNotFound No server that was asked has cam."
        await eventually(lambda: a.pull.statuses() == [])
        assert a.context.stats.players_closed == {"not_found": 1}


async def test_an_origin_without_the_stream_says_so() -> None:
    async with serve("b") as b, serve("a", pull=rule(b.url(), timeout=0.2)) as a, watching(a) as viewer:
        assert (await ended(viewer)).startswith("NetStream.Play.StreamNotFound")
        await eventually(lambda: a.pull.statuses() == [])


async def test_origins_are_asked_in_order() -> None:
    asked: list[str] = []

    def no(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, PlayRequested):
            asked.append(event.name)
            peer.session.reject_play(event.stream_id, StatusCode.PLAY_STREAM_NOT_FOUND, "No such stream.", 0)
        else:
            accept(peer, event)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/{{name}}"
        async with (
            scripted_server(no) as refusing,
            serve("c") as c,
            publishing(c),
            serve("a", pull=rule(f"{refusing.url}/{{app}}_{{name}}", silent, c.url(), timeout=0.9)) as a,
            watching(a) as viewer,
        ):
            await eventually(viewer.has(keyframe(b"K0")))
            assert asked == ["live_cam"]
            assert (a.pulls().remote, a.pulls().retries) == (c.url("live"), 2)


async def test_an_origin_that_restarts_is_found_again_while_somebody_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve("b") as b, publishing(b):
        port = b.port
        async with serve("a", pull=rule(b.url())) as a, watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
            await b.stop()
            await eventually(a.pull_is("backoff"))
            async with serve("b", port=port) as again, publishing(again) as encoder:
                await eventually(a.pull_is("live"))
                await encoder.send_video(inter(b"P1"), 40)
                async with watching(a) as late:
                    await eventually(late.has(inter(b"P1")))
    assert "pull ended" in logged(caplog)


async def test_however_long_the_delays_an_origin_is_found_while_those_who_wait_still_do() -> None:
    patient = RetryPolicy(initial=60.0, maximum=60.0)
    async with serve("b") as b:
        await b.stop()
    async with serve("a", pull=rule(b.url()), retry=patient) as a, watching(a) as viewer:
        await eventually(a.pull_is("backoff"))
        async with serve("b", port=b.port) as again, publishing(again):
            await eventually(viewer.has(keyframe(b"K0")))


async def test_an_origin_that_falls_silent_is_left() -> None:
    async with (
        serve("b") as b,
        publishing(b),
        serve("a", pull=rule(b.url(), timeout=0.2)) as a,
        watching(a) as viewer,
    ):
        await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: a.pull.statuses() and a.pulls().retries)
        assert "sent no media for 0.2 s" in a.pulls().reason


async def test_a_stream_that_is_always_fetched_needs_no_player() -> None:
    always = {"on_demand": False, "names": frozenset({"cam"})}
    async with serve("b") as b, serve("a", pull=rule(b.url(), **always)) as a:
        await eventually(lambda: b.context.stats.players == 1)
        async with publishing(b):
            await eventually(a.pull_is("live"))
            async with watching(a) as viewer:
                await eventually(viewer.has(keyframe(b"K0")))
        await eventually(lambda: not a.live)
        async with publishing(b):
            await eventually(a.pull_is("live"))


async def test_a_pull_that_begins_anew_asks_again() -> None:
    always = {"on_demand": False, "names": frozenset({"cam"})}
    async with serve("a") as a, publishing(a), serve("b", pull=rule(a.url(), **always)) as b:
        await eventually(lambda: b.live)
        before = b.stream.publication
        assert b.pull.restart(StreamKey("live", "other")) is None
        status = b.pull.restart(KEY)
        assert status is not None
        assert (status.kind, status.state) == ("pull", "connecting")
        await eventually(lambda: b.live and b.stream.publication is not before)
        assert len(b.pull.statuses()) == 1


async def test_a_pull_that_is_off_is_fetched_by_nobody_until_it_is_on() -> None:
    always = {"on_demand": False, "names": frozenset({"cam"})}
    async with serve("a") as a, publishing(a), serve("b", pull=rule(a.url(), **always)) as b:
        await eventually(lambda: b.live)
        assert b.pull.switch_on(KEY) is None
        assert b.pull.switch_off(StreamKey("live", "other")) is None
        for _ in range(2):
            status = b.pull.switch_off(KEY)
            assert status is not None
            assert (status.state, status.reason) == ("off", "switched off by hand")
        await eventually(lambda: KEY not in b.registry.streams)
        async with watching(b):  # Who waits for it changes nothing, nor do settings that are read again.
            b.pull.apply([KEY], 10)
            await eventually(lambda: b.stream.players == 1)
            assert ([each.state for each in b.pull.statuses()], b.live) == (["off"], False)
            with pytest.raises(UsageError, match="off: switch it on"):
                b.pull.restart(KEY)
            status = b.pull.switch_on(KEY)
            assert status is not None
            assert status.state == "connecting"
            await eventually(lambda: b.live)


async def test_a_pull_is_off_for_as_long_as_there_is_a_rule_for_it() -> None:
    async with serve("b", pull=rule("rtmp://127.0.0.1:1/live/{name}")) as b:
        b.pull.switch_off(KEY)
        status = b.pull.switch_on(KEY)
        assert status is not None
        assert (status.state, b.pull.statuses()) == ("idle", [])  # Nobody waits for it.
        b.pull.switch_off(KEY)
        del b.rules["live"]
        b.pull.apply([], 10)
        assert b.pull.statuses() == []


async def test_only_names_of_the_rule_are_asked_for() -> None:
    async with serve("b") as b, serve("a", pull=rule(b.url(), names=frozenset({"cam"}))) as a:
        async with watching(a, "other") as viewer, watching(a) as wanted:
            await eventually(lambda: b.context.stats.players == 1)
            assert a.pulls().key == KEY
            assert not viewer.over
            assert not wanted.over
        await eventually(lambda: a.pull.statuses() == [])


# -- encoders of the same name


async def test_an_encoder_is_refused_while_the_pull_is_live() -> None:
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url())) as a, watching(a) as viewer:
        await eventually(viewer.has(keyframe(b"K0")))
        async with await rtmpd.connect(a.url("live")) as connection:
            with pytest.raises(rtmpd.PublishRejected, match="being published by somebody else"):
                await connection.publish("cam")


async def test_an_encoder_wins_while_the_pull_connects_and_the_pull_comes_back_after_it() -> None:
    async with serve("b") as b, serve("a", pull=rule(b.url())) as a, watching(a) as viewer:
        await eventually(lambda: b.context.stats.players == 1)
        async with publishing(a):
            await eventually(viewer.has(keyframe(b"K0")))
            await eventually(lambda: a.pull.statuses() == [])
            await eventually(lambda: b.context.stats.players == 0)
        await eventually(lambda: b.context.stats.players == 1)


async def test_the_encoder_that_comes_in_the_same_moment_wins() -> None:
    """The name is taken just before the pull's first media, and the pull has not been told yet."""
    async with serve("b") as b, serve("a", pull=rule(b.url())) as a, watching(a) as viewer:
        await eventually(lambda: b.context.stats.players == 1)
        async with publishing(b, headers=False) as source:
            claim = a.registry.claim
            encoder = FakePublisher()

            def claim_second(*args: Any) -> Publication:
                a.registry.claim = claim  # type: ignore[method-assign]
                claim(KEY, encoder, NOBODY, a.context.clock())
                return claim(*args)

            a.registry.claim = claim_second  # type: ignore[method-assign]
            await source.send_video(AVC_HEADER, 0)
            await eventually(lambda: a.pull.statuses() == [])
            publication = a.stream.publication
            assert publication is not None
            assert publication.owner is encoder
            assert encoder.closed is None
            assert not viewer.over
            publication.close(CloseReason.FINISHED)
            # It is asked again now, by whoever still waits.
            await eventually(lambda: b.context.stats.plays_total == 2)


# -- what origins say beside media


async def test_what_an_origin_says_to_its_players_goes_no_further() -> None:
    def chatty(peer: Peer, event: ServerEvent) -> None:
        accept(peer, event)
        if isinstance(event, PlayRequested):
            for kind, payload in [
                (18, encode_values("|RtmpSampleAccess", True, True)),
                (18, encode_values("onStatus", {"code": "NetStream.Data.Start"})),
                (18, METADATA),
                (18, encode_values("onTextData", "hello")),
                (9, AVC_HEADER),
                (9, keyframe(b"K0")),
            ]:
                peer.session.send_message(Message(kind, 0, event.stream_id, payload), 4)

    async with scripted_server(chatty) as origin, serve("a", pull=rule(f"{origin.url}/cam")) as a:
        async with await rtmpd.connect(a.url("live")) as connection:
            got = []
            async for message in await connection.play("cam"):
                got.append(message.payload)
                if message.payload == keyframe(b"K0"):
                    break
        own = encode_values("|RtmpSampleAccess", True, True)
        text = encode_values("onTextData", "hello")
        assert got == [own, METADATA, text, AVC_HEADER, keyframe(b"K0")]


async def test_the_origin_hears_who_waits_for_the_stream() -> None:
    seen: list[object] = []

    def script(peer: Peer, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            seen.append(event.params.connect_object["rtmpdVia"])
        accept(peer, event)

    async with (
        scripted_server(script) as origin,
        serve("b", pull=rule(f"{origin.url}/cam")) as b,
        serve("a", pull=rule(b.url())) as a,
        watching(a),
    ):
        await eventually(lambda: seen)
    assert seen == [("a", "b")]


async def test_other_apps_are_not_pulled() -> None:
    async with (
        serve("b") as b,
        serve("a", pull=rule(b.url())) as a,
        await rtmpd.connect(a.url("other")) as connection,
    ):
        await connection.play("cam")
        await eventually(lambda: StreamKey("other", "cam") in a.registry.streams)
        await asyncio.sleep(0)
        assert a.pull.statuses() == []


# -- patience


async def test_players_who_come_after_the_end_of_a_live_pull_are_told_in_time_too() -> None:
    async with serve("a", pull=rule("rtmp://127.0.0.1:1/live/cam", timeout=0.2)) as a:
        for _ in range(2):
            async with watching(a) as viewer:
                assert (await ended(viewer)).startswith("NetStream.Play.StreamNotFound")
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url(), timeout=1.0, linger=30.0)) as a:
        async with watching(a) as viewer:
            await eventually(viewer.has(keyframe(b"K0")))
        async with watching(a):
            await b.stop()
            # The one that was there waits as long as one that comes now.
            async with watching(a) as late:
                assert (await ended(late)).startswith("NetStream.Play.StreamNotFound")


async def test_who_comes_in_the_moment_in_which_others_are_told_waits_as_long_as_they() -> None:
    late = FakeSink()

    class Replaced(FakeSink):
        def close(self, reason: CloseReason) -> None:
            attach(late)

    def attach(sink: FakeSink) -> None:
        outlet = sink.connect(a.registry.outlets, a.context.clock)
        a.registry.attach(KEY, sink, outlet, PlayOptions(), a.context.clock())

    async with serve("a", pull=rule("rtmp://127.0.0.1:1/live/cam", timeout=0.1)) as a:
        attach(Replaced())
        await eventually(lambda: late.calls == ["close:not_found"])


async def test_who_waits_for_a_stream_that_is_fetched_always_waits_on() -> None:
    always = {"on_demand": False, "names": frozenset({"cam"}), "timeout": 0.1}
    async with serve("a", pull=rule("rtmp://127.0.0.1:1/live/cam", **always)) as a, watching(a) as viewer:
        await eventually(lambda: a.pulls().retries > 5)
        assert not viewer.over


# -- mistakes of ours


async def test_a_bug_costs_an_attempt_and_nobody_else_anything(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take = PullRelay._take
    broken = [KEY]

    def take_or_break(relay: PullRelay, publication: Publication, message: Message, now: float) -> None:
        if relay.key in broken:
            broken.remove(relay.key)
            raise KeyError("a bug")
        take(relay, publication, message, now)

    monkeypatch.setattr(PullRelay, "_take", take_or_break)
    async with (
        serve("b") as b,
        publishing(b),
        publishing(b, "other"),
        serve("a", pull=rule(b.url())) as a,
        watching(a, "other") as other,
        watching(a),
    ):
        await eventually(other.has(keyframe(b"K0")))
        await eventually(lambda: broken == [] and a.live)
        assert not other.over
        async with watching(a) as late:
            await eventually(late.has(keyframe(b"K0")))
    assert [record.exc_info is not None for record in caplog.records if record.msg == "pull broke"] == [True]


async def test_a_bug_before_an_attempt_is_tried_again_for_who_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ways = Waiting.ways
    bugs = [KeyError("a bug")]

    def ways_or_break(waiting: Waiting, key: StreamKey) -> Via:
        if bugs:
            raise bugs.pop()
        return ways(waiting, key)

    monkeypatch.setattr(Waiting, "ways", ways_or_break)
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url())) as a, watching(a) as viewer:
        await eventually(viewer.has(keyframe(b"K0")))
        assert a.pulls().retries == 1
    assert [record.exc_info is not None for record in caplog.records if record.msg == "pull broke"] == [True]


# -- other rules while it runs


async def test_streams_that_are_always_fetched_come_and_go() -> None:
    always = {"on_demand": False, "names": frozenset({"cam", "desk"})}
    async with serve("b") as b, publishing(b), publishing(b, "desk"), serve("a") as a:
        a.rules["live"] = rule(b.url(), **always)
        a.pull.apply([KEY, StreamKey("live", "desk")], 50)
        await eventually(lambda: states(a) == ["live"] * 2)
        a.rules["live"] = rule(b.url(), on_demand=False, names=frozenset({"cam"}))
        a.pull.apply([KEY], 50)
        await eventually(lambda: states(a) == ["live"] and set(a.registry.streams) == {KEY})
        a.rules.clear()
        a.pull.apply([], 50)
        await eventually(lambda: not a.registry.streams)


async def test_players_who_wait_already_are_served_by_a_rule_that_comes() -> None:
    async with serve("b") as b, publishing(b), serve("a") as a, watching(a) as viewer:
        await eventually(lambda: a.context.stats.players == 1)
        a.rules["live"] = rule(b.url())
        a.pull.apply([], 50)
        await eventually(viewer.has(keyframe(b"K0")))


async def test_a_live_pull_goes_on_while_its_origin_stays_one_and_begins_anew_when_not() -> None:
    patient = {"timeout": 60.0}  # Silence is not what ends it.
    async with serve("b") as b, serve("c") as c, publishing(b), publishing(c):
        async with serve("a", pull=rule(b.url(), **patient)) as a, watching(a):
            await eventually(a.pull_is("live"))
            before = a.stream.publication
            a.rules["live"] = rule(c.url(), b.url(), linger=5.0, **patient)
            a.pull.apply([], 50)
            assert a.stream.publication is before
            a.rules["live"] = rule(c.url(), **patient)
            a.pull.apply([], 50)
            await eventually(lambda: a.live and a.stream.publication is not before)
            assert a.pulls().remote == f"rtmp://127.0.0.1:{c.port}/live"
        assert b.context.stats.players == c.context.stats.players == 0


async def test_another_linger_holds_for_a_pull_that_is_live() -> None:
    async with serve("b") as b, publishing(b), serve("a", pull=rule(b.url(), linger=60.0, timeout=60.0)) as a:
        async with watching(a):
            await eventually(a.pull_is("live"))
            a.rules["live"] = rule(b.url(), linger=0.0, timeout=60.0)
            a.pull.apply([], 50)
        await eventually(lambda: a.pull.statuses() == [])


NOWHERE = "rtmp://127.0.0.1:1/live/cam"
ALWAYS: dict[str, Any] = {"on_demand": False, "names": frozenset({"cam"})}


async def test_who_waits_already_is_told_in_the_time_of_a_rule_on_demand_that_comes() -> None:
    async with serve("a", pull=rule(NOWHERE, **ALWAYS)) as a, watching(a) as viewer:
        await eventually(lambda: a.pulls().retries)
        a.rules["live"] = rule(NOWHERE, timeout=0.05)
        a.pull.apply([], 50)
        assert (await ended(viewer)).startswith("NetStream.Play.StreamNotFound")


async def test_who_waits_already_waits_on_when_the_stream_is_fetched_always_from_now_on() -> None:
    async with serve("a", pull=rule(NOWHERE, timeout=0.3)) as a, watching(a) as viewer:
        await eventually(lambda: a.pulls().retries)
        a.rules["live"] = rule(NOWHERE, timeout=0.3, **ALWAYS)
        a.pull.apply([KEY], 50)
        before = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() > before + 0.5)
        assert not viewer.over


# -- turns


async def test_players_of_one_address_have_their_streams_looked_for_a_few_at_a_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/{{name}}"
        async with serve("a", pull=rule(silent), max_dials=3) as a, AsyncExitStack() as stack:
            for number in range(10):
                await stack.enter_async_context(watching(a, f"cam{number}"))
            await eventually(lambda: states(a) == ["connecting"] * 3 + ["queued"] * 7)


async def test_another_number_of_turns_holds_although_all_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/{{name}}"
        async with serve("a", pull=rule(silent), max_dials=1) as a, AsyncExitStack() as stack:
            for number in range(2):
                await stack.enter_async_context(watching(a, f"cam{number}"))
            await eventually(lambda: states(a) == ["connecting", "queued"])
            a.pull.apply([], 2)
            for number in range(2, 5):
                await stack.enter_async_context(watching(a, f"cam{number}"))
            await eventually(lambda: states(a) == ["connecting"] * 3 + ["queued"] * 2)


async def test_who_waits_for_a_turn_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/{{name}}"
        async with serve("a", pull=rule(silent, timeout=0.4), max_dials=3) as a, AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(watching(a, f"cam{number}")) for number in range(10)]
            for viewer in viewers:
                assert (await ended(viewer)).startswith("NetStream.Play.StreamNotFound")
            await eventually(lambda: a.pull.statuses() == [])
            gc.collect()
            assert list(a.pull.context.waiting._turns) == []


async def test_a_stream_that_has_begun_gives_its_turn_to_the_next() -> None:
    async with serve("b") as b, AsyncExitStack() as stack:
        for number in range(5):
            await stack.enter_async_context(publishing(b, f"cam{number}"))
        async with serve("a", pull=rule(b.url()), max_dials=1) as a, AsyncExitStack() as viewers:
            for number in range(5):
                await viewers.enter_async_context(watching(a, f"cam{number}"))
            await eventually(lambda: states(a) == ["live"] * 5)


async def test_one_address_does_not_take_the_turns_of_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/{{name}}"
        async with (
            serve("a", pull=rule(silent), max_dials=1) as a,
            watching(a, "one"),
            watching(a, "two"),
        ):
            await eventually(lambda: states(a) == ["connecting", "queued"])
            other = a.context.play_rules(KEY).options._replace(origin=Origin(network="192.0.2.1"))
            sink = FakeSink()
            outlet = sink.connect(a.registry.outlets, a.context.clock)
            subscription = a.registry.attach(KEY, sink, outlet, other, a.context.clock())
            await eventually(lambda: states(a) == ["connecting", "connecting", "queued"])
            subscription.detach()


def states(server: Server) -> list[str]:
    return sorted(status.state for status in server.pull.statuses())


async def test_an_origin_that_has_a_file_of_that_name_is_asked_for_what_is_live(tmp_path: Path) -> None:
    clip(tmp_path / "cam.flv", 3)
    library = Library(lambda _key: VodRules(str(tmp_path)))
    async with (
        serve("b", library=library) as b,
        serve("a", pull=rule(b.url("{app}/{name}"))) as a,
        watching(a) as viewer,
    ):
        await eventually(lambda: KEY in b.registry.streams)
        async with publishing(b) as encoder:
            await encoder.send(9, keyframe(b"live"), 0)
            await eventually(viewer.has(keyframe(b"live")))
            assert len(b.registry.viewers) == 0
    library.close()
