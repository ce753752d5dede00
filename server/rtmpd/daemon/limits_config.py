"""The settings of ``[rtmp.limits]``."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from rtmpd.daemon.fields import Count, Effect, Positive, Seconds, Section, Size, Timeout, require_order
from rtmpd.engine.limits import EngineLimits
from rtmpd.rtmp.constants import MAX_MESSAGE_LENGTH
from rtmpd.rtmp.limits import Limits
from rtmpd.serving.server import ConnectionLimits

# The rooms below own their defaults.
_LIMITS: Final = Limits()
_CONNECTIONS: Final = ConnectionLimits()
_ENGINE: Final = EngineLimits()

# The server looks at these whenever somebody comes or asks; the others are a session's for its life.
_PositiveAtOnce = Annotated[Positive, Effect.AT_ONCE]
_CountAtOnce = Annotated[Count, Effect.AT_ONCE]
_TimeoutAtOnce = Annotated[Timeout, Effect.AT_ONCE]


class SilenceConfig(Section):
    """How long encoders of the app may send nothing, as in [rtmp.limits]."""

    first_media_timeout: _TimeoutAtOnce = _ENGINE.first_media_timeout
    """From the permission to publish to the first audio or video."""
    idle_publisher_timeout: _TimeoutAtOnce = _ENGINE.idle_publisher_timeout
    """Longest time without audio and video of a publisher, once there was some; then it is closed and its
    name is free again."""


class LimitsConfig(SilenceConfig):
    """What one connection, one address and all connections together may cost the server."""

    effect = Effect.CONNECTIONS
    max_connections: _PositiveAtOnce = _CONNECTIONS.max_connections
    """RTMP connections of all kinds together."""
    max_connections_per_address: _PositiveAtOnce = _CONNECTIONS.max_connections_per_address
    """RTMP connections from one IPv4 address or one IPv6 /64 network; at most max_connections. High, because
    the audience of an office or of a mobile network shares one address."""
    max_pending: _PositiveAtOnce = _CONNECTIONS.max_pending
    """Connections that have not been granted a publish or a play yet, together: room for an audience
    that arrives all at once, and a bound to what strangers can hold open. One more costs the address
    that has most of them its oldest one; of the addresses of an IPv6 /48, which count together, if
    those have most."""
    max_pending_per_address: _PositiveAtOnce = _CONNECTIONS.max_pending_per_address
    """The same from one address, so that one stranger cannot lock the others out; at most max_pending."""
    max_connects_per_minute: _CountAtOnce = _CONNECTIONS.max_connects_per_minute
    """Connections that one address may open on average, half of them at once: room for an audience
    behind one address that comes back all at once; 0 is any number."""
    max_publishes_per_minute: _CountAtOnce = _CONNECTIONS.max_publishes_per_minute
    """Publishes that one address may ask for on average, all of them at once; granted or not; 0 is any
    number."""
    max_plays_per_minute: _CountAtOnce = _CONNECTIONS.max_plays_per_minute
    """Plays that one connection may ask for on average, a sixth of them at once; 0 is any number."""
    handshake_timeout: Timeout = _LIMITS.handshake_timeout
    """From accept to a complete connect command; the handshake has no other deadline."""
    request_timeout: Timeout = _LIMITS.request_timeout
    """From connect to the first publish or play."""
    partial_message_timeout: Timeout = _LIMITS.partial_message_timeout
    """From the first byte of a message to its last."""
    ping_interval: Seconds = _LIMITS.ping_interval
    """A peer that has been silent for this long is pinged; 0 pings nobody."""
    ping_timeout: Timeout = _LIMITS.ping_timeout
    """A pinged peer that stays silent for this long is closed."""
    min_chunk_size: Annotated[Size, Field(ge=1, le=65536)] = _LIMITS.min_chunk_size
    """Smallest chunk size a peer may choose: every chunk costs CPU."""
    max_chunk_streams: Positive = _LIMITS.max_chunk_streams
    """Chunk streams of one connection."""
    max_message_bytes: Annotated[Size, Field(ge=4096, le=MAX_MESSAGE_LENGTH)] = _LIMITS.max_message_bytes
    """Largest audio, video or aggregate message. A key frame of 4K video can pass 1 MiB."""
    max_command_bytes: Annotated[Size, Field(ge=1024, le=MAX_MESSAGE_LENGTH)] = _LIMITS.max_command_bytes
    """Largest command, shared object or control message."""
    max_data_bytes: Annotated[Size, Field(ge=1024, le=MAX_MESSAGE_LENGTH)] = _LIMITS.max_data_bytes
    """Largest data message (onMetaData and the like)."""
    max_partial_bytes: Size = _LIMITS.max_partial_bytes
    """What half-received messages of one connection may say they are long, together; at least
    max_message_bytes."""
    max_early_media_bytes: Annotated[Size, Field(le=MAX_MESSAGE_LENGTH)] = _LIMITS.max_early_media_bytes
    """Largest audio, video, data or aggregate message from who has not been allowed to publish."""
    max_message_streams: Positive = _LIMITS.max_message_streams
    """Message streams (publishes and plays) of one connection at a time."""
    max_calls: Positive = _LIMITS.max_calls
    """Commands before the first publish or play."""
    max_control_messages: Positive = _LIMITS.max_control_messages
    """Protocol control messages of one connection in a second; commands once it publishes or plays too."""
    max_command_cost: Positive = _LIMITS.max_command_cost
    """What the commands of one connection may cost in a second: each counts 1, and 1 more for every
    512 bytes and for every 8 values in it. Twice as much may come at once."""
    max_command_cost_per_address: Count = _CONNECTIONS.max_command_cost_per_address
    """The same for all connections from one address together, which wait for each other when it is spent; 0
    is any cost."""
    max_messages: Positive = _LIMITS.max_messages
    """Messages of one connection in a second, on average; a faster one is read more slowly."""
    max_messages_burst: Positive = _LIMITS.max_messages_burst
    """Messages that a connection may send at once before that average counts."""
    max_messages_per_turn: Positive = _LIMITS.max_messages_per_turn
    """Messages of one connection that are taken at once before it is the others' turn."""
    max_stray_media: Count = _LIMITS.max_stray_media
    """Media messages outside a publish that are ignored before the connection is closed."""
    min_window_bytes: Size = _LIMITS.min_window_bytes
    """Smaller acknowledgement windows that a peer asks for are raised to this."""
    max_pings: Positive = _LIMITS.max_pings
    """Pings of one connection that are answered in a second; the others are ignored."""
    max_aggregate_parts: Positive = _LIMITS.max_aggregate_parts
    """Messages in one aggregate message."""
    max_amf_depth: Positive = _LIMITS.max_amf_depth
    """Nesting of the values in a command or data message."""
    max_amf_values: Positive = _LIMITS.max_amf_values
    """Values in one data message."""
    max_command_values: Positive = _LIMITS.max_command_values
    """Values in one command. A connect has less than 60."""
    max_app_bytes: Positive = _LIMITS.max_app_bytes
    """Length of an application name."""
    max_name_bytes: Positive = _LIMITS.max_name_bytes
    """Length of a stream name (in most encoders: the stream key)."""
    max_query_bytes: Positive = _LIMITS.max_query_bytes
    """Length of what follows the ? in an application or stream name."""
    max_tc_url_bytes: Positive = _LIMITS.max_tc_url_bytes
    """Length of the URL that a peer says it connects to."""
    max_field_bytes: Positive = _LIMITS.max_field_bytes
    """Length of each other text of a connect: flashVer, swfUrl and pageUrl."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        require_order(self, "rtmp.limits", "max_message_bytes", "max_partial_bytes")
        require_order(self, "rtmp.limits", "max_connections_per_address", "max_connections")
        require_order(self, "rtmp.limits", "max_pending_per_address", "max_pending")
        return self

    def to_connection_limits(self) -> ConnectionLimits:
        """The part that the server enforces at its door."""
        names = [field.name for field in fields(ConnectionLimits)]
        return ConnectionLimits(**{name: getattr(self, name) for name in names})

    def to_limits(self) -> Limits:
        """The part that a Session enforces by itself."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})
