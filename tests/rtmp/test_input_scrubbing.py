"""What clients sent is shown with its framing, and without their secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_captures import CAPTURES

from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.chunk_listener import ChunkListener
from rtmpd.rtmp.chunk_writer import ChunkWriter
from rtmpd.rtmp.input_scrubbing import blanked
from rtmpd.rtmp.messages import Message

HANDSHAKE = b"\x03" + bytes(3072)
KEY = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
SENT = sorted(CAPTURES.glob("*.c2s.bin"))


def said(*messages: Message, chunk_size: int = 128) -> bytes:
    writer = ChunkWriter()
    start = b""
    if chunk_size != 128:
        start = writer.write(Message(1, 0, 0, chunk_size.to_bytes(4, "big")), 2)
    return HANDSHAKE + start + b"".join([writer.write(each, 3) for each in messages])


def command(*values: object) -> Message:
    return Message(20, 0, 0, encode_values(*values))


def heard(data: bytes) -> list[tuple[int, int, int]]:
    return [
        (each.csid, each.length, each.message.type) for each in ChunkListener().hear(data[len(HANDSHAKE) :])
    ]


@pytest.mark.parametrize("capture", SENT, ids=lambda path: path.stem)
def test_what_encoders_sent_is_still_of_the_same_messages(capture: Path) -> None:
    data = capture.read_bytes()[: 64 * 1024]
    shown = blanked(data)
    assert len(shown) == len(data)
    assert heard(shown) == heard(data)
    assert b"rtmp://" not in shown


@pytest.mark.parametrize("chunk_size", [128, 7, 4096])
def test_secrets_are_blanked_out_wherever_chunks_cut_them(chunk_size: int) -> None:
    connect = {
        "app": f"live/{KEY}",
        "tcUrl": f"rtmp://user:{KEY}@localhost/live?token={KEY}",
        "flashVer": "FMLE/3.0",
        KEY: True,
        "more": [KEY, {"deep": KEY}],
    }
    data = said(
        command("connect", 1.0, connect),
        command("publish", 2.0, None, f"show?key={KEY}", "live"),
        command(KEY, 3.0, None),
        Message(18, 0, 1, encode_values("@setDataFrame", "onMetaData", {"encoder": "obs", "title": KEY})),
        Message(17, 0, 0, b"\0" + encode_values("play", 4.0, None, KEY)),
        Message(22, 0, 1, KEY.encode()),
        chunk_size=chunk_size,
    )
    shown = blanked(data)
    assert heard(shown) == heard(data)
    whole = b"".join([each.message.payload for each in ChunkListener().hear(shown[len(HANDSHAKE) :])])
    for part in range(len(KEY) - 7):
        assert KEY[part : part + 8].encode() not in whole
    for word in (
        b"connect",
        b"publish",
        b"live",
        b"flashVer",
        b"FMLE/3.0",
        b"onMetaData",
        b"encoder",
        b"obs",
    ):
        assert word in whole
    assert (b"user" not in whole, b"show" not in whole, b"localhost" not in whole) == (True, True, True)


def test_media_and_protocol_control_stay_as_they_are() -> None:
    video = bytes(range(32, 127)) * 3
    data = said(Message(9, 40, 1, video), Message(8, 40, 1, video), Message(5, 0, 0, b"abcd"))
    assert blanked(data) == data


@pytest.mark.parametrize(
    "rest",
    [
        bytes([0xC7]) + KEY.encode(),  # A chunk that continues nothing.
        said(command("play", 1.0, None, KEY))[len(HANDSHAKE) : -4],  # A message that has not come whole.
        said(Message(20, 0, 0, b"\x02\x00\x04play\x42" + KEY.encode()))[len(HANDSHAKE) :],  # No AMF0.
        said(Message(20, 0, 0, b"\x03\x00\x01a" * 40 + b"\x02\x00\x21" + KEY.encode()))[len(HANDSHAKE) :],
        said(Message(99, 0, 0, KEY.encode()))[len(HANDSHAKE) :],
    ],
)
def test_where_nothing_is_known_all_that_looks_like_a_text_goes(rest: bytes) -> None:
    shown = blanked(HANDSHAKE + rest)
    assert len(shown) == len(HANDSHAKE + rest)
    assert KEY[:8].encode() not in shown
    assert KEY[-8:].encode() not in shown


def test_what_is_no_rtmp_says_what_it_is_and_nothing_else() -> None:
    request = f"GET /live/show?key={KEY} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode()
    shown = blanked(request)
    assert (shown[:4], len(shown), KEY.encode() in shown) == (b"GET ", len(request), False)
    assert shown.endswith(b"\r\n\r\n")
    hello = b"\x16\x03\x01\x00\xa5\x01" + bytes(20) + b"live.example.com"
    assert blanked(hello) == hello[:-16] + b"*" * 16
    assert blanked(b"") == b""
    assert blanked(HANDSHAKE[:100]) == HANDSHAKE[:100]
