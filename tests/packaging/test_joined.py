"""Separate streams as variants of one."""

from __future__ import annotations

import dataclasses

from engine_kit import FULL_HD, KEY
from packaging_kit import Studio, Told

from rtmpd.engine.key import StreamKey
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.packaging.package import Package
from rtmpd.packaging.rules import HlsRules

SMALL = StreamKey("live", "cam_480")
RULES = HlsRules(variants=("{name}", "{name}_480"))


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


def text(package: Package, query: str = "") -> Told:
    rendered = package.multivariant(query)
    assert rendered is not None
    return Told(rendered.plain.decode())


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
    told = text(package, "?token=x")
    assert told.files == ["main.m3u8?token=x", "v2-main.m3u8?token=x"]
    large, small = (package.rendition(name) for name in ("main", "v2-main"))
    assert large is not None
    assert small is not None
    assert large is not small
    files = [Told(each.playlist(False).plain.decode()).files[-1] for each in (large, small)]
    assert files[0] != files[1]
    one, two = (package.file(name) for name in files)
    assert one
    assert two
    assert len(one) > len(two)
    assert package.owner(files[1]) is small


def test_what_is_not_live_is_missing_until_it_is():
    studio = Studio(RULES)
    large = studio.house.publish()
    studio.send(large, FULL_HD)
    package = join(studio)
    send(studio, [large], 4.0)
    assert text(package).files == ["main.m3u8"]
    small = studio.house.publish(SMALL)
    studio.send(small, FULL_HD)
    send(studio, [large, small], 1.2)
    join(studio)
    send(studio, [large, small], 4.0)
    assert join(studio) is package
    assert text(package).files == ["main.m3u8", "v2-main.m3u8"]


def test_what_has_ended_and_is_live_anew_is_told_of_as_it_is_now():
    studio, publications = both()
    send(studio, publications, 4.0)
    package = join(studio)
    send(studio, publications, 4.0)
    large = publications[0]
    large.close(CloseReason.FINISHED)
    studio.wait(RULES.grace + 2.0)
    rendition = package.rendition("main")
    assert rendition is not None
    assert rendition.ended
    studio.send(studio.house.publish(), FULL_HD)
    again = join(studio)
    assert again is package
    assert again.rendition("main") is None


def test_a_stream_of_variants_alone_is_there_too():
    studio = Studio(RULES)
    small = studio.house.publish(SMALL)
    studio.send(small, FULL_HD)
    package = join(studio)
    send(studio, [small], 4.0)
    assert text(package).files == ["v2-main.m3u8"]
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
