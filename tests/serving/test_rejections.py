"""Who was rejected for what it sends, and comes again."""

from __future__ import annotations

import pytest

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.rejections import Encoder, Rejections

KEY = StreamKey("live", "cam")
CAM = Encoder(KEY, "192.0.2.1", backup=False)
TOLD = "This stream takes H.264 video only, and you send HEVC: choose H.264 in the encoder."


def rejected(reason: Refusal = Refusal.VIDEO_CODEC) -> Rejections:
    rejections = Rejections()
    rejections.note(CAM, Refused(StatusCode.PUBLISH_REJECTED, TOLD, reason), 100.0)
    return rejections


def test_it_is_told_the_same_for_ten_seconds() -> None:
    rejections = rejected()
    with pytest.raises(Refused) as told:
        rejections.check(CAM, 102.5)
    assert (told.value.code, told.value.reason) == (StatusCode.PUBLISH_REJECTED, Refusal.VIDEO_CODEC)
    assert told.value.description == f"{TOLD} That was a moment ago: once it is mended, try again in 8 s."
    rejections.check(CAM, 110.0)


def test_obs_is_told_each_time_that_it_comes_again_by_itself() -> None:
    rejections = rejected()
    now, wait = 100.0, 2.0
    while now + wait < 140.0:  # It waits half as long again each time.
        now, wait = now + wait, wait * 1.5
        with pytest.raises(Refused):
            rejections.check(CAM, now)
    # Who stays away for longer may try.
    with pytest.raises(Refused, match=r"in 30 s\.$"):
        rejections.check(CAM, now + 16.0)
    rejections.check(CAM, now + 46.0)
    rejections.check(CAM, now + 46.0)


def test_it_is_said_to_nobody_else_and_of_no_other_stream() -> None:
    rejections = rejected()
    rejections.check(CAM._replace(network="192.0.2.2"), 100.0)
    rejections.check(CAM._replace(key=StreamKey("live", "desk")), 100.0)
    rejections.check(CAM._replace(backup=True), 100.0)


@pytest.mark.parametrize("reason", [Refusal.BITRATE, Refusal.KEYFRAME_INTERVAL])
def test_what_takes_seconds_to_be_seen_is_looked_at_anew(reason: Refusal) -> None:
    rejected(reason).check(CAM, 100.0)


def test_so_many_are_remembered_and_no_more() -> None:
    rejections = rejected()
    others = [CAM._replace(key=StreamKey("live", str(number))) for number in range(1001)]
    refusal = Refused(StatusCode.PUBLISH_REJECTED, TOLD, Refusal.RESOLUTION)
    for other in others[:1000]:
        rejections.note(other, refusal, 101.0)
    rejections.check(CAM, 102.0)
    with pytest.raises(Refused):
        rejections.check(others[0], 102.0)
    # That one has come again, so it is not the oldest any more.
    rejections.note(others[1000], refusal, 103.0)
    rejections.check(others[1], 104.0)
    with pytest.raises(Refused):
        rejections.check(others[0], 104.0)
