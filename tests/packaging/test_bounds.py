"""What is held of frames that are in no part yet: charged, bounded and counted."""

from __future__ import annotations

from engine_kit import AAC_HEADER, FULL_HD, KEY
from packaging_kit import Studio, picture, told, track_header, track_picture

from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.stats import SAMPLE_OVERHEAD_BYTES, Overfull

MIB = 1024 * 1024


def test_frames_that_are_gathered_are_charged_until_they_are_in_segments():
    studio = Studio()
    publication = studio.publish()
    stats, budget = studio.packages.stats, studio.house.registry.budget
    package = studio.packages.find(KEY, studio.house.loop.now)
    assert package is not None
    before = budget.queue_bytes
    studio.go_on(publication, 0.16, size=100_000)
    assert stats.pending_bytes > 4 * (100_000 + SAMPLE_OVERHEAD_BYTES)
    assert budget.queue_bytes >= before + stats.pending_bytes
    studio.go_on(publication, 4.0)
    assert stats.held_bytes > 4 * 100_000
    # A part in the making, at most.
    assert 0 < stats.pending_bytes < 30 * (100 + SAMPLE_OVERHEAD_BYTES)
    package.drop()
    assert (stats.pending_bytes, stats.held_bytes, budget.queue_bytes) == (0, 0, 0)


def test_no_more_than_some_frames_are_gathered():
    studio = Studio()
    publication = studio.publish()
    studio.packages.find(KEY, 10.0)
    for key in (True, False, False, False):
        studio.send(publication, picture(key=key, size=6 * MIB))
    stats = studio.packages.stats
    assert stats.overfull[Overfull.GATHERING] == 1
    assert stats.pending_bytes < 13 * MIB


def test_renditions_do_not_wait_for_the_first_with_whatever_comes():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish(track_header(0), track_header(1))
    studio.packages.find(KEY, 10.0)

    def send(track: int, *, key: bool, size: int = 100) -> None:
        studio.send(publication, track_picture(track, key=key, size=size))

    for number in range(30):
        for track in (0, 1):
            send(track, key=number % 10 == 0)
        studio.time += 40.0
    stats = studio.packages.stats
    assert stats.segments + stats.parts > 0
    assert set(stats.overfull.values()) == {0}
    for _ in range(40):
        send(1, key=False, size=1 * MIB)
        assert stats.pending_bytes < 34 * MIB
    assert stats.overfull[Overfull.TURN] == 2


def test_sound_goes_on_though_no_picture_comes_behind_a_jump():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish()
    studio.go_on(publication, 2.0)
    rendition = studio.main()
    studio.time += 100_000.0
    studio.go_on(publication, 20.0, video=False)
    assert sum(told(rendition).durations) > 15.0
    assert studio.packages.stats.pending_bytes < 200 * (20 + SAMPLE_OVERHEAD_BYTES)


def test_sound_that_jumps_ahead_beside_no_picture_makes_a_part_a_message_and_no_empty_ones():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish()
    studio.go_on(publication, 2.0)
    rendition, stats = studio.main(), studio.packages.stats
    parts, segments = stats.parts, stats.segments
    for _ in range(40):
        studio.time += 9_900.0
        studio.send(publication, b"\xaf\x01" + bytes(20))
    assert 30 < stats.parts - parts <= 42
    assert 30 < stats.segments - segments <= 42
    assert min(told(rendition).durations) > 0.0


def test_of_sound_that_waits_for_pictures_no_more_than_some_is_held():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish(AAC_HEADER, FULL_HD)
    studio.go_on(publication, 2.0)
    studio.main()
    stats = studio.packages.stats
    for number in range(40):
        studio.send(publication, b"\xaf\x01" + bytes(MIB), studio.time + 23 * number)
        assert stats.pending_bytes < 18 * MIB
    assert stats.overfull[Overfull.OTHERS] == 2


def test_parts_and_segments_end_where_the_time_of_frames_does_not_pass():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish(FULL_HD)
    studio.go_on(publication, 2.0, audio=False)
    shelf = studio.main().shelf
    studio.go_on(publication, 2.0, audio=False)
    stats, number = studio.packages.stats, shelf.next
    for _ in range(150):
        studio.send(publication, picture(key=False, size=MIB))
        assert stats.pending_bytes < 18 * MIB
    assert stats.overfull[Overfull.PART] == 9
    assert stats.overfull[Overfull.SEGMENT] == 1
    assert shelf.next == number + 1
    assert max(segment.size for segment in shelf.segments()) < 146 * MIB


def test_no_date_is_later_than_can_be_told():
    studio = Studio(HlsRules(segment=1.0))
    publication = studio.publish()
    studio.go_on(publication, 3.0)
    # As of an encoder that has led the time ahead for so long.
    studio.main().segmenter.unix_offset = 253_402_300_799.0 - studio.time / 1000 - 2.0
    studio.go_on(publication, 6.0)
    dates = told(studio.main()).tags("PROGRAM-DATE-TIME")
    assert dates[0].startswith("2027-")
    assert dates[-1] == "9999-12-31T23:59:59.000Z"
    assert dates == sorted(dates)
