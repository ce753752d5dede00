"""HLS of a stream, from its packets to playlists and files."""

from __future__ import annotations

import gzip
from itertools import pairwise

import pytest
from engine_kit import AAC_HEADER, FULL_HD, KEY, House
from packaging_kit import UNIX, Studio, told

from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.sink import CloseReason
from rtmpd.packaging.rules import HlsRules
from rtmpd.packaging.shelf import Shelf


def test_a_stream_that_nobody_publishes_has_no_package():
    studio = Studio()
    assert studio.packages.find(KEY, 0.0) is None


def test_a_stream_that_is_not_packaged_has_none():
    studio = Studio(rules=None)
    studio.publish()
    assert studio.packages.find(KEY, 0.0) is None


def test_the_first_viewer_has_a_picture_at_once_out_of_the_cache():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 3.8, gop=2.0)
    package = studio.package()
    assert package.multivariant() is not None
    playlist = told(studio.main())
    # hls.js takes a segment that it has for none of it if its number is 0.
    assert int(playlist.number("MEDIA-SEQUENCE")) == 1
    # The cache began 1.8 seconds ago.
    assert playlist.durations == [pytest.approx(1.76, abs=0.05)]
    assert playlist.parts[0][2]


def test_segments_begin_at_key_frames():
    studio = Studio(HlsRules(segment=2.0))
    publication = studio.publish()
    studio.package()
    studio.go_on(publication, 20.0, gop=1.0)
    shelf = studio.main().shelf
    assert [segment.independent for segment in shelf.listed][2:] == [True] * (len(shelf.listed) - 2)
    assert {round(segment.duration, 3) for segment in list(shelf.listed)[2:]} == {2.0}


@pytest.mark.parametrize(("gop", "there"), [(2.0, 0.08), (2.0, 0.8), (2.0, 1.6), (8.0, 0.4), (8.0, 3.0)])
def test_the_first_segment_ends_where_the_first_viewer_comes(gop: float, there: float):
    studio = Studio(HlsRules(segment=2.0))
    publication = studio.publish()
    studio.go_on(publication, 2 * gop + there, gop=gop)
    studio.package()
    studio.go_on(publication, 4 * gop, gop=gop)
    first, rest, *others = studio.main().shelf.segments()
    # As soon as players can begin with it; up to the next key frame they load parts.
    assert first.duration == pytest.approx(max(studio.main().plan.part_hold_back, there), abs=0.1)
    assert first.duration + rest.duration == pytest.approx(gop, abs=0.01)
    assert (first.independent, rest.independent) == (True, False)
    assert all(each.independent for each in others)
    assert all(round(each.duration, 2) == gop for each in others[:-1])
    assert studio.packages.stats.long_gops == 0


@pytest.mark.parametrize("asked", [True, False])
def test_a_playlist_promises_key_frames_for_good_or_not_at_all(asked: bool):
    studio = Studio(HlsRules(dvr=0.0 if asked else 60.0))
    studio.packages.apply("", ())
    publication = studio.publish()
    studio.packages.published(publication)
    studio.go_on(publication, 5.0)
    promised = [bool(told(studio.main()).tags("INDEPENDENT-SEGMENTS"))]
    for _ in range(60):
        studio.go_on(publication, 1.0)
        promised.append(bool(told(studio.main()).tags("INDEPENDENT-SEGMENTS")))
    # Who comes first is shown what there is at once, so the segment behind that begins with no key frame.
    assert set(promised) == {not asked}


@pytest.mark.parametrize("gop", [1.0, 2.0, 3.9])
def test_the_second_key_frame_is_waited_for_before_a_playlist_promises_how_long_segments_are(gop: float):
    studio = Studio(HlsRules(segment=2.0))
    publication = studio.publish()
    package = studio.packages.find(KEY, studio.house.loop.now)
    assert package is not None
    studio.go_on(publication, gop - 0.1, gop=gop)
    assert package.multivariant() is None
    studio.go_on(publication, 30.0, gop=gop)
    rendition = studio.main()
    assert rendition.target_duration == max(2, round(gop))
    assert all(each.independent for each in list(rendition.shelf.segments())[4:])
    assert max(told(rendition).durations) < rendition.target_duration + 0.5
    assert studio.packages.stats.long_gops == 0


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("gop", [250 / 30, 10.0])
def test_segments_of_encoders_that_send_key_frames_rarely_are_whole_gops(gop: float, asked: bool):
    studio = Studio(HlsRules(segment=2.0, dvr=0.0 if asked else 60.0))
    studio.packages.apply("", ())
    publication = studio.publish()
    studio.packages.published(publication)
    if asked:
        studio.packages.find(KEY, studio.house.loop.now)
    # Nobody waits for longer than that: it is known that there will be few.
    studio.go_on(publication, 5.5, gop=gop, fps=30)
    rendition = studio.main()
    assert rendition.target_duration == 10
    studio.go_on(publication, 60.0, gop=gop, fps=30)
    assert all(each < 10.5 for each in told(rendition).durations)
    begins = [each.begins for each in rendition.shelf.segments() if each.independent]
    assert [after - before for before, after in pairwise(begins)][-3:] == [pytest.approx(gop, abs=0.01)] * 3
    assert studio.packages.stats.long_gops == 0
    assert studio.house.stream.stats.keyless_segments == 0


