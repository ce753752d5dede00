"""Separate streams as variants of one."""

from __future__ import annotations

import dataclasses
import gc
import re
import weakref

from engine_kit import FULL_HD, KEY
from packaging_kit import Studio, Told, told

from rtmpd.engine.key import StreamKey
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.packaging.package import Package
from rtmpd.packaging.rules import HlsRules

SMALL = StreamKey("live", "cam_480")
RULES = HlsRules(variants=("{name}", "{name}_480"))
VP6 = b"\x14" + bytes(20)
"""A key frame of what MP4 cannot hold."""


def send(studio: Studio, publications: list[Publication], seconds: float) -> None:
    """All of them at the same time."""
    for _ in range(round(seconds / 0.2)):
        begin = studio.time, studio.frames, studio.house.loop.now
        for number, publication in enumerate(publications):
            studio.time, studio.frames, studio.house.loop.now = begin
            studio.go_on(publication, 0.2, size=400 // (number + 1))


def join(studio: Studio) -> Package:
    package = studio.packages.find(KEY, studio.house.loop.now)
    assert package is not None
    return package


def files(package: Package, query: str = "") -> list[str]:
    """Playlists that are told of."""
    rendered = package.multivariant(query)
    assert rendered is not None
    return Told(rendered.plain.decode()).files


def names(package: Package) -> list[str]:
    """The same without their runs."""
    return [re.sub(r"_[0-9a-f]{8}", "", each) for each in files(package)]


def both() -> tuple[Studio, list[Publication]]:
    studio = Studio(RULES)
    publications = [studio.house.publish(), studio.house.publish(SMALL)]
    for publication in publications:
        studio.send(publication, FULL_HD)
    return studio, publications


def test_streams_are_joined_with_names_and_files_of_their_own():
    studio, publications = both()
    ready: list[bool] = []
    package = join(studio)
    package.on_ready(lambda: ready.append(True))
    assert package.multivariant() is None
    send(studio, publications, 6.0)
    assert ready == [True]
    told_of = files(package, "?token=x")
    assert told_of == ["main_00000000.m3u8?token=x", "v2-main_00000001.m3u8?token=x"]
    large, small = (package.rendition(name.partition("?")[0]) for name in told_of)
    assert large is not None
    assert small is not None
    assert large is not small
    media = [told(each).files[-1] for each in (large, small)]
    assert media[0] != media[1]
    one, two = (package.file(name) for name in media)
    assert one
    assert two
    assert len(one) > len(two)
    assert package.owner(media[1]) is small


def test_what_is_not_live_is_missing_until_it_is():
    studio = Studio(RULES)
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    package = join(studio)
    send(studio, [large], 4.0)
    assert names(package) == ["main.m3u8"]
    small = studio.house.publish(SMALL)
    studio.send(small, FULL_HD)
    send(studio, [large, small], 1.2)
    join(studio)
    send(studio, [large, small], 4.0)
    assert join(studio) is package
    assert names(package) == ["main.m3u8", "v2-main.m3u8"]


def test_what_has_ended_and_is_live_anew_is_told_of_as_it_is_now():
    studio, publications = both()
    send(studio, publications, 4.0)
    package = join(studio)
    send(studio, publications, 4.0)
    large = publications[0]
    large.close(CloseReason.FINISHED)
    studio.wait(RULES.grace + 2.0)
    rendition = package.rendition("main_00000000.m3u8")
    assert rendition is not None
    assert rendition.ended
    studio.send(studio.house.publish(), FULL_HD)
    again = join(studio)
    assert again is package
    assert again.rendition("main_00000000.m3u8") is None


def all_go_on(studio: Studio, publications: list[Publication], seconds: int) -> None:
    """Somebody watches, and whoever looks each second does."""
    for _ in range(seconds):
        send(studio, publications, 1.0)
        join(studio).wanted(studio.house.loop.now)
        studio.packages.look()


def waits_for(package: Package) -> list[list[str]]:
    """What somebody is told who comes now, once they are."""
    found: list[list[str]] = []
    package.on_ready(lambda: found.append(names(package)))
    return found


def test_who_comes_when_all_begin_is_told_of_those_too_that_begin_a_little_later():
    studio = Studio(RULES)
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    waits = waits_for(join(studio))
    send(studio, [large], 0.6)
    small = studio.house.publish(SMALL)
    studio.send(small, FULL_HD)
    studio.packages.look()
    send(studio, [large], 0.6)
    assert studio.packages._packages[KEY].multivariant() is not None
    assert join(studio).multivariant() is None
    all_go_on(studio, [large, small], 2)
    assert waits == [["main.m3u8", "v2-main.m3u8"]]


def test_what_is_live_and_sends_nothing_is_waited_for_no_longer_than_4_seconds():
    studio = Studio(RULES)
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    join(studio)
    all_go_on(studio, [large], 6)
    assert names(join(studio)) == ["main.m3u8"]
    small = studio.house.publish(SMALL)
    waits = waits_for(join(studio))
    all_go_on(studio, [large], 3)
    assert waits == []
    assert join(studio).multivariant() is None
    all_go_on(studio, [large], 2)
    assert waits == [["main.m3u8"]]
    # Once it has something it is told of.
    studio.send(small, FULL_HD)
    all_go_on(studio, [large, small], 3)
    assert names(join(studio)) == ["main.m3u8", "v2-main.m3u8"]


def test_what_comes_again_and_again_without_anything_is_waited_for_once():
    studio = Studio(dataclasses.replace(RULES, grace=0.0))
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    join(studio)
    all_go_on(studio, [large], 6)
    for number in range(4):
        small = studio.house.publish(SMALL)
        all_go_on(studio, [large], 2)
        assert (join(studio).multivariant() is None) == (number < 2)
        small.close(CloseReason.FINISHED)
        all_go_on(studio, [large], 1)
        assert names(join(studio)) == ["main.m3u8"]


def test_what_has_ended_is_told_of_no_more_while_others_go_on():
    studio, (large, small) = both()
    join(studio)
    all_go_on(studio, [large, small], 6)
    large.close(CloseReason.FINISHED)
    all_go_on(studio, [small], round(RULES.grace) - 2)
    assert names(join(studio)) == ["main.m3u8", "v2-main.m3u8"]
    all_go_on(studio, [small], 4)
    assert names(join(studio)) == ["v2-main.m3u8"]
    # Who watches it is told of its end,
    ended = join(studio).rendition("main_00000000.m3u8")
    assert ended is not None
    assert told(ended).tags("ENDLIST")
    # and nothing is kept of it because others are watched.
    all_go_on(studio, [small], round(RULES.idle))
    assert KEY not in studio.packages._packages
    assert join(studio).rendition("main_00000000.m3u8") is None


def test_where_all_have_ended_all_are_told_of_as_long_as_somebody_asks():
    studio, publications = both()
    join(studio)
    all_go_on(studio, publications, 6)
    for publication in publications:
        publication.close(CloseReason.FINISHED)
        studio.wait(2.0)
    studio.wait(3.0 * RULES.idle)
    package = join(studio)
    assert names(package) == ["main.m3u8", "v2-main.m3u8"]
    for name in files(package):
        rendition = package.rendition(name)
        assert rendition is not None
        assert told(rendition).tags("ENDLIST")


def test_of_streams_that_come_and_go_those_of_now_alone_are_kept():
    studio, (large, small) = both()
    join(studio)
    all_go_on(studio, [large, small], 4)
    large.close(CloseReason.FINISHED)
    old = weakref.ref(studio.packages._packages[KEY])
    all_go_on(studio, [small], round(RULES.grace) + 2)
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    all_go_on(studio, [large, small], 6)
    gc.collect()
    assert old() is None
    assert names(join(studio)) == ["main.m3u8", "v2-main.m3u8"]


def test_what_cannot_be_packaged_is_tried_for_whoever_comes_and_not_each_second():
    studio = Studio(RULES)
    large, small = studio.house.publish(), studio.house.publish(SMALL)
    studio.send(large, FULL_HD)
    package = join(studio)
    for _ in range(10):
        studio.send(small, VP6)
        send(studio, [large], 1.0)
        package.wanted(studio.house.loop.now)
        studio.packages.look()
    assert studio.packages.stats.packages_total == 2
    assert names(join(studio)) == ["main.m3u8"]
    assert studio.packages.stats.packages_total == 3


def test_where_no_variant_can_be_packaged_it_is_said_why():
    studio = Studio(RULES)
    small = studio.house.publish(SMALL)
    package = join(studio)
    heard: list[bool] = []
    package.on_ready(lambda: heard.append(True))
    studio.send(small, b"\x14" + bytes(50))  # VP6.
    assert heard == [True]
    assert package.multivariant() is None
    assert "VP6" in package.problem


def test_a_stream_that_is_a_variant_of_many_keeps_none_of_those_that_are_over():
    studio = Studio(HlsRules(variants=("{name}", "cam")))
    studio.publish()  # It sends nothing, so that there is nothing to tell.
    old = [weakref.ref(studio.packages.find(StreamKey("live", f"any{n}"), 0.0)) for n in range(5)]
    join(studio)
    studio.wait(RULES.idle + 2.0)
    gc.collect()
    assert [each() for each in old] == [None] * 5


def test_a_stream_of_variants_alone_is_there_too():
    studio = Studio(RULES)
    small = studio.house.publish(SMALL)
    studio.send(small, FULL_HD)
    package = join(studio)
    send(studio, [small], 4.0)
    assert names(package) == ["v2-main.m3u8"]
    small.close(CloseReason.FINISHED)
    studio.rules = dataclasses.replace(RULES, idle=1.0)
    studio.wait(60.0, asking=False)
    assert package.over
    assert studio.packages.find(KEY, studio.house.loop.now) is None


def test_of_names_that_nobody_asks_for_any_more_nothing_is_kept():
    studio = Studio(HlsRules(variants=("{name}", "cam")))
    publication = studio.publish()
    studio.go_on(publication, 2.0)
    for number in range(20):
        assert studio.packages.find(StreamKey("live", f"any{number}"), studio.house.loop.now) is not None
    for _ in range(31):
        join(studio).wanted(studio.house.loop.now)
        studio.house.loop.run(studio.house.loop.now + 1.0)
        studio.packages.look()
    assert list(studio.packages._joined) == [KEY]
    assert not join(studio).over
