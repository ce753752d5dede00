"""Tracks that come when a stream is packaged already, and tracks that end."""

from __future__ import annotations

from engine_kit import AAC_HEADER, FULL_HD, KEY
from packaging_kit import Studio, multivariant, picture, rendition_of, told, track_header, track_picture

from rtmpd.engine.publication import Publication
from rtmpd.packaging.package import Package
from rtmpd.packaging.rules import HlsRules

FPS = 25
SOUND = b"\x95\x01mp4a"
"""Begins what comes of another track of sound, in front of its id."""


class Encoder:
    """Sends video tracks, of which each has a key frame a second, and tracks of sound."""

    def __init__(self) -> None:
        self.studio = Studio(HlsRules(segment=1.0))
        self.publication: Publication = self.studio.publish(AAC_HEADER, FULL_HD)
        self.frames = 0

    def announce(self, track: int) -> None:
        self.studio.send(self.publication, track_header(track))

    def announce_sound(self, track: int) -> None:
        payload = b"\x95\x00mp4a" + bytes((track,)) + AAC_HEADER[2:]
        self.publication.receive(self.studio.message(8, payload), self.studio.house.loop.now)

    def go_on(self, seconds: float, *tracks: int, sounds: tuple[int, ...] = ()) -> None:
        """The main ones, if ``tracks`` has 0, and others."""
        studio = self.studio
        for _ in range(round(seconds * FPS)):
            key = self.frames % FPS == 0
            for track in tracks:
                payload = track_picture(track, key=key) if track else picture(key=key)
                studio.send(self.publication, payload)
            studio.send(self.publication, b"\xaf\x01" + bytes(20))
            for sound in sounds:
                payload = SOUND + bytes((sound,)) + bytes(20)
                self.publication.receive(studio.message(8, payload), studio.house.loop.now)
            self.frames += 1
            studio.time += 1000 / FPS
            studio.house.loop.run(studio.house.loop.now + 1 / FPS)

    def package(self) -> Package:
        package = self.studio.packages.find(KEY, self.studio.house.loop.now)
        assert package is not None
        return package


def begins(package: Package, name: str) -> dict[int, float]:
    rendition = rendition_of(package, name)
    return {segment.number: round(segment.begins, 1) for segment in rendition.shelf.segments()}


def test_a_second_track_of_video_makes_a_ladder_and_who_watches_already_goes_on():
    encoder = Encoder()
    package = encoder.package()
    encoder.go_on(5.0, 0)
    assert multivariant(package).files == ["main_00000000.m3u8"]
    encoder.announce(1)
    encoder.go_on(0.5, 0, 1)
    assert multivariant(package).files == ["main_00000000.m3u8"]
    encoder.go_on(4.0, 0, 1)
    assert multivariant(package).files == ["1080p_0_00000000.m3u8", "1080p_1_00000000.m3u8"]
    (sound,) = multivariant(package).tags("MEDIA")
    assert 'URI="audio_00000000.m3u8"' in sound
    main = begins(package, "main")
    for name in ("1080p_0", "1080p_1", "audio"):
        found = begins(package, name)
        assert len(found) >= 3
        # A frame of sound may begin before a picture.
        assert all(abs(main[number] - time) <= 0.1 for number, time in found.items())
    rendition = rendition_of(package, "main")
    assert not told(rendition).tags("DISCONTINUITY")
    assert encoder.studio.packages.stats.late_tracks == 1


def test_a_second_track_of_sound_is_one_to_choose():
    encoder = Encoder()
    package = encoder.package()
    encoder.go_on(5.0, 0)
    encoder.announce_sound(1)
    encoder.go_on(5.0, 0, sounds=(1,))
    playlist = multivariant(package)
    assert playlist.files == ["1080p_00000000.m3u8"]
    assert [line.rpartition("URI=")[2] for line in playlist.tags("MEDIA")] == [
        '"audio_00000000.m3u8"',
        '"audio-2_00000000.m3u8"',
    ]


def test_a_third_track_joins_a_ladder_in_its_numbers():
    encoder = Encoder()
    encoder.announce(1)
    package = encoder.package()
    encoder.go_on(5.0, 0, 1)
    encoder.announce(2)
    encoder.go_on(5.0, 0, 1, 2)
    assert multivariant(package).files == [f"1080p_{number}_00000000.m3u8" for number in range(3)]
    first, third = begins(package, "1080p_0"), begins(package, "1080p_2")
    assert min(third) > 3
    assert all(first[number] == time for number, time in third.items())


def test_another_track_stands_in_for_one_that_has_ended_until_it_is_back():
    encoder = Encoder()
    encoder.announce(1)
    package = encoder.package()
    encoder.go_on(5.0, 0, 1)
    small = rendition_of(package, "1080p_1")
    encoder.go_on(9.0, 0)
    # It was silent for three seconds, and a key frame was waited for.
    assert sum(told(small).durations) > 8.0
    assert len(told(small).tags("DISCONTINUITY")) == 1
    assert multivariant(package).files == ["1080p_0_00000000.m3u8"]
    encoder.go_on(5.0, 0, 1)
    assert len(told(small).tags("DISCONTINUITY")) == 2
    assert multivariant(package).files == ["1080p_0_00000000.m3u8", "1080p_1_00000000.m3u8"]


def test_the_first_track_may_end_too():
    encoder = Encoder()
    encoder.announce(1)
    package = encoder.package()
    encoder.go_on(5.0, 0, 1)
    encoder.go_on(10.0, 1)
    first = rendition_of(package, "1080p_0")
    assert sum(told(first).durations) > 10.0
    assert multivariant(package).files == ["1080p_1_00000000.m3u8"]


def test_no_more_renditions_are_made_than_some():
    encoder = Encoder()
    package = encoder.package()
    encoder.go_on(3.0, 0)
    for track in range(1, 40):
        encoder.announce(track)
        encoder.go_on(1.0, 0, track)
    assert len(list(package.renditions)) <= 17
    assert encoder.studio.packages.stats.pending_bytes < 2_000_000
