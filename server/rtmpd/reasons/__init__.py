"""Why something failed or was refused: closed lists of words for metrics and logs, each with what it means.

What a word means is printed in docs/operations.md: ``make docs`` writes its tables from these lists and from
those that stand elsewhere, each where it is known. Words are stable: dashboards and alerts are made of them.
"""

from __future__ import annotations

from enum import StrEnum

from rtmpd.reasons.failures import (
    Failure,
    FlvFailure,
    HandshakeFailure,
    HttpFailure,
    SessionFailure,
    VerificationFailure,
)
from rtmpd.reasons.problems import Problem
from rtmpd.reasons.word import Word

__all__ = [
    "Failure",
    "Fault",
    "FlvFailure",
    "HandshakeFailure",
    "HttpFailure",
    "Problem",
    "Refusal",
    "SessionFailure",
    "VerificationFailure",
    "Word",
]


class Fault(StrEnum):
    """Who is to blame for a refusal: docs/service-levels.md says what that is for."""

    CLIENT = "client"
    """Whoever asks, or a rule that the operator made for them."""
    SERVER = "server"
    """This server, what it depends on, or a ceiling of all of it."""


class Refusal(Word):
    """A well-formed request that is not granted."""

    fault: Fault

    def __init__(self, word: str, meaning: str, fault: Fault = Fault.CLIENT) -> None:
        super().__init__(word, meaning)
        self.fault = fault

    # At the door
    MAX_CONNECTIONS = "max_connections", "there are `rtmp.limits.max_connections` already", Fault.SERVER
    MAX_CONNECTIONS_PER_ADDRESS = (
        "max_connections_per_address",
        "the address has `rtmp.limits.max_connections_per_address` already",
    )
    MAX_PENDING = (
        "max_pending",
        "there were `rtmp.limits.max_pending` that publish and play nothing yet, and it had to make room",
    )
    MAX_PENDING_PER_ADDRESS = (
        "max_pending_per_address",
        "the address has `rtmp.limits.max_pending_per_address` that publish and play nothing yet",
    )
    CONNECT_RATE = (
        "connect_rate",
        "the address opens connections more often than `rtmp.limits.max_connects_per_minute`",
    )
    FILES = (
        "files",
        "the process may open no more files, but for a reserve that the admin port, relays and the log have",
        Fault.SERVER,
    )
    SHUTDOWN = "shutdown", "the server is about to end", Fault.SERVER
    BANNED = (
        "banned",
        (
            "the address has failed to prove who it is [too often](#who-fails-again-and-again), "
            "or is banned [by hand](api.md#bans)"
        ),
    )
    # The name
    NAME_EMPTY = "name_empty", "an app or stream name that is empty"
    NAME_TOO_LONG = (
        "name_too_long",
        "an app of more than `rtmp.limits.max_app_bytes`, or a stream name of more than `max_name_bytes`",
    )
    NAME_CHARACTER = "name_character", "a name with a character that [none may have](#names-of-streams)"
    NAME_LEVEL = "name_level", "a name with a level that is empty, `.` or `..`"
    NAME_RESERVED = (
        "name_reserved",
        "a name with an `@`, which marks names that the server makes up itself",
    )
    # Who asks
    ADDRESS_REFUSED = "address_refused", "the address is in `deny_ips` of the stream, or not in its `ips`"
    KEY_WRONG = "key_wrong", "`?key=` is there, and is no key of that stream"
    KEY_EXPIRED = "key_expired", "a stream key past its `until`"
    START_OVER = (
        "start_over",
        "the token of a start of [OBS](obs.md) that is over, or of an earlier process: OBS asks for another",
    )
    KEY_REVOKED = "key_revoked", "a stream key that somebody in charge has [revoked](api.md#stream-keys)"
    KEY_AS_NAME = "key_as_name", "a play whose stream name is a key for publishing"
    USER_ASKED = (
        "user_asked",
        "no failure: an encoder is asked for its [user](#users), twice, before it says its password",
    )
    AUTHENTICATION_FAILED = "authentication_failed", "a user whom there is none of, or a wrong password"
    LINK_MALFORMED = "link_malformed", "a [signed URL](signed-urls.md) without a whole `exp` and `sig`"
    LINK_SIGNATURE = (
        "link_signature",
        "a signed URL for another stream or action, changed, or signed with another secret",
    )
    LINK_EXPIRED = "link_expired", "a signed URL past its `exp`"
    LINK_LIFETIME = "link_lifetime", "a signed URL that is good for longer than the app allows"
    LINK_ADDRESS = "link_address", "a signed URL for another address"
    JWT_MALFORMED = "jwt_malformed", "a [JWT](jwt.md) that is none, or longer than 8 KiB"
    JWT_ALGORITHM = (
        "jwt_algorithm",
        "a JWT signed by an algorithm that is not allowed, or not what its key is for",
    )
    JWT_SIGNATURE = "jwt_signature", "a JWT whose signature is not the issuer's"
    JWT_KEY_UNKNOWN = "jwt_key_unknown", "a JWT signed with a key that the issuer does not publish"
    JWT_KEYS_UNAVAILABLE = (
        "jwt_keys_unavailable",
        "a JWT, and the issuer's keys could not be fetched: never, not for a day, or not since a new one",
        Fault.SERVER,
    )
    JWT_AUDIENCE = "jwt_audience", "a JWT of another issuer, or for another audience"
    JWT_EXPIRED = "jwt_expired", "a JWT past its `exp`, or without one"
    JWT_NOT_YET = "jwt_not_yet", "a JWT before its `nbf`"
    JWT_NAMES = "jwt_names", "a JWT that does not allow this stream or action"
    TOKEN_OVER = (
        "token_over",
        "a playlist of [HLS](hls.md) by a token that is over, or of another stream, or without any",
    )
    NOT_THE_CDN = "not_the_cdn", "[HLS](hls.md) for a CDN alone, and its secret is not there"
    NOT_PROVEN = (
        "not_proven",
        "the stream wants a key or another proof, and there is none, or a wrong key for a stream name",
    )
    NOT_LOCAL = (
        "not_local",
        "the address is of [no local network](#who-may-publish-and-play), and there are no keys",
    )
    NOBODY = "nobody", "`allow` is `nobody`"
    # What it sends
    VIDEO_CODEC = "video_codec", "video of a codec that is not in `video_codecs` of the stream"
    AUDIO_CODEC = "audio_codec", "audio of a codec that is not in `audio_codecs` of the stream"
    RESOLUTION = "resolution", "pictures larger than `max_width` and `max_height` of the stream"
    BITRATE = "bitrate", "more than `max_kbps` of the stream, over 10 seconds"
    KEYFRAME_INTERVAL = (
        "keyframe_interval",
        "key frames further apart than `max_keyframe_interval` of the stream",
    )
    # The stream
    STREAM_BUSY = "stream_busy", "the name has a publisher, an encoder or a pull relay"
    # Relays
    RELAY_LOOP = "relay_loop", "a relay whose stream has come through this server before"
    RELAY_HOPS = "relay_hops", "a relay whose stream has come through more than 16 servers on one way"
    # Rates and ceilings
    PUBLISH_RATE = (
        "publish_rate",
        "the address asks to publish more often than `rtmp.limits.max_publishes_per_minute`",
    )
    PLAY_RATE = "play_rate", "the connection asks to play more often than `rtmp.limits.max_plays_per_minute`"
    PUBLISHERS = "publishers", "there are `stream.max_streams` publishers already", Fault.SERVER
    PUBLISHERS_PER_ADDRESS = (
        "publishers_per_address",
        "the address has `stream.max_streams_per_address` publishers already",
    )
    PUBLISHERS_PER_APP = (
        "publishers_per_app",
        "there are `max_publishers` of [`apps.NAME.publish`](#how-many-and-how-long) already",
    )
    PLAYERS = "players", "there are `player.max_players` already", Fault.SERVER
    PLAYERS_PER_STREAM = "players_per_stream", "the stream has `player.max_players_per_stream` already"
    PLAYERS_PER_APP = (
        "players_per_app",
        "there are `max_players` of [`apps.NAME.play`](#how-many-and-how-long) already",
    )
    TRACK_CHOICES = (
        "track_choices",
        "the players of the stream have chosen `stream.max_track_choices` sets of tracks already",
    )
    NO_TRACK = (
        "no_track",
        "the player asks for a [track](#tracks) by a name that none of the stream has",
    )
    WAITING_NAMES = (
        "waiting_names",
        "nobody publishes the stream, and players wait for `stream.max_waiting_names` others already",
    )
    WAITING_NAMES_PER_ADDRESS = (
        "waiting_names_per_address",
        "the same, and the address waits for `stream.max_waiting_names_per_address` already",
    )
    WAITS = (
        "waits",
        "too many requests of [HLS](hls.md) wait for what comes next, of the address or the stream",
    )
    VIEWERS_PER_ADDRESS = "viewers_per_address", "5,000 watch from the address by [HLS](hls.md)"
    FILE_UNREADABLE = (
        "file_unreadable",
        "a [file](files.md) that is to be played is no FLV, may not be read, or was not opened in 8 seconds",
        Fault.SERVER,
    )
    START = "start", "a play that wants to [begin in the past](clips.md#rewind), and says no time"
    MEMORY = (
        "memory",
        "as much is held as `memory.max_bytes` allows, and nothing is left to give back",
        Fault.SERVER,
    )
    BACKEND_REFUSED = "backend_refused", "the [backend](hooks.md) of the app said no"
    BACKEND_FAILED = (
        "backend_failed",
        "the [backend](hooks.md) of the app gave no answer, and its `on_error` does not allow",
        Fault.SERVER,
    )
    AUTHORIZER_FAILED = (
        "authorizer_failed",
        "whoever decides failed, or took much longer than it may",
        Fault.SERVER,
    )
    CLAIM_FAILED = (
        "claim_failed",
        "who knows the names of other servers, where there are any, failed or took longer than 10 seconds",
        Fault.SERVER,
    )
