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
    WAITING_NAMES = (
        "waiting_names",
        "nobody publishes the stream, and players wait for `stream.max_waiting_names` others already",
    )
    WAITING_NAMES_PER_ADDRESS = (
        "waiting_names_per_address",
        "the same, and the address waits for `stream.max_waiting_names_per_address` already",
    )
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


class Problem(Word):
    """Why the API did not do what it was asked to."""

    status: int
    """Of HTTP."""
    heading: str
    """The same sentence each time (RFC 9457); the detail says more."""

    def __init__(self, word: str, status: int, heading: str, meaning: str) -> None:
        super().__init__(word, meaning)
        self.status = status
        self.heading = heading

    NOT_REPLACED = "not_replaced", 409, "No other process has taken over.", "the server goes on as before"
    BAD_REQUEST = (
        "bad_request",
        400,
        "This request cannot be understood.",
        "a name, a parameter or a body that is not as the document has it; the detail names it",
    )
    TOKEN_MISSING = (
        "token_missing",
        401,
        "A token is needed here.",
        "who asks is not on this machine, or `admin.local` is `none`, and shows no token",
    )
    TOKEN_WRONG = (
        "token_wrong",
        401,
        "This token is not good here.",
        "a token that is none, or no more; a JWT that is not genuine, or not for this server",
    )
    TOKEN_EXPIRED = "token_expired", 401, "This token has expired.", "a token, or a JWT, past its time"
    ROLE = "role", 403, "This token may not do that.", "a change that somebody with the role `read` asked for"
    NOT_ALLOWED = (
        "not_allowed",
        403,
        "Changes are not taken from there.",
        "a change that a web page asked for which is not this server's own",
    )
    OUT_OF_SCOPE = (
        "out_of_scope",
        403,
        "This concerns more than the streams of this token.",
        "who asks has to do with some streams only (`streams` of its token), and this is about all",
    )
    NO_SUCH_PATH = "no_such_path", 404, "There is nothing at this path.", "a path that the API does not have"
    STREAM_NOT_FOUND = (
        "stream_not_found",
        404,
        "There is no such stream.",
        "nobody publishes it, and nobody waits for it",
    )
    SESSION_NOT_FOUND = (
        "session_not_found",
        404,
        "There is no such session.",
        "it is over, or never was; its number is that of the log",
    )
    RECORD_NOT_FOUND = "record_not_found", 404, "No such record is kept.", "it goes on, or is long over"
    RECORDING_NOT_FOUND = (
        "recording_not_found",
        404,
        "There is no such recording.",
        "the file is gone, or never was, or is of a stream that the token has nothing to do with",
    )
    TARGET_NOT_FOUND = (
        "target_not_found",
        404,
        "There is no such push target.",
        "the stream is pushed to no target of this id now",
    )
    BAN_NOT_FOUND = "ban_not_found", 404, "There is no such ban.", "the network is not banned, or no more"
    PULL_NOT_FOUND = (
        "pull_not_found",
        404,
        "There is no such pull.",
        "the stream is not fetched now, or nothing says that it ever is, or it is not off",
    )
    KEY_NOT_FOUND = "key_not_found", 404, "There is no such stream key.", "it is gone, or never was"
    TOKEN_REFUSED = (
        "token_refused",
        403,
        "This JWT gives no stream key.",
        "it is not genuine, has expired, or is for other streams; or the app takes none",
    )
    METHOD = "method", 405, "This path takes other methods.", "`Allow` names those that it takes"
    TIMEOUT = (
        "timeout",
        408,
        "The request took too long.",
        "it did not come whole, or was not answered, within `admin.request_timeout`",
    )
    PREDECESSOR = (
        "predecessor",
        409,
        "The process before this one has not done it.",
        "who it is about stayed with that process, which does not answer, or does not know how",
    )
    NOT_HELD = (
        "not_held",
        409,
        "This stream is not held.",
        "it has an encoder, or is over: only the hold of one that was lost can be ended",
    )
    NOT_STORED = "not_stored", 409, "This is not stored.", "there is no `state.dir`, or it cannot be read"
    NOT_PLAYING = (
        "not_playing",
        409,
        "This session plays nothing.",
        "only who plays can be led to another stream",
    )
    NOT_LIVE = (
        "not_live",
        409,
        "There is nothing to go on with.",
        "nobody publishes the other stream, or it is the one that is played",
    )
    NOT_RECORDED = "not_recorded", 409, "This stream is not being recorded.", "start its recording first"
    RECORDING_BUSY = (
        "recording_busy",
        409,
        "This cannot be done with the recording now.",
        "it is being written, read or locked, or the disk does not do it, or nothing is to be done",
    )
    NOT_REVOKED = "not_revoked", 409, "This stream key is not revoked.", "it is good, or has expired"
    TARGET_OFF = (
        "target_off",
        409,
        "This push target, or pull, is switched off.",
        "it does not run, so it cannot be restarted; nor removed if the settings name it. Switch it on",
    )
    TOO_LARGE = "too_large", 413, "The body is too large.", "more than 64 KiB"
    NOT_JSON = "not_json", 415, "The body is no JSON.", "send it as `application/json`"
    OTHER_HOST = (
        "other_host",
        421,
        "This listener answers to other names.",
        "a loopback listener that was asked by a name which is not this machine's",
    )
    TARGET_REFUSED = (
        "target_refused",
        422,
        "This push target cannot be had.",
        "a URL that cannot be used, one that the stream is pushed to already, one too many, or too many off",
    )
    RECORDING_REFUSED = (
        "recording_refused",
        422,
        "This stream cannot be recorded.",
        "nothing says where recordings are kept, or it cannot be written there",
    )
    NETWORK_REFUSED = (
        "network_refused",
        422,
        "This network cannot be banned.",
        "a trusted proxy, an exempt network, this machine, a client without an address, or one too many",
    )
    KEY_REFUSED = (
        "key_refused",
        422,
        "This stream key cannot be added.",
        "one that is there already or is over already, or one too many",
    )
    TOO_MANY_DOWNLOADS = (
        "too_many_downloads",
        429,
        "Too many files are sent at a time.",
        "16 recordings and clips are being sent already",
    )
    NOTHING_KEPT = (
        "nothing_kept",
        404,
        "Nothing of this is kept.",
        "a stream without a [ring](clips.md), or without a key frame",
    )
    CLIPS_BUSY = (
        "clips_busy",
        429,
        "Too many clips or pictures are asked for.",
        "4 clips are being made or sent already, or 16 pictures made",
    )
    NO_MEMORY = (
        "no_memory",
        503,
        "There is no memory for this now.",
        "`memory.max_bytes` has no room for a clip so long, which is held twice while it is made",
    )
    NO_PICTURE = (
        "no_picture",
        501,
        "There is no picture of this.",
        "PyAV is not installed on the server, or cannot decode the key frame; the detail says which",
    )
    TOKENS_OFTEN = (
        "tokens_often",
        429,
        "Stream keys are asked for too often.",
        "more than 60 a minute for one address, or so many that are good; or the address is banned",
    )
    TOO_MANY_FOLLOWERS = (
        "too_many_followers",
        503,
        "As many follow something as may.",
        "`events.max_followers` read answers that do not end; one of them has to leave first",
    )
    SETTINGS_REFUSED = (
        "settings_refused",
        422,
        "These settings cannot be used.",
        "a mistake, or an address, a certificate or a file of keys that cannot be had; nothing has changed",
    )
    TOO_MANY_ATTEMPTS = (
        "too_many_attempts",
        429,
        "There were too many wrong tokens.",
        "the address may show none for a while, which `Retry-After` says in seconds; see [who may](#who-may)",
    )
    KEYS_UNAVAILABLE = (
        "keys_unavailable",
        503,
        "Nobody can tell now whether this token is genuine.",
        "a JWT, and the keys of its issuer cannot be had",
    )
    INTERNAL_ERROR = "internal_error", 500, "The server failed.", "a bug of rtmpd; the log has its traceback"
