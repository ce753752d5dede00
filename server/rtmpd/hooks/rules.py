"""What the settings say of a backend: when it is called, in which dialect, and what if it gives no answer.

Every start imports this for the defaults; what speaks to a backend is imported with the first there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rtmpd.reasons import Word

MAX_PUSHES: Final = 16
"""Push targets in one answer."""


class Moment(Word):
    """When a backend is called: the key of ``hooks`` that names whom."""

    CONNECT = "on_connect", "a client connects; before any media"
    PUBLISH = "on_publish", "an encoder wants to publish"
    PLAY = "on_play", "a player wants to play"
    UPDATE = "on_update", "a publish or a play goes on"
    PUBLISH_DONE = "on_publish_done", "a publish that was allowed has ended, or did not come about"
    PLAY_DONE = "on_play_done", "the same of a play"
    DONE = "on_done", "the same of either"
    DISCONNECT = "on_disconnect", "a connection that was allowed has ended"
    RECORD_DONE = "on_record_done", "a file of a recording is whole and has its name"
    FORWARD = "on_forward", "where a publish that was allowed is to be pushed"


class DialectName(StrEnum):
    NATIVE = "native"
    NGINX_RTMP = "nginx-rtmp"
    SRS = "srs"
    MEDIAMTX = "mediamtx"


class OnError(StrEnum):
    """What a question without an answer comes to."""

    DENY = "deny"
    ALLOW = "allow"
    CACHED = "cached"


@dataclass(frozen=True, slots=True)
class HookRules:
    """Whom to ask what, and what if nobody answers."""

    dialect: DialectName = DialectName.NATIVE
    urls: Mapping[Moment, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Of several all are asked, one after the other, and each has to allow."""
    get: bool = False
    """nginx-rtmp's form goes into the URL."""
    decides: bool = False
    """Its yes is as good as a proof."""
    on_error: OnError = OnError.DENY
    timeout: float = 5.0
    """Seconds for one question, whomever it takes."""
    ttl: float = 0.0
    """Seconds for which an answer holds for the same question, unless it says otherwise."""
    update_interval: float = 30.0
    """Seconds."""
    ca_file: str = ""
    max_failures: int = 5
    retry_after: float = 10.0
    """Seconds that it is left alone after so many failures in a row."""
