"""Payloads as init segments and fragments: what begins, what belongs together, what is left out."""

from __future__ import annotations

from engine_kit import inter, keyframe, sound
from fragment_kit import PICTURE, SMALLER, SOUND, SOUND_48, SPEEX, told

from rtmpd.media.correction import Correction
from rtmpd.media.fmp4 import init_segment
from rtmpd.media.tags import audio_flags, video_flags
from rtmpd.packaging.cutting import Cutter, Fragment, Init

A, V = 8, 9
Media = tuple[int, int, bytes]
STEP = 23.22
"""Milliseconds of a frame of sound."""


def cutter(
    *, part: float = 0.0, kinds: tuple[int, ...] = (V, A), expects: tuple[int, ...] = (V, A)
) -> Cutter:
    return Cutter(kinds, part, lambda kind: kind in expects, dict.fromkeys(Correction, 0))


def spell(made: list[Init | Fragment]) -> str:
    return " ".join(told(init_segment(each.tracks) if isinstance(each, Init) else each.data) for each in made)


def feed(cut: Cutter, *media: Media) -> str:
    """What comes of them."""
    made: list[Init | Fragment] = []
    for kind, time, payload in media:
        flags = video_flags(payload) if kind == V else audio_flags(payload)
        made += cut.take(kind, time, payload, flags)
    return spell(made)


HEADERS = ((V, 0, PICTURE), (A, 0, SOUND))


def second(time: int, name: str = "K", *, pictures: bool = True, sounds: bool = True) -> list[Media]:
    """Of a stream with a key frame and three others, and sound."""
    media: list[Media] = []
    if pictures:
        media += [(V, time, keyframe(name)), *[(V, time + n * 250, inter("P")) for n in (1, 2, 3)]]
    if sounds:
        media += [(A, time + round(n * STEP), sound("a")) for n in range(43)]
    return sorted(media, key=lambda each: each[1])


def test_it_begins_when_all_that_is_announced_has_come() -> None:
    cut = cutter()
    assert feed(cut, *HEADERS, (V, 0, keyframe("K")), (V, 40, inter("P"))) == ""
    assert feed(cut, (A, 20, sound("a"))) == "<video+audio> v:K@1000 v:P@1040 a:a@1020"
    assert feed(cut, (V, 80, inter("Q")), (A, 43, sound("b"))) == "v:Q@1080 a:b@1043"


def test_sound_before_the_first_picture_is_left_out() -> None:
    cut = cutter()
    text = feed(cut, *HEADERS, (A, 0, sound("a")), (A, 23, sound("b")), (V, 30, keyframe("K")))
    assert text == "<video+audio> v:K@1030"


def test_a_medium_that_does_not_flow_is_not_waited_for_for_long() -> None:
    cut = cutter()
    assert feed(cut, *HEADERS, (V, 0, keyframe("K")), (V, 900, inter("P"))) == ""
    assert feed(cut, (V, 1000, inter("Q"))) == "<video> v:K@1000 v:P@1900 v:Q@2000"


def test_pictures_are_waited_for_longer_than_sound() -> None:
    cut = cutter()
    sounds = [(A, round(n * STEP), sound("a")) for n in range(129)]
    assert feed(cut, *HEADERS, *sounds) == ""
    assert feed(cut, (A, 3000, sound("a")), (A, 3023, sound("a"))).startswith("<audio> a:a@1000 a:a@1023 ")


def test_what_is_not_announced_is_not_waited_for() -> None:
    assert feed(cutter(expects=(V,)), HEADERS[0], (V, 0, keyframe("K"))) == "<video> v:K@1000"
    assert feed(cutter(expects=(A,)), HEADERS[1], (A, 0, sound("a"))) == "<audio> a:a@1000"
    # Where nobody says anything both may come.
    assert feed(cutter(expects=()), HEADERS[0], (V, 0, keyframe("K"))) == ""


def test_one_medium_alone() -> None:
    cut = cutter(kinds=(A,))
    text = feed(cut, *HEADERS, (V, 0, keyframe("K")), (A, 10, sound("a")), (V, 40, inter("P")))
    assert text == "<audio> a:a@1000"


def test_another_size_begins_anew_with_its_key_frame() -> None:
    cut = cutter()
    feed(cut, *HEADERS, *second(0))
    assert feed(cut, (V, 1000, SMALLER), (V, 1000, inter("P"))) == "v:P@2000"
    assert feed(cut, (V, 1250, keyframe("K"))) == "<video+audio> v:K@2250"
    assert feed(cut, (V, 1500, SMALLER), (V, 1500, keyframe("K"))) == "v:K@2500"  # It is said again.


