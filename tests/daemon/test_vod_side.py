"""Which apps have files, as the settings are now."""

from __future__ import annotations

from rtmpd.daemon.config import Config
from rtmpd.daemon.vod_side import VodSide
from rtmpd.engine.key import StreamKey


def test_the_settings_of_now_say_where_files_may_be() -> None:
    with_files = Config.model_validate({"apps": {"talks": {"vod": {"root": "/srv"}}}})
    config = Config()
    side = VodSide(lambda: config)
    talk, show = StreamKey("talks", "monday"), StreamKey("live", "show")
    assert not side.offers(talk)
    config = with_files
    assert side.offers(talk)
    assert not side.offers(show)
    config = Config()
    assert not side.offers(talk)
