"""What is corrected in the times of frames that go into MP4.

A module of its own, because ``decode_time`` is compiled: mypyc knows no enum with an ``__init__``.
"""

from __future__ import annotations

from rtmpd.reasons import Word


class Correction(Word):
    """What has become of the time of a frame."""

    JUMP = "jump", "its timestamp is far from those before it: it and what follows were joined to them"
    ORDER = "order", "a picture stamped no later than the one before it: it is decoded right behind that"
    GAP = "gap", "sound that is missing: its frames do not last until this one"
    OVERLAP = (
        "overlap",
        "sound that lasts longer than its timestamps say, by more than 100 ms: a frame is left out",
    )
    EMPTY = "empty", "nothing in it that could be decoded: it is left out"
