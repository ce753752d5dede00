"""Real clients, a real server and a real backend: what each is told, whatever the backend does."""

from __future__ import annotations

import asyncio
import logging

import pytest
from backend_kit import HANG, OK, RESET, Asked, answer, answer_json, backend, unused_port
from hooks_kit import OPEN, REJECTED, STARTED, Book, stage, urls
from net_kit import HEADERS, eventually
from rtmp_dialogue import connect

from rtmpd.access.keys import Key, KeyRing, digest_of
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.engine.key import StreamKey
from rtmpd.engine.sink import CloseReason
from rtmpd.hooks.rules import DialectName, HookRules, Moment, OnError

KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
NO = answer("403 Forbidden")


@pytest.fixture(params=list(DialectName))
def dialect(request: pytest.FixtureRequest) -> DialectName:
    return request.param


def yes(dialect: DialectName) -> bytes:
    match dialect:
        case DialectName.NATIVE:
            return answer_json({"allow": True})
        case DialectName.SRS:
            return answer(body="0")
        case _:
            return OK


# -- every dialect, whatever the backend does


async def test_a_yes_lets_in(dialect: DialectName) -> None:
    async with (
        backend(yes(dialect)) as server,
        stage(dialect, urls(server, Moment.PUBLISH, Moment.PLAY)) as there,
    ):
        assert (await there.publish())[1] == STARTED
        assert (await there.play())[1] == "1: onStatus 0 status NetStream.Play.Start"
        assert len(server.asked) == 2
        assert there.outcomes == {"allowed": 2}
        assert there.stats.seconds.count == 2


async def test_a_no_is_told_before_the_publish_has_begun(dialect: DialectName) -> None:
    async with backend(NO) as server, stage(dialect, urls(server, Moment.PUBLISH, Moment.PLAY)) as there:
        await there.refused()
        _client, status = await there.play()
        assert status == "1: onStatus 0 error NetStream.Play.Failed"
        assert there.house.stats.refusals == {"backend_refused": 2}
        assert there.outcomes == {"refused": 2}
        assert there.failures == {}


FAILURES: dict[str, tuple[bytes | tuple[bytes, ...], str]] = {
    "hang": (HANG, "timeout"),
    "breaks off": (RESET, "broken"),
    "garbage": (b"\0\1\2\3\r\n\r\n", "broken"),
    "huge": (answer(body="x" * 100_000), "too_long"),
    "drips": ((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"0"] * 100), "timeout"),
    "fails": (answer("503 Service Unavailable"), "server_error"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_an_answer_nobody_is_let_in(dialect: DialectName, failure: str) -> None:
    said, reason = FAILURES[failure]
    async with backend(lambda _asked: said) as server:
        server.pause = 0.05
        server.once = True
        timeout = 0.3 if reason == "timeout" else 15.0
        async with stage(dialect, urls(server, Moment.PUBLISH), timeout=timeout) as there:
            await there.refused()
            assert there.house.stats.refusals == {"backend_failed": 1}
            assert (there.outcomes, there.failures) == ({"failed_refused": 1}, {reason: 1})


async def test_nobody_listens(dialect: DialectName) -> None:
    urls = {Moment.PUBLISH: (f"http://127.0.0.1:{unused_port()}/hook",)}
    async with stage(dialect, urls) as there:
        await there.refused()
        assert there.failures == {"unreachable": 1}


async def test_an_outage_may_let_everybody_in(dialect: DialectName) -> None:
    urls = {Moment.PUBLISH: (f"http://127.0.0.1:{unused_port()}/hook",)}
    async with stage(dialect, urls, on_error=OnError.ALLOW) as there:
        assert (await there.publish())[1] == STARTED
        assert there.outcomes == {"failed_allowed": 1}


async def test_an_outage_may_let_in_who_was_let_in_before(dialect: DialectName) -> None:
    said = [yes(dialect), RESET, RESET]
    async with (
        backend(lambda _asked: said.pop(0)) as server,
        stage(dialect, urls(server, Moment.PUBLISH), on_error=OnError.CACHED) as there,
    ):
        client, status = await there.publish()
        assert status == STARTED
        await client.close()
        await eventually(lambda: there.house.stats.publishers == 0)
        server.once = True
        assert (await there.publish())[1] == STARTED
        await there.refused("other")
        assert there.outcomes == {"allowed": 1, "failed_cached": 1, "failed_refused": 1}


async def test_an_answer_holds_for_the_same_question(dialect: DialectName) -> None:
    async with backend(yes(dialect)) as server, stage(dialect, urls(server, Moment.PLAY), ttl=60.0) as there:
        for _ in range(3):
            await there.play()
        await there.play("other")
        assert len(server.asked) == 2
        assert there.outcomes == {"allowed": 2, "reused": 2}


async def test_who_fails_again_and_again_is_left_alone() -> None:
    said = [answer("500 Oops")] * 2 + [OK] * 9
    async with backend(lambda _asked: said.pop(0)) as server:
        rules = {"max_failures": 2, "retry_after": 0.2}
        async with stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH), **rules) as there:
            for _ in range(3):
                await there.refused()
            assert (len(server.asked), there.failures) == (2, {"server_error": 2, "circuit_open": 1})
            assert there.asker.stats.is_open
            await asyncio.sleep(0.25)
            assert (await there.publish())[1] == STARTED
            assert not there.asker.stats.is_open


