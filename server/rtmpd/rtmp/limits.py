"""What one peer may cost us. Frozen settings for a Session; the daemon fills them from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rtmpd.rtmp.amf_scan import MAX_DEPTH, MAX_VALUES
from rtmpd.rtmp.constants import MessageType
from rtmpd.rtmp.messages import MAX_AGGREGATE_PARTS
from rtmpd.rtmp.rates import Rate

_MEDIA: Final = frozenset(
    {
        MessageType.AUDIO,
        MessageType.VIDEO,
        MessageType.AGGREGATE,
        MessageType.DATA_AMF0,
        MessageType.DATA_AMF3,
    }
)


@dataclass(frozen=True)
class Limits:
    """Limits of one connection (sizes in bytes, timeouts in seconds, rates per second).

    What follows from them is made once and shared by all connections: tables and rates.
    """

    handshake_timeout: float = 10.0
    """From accept to a complete connect command: handshake and connect share one deadline."""
    request_timeout: float = 20.0
    """From connect to the first publish or play."""
    partial_message_timeout: float = 20.0
    """From the first byte of a message to its last."""
    ping_interval: float = 60.0
    """A peer silent for this long gets a Ping Request; 0 sends none."""
    ping_timeout: float = 30.0
    """A pinged player that sends nothing at all for this long is closed."""
    min_chunk_size: int = 128
    """Smallest chunk size a peer may set; smaller costs CPU per byte."""
    max_chunk_streams: int = 64
    max_message_bytes: int = 10 * 1024 * 1024
    """Audio, video and aggregate messages."""
    max_command_bytes: int = 64 * 1024
    """Command, shared object and control messages."""
    max_data_bytes: int = 1024 * 1024
    """Data messages (onMetaData and the like)."""
    max_partial_bytes: int = 12 * 1024 * 1024
    """Declared lengths of all incomplete messages of several chunks together."""
    max_early_media_bytes: int = 4096
    """Audio, video, data and aggregate messages before the first publish is accepted."""
    max_message_streams: int = 8
    max_calls: int = 100
    """Commands before the first publish or play."""
    max_control_messages: int = 100
    """Control messages, and commands after the first publish or play, in a second."""
    max_command_cost: int = 200
    """What decoding the peer's commands may cost in a second: 1 each, 1 for 512 bytes, 1 for 8 values. Twice
    as much may be spent at once."""
    max_messages: int = 5000
    """Messages of any kind in a second, averaged over the burst window below."""
    max_messages_burst: int = 20000
    max_messages_per_turn: int = 1000
    """Messages taken in one turn of the caller's loop; the others have to wait for the next."""
    max_stray_media: int = 100
    """Media messages outside a publish that are dropped before the connection is closed."""
    min_window_bytes: int = 64 * 1024
    """Smaller acknowledgement windows asked for by a peer are raised to this."""
    max_pings: int = 10
    """Ping Requests answered in a second; more are ignored."""
    max_aggregate_parts: int = MAX_AGGREGATE_PARTS
    """Messages in one aggregate."""
    max_amf_depth: int = MAX_DEPTH
    max_amf_values: int = MAX_VALUES
    """Values in a data message."""
    max_command_values: int = 256
    """Values in a command; a connect of today has less than 60."""
    max_app_bytes: int = 128
    max_name_bytes: int = 256
    max_query_bytes: int = 2048
    max_tc_url_bytes: int = 1024
    max_field_bytes: int = 4096
    """flashVer, swfUrl and pageUrl, each."""

    @property
    def max_path_bytes(self) -> int:
        """Of an app and a name together, with the slash between them: what a client may call its app.

        Some count all levels but the last to the app, and some the last as well.
        """
        return self.max_app_bytes + 1 + self.max_name_bytes

    @property
    def shortest_timeout(self) -> float:
        """How long every deadline of a session is away when it begins, at least (seconds)."""
        return min(
            self.handshake_timeout,
            self.request_timeout,
            self.partial_message_timeout,
            self.ping_interval or self.ping_timeout,
            self.ping_timeout,
        )

    @cached_property
    def message_lengths(self) -> list[int]:
        """The longest payload accepted, by message type id."""
        lengths = [self.max_command_bytes] * 256
        for message_type in (MessageType.AUDIO, MessageType.VIDEO, MessageType.AGGREGATE):
            lengths[message_type] = self.max_message_bytes
        for message_type in (MessageType.DATA_AMF0, MessageType.DATA_AMF3):
            lengths[message_type] = self.max_data_bytes
        return lengths

    @cached_property
    def early_message_lengths(self) -> list[int]:
        """The same of whoever has no reason to send media yet."""
        lengths = self.message_lengths.copy()
        for message_type in _MEDIA:
            lengths[message_type] = min(lengths[message_type], self.max_early_media_bytes)
        return lengths

    @cached_property
    def message_rate(self) -> Rate:
        """Messages of any kind."""
        return Rate(self.max_messages, self.max_messages_burst)

    @cached_property
    def control_rate(self) -> Rate:
        """Control messages, and commands once something is served."""
        return Rate(self.max_control_messages, self.max_control_messages)

    @cached_property
    def command_rate(self) -> Rate:
        """What commands cost."""
        return Rate(self.max_command_cost, 2 * self.max_command_cost)

    @cached_property
    def ping_rate(self) -> Rate:
        """Ping Requests that are answered."""
        return Rate(self.max_pings, self.max_pings)