def test_key_frames_that_come_later_than_was_promised_are_not_waited_for():
    studio = Studio(HlsRules(segment=2.0))
    publication = studio.publish()
    studio.go_on(publication, 6.0, gop=2.0)
    studio.package()
    studio.frames = 0
    studio.go_on(publication, 28.0, gop=7.0)
    longest = studio.main().target_duration
    assert longest == 2
    shelf = studio.main().shelf
    assert all(segment.duration < longest + 0.5 for segment in shelf.segments())
    begins = [round(segment.begins, 1) for segment in shelf.segments() if segment.independent]
    assert [after - before for before, after in pairwise(begins)][-3:] == [7.0] * 3
    assert studio.packages.stats.long_gops >= 6
    # Whoever publishes is told.
    assert studio.house.stream.stats.keyless_segments == studio.packages.stats.long_gops
    # Whoever comes when that is known gets segments of a whole GOP.
    studio.wait(40, asking=False)
    studio.go_on(publication, 1.0, gop=7.0)
    studio.package()
    studio.go_on(publication, 30.0, gop=7.0)
    assert studio.main().target_duration == 7
    assert studio.main().shelf.listed[-1].independent


@pytest.mark.parametrize("fps", [15, 24, 25, 30, 50, 60])
def test_every_part_but_the_last_of_a_segment_is_as_long_as_its_target_but_not_longer(fps: int):
    studio = Studio()
    publication = studio.publish()
    studio.package()
    studio.go_on(publication, 12.0, fps=fps)
    rendition = studio.main()
    target = rendition.part_target
    for segment in rendition.shelf.segments():
        for part in segment.parts[:-1]:
            assert 0.85 * target <= part.duration <= target
        assert segment.parts[-1].duration <= target
    assert studio.packages.stats.gaps == 0
    assert told(rendition).attribute("PART-INF", "PART-TARGET") == f"{target:.5f}"


def test_the_part_target_stays_though_the_frame_rate_changes():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 2.0, fps=30)
    target = studio.main().part_target
    assert target == pytest.approx(0.2 * 1.03, abs=1e-4)
    studio.go_on(publication, 5.0, fps=24, gop=1.0)
    assert studio.main().part_target == target
    for segment in studio.main().shelf.segments():
        assert all(0.85 * target <= part.duration <= target for part in segment.parts[:-1])


def test_a_late_frame_ends_its_part_and_leaves_a_counted_gap():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 3.0)
    studio.package()
    studio.go_on(publication, 1.08, gop=100.0)
    studio.time += 500.0
    studio.go_on(publication, 1.0, gop=100.0)
    assert studio.packages.stats.gaps == 1
    target = studio.main().part_target
    assert all(part.duration <= target for each in studio.main().shelf.segments() for part in each.parts)


def test_a_stream_of_few_frames_has_no_parts():
    studio = Studio()
    publication = studio.publish()
    studio.package()
    studio.go_on(publication, 12.0, fps=2, gop=2.0)
    playlist = told(studio.main())
    assert playlist.durations
    assert not playlist.parts
    assert not playlist.tags("PRELOAD-HINT")
    assert "CAN-BLOCK-RELOAD" not in playlist.text
    assert "HOLD-BACK" in playlist.text
    assert studio.main().part_target == 0.0


def test_names_and_bytes_are_the_same_for_everybody_until_something_changes():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    rendition = studio.main()
    once = rendition.playlist(False)
    assert rendition.playlist(False) is once
    assert gzip.decompress(once.gzipped) == once.plain
    studio.go_on(publication, 0.4)
    assert rendition.playlist(False) is not once


def test_parts_and_their_segment_are_the_same_bytes():
    studio = Studio()
    publication = studio.publish()
    package = studio.package()
    seen: dict[str, bytes] = {}

    def fetch() -> None:
        for name, _, _ in told(studio.main()).parts:
            data = package.file(name)
            assert data
            assert seen.setdefault(name, data) == data

    for _ in range(40):
        studio.go_on(publication, 0.2)
        if package.multivariant() is not None:
            fetch()
    for segment in studio.main().shelf.listed:
        parts = [seen[f"main_00000000_{segment.number}_{number}.mp4"] for number in range(len(segment.parts))]
        assert package.file(f"main_00000000_{segment.number}.mp4") == b"".join(parts)