async def test_several_have_to_allow() -> None:
    async with backend(answer(body="0")) as first, backend(answer_json({"code": 1})) as second:
        both = {Moment.PUBLISH: (first.url, second.url)}
        async with stage(DialectName.SRS, both) as there:
            await there.refused()
            assert (len(first.asked), len(second.asked)) == (1, 1)


# -- who waits


async def test_a_backend_that_hangs_holds_up_nobody_else() -> None:
    async with (
        backend(lambda asked: HANG if asked.form["name"] == "slow" else OK) as server,
        stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH), timeout=1.0) as there,
    ):
        waiting = [asyncio.ensure_future(there.publish("slow")) for _ in range(20)]
        await server.wait_for(20)
        assert there.asker.stats.waiting == 20
        assert (await there.publish())[1] == STARTED
        assert not any(each.done() for each in waiting)
        assert {status for _, status in await asyncio.gather(*waiting)} == {REJECTED}


async def test_players_who_wait_and_notices_hold_up_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.access.backend.MAX_ASKED", 2)
    monkeypatch.setattr("rtmpd.access.backend.MAX_TOLD", 1)
    moments = (Moment.PUBLISH, Moment.PLAY, Moment.PUBLISH_DONE)
    async with (
        backend(lambda asked: OK if asked.form["call"] == "publish" else HANG) as server,
        stage(DialectName.NGINX_RTMP, urls(server, *moments), timeout=30.0) as there,
    ):
        waiting = [asyncio.ensure_future(there.play()) for _ in range(4)]
        for number in (3, 4):
            client, status = await there.publish(f"s{number}")
            assert status == STARTED
            await client.close()
        await eventually(lambda: there.asker.stats.waiting == 4 and len(server.asked) == 5)
        calls = [each.form["call"] for each in server.asked]
        assert (calls.count("play"), calls.count("publish_done")) == (2, 1)
        assert not any(each.done() for each in waiting)
        for connection in list(there.house.connections):
            connection.abort(CloseReason.KICKED)
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_leaves_while_the_backend_thinks_is_told_to_it() -> None:
    moments = (Moment.PUBLISH, Moment.PUBLISH_DONE)
    async with (
        backend(lambda asked: HANG if asked.form["call"] == "publish" else OK) as server,
        stage(DialectName.NGINX_RTMP, urls(server, *moments)) as there,
    ):
        asking = asyncio.ensure_future(there.publish())
        await server.wait_for(1)
        (connection,) = there.house.connections
        connection.abort(CloseReason.KICKED)
        await server.wait_for(2)
        assert [asked.form["call"] for asked in server.asked] == ["publish", "publish_done"]
        with pytest.raises((EOFError, ConnectionError)):
            await asking
        assert there.asker.stats.waiting == 0


