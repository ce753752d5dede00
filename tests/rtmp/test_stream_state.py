"""What each thing that a server may say means for a stream in each of its states (section 7.2.2)."""

from __future__ import annotations

import pytest

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.commands import Status
from rtmpd.rtmp.constants import StatusCode, StatusLevel
from rtmpd.rtmp.states import Step, Use
from rtmpd.rtmp.stream_state import StreamState, StreamStates

USES = {
    "idle": Use.IDLE,
    "asked to publish": Use.PUBLISH_ASKED,
    "publishing": Use.PUBLISHING,
    "asked to play": Use.PLAY_ASKED,
    "playing": Use.PLAYING,
}


def said(code: str, level: StatusLevel = StatusLevel.STATUS) -> Status:
    return Status(level, code)


def error(code: str) -> Status:
    return said(code, StatusLevel.ERROR)


def stream_that_is(what: str) -> StreamState:
    stream = StreamState()
    match what:
        case "asked to publish":
            stream.ask(Step.PUBLISH, "cam", 5)
        case "publishing":
            stream.ask(Step.PUBLISH, "cam", 5)
            stream.follow(said(StatusCode.PUBLISH_START))
        case "asked to play":
            stream.ask(Step.PLAY, "cam", 5)
        case "playing":
            stream.ask(Step.PLAY, "cam", 5)
            stream.follow(said(StatusCode.PLAY_START))
    return stream


@pytest.mark.parametrize(("what", "use"), USES.items())
def test_the_states_that_the_table_begins_in(what: str, use: Use) -> None:
    stream = stream_that_is(what)
    assert stream.use is use
    assert stream.request_id == (5 if "asked" in what else 0)


# What the server says, in which state, and what that means. All other pairs mean nothing.
NOT_STARTED = {"asked to publish": Step.REFUSE, "asked to play": Step.REFUSE}
FATAL = NOT_STARTED | {"publishing": Step.FAIL, "playing": Step.FAIL}
ANSWERS: list[tuple[Status, dict[str, Step]]] = [
    (said(StatusCode.PUBLISH_START), {"asked to publish": Step.ACCEPT}),
    (said(StatusCode.PLAY_START), {"asked to play": Step.ACCEPT}),
    (said(StatusCode.PLAY_PUBLISH_NOTIFY), {"asked to play": Step.ACCEPT}),
    (said(StatusCode.PLAY_RESET), {}),
    (said(StatusCode.PLAY_STOP), {"playing": Step.END}),
    (said(StatusCode.PLAY_COMPLETE), {"playing": Step.END}),
    (said(StatusCode.PLAY_UNPUBLISH_NOTIFY), {"playing": Step.END}),
    (said(StatusCode.UNPUBLISH_SUCCESS), {"publishing": Step.FAIL}),
    (said(StatusCode.PAUSE_NOTIFY), {}),
    (said(StatusCode.UNPAUSE_NOTIFY), {}),
    (said(StatusCode.SEEK_NOTIFY), {}),
    (said(StatusCode.PLAY_INSUFFICIENT_BANDWIDTH, StatusLevel.WARNING), {}),
    (said("NetStream.Nobody.Knows"), {}),
    (said(""), {}),
    (error(StatusCode.PUBLISH_BAD_NAME), FATAL),
    (error(StatusCode.PLAY_STREAM_NOT_FOUND), FATAL),
    (error("NetStream.Nobody.Knows"), FATAL),
    (error(""), FATAL),
    (error(StatusCode.PLAY_STOP), FATAL),
    (error(StatusCode.UNPUBLISH_SUCCESS), FATAL),
    (error(StatusCode.SEEK_FAILED), {}),
    (error(StatusCode.SEEK_INVALID_TIME), {}),
    (error("NetStream.Pause.Failed"), {}),
    (error(StatusCode.RECORD_FAILED), {}),
    (error(StatusCode.RECORD_NO_ACCESS), {}),
]


@pytest.mark.parametrize("what", USES)
@pytest.mark.parametrize(
    ("status", "meanings"), ANSWERS, ids=[f"{status.level} {status.code or 'empty'}" for status, _ in ANSWERS]
)
def test_what_a_status_means(what: str, status: Status, meanings: dict[str, Step]) -> None:
    stream = stream_that_is(what)
    use, request_id = stream.use, stream.request_id
    step = stream.follow(status)
    assert step is meanings.get(what)
    match step:
        case None:
            assert (stream.use, stream.request_id) == (use, request_id)
        case Step.ACCEPT:
            started = Use.PUBLISHING if use is Use.PUBLISH_ASKED else Use.PLAYING
            assert (stream.use, stream.request_id) == (started, 0)
        case _:
            assert (stream.use, stream.request_id) == (Use.IDLE, 0)