def test_a_part_that_is_hinted_is_expected_and_comes():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    package, rendition = studio.package(), studio.main()
    hinted = told(rendition).attribute("PRELOAD-HINT", "URI")
    assert package.file(hinted) is None
    assert package.expects(hinted)
    assert package.owner(hinted) is rendition
    assert not package.expects(hinted.replace("_00000000_", "_00000001_"))
    heard: list[tuple[int, int]] = []
    cancel = rendition.on_change(lambda: heard.append(rendition.position()))
    studio.go_on(publication, 0.24)
    assert package.file(hinted)
    assert not package.expects(hinted)
    count = len(heard)
    assert count == len(set(heard)) > 0
    cancel()
    studio.go_on(publication, 1.0)
    assert len(heard) == count


@pytest.mark.parametrize(
    "name",
    [
        *("", "main.mp4", "other_00000000_0.mp4", "main_00000001_0.mp4", "main_00000000_0.m4s"),
        *(f"main_00000000_{end}.mp4" for end in ("", "00", "0_00", "-1", "0_0_0", "1e3", "init_", "init_9")),
        *(f"main_00000000_{end}.mp4" for end in ("\u0663", "99999999999999")),
    ],
)
def test_names_that_are_not_ours_are_of_nothing(name: str):
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    package = studio.package()
    assert package.file(name) is None
    assert not package.expects(name)


def test_an_update_leaves_out_what_is_old():
    studio = Studio(HlsRules(segment=1.0, window=60.0))
    publication = studio.publish()
    studio.go_on(publication, 1.0)
    studio.package()
    studio.go_on(publication, 40.0)
    rendition = studio.main()
    whole, update = told(rendition), told(rendition, skip=True)
    skipped = int(update.attribute("SKIP", "SKIPPED-SEGMENTS"))
    assert whole.files[skipped:] == update.files
    assert update.tags("MEDIA-SEQUENCE") == whole.tags("MEDIA-SEQUENCE")
    until = float(whole.attribute("SERVER-CONTROL", "CAN-SKIP-UNTIL"))
    assert until == 6 * whole.number("TARGETDURATION")
    # What is left out lies farther from the end than that.
    assert sum(update.durations) >= until


def test_a_window_that_is_full_forgets_the_oldest():
    studio = Studio(HlsRules(segment=1.0, window=10.0))
    publication = studio.publish()
    studio.go_on(publication, 3.0)
    studio.package()
    studio.go_on(publication, 40.0)
    rendition = studio.main()
    playlist = told(rendition)
    assert sum(playlist.durations) == pytest.approx(10.0, abs=1.0)
    assert int(playlist.number("MEDIA-SEQUENCE")) == rendition.shelf.listed[0].number
    assert studio.package().file(playlist.files[0])
    assert studio.package().file("main_00000000_1.mp4") is None


def test_a_publisher_who_comes_back_goes_on_in_the_same_playlist_behind_a_discontinuity():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    rendition = studio.main()
    before = rendition.position()
    publication.close(CloseReason.CONNECTION_LOST)
    studio.wait(4.0)
    studio.time = 0.0
    studio.frames = 0
    again = studio.publish()
    studio.go_on(again, 4.0)
    assert studio.main() is rendition
    playlist = told(rendition)
    assert len(playlist.tags("DISCONTINUITY")) == 1
    assert not playlist.tags("ENDLIST")
    assert rendition.position() > before
    numbers = [segment.number for segment in rendition.shelf.segments()]
    assert numbers == list(range(1, len(numbers) + 1))
    dates = playlist.tags("PROGRAM-DATE-TIME")
    assert dates == sorted(dates)


def test_the_end_is_told_after_a_grace_and_later_the_stream_begins_anew():
    studio = Studio(HlsRules(grace=10.0))
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    package, rendition = studio.package(), studio.main()
    publication.close(CloseReason.FINISHED)
    studio.wait(8.0)
    assert not rendition.ended
    studio.wait(3.0)
    assert rendition.ended
    assert told(rendition).text.rstrip().endswith("#EXT-X-ENDLIST")
    assert not told(rendition).tags("PRELOAD-HINT")
    assert studio.package() is package
    again = studio.publish()
    studio.go_on(again, 1.0)
    assert studio.package() is not package
    assert package.over


def test_a_publisher_who_is_back_and_has_sent_nothing_yet_has_not_ended():
    studio = Studio(HlsRules(grace=10.0))
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    rendition = studio.main()
    publication.close(CloseReason.FINISHED)
    studio.wait(8.0)
    again = studio.house.publish()
    studio.wait(8.0)
    assert not rendition.ended
    again.close(CloseReason.FINISHED)
    studio.wait(8.0)
    assert not rendition.ended
    studio.wait(3.0)
    assert rendition.ended


