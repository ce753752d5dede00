"""Recordings of encoders, sent again in their own time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

from golden_captures import load
from obs_kit import recording
from rtmpd_process import RtmpdProcess

from rtmpd.media.flv import encode_header, encode_tag
from rtmpd.media.tags import KEYFRAME, video_flags
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import Message

SECONDS = 6.5
"""How long the encoder took for the recording."""
_OPENING = 20
"""Messages among which all headers are, and whose time may be 0."""


class Replay(threading.Thread):
    """Sends a recording as OBS did: the same bytes in about the same time."""

    def __init__(self, server: RtmpdProcess, name: str) -> None:
        super().__init__(daemon=True)
        capture = load(f"obs32/obs32-{name}-pub")
        self._data = capture.handshake + capture.chunks
        self._socket = socket.create_connection(("127.0.0.1", server.port("rtmp")))

    def run(self) -> None:
        data, began = self._data, time.monotonic()
        sent = 0
        while sent < len(data):
            due = int(len(data) * min(1.0, (time.monotonic() - began) / SECONDS))
            self._socket.sendall(data[sent:due])
            sent = due
            # What the server says is not listened to, only taken.
            with contextlib.suppress(BlockingIOError):
                self._socket.recv(65536, socket.MSG_DONTWAIT)
            time.sleep(0.02)

    def close(self) -> None:
        self.join()
        self._socket.close()


def write_loop(name: str, path: Path) -> None:
    """A recording as an FLV that may begin again at its end: whole groups of pictures, and no end in it."""
    messages = recording(name)
    end = max(each.timestamp for each in messages if _is_key_frame(each))
    tags = [
        encode_tag(each.type, each.timestamp, bytes(each.payload))
        for number, each in enumerate(messages)
        # An end of a track comes last, and has no time.
        if each.timestamp < end and (each.timestamp or number < _OPENING)
    ]
    path.write_bytes(b"".join([encode_header(audio=True, video=True), *tags]))


def _is_key_frame(message: Message) -> bool:
    return message.type == MessageType.VIDEO and bool(video_flags(message.payload) & KEYFRAME)
