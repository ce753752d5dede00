"""What peers do against the specification and are served all the same: a closed list, each counted."""

from __future__ import annotations

from rtmpd.reasons import Word


class Quirk(Word):
    TRAILING_BYTES = "trailing_bytes", "bytes that are no value after the last one of a command"
    OBJECT_END = "object_end", "a command whose last object lacks its end marker, or a part of it"
    SHORT_CONTROL = "short_control", "a control message too short to mean anything"
    AGGREGATE_REST = "aggregate_rest", "an aggregate that ends in what is no message; those before it count"
    DATA_AS_COMMAND = "data_as_command", "`@setDataFrame` or `@clearDataFrame` said as a command"
    MEDIA_STREAM_ID = (
        "media_stream_id",
        "media on a message stream that means nothing; the connection's only publish has it",
    )
    NO_CREATE_STREAM = "no_create_stream", "publish or play on a message stream that was never created"
    STOPPED_BY_FALSE = "stopped_by_false", "`publish(false)` or `play(false)`"
    PUBLISH_AGAIN = "publish_again", "publish of the name that the stream publishes already"
    CONNECT_ID = "connect_id", "a connect whose transaction id asks for no answer; it gets one"
    APP_IN_TC_URL = "app_in_tc_url", "a connect that names its application in tcUrl alone"
    REFUSED_CALL = (
        "refused_call",
        "a call over a limit, or that cannot be read, beside what is published or played",
    )
