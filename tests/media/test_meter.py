from __future__ import annotations

import pytest

from rtmpd.media.meter import Figures, StreamMeter
from rtmpd.rtmp.amf import encode_values
from rtmpd.rtmp.messages import Message

AUDIO, VIDEO, DATA = 8, 9, 18
AVC_HEADER = bytes.fromhex(
    "17000000000142c01fffe100176742c01fda014016ec0440000003004000000f03c60ca801000468ce0fc8"
)
AAC_HEADER = bytes.fromhex("af001210")
KEYFRAME = b"\x17\x01\0\0\0" + bytes(95)
INTER = b"\x27\x01\0\0\0" + bytes(45)
SOUND = b"\xaf\x01" + bytes(48)


def take(meter: StreamMeter, *messages: tuple[float, int, int, bytes]) -> list[bool]:
    return [
        meter.take(Message(kind, timestamp, 1, payload), now) for now, kind, timestamp, payload in messages
    ]


def test_codecs_come_from_the_headers() -> None:
    meter = StreamMeter()
    frames = take(
        meter,
        (0, DATA, 0, encode_values("onMetaData", {})),
        (0, VIDEO, 0, AVC_HEADER),
        (0, AUDIO, 0, AAC_HEADER),
        (1, VIDEO, 0, KEYFRAME),
    )
    assert frames == [False, False, False, True]
    look = meter.look(1.0)
    assert look.video is not None
    assert look.audio is not None
    assert (look.video.codec, look.video.width, look.video.height) == ("avc1", 1280, 720)
    assert (look.audio.codec, look.audio.sample_rate, look.audio.channels) == ("mp4a", 44100, 2)
    assert meter.first_frame_at == 1


def test_a_stream_without_headers_is_named_by_its_frames() -> None:
    meter = StreamMeter()
    take(meter, (0, VIDEO, 0, b"\x12" + bytes(9)), (0, AUDIO, 0, b"\x2f" + bytes(9)))
    look = meter.look(1.0)
    assert look.video is not None
    assert look.audio is not None
    assert (look.video.codec, look.audio.codec, look.audio.sample_rate) == ("h263", ".mp3", 44100)


def test_rates_are_over_the_last_two_seconds() -> None:
    meter = StreamMeter()
    looks: list[Figures] = []
    for second in range(6):
        fast = second < 3
        step = 0.04 if fast else 0.1
        count = 25 if fast else 10
        for number in range(count):
            take(meter, (second + number * step, VIDEO, 0, INTER))
        looks.append(meter.look(second + 1.0))
    assert [round(look.frames_per_second, 1) for look in looks] == [25, 25, 25, 17.5, 10, 10]
    assert looks[0].bits_per_second == pytest.approx(25 * 50 * 8)
    assert looks[5].bits_per_second == pytest.approx(10 * 50 * 8)
    assert (looks[5].frames, looks[5].bytes) == (105, 5250)


def test_what_comes_at_once_to_a_joiner_counts_for_as_long_as_it_lasts() -> None:
    """Eight seconds of cache in a moment, then live."""
    meter = StreamMeter()
    rates: list[tuple[float, float]] = []
    for number in range(200):
        take(meter, (0.001, VIDEO, 40 * number, INTER), (0.001, AUDIO, 40 * number, SOUND))
    for second in range(4):
        for number in range(25):
            time = second + number * 0.04
            take(meter, *((time, kind, 8000 + round(time * 1000), INTER[:50]) for kind in (VIDEO, AUDIO)))
        look = meter.look(second + 1.0)
        rates.append((look.frames_per_second, look.bits_per_second))
    assert [rate for rate, _ in rates] == pytest.approx([25] * 4, rel=0.05)
    assert [rate for _, rate in rates] == pytest.approx([2 * 25 * 50 * 8] * 4, rel=0.05)
    assert (look.frames, look.video_frames) == (600, 300)


def test_the_window_is_two_seconds() -> None:
    """Bytes that came two seconds ago count no more, those a moment later do."""
    meter = StreamMeter()
    take(meter, (0.0, VIDEO, 0, KEYFRAME))
    meter.look(0.5)
    take(meter, (0.75, VIDEO, 0, KEYFRAME))
    meter.look(1.0)
    assert meter.look(2.5).bits_per_second == pytest.approx(100 * 8 / 2.0)
    assert meter.look(2.999).bits_per_second == pytest.approx(100 * 8 / 2.499)
    assert meter.look(3.0).bits_per_second == 0


def test_nothing_yet() -> None:
    look = StreamMeter().look(5.0)
    assert (look.frames, look.bits_per_second, look.frames_per_second, look.video) == (0, 0, 0, None)


def test_key_frame_intervals_and_holes() -> None:
    meter = StreamMeter()
    take(
        meter,
        (0, VIDEO, 1000, KEYFRAME),
        (0, AUDIO, 990, SOUND),
        (0, VIDEO, 1040, INTER),
        (0, VIDEO, 3000, KEYFRAME),
        (0, VIDEO, 2990, INTER),
        (0, AUDIO, 1990, SOUND),
        (0, AUDIO, 2991, SOUND),
    )
    look = meter.look(1.0)
    assert (look.keyframe_interval_ms, look.gaps, look.regressions) == (2000, 2, 1)
    assert look.media_ms == 2010


def test_timestamps_wrap() -> None:
    meter = StreamMeter()
    take(meter, (0, VIDEO, 0xFFFFFFF0, KEYFRAME), (0, VIDEO, 24, KEYFRAME))
    look = meter.look(1.0)
    assert (look.keyframe_interval_ms, look.media_ms, look.gaps, look.regressions) == (40, 40, 0, 0)
