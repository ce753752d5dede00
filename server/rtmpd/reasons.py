"""Why something failed or was refused: closed lists of words for metrics and logs, each with what it means.

What a word means is printed in docs/operations.md: ``make docs`` writes its tables from these lists and from
those that stand elsewhere, each where it is known. Words are stable: dashboards and alerts are made of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self, TypeAlias


class Word(StrEnum):
    """One of a closed list of words: a metric label, a field of the log or of the API."""

    meaning: str
    """What is printed of it, in Markdown: no sentence, but a phrase."""

    def __new__(cls, word: str, *_texts: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        return member

    def __init__(self, _word: str, meaning: str) -> None:
        self.meaning = meaning


class HandshakeFailure(Word):
    """The peer did not begin as an RTMP client, or server, does."""

    HTTP = "http", "the first bytes are HTTP: a browser, a scanner or a health check"
    TLS = (
        "tls",
        "the first bytes are TLS: an encoder set to `rtmps://`, which belongs to [`rtmps.listen`](#tls)",
    )
    NOT_TLS = (
        "not_tls",
        "the first bytes at `rtmps.listen` are no TLS: an encoder set to `rtmp://`, or a scanner",
    )
    TLS_VERSION = "tls_version", "TLS older than `rtmps.min_version`, or without a cipher that both know"
    TLS_REFUSED = (
        "tls_refused",
        "the client broke TLS off with an alert: mostly it does not trust the [certificate](#tls)",
    )
    TLS_LEFT = "tls_left", "it left before the TLS handshake was over, or said nothing, as health checks do"
    TLS_FAILED = "tls_failed", "a TLS handshake that went wrong in another way"
    RTMPE = "rtmpe", "the first byte asks for RTMPE, an old encryption that is not supported: use RTMPS"
    PROXY = (
        "proxy",
        "the first bytes are a PROXY header, or SRS's form of one, [where none is taken](#behind-a-proxy)",
    )
    PROXY_UNTRUSTED = (
        "proxy_untrusted",
        "a PROXY header of whom `network.trusted_proxies` does not name; with `proxy=require` any client",
    )
    PROXY_MISSING = "proxy_missing", "a trusted proxy that sends no PROXY header where it must"
    PROXY_BROKEN = "proxy_broken", "a PROXY header that cannot be read, or of more than 2048 bytes"
    VERSION = "version", "the first byte asks for another version of RTMP"
    NOT_RTMP = "not_rtmp", "the first byte is nothing known"
    TIMEOUT = (
        "handshake_timeout",
        "no whole handshake within `rtmp.limits.handshake_timeout`; over TLS that of TLS has as long before",
    )
    EOF = (
        "eof_in_handshake",
        "it left in the middle. A peer that connects and leaves without a byte is no failure",
    )


class VerificationFailure(Word):
    """A client that was told to verify found the server's handshake wrong; never in a server's metrics."""

    DIGEST = "digest", "the server names a version in its S1, but S1 holds no valid digest"
    SIGNATURE = "signature", "its S2 is not signed for what the client sent"
    ECHO = "echo", "its S2 does not repeat what the client sent"


class SessionFailure(Word):
    """The peer missed a deadline, passed a limit or broke the protocol."""

    # Deadlines
    CONNECT_TIMEOUT = (
        "connect_timeout",
        "no connect within `rtmp.limits.handshake_timeout`, handshake included",
    )
    REQUEST_TIMEOUT = "request_timeout", "neither a publish nor a play for `rtmp.limits.request_timeout`"
    FIRST_MEDIA_TIMEOUT = (
        "first_media_timeout",
        "a publish that sent no audio and no video within `rtmp.limits.first_media_timeout`",
    )
    PUBLISHER_IDLE = (
        "publisher_idle",
        "a publish that sent no audio and no video any more for `rtmp.limits.idle_publisher_timeout`",
    )
    PARTIAL_MESSAGE_TIMEOUT = (
        "partial_message_timeout",
        "a message that was begun and not finished within `rtmp.limits.partial_message_timeout`",
    )
    IDLE = "idle", "no byte for `rtmp.limits.ping_interval`, and none for `ping_timeout` after a ping"
    # The chunk stream
    NO_HEADER = "no_header", "a chunk that refers to a header which its chunk stream has not had"
    HEADER_MID_MESSAGE = "header_mid_message", "a chunk with a header in the midst of a message"
    CHUNK_SIZE = "chunk_size", "a chunk size that is none, or is under `rtmp.limits.min_chunk_size`"
    CHUNK_STREAMS = "chunk_streams", "more than `rtmp.limits.max_chunk_streams`"
    MESSAGE_TOO_LONG = (
        "message_too_long",
        "a message beyond `rtmp.limits.max_message_bytes`, `max_command_bytes` or `max_data_bytes`",
    )
    EARLY_MEDIA = (
        "early_media",
        "media of more than `rtmp.limits.max_early_media_bytes` before a publish is granted",
    )
    PARTIAL_BYTES = (
        "partial_bytes",
        "incomplete messages that declare more than `rtmp.limits.max_partial_bytes` together",
    )
    # Messages
    BAD_CONTROL = "bad_control", "a control message that cannot be read"
    BAD_AGGREGATE = "bad_aggregate", "an aggregate of more than `rtmp.limits.max_aggregate_parts` messages"
    BAD_COMMAND = "bad_command", "a command without a name"
    BAD_CONNECT = "bad_connect", "a connect without its object"
    BAD_DATA = "bad_data", "a data message without a name"
    CONTROL_RATE = (
        "control_rate",
        "more control messages in a second than `rtmp.limits.max_control_messages`",
    )
    COMMAND_RATE = (
        "command_rate",
        "commands that cost more to decode in a second than `rtmp.limits.max_command_cost`",
    )
    STRAY_MEDIA = (
        "stray_media",
        "more media outside any publish, or messages that mean nothing, than `rtmp.limits.max_stray_media`",
    )
    # Texts
    APP_TOO_LONG = (
        "app_too_long",
        "an app of more than `rtmp.limits.max_app_bytes` and `max_name_bytes` together",
    )
    QUERY_TOO_LONG = "query_too_long", "a query of more than `rtmp.limits.max_query_bytes`"
    TC_URL_TOO_LONG = "tc_url_too_long", "a tcUrl of more than `rtmp.limits.max_tc_url_bytes`"
    FIELD_TOO_LONG = (
        "field_too_long",
        "a flashVer, swfUrl or pageUrl of more than `rtmp.limits.max_field_bytes`",
    )
    # AMF
    AMF_TRUNCATED = "amf_truncated", "AMF that ends in the middle of a value"
    AMF_MARKER = "amf_marker", "AMF with a value of a type that does not exist, or is never accepted"
    AMF_DEPTH = "amf_depth", "AMF nested more deeply than `rtmp.limits.max_amf_depth`"
    AMF_VALUES = (
        "amf_values",
        "AMF of more values than `rtmp.limits.max_command_values`, of data `max_amf_values`",
    )
    AMF_REFERENCE = "amf_reference", "AMF that refers to what is not there, to itself, or to too much"
    AMF_EXTERNALIZABLE = "amf_externalizable", "AMF3 with an object in a form of its own"
    AMF_TRAILING = "amf_trailing", "bytes behind an AMF3 value"
    AMF_MALFORMED = "amf_malformed", "AMF that is whole and cannot be decoded all the same"
    # Commands out of turn
    COMMAND_BEFORE_CONNECT = "command_before_connect", "a command that means nothing before connect"
    MESSAGE_BEFORE_CONNECT = "message_before_connect", "a message of another kind before connect"
    CONNECT_TWICE = "connect_twice", "a second connect"
    TOO_MANY_CALLS = (
        "too_many_calls",
        "more commands than `rtmp.limits.max_calls` without a publish or play",
    )
    TOO_MANY_STREAMS = "too_many_streams", "more message streams than `rtmp.limits.max_message_streams`"
    PUBLISH_TWICE = "publish_twice", "a publish on a message stream that publishes or plays already"
    PLAY_ON_PUBLISH = "play_on_publish", "a play on a message stream that publishes"
    UNKNOWN_STREAM = (
        "unknown_stream",
        "a publish or play on a message stream never created, beyond `rtmp.limits.max_message_streams`",
    )


class FlvFailure(Word):
    """A file is no FLV file that can be published; for whoever calls, and nowhere else."""

    NOT_FLV = "not_flv", "it does not begin as an FLV file does"
    ENCRYPTED_TAG = "encrypted_tag", "it has a tag that is encrypted"
    TAG_TOO_LARGE = "tag_too_large", "it has a tag beyond the limit"
    NO_MEDIA = "no_media", "it holds no audio and no video"
    UNREADABLE = "unreadable", "it cannot be read"


Failure: TypeAlias = HandshakeFailure | VerificationFailure | SessionFailure | FlvFailure
"""What a ``ProtocolError`` may have for a reason."""


class HttpFailure(Word):
    """A server that is asked over HTTP gives no answer."""

    TIMEOUT = "timeout", "no whole answer in time: it hangs, is slow, or is slow to be reached"
    UNREACHABLE = "unreachable", "no connection: its name is not known, nobody listens, or the network is cut"
    TLS = "tls", "it cannot be trusted: its certificate, or how it speaks TLS"
    TOO_LONG = "too_long", "an answer of more than 64 KiB"
    BROKEN = "broken", "the connection broke, or what came over it is not HTTP"
    SERVER_ERROR = "server_error", "an answer that says that it has failed: a status of 500 and above"
    UNREADABLE = "unreadable", "an answer that is none in the dialect that it is asked in"
    CIRCUIT_OPEN = "circuit_open", "not asked, as it has failed too often of late"


class Refusal(Word):
    """A well-formed request that is not granted."""

    # At the door
    MAX_CONNECTIONS = "max_connections", "there are `rtmp.limits.max_connections` already"
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
    )
    SHUTDOWN = "shutdown", "the server is about to end"
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
    PUBLISHERS = "publishers", "there are `stream.max_streams` publishers already"
    PUBLISHERS_PER_ADDRESS = (
        "publishers_per_address",
        "the address has `stream.max_streams_per_address` publishers already",
    )
    PUBLISHERS_PER_APP = (
        "publishers_per_app",
        "there are `max_publishers` of [`apps.NAME.publish`](#how-many-and-how-long) already",
    )
    PLAYERS = "players", "there are `player.max_players` already"
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
    MEMORY = "memory", "as much is held as `memory.max_bytes` allows, and nothing is left to give back"
    BACKEND_REFUSED = "backend_refused", "the [backend](hooks.md) of the app said no"
    BACKEND_FAILED = (
        "backend_failed",
        "the [backend](hooks.md) of the app gave no answer, and its `on_error` does not allow",
    )
    AUTHORIZER_FAILED = "authorizer_failed", "whoever decides failed, or took much longer than it may"
    CLAIM_FAILED = (
        "claim_failed",
        "who knows the names of other servers, where there are any, failed or took longer than 10 seconds",
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

    BAD_REQUEST = (
        "bad_request",
        400,
        "This request cannot be understood.",
        "a name, a parameter or a body that is not as the document has it; the detail names it",
    )
    NOT_ALLOWED = (
        "not_allowed",
        403,
        "Changes are not taken from there.",
        "a change that another machine, a web page or an unknown proxy asked for",
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
    TARGET_NOT_FOUND = (
        "target_not_found",
        404,
        "There is no such push target.",
        "the stream is pushed to no target of this id now",
    )
    BAN_NOT_FOUND = "ban_not_found", 404, "There is no such ban.", "the network is not banned, or no more"
    METHOD = "method", 405, "This path takes other methods.", "`Allow` names those that it takes"
    TIMEOUT = (
        "timeout",
        408,
        "The request took too long.",
        "it did not come whole, or was not answered, within `admin.request_timeout`",
    )
    NOT_HELD = (
        "not_held",
        409,
        "This stream is not held.",
        "it has an encoder, or is over: only the hold of one that was lost can be ended",
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
        "This push target cannot be added.",
        "a URL that cannot be used, one that the stream is pushed to already, or one too many",
    )
    NETWORK_REFUSED = (
        "network_refused",
        422,
        "This network cannot be banned.",
        "a trusted proxy, an exempt network, this machine, a client without an address, or one too many",
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
    INTERNAL_ERROR = "internal_error", 500, "The server failed.", "a bug of rtmpd; the log has its traceback"
