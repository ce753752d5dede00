"""The handshake, both sides: simple (RTMP 1.0, section 5.2) and with digests, as Flash Player does it.

A digest decides only the shape of the answer: nobody is refused for one, and nothing that a peer echoes
is compared unless a client asks for it (``verify``).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import Enum
from typing import Final

from rtmpd.exceptions import HandshakeError, UsageError
from rtmpd.reasons import HandshakeFailure, VerificationFailure

VERSION: Final = 3
BLOCK_BYTES: Final = 1536
"""Length of C1, S1, C2 and S2."""
DIGEST_BYTES: Final = 32
SIGNED_BYTES: Final = BLOCK_BYTES - DIGEST_BYTES
"""What the signature at the end of a digest S2 or C2 covers."""

_HEADER_BYTES: Final = 8
_CRUD: Final = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_CLIENT_NAME: Final = b"Genuine Adobe Flash Player 001"
_SERVER_NAME: Final = b"Genuine Adobe Flash Media Server 001"
CLIENT_DIGEST_KEY: Final = _CLIENT_NAME
CLIENT_SIGNATURE_KEY: Final = _CLIENT_NAME + _CRUD
SERVER_DIGEST_KEY: Final = _SERVER_NAME
SERVER_SIGNATURE_KEY: Final = _SERVER_NAME + _CRUD

_SIMPLE_VERSION: Final = bytes(4)
_CLIENT_VERSION: Final = bytes((10, 0, 45, 2))
"""The Flash Player that librtmp says it is."""
_SERVER_VERSION: Final = bytes((4, 5, 0, 1))
"""FFmpeg's player checks digests from version 3 on, Flash Player 10 asks for them."""

RandomBytes = Callable[[int], bytes]


class Layout(Enum):
    """Where a digest block keeps its digest; the value is where the four bytes that say so are."""

    A = 8
    """Digest block first, then the key block."""
    B = 772
    """Key block first."""


def digest_offset(block: bytes, layout: Layout) -> int:
    """Position of the digest in a C1 or S1 of ``layout``."""
    pointer = layout.value
    return pointer + 4 + sum(block[pointer : pointer + 4]) % 728


def find_digest(block: bytes, key: bytes) -> tuple[Layout, bytes] | None:
    """The layout of a C1 or S1 and the digest it holds, or None if neither layout has a valid one."""
    for layout in Layout:
        start = digest_offset(block, layout)
        found = block[start : start + DIGEST_BYTES]
        if hmac.compare_digest(found, _digest(block, start, key)):
            return layout, found
    return None


def imprint(block: bytes, layout: Layout, key: bytes) -> bytes:
    """``block`` with its digest in place."""
    start = digest_offset(block, layout)
    return block[:start] + _digest(block, start, key) + block[start + DIGEST_BYTES :]


def sign(body: bytes, peer_digest: bytes, key: bytes) -> bytes:
    """The S2 or C2 made of 1504 bytes of ``body``: they prove that the peer's C1 or S1 digest was seen."""
    return body + hmac.digest(hmac.digest(key, peer_digest, "sha256"), body, "sha256")


def _digest(block: bytes, start: int, key: bytes) -> bytes:
    return hmac.digest(key, block[:start] + block[start + DIGEST_BYTES :], "sha256")


class ServerHandshake:
    """Reads C0 C1 C2, answers S0 S1 S2."""

    def __init__(self, random_bytes: RandomBytes) -> None:
        self.done: bool = False
        self.digest: bool = False
        """True once the client turned out to use the digest handshake."""
        self._random_bytes = random_bytes
        self._buffer: bytes = b""
        self._answered: bool = False

    def receive_data(self, data: bytes) -> bytes:
        """What to send now: S0 S1 S2 in one piece when C1 is complete, else nothing.

        They must leave in one write: some encoders reset the connection otherwise. Raises
        ``HandshakeError`` from the first byte on, and ``UsageError`` once done.
        """
        if self.done:
            raise UsageError("the handshake is done: these bytes belong to the chunk stream")
        # At most C0 C1 C2 and what one read brought: joining is as cheap as anything.
        self._buffer += data
        reply = b""
        if not self._answered:
            _check_version(self._buffer)
            if len(self._buffer) < 1 + BLOCK_BYTES:
                return b""
            reply = self._answer(self._buffer[1 : 1 + BLOCK_BYTES])
            self._buffer = self._buffer[1 + BLOCK_BYTES :]
            self._answered = True
        if len(self._buffer) >= BLOCK_BYTES:
            self._buffer = self._buffer[BLOCK_BYTES:]
            self.done = True
        return reply

    def leftover(self) -> bytes:
        """The bytes after C2, which clients send along with it; empty until done."""
        return self._buffer if self.done else b""

    def _answer(self, c1: bytes) -> bytes:
        found = None
        if c1[4:8] != _SIMPLE_VERSION:
            found = find_digest(c1, CLIENT_DIGEST_KEY)
        body = self._random_bytes(BLOCK_BYTES - _HEADER_BYTES)
        if found is None:
            # A version other than 0 would make FFmpeg's player demand a digest.
            s1 = bytes(4) + _SIMPLE_VERSION + body
            s2 = c1
        else:
            layout, c1_digest = found
            self.digest = True
            s1 = imprint(bytes(4) + _SERVER_VERSION + body, layout, SERVER_DIGEST_KEY)
            s2 = sign(self._random_bytes(SIGNED_BYTES), c1_digest, SERVER_SIGNATURE_KEY)
        return bytes((VERSION,)) + s1 + s2