# -- names, proofs


async def test_a_redirect_renames() -> None:
    async with (
        backend(answer("302 Found", "", "Location: public")) as server,
        stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH)) as there,
    ):
        await there.publish("secret")
        assert set(there.house.registry.streams) == {StreamKey("live", "public")}


@pytest.mark.parametrize("name", ["bad name", "@own", "x" * 5000, "a/../b", "http://public"])
async def test_a_name_that_no_stream_can_have_is_no_answer(name: str) -> None:
    moments = (Moment.PUBLISH, Moment.PUBLISH_DONE)
    said = {"publish": answer("302 Found", "", f"Location: {name}")}
    async with (
        backend(lambda asked: said.get(asked.form["call"], OK)) as server,
        stage(DialectName.NGINX_RTMP, urls(server, *moments)) as there,
    ):
        await there.refused()
        await server.wait_for(2)
        assert server.asked[1].form["call"] == "publish_done"


async def test_a_connect_is_led_to_another_app() -> None:
    async with (
        backend(answer("302 Found", "", "Location: studio")) as server,
        stage(DialectName.NGINX_RTMP, urls(server, Moment.CONNECT)) as there,
    ):
        await there.publish("show")
        assert server.asked[0].form["call"] == "connect"
        assert set(there.house.registry.streams) == {StreamKey("studio", "show")}


async def test_a_connect_is_refused() -> None:
    async with backend(NO) as server, stage(DialectName.NGINX_RTMP, urls(server, Moment.CONNECT)) as there:
        client = await there.house.client()
        client.say(connect())
        heard = await client.rest()
        assert any("NetConnection.Connect.Rejected" in line for line in heard)
        assert there.house.stats.refusals == {"backend_refused": 1}


KEYED = PathRules(Rules(Allow.PROVEN, ring=KeyRing([Key(digest_of(KEY), "show", "Studio 2")])), OPEN)


async def test_who_was_proven_is_asked_about_by_the_name_of_the_stream() -> None:
    async with backend(answer_json({"allow": True, "name": "other"})) as server:
        book = Book(KEYED)
        async with stage(DialectName.NATIVE, urls(server, Moment.PUBLISH), book) as there:
            await there.publish(KEY)
            asked = server.asked[0].json
            assert (asked["name"], asked["proven"], asked["client"]["account"]) == ("show", True, "Studio 2")
            assert KEY not in server.asked[0].body.decode()
            assert set(there.house.registry.streams) == {StreamKey("live", "other")}


async def test_who_was_proven_may_be_refused() -> None:
    async with (
        backend(answer_json({"allow": False, "reason": "Not today."})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH), Book(KEYED)) as there,
    ):
        await there.refused(KEY)


@pytest.mark.parametrize("decides", [False, True])
async def test_a_backend_may_stand_in_for_a_proof(decides: bool) -> None:
    async with backend(OK) as server:
        rules = stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH), Book(KEYED), decides=decides)
        async with rules as there:
            _, status = await there.publish("show")
            assert status == (STARTED if decides else REJECTED)
            assert len(server.asked) == decides


async def test_a_wrong_proof_is_wrong_whatever_the_backend_says() -> None:
    async with backend(OK) as server:
        rules = stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH), Book(KEYED), decides=True)
        async with rules as there:
            await there.refused("show?key=wrong")
            assert server.asked == []


async def test_an_address_is_refused_whatever_the_backend_says() -> None:
    closed = Rules(Allow.NOBODY)
    async with backend(OK) as server:
        rules = (DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH), Book(PathRules(closed, OPEN)))
        async with stage(*rules, decides=True) as there:
            await there.refused()
            assert server.asked == []


