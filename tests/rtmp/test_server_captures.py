"""Recordings of real clients played to a ServerSession that grants everything: its events and replies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import pytest
from golden_captures import Capture, load, names
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_dialogue import check_envelope, describe, grant

from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.events import (
    ConnectRequested,
    HandshakeCompleted,
    LengthRequested,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
)
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message
from rtmpd.rtmp.server import ServerSession

KINDS = {MessageType.AUDIO: "audio", MessageType.VIDEO: "video", MessageType.DATA_AMF0: "data"}
CONNECTED = [
    "WindowAckSize 2500000",
    "SetPeerBandwidth 2500000 dynamic",
    "SetChunkSize 65536",
    "_result 1 status NetConnection.Connect.Success",
]
PUBLISHED = [
    "StreamBegin 1",
    "1: onFCPublish 0 NetStream.Publish.Start",
    "1: onStatus 0 status NetStream.Publish.Start",
]
PLAYED = [
    "StreamBegin 1",
    "1: onStatus 0 status NetStream.Play.Reset",
    "1: onStatus 0 status NetStream.Play.Start",
    "1: |RtmpSampleAccess True True",
]


@dataclass
class Recital:
    """What a session made of a recording."""

    events: list[ServerEvent] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The events in words, media folded."""
        lines: list[str] = []
        media: Counter[str] = Counter()
        for event in [*self.events, None]:
            if isinstance(event, Message):
                assert event.stream_id == 1
                media[KINDS[MessageType(event.type)]] += 1
                continue
            if media:
                lines.append(", ".join(f"{media[kind]} {kind}" for kind in sorted(media)))
                media.clear()
            if event is not None:
                lines.append(in_words(event))
        return lines

    @property
    def heard(self) -> list[str]:
        """The replies behind the handshake in words."""
        reader = ChunkReader(Limits())
        lines = []
        for data in self.replies[1:]:
            (message,) = reader.receive_data(data)
            check_envelope(data, message)
            lines.append((f"{message.stream_id}: " if message.stream_id else "") + describe(message))
        return lines


def in_words(event: ServerEvent) -> str:
    match event:
        case HandshakeCompleted(digest=digest):
            return "digest handshake" if digest else "plain handshake"
        case ConnectRequested(params=params):
            return f"connect {params.app}"
        case PublishRequested():
            return f"publish {event.name} {event.mode} on {event.stream_id}"
        case PlayRequested():
            return f"play {event.name} from {event.start:g} on {event.stream_id}"
        case LengthRequested():
            return f"length of {event.name}"
        case PublishEnded(stream_id=stream_id):
            return f"publish ended on {stream_id}"
        case PlayEnded(stream_id=stream_id):
            return f"play ended on {stream_id}"
        case _:
            return repr(event)


def recite(capture: Capture, cuts: list[int]) -> Recital:
    """Play ``capture``, handshake included, to a session in pieces."""
    session = ServerSession(random_bytes=bytes, now=0)
    recital = Recital()
    data = capture.handshake + capture.chunks
    start = 0
    for cut in [*cuts, len(data)]:
        session.receive_data(data[start:cut], 0)
        start = cut
        while events := session.events_received():
            recital.events += events
            for event in events:
                grant(session, event, 0)
        recital.replies += session.data_to_send()
    assert not session.closing
    return recital


@cache
def whole(name: str) -> Recital:
    return recite(load(name), [])


# name: handshake, folded media
PUBLISHERS = {
    "ffmpeg51-audio-pub": ("digest", "131 audio, 1 data"),
    "ffmpeg51-bframes-pub": ("digest", "132 audio, 1 data, 109 video"),
    "ffmpeg51-eof-pub": ("digest", "131 audio, 1 data, 92 video"),
    "ffmpeg51-options-pub": ("digest", "131 audio, 1 data, 92 video"),
    "ffmpeg51-pub": ("digest", "130 audio, 1 data, 91 video"),
    "ffmpeg90-av1-pub": ("digest", "131 audio, 1 data, 92 video"),
    "ffmpeg90-eof-pub": ("digest", "131 audio, 1 data, 92 video"),
    "ffmpeg90-hevc-pub": ("digest", "131 audio, 1 data, 92 video"),
    "ffmpeg90-multitrack-pub": ("digest", "263 audio, 1 data, 92 video"),
    "ffmpeg90-opus-pub": ("digest", "152 audio, 1 data, 92 video"),
    "ffmpeg90-vp9-pub": ("digest", "131 audio, 1 data, 92 video"),
    "gst122-rtmp2sink-pub": ("plain", "137 audio, 26 data, 96 video"),
    "gst122-rtmp2sink-pub-srs": ("plain", "136 audio, 24 data, 95 video"),
    "gst122-rtmpsink-pub": ("plain", "139 audio, 25 data, 97 video"),
    "obs29-pub": ("plain", "125 audio, 1 data, 90 video"),
    "obs29-pub-srs": ("plain", "122 audio, 1 data, 87 video"),
}
# name: handshake, start of the play; then how it ends
PLAYERS = {
    "ffmpeg51-live-play": ("digest", -1, []),
    "ffmpeg51-play": ("digest", -2, []),
    "ffmpeg51-play-long-srs": ("digest", -2, []),
    "ffmpeg51-play-srs": ("digest", -2, []),
    "ffmpeg90-play": ("digest", -2, []),
    "gst122-rtmp2src-play": ("plain", -2, []),
    "gst122-rtmp2src-play-long-srs": ("plain", -2, []),
    "gst122-rtmp2src-play-srs": ("plain", -2, []),
    "gst122-rtmpsrc-play": ("plain", -1, ["play ended on 1"]),
    "gst122-rtmpsrc-play-long": ("plain", -1, ["play ended on 1"]),
    "mpv035-play": ("digest", -2, []),
    "rtmpdump24-play": ("plain", -1, ["play ended on 1"]),
    "rtmpdump24-play-long": ("plain", -1, ["play ended on 1"]),
    "rtmpdump24-play-srs": ("plain", -1, ["play ended on 1"]),
    "vlc30-play": ("digest", -2, []),
    "vlc30-play-long-srs": ("digest", -2, []),
    "vlc30-play-srs": ("digest", -2, []),
}