class ClientHandshake:
    """Sends C0 C1, reads S0 S1 S2, answers C2.

    ``digest`` asks for the digest handshake and still accepts a simple answer. ``verify`` checks what the
    server sends: digest and signature where its S1 names a version, else that S2 echoes C1.
    The client's time goes out as 0: that of one which has run for 14 to 18 hours would be the version of a
    TLS record, whose rest a TLS server waits for instead of hanging up.
    """

    def __init__(self, random_bytes: RandomBytes, *, digest: bool = False, verify: bool = False) -> None:
        self.done: bool = False
        self.digest: bool = False
        """True once the server has answered with a digest of its own."""
        self._random_bytes = random_bytes
        self._verify = verify
        self._offers_digest = digest
        self._buffer: bytes = b""
        body = random_bytes(BLOCK_BYTES - _HEADER_BYTES)
        if digest:
            self._c1: bytes = imprint(bytes(4) + _CLIENT_VERSION + body, Layout.A, CLIENT_DIGEST_KEY)
        else:
            self._c1 = bytes(4) + _SIMPLE_VERSION + body

    def initial(self) -> bytes:
        """C0 and C1, to be sent first."""
        return bytes((VERSION,)) + self._c1

    def receive_data(self, data: bytes) -> bytes:
        """What to send now: C2 when S0 S1 S2 are complete, else nothing.

        Raises ``HandshakeError`` from the first byte on, and ``UsageError`` once done.
        """
        if self.done:
            raise UsageError("the handshake is done: these bytes belong to the chunk stream")
        self._buffer += data
        _check_version(self._buffer)
        end = 1 + 2 * BLOCK_BYTES
        if len(self._buffer) < end:
            return b""
        s1 = self._buffer[1 : 1 + BLOCK_BYTES]
        s2 = self._buffer[1 + BLOCK_BYTES : end]
        c2 = self._answer(s1, s2)
        self._buffer = self._buffer[end:]
        self.done = True
        return c2

    def leftover(self) -> bytes:
        """The bytes after S2; empty until done."""
        return self._buffer if self.done else b""

    def _answer(self, s1: bytes, s2: bytes) -> bytes:
        found = None
        if self._offers_digest and s1[4:8] != _SIMPLE_VERSION:
            found = find_digest(s1, SERVER_DIGEST_KEY)
            if self._verify:
                if found is None:
                    raise HandshakeError(
                        VerificationFailure.DIGEST,
                        "the server's S1 names a version but holds no valid digest",
                    )
                self._check_signature(s2)
        elif self._verify and s2[_HEADER_BYTES:] != self._c1[_HEADER_BYTES:]:
            raise HandshakeError(VerificationFailure.ECHO, "the server's S2 does not echo our C1")
        if found is None:
            return s1
        self.digest = True
        return sign(self._random_bytes(SIGNED_BYTES), found[1], CLIENT_SIGNATURE_KEY)

    def _check_signature(self, s2: bytes) -> None:
        start = digest_offset(self._c1, Layout.A)
        c1_digest = self._c1[start : start + DIGEST_BYTES]
        if not hmac.compare_digest(s2, sign(s2[:SIGNED_BYTES], c1_digest, SERVER_SIGNATURE_KEY)):
            raise HandshakeError(VerificationFailure.SIGNATURE, "the server's S2 is not signed for our C1")


def _check_version(data: bytes) -> None:
    """Raise ``HandshakeError`` for a first byte other than 3, naming what sends such a one."""
    if not data or data[0] == VERSION:
        return
    first = data[0]
    if first in (0x15, 0x16):
        raise HandshakeError(
            HandshakeFailure.TLS, f"TLS record (first byte {first:#04x}) where plain RTMP was expected"
        )
    if first in (6, 8, 9):
        raise HandshakeError(
            HandshakeFailure.RTMPE, f"RTMPE (version {first}), which is not supported: use RTMPS"
        )
    if first == 0xF3:
        raise HandshakeError(
            HandshakeFailure.PROXY, "SRS proxy header (first byte 0xf3) where RTMP was expected"
        )
    if first == 0x0D or data.startswith(b"PROXY"):
        raise HandshakeError(HandshakeFailure.PROXY, "PROXY protocol header where RTMP was expected")
    if first in b"CDGHOPT":
        raise HandshakeError(
            HandshakeFailure.HTTP, f"HTTP request or answer (first byte {chr(first)!r}) instead of RTMP"
        )
    if first < 0x20:
        raise HandshakeError(HandshakeFailure.VERSION, f"RTMP version {first}, only {VERSION} is supported")
    raise HandshakeError(HandshakeFailure.NOT_RTMP, f"not RTMP: first byte {first:#04x}")