async def test_a_name_that_was_refused_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with backend(NO) as server, stage(DialectName.SRS, urls(server, Moment.PUBLISH)) as there:
        with caplog.at_level(logging.DEBUG, "rtmpd"):
            await there.refused("q7secret?key=q7secret")
    shown = "".join(f"{record.getMessage()}{getattr(record, 'fields', '')}" for record in caplog.records)
    assert "~" in shown
    assert "q7secret" not in shown


# -- what else an answer says


async def test_the_sentence_of_the_backend_reaches_the_encoder(caplog: pytest.LogCaptureFixture) -> None:
    said = answer_json({"allow": False, "reason": "The stream key expired 3 minutes ago."})
    async with backend(said) as server, stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there:
        await there.refused()
    (line,) = [record for record in caplog.records if record.getMessage() == "publish refused"]
    assert line.fields["told"] == "The stream key expired 3 minutes ago."


async def test_players_are_bounded_by_the_answer() -> None:
    async with (
        backend(answer_json({"allow": True, "max_players": 1})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there,
    ):
        await there.publish()
        await there.play()
        assert (await there.play())[1] == "1: onStatus 0 error NetStream.Play.Failed"


async def test_what_may_be_sent_is_bounded_by_the_answer() -> None:
    async with (
        backend(answer_json({"allow": True, "max_kbps": 1})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there,
    ):
        client, _ = await there.publish()
        client.send(*HEADERS)
        stream = there.house.stream("show")
        await eventually(lambda: stream.publication and stream.publication.stats.video.messages_in)
        assert stream.publication is not None
        assert stream.publication._inspection.rules.reject.max_kbps == 1


@pytest.mark.parametrize("takeover", [False, True])
async def test_the_answer_says_who_has_a_name(takeover: bool) -> None:
    async with (
        backend(answer_json({"allow": True, "takeover": takeover})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there,
    ):
        first, _ = await there.publish()
        first.send(*HEADERS)
        _, status = await there.publish()
        assert status == (STARTED if takeover else "1: onStatus 0 error NetStream.Publish.BadName")


@pytest.mark.parametrize(
    ("record", "mode", "expected"),
    [
        (None, "append", "append"),
        (True, "live", "record"),
        (True, "append", "append"),
        (False, "record", "unrecorded"),
    ],
)
async def test_the_answer_says_whether_a_stream_is_recorded(
    record: bool | None, mode: str, expected: str
) -> None:
    async with (
        backend(answer_json({"allow": True, "record": record})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there,
    ):
        assert (await there.publish(mode=mode))[1] == STARTED
        (stream,) = there.house.registry.streams.values()
        assert stream.publications[0].mode == expected


async def test_a_word_that_means_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        backend(answer_json({"allow": True, "dvr": True})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH)) as there,
    ):
        assert (await there.publish())[1] == STARTED
    (line,) = [each for each in caplog.records if each.getMessage() == "backend answer not understood"]
    assert line.fields["words"] == "dvr"


async def test_pushes_last_as_long_as_the_publish() -> None:
    target = "rtmp://10.0.0.2/live/show"
    async with (
        backend(answer("302 Found", "", f"Location: {target}")) as server,
        stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH)) as there,
    ):
        client, status = await there.publish()
        assert status == STARTED
        key = StreamKey("live", "show")
        owner, wanted = there.pushes[key]
        assert wanted == (target,)
        await client.close()
        await eventually(lambda: there.pushes[key] == (owner, ()))


async def test_srs_is_asked_where_to_forward() -> None:
    said = {"code": 0, "data": {"urls": ["rtmp://10.0.0.2/live/show"]}}
    async with (
        backend(answer_json(said)) as server,
        stage(DialectName.SRS, urls(server, Moment.FORWARD)) as there,
    ):
        await there.publish()
        await eventually(lambda: there.pushes)
        assert there.pushes[StreamKey("live", "show")][1] == ("rtmp://10.0.0.2/live/show",)
        assert server.asked[0].json["action"] == "on_forward"


