"""Why packets do not go where they were meant to go.

Not in ``stats``, where they are counted, because that is compiled: mypyc knows no enum with an ``__init__``.
"""

from __future__ import annotations

from typing import Final

from rtmpd.reasons import Word

_EVERYBODY: Final = "everybody"
_ONE_PLAYER: Final = "one player"
_ONE_SINK: Final = "one packet sink"


class DropReason(Word):
    """Why a packet did not go where it was meant to go."""

    lost_to: str

    def __init__(self, word: str, lost_to: str, meaning: str) -> None:
        super().__init__(word, meaning)
        self.lost_to = lost_to

    NO_HEADER = "no_header", _EVERYBODY, "a frame before the sequence header that its codec needs"
    NO_KEYFRAME = "no_keyframe", _EVERYBODY, "a video frame before the first key frame of the publish"
    HEADER_CAP = (
        "header_cap",
        _EVERYBODY,
        "a sequence header beyond `stream.headers.max_header_bytes`, `max_tracks` or `max_total_bytes`",
    )
    HEADER_RATE = (
        "header_rate",
        _EVERYBODY,
        "sequence headers or onMetaData that change more often than `stream.headers.max_updates`",
    )
    TRACK_CAP = (
        "track_cap",
        _EVERYBODY,
        "a message of one track more than `stream.headers.max_tracks`",
    )
    BEFORE_SWITCH = (
        "before_switch",
        _EVERYBODY,
        "a frame stamped earlier than the key frame with which its publish went on behind another one",
    )
    BAD_METADATA = (
        "bad_metadata",
        _EVERYBODY,
        "an onMetaData that cannot be read, or is larger than `stream.headers.max_header_bytes`",
    )
    WAITING_KEYFRAME = (
        "waiting_keyframe",
        _ONE_PLAYER,
        "it joined or resumed, and has had no key frame since",
    )
    SLOW_DISPOSABLE = "slow_disposable", _ONE_PLAYER, "past half its bound: a frame that no other refers to"
    SLOW_VIDEO = (
        "slow_video",
        _ONE_PLAYER,
        (
            "past its bound, `player.max_backlog_bytes` or `max_backlog_seconds`: each frame up to the key "
            "frame with which it comes back"
        ),
    )
    SLOW_AUDIO = "slow_audio", _ONE_PLAYER, "past its bound so far that not even audio fits"
    SLOW_DATA = "slow_data", _ONE_PLAYER, "the same of a data message that is no onMetaData"
    SINK_BEHIND = (
        "sink_behind",
        _ONE_SINK,
        "past its bound: everything until it has caught up, video up to the next key frame",
    )
    SINK_MEMORY = (
        "sink_memory",
        _ONE_SINK,
        "what waited for it while memory was short, caches had been given back, and it held most",
    )
