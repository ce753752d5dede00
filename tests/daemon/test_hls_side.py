"""Who packages streams, by the settings of now."""

from __future__ import annotations

from pathlib import Path

from engine_kit import AAC_HEADER, FULL_HD, KEY, House

from rtmpd.daemon.config import Config
from rtmpd.daemon.hls_side import HlsSide
from rtmpd.engine.key import StreamKey


def side(house: House, **hls: object) -> HlsSide:
    made = HlsSide(house.registry, house.loop.clock)
    made.apply(config(**hls))
    return made


def config(spool: str = "", **hls: object) -> Config:
    return Config.model_validate({"spool": {"path": spool}, "apps": {"live": {"hls": hls}}})


def publish(house: House) -> None:
    house.send(house.publish(), (0, AAC_HEADER), (0, FULL_HD))


def test_nothing_is_made_before_somebody_asks_for_what_is_live():
    house = House()
    made = side(house)
    assert made.find(KEY, 0.0) is None
    assert made.packages is None
    publish(house)
    assert made.find(KEY, 0.0) is not None
    made.look()
    made.close()


def test_a_stream_that_is_published_in_variants_alone_may_be_the_first():
    house = House()
    made = side(house, variants=[f"{KEY.name[:-1]}{{name}}"])
    publish(house)
    assert made.find(StreamKey(KEY.app, KEY.name[-1]), 0.0) is not None
    made.close()


def test_an_app_may_have_none():
    house = House()
    made = side(house, enabled=False)
    publish(house)
    assert made.find(KEY, 0.0) is None
    assert made.packages is None


async def test_streams_to_go_back_in_are_packaged_at_once(tmp_path: Path):
    house = House()
    publish(house)
    made = side(house)
    made.apply(config(str(tmp_path), dvr="2h"))
    assert made.packages is not None
    assert made.packages.stats.packages == 1
    made.apply(config())
    made.close()
