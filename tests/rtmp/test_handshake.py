"""Handshakes: golden digests, both layouts, what is refused and what is not."""

from __future__ import annotations

import pytest

from rtmpd.exceptions import HandshakeError, UsageError
from rtmpd.rtmp.handshake import (
    CLIENT_DIGEST_KEY,
    CLIENT_SIGNATURE_KEY,
    SERVER_DIGEST_KEY,
    SERVER_SIGNATURE_KEY,
    ClientHandshake,
    Layout,
    ServerHandshake,
    digest_offset,
    find_digest,
    imprint,
    sign,
)


def counted_bytes(size: int) -> bytes:
    return bytes((7 * i + 3) & 0xFF for i in range(size))


def block(version: str) -> bytes:
    return bytes(4) + bytes.fromhex(version) + counted_bytes(1536)[8:]


C1 = block("80000702")
S1 = block("04050001")
BODY = block("00000000")[:1504]

DIGESTS = [
    (
        C1,
        Layout.A,
        CLIENT_DIGEST_KEY,
        290,
        "0b441119ef46c4660e578ac88d3bf4c2d8901ff9a39c94bb92cb345f63928860",
    ),
    (
        C1,
        Layout.B,
        CLIENT_DIGEST_KEY,
        942,
        "8e211aefe949d44221d8905aa6154973bcab5ecb43dc582f65b1de1c2f94e4d5",
    ),
    (
        S1,
        Layout.A,
        SERVER_DIGEST_KEY,
        290,
        "b330fbd5abbf20bacdc87364069c111940b5c8273c3a360c430cf378980cedae",
    ),
    (
        S1,
        Layout.B,
        SERVER_DIGEST_KEY,
        942,
        "62d848235ce0ca8996a2fed778bc1895dc4b2e69fa934f9ef2faf08891d4ee61",
    ),
]
SIGNATURES = [
    (0, SERVER_SIGNATURE_KEY, "906ead054d28af5531a5c9b83fe621f8ca28d2ec1dd8de4d0e7d291d18c4e7d2"),
    (1, SERVER_SIGNATURE_KEY, "0388b7bd887640e621c8cc9f9b1cc37e2fd95a34a459cd4f86d4f0198a59b417"),
    (2, CLIENT_SIGNATURE_KEY, "8369a93055503ba3ec43a0b90ed1ab6e123bd78fb1e14ca42d2f59e0252b59ee"),
    (3, CLIENT_SIGNATURE_KEY, "692217ee38305f3f74b3971a6717676013e6f4fc0dee7523df8ed100a8067dde"),
]


@pytest.mark.parametrize(("plain", "layout", "key", "offset", "digest"), DIGESTS)
def test_golden_digests(plain: bytes, layout: Layout, key: bytes, offset: int, digest: str) -> None:
    marked = imprint(plain, layout, key)
    assert digest_offset(plain, layout) == digest_offset(marked, layout) == offset
    assert marked == plain[:offset] + bytes.fromhex(digest) + plain[offset + 32 :]
    assert find_digest(marked, key) == (layout, bytes.fromhex(digest))
    assert find_digest(plain, key) is None


@pytest.mark.parametrize(("row", "key", "signature"), SIGNATURES)
def test_golden_signatures(row: int, key: bytes, signature: str) -> None:
    assert sign(BODY, bytes.fromhex(DIGESTS[row][4]), key) == BODY + bytes.fromhex(signature)


def test_digest_offsets_end_inside_the_block() -> None:
    assert digest_offset(b"\xff" * 1536, Layout.A) == 4 * 255 % 728 + 12
    highest = bytearray(1536)
    for layout in Layout:
        highest[layout.value : layout.value + 4] = bytes((255, 255, 217, 0))
        assert digest_offset(bytes(highest), layout) == layout.value + 4 + 727
        assert digest_offset(bytes(highest), layout) + 32 <= 1536


# Server

SIMPLE_C1 = bytes((0, 1, 2, 3)) + block("00000000")[4:]


