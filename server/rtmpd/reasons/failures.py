"""Why something failed: peers, files, and servers that are asked over HTTP."""

from __future__ import annotations

from typing import TypeAlias

from rtmpd.reasons.word import Word


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
    # HTTP
    WEBSOCKET = "websocket", "a frame of a WebSocket that cannot be read, or is none that players send"
    REQUESTS_TOO_LONG = (
        "requests_too_long",
        "requests by HTTP of more than 64 KiB, bodies aside, that are not whole or wait for their answers",
    )
    CHATTER = "chatter", "a player over HTTP that sends more than 16 KiB, and 1 KiB a second"
    NOT_FLV = "not_flv", "a body of a `POST` that is no FLV, has an encrypted tag, or cannot be read"
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
