from __future__ import annotations

from rtmpd.media import flv
from rtmpd.media.flv_recording import HOLD_BYTES, FlvRecording
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.messages import Message

AUDIO, VIDEO, DATA = 8, 9, 18
AVC_HEADER = bytes.fromhex("170000000001640028ff")
AAC_HEADER = bytes.fromhex("af001210")
KEYFRAME = b"\x17\x01\0\0\0K"
SOUND = b"\xaf\x01S"
METADATA = encode_values("onMetaData", {})


def record(*messages: tuple[int, int, bytes]) -> tuple[list[bytes], FlvRecording]:
    recording = FlvRecording()
    pieces = [recording.take(Message(kind, timestamp, 1, payload)) for kind, timestamp, payload in messages]
    return pieces, recording


def tags(data: bytes) -> list[tuple[int, int, bytes]]:
    reader = flv.FlvReader()
    found = [(tag.type, tag.timestamp, tag.payload) for tag in reader.receive_data(data)]
    assert not reader.incomplete
    return found


def test_a_recording_starts_at_0_with_the_right_flags() -> None:
    pieces, recording = record(
        (DATA, 0, METADATA),
        (AUDIO, 70_000, AAC_HEADER),
        (VIDEO, 70_000, AVC_HEADER),
        (VIDEO, 70_000, KEYFRAME),
        (AUDIO, 70_020, SOUND),
    )
    data = b"".join(pieces)
    assert recording.release() == b""
    assert data.startswith(flv.encode_header(True, True))
    assert tags(data) == [
        (DATA, 0, METADATA),
        (AUDIO, 0, AAC_HEADER),
        (VIDEO, 0, AVC_HEADER),
        (VIDEO, 0, KEYFRAME),
        (AUDIO, 20, SOUND),
    ]
    assert [bool(piece) for piece in pieces] == [False, False, True, True, True]


def test_one_medium_is_not_waited_with_for_ever() -> None:
    pieces, recording = record(*((AUDIO, 500 + number * 100, SOUND) for number in range(12)))
    assert [bool(piece) for piece in pieces] == [False] * 10 + [True] * 2
    assert b"".join(pieces).startswith(flv.encode_header(True, False))
    assert recording.header == flv.encode_header(True, False)


def test_nor_held_without_bound() -> None:
    pieces, _ = record(*((VIDEO, 0, KEYFRAME + bytes(HOLD_BYTES // 4)) for _ in range(5)))
    assert pieces[2] == b""
    assert len(pieces[3]) > HOLD_BYTES


def test_a_medium_that_comes_late_is_written_and_changes_the_header() -> None:
    pieces, recording = record((VIDEO, 0, KEYFRAME), (VIDEO, 1000, KEYFRAME), (AUDIO, 1010, SOUND))
    data = b"".join(pieces)
    assert data.startswith(flv.encode_header(False, True))
    assert recording.header == flv.encode_header(True, True)
    assert tags(data)[-1] == (AUDIO, 1010, SOUND)


def test_a_short_stream_is_released_at_its_end() -> None:
    pieces, recording = record((VIDEO, 9, KEYFRAME))
    assert pieces == [b""]
    assert tags(recording.release()) == [(VIDEO, 0, KEYFRAME)]
    assert recording.release() == b""


def test_nothing_makes_no_file() -> None:
    pieces, recording = record((DATA, 0, METADATA))
    assert (pieces, recording.release()) == ([b""], b"")


def test_what_the_server_says_to_its_player_is_left_out() -> None:
    pieces, _ = record(
        (DATA, 0, encode_values("|RtmpSampleAccess", True, True)),
        (VIDEO, 0, KEYFRAME),
        (AUDIO, 0, SOUND),
        (DATA, 40, encode_values("onTextData", {})),
    )
    assert [kind for kind, _, _ in tags(b"".join(pieces))] == [VIDEO, AUDIO, DATA]


def test_a_header_stamped_0_in_the_middle_does_not_throw_time_back() -> None:
    pieces, _ = record(
        (VIDEO, 5000, AVC_HEADER),
        (AUDIO, 5000, AAC_HEADER),
        (VIDEO, 5000, KEYFRAME),
        (VIDEO, 6000, KEYFRAME),
        (VIDEO, 0, AVC_HEADER),
        (AUDIO, 0, b"\xaf\x00\x11\x90"),
        (VIDEO, 6040, KEYFRAME),
    )
    assert [timestamp for _, timestamp, _ in tags(b"".join(pieces))] == [0, 0, 0, 1000, 1000, 1000, 1040]
