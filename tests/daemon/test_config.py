from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from rtmpd.daemon import page_config, values
from rtmpd.daemon.app_config import AppConfig
from rtmpd.daemon.config import Config, RtmpConfig, StreamConfig
from rtmpd.daemon.keys import walk
from rtmpd.daemon.limits_config import LimitsConfig
from rtmpd.daemon.reference import format_value, rows, rows_at
from rtmpd.daemon.settings import load
from rtmpd.daemon.stream_config import GopConfig, PlayerConfig
from rtmpd.engine.gop import GopLimits
from rtmpd.engine.headers import HeaderLimits
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits, Quota
from rtmpd.engine.sink import PlayOptions, SlowPlayerPolicy, StartPolicy
from rtmpd.exceptions import ConfigError
from rtmpd.media.track_names import TrackWish
from rtmpd.media.tracks import ALL_TRACKS, TrackChoice
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance, ProxyUse
from rtmpd.relay.template import RelayTemplate
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.server import ServerSettings
from rtmpd.serving.access import PlayRules
from rtmpd.serving.server import ConnectionLimits

DURATION_ADVICE = '\'soon\' is not a duration: write seconds (10) or "10s", "500ms", "2m", "24h"'


@pytest.fixture
def write(tmp_path):
    """Writes a configuration file and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "rtmpd.toml"
        path.write_text(text)
        return path

    return write


def told(rows):
    """Without whom each holds for."""
    return [row[:3] for row in rows]


def problems(*paths, environ=None, assignments=()) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(paths, environ or {}, assignments)
    return caught.value.problems


# -- models


def test_defaults_need_no_source():
    settings = load((), {})
    assert settings.config == Config()
    assert settings.origins == {}
    assert settings.config.rtmp.entrances() == (Entrance(Address("", 1935)),)
    assert settings.config.admin.entrances() == (Entrance(Address("127.0.0.1", 9935)),)


def test_settings_cannot_change():
    with pytest.raises(ValidationError):
        Config().log.level = "debug"


def test_conversions_hand_the_rooms_below_their_own_defaults():
    config = Config()
    assert config.rtmp.limits.to_limits() == Limits()
    assert config.rtmp.to_settings() == ServerSettings()
    assert config.rtmp.limits.to_connection_limits() == ConnectionLimits()
    assert config.player.to_policy() == SlowPlayerPolicy()
    assert config.play_rules("live/x") == PlayRules(PlayOptions())
    assert config.limits_of("live/x", EngineLimits()) == EngineLimits()
    assert config.to_engine_limits(2**30) == EngineLimits(max_publishers=1000, max_publishers_per_network=500)


def test_conversions_pass_every_value_on():
    # Distinct values, so that no field can stand for another.
    changed = {field.name: 5000 + number for number, field in enumerate(fields(Limits))}
    changed["max_partial_bytes"] = 9000
    assert LimitsConfig(**changed).to_limits() == Limits(**changed)
    player = PlayerConfig(
        max_backlog_bytes=100_001, max_backlog_seconds=2, resume_backlog_bytes=3, disconnect_after=4
    )
    assert player.to_policy() == SlowPlayerPolicy(100_001, 2.0, 3, 4.0)
    caps = {field.name: 9 - number for number, field in enumerate(fields(ConnectionLimits))}
    assert LimitsConfig(**caps).to_connection_limits() == ConnectionLimits(**caps)
    settings = RtmpConfig(chunk_size=4096, window_ack_size=70_000).to_settings()
    assert settings == ServerSettings(chunk_size=4096, window_ack_size=70_000)
    live = Config(stream=StreamConfig(gop=GopConfig(start="live")), player=player)
    options = PlayOptions(start=StartPolicy.LIVE, policy=player.to_policy())
    assert live.play_rules("live/x") == PlayRules(options, 0.0)
    config = load(
        (),
        {},
        [
            "stream.max_streams=1",
            "stream.max_streams_per_address=11",
            "player.max_players=2",
            "player.max_players_per_stream=3",
            "stream.max_waiting_names=4",
            "rtmp.limits.first_media_timeout=7s",
            "rtmp.limits.idle_publisher_timeout=8s",
            "stream.max_waiting_names_per_address=12",
            "memory.max_bytes=32MiB",
            "stream.headers.max_header_bytes=2000",
            "stream.headers.max_tracks=9",
            "stream.headers.max_total_bytes=3000",
            "stream.headers.max_updates=5",
            "stream.headers.absent_after=12s",
            "stream.max_track_choices=10",
            "stream.gop.max_bytes=70000",
            "stream.gop.audio_ms=8",
            "stream.gop.keyframe_timeout=13s",
        ],
    ).config
    gop = GopLimits(max_bytes=70000, audio_ms=8)
    ceiling = config.memory.ceiling(2**40)
    assert config.to_engine_limits(ceiling) == EngineLimits(
        1,
        11,
        2,
        3,
        4,
        12,
        10,
        7.0,
        8.0,
        32 * 2**20,
        StartPolicy.GOP,
        13.0,
        HeaderLimits(2000, 9, 3000, 5, 12.0),
        gop,
    )


@pytest.mark.parametrize(("available", "ceiling"), [(2**30, 2**29), (2**20, 16 * 2**20)])
def test_the_ceiling_of_media_is_half_of_the_memory_unless_it_is_set(available, ceiling):
    assert Config().memory.ceiling(available) == ceiling
    assert load((), {}, ["memory.max_bytes=AUTO"]).config.memory.ceiling(available) == ceiling
    assert load((), {}, ["memory.max_bytes=1GiB"]).config.memory.ceiling(available) == 2**30


@pytest.mark.parametrize("changes", [{"enabled": False}, {"start": "keyframe"}, {"start": "live"}])
def test_no_cache_is_kept_that_nobody_would_get(changes):
    assert GopConfig(**changes).to_limits().max_bytes == 0
    assert GopConfig().to_limits().max_bytes > 0


# -- values


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (10, 10.0),
        (0.5, 0.5),
        ("10", 10.0),
        ("10s", 10.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1.5 H", 5400.0),
        (0, 0.0),
    ],
)
def test_durations(written, seconds):
    assert values.parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", [True, -1, "-1s", "ten", "", "10 days", float("nan"), float("inf"), [1], "1" * 400]
)
def test_wrong_durations_say_what_to_write(written):
    with pytest.raises(ValueError, match='write seconds \\(10\\) or "10s"'):
        values.parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (65536, 65536),
        ("65536", 65536),
        ("64KiB", 65536),
        ("16 mib", 2**24),
        ("16MB", 16_000_000),
        ("1.5GiB", 3 * 2**29),
    ],
)
def test_sizes(written, size):
    assert values.parse_size(written) == size


@pytest.mark.parametrize("written", [True, -1, 1.5, "1.5", "lots", "16 elephants", None, "16TiB"])
def test_wrong_sizes_say_what_to_write(written):
    with pytest.raises(ValueError, match='write bytes \\(65536\\) or "64KiB"'):
        values.parse_size(written)


@pytest.mark.parametrize(
    ("written", "ms"), [(50, 50), ("50", 50), ("50ms", 50), ("0.02s", 20), ("20s", 20_000)]
)
def test_milliseconds(written, ms):
    assert values.parse_milliseconds(written) == ms


@pytest.mark.parametrize("written", [True, 1.5, "1.5ms", "soon", ""])
def test_wrong_milliseconds(written):
    with pytest.raises(ValueError, match=r"write|whole number"):
        values.parse_milliseconds(written)


@pytest.mark.parametrize("written", [True, 1.5, "x", "", "-1", -1, "1" * 5000, "²"])
def test_wrong_counts(written):
    with pytest.raises(ValueError, match="is not a count"):
        values.parse_count(written)


@pytest.mark.parametrize(
    ("written", "items"),
    [
        (":1935", [":1935"]),
        ("[::]:1935", ["[::]:1935"]),
        ("[::]:1935, 127.0.0.1:1936", ["[::]:1935", "127.0.0.1:1936"]),
        ('["a:1","b:2"]', ["a:1", "b:2"]),
        ("", []),
    ],
)
def test_lists_from_one_text(written, items):
    assert values.parse_list(written) == items


@given(st.floats(min_value=0, max_value=1e6))
def test_durations_read_back(seconds):
    seconds = round(seconds, 6)
    assert values.parse_duration(values.format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.integers(min_value=0, max_value=2**50))
def test_sizes_read_back(size):
    assert values.parse_size(values.format_size(size)) == size


@given(st.text(), st.sampled_from([values.parse_duration, values.parse_size, values.parse_count]))
def test_a_wrong_text_is_quoted_on_one_line(text, parse):
    assume(not text.strip()[:1].isdecimal() and text.strip()[:1] != ".")
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value).isprintable()


# -- sources


def test_each_source_overrides_the_one_before(write):
    path = write(
        '[rtmp]\nlisten = ":1"\nchunk_size = 4096\n[log]\nlevel = "error"\n[metrics]\nmax_streams = 1\n'
    )
    environ = {"RTMPD_RTMP__LISTEN": "127.0.0.1:2,[::1]:2", "RTMPD_LOG__LEVEL": "WARNING", "PATH": "/bin"}
    settings = load([path], environ, ["log.level=debug"])
    assert settings.config.rtmp.listen == ("127.0.0.1:2", "[::1]:2")
    assert settings.config.rtmp.chunk_size == 4096
    assert settings.config.log.level == "debug"
    assert settings.origins == {
        "rtmp.listen": "RTMPD_RTMP__LISTEN",
        "rtmp.chunk_size": f"{path}:3",
        "log.level": "--set",
        "metrics.max_streams": f"{path}:7",
    }


@pytest.mark.parametrize("key", list(walk()), ids=lambda key: key.name)
def test_every_key_comes_from_every_source(key, write):
    default = key.read(Config())
    text = format_value(key, default)
    plain = text.strip('"')
    name = "RTMPD_" + "__".join(key.path).upper()
    for settings in (
        load([write(f"[{'.'.join(key.path[:-1])}]\n{key.path[-1]} = {text}\n")], {}),
        load((), {name: plain}),
        load((), {}, [f"{key.name}={plain}"]),
    ):
        assert key.read(settings.config) == default
        assert list(settings.origins) == [key.name]


def test_what_kubernetes_adds_is_not_taken_for_settings():
    environ = {
        "RTMPD_SERVICE_HOST": "10.0.0.1",
        "RTMPD_SERVICE_PORT": "1935",
        "RTMPD_SERVICE_PORT_RTMP": "1935",
        "RTMPD_PORT": "tcp://10.0.0.1:1935",
        "RTMPD_PORT_1935_TCP_ADDR": "10.0.0.1",
        "RTMPD_CONFIG": "/etc/rtmpd.toml",
    }
    assert load((), environ).origins == {}


# -- apps


def test_apps_are_named_by_people(write):
    path = write(
        """
        [apps.live]
        push = "rtmp://backup/{app}/{name}"
        [apps."a.b/c".pull]
        from = ["rtmp://one/live/{name}", "rtmps://two/live/{name}?token=x"]
        linger = "1m"
        [apps."*".pull]
        from = "rtmp://any/{app}/{name}"
        [apps.tv.pull]
        from = "rtmp://any/{app}/{name}"
        on_demand = false
        names = ["news", "sport"]
        """
    )
    settings = load([path], {})
    config = settings.config
    assert config.at("live").pushes("x") == {"config-1": RelayTemplate.parse("rtmp://backup/{app}/{name}")}
    assert config.app_names() == set(config.apps) - {"*"}
    deep, other, tv = (config.at(name).pull for name in ("a.b/c", "other", "tv"))
    assert (deep.rule.linger, deep.rule.timeout, len(deep.templates)) == (60.0, 10.0, 2)
    assert (other.rule.names, len(other.templates)) == (None, 1)
    assert (tv.rule.on_demand, tv.rule.names) == (False, {"news", "sport"})
    assert config.pulled_always() == (StreamKey("tv", "news"), StreamKey("tv", "sport"))
    assert settings.origins['apps."a.b/c".pull.linger'] == f"{path}:6"


def test_apps_from_the_environment_and_the_command_line():
    environ = {"RTMPD_APPS__LIVE__PUSH": "rtmp://a/b/c?x=1,2, rtmps://d/e/f"}
    settings = load((), environ, ['apps.Live.pull.from=["rtmp://o/live/{name}"]'])
    assert settings.config.apps["live"].push == ("rtmp://a/b/c?x=1,2", "rtmps://d/e/f")
    assert settings.config.apps["Live"].pull.origins == ("rtmp://o/live/{name}",)


def test_stream_keys_of_an_app_are_not_shown():
    settings = load((), {}, ["apps.live.push=rtmp://u:pass@a/app/s3cret?k=s3cret,rtmp://b/{app}/{name}"])
    shown = {name: value for name, value, *_ in rows(settings)}
    assert shown["apps.live.push"] == '["rtmp://u:***@a/app/***?***", "rtmp://b/{app}/{name}"]'
    assert shown["apps.live.pull.from"] == "[]"


PATHS = """
[apps."*"]
push = "rtmp://backup/{app}/{name}"
[apps."*".pull]
from = "rtmp://origin/{app}/{name}"
linger = "1m"
[apps.private]
push = []
pull.from = []
[apps.studio]
push = "rtmp://studio/{app}/{name}"
[apps.live.pull]
linger = "2m"
[apps."live/church-7".pull]
timeout = "3s"
from = "rtmp://other/{app}/{name}"
[apps.empty]
"""


def test_the_longest_table_of_a_path_wins_key_by_key(write):
    config = load([write(PATHS)], {}).config
    held = {}
    for path in ("any/thing", "private/x", "studio/x", "live/x", "live/church-7", "live/church-7/x", "empty"):
        app = config.at(path)
        pull = app.pull
        held[path] = (
            [template.url.host for template in app.pushes("x").values()],
            (pull.templates[0].url.host, pull.rule.linger, pull.rule.timeout) if pull.rule else None,
        )
    assert held == {
        "any/thing": (["backup"], ("origin", 60.0, 10.0)),
        "private/x": ([], None),
        "studio/x": (["studio"], ("origin", 60.0, 10.0)),
        "live/x": (["backup"], ("origin", 120.0, 10.0)),
        "live/church-7": (["backup"], ("other", 120.0, 3.0)),
        "live/church-7/x": (["backup"], ("other", 120.0, 3.0)),
        "empty": (["backup"], ("origin", 60.0, 10.0)),
    }
    assert config.at("live/church-70") == config.at("live/x")
    assert config.at("") == config.at("*") == config.at("any/thing")


def test_a_list_of_push_targets_takes_the_place_of_all_that_shorter_paths_push_to(write):
    path = write(
        """
        [apps."*".push.archive]
        url = "rtmp://archive/{app}/{name}"
        [apps.live]
        push.twitch = {url = "rtmp://twitch/app", key = "KEY"}
        [apps."live/rehearsal"]
        push = []
        [apps."live/other"]
        push = "rtmp://other/app/{name}"
        [apps."live/other/more".push.third]
        url = "rtmp://third/app/{name}"
        """
    )
    settings = load([path], {})
    pushes = {name: list(settings.config.at(name).pushes("x")) for name in settings.config.apps}
    assert pushes == {
        "*": ["archive"],
        "live": ["archive", "twitch"],
        "live/rehearsal": [],
        "live/other": ["config-1"],
        "live/other/more": ["config-1", "third"],
    }
    shown = {name: [said for said, *_ in rows_at(settings, name) if ".push" in said] for name in pushes}
    assert shown["live/rehearsal"] == ["apps.live/rehearsal.push"]
    assert shown["live"][:2] == ["apps.*.push.archive.url", "apps.live.push.archive.key"]
    assert "apps.live.push" not in shown["live"]


def test_who_says_what_holds_for_a_path(write):
    path = write(PATHS)
    settings = load([path], {}, ["apps.live.pull.linger=7s"])
    rows = told(rows_at(settings, "live/church-7"))
    assert [row for row in rows if ".pu" in row[0]][:6] == [
        ("apps.*.push", '["rtmp://backup/{app}/{name}"]', f"{path}:3"),
        ("apps.live/church-7.pull.from", '["rtmp://other/{app}/{name}"]', f"{path}:16"),
        ("apps.live/church-7.pull.on_demand", "true", "default"),
        ("apps.live/church-7.pull.names", '["*"]', "default"),
        ("apps.live.pull.linger", '"7s"', "--set"),
        ("apps.live/church-7.pull.timeout", '"3s"', f"{path}:15"),
    ]
    assert ("apps.*.pull.on_demand", "true", "default") in told(rows_at(settings, "any/thing"))
    (first, *_) = told(rows_at(load((), {}), "live"))
    assert first == ("apps.live.push", "[]", "default")


def test_what_holds_for_all_streams_holds_where_no_table_says_otherwise(write):
    path = write(
        """
        [stream.gop]
        start = "keyframe"
        max_bytes = "1MiB"
        [player]
        wait_timeout = 5
        max_players_per_stream = 7
        [apps."*".gop]
        keyframe_timeout = "8s"
        [apps.live]
        gop.max_bytes = "2MiB"
        gop.start = "gop"
        player.disconnect_after = 3
        [apps."live/vip".player]
        max_players_per_stream = 0
        """
    )
    settings = load([path], {})
    config = settings.config
    every = config.to_engine_limits(2**30)
    other, live, vip = (config.limits_of(name, every) for name in ("other/x", "live/x", "live/vip"))
    assert (other.start, other.gop.max_bytes, other.keyframe_timeout) == (StartPolicy.KEYFRAME, 0, 8.0)
    assert (live.start, live.gop.max_bytes, live.keyframe_timeout) == (StartPolicy.GOP, 2**21, 8.0)
    assert [limits.max_players_per_stream for limits in (every, other, live, vip)] == [7, 7, 7, 0]
    rules = config.play_rules("live/x")
    assert (rules.options.start, rules.options.policy.disconnect_after) == (StartPolicy.GOP, 3.0)
    assert rules.wait_timeout == 5.0
    held = {name: (value, origin) for name, value, origin, _ in rows_at(settings, "live/vip")}
    assert held["apps.live.gop.max_bytes"] == ('"2MiB"', f"{path}:11")
    assert held["apps.*.gop.keyframe_timeout"] == ('"8s"', f"{path}:9")
    assert held["player.wait_timeout"] == ('"5s"', f"{path}:6")
    assert held["apps.live/vip.gop.audio_ms"] == ("1000", "default")


def test_a_number_is_of_all_streams_that_take_it_from_the_same_table(write):
    path = write(
        """
        [apps."*".publish]
        max_publishers = 3
        [apps.live.publish]
        max_publishers = 20
        max_duration = "4h"
        [apps.live.play]
        max_players = 500
        max_duration = "12h"
        [apps."live/vip".play]
        max_players = 50
        [apps."live/vip".gop]
        start = "live"
        """
    )
    config = load([path], {}).config
    paths = ("other/x", "other/a/b", "live/x", "live/vip")
    limits = [config.limits_of(path, EngineLimits()) for path in paths]
    assert [each.publishers for each in limits] == [
        *[Quota("other", 3)] * 2,
        *[Quota("live", 20)] * 2,
    ]
    assert [each.players for each in limits] == [
        *[Quota()] * 2,
        Quota("live", 500),
        Quota("live/vip", 50),
    ]
    assert config.publish_rules("live/vip").max_duration == 4 * 3600
    assert config.play_rules("live/vip").max_duration == 12 * 3600


def test_what_differs_between_audiences_differs_by_path(write):
    path = write(
        """
        [stream]
        merge_window_ms = 80
        [stream.headers]
        absent_after = "6s"
        [apps.talk.stream]
        merge_window_ms = 0
        max_track_choices = 2
        [apps.slides.headers]
        absent_after = "30s"
        [apps.slides.limits]
        idle_publisher_timeout = "60s"
        [apps."slides/far".limits]
        first_media_timeout = "45s"
        """
    )
    settings = load([path], {})
    config = settings.config
    every = config.to_engine_limits(2**30)
    other, talk, slides, far = (
        config.limits_of(name, every) for name in ("other/x", "talk/x", "slides/x", "slides/far")
    )
    assert [each.merge_window for each in (every, other, talk, slides)] == [0.08, 0.08, 0.0, 0.08]
    assert [each.max_track_choices for each in (other, talk)] == [8, 2]
    assert [each.headers.absent_after for each in (other, slides, far)] == [6.0, 30.0, 30.0]
    assert [each.idle_publisher_timeout for each in (other, slides, far)] == [10.0, 60.0, 60.0]
    assert [each.first_media_timeout for each in (slides, far)] == [20.0, 45.0]
    assert [config.publish_rules(name).in_rounds for name in ("talk/x", "slides/x")] == [False, True]
    held = {name: (value, origin) for name, value, origin, _ in rows_at(settings, "slides/far")}
    assert held["stream.merge_window_ms"] == ("80", f"{path}:3")
    assert held["apps.slides.headers.absent_after"] == ('"30s"', f"{path}:10")
    assert held["apps.slides/far.limits.first_media_timeout"] == ('"45s"', f"{path}:14")


def test_what_holds_for_a_stream_is_made_once_for_all_that_one_table_holds_for(write):
    config = load(
        [write('[apps."*".play]\nmax_players = 5\n[apps.live.stream]\nmerge_window_ms = 9\n')], {}
    ).config
    every = config.to_engine_limits(2**30)
    assert config.limits_of("live/a", every) is config.limits_of("live/a", every)
    # By "*" each first level has its own.
    names = [config.limits_of(path, every).players.name for path in ("live/a", "one/a", "two/a", "one/b")]
    assert names == ["live", "one", "two", "one"]
    other = config.to_engine_limits(2**29)
    assert config.limits_of("live/a", other).memory_bytes == 2**29


def test_headers_of_an_app_are_in_order(write):
    path = write('[apps.live.headers]\nmax_total_bytes = "2KiB"\n')
    with pytest.raises(ConfigError, match=r"apps\.live\.headers\.max_header_bytes = 65536 is more than"):
        load([path], {})


def test_players_that_one_table_holds_for_share_their_rules(write):
    config = load([write('[apps.live.player]\nwait_timeout = "3s"\n')], {}).config
    assert config.play_rules("live/x").wait_timeout == 3
    assert config.play_rules("live/x") is config.play_rules("live/y")
    assert config.play_rules("other/x") is config.play_rules("another/x")


def test_bounds_of_players_are_in_order_for_every_app(write):
    path = write(
        """
        [apps."*".player]
        resume_backlog_bytes = "90KiB"
        [apps.live.player]
        max_backlog_bytes = "80KiB"
        [apps.other.player]
        max_backlog_bytes = "70KiB"
        resume_backlog_bytes = "10KiB"
        """
    )
    (problem,) = problems(path)
    assert problem == (
        f"{path}:5: apps.live.player.resume_backlog_bytes = 92160 is more than max_backlog_bytes = 81920: "
        "lower the first or raise the second"
    )


def test_what_is_always_fetched_is_named_by_the_table_that_says_so(write):
    path = write(
        """
        [apps.tv.pull]
        from = "rtmp://origin/{app}/{name}"
        on_demand = false
        names = ["news"]
        [apps."tv/late"]
        push = "rtmp://backup/{app}/{name}"
        [apps."tv/early".pull]
        names = ["weather"]
        """
    )
    always = (StreamKey("tv", "news"), StreamKey("tv/early", "weather"))
    assert load([path], {}).config.pulled_always() == always


def test_a_stream_that_is_always_fetched_is_named_by_its_own_table_or_by_its_apps(write):
    path = write(
        """
        [apps.relay.pull]
        from = "rtmp://origin/{app}/{name}"
        names = ["cam", "door"]
        [apps."relay/cam".pull]
        on_demand = false
        [apps."relay/roof".pull]
        on_demand = false
        names = ["roof"]
        [apps."deep/er/cam".pull]
        from = "rtmp://origin/x/y"
        on_demand = false
        names = ["er/cam"]
        """
    )
    config = load([path], {}).config
    always = config.pulled_always()
    assert always == ("relay/cam", "relay/roof", "deep/er/cam")
    for key in always:
        assert (key.app, key.name) == (key.partition("/")[0], key.partition("/")[2])
        rule = config.at(key).pull_rule
        assert rule is not None
        assert rule.covers(key.name)


def test_names_that_could_mean_two_streams_are_a_mistake(write):
    path = write(
        """
        [apps.tv.pull]
        from = "rtmp://origin/{app}/{name}"
        [apps."tv/late".pull]
        on_demand = false
        names = ["late", "news"]
        [apps."tv/late/one".pull]
        on_demand = false
        names = ["late/one"]
        """
    )
    itself = "has the stream tv/late itself, and others: write a table for each"
    other = "has late/one: the stream tv/late/one is one here, as its app is tv/late"
    assert problems(path) == (
        f"{path}:6: apps.tv/late.pull.names {itself}",
        f"{path}:9: apps.tv/late/one.pull.names {other}",
    )


def test_a_key_may_wait_for_the_longer_tables_that_use_it(write):
    used = (
        '[apps."*".pull]\nlinger = 1\n[apps."a/b".pull]\nfrom = "rtmp://h/a/b"\n[apps.a.pull]\ntimeout = 1\n'
    )
    assert load([write(used)], {}).config.at("a/b/c").pull.linger == 1.0
    path = write(used + "[apps.ab.pull]\nlinger = 2\n[apps.c.pull]\non_demand = false\n")
    missing = "pull.from is missing: name the server that the streams come from"
    assert problems(path) == (f"{path}:8: apps.ab.{missing}", f"{path}:10: apps.c.{missing}")


def test_what_was_asked_before_is_not_what_holds_now(write):
    nothing = Config().at("live")
    assert (nothing.pull.rule, nothing.push_targets) == (None, {})
    app = load([write(NAMED + '[apps."*".pull]\nfrom = "rtmp://h/a/b"\n')], {}).config.at("live/main")
    assert app.pull.rule is not None
    assert list(app.push_targets) == ["archive", "twitch"]


def test_every_app_takes_what_is_said_for_all(write):
    path = write('[apps."*"]\npush = "rtmp://h/a/{name}"\n[apps.private]\n')
    settings = load([path], {})
    assert "apps.private" not in settings.origins
    assert ("apps.private.push", '["rtmp://h/a/{name}"]', f"{path}:2") in told(rows(settings))
    assert len(settings.config.at("private/x").pushes("x")) == 1


def test_without_tables_an_app_has_nothing():
    config = Config()
    assert config.at("live") == AppConfig(
        stream=config.stream,
        headers=config.stream.headers,
        gop=config.stream.gop,
        limits=config.rtmp.limits,
        player=config.player,
    )


@pytest.mark.parametrize("assignment", ['apps."a.b".push', "apps.'a.b'.push", ' apps."a.b".push '])
def test_a_name_with_dots_is_put_in_quotation_marks(assignment):
    settings = load((), {}, [f"{assignment} = rtmp://h/a/b?x=1"])
    assert settings.config.at("a.b").push == ("rtmp://h/a/b?x=1",)
    assert settings.origins == {'apps."a.b".push': "--set"}


def test_a_name_with_dots_in_every_source(write):
    path = write('[apps."a.b".pull]\nlinger = 5\n')
    environ = {"RTMPD_APPS__a.b__PUSH": "rtmp://h/a/{name}"}
    settings = load([path], environ, ['apps."a.b".pull.from=rtmp://h/a/{name}'])
    app = settings.config.at("a.b")
    assert (app.push, app.pull.linger, len(app.pull.origins)) == (("rtmp://h/a/{name}",), 5.0, 1)
    assert {name: settings.origins[name] for name in sorted(settings.origins)} == {
        'apps."a.b".pull.from': "--set",
        'apps."a.b".pull.linger': f"{path}:2",
        'apps."a.b".push': "RTMPD_APPS__a.b__PUSH",
    }
    # What is shown can be written.
    shown = {name: value.strip('"') for name, value, *_ in rows(settings)}
    again = load((), {}, [f"{name}={shown[name]}" for name in settings.origins])
    assert again.config == settings.config


def test_mistakes_about_a_name_with_dots_say_who_wrote_it(write):
    path = write('[apps."a.b"]\npull.linger = 5\n')
    assert problems(path) == (
        f'{path}:2: apps."a.b".pull.from is missing: name the server that the streams come from',
    )
    assert problems(path, assignments=['apps."a.b".pull.on_demand=maybe']) == (
        "--set: apps.\"a.b\".pull.on_demand: 'maybe' is neither true nor false",
    )


@pytest.mark.parametrize(
    "words", ['["rtmp://a/b/c", "rtmp://a/s3cret", "x"]', "rtmp://a/b/c, rtmp://a/s3cret"]
)
def test_of_several_urls_the_bad_one_is_named_by_its_number(words):
    found = problems(assignments=[f"apps.live.pull.from={words}"])
    assert found[0].startswith("--set: apps.live.pull.from: number 2: the URL names no stream")
    assert "s3cret" not in "".join(found)


def test_tracks_of_a_target(write):
    path = write(
        """
        [apps.live]
        push = ["rtmp://a/b/{name}", {url = "rtmp://c/d/{name}", track = "all"}, {url = "rtmp://e/f/s3cret"}]
        """
    )
    settings = load([path], {})
    app = settings.config.at("live")
    assert [template.tracks for template in app.pushes("x").values()] == [
        None,
        TrackWish.parse("track=all"),
        None,
    ]
    shown = {name: value for name, value, *_ in rows(settings)}["apps.live.push"]
    assert "s3cret" not in shown
    assert load([write(f"[apps.live]\npush = {shown}\n")], {}).config.at("live").push[:2] == app.push[:2]
    told = 'apps.live.push=["rtmp://a/b/{name}", {"url": "rtmp://c/d/{name}", "track": 2}]'
    (_, second) = load((), {}, [told]).config.at("live").pushes("x").values()
    assert second.tracks == TrackWish.parse("track=2")


@pytest.mark.parametrize("track", ["256", "some", -1, 256, 1.5, True, []])
def test_a_track_that_cannot_be(track):
    targets = json.dumps(["rtmp://a/b/c", {"url": "rtmp://h/a/s3cret", "track": track}])
    (problem,) = problems(assignments=[f"apps.live.push={targets}"])
    text = 'a track is a name such as "720p", "best", "all" or a number from 0 to 255'
    assert problem == f"--set: apps.live.push: number 2: {text}"


@pytest.mark.parametrize("target", [{}, {"url": 5}, {"ur": "rtmp://h/a/s3cret"}, 5, ["rtmp://h/a/s3cret"]])
def test_a_target_that_is_none(target):
    assert problems(assignments=[f"apps.live.push={json.dumps([target])}"]) == (
        '--set: apps.live.push: a target is a URL, or {url = "rtmp://host/app/name", track = "all"}',
    )


NAMED = """
[apps."*".push.archive]
url = "rtmp://archive/{app}/{name}"
[apps.live.push.twitch]
url = "rtmps://live.example.com/app/"
key = "s3cret?k=v4lue"
track = 1
audio = "all"
ca_file = "/etc/ssl/twitch.pem"
streams = ["main", "second"]
[apps."live/main".push]
archive.enabled = false
twitch.track = "all"
"""


def test_named_targets(write):
    path = write(NAMED)
    settings = load([path], {"RTMPD_APPS__LIVE__PUSH__TWITCH__AUDIO": "2"})
    config = settings.config
    archive = RelayTemplate.parse("rtmp://archive/{app}/{name}")
    assert config.at("live/other").pushes("other") == {"archive": archive}
    second = config.at("live/second").pushes("second")
    twitch = second["twitch"]
    assert second == {"archive": archive, "twitch": twitch}
    assert twitch.url.full == "rtmps://live.example.com/app/s3cret?k=v4lue"
    assert (twitch.tracks, twitch.ca_file) == (TrackChoice(1, 2), "/etc/ssl/twitch.pem")
    main = config.at("live/main").pushes("main")
    assert list(main) == ["twitch"]
    assert main["twitch"].tracks == TrackChoice(ALL_TRACKS, 2)
    shown = {name: (value, origin) for name, value, origin, _ in rows(settings)}
    assert shown["apps.live.push.twitch.key"] == ('"***"', f"{path}:6")
    assert shown["apps.live.push.twitch.audio"] == ("2", "RTMPD_APPS__LIVE__PUSH__TWITCH__AUDIO")
    assert "s3cret" not in str(shown)
    held = told(rows_at(settings, "live/main"))
    assert ("apps.live/main.push.twitch.track", '"all"', f"{path}:13") in held
    assert ("apps.*.push.archive.url", '"rtmp://archive/{app}/{name}"', f"{path}:3") in held
    assert ("apps.live/main.push.archive.enabled", "false", f"{path}:12") in held
    assert ("apps.live/main.push.archive.key", '""', "default") in held


def test_a_list_is_one_key_and_targets_others(write):
    path = write(
        """
        [apps."*"]
        push = ["rtmp://h/a/1", {url = "rtmp://h/a/2", track = 2}]
        [apps.live.push.twitch]
        url = "rtmps://live.example.com/app/s3cret"
        track = 1
        """
    )
    told = ["apps.live.push.config-2.track=3", "apps.live.push=rtmp://g/a/1, rtmp://g/a/2"]
    config = load([path], {}, told[:1]).config
    held = config.at("live").pushes("main")
    assert [(name, template.url.name) for name, template in held.items()] == [
        ("config-1", "1"),
        ("config-2", "2"),
        ("twitch", "s3cret"),
    ]
    assert [template.tracks and template.tracks.video for template in held.values()] == [None, 3, 1]
    held = load([path], {}, told).config.at("live").pushes("main")
    assert [template.url.host for template in held.values()] == ["g", "g", "live.example.com"]


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (
            ["twitch=x"],
            ".twitch is a section, not a key: set one of its keys, such as apps.live.push.twitch.url",
        ),
        (["twitch.ulr=x"], ".twitch.ulr: there is no such key; did you mean apps.live.push.twitch.url?"),
        (["twitch.key=s3cret"], ".twitch.url is missing: name the server that is pushed to"),
        (["twitch.url=http://h/a/s3cret"], ".twitch.url: an RTMP URL starts with rtmp:// or rtmps://"),
        (
            ["twitch.url=rtmp://h/s3cret"],
            ".twitch.url: the URL names no stream: end it with /{name} or with a stream key",
        ),
        (
            ["twitch.url=rtmp://h/{x}/s3cret"],
            ".twitch.url: {x} in the URL is not known: only {app} and {name} are",
        ),
        (
            ["twitch.url=rtmp://h/a?s3cret", "twitch.key=s3cret"],
            ".twitch.url: the URL beside a key ends with the app: what follows a ? belongs to the key",
        ),
        (
            ["api-1.url=rtmp://h/a/s3cret"],
            ".api-1.url: the name of a target is of letters, digits, - and _, and does not begin with api-",
        ),
        (
            ["a b.url=rtmp://h/a/s3cret"],
            ".a b.url: the name of a target is of letters, digits, - and _, and does not begin with api-",
        ),
        (
            ["x.track=256"],
            '.x.track: a track is a name such as "720p", "best", "all" or a number from 0 to 255',
        ),
        (["x.audio=best"], '.x.audio: a track of audio is "all" or a number from 0 to 255'),
        (["x.enabled=maybe"], ".x.enabled: 'maybe' is neither true nor false"),
    ],
)
def test_mistakes_about_named_targets(assignments, expected):
    (problem,) = problems(assignments=[f"apps.live.push.{assignment}" for assignment in assignments])
    assert problem.removeprefix("--set: ") == f"apps.live.push{expected}"
    assert "s3cret" not in problem


def test_all_mistakes_about_apps_are_named_at_once(write):
    path = write(
        """
        [apps."*".push.x]
        key = "s3cret"
        [apps.live.push.y]
        url = "rtmp://h/a"
        [apps.tv.pull]
        linger = 1
        """
    )
    advice = ": end it with /{name} or with a stream key"
    assert problems(path) == (
        f"{path}:3: apps.*.push.x.url is missing: name the server that is pushed to",
        f"{path}:5: apps.live.push.y.url: the URL names no stream{advice}",
        f"{path}:7: apps.tv.pull.from is missing: name the server that the streams come from",
    )


def test_a_target_without_a_word_is_a_mistake_and_a_table_of_none_is_not(write):
    assert load([write("[apps.live.push]\n")], {}).config.at("live").pushes("x") == {}
    assert "apps.live.push.x.url is missing" in problems(write("[apps.live.push.x]\n"))[0]


_ADVICE = "; write it as rtmp://host/app/name"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("apps.live.pus=x", "apps.live.pus: there is no such key; did you mean apps.live.push?"),
        ("app.live.push=x", "app.live.push: there is no such key; did you mean apps.NAME.push?"),
        ("apps.live=x", "apps.live is a section, not a key: set one of its keys, such as apps.live.push"),
        ("apps=x", "apps is a section, not a key: set one of its keys, such as apps.NAME.push"),
        (
            "apps.live.push.x=1",
            "apps.live.push.x is a section, not a key: set one of its keys, such as apps.live.push.x.url",
        ),
        (
            "apps.live.pull.from.x=1",
            "apps.live.pull.from.x: apps.live.pull.from is a list: put what it holds in brackets, [...]",
        ),
        (
            "apps.live.push=rtmp://host/s3cret",
            f"apps.live.push: the URL names no stream: end it with /{{name}} or with a stream key{_ADVICE}",
        ),
        (
            "apps.live.push=https://host/app/s3cret",
            f"apps.live.push: an RTMP URL starts with rtmp:// or rtmps://{_ADVICE}",
        ),
        (
            "apps.live.push=rtmp://h/a/{stream}",
            f"apps.live.push: {{stream}} in the URL is not known: only {{app}} and {{name}} are{_ADVICE}",
        ),
        (
            "apps.live.pull.linger=1s",
            "apps.live.pull.from is missing: name the server that the streams come from",
        ),
        (
            "apps.live.pull.timeout=0",
            "apps.live.pull.timeout: '0' is out of range: it must be more than 0 seconds",
        ),
        (
            "apps.live.ring.memory_bytes=5",
            "apps.live.ring.memory_bytes: '5' is out of range: it must be at least 1MiB",
        ),
        (
            "apps.live.hls.dvr=48h",
            "apps.live.hls.dvr: '48h' is out of range: it must be at most 1d",
        ),
        (
            "apps.live.obs.keyint=20s",
            "apps.live.obs.keyint: '20s' is out of range: it must be at most 10 seconds",
        ),
        ("apps.live.obs.keyint=1500ms", "apps.live.obs.keyint: '1500ms' is not a whole number of seconds"),
        (
            "apps.live.obs.audio_kbps=160k",
            "apps.live.obs.audio_kbps: '160k' is not a count: write a whole number, not less than 0",
        ),
        (
            "apps.live.ring.disk_bytes=1GiB",
            "apps.live.ring.disk_bytes has no place: name a folder with spool.path",
        ),
        (
            "apps.live.hls.dvr=2h",
            "apps.live.hls.dvr has no place: name a folder with spool.path",
        ),
        (
            "apps.live.page.logo=https://h/x.png",
            "apps.live.page.logo: 'https://h/x.png' is an address: save the picture here, and name its file",
        ),
        (
            "apps.live.hls.part=50ms",
            "apps.live.hls.part: 0.05 s is no part: it is 0, or from 100 ms to 2 seconds",
        ),
        (
            'apps.live.hls.variants=["{name}", "../{name}"]',
            "apps.live.hls.variants: number 2: '../{name}' is no name of a stream",
        ),
        (
            "apps.live.hls.variants={app}_{name}",
            "apps.live.hls.variants: '{app}_{name}': of words in braces only {name} is known",
        ),
        (
            "apps.live.hls.variants={name},{name}_480,{name}",
            "apps.live.hls.variants: '{name}' is there twice: leave one out",
        ),
        (
            "apps.live.page.title={stream}",
            "apps.live.page.title: {stream} is not known: only {app} and {name} are",
        ),
        (
            "http.aliases=/a -> /a",
            'http.aliases: "/a -> /a" leads back to itself: players would be sent there for ever',
        ),
        (
            "http.aliases=/a -> /b, /b -> /a",
            'http.aliases: "/a -> /b" leads back to itself: players would be sent there for ever',
        ),
        (
            "apps.a b.push=rtmp://h/a/b",
            "apps.a b.push is for an app that cannot exist: write the name as in rtmp://host/NAME/stream",
        ),
    ],
)
def test_mistakes_about_apps(assignment, expected):
    (problem,) = problems(assignments=[assignment])
    assert problem.removeprefix("--set").lstrip(": ") == expected
    assert "s3cret" not in problem


def test_a_list_that_is_written_as_a_table_is_told_once(write):
    path = write("[apps.live.ladder]\nheight = 1080\nkbps = 6000\n")
    advice = "write [[apps.live.ladder]] above each of what it holds"
    assert problems(path) == (f"{path}:2: apps.live.ladder is a list: {advice}",)


def test_mistakes_in_tables_of_a_list_are_told_where_they_stand(write):
    good = "[[apps.live.ladder]]\nheight = 1080\nkbps = 6000\n"
    path = write(f"{good}[[apps.live.ladder]]\nheight = 720\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:4: apps.live.ladder: number 2: kbps is missing: ")
    path = write(good + good)
    (problem,) = problems(path)
    assert problem == f"{path}:1: apps.live.ladder: number 2 is the same as number 1: leave one out"


def test_parts_are_no_longer_than_segments():
    (problem,) = problems(assignments=["apps.*.hls.part=2s", "apps.live.hls.segment=1s"])
    advice = "lower the first or raise the second"
    assert problem == f"--set: apps.live.hls.part = 2 is more than segment = 1: {advice}"


def test_seconds_between_key_frames_are_a_duration_like_others():
    for written in ("2s", "2", "0.05m"):
        held = load([], {}, [f"apps.live.obs.keyint={written}"]).config.at("live").obs
        assert (held.keyint, type(held.keyint)) == (3 if "m" in written else 2, int)


@pytest.mark.parametrize("section", ["publish", "play"])
def test_a_key_is_for_one_stream(section):
    (problem,) = problems(assignments=[f"apps.live.{section}.keys.*=sha256:{'0' * 64}"])
    what = "is no stream: a key is for one, by its name; give each its own"
    assert problem == f"--set: apps.live.{section}.keys.* {what}"


def test_https_wants_a_certificate():
    (problem,) = problems(assignments=["https.listen=:8936"])
    what = "https.listen opens nothing without a certificate: name one with rtmps.certificates"
    assert problem == f"--set: {what}"
    pair = 'rtmps.certificates=[{"chain_file": "c.pem", "key_file": "k.pem"}]'
    assert load([], {}, ["https.listen=:8936", pair]).config.https.listen


def test_pictures_of_pages_want_what_decodes_them(monkeypatch):
    monkeypatch.setattr(page_config, "find_spec", lambda name: None)
    (problem,) = problems(assignments=["apps.live.page.picture=anyone"])
    what = "picture = \"anyone\" needs PyAV, which is not installed: pip install 'rtmpd[mp4]'"
    assert problem == f"--set: apps.live.page.{what}"
    for said in ("apps.live.page.picture=nobody", "apps.live.page.viewers=true"):
        assert load([], {}, [said]).config.apps["live"].page.enabled


@pytest.mark.parametrize("app", ["*", "live"])
def test_what_is_fetched_always_has_a_name(app):
    found = problems(assignments=[f"apps.{app}.pull.from=rtmp://h/a/b", f"apps.{app}.pull.on_demand=false"])
    advice = "fetches streams always: name the app, and the streams in names"
    assert found == (f"--set: apps.{app}.pull.on_demand = false {advice}",)


# -- mistakes


def test_all_mistakes_of_all_sources_are_named_at_once(write):
    path = write('[rtmp]\nlisen = ":1"\nchunk_size = 5\n[log]\nformat = "xml"\n')
    told = ["player.disconnect_after=soon", "memory"]
    found = problems(path, environ={"RTMPD_LOG__LEVL": "info"}, assignments=told)
    assert sorted(found) == sorted(
        [
            f"{path}:2: rtmp.lisen: there is no such key; did you mean rtmp.listen?",
            f"{path}:3: rtmp.chunk_size: 5 is out of range: it must be at least 128 bytes",
            f"{path}:5: log.format: 'xml' is not one of 'text' or 'json'",
            "RTMPD_LOG__LEVL: log.levl: there is no such key; did you mean RTMPD_LOG__LEVEL?",
            f"--set: player.disconnect_after: {DURATION_ADVICE}",
            "--set: 'memory' has no value: write it as rtmp.listen=127.0.0.1:1935",
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[rtmp]\nmax_calls = 3",
            "rtmp.max_calls: there is no such key; did you mean rtmp.limits.max_calls?",
        ),
        ("[rtpm]\nlisen = 3", "rtpm.lisen: there is no such key; did you mean rtmp.listen?"),
        ("[http]\nenabled = false", "http.enabled: there is no such key; rtmpd check lists all keys"),
        ("[stream]\nmax_bytes = 1", "stream.max_bytes: there is no such key; rtmpd check lists all keys"),
        ("[hls]\ndvr = 1", "hls.dvr: there is no such key; did you mean apps.NAME.hls.dvr?"),
        (
            "[apps.hls]\nenabled = 1",
            "apps.hls.enabled: there is no such key; did you mean apps.NAME.hls.enabled?",
        ),
        (
            "[apps.live.hls]\nsegmnt = 1",
            "apps.live.hls.segmnt: there is no such key; did you mean apps.live.hls.segment?",
        ),
        (
            "[apps.live.hls]\nfragment = 1",
            "apps.live.hls.fragment: there is no such key; did you mean apps.live.hls.segment?",
        ),
        (
            "[apps.live.hls]\nplaylist_length = 1",
            "apps.live.hls.playlist_length: there is no such key; did you mean apps.live.hls.window?",
        ),
        (
            "[apps.live.record]\nenabled = true",
            "apps.live.record.enabled: there is no such key; rtmpd check lists all keys",
        ),
        (
            "[apps.live.hls]\nlow_latency = 1",
            "apps.live.hls.low_latency: there is no such key; rtmpd check lists all keys",
        ),
        ("[apps.tv]\nkeyint = 1", "apps.tv.keyint: there is no such key; did you mean apps.tv.obs.keyint?"),
        (
            "[apps.live.ladder]",
            "apps.live.ladder: {} is not a list: write [[apps.live.ladder]] above each of what it holds",
        ),
        ("[server]\nlevel = 3", "server.level: there is no such key; did you mean log.level?"),
        ("frobnicate = 3", "frobnicate: there is no such key; rtmpd check lists all keys"),
        ('"\\u001b[2J" = 3', "'\\x1b[2J': there is no such key; rtmpd check lists all keys"),
        ("[live]\npublish = 3", "live.publish: there is no such key; did you mean apps.live.publish?"),
        (
            "[live.publish]\nallow = 3",
            "live.publish.allow: there is no such key; did you mean apps.live.publish.allow?",
        ),
        (
            "[rtmps]\ncertificates = {chain_file = 3}",
            "rtmps.certificates is a list: write [[rtmps.certificates]] above each of what it holds",
        ),
        ("rtmp = 3", "rtmp is a section, not a key: set one of its keys, such as rtmp.listen"),
        ("[log.level]\nx = 1", "log.level.x: log.level is a single value and has no keys below it"),
        ("[[log]]\nlevel = 1", "log is a section, not a key: set one of its keys, such as log.level"),
        ("[rtmp]\nlisten = 1935", 'rtmp.listen: 1935 is not a list: write [":1935"]'),
        ("[rtmp]\nlisten = [1935]", "rtmp.listen: 1935 is not a text: put it in quotation marks"),
        ("[stream.gop]\nenabled = 'maybe'", "stream.gop.enabled: 'maybe' is neither true nor false"),
        (
            "[stream]\nmerge_window_ms = '2s'",
            "stream.merge_window_ms: '2s' is out of range: it must be at most 1000 milliseconds",
        ),
        (
            "[rtmp.limits]\nhandshake_timeout = 0",
            "rtmp.limits.handshake_timeout: 0 is out of range: it must be more than 0 seconds",
        ),
        (
            "[log]\nlevel = 1979-05-27",
            "log.level: datetime.date(1979, 5, 27) is not one of 'debug', 'info', 'warning' or 'error'",
        ),
        ("[rtmp]\nlisten = []", "rtmp.listen is empty: name at least one address"),
        ("[rtmp.limit]", "rtmp.limit: there is no such section; did you mean rtmp.limits?"),
        ("[metric]", "metric: there is no such section; did you mean metrics?"),
        ("[frobnicate]", "frobnicate: there is no such section; rtmpd check lists all keys"),
        ("[apps.live.pul]", "apps.live.pul: there is no such section; did you mean apps.live.pull?"),
        ("[log.level]", "log.level: {} is not one of 'debug', 'info', 'warning' or 'error'"),
        ("[log.level.x]", "log.level.x: log.level is a single value and has no keys below it"),
    ],
)
def test_mistakes_of_a_file(write, text, expected):
    path = write(text)
    line = 1 if text.startswith("[[") else text.count("\n") + 1
    assert problems(path) == (f"{path}:{line}: {expected}",)


@pytest.mark.parametrize("address", ["1935", "localhost", "::1:1935", "a:70000", ":x", ":²"])
def test_a_wrong_address_is_named(address):
    (problem,) = problems(assignments=[f'rtmp.listen=["{address}"]'])
    assert problem.startswith("--set: rtmp.listen: ")
    assert "write" in problem


def test_a_mistake_that_another_source_overrides_is_named_too(write):
    path = write('[log]\nlevel = "loud"\n[player]\nmax_backlog_bytes = "64KiB"\n')
    environ = {"RTMPD_LOG__LEVEL": "louder"}
    told = ["log.level=info", "player.max_backlog_bytes=1MiB", "log.level=debug"]
    assert problems(path, environ=environ, assignments=told) == (
        f"{path}:2: log.level: 'loud' is not one of 'debug', 'info', 'warning' or 'error'",
        "RTMPD_LOG__LEVEL: log.level: 'louder' is not one of 'debug', 'info', 'warning' or 'error'",
    )


def test_what_contradicts_a_value_that_is_overridden_is_none(write):
    path = write('[player]\nmax_backlog_bytes = "64KiB"\n')
    assert load([path], {}, ["player.max_backlog_bytes=1MiB"]).config.player.max_backlog_bytes == 2**20


def test_sections_may_be_empty(write):
    settings = load([write("[rtmp]\n[rtmp.limits]\n[log]\n[apps]\n")], {}, ["log.level=debug"])
    assert settings.origins == {"log.level": "--set"}


def test_values_that_contradict_each_other_name_both_sources():
    found = problems(
        environ={"RTMPD_RTMP__LIMITS__MAX_MESSAGE_BYTES": "8MiB"},
        assignments=["rtmp.limits.max_partial_bytes=1MiB"],
    )
    (problem,) = found
    assert problem == (
        "RTMPD_RTMP__LIMITS__MAX_MESSAGE_BYTES, --set: rtmp.limits.max_message_bytes = 8388608 is more than "
        "rtmp.limits.max_partial_bytes = 1048576: lower the first or raise the second"
    )
    assert "player.resume_backlog_bytes" in problems(assignments=["player.max_backlog_bytes=64KiB"])[0]


def test_two_servers_on_one_address():
    found = problems(assignments=["admin.listen=127.0.0.1:1", "rtmp.listen=127.0.0.1:1"])
    assert found == ("--set: admin.listen and rtmp.listen both name 127.0.0.1:1: give one another port",)
    assert load((), {}, ["admin.listen=127.0.0.1:0", "rtmp.listen=127.0.0.1:0"])


def test_tls_is_off_without_a_certificate():
    pair = '[{"chain_file": "c", "key_file": "k"}]'
    rtmps = Config().rtmps
    assert (rtmps.listen, rtmps.entrances()) == ((":1936",), ())
    assert load((), {}, [f"rtmps.certificates={pair}"]).config.rtmps.entrances() == (
        Entrance(Address("", 1936)),
    )
    taken = ["admin.listen=:1936", f"rtmps.certificates={pair}"]
    assert problems(assignments=taken)[0].endswith(
        "admin.listen and rtmps.listen both name :1936: give one another port"
    )
    assert load((), {}, taken[:1])


@pytest.mark.parametrize(
    "value", ['"c.pem"', '["c.pem"]', '[{chain_file = "c.pem"}]', "[{chain_file=1, key_file=2}]"]
)
def test_what_a_certificate_is_made_of_is_told(write, value):
    (problem,) = problems(write(f"[rtmps]\ncertificates = {value}\n"))
    assert problem.endswith('write it as [{chain_file = "fullchain.pem", key_file = "privkey.pem"}]')


LISTEN = "rtmp.listen"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (":1 proxy=yes", "proxy=yes: write off, accept or require"),
        (":1 proxy=", "proxy=: write off, accept or require"),
        (":1 proxy=off proxy=off", "':1 proxy=off proxy=off' says proxy= twice"),
        (":1 mode=0660", "':1 mode=0660': mode= and owner= are for the file of a Unix socket"),
        ("unix:/x mode=999", "mode=999: write three digits from 0 to 7, such as 0660"),
        ("unix:/x mode=4660", "mode=4660: write three digits from 0 to 7, such as 0660"),
        ("unix:/x owner=", "owner=: write user, :group or user:group"),
        ("unix:/x owner=a:b:c", "owner=a:b:c: write user, :group or user:group"),
        (":1 backlog=3", "':1 backlog=3' is not an address: write host:port"),
    ],
)
def test_what_may_stand_behind_an_address_is_told(text, mistake):
    (problem,) = problems(assignments=[f"{LISTEN}={text}"])
    assert problem.startswith(f"--set: {LISTEN}: {mistake}")


@pytest.mark.parametrize(
    ("text", "entrance"),
    [
        (":1 proxy=off", Entrance(Address("", 1))),
        ("[::1]:1  proxy=accept", Entrance(Address("::1", 1), ProxyUse.ACCEPT)),
        ("unix:/a b/c d", Entrance(Address("", 0, "/a b/c d"))),
        (
            "unix:/a b mode=666 proxy=require owner=rtmpd:www-data",
            Entrance(Address("", 0, "/a b"), ProxyUse.REQUIRE, 0o666, "rtmpd:www-data"),
        ),
    ],
)
def test_what_stands_behind_an_address_is_read_and_written(text, entrance):
    trusting = "network.trusted_proxies=192.0.2.1, 2001:db8::/32"
    rtmp = load((), {}, [f"{LISTEN}={text}", trusting]).config.rtmp
    assert rtmp.entrances() == (entrance,)
    assert load((), {}, [f"{LISTEN}={rtmp.listen[0]}", trusting]).config.rtmp == rtmp


def test_a_listener_that_believes_nobody_is_a_mistake():
    believing = ["rtmp.listen=:1 proxy=require", "admin.listen=unix:/x proxy=require"]
    (problem,) = problems(assignments=believing)
    text = ":1 proxy=require believes nobody yet: name your proxies in network.trusted_proxies"
    assert problem == f"--set: rtmp.listen: {text}"
    assert load((), {}, [*believing, "network.trusted_proxies=192.0.2.1"])


def test_an_address_that_is_listened_on_in_two_ways_is_a_mistake():
    two = ['rtmp.listen=[":1", ":1 proxy=accept"]', "network.trusted_proxies=192.0.2.1"]
    assert problems(assignments=two) == ("--set: rtmp.listen names :1 in two ways: leave one out",)


def test_broken_toml_is_placed(write):
    path = write('[rtmp]\nlisten = ":1935\n')
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:2:16: not valid TOML: ")
    path = write("[apps.live.publish]\nallow = anyone")
    (problem,) = problems(path)
    assert problem.endswith('text stands in quotation marks, as in allow = "anyone"')
    path = write("[apps.live/show.publish]")
    (problem,) = problems(path)
    assert problem.endswith('stand in quotation marks, as in [apps."live/show".publish]')
    path = write("[rtmp]\nlisten = [")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:2: not valid TOML: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[log]\nlevel = 1\n\nlevel = 2\n", "4: log.level stands in line 2 too"),
        ("[log]\n[rtmp]\n[log]\n", "3: log stands in line 1 too"),
        ('[log]\nlevel = """\na""" # b\n"level" = 2\n', "4: log.level stands in line 2 too"),
        ('apps."a.b".push = [\n]\napps."a.b".push = 1\n', '3: apps."a.b".push stands in line 1 too'),
    ],
)
def test_what_a_file_says_twice_is_named_with_both_places(write, text, expected):
    path = write(text)
    assert problems(path) == (f"{path}:{expected}: keep one of them",)


LIST = 'push = [\n"rtmp://a/b/c"]\n'
TABLE = '[apps.live.push.tube]\nurl = "rtmp://a/b/c"\n'


@pytest.mark.parametrize(
    ("text", "line", "here", "there"),
    [
        (f"[apps.live]\n{LIST}{TABLE}", 4, "apps.live.push.tube", "apps.live.push in line 2"),
        (f"{TABLE}[apps.live]\n{LIST}", 4, "apps.live.push", "apps.live.push.tube in line 1"),
        (f"[apps.live]\npush.tube.on = 1\n{LIST}", 3, "apps.live.push", "apps.live.push.tube.on in line 2"),
        (f"[apps.live]\n{LIST}[[apps.live.push]]\n", 4, "apps.live.push", "apps.live.push in line 2"),
        ("[stream]\ngop = {}\ngop.start = 1\n", 3, "stream.gop.start", "stream.gop in line 2"),
    ],
)
def test_two_forms_of_one_setting_are_named_with_both_places(write, text, line, here, there):
    path = write(text)
    told = f"{path}:{line}: {here} cannot stand beside {there}: write all of it in one form"
    assert problems(path) == (told,)


def test_what_the_environment_says_twice_is_named_with_both_variables():
    environ = {"RTMPD_LOG__LEVEL": "debug", "RTMPD_log__level": "info", "RTMPD_LOG__FORMAT": "json"}
    told = "RTMPD_LOG__LEVEL, RTMPD_log__level: log.level is set twice: keep one of them"
    assert problems(environ=environ) == (told,)


def test_every_value_knows_its_line(write):
    path = write(
        """
        # Not this: [rtmp]
        [log] # nor this: [memory]
        level = "info" # level = "debug"
        [rtmp]
        listen = [
          ":1", # one
          ":2",
        ]
        limits.max_calls = 3
        [apps.live]
        pull = {from = ["rtmp://h/a/{name}"], linger = 5}
        [[apps."a.b".push]]
        url = "rtmp://h/a/b#c"
        [[apps."a.b".push]]
        url = 'rtmp://h/a/{name}'
        """
    )
    assert {name: int(origin.rpartition(":")[2]) for name, origin in load([path], {}).origins.items()} == {
        "log.level": 4,
        "rtmp.listen": 6,
        "rtmp.limits.max_calls": 10,
        "apps.live.pull.from": 12,
        "apps.live.pull.linger": 12,
        'apps."a.b".push': 13,
    }


def test_a_later_file_wins_key_by_key_and_a_directory_is_its_files(tmp_path):
    main, directory = tmp_path / "rtmpd.toml", tmp_path / "conf.d"
    directory.mkdir()
    main.write_text('[log]\nlevel = "error"\nformat = "json"\n[rtmp]\nchunk_size = 4096\n')
    (directory / "20-late.toml").write_text('[log]\nlevel = "debug"\n')
    early = directory / "10-early.toml"
    early.write_text('[log]\nlevel = "info"\n[metrics]\nmax_streams = 3\n')
    (directory / "notes.txt").write_text("no TOML")
    settings = load([main, directory], {})
    assert (settings.config.log.level, settings.config.log.format) == ("debug", "json")
    assert settings.origins == {
        "log.level": f"{directory / '20-late.toml'}:2",
        "log.format": f"{main}:3",
        "rtmp.chunk_size": f"{main}:5",
        "metrics.max_streams": f"{early}:4",
    }
    assert load([directory, main], {}).config.log.level == "error"
    early.write_text('[log]\nlevel = "loud"\nlevl = 1\n')
    assert sorted(problems(main, directory)) == [
        f"{early}:2: log.level: 'loud' is not one of 'debug', 'info', 'warning' or 'error'",
        f"{early}:3: log.levl: there is no such key; did you mean log.level?",
    ]


def test_files_that_cannot_be_read(tmp_path):
    missing = tmp_path / "missing.toml"
    assert problems(missing) == (
        f"{missing}: there is no such file; check the path given with -c or RTMPD_CONFIG",
    )
    assert problems(missing / "x") == (
        f"{missing / 'x'}: there is no such file; check the path given with -c or RTMPD_CONFIG",
    )
    assert load([tmp_path], {}).origins == {}
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    assert problems(latin) == (f"{latin}: byte 5 is not UTF-8; save the file as UTF-8",)
    zeros = Path("/dev/zero")
    assert problems(zeros) == (f"{zeros}: is larger than 16 MiB; is it the right file?",)
    assert problems(assignments=[f"apps.live.push_file={zeros}"]) == (
        f"--set: apps.live.push_file: {zeros} is larger than 1 MiB",
    )


@given(st.lists(st.text(), min_size=1))
def test_every_mistake_is_one_printable_line(words):
    found = problems(assignments=[f"x.{word}=" for word in words])
    assert len(found) == len(words)
    assert all(problem.isprintable() for problem in found)


def test_tables_are_compared_with_those_above_them_alone(monkeypatch):
    """Somebody has a table for each of thousands of streams."""
    looked_up = []
    tables = Config.tables

    def counted(self, path):
        looked_up.append(path)
        return tables(self, path)

    monkeypatch.setattr(Config, "tables", counted)
    load((), {}, [f"apps.live/show{number}.play.max_players=1" for number in range(200)])
    assert len(looked_up) < 200 * 10
