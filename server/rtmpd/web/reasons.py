"""Every reason that a counter can have, so that its series is there, at 0, before the first event.

``rate()`` and ``increase()`` cannot see the step from no series at all to 1, and the first refusal is the one
that somebody looks for. tests/docs holds these lists to what the code raises and to docs/operations.md.
"""

from __future__ import annotations

from typing import Final

HANDSHAKE_FAILURES: Final = (
    "eof_in_handshake",
    "http",
    "not_rtmp",
    "proxy",
    "rtmpe",
    "tls",
    "version",
)

SESSION_FAILURES: Final = (
    "amf_depth",
    "amf_externalizable",
    "amf_malformed",
    "amf_marker",
    "amf_reference",
    "amf_trailing",
    "amf_truncated",
    "amf_values",
    "app_too_long",
    "bad_aggregate",
    "bad_command",
    "bad_connect",
    "bad_control",
    "bad_data",
    "chunk_size",
    "chunk_streams",
    "command_before_connect",
    "command_rate",
    "connect_timeout",
    "connect_twice",
    "control_rate",
    "early_media",
    "field_too_long",
    "first_media_timeout",
    "handshake_timeout",
    "header_mid_message",
    "idle",
    "message_before_connect",
    "message_too_long",
    "no_header",
    "partial_bytes",
    "partial_message_timeout",
    "play_on_publish",
    "publish_twice",
    "publisher_idle",
    "query_too_long",
    "request_timeout",
    "stray_media",
    "tc_url_too_long",
    "too_many_calls",
    "too_many_streams",
    "unknown_stream",
)

REFUSALS: Final = (
    "authorizer_failed",
    "connect_rate",
    "files",
    "max_connections",
    "max_connections_per_address",
    "max_pending",
    "max_pending_per_address",
    "memory",
    "name_character",
    "name_empty",
    "name_level",
    "name_reserved",
    "name_too_long",
    "play_rate",
    "players",
    "players_per_stream",
    "publish_rate",
    "publishers",
    "publishers_per_address",
    "relay_hops",
    "relay_loop",
    "shutdown",
    "stream_busy",
    "track_choices",
    "waiting_names",
    "waiting_names_per_address",
)
