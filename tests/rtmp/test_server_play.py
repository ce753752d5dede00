"""Playing: the request, its answers, the player's own controls, and its end by either side."""

from __future__ import annotations

import pytest
from rtmp_dialogue import Client, audio, connect, failure

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.amf import UNDEFINED, AmfValue
from rtmpd.rtmp.constants import StatusCode
from rtmpd.rtmp.events import (
    PauseRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    ReceiveAudio,
    ReceiveVideo,
    SeekRequested,
    ServerEvent,
)

STARTED = [
    "StreamBegin 1",
    "1: onStatus 0 status NetStream.Play.Reset",
    "1: onStatus 0 status NetStream.Play.Start",
    "1: |RtmpSampleAccess True True",
]
RESUMED = ["1: onStatus 0 status NetStream.Seek.Notify", "1: onStatus 0 status NetStream.Play.Start"]


def play_requested(events: list[ServerEvent]) -> PlayRequested:
    (request,) = events
    assert isinstance(request, PlayRequested)
    return request


def test_an_accepted_play() -> None:
    client = Client().connected()
    assert client.call("play", 4, "cam", -2000, on=1) == [PlayRequested(1, "cam", "", -2, -1, False)]
    assert client.hear() == []
    client.session.accept_play(1, client.now)
    assert client.hear() == STARTED


def test_a_rejected_play_says_why_and_ends_the_session() -> None:
    client = Client().connected()
    client.call("play", 4, "cam", on=1)
    client.session.reject_play(1, StatusCode.PLAY_STREAM_NOT_FOUND, "No such stream.", client.now)
    assert client.hear() == ["1: onStatus 0 error NetStream.Play.StreamNotFound"]
    assert client.session.closing


@pytest.mark.parametrize(
    ("start", "seconds"),
    [(-2, -2), (-2000, -2), (-1, -1), (-1000, -1), (0, 0), (12.5, 12.5), (None, -2), ("x", -2)],
)
def test_start_as_clients_write_it(start: AmfValue, seconds: float) -> None:
    assert play_requested(Client().connected().call("play", 4, "cam", start, on=1)).start == seconds