def test_simple_client_gets_an_echo_and_no_version() -> None:
    server = ServerHandshake(counted_bytes)
    reply = server.receive_data(b"\x03" + SIMPLE_C1)
    assert reply == b"\x03" + bytes(8) + counted_bytes(1528) + SIMPLE_C1
    assert (server.done, server.digest, server.leftover()) == (False, False, b"")
    assert server.receive_data(bytes(1536)) == b""
    assert (server.done, server.digest, server.leftover()) == (True, False, b"")


@pytest.mark.parametrize("layout", Layout)
def test_digest_client_gets_its_own_layout(layout: Layout) -> None:
    c1 = imprint(C1, layout, CLIENT_DIGEST_KEY)
    server = ServerHandshake(counted_bytes)
    reply = server.receive_data(b"\x03" + c1)
    assert server.digest
    assert len(reply) == 3073
    s1, s2 = reply[1:1537], reply[1537:]
    assert s1[4] >= 3
    found = find_digest(s1, SERVER_DIGEST_KEY)
    assert found is not None
    assert found[0] is layout
    start = digest_offset(c1, layout)
    assert s2 == sign(s2[:1504], c1[start : start + 32], SERVER_SIGNATURE_KEY)


def test_a_wrong_digest_is_answered_simply() -> None:
    server = ServerHandshake(counted_bytes)
    reply = server.receive_data(b"\x03" + C1)
    assert reply[5:9] == bytes(4)
    assert reply[1537:] == C1
    assert not server.digest


def test_c1_without_a_version_is_simple_whatever_it_holds() -> None:
    c1 = imprint(block("00000000"), Layout.A, CLIENT_DIGEST_KEY)
    server = ServerHandshake(counted_bytes)
    assert server.receive_data(b"\x03" + c1)[5:9] == bytes(4)
    assert not server.digest


@pytest.mark.parametrize(
    "c1", [SIMPLE_C1, imprint(C1, Layout.B, CLIENT_DIGEST_KEY)], ids=["simple", "digest"]
)
def test_server_byte_by_byte_and_every_split(c1: bytes) -> None:
    sent = b"\x03" + c1 + bytes(1536) + b"connect"
    whole = ServerHandshake(counted_bytes)
    reply = whole.receive_data(sent)
    assert (len(reply), whole.done, whole.leftover()) == (3073, True, b"connect")

    bytewise = ServerHandshake(counted_bytes)
    replies = [bytewise.receive_data(sent[i : i + 1]) for i in range(3073)]
    assert [i for i, piece in enumerate(replies) if piece] == [1536]
    assert replies[1536] == reply
    assert (bytewise.done, bytewise.leftover()) == (True, b"")

    for cut in (1, 2, *range(1530, 1545), *range(3060, len(sent))):
        server = ServerHandshake(counted_bytes)
        pieces = server.receive_data(sent[:cut])
        left = sent[3073:cut]
        if not server.done:
            pieces += server.receive_data(sent[cut:])
            left = b"connect"
        assert (pieces, server.done, server.leftover()) == (reply, True, left)


def test_what_c2_holds_does_not_matter() -> None:
    server = ServerHandshake(counted_bytes)
    server.receive_data(b"\x03" + imprint(C1, Layout.A, CLIENT_DIGEST_KEY))
    server.receive_data(b"\xee" * 1536)
    assert server.done


def test_server_is_not_fed_after_the_end() -> None:
    server = ServerHandshake(counted_bytes)
    server.receive_data(b"\x03" + SIMPLE_C1 + bytes(1536))
    with pytest.raises(UsageError):
        server.receive_data(b"\x02")


def test_no_data_is_no_error() -> None:
    assert ServerHandshake(counted_bytes).receive_data(b"") == b""


FOREIGN = [
    (b"GET / HTTP/1.1\r\n", "http", "HTTP"),
    (b"POST /open/1 HTTP/1.1\r\n", "http", "HTTP"),
    (b"OPTIONS * HTTP/1.1\r\n", "http", "HTTP"),
    (b"\x16\x03\x01\x02\x00\x01", "tls", "TLS"),
    (b"\x15\x03\x01\x00\x02", "tls", "TLS"),
    (b"\x06", "rtmpe", "RTMPE"),
    (b"\x08", "rtmpe", "RTMPE"),
    (b"\x09", "rtmpe", "RTMPE"),
    (b"\xf3\x00\x04\x7f\x00\x00\x01\x03", "proxy", "SRS"),
    (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "proxy", "PROXY"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "proxy", "PROXY"),
    (b"\x00", "version", "version 0"),
    (b"\x04", "version", "version 4"),
    (b"\x1f", "version", "version 31"),
    (b"SSH-2.0-x", "not_rtmp", "0x53"),
    (b"\xff", "not_rtmp", "0xff"),
]


