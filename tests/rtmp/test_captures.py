"""Recordings of real clients and servers, read message by message and judged against their transcripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
from golden_captures import load, names, transcripts
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpd.media.codecs import AudioInfo, VideoInfo, audio_info, video_info
from rtmpd.media.metadata import read_metadata
from rtmpd.media.tags import (
    CODEC_METADATA,
    CODED_FRAME,
    DISPOSABLE,
    END_OF_SEQUENCE,
    ENHANCED,
    KEYFRAME,
    SEQUENCE_HEADER,
    UNKNOWN,
    AudioPacketType,
    FrameType,
    VideoPacketType,
    audio_flags,
    parse_audio,
    parse_video,
    video_flags,
)
from rtmpd.rtmp.chunks import ChunkReader
from rtmpd.rtmp.command_scan import parse_command, parse_data
from rtmpd.rtmp.commands import Command, ConnectParams
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.control import SetBufferLength, StreamBegin, parse_u32, parse_user_control
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.messages import Message

LIMITS = Limits()
TRANSCRIPTS = transcripts()
MEDIA = (MessageType.AUDIO, MessageType.VIDEO, MessageType.DATA_AMF0)
CONTROL = {
    MessageType.SET_CHUNK_SIZE: "SetChunkSize",
    MessageType.ACKNOWLEDGEMENT: "Acknowledgement",
    MessageType.WINDOW_ACK_SIZE: "WindowAckSize",
}

# Per publisher: video headers, key frames, all coded frames, metadata packets, ends of sequence;
# audio headers, coded frames, metadata packets.
CLASSES = {
    "ffmpeg51-audio-pub": (0, 0, 0, 0, 0, 1, 130, 0),
    "ffmpeg51-bframes-pub": (1, 2, 107, 0, 1, 1, 131, 0),
    "ffmpeg51-eof-pub": (1, 2, 90, 0, 1, 1, 130, 0),
    "ffmpeg51-options-pub": (1, 2, 90, 0, 1, 1, 130, 0),
    "ffmpeg51-pub": (1, 2, 89, 0, 1, 1, 129, 0),
    "ffmpeg90-av1-pub": (1, 2, 90, 1, 0, 1, 130, 0),
    "ffmpeg90-eof-pub": (1, 2, 90, 0, 1, 1, 130, 0),
    "ffmpeg90-hevc-pub": (1, 2, 90, 1, 0, 1, 130, 0),
    "ffmpeg90-multitrack-pub": (1, 2, 90, 0, 1, 2, 260, 1),
    "ffmpeg90-opus-pub": (1, 2, 90, 0, 1, 1, 150, 1),
    "ffmpeg90-vp9-pub": (1, 2, 90, 1, 0, 1, 130, 0),
    "gst122-rtmp2sink-pub": (1, 2, 94, 0, 1, 1, 136, 0),
    "gst122-rtmp2sink-pub-srs": (1, 2, 93, 0, 1, 1, 135, 0),
    "gst122-rtmpsink-pub": (1, 2, 95, 0, 1, 1, 138, 0),
    "obs29-pub": (1, 2, 89, 0, 0, 1, 124, 0),
    "obs29-pub-srs": (1, 2, 86, 0, 0, 1, 121, 0),
}


def read(chunks: bytes) -> tuple[list[Message], ChunkReader]:
    reader = ChunkReader(LIMITS)
    return reader.receive_data(chunks), reader


@cache
def messages_of(name: str, direction: str = "c2s") -> tuple[Message, ...]:
    return tuple(read(load(name, direction).chunks)[0])


def commands_of(name: str) -> dict[str, Command]:
    commands = [parse_command(m, LIMITS) for m in messages_of(name) if m.type == MessageType.COMMAND_AMF0]
    return {command.name: command for command in commands}


def connect_of(name: str) -> ConnectParams:
    return ConnectParams.from_command(commands_of(name)["connect"], LIMITS)


def metadata_of(name: str) -> dict[str, object]:
    data = [m for m in messages_of(name) if m.type == MessageType.DATA_AMF0]
    return dict(read_metadata(data[0].payload))


def transcribe(messages: tuple[Message, ...]) -> list[str]:
    """A line per message; behind the first sequence header, media between headers are folded and counted."""
    lines: list[str] = []
    folded: Counter[str] = Counter()
    seen_header = False
    for message in messages:
        line = describe(message)
        header = " header " in line or "sequence_start" in line
        if seen_header and message.type in MEDIA and not header:
            folded[line] += 1
            continue
        lines += fold(folded)
        folded.clear()
        lines.append(line)
        seen_header = seen_header or header
    return lines + fold(folded)


def fold(counter: Counter[str]) -> list[str]:
    return ["[" + ", ".join(f"{counter[line]} {line}" for line in sorted(counter)) + "]"] if counter else []


def describe(message: Message) -> str:
    match message.type:
        case MessageType.AUDIO:
            return describe_audio(message.payload)
        case MessageType.VIDEO:
            return describe_video(message.payload)
        case MessageType.COMMAND_AMF0:
            return describe_command(parse_command(message, LIMITS))
        case MessageType.DATA_AMF0:
            name, values = parse_data(message, LIMITS)
            return "/".join([name, *(value for value in values if isinstance(value, str))])
        case MessageType.USER_CONTROL:
            event = parse_user_control(message.payload)
            assert isinstance(event, SetBufferLength | StreamBegin)
            length = f", {event.length_ms}" if isinstance(event, SetBufferLength) else ""
            return f"{type(event).__name__}({event.stream_id}{length})"
        case MessageType.SET_PEER_BANDWIDTH:
            return f"SetPeerBandwidth({parse_u32(message.payload)}, {message.payload[4]})"
        case _:
            return f"{CONTROL[MessageType(message.type)]}({parse_u32(message.payload)})"


def describe_command(command: Command) -> str:
    shown = [f"{command.transaction_id:g}"]
    if command.name not in {"connect", "_result"}:
        shown += [repr(value) for value in command.args if isinstance(value, str)]
        shown += [f"{value:g}" for value in command.args if isinstance(value, float)]
    shown += [str(value["code"]) for value in command.args if isinstance(value, dict) and "code" in value]
    return f"{command.name}({', '.join(shown)})"


def describe_video(payload: bytes) -> str:
    tag = parse_video(payload)
    if tag.flags & ENHANCED:
        return (
            f"video {lower(FrameType, tag.frame_type)} {lower(VideoPacketType, tag.packet_type)} {tag.codec}"
        )
    return f"video header {tag.codec}" if tag.flags & SEQUENCE_HEADER else "video"


def describe_audio(payload: bytes) -> str:
    tag = parse_audio(payload)
    track = f" track {tag.track_ids[0]}" if tag.track_ids else ""
    if tag.flags & ENHANCED:
        return f"audio {lower(AudioPacketType, tag.packet_type)} {tag.codec}{track}"
    return f"audio header {tag.codec}" if tag.flags & SEQUENCE_HEADER else "audio"


def lower(enum: Callable[[int], FrameType | VideoPacketType | AudioPacketType], value: int) -> str:
    return enum(value).name.lower()


@pytest.mark.parametrize("key", TRANSCRIPTS)
def test_transcript(key: str) -> None:
    name, direction = key.split(".")
    assert transcribe(messages_of(name, direction)) == TRANSCRIPTS[key]


def test_every_client_recording_has_a_transcript() -> None:
    assert {f"{name}.c2s" for name in names()} == {key for key in TRANSCRIPTS if key.endswith(".c2s")}
    assert set(CLASSES) == set(names(role="pub"))


@pytest.mark.parametrize("name", names())
def test_client_recordings_end_between_messages(name: str) -> None:
    _, reader = read(load(name).chunks)
    assert reader.partial_bytes == 0
    # FFmpeg playing, when interrupted, writes the eight header bytes of deleteStream and closes.
    assert reader.buffered in ({8} if name.startswith("ffmpeg") and "play" in name else {0})


@pytest.mark.parametrize("name", names("s2c"))
def test_server_recordings_parse_to_their_cut(name: str) -> None:
    capture = load(name, "s2c")
    messages, reader = read(capture.chunks)
    types = [message.type for message in messages[:3]]
    assert types == [MessageType.WINDOW_ACK_SIZE, MessageType.SET_PEER_BANDWIDTH, MessageType.SET_CHUNK_SIZE]
    assert reader.chunk_size == (60000 if name.endswith("srs") else 4096)
    whole = len(capture.handshake) + len(capture.chunks) < 65536
    assert whole == (reader.partial_bytes + reader.buffered == 0)
    payloads = sum(len(message.payload) for message in messages) + reader.partial_bytes
    assert 0.9 * len(capture.chunks) < payloads + 12 * len(messages) + 100
    assert payloads < len(capture.chunks)


def feed(chunks: bytes, cuts: list[int]) -> list[Message]:
    reader = ChunkReader(LIMITS)
    messages: list[Message] = []
    start = 0
    for cut in [*cuts, len(chunks)]:
        messages += reader.receive_data(chunks[start:cut])
        start = cut
    return messages


@pytest.mark.parametrize("name", names())
def test_byte_by_byte(name: str) -> None:
    chunks = load(name).chunks
    assert feed(chunks, list(range(len(chunks)))) == list(messages_of(name))


@pytest.mark.parametrize("name", names(role="play"))
def test_every_split_point(name: str) -> None:
    chunks = load(name).chunks
    for split in range(len(chunks)):
        assert feed(chunks, [split]) == list(messages_of(name))


@given(st.sampled_from(names()), st.lists(st.floats(0, 1, exclude_max=True), max_size=60))
@settings(max_examples=60)
def test_any_split_points(name: str, places: list[float]) -> None:
    chunks = load(name).chunks
    assert feed(chunks, sorted(int(place * len(chunks)) for place in places)) == list(messages_of(name))


@pytest.mark.parametrize("size", [1, 127, 129, 1460, 4096, 4097])
def test_pieces_of_one_size(size: int) -> None:
    chunks = load("ffmpeg51-bframes-pub").chunks
    assert feed(chunks, list(range(0, len(chunks), size))) == list(messages_of("ffmpeg51-bframes-pub"))


@pytest.mark.parametrize("name", CLASSES)
def test_classification(name: str) -> None:
    media = messages_of(name)
    video = [video_flags(message.payload) for message in media if message.type == MessageType.VIDEO]
    audio = [audio_flags(message.payload) for message in media if message.type == MessageType.AUDIO]
    assert not any(flags & (UNKNOWN | DISPOSABLE) for flags in video + audio)
    video_counts = count(video, SEQUENCE_HEADER, KEYFRAME, CODED_FRAME, CODEC_METADATA, END_OF_SEQUENCE)
    assert video_counts + count(audio, SEQUENCE_HEADER, CODED_FRAME, CODEC_METADATA) == CLASSES[name]


def count(flags: list[int], *bits: int) -> tuple[int, ...]:
    return tuple(sum(1 for value in flags if value & bit) for bit in bits)


@pytest.mark.parametrize("name", names(role="pub"))
def test_every_publisher_describes_its_media(name: str) -> None:
    infos = [video_info(m.payload) for m in messages_of(name) if m.type == MessageType.VIDEO]
    infos_audio = {audio_info(m.payload) for m in messages_of(name) if m.type == MessageType.AUDIO} - {None}
    opus = AudioInfo("Opus", 48000, 2)
    assert infos_audio == ({opus} if "opus" in name else {AudioInfo("mp4a", 44100, 2, "LC")})
    for info in infos:
        assert info is None or info.codec not in {"avc1", "hvc1"} or (info.width, info.height) == (320, 240)


@pytest.mark.parametrize("name", names(role="pub"))
def test_metadata_names_the_codecs(name: str) -> None:
    metadata = metadata_of(name)
    four_ccs = {"av1": b"av01", "hevc": b"hvc1", "vp9": b"vp09"}
    video = next((int.from_bytes(four_cc, "big") for word, four_cc in four_ccs.items() if word in name), 7)
    assert metadata.get("videocodecid") == (None if "audio" in name else video)
    assert metadata.get("audiocodecid") == (int.from_bytes(b"Opus", "big") if "opus" in name else 10)
    assert metadata.get("width") == (None if "audio" in name else 320)


@pytest.mark.parametrize("name", names(role="pub"))
def test_metadata_is_an_ecma_array_behind_set_data_frame(name: str) -> None:
    data = [m.payload for m in messages_of(name) if m.type == MessageType.DATA_AMF0]
    assert all(payload.startswith(b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x08") for payload in data)


def test_timestamps_of_each_publisher_grow_slowly() -> None:
    for name in names(role="pub"):
        for kind in (MessageType.AUDIO, MessageType.VIDEO):
            times = [message.timestamp for message in messages_of(name) if message.type == kind]
            assert times == sorted(times)
            assert all(time < 4000 for time in times)


@pytest.mark.parametrize(
    ("name", "timestamp"),
    [
        ("obs29-pub", 2932),
        ("obs29-pub-srs", 2832),
        ("ffmpeg51-bframes-pub", 3534),
        ("ffmpeg51-eof-pub", 2990),
        ("ffmpeg90-hevc-pub", 2990),
        ("gst122-rtmp2sink-pub", 3133),
        ("gst122-rtmpsink-pub", 3175),
    ],
)
def test_timestamp_of_the_last_video_message(name: str, timestamp: int) -> None:
    assert [m.timestamp for m in messages_of(name) if m.type == MessageType.VIDEO][-1] == timestamp


def test_media_are_on_the_published_stream() -> None:
    for name in names(role="pub"):
        assert {message.stream_id for message in messages_of(name) if message.type in MEDIA} == {1}


def test_composition_times_of_b_frames() -> None:
    def of(name: str) -> set[int]:
        video = (m.payload for m in messages_of(name) if m.type == MessageType.VIDEO)
        return {parse_video(payload).composition_time for payload in video}

    assert of("obs29-pub") == {0, 33, 66, 100, 133, 166}
    assert of("ffmpeg51-bframes-pub") == {0, 33, 34, 66, 67, 100, 133, 134}
    assert of("ffmpeg51-eof-pub") == {0}


def test_obs_says_its_chunk_size_before_connect() -> None:
    first, second = messages_of("obs29-pub")[:2]
    assert first.type == MessageType.SET_CHUNK_SIZE
    assert parse_command(second, LIMITS).name == "connect"
    connect = connect_of("obs29-pub")
    assert connect.connect_object["supportsGoAway"] is True
    assert connect.swf_url == connect.tc_url == "rtmp://127.0.0.1:1935/live"


def test_ffmpeg_appends_values_to_connect_when_told_to() -> None:
    assert connect_of("ffmpeg51-options-pub").args == ("extra", 1.0, True)
    assert connect_of("ffmpeg51-pub").args == ()


def test_only_ffmpeg_asked_for_it_announces_four_ccs() -> None:
    announced = {name: four_ccs for name in names() if (four_ccs := connect_of(name).four_cc_list)}
    assert announced == {
        "ffmpeg90-av1-pub": ("av01",),
        "ffmpeg90-hevc-pub": ("hvc1",),
        "ffmpeg90-vp9-pub": ("vp09",),
    }


def test_gstreamer_leaves_out_what_others_send() -> None:
    assert connect_of("gst122-rtmpsrc-play").flash_ver == ""
    assert connect_of("gst122-rtmp2sink-pub").tc_url == "rtmp://127.0.0.1/live"
    assert connect_of("ffmpeg51-pub").tc_url == "rtmp://127.0.0.1:1935/live"
    assert commands_of("gst122-rtmp2sink-pub")["deleteStream"].args == ("gst122-rtmp2sink",)


def test_ffmpeg_ends_avc_with_an_empty_packet() -> None:
    video = [m for m in messages_of("ffmpeg51-eof-pub") if m.type == MessageType.VIDEO]
    assert video[-1].payload == b"\x17\x02\0\0\0"


def test_headers_are_as_the_encoder_was_set() -> None:
    headers = {
        video_info(m.payload) for m in messages_of("gst122-rtmp2sink-pub") if m.type == MessageType.VIDEO
    }
    assert headers - {None} == {VideoInfo("avc1", 320, 240, "High 4:4:4", "1.3", 30.0)}
