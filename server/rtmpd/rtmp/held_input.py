"""What a peer has sent and nobody has looked at yet."""

from __future__ import annotations

from typing import Final

from rtmpd.rtmp.messages import Message

_MESSAGE_BYTES: Final = 128
"""What a message takes beside its payload."""


class HeldInput:
    """Put off until a request has its answer, or for a while: messages, then the bytes that came behind."""

    __slots__ = ("data", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.data: list[bytes] = []

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum([len(message.payload) + _MESSAGE_BYTES for message in self.messages]) + sum(
            [len(piece) for piece in self.data]
        )