async def test_a_forward_without_an_answer_ends_no_publish() -> None:
    def say(asked: Asked) -> bytes:
        return HANG if asked.json["action"] == "on_forward" else answer(body="0")

    async with (
        backend(say) as server,
        stage(DialectName.SRS, urls(server, Moment.FORWARD, Moment.PUBLISH_DONE), timeout=0.05) as there,
    ):
        client, _ = await there.publish()
        await eventually(lambda: there.failures == {"timeout": 1})
        await client.close()
        await eventually(lambda: there.asker.stats.told)
        assert [each.json["action"] for each in server.asked] == ["on_forward", "on_unpublish"]


# -- while it lasts, and when it is over


async def test_each_publish_has_its_own_pair() -> None:
    moments = (Moment.CONNECT, Moment.PUBLISH, Moment.PUBLISH_DONE, Moment.DONE, Moment.DISCONNECT)
    async with backend(OK) as server, stage(DialectName.NGINX_RTMP, urls(server, *moments)) as there:
        for number in (1, 2):
            client, _ = await there.publish("show?key=a")
            client.reset()
            await server.wait_for(5 * number)
        calls = [(each.form["call"], each.form.get("clientid")) for each in server.asked]
        first, second = calls[1][1], calls[6][1]
        assert first != second
        assert [call for call, _ in calls[:2]] == ["connect", "publish"]
        assert sorted(calls[2:5]) == [("disconnect", first), ("done", first), ("publish_done", first)]
        assert sorted(calls[7:]) == [("disconnect", second), ("done", second), ("publish_done", second)]
        assert server.asked[2].form["key"] == "a"


async def test_what_srs_is_told_of_a_connection() -> None:
    moments = (Moment.CONNECT, Moment.PLAY, Moment.PLAY_DONE, Moment.DISCONNECT)
    async with backend(answer(body="0")) as server, stage(DialectName.SRS, urls(server, *moments)) as there:
        client, _ = await there.play()
        await client.close()
        said = [each.json for each in await server.wait_for(4)]
        assert sorted(each["action"] for each in said) == ["on_close", "on_connect", "on_play", "on_stop"]
        assert len({each["client_id"] for each in said}) == 1
        (closed,) = [each for each in said if each["action"] == "on_close"]
        assert closed["recv_bytes"] > 3000 < closed["send_bytes"]


async def test_a_publish_that_finds_its_name_taken_is_over_for_the_backend() -> None:
    moments = (Moment.PUBLISH, Moment.PUBLISH_DONE)
    async with backend(OK) as server, stage(DialectName.NGINX_RTMP, urls(server, *moments)) as there:
        first, _ = await there.publish()
        first.send(*HEADERS)
        assert (await there.publish())[1] == "1: onStatus 0 error NetStream.Publish.BadName"
        calls = [(each.form["call"], each.form["clientid"]) for each in await server.wait_for(3)]
        assert [call for call, _ in calls] == ["publish", "publish", "publish_done"]
        assert calls[1][1] == calls[2][1] != calls[0][1]


async def test_a_refused_one_has_no_end() -> None:
    moments = (Moment.PUBLISH, Moment.PUBLISH_DONE)
    async with backend(lambda asked: NO if asked.form["call"] == "publish" else OK) as server:
        async with stage(DialectName.NGINX_RTMP, urls(server, *moments)) as there:
            await there.refused()
        assert [each.form["call"] for each in server.asked] == ["publish"]


async def test_notices_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.access.backend._BETWEEN", 0.01)
    said = [answer("500 Oops"), RESET, OK, *[answer("500 Oops")] * 3]
    async with backend(lambda _asked: said.pop(0)) as server:
        server.once = True
        async with stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH_DONE)) as there:
            figures = there.asker.stats
            for lost in (0, 1):
                client, _ = await there.publish()
                await client.close()
                await eventually(lambda lost=lost: (figures.told, figures.lost) == (1, lost))
            assert len(server.asked) == 6