def test_another_sound_begins_with_the_next_key_frame() -> None:
    cut = cutter()
    feed(cut, *HEADERS, *second(0))
    assert feed(cut, (A, 1000, SOUND_48), (A, 1000, sound("b")), (V, 1010, inter("P"))) == "v:P@2010"
    assert feed(cut, (V, 1040, keyframe("K"))) == "<video+audio> v:K@2040"
    assert feed(cut, (A, 1043, sound("c"))).startswith("a:c@")


def test_sound_that_comes_later_begins_with_the_next_key_frame() -> None:
    cut = cutter()
    feed(cut, HEADERS[0], *second(0, sounds=False), *second(1000, sounds=False))
    assert feed(cut, (A, 2000, SOUND), (A, 2010, sound("a")), (V, 2020, inter("P"))) == "v:P@3020"
    assert feed(cut, (V, 2030, keyframe("K"))) == "<video+audio> v:K@3030"


def test_sound_that_stops_is_left_out_from_a_key_frame_on() -> None:
    cut = cutter()
    feed(cut, *HEADERS, *second(0))
    inits = [feed(cut, *second(time, sounds=False)).count("<") for time in range(1000, 9000, 1000)]
    assert inits == [0, 0, 0, 0, 0, 1, 0, 0]
    assert feed(cut, *second(9000)).startswith("v:K@10000 ")
    assert feed(cut, (V, 10_000, keyframe("K"))) == "<video+audio> v:K@11000"


def test_pictures_that_stop_leave_sound() -> None:
    cut = cutter()
    feed(cut, *HEADERS, *second(0))
    texts = [feed(cut, *second(time, pictures=False)) for time in range(1000, 9000, 1000)]
    assert ["<audio>" in text for text in texts].count(True) == 1
    assert feed(cut, (V, 9000, inter("P"))) == ""
    assert feed(cut, (V, 9040, keyframe("K"))) == "<video+audio> v:K@10040"


def test_nothing_is_left_out_for_a_pause_of_all() -> None:
    cut = cutter()
    feed(cut, *HEADERS, *second(0))
    text = feed(cut, (A, 9000, sound("a")), (V, 9010, inter("P")), (V, 9020, keyframe("K")))
    assert text == "a:a@10000 v:P@10010 v:K@10020"


def test_parts_begin_with_key_frames_and_are_sent_when_they_are_whole() -> None:
    cut = cutter(part=0.2)
    pictures = [(V, n * 40, keyframe("K") if n % 12 == 0 else inter("P")) for n in range(24)]
    sounds = [(A, round(n * STEP), sound("a")) for n in range(43)]
    text = feed(cut, *HEADERS, *sorted([*pictures, *sounds], key=lambda each: each[1]))
    init, *parts = text.split(" ")
    assert init == "<video+audio>"
    begins = ["v:K@1000", "v:P@1200", "v:P@1400", "v:K@1480", "v:P@1680", "v:P@1880"]
    assert [part.split("+")[0] for part in parts] == begins[: len(parts)]
    assert len(parts) == 5
    assert ["a:a@" in part for part in parts] == [True] * 5
    assert [part.count("v:") for part in parts] == [5, 5, 2, 5, 5]
    # Sound alone makes a part, too, when no picture comes for long.
    assert feed(cut, *[(A, 1000 + round(n * STEP), sound("a")) for n in range(20)]).startswith("v:P@1880+v:P")


def test_the_end_gives_what_waits() -> None:
    cut = cutter(part=0.5)
    begin = feed(cut, *HEADERS, (V, 0, keyframe("K")), (A, 0, sound("a")), (V, 40, inter("P")))
    assert begin == "<video+audio>"
    assert spell(cut.finish()) == "v:K@1000+v:P+a:a@1000"
    assert cut.held_bytes == 0
    assert cutter().finish() == []


def test_the_end_begins_with_what_is_there() -> None:
    cut = cutter()
    assert feed(cut, *HEADERS, (V, 0, keyframe("K"))) == ""
    assert spell(cut.finish()) == "<video> v:K@1000"


def test_what_waits_is_bounded_however_time_stands_still() -> None:
    cut = cutter(expects=(V, A))
    cut.take(V, 0, PICTURE, video_flags(PICTURE))
    for _ in range(20):
        payload = keyframe("K" * 500_000)
        cut.take(V, 0, payload, video_flags(payload))
        assert cut.held_bytes < 5_000_000


def test_a_codec_that_mp4_cannot_hold_is_a_problem_until_another_comes() -> None:
    cut = cutter()
    assert feed(cut, HEADERS[0], (V, 0, keyframe("K")), (A, 0, SPEEX)) == ""
    assert cut.problem
    assert cutter(kinds=(V,)).problem == ""
