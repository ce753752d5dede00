"""A publisher's handle on its stream: where ingest begins."""

from __future__ import annotations

from typing import Protocol

from rtmpd.engine.subscriber import CloseReason
from rtmpd.rtmp.messages import Message


class Publisher(Protocol):
    """Joint to whoever publishes: a connection, a pull relay."""

    def close(self, reason: CloseReason) -> None:
        """The engine has ended the publication: end the connection."""


class Publication:
    """One publisher's time on a stream, returned by ``Registry.claim``.

    Attributes for readers: ``stream``, ``publisher``, ``started_at`` (clock reading), ``closed``.
    """

    def receive(self, message: Message, now: float) -> None:
        """Take in an audio, video or data message (types 8, 9, 18, 15). Never raises on what a peer sends.

        Ignored once the publication is closed.
        """
        raise NotImplementedError

    def close(self, reason: CloseReason) -> None:
        """End the publication: what is pending goes out, subscribers hear ``stream_ended``. Idempotent."""
        raise NotImplementedError