@pytest.mark.parametrize("start", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_start_that_is_no_time_counts_as_none(start: float) -> None:
    assert play_requested(Client().connected().call("play", 4, "cam", start, on=1)).start == -2


@pytest.mark.parametrize(
    ("args", "duration", "reset"),
    [
        (("cam", -2), -1, False),
        (("cam", -2, 10), 10, False),
        (("cam", -2, -1, True), -1, True),
        (("cam", -2, -1000, True), -1, True),
        (("cam", -2, -1, 2), -1, True),
        (("cam", -2, -1, UNDEFINED), -1, False),
        (("cam", -2, -1, 1, "more", "still more"), -1, True),
    ],
)
def test_duration_and_reset(args: tuple[AmfValue, ...], duration: float, reset: bool) -> None:
    request = play_requested(Client().connected().call("play", 4, *args, on=1))
    assert (request.duration, request.reset) == (duration, reset)


@pytest.mark.parametrize("args", [(), ("",), ("?token=1",), (None,), (7.0,)])
def test_a_play_of_no_name_is_asked_about_all_the_same(args: tuple[AmfValue, ...]) -> None:
    assert play_requested(Client().connected().call("play", 4, *args, on=1)).name == ""


def test_the_query_of_a_name_is_split_off_and_never_repeated_to_anybody() -> None:
    client = Client().connected()
    request = play_requested(client.call("play", 4, "cam?token=s3cret", on=1))
    assert (request.name, request.query) == ("cam", "token=s3cret")
    client.session.accept_play(1, client.now)
    client.session.notify_unpublished(1)
    assert b"s3cret" not in b"".join(client.session.data_to_send())


def test_play_and_its_controls_on_message_stream_0() -> None:
    client = Client()
    client.say(connect())
    client.session.accept_connect(client.now)
    client.hear()
    assert play_requested(client.call("play", 4, "cam", on=0)).stream_id == 1
    client.session.accept_play(1, client.now)
    assert client.hear() == STARTED
    assert client.call("receiveAudio", 0, False, on=0) == [ReceiveAudio(1, False)]
    assert client.call("closeStream", 0, on=0) == [PlayEnded(1)]


def test_plays_on_message_stream_0_follow_each_other_on_one_stream() -> None:
    client = Client().connected()
    for _ in range(20):
        assert play_requested(client.call("play", 4, "cam", on=0)[-1:]).stream_id == 1
        client.session.accept_play(1, client.now)
    client.hear()
    client.call("createStream", 5)
    assert client.hear() == ["_result 5 2"]


# play2, pause, seek, receiveAudio, receiveVideo


def test_play2_is_a_play_of_the_new_name() -> None:
    client = Client().playing("low")
    options: dict[str, AmfValue] = {
        "oldStreamName": "low",
        "streamName": "high?token=x",
        "start": -1000.0,
        "len": 5.0,
        "transition": "switch",
    }
    assert client.call("play2", 0, options, on=1) == [
        PlayEnded(1),
        PlayRequested(1, "high", "token=x", -1, 5, True),
    ]


@pytest.mark.parametrize("args", [(), ("high",), ({},), ({"streamName": 7.0},)])
def test_play2_without_a_name_fails_and_changes_nothing(args: tuple[AmfValue, ...]) -> None:
    client = Client().playing()
    assert client.call("play2", 9, *args, on=1) == []
    assert client.call("play2", 0, *args, on=1) == []
    assert client.hear() == ["_error 9 error NetConnection.Call.Failed"]


@pytest.mark.parametrize("name", ["pause", "pauseRaw", "pauseraw"])
def test_pause_and_unpause(name: str) -> None:
    client = Client().playing()
    assert client.call(name, 0, True, 1500, on=1) == [PauseRequested(1, True)]
    assert client.hear() == ["1: onStatus 0 status NetStream.Pause.Notify", "StreamEof 1"]
    assert client.call(name, 0, False, 1500, on=1) == [PauseRequested(1, False)]
    assert client.hear() == ["1: onStatus 0 status NetStream.Unpause.Notify", "StreamBegin 1"]


def test_seek_is_confirmed_at_once() -> None:
    client = Client().playing()
    assert client.call("seek", 0, 90_000, on=1) == [SeekRequested(1, 90_000)]
    assert client.hear() == RESUMED


@pytest.mark.parametrize("args", [(), (float("nan"),), ("x",)])
def test_seek_to_nowhere(args: tuple[AmfValue, ...]) -> None:
    assert Client().playing().call("seek", 0, *args, on=1) == [SeekRequested(1, 0)]


@pytest.mark.parametrize(("name", "event"), [("receiveAudio", ReceiveAudio), ("receiveVideo", ReceiveVideo)])
def test_receive_audio_and_video(name: str, event: type[ReceiveAudio | ReceiveVideo]) -> None:
    client = Client().playing()
    assert client.call(name, 0, False, on=1) == [event(1, False)]
    assert client.hear() == []
    assert client.call(name, 0, True, on=1) == [event(1, True)]
    assert client.hear() == RESUMED


@pytest.mark.parametrize("name", ["pause", "pauseRaw", "seek", "receiveAudio", "receiveVideo"])
@pytest.mark.parametrize("on", [0, 1, 7])
def test_controls_of_what_does_not_play_are_ignored(name: str, on: int) -> None:
    for client in (Client().connected(), Client().publishing()):
        assert client.call(name, 0, True, on=on) == []
        assert client.hear() == []


# Publishers come and go


def test_a_player_is_told_when_the_publisher_leaves_and_comes() -> None:
    client = Client().playing()
    client.session.notify_unpublished(1)
    assert client.hear() == ["StreamEof 1", "1: onStatus 0 status NetStream.Play.UnpublishNotify"]
    client.session.notify_published(1)
    assert client.hear() == ["StreamBegin 1", "1: onStatus 0 status NetStream.Play.PublishNotify"]


def test_a_player_that_has_just_left_is_told_nothing() -> None:
    client = Client().playing()
    client.call("closeStream", 0, on=1)
    client.session.notify_unpublished(1)
    client.session.notify_published(1)
    client.session.end_play(1, StatusCode.PLAY_FAILED, "The server is shutting down.")
    assert client.hear() == []
    assert client.session.closing


def test_a_player_of_its_own_publish_may_end_both_at_once() -> None:
    client = Client().publishing()
    client.call("createStream", 4)
    client.call("play", 5, "cam", on=2)
    client.session.accept_play(2, client.now)
    client.hear()
    assert client.call("deleteStream", 0, "cam") == [PublishEnded(1), PlayEnded(2)]
    client.session.notify_unpublished(2)  # What acting on the first event makes the caller do.
    assert client.hear() == []


# Ends


def test_the_server_ends_a_play() -> None:
    client = Client().playing()
    client.session.end_play(1, StatusCode.PLAY_FAILED, "The server is shutting down.")
    assert client.hear() == ["1: onStatus 0 error NetStream.Play.Failed"]
    assert client.session.closing


@pytest.mark.parametrize(("name", "on"), [("closeStream", 1), ("deleteStream", 0)])
def test_the_player_ends_its_play(name: str, on: int) -> None:
    client = Client().playing()
    assert client.call(name, 0, "cam", on=on) == [PlayEnded(1)]
    assert client.hear() == []


def test_a_second_play_on_the_stream_replaces_the_first() -> None:
    client = Client().playing("a")
    assert client.call("play", 9, "b", on=1) == [PlayEnded(1), PlayRequested(1, "b", "", -2, -1, False)]
    client.session.accept_play(1, client.now)
    assert client.hear() == STARTED


def test_play_on_a_stream_that_publishes_is_refused() -> None:
    client = Client().publishing()
    assert failure(client.call("play", 9, "cam", on=1)) == "play_on_publish"
    assert client.hear() == ["1: onStatus 0 error NetStream.Play.Failed"]


def test_media_from_a_player_are_dropped() -> None:
    client = Client().playing()
    assert client.say(audio()) == []


def test_answers_without_a_request_are_our_mistake() -> None:
    session = Client().connected().session
    with pytest.raises(UsageError):
        session.accept_play(1, 0)
    with pytest.raises(UsageError):
        session.reject_play(1, StatusCode.PLAY_FAILED, "No.", 0)
