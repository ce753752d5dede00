"""From publish to a live stream and back: what the encoder hears, and when the name is free."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
from engine_kit import FULL_HD, HEVC_HEADER, keyframe
from net_kit import HEADERS, PATIENCE, Client, Doorman, House, eventually, media_messages, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.media_limits import MediaLimits, MediaRules
from rtmpd.engine.sink import CloseReason
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Grant, PublishRules
from rtmpd.serving.publishing import spell_seconds

START = "1: onStatus 0 status NetStream.Publish.Start"


def ask(client: Client, name: str = "cam?token=SECRET") -> None:
    """What OBS says up to its publish, in one segment."""
    client.say(
        connect(),
        command("releaseStream", 2, name),
        command("FCPublish", 3, name),
        command("createStream", 4),
        command("publish", 5, name, "live", on=1),
    )


async def asked(house: House, doorman: Doorman, name: str = "cam") -> Client:
    """A client whose publish waits for the doorman."""
    before = len(doorman.requests)
    client = await house.client()
    ask(client, name)
    await eventually(lambda: len(doorman.requests) > before)
    return client


async def test_what_obs_hears() -> None:
    async with serve() as house:
        client = await house.client()
        ask(client)
        assert await client.until(START) == [
            "_result 1 status NetConnection.Connect.Success",
            "_result 2 undefined",
            "_result 3 undefined",
            "_result 4 1",
            "StreamBegin 1",
            "1: onFCPublish 0 NetStream.Publish.Start",
            START,
        ]


async def test_a_second_publisher_is_refused_and_the_first_is_untouched() -> None:
    async with serve() as house:
        player = await (await house.client()).play()
        first = await (await house.client()).publish()
        first.send(*HEADERS, (0, keyframe("A")))
        await player.until("1: A@0")
        second = await house.client()
        ask(second, "cam")
        second.send(*HEADERS, (0, keyframe("X")))
        # OBS shows its user an error only if nothing like success came before.
        assert await second.rest() == [
            "_result 1 status NetConnection.Connect.Success",
            "_result 2 undefined",
            "_result 3 undefined",
            "_result 4 1",
            "1: onStatus 0 error NetStream.Publish.BadName",
        ]
        assert house.stats.refusals == {"stream_busy": 1}
        first.send((40, keyframe("B")))
        assert await player.until("1: B@40") == ["1: B@40"]


async def test_the_refusal_is_in_words_for_the_person_at_the_encoder(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve() as house:
        await (await house.client()).publish()
        second = await house.client()
        ask(second)
        await second.rest()
    (record,) = [record for record in caplog.records if record.message == "publish refused"]
    number = record.fields.pop("connection")
    assert number > 0
    assert (record.message, record.fields) == (
        "publish refused",
        {
            "client": "127.0.0.1",
            "app": "live",
            "stream": "cam",
            "reason": "stream_busy",
            "told": "cam is being published by somebody else. If that was you, try again in a moment.",
        },
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "name_empty"),
        ("?token=x", "name_empty"),
        ("x" * 257, "name_too_long"),
        ("a b", "name_character"),
        ("a\x1b[31m", "name_character"),
        ("../etc", "name_level"),
        ("cam@720p", "name_reserved"),
        ("\0rest", "name_empty"),
    ],
)
async def test_a_name_that_nothing_may_have(name: str, reason: str) -> None:
    async with serve() as house:
        client = await house.client()
        ask(client, name)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.BadName"
        assert house.stats.refusals == {reason: 1}


async def test_an_empty_key_is_answered_with_what_to_write(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as house:
        client = await house.client()
        ask(client, "")
        await client.rest()
    (record,) = caplog.records
    assert (record.fields["app"], record.fields["stream"]) == ("live", "")
    assert record.fields["told"] == (
        "The stream key is empty: after the application goes a stream key, as in rtmp://host/live/KEY."
    )


@pytest.mark.parametrize("app", ["", "/", " ", "\0live"])
async def test_an_empty_app_is_answered_with_what_to_write(
    app: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as house:
        client = await house.client()
        client.say(connect(app))
        assert await client.rest() == ["_error 1 error NetConnection.Connect.Rejected"]
        assert house.stats.refusals == {"name_empty": 1}
    (record,) = caplog.records
    assert record.fields["told"] == (
        "The URL names no application: write rtmp://host/live, and the stream key in its own field."
    )


# A stream is its path


def cut(app: str, name: str) -> str:
    return f"{app!r} + {name!r}"


WAYS = [
    ("live/room", "cam"),
    ("live", "room/cam"),
    ("live/room/cam", ""),
    ("/live/room/", "/cam/"),
    ("live", "room//cam\n"),
    ("live\0", "room/cam\0garbage"),
    ("live", " room/cam "),
    ("live/_definst_", "room/cam?token=SECRET"),
]


@pytest.mark.parametrize(("app", "name"), WAYS, ids=[cut(*way) for way in WAYS])
async def test_a_stream_is_its_path_however_the_client_cuts_it(
    app: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtmpd.serving")
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await house.client()
        client.say(connect(app), command("createStream", 2), command("publish", 3, name, on=1))
        await eventually(lambda: doorman.requests)
        assert doorman.requests[0].key == StreamKey("live", "room/cam")
        doorman.grant()
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        assert set(house.registry.streams) == {StreamKey("live", "room/cam")}
    (started,) = [record.fields for record in caplog.records if record.message == "publish started"]
    assert (started["app"], started["stream"]) == ("live", "room/cam")


@pytest.mark.parametrize(("app", "name"), WAYS[:3], ids=[cut(*way) for way in WAYS[:3]])
async def test_the_app_is_the_longest_leading_part_with_settings_of_its_own(app: str, name: str) -> None:
    async with serve(apps=frozenset({"live", "live/room", "room"})) as house:
        client = await house.client()
        client.say(connect(app), command("createStream", 2), command("publish", 3, name, on=1))
        await client.until("1: onStatus 0 status NetStream.Publish.Start")
        assert set(house.registry.streams) == {StreamKey("live/room", "cam")}


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("live/" + "x" * 250, "cam"),
        ("live/" + "x" * 252 + "/cam", ""),
        ("x" * 128 + "/" + "y" * 256, ""),
        ("x" * 128, "y" * 256),
    ],
    ids=["all but the last level", "all levels", "all levels at the limit", "the first level at the limit"],
)
async def test_levels_of_the_name_in_the_app_are_not_held_to_the_app_s_limit(app: str, name: str) -> None:
    async with serve() as house:
        client = await house.client()
        client.say(connect(app), command("createStream", 2), command("publish", 3, name, on=1))
        await client.until("1: onStatus 0 status NetStream.Publish.Start")


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        ("../live", "name_level"),
        ("x" * 129, "name_too_long"),
        ("x" * 129 + "/cam", "name_too_long"),
    ],
    ids=["dots", "too long", "too long, with a name"],
)
async def test_an_app_that_nothing_may_have(app: str, reason: str) -> None:
    async with serve() as house:
        client = await house.client()
        client.say(connect(app))
        assert await client.rest() == ["_error 1 error NetConnection.Connect.Rejected"]
        assert house.stats.refusals == {reason: 1}


async def test_a_ceiling_of_the_engine() -> None:
    async with serve(engine=EngineLimits(max_publishers=1)) as house:
        await (await house.client()).publish("one")
        client = await house.client()
        ask(client, "two")
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert house.stats.refusals == {"publishers": 1}


# The authorizer


async def test_the_authorizer_is_asked_once_and_with_everything() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await asked(house, doorman, "a/cam?token=SECRET")
        (request,) = doorman.requests
        (connection,) = house.connections
        assert request == AccessRequest(
            Action.PUBLISH,
            StreamKey("live", "a/cam"),
            connection.origin,
            connection.connect_params,
            "token=SECRET",
            "live",
        )
        assert "SECRET" not in repr(request)
        doorman.grant()
        await client.until(START)
        assert set(house.registry.streams) == {StreamKey("live", "a/cam")}


async def test_media_sent_while_the_authorizer_thinks_is_held_and_delivered_in_order() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        frames = [(40 * n, keyframe(str(n) + "." * 50_000)) for n in range(40)]
        encoder = await house.client()
        ask(encoder, "cam")
        encoder.send(*HEADERS, *frames)
        await eventually(lambda: doorman.requests)
        (connection,) = house.connections
        await eventually(lambda: not connection.reader.reading)
        assert house.stats.publishers == 0
        # A player meanwhile: the doorman answers in the order of the requests.
        player = await house.client()
        player.say(connect(), command("createStream", 2), command("play", 3, "cam", on=1))
        await eventually(lambda: len(doorman.requests) == 2)
        doorman.grant()
        await encoder.until(START)
        await eventually(lambda: house.stream().stats.keyframes == len(frames))
        doorman.grant()
        assert (await player.until("1: 39@1560"))[-1] == "1: 39@1560"
        assert house.stream().stats.timestamp_regressions == 0


async def test_held_media_reaches_players_in_order_and_whole() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        player = await house.client()
        player.say(connect(), command("createStream", 2), command("play", 3, "cam", on=1))
        await eventually(lambda: doorman.requests)
        doorman.grant()
        await player.until("1: onStatus 0 status NetStream.Play.Start")
        encoder = await asked(house, doorman)
        encoder.send(*HEADERS, *[(40 * n, keyframe(str(n))) for n in range(100)])
        doorman.grant()
        heard = await player.until("1: 99@3960")
        assert heard == [
            "StreamBegin 1",
            "1: onStatus 0 status NetStream.Play.PublishNotify",
            "1: AVC@0",
            "1: AAC@0",
            *[f"1: {n}@{40 * n}" for n in range(100)],
        ]


async def test_a_denial_is_told_in_the_authorizers_words() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await asked(house, doorman)
        doorman.fail(Refused(StatusCode.PUBLISH_DENIED, "No such key.", Refusal.KEY_WRONG))
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Denied"
        assert house.stats.refusals == {Refusal.KEY_WRONG: 1}


@pytest.mark.parametrize("error", [LookupError("a bug"), TimeoutError(), OSError("the hook is down")])
async def test_an_authorizer_that_fails_lets_nobody_in(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        client = await asked(house, doorman)
        doorman.fail(error)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert house.stats.refusals == {"authorizer_failed": 1}
    failed, refused = caplog.records
    assert (failed.message, refused.message) == ("authorizer failed", "publish refused")
    assert failed.exc_info is not None
    assert failed.exc_info[1] is error


async def test_an_authorizer_that_never_answers_lets_nobody_in() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman, authorization_timeout=0.05) as house:
        client = await asked(house, doorman)
        assert (await client.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert (doorman.cancelled, house.stats.refusals) == (1, {"authorizer_failed": 1})


@pytest.mark.parametrize("swallow", [False, True], ids=["cancelled", "swallows it"])
async def test_an_encoder_that_is_gone_before_the_answer_claims_nothing(swallow: bool) -> None:
    doorman = Doorman(swallow=swallow)
    async with serve(authorizer=doorman) as house:
        await asked(house, doorman)
        (connection,) = house.connections
        connection.abort(CloseReason.KICKED)
        await eventually(lambda: doorman.cancelled)
        await eventually(lambda: house.open_connections == 0)
        assert (house.stats.publishes_total, dict(house.registry.streams)) == (0, {})
        assert house.stats.connections == {"pending": 0}


async def test_an_authorizer_may_lead_elsewhere() -> None:
    class Elsewhere:
        async def authorize(self, request: AccessRequest) -> Grant:
            if request.action is Action.CONNECT:
                return Grant(request.key)
            return Grant(StreamKey("apps", f"key-of-{request.key.name}"))

    async with serve(authorizer=Elsewhere()) as house:
        await (await house.client()).publish()
        assert set(house.registry.streams) == {StreamKey("apps", "key-of-cam")}


async def test_two_claims_race_and_one_wins() -> None:
    doorman = Doorman()
    async with serve(authorizer=doorman) as house:
        clients = [await asked(house, doorman) for _ in range(5)]
        for _ in clients:
            doorman.grant()
        endings = await asyncio.gather(*[client.answer() for client in clients])
        assert sorted(endings) == [*["1: onStatus 0 error NetStream.Publish.BadName"] * 4, START]
        assert house.stats.publishers == 1


# The end


async def test_the_engine_ends_a_publish() -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish()
        publication = house.stream().publication
        assert publication is not None
        publication.owner.close(CloseReason.KICKED)
        assert await encoder.rest() == ["1: onStatus 0 error NetStream.Publish.Failed"]
        assert house.stats.publishes_ended == {CloseReason.KICKED: 1}


async def test_what_may_not_be_published_ends_with_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    rules = MediaRules(reject=MediaLimits(video_codecs=frozenset({"avc1"})))
    async with serve(media=rules) as house:
        player = await (await house.client()).play()
        encoder = await (await house.client()).publish()
        encoder.send(*[(0, payload) for payload in (HEVC_HEADER, b"\x91hvc1key", b"\xa1hvc1next")])
        assert await encoder.rest() == ["1: onStatus 0 error NetStream.Publish.Rejected"]
        await player.until("1: onStatus 0 status NetStream.Play.UnpublishNotify")
        assert house.stats.publishes_ended == {CloseReason.MEDIA_REJECTED: 1}
        assert house.stats.refusals == {Refusal.VIDEO_CODEC: 1}
        again = await house.client()
        ask(again)
        assert (await again.rest())[-1] == "1: onStatus 0 error NetStream.Publish.Rejected"
        assert house.stats.publishes_total == 1
        await (await house.client()).publish("desk")
        await (await house.client()).publish("cam?backup=1")  # Perhaps another encoder.
    line = next(record for record in caplog.records if record.msg == "publish ended")
    assert line.__dict__["fields"]["reason"] == "video_codec"
    (line,) = [record for record in caplog.records if record.msg == "publish rejected"]
    assert line.__dict__["fields"]["told"] == (
        "This stream takes H.264 video only, and you send HEVC: choose H.264 in the encoder."
    )


async def test_a_publish_lasts_as_long_as_it_may(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rtmpd")
    rules = PublishRules(max_duration=0.1)
    async with serve(publish_rules=lambda _key: rules) as house:
        encoder = await (await house.client()).publish()
        other = await (await house.client()).publish("desk")
        deadlines = [connection.requests.next_deadline() for connection in house.connections]
        assert max(deadlines) <= house.context.clock() + 0.1
        encoder.send(*HEADERS)
        other.call("FCUnpublish", 6, "desk")  # Whose deadline is none any more.
        heard = []
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(EOFError):
                while True:
                    heard.append(await encoder.hear_message())
        assert b"A stream may last for 0.1 s here, as this one has." in heard[-1].payload
        assert house.stats.publishes_ended[CloseReason.MAX_DURATION] == 1
        await (await house.client()).publish()
    ends = [record.__dict__["fields"]["reason"] for record in caplog.records if record.msg == "publish ended"]
    assert ends.count("max_duration") == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(14_400.0, "4 h"), (5_400.0, "90 min"), (60.0, "1 min"), (59.0, "59 s"), (0.05, "0.05 s")],
)
def test_a_time_for_people(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


@pytest.mark.parametrize("in_rounds", [True, False])
async def test_an_encoder_whose_stream_is_not_to_wait_is_read_at_once(in_rounds: bool) -> None:
    rules = {"cam": PublishRules(), "hasty": PublishRules(in_rounds=in_rounds)}
    async with serve(publish_rules=lambda key: rules[key.name]) as house:
        encoder = await (await house.client()).publish()
        members = house.context.sweeper.unwatched.members
        await eventually(lambda: len(members) == 1)
        await encoder.publish("hasty", on=2)
        await eventually(lambda: len(members) == in_rounds)


async def test_a_grant_says_what_may_be_published() -> None:
    class Backend:
        def authorize(self, request: AccessRequest) -> Grant:
            return Grant(request.key, media=MediaLimits(max_height=720))

    rules = MediaRules(reject=MediaLimits(video_codecs=frozenset({"avc1"}), max_height=2160))
    async with serve(media=rules, authorizer=Backend()) as house:
        encoder = await (await house.client()).publish()
        publication = house.stream().publication
        assert publication is not None
        inspection = publication.intake.checkup.inspection
        assert inspection is not None
        assert inspection.rules.reject == MediaLimits(frozenset({"avc1"}), max_height=720)
        encoder.send((0, FULL_HD))
        assert await encoder.rest() == ["1: onStatus 0 error NetStream.Publish.Rejected"]


async def test_one_connection_publishes_again_and_again() -> None:
    async with serve() as house:
        encoder = await (await house.client()).publish()
        for _ in range(20):
            encoder.call("FCUnpublish", 6, "cam")
            await encoder.until("1: onStatus 0 status NetStream.Unpublish.Success")
            encoder.call("publish", 7, "cam", on=1)
            await encoder.until(START)
        assert house.stats.publishes_ended == {CloseReason.FINISHED: 20}


async def test_a_publish_that_ended_in_time_has_no_deadline_left() -> None:
    limits_of_media = 0.3
    limits = EngineLimits(first_media_timeout=limits_of_media)
    async with serve(engine=limits, sample_every=0.02) as house:
        encoder = await (await house.client()).publish()
        encoder.call("closeStream", 0, on=1)
        await eventually(lambda: house.stats.publishers == 0)
        ended = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() > ended + limits_of_media)
        assert house.stats.sessions_failed == {}
        await encoder.publish("other", on=2)


async def test_a_publish_that_nobody_ever_saw_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as house:
        for name in ("empty", "cam"):
            encoder = await (await house.client()).publish(name)
            if name == "cam":
                encoder.send(*HEADERS)
                await eventually(lambda: house.stream().stats.audio.messages_in)
            encoder.call("closeStream", 0, on=1)
        await eventually(lambda: house.stats.publishers == 0)
        assert house.stats.publishes_without_media == 1
    (record,) = [record for record in caplog.records if record.message == "published without media"]
    assert (record.fields["app"], record.fields["stream"]) == ("live", "empty")


async def test_the_reason_of_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rtmpd.serving.publishing")
    async with serve() as house:
        encoder = await (await house.client()).publish()
        encoder.say(*media_messages(*HEADERS))
        await eventually(lambda: house.stream().stats.audio.messages_in)
        encoder.writer.write(b"\xff" * 20)
        await encoder.rest()
    fields = [record.fields for record in caplog.records if record.message == "publish ended"]
    assert [(f["reason"], f["codecs"]) for f in fields] == [("no_header", "avc1+mp4a")]