@pytest.mark.parametrize("what", USES)
def test_what_an_error_to_the_request_means(what: str) -> None:
    stream = stream_that_is(what)
    use = stream.use
    assert stream.refuse() is NOT_STARTED.get(what)
    assert stream.use is (Use.IDLE if what in NOT_STARTED else use)
    assert stream.refuse() is None


@pytest.mark.parametrize("what", USES)
def test_what_stream_eof_means(what: str) -> None:
    stream = stream_that_is(what)
    assert stream.stream_eof() is (Step.END if what == "playing" else None)


# Stories of a play: p and r ask for a pause and its end, s for a seek, A asks to play again; the server says
# P and R (Pause.Notify, Unpause.Notify), S and F (Seek.Notify, Seek.Failed), B (StreamBegin). After it,
# StreamEOF is the end, or only what goes with a pause or a seek.
@pytest.mark.parametrize(
    ("story", "is_the_end"),
    [
        ("", True),
        ("p", False),
        ("pP", False),
        ("pPr", False),
        ("pPrR", True),
        ("pPrB", True),
        ("pPB", False),
        ("prp", False),
        ("prpR", False),
        ("prpRrR", True),
        ("r", True),
        ("R", True),
        ("s", False),
        ("sB", True),
        ("sS", True),
        ("sF", True),
        ("pPs", False),
        ("pPsS", False),
        ("ps" + "B", False),
        ("prsR", False),
        ("prsRS", True),
        ("pPA", True),
        ("prpA", True),
        ("sA", True),
    ],
)
def test_when_stream_eof_is_the_end(story: str, is_the_end: bool) -> None:
    stream = stream_that_is("playing")
    for step in story:
        match step:
            case "p" | "r":
                stream.pause(step == "p")
            case "s":
                stream.seek()
            case "A":
                stream.ask(Step.PLAY, "cam", 9)
                stream.follow(said(StatusCode.PLAY_START))
            case "B":
                stream.stream_begin()
            case "P":
                stream.follow(said(StatusCode.PAUSE_NOTIFY))
            case "R":
                stream.follow(said(StatusCode.UNPAUSE_NOTIFY))
            case "S":
                stream.follow(said(StatusCode.SEEK_NOTIFY))
            case "F":
                stream.follow(error(StatusCode.SEEK_FAILED))
    assert stream.use is Use.PLAYING
    assert (stream.stream_eof() is Step.END) is is_the_end


# The streams of a connection


def streams_of(*numbers: int) -> StreamStates:
    streams = StreamStates()
    for number in numbers:
        assert streams.add(number)
    return streams


@pytest.mark.parametrize("number", [0, 3])
def test_the_id_of_the_connection_and_one_in_use_are_none_for_a_stream(number: int) -> None:
    assert not streams_of(3).add(number)


def test_a_stream_that_is_given_back_is_there_no_more_and_its_id_is_free() -> None:
    streams = streams_of(3)
    stream = streams.find(3)
    assert stream is not None
    assert streams.remove(3) is stream
    assert streams.find(3) is None
    with pytest.raises(UsageError, match="there is no message stream 3"):
        streams.remove(3)
    assert streams.add(3)


def test_who_asks_out_of_turn_is_told_so_and_changes_nothing() -> None:
    streams = streams_of(3)
    with pytest.raises(UsageError, match="message stream 3 neither publishes nor plays"):
        streams.playing(3)
    streams.that_may(Step.PUBLISH, 3).ask(Step.PUBLISH, "cam", 5)
    with pytest.raises(UsageError, match="no play now"):
        streams.that_may(Step.PLAY, 3)
    with pytest.raises(UsageError, match="there is no message stream 4"):
        streams.that_may(Step.PLAY, 4)
    assert streams.that_may(Step.ACCEPT, 3).use is Use.PUBLISH_ASKED


def test_a_stream_is_found_by_the_request_that_waits_and_no_other() -> None:
    streams = streams_of(3, 4)
    assert streams.asked_by(0) is None, "0 asks for no answer"
    streams.that_may(Step.PLAY, 4).ask(Step.PLAY, "cam", 5)
    assert streams.asked_by(5) == (4, streams.find(4))
    assert streams.asked_by(6) is None
    streams.that_may(Step.ACCEPT, 4).follow(said(StatusCode.PLAY_START))
    assert streams.asked_by(5) is None
    assert streams.playing(4).name == "cam"


def test_0_means_the_only_stream_there_is() -> None:
    streams = streams_of(3)
    assert (streams.meant(0), streams.meant(7)) == (3, 7)
    assert streams.add(4)
    assert streams.meant(0) == 0