def stream_name(name: str) -> str:
    return name.removesuffix("-srs").removesuffix("-long").removesuffix("-pub").removesuffix("-play")


def test_every_recording_is_played() -> None:
    assert set(PUBLISHERS) == set(names(role="pub"))
    assert set(PLAYERS) == set(names(role="play"))


@pytest.mark.parametrize("name", PUBLISHERS)
def test_what_publishers_do(name: str) -> None:
    handshake, media = PUBLISHERS[name]
    assert whole(name).lines == [
        f"{handshake} handshake",
        "connect live",
        f"publish {stream_name(name)} live on 1",
        media,
        "publish ended on 1",
    ]


@pytest.mark.parametrize("name", PLAYERS)
def test_what_players_do(name: str) -> None:
    handshake, start, end = PLAYERS[name]
    played = f"play {stream_name(name)} from {start} on 1"
    # libavformat asks for it first, but not where it is told that the stream is live.
    length = (
        [f"length of {stream_name(name)}"]
        if name.startswith(("ffmpeg", "mpv", "vlc")) and start == -2
        else []
    )
    assert whole(name).lines == [f"{handshake} handshake", "connect live", *length, played, *end]


def ended(transaction_id: int) -> list[str]:
    result = [f"_result {transaction_id} undefined"] if transaction_id else []
    return [
        "1: onFCUnpublish 0 NetStream.Unpublish.Success",
        *result,
        "1: onStatus 0 status NetStream.Unpublish.Success",
    ]


@pytest.mark.parametrize("name", [name for name in PUBLISHERS if "rtmp2sink" not in name])
def test_what_obs_ffmpeg_and_librtmp_publishers_hear(name: str) -> None:
    calls = ["_result 2 undefined", "_result 3 undefined", "_result 4 1"]
    checks_bandwidth = name == "obs29-pub-srs"
    if checks_bandwidth:
        calls.append("_result 5 undefined")
    assert whole(name).heard == [*CONNECTED, *calls, *PUBLISHED, *ended(7 if checks_bandwidth else 6)]


@pytest.mark.parametrize("name", ["gst122-rtmp2sink-pub", "gst122-rtmp2sink-pub-srs"])
def test_what_a_publisher_hears_whose_transaction_ids_are_0(name: str) -> None:
    assert whole(name).heard == [*CONNECTED, "_result 2 1", *PUBLISHED, *ended(0)]


CALLS = {
    "ffmpeg51-live-play": ["_result 2 1", "onFCSubscribe 0 status NetStream.Play.Start"],
    "ffmpeg51-play": ["_result 2 1", "_result 3 0"],
    "ffmpeg51-play-srs": ["_result 2 1", "_result 3 undefined", "_result 4 0"],
    "ffmpeg90-play": ["_result 2 1", "_result 3 0"],
    "gst122-rtmp2src-play": ["_result 2 1"],
    "gst122-rtmpsrc-play": ["_result 2 1", "onFCSubscribe 0 status NetStream.Play.Start"],
    "mpv035-play": ["_result 2 1", "_result 3 0"],
    "rtmpdump24-play": ["_result 2 1", "onFCSubscribe 0 status NetStream.Play.Start"],
    "vlc30-play": ["_result 2 1", "_result 3 0"],
}


@pytest.mark.parametrize("name", CALLS)
def test_what_players_hear(name: str) -> None:
    assert whole(name).heard == [*CONNECTED, *CALLS[name], *PLAYED]


@pytest.mark.parametrize("name", names())
def test_byte_by_byte(name: str) -> None:
    capture = load(name)
    assert recite(capture, list(range(1, len(capture.handshake + capture.chunks)))) == whole(name)


@pytest.mark.parametrize("name", names(role="play"))
def test_every_split_point_behind_the_handshake(name: str) -> None:
    capture = load(name)
    for place in range(len(capture.chunks)):
        assert recite(capture, [len(capture.handshake) + place]) == whole(name)


@given(st.sampled_from(names()), st.lists(st.floats(0, 1, exclude_max=True), max_size=40))
@settings(max_examples=60)
def test_any_split_points(name: str, places: list[float]) -> None:
    capture = load(name)
    size = len(capture.handshake + capture.chunks)
    assert recite(capture, sorted(int(place * size) for place in places)) == whole(name)