@pytest.mark.parametrize(("data", "reason", "text"), FOREIGN)
def test_other_protocols_are_named_at_once(data: bytes, reason: str, text: str) -> None:
    for handshake in (ServerHandshake(counted_bytes), ClientHandshake(counted_bytes)):
        with pytest.raises(HandshakeError, match=text) as caught:
            handshake.receive_data(data)
        assert caught.value.reason == reason


def test_no_other_first_byte_passes() -> None:
    for first in range(256):
        if first != 3:
            with pytest.raises(HandshakeError):
                ServerHandshake(counted_bytes).receive_data(bytes((first,)))


# Client, and both together


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("digest", [False, True])
def test_both_sides_byte_by_byte(digest: bool, verify: bool) -> None:
    client = ClientHandshake(counted_bytes, digest=digest, verify=verify)
    server = ServerHandshake(counted_bytes)
    initial = client.initial()
    assert len(initial) == 1537
    assert initial[1:5] == bytes(4)
    assert (initial[5:9] != bytes(4)) is digest
    to_client = b"".join(server.receive_data(initial[i : i + 1]) for i in range(len(initial))) + b"\x02more"
    to_server = b"".join(client.receive_data(to_client[i : i + 1]) for i in range(3073))
    assert (client.done, client.digest, client.leftover()) == (True, digest, b"")
    assert len(to_server) == 1536
    server.receive_data(to_server + b"chunks")
    assert (server.done, server.digest, server.leftover()) == (True, digest, b"chunks")
    with pytest.raises(UsageError):
        client.receive_data(b"\x02")


def test_client_keeps_what_follows_s2() -> None:
    client = ClientHandshake(counted_bytes)
    s1 = block("00000000")
    assert client.receive_data(b"\x03" + s1) == b""
    assert client.leftover() == b""
    assert client.receive_data(client.initial()[1:] + b"\x02more") == s1
    assert client.leftover() == b"\x02more"


def test_client_digest_c2_is_signed() -> None:
    client = ClientHandshake(counted_bytes, digest=True)
    s1 = imprint(S1, Layout.B, SERVER_DIGEST_KEY)
    c2 = client.receive_data(b"\x03" + s1 + bytes(1536))
    assert client.digest
    assert c2 == sign(c2[:1504], bytes.fromhex(DIGESTS[3][4]), CLIENT_SIGNATURE_KEY)


@pytest.mark.parametrize("s1", [block("00000000"), S1], ids=["simple", "wrong digest"])
def test_client_with_a_digest_accepts_any_server_unless_told_to_verify(s1: bytes) -> None:
    client = ClientHandshake(counted_bytes, digest=True)
    assert client.receive_data(b"\x03" + s1 + bytes(1536)) == s1
    assert (client.done, client.digest) == (True, False)


def test_simple_client_echoes_a_server_that_names_a_version() -> None:
    s1 = imprint(S1, Layout.A, SERVER_DIGEST_KEY)
    client = ClientHandshake(counted_bytes)
    assert client.receive_data(b"\x03" + s1 + bytes(1536)) == s1


@pytest.mark.parametrize(
    ("digest", "s1", "reason"),
    [
        (False, block("00000000"), "echo"),
        (True, block("00000000"), "echo"),
        (True, S1, "digest"),
        (True, imprint(S1, Layout.A, SERVER_DIGEST_KEY), "signature"),
    ],
)
def test_verifying_client_refuses(digest: bool, s1: bytes, reason: str) -> None:
    client = ClientHandshake(counted_bytes, digest=digest, verify=True)
    with pytest.raises(HandshakeError) as caught:
        client.receive_data(b"\x03" + s1 + bytes(1536))
    assert caught.value.reason == reason
    assert not client.done