async def test_an_update_that_is_refused_ends_the_session() -> None:
    said = [OK, OK, NO]
    async with backend(lambda _asked: said.pop(0)) as server:
        moments = urls(server, Moment.PUBLISH, Moment.UPDATE)
        async with stage(DialectName.NGINX_RTMP, moments, update_interval=0.05) as there:
            client, _ = await there.publish()
            client.send(*HEADERS, (40, HEADERS[0][1]))
            heard = await client.rest()
            assert heard[-1].startswith("1: onStatus 0 error NetStream.Publish.Failed")
            assert there.house.stats.publishes_ended == {"withdrawn": 1}
            update = server.asked[2].form
            assert (update["call"], update["timestamp"]) == ("update_publish", "40")


async def test_an_update_without_an_answer_ends_nothing() -> None:
    said = iter([OK, *[RESET] * 1000])
    async with backend(lambda _asked: next(said)) as server:
        moments = urls(server, Moment.PLAY, Moment.UPDATE)
        async with stage(DialectName.NGINX_RTMP, moments, update_interval=0.02) as there:
            await there.play()
            await server.wait_for(4)
            assert server.asked[2].form["call"] == "update_play"
            assert there.house.stats.players == 1
            await eventually(lambda: there.outcomes.get("failed_kept", 0) >= 2)


async def test_follows_other_rules_at_once() -> None:
    old = DialectName.NGINX_RTMP
    async with backend(OK) as first, backend(OK) as second:
        rules = HookRules(old, urls(second, Moment.PLAY, Moment.PUBLISH_DONE))
        async with stage(old, urls(first, Moment.PUBLISH), ttl=60.0) as there:
            client, _ = await there.publish()
            there.asker.apply("live", rules)
            await client.close()
            await second.wait_for(1)
            await there.publish()
            await there.play()
            await second.wait_for(2)
            assert [each.form["call"] for each in second.asked] == ["publish_done", "play"]
            assert len(first.asked) == 1


async def test_nobody_is_led_where_nobody_may_be() -> None:
    class Streets(Book):
        def at(self, path: str) -> PathRules:
            return PathRules(Rules(Allow.NOBODY), OPEN) if path == "live/closed" else self.rules

    async with (
        backend(answer_json({"allow": True, "name": "closed"})) as server,
        stage(DialectName.NATIVE, urls(server, Moment.PUBLISH), Streets()) as there,
    ):
        await there.refused()
        assert there.house.stats.refusals == {"nobody": 1}


async def test_a_question_that_took_too_long_may_have_been_a_yes() -> None:
    async with (
        backend(lambda asked: HANG if asked.form["call"] == "publish" else OK) as server,
        stage(
            DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH, Moment.PUBLISH_DONE), timeout=0.1
        ) as there,
    ):
        await there.refused()
        assert [asked.form["call"] for asked in await server.wait_for(2)] == ["publish", "publish_done"]


async def test_answers_of_another_backend_are_forgotten() -> None:
    dialect = DialectName.NGINX_RTMP
    async with (
        backend(OK) as first,
        backend(OK) as second,
        stage(dialect, urls(first, Moment.PLAY), ttl=60.0) as there,
    ):
        await there.play()
        there.asker.apply("live", HookRules(dialect, urls(second, Moment.PLAY), ttl=60.0))
        await there.play()
        assert (len(first.asked), len(second.asked)) == (1, 1)


async def test_several_have_the_time_of_one() -> None:
    async with (
        backend(lambda _asked: (b"", answer(body="0"))) as slow,
        stage(DialectName.SRS, {Moment.PUBLISH: (slow.url,) * 4}, timeout=0.5) as there,
    ):
        slow.pause = 0.2
        await there.refused()
        assert there.failures == {"timeout": 1}


async def test_only_so_many_notices_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpd.access.backend.MAX_NOTICES", 1)
    async with (
        backend(HANG) as server,
        stage(DialectName.NGINX_RTMP, urls(server, Moment.PUBLISH_DONE, Moment.DONE), timeout=0.1) as there,
    ):
        client, _ = await there.publish()
        await client.close()
        await eventually(lambda: there.asker.stats.lost == 1)
        assert len(await server.wait_for(1)) == 1