def test_a_publisher_who_comes_back_with_what_nobody_can_be_shown_ends_the_playlist():
    studio = Studio(HlsRules(grace=10.0))
    publication = studio.publish()
    studio.package()
    studio.go_on(publication, 5.0)
    rendition = studio.main()
    publication.close(CloseReason.FINISHED)
    studio.wait(2.0)
    again = studio.house.publish()
    studio.send(again, b"\x14" + bytes(50))  # VP6.
    studio.wait(1.0, asking=False)
    assert rendition.ended


def test_a_package_goes_on_as_long_as_somebody_waits_for_what_comes_next():
    studio = Studio(HlsRules(grace=60.0, idle=5.0))
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    package, rendition = studio.package(), studio.main()
    publication.close(CloseReason.CONNECTION_LOST)
    stop = rendition.on_change(lambda: None)
    studio.wait(20.0, asking=False)
    assert not package.over
    stop()
    studio.wait(10.0, asking=False)
    assert package.over


def test_where_hls_is_turned_off_nobody_else_begins_with_it():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    assert studio.package() is not None
    studio.rules = None
    assert studio.packages.find(KEY, studio.house.loop.now) is None


def test_what_nobody_asks_for_any_more_ends_and_costs_nothing():
    studio = Studio(HlsRules(idle=20.0))
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    package = studio.package()
    budget = studio.house.registry.budget
    assert package.held_bytes
    assert budget.queue_bytes >= package.held_bytes
    studio.wait(19.0, asking=False)
    assert not package.over
    studio.wait(2.0, asking=False)
    assert package.over
    assert studio.packages.stats.held_bytes == 0
    assert budget.queue_bytes == 0
    assert not studio.house.stream.taps


def test_short_memory_takes_the_oldest_segments_first():
    studio = Studio(HlsRules(segment=1.0), House(EngineLimits(memory_bytes=4_000_000)))
    publication = studio.publish()
    studio.go_on(publication, 1.0)
    studio.package()
    studio.go_on(publication, 20.0, size=20_000)
    shelf = studio.main().shelf
    assert studio.packages.stats.relieved > 0
    assert studio.house.registry.budget.used <= 4_000_000
    assert shelf.listed[0].number > 0
    assert studio.package().file(told(studio.main()).files[0])
    assert sum(segment.held for segment in shelf.segments()) <= shelf.held_bytes


def test_sound_alone_has_segments_and_parts():
    studio = Studio()
    publication = studio.publish(AAC_HEADER)
    studio.go_on(publication, 2.0, video=False)
    studio.package()
    studio.go_on(publication, 10.0, video=False)
    rendition = studio.main()
    multivariant = studio.package().multivariant()
    assert multivariant is not None
    assert b'CODECS="mp4a.40.2"' in multivariant.plain
    assert b"RESOLUTION" not in multivariant.plain
    target = rendition.part_target
    for segment in rendition.shelf.segments():
        assert all(0.85 * target <= part.duration <= target for part in segment.parts[:-1])
    assert all(independent for _, _, independent in told(rendition).parts)


def test_pictures_alone_have_segments_and_parts():
    studio = Studio()
    publication = studio.publish(FULL_HD)
    studio.go_on(publication, 5.0, audio=False)
    multivariant = studio.package().multivariant()
    assert multivariant is not None
    assert b'CODECS="avc1.640028"' in multivariant.plain
    assert b"RESOLUTION=1920x1080,FRAME-RATE=25.000" in multivariant.plain


def test_a_query_goes_behind_the_media_playlists_alone():
    studio = Studio()
    publication = studio.publish()
    studio.go_on(publication, 5.0)
    multivariant = studio.package().multivariant("?token=secret")
    assert multivariant is not None
    assert b"main_00000000.m3u8?token=secret" in multivariant.plain
    assert b"secret" not in studio.main().playlist(False).plain


def test_a_delay_holds_for_hls_too():
    studio = Studio(house=House(EngineLimits(delay=5.0)))
    publication = studio.publish()
    studio.go_on(publication, 4.0)
    studio.package()
    assert not studio.house.stream.taps
    assert studio.house.stream.later[5.0].taps


def test_segments_that_last_next_to_nothing_fill_no_list():
    held: list[int] = []
    shelf = Shelf(5.0, 5.0, held.append)
    for number in range(1000):
        shelf.keep_init(number, b"init")
        shelf.begin(UNIX, number, discontinuity=True, independent=True)
        shelf.add_part(b"part", 0.0001, independent=True)
        shelf.end()
    assert len(shelf.listed) == 120
    assert len(list(shelf.segments())) == 240
    assert len(shelf.inits) == 240
    assert shelf.discontinuities == 1000 - 120
    assert sum(held) == shelf.held_bytes
    shelf.clear()
    assert sum(held) == 0
