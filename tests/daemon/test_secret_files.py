from __future__ import annotations

import json

import pytest

from rtmpd.daemon import reference
from rtmpd.daemon.keys import SOME_APP, walk, walk_some
from rtmpd.daemon.secret_files import SUFFIX
from rtmpd.daemon.settings import load
from rtmpd.exceptions import ConfigError
from rtmpd.media.track_names import TrackWish

PUSHES = ("rtmps://one.example.com/app/KEY-1", "rtmp://two.example.com/{app}/{name}")


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "push-keys"
    path.write_text(f"# the platforms\n{PUSHES[0]}\n\n  {PUSHES[1]}  \n")
    return path


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "rtmpd.toml"

    def write(text: str):
        path.write_text(text)
        return path

    return write


def test_a_list_of_secrets_can_stand_in_a_file_of_its_own(keys, settings):
    path = settings(f'[apps.live]\npush_file = "{keys}"\n[apps.edge.pull]\nfrom_file = "{keys}"\n')
    loaded = load([path], {})
    assert loaded.config.apps["live"].push == PUSHES
    assert loaded.config.apps["edge"].pull.origins == PUSHES
    assert loaded.origins["apps.live.push"] == f"{path}:2"
    assert "KEY-1" not in str(list(reference.rows(loaded)))


def test_what_systemd_hands_over_is_found_by_its_name(keys, settings):
    path = settings('[apps.live]\npush_file = "push-keys"\n')
    environ = {"CREDENTIALS_DIRECTORY": str(keys.parent)}
    assert load([path], environ).config.apps["live"].push == PUSHES


def test_the_environment_can_name_the_file_as_containers_do(keys):
    environ = {"RTMPD_APPS__LIVE__PUSH_FILE": str(keys)}
    assert load((), environ).config.apps["live"].push == PUSHES


def test_who_comes_later_wins_whichever_of_both_it_is(keys, settings):
    file = settings(f'[apps.live]\npush = ["{PUSHES[1]}"]\n')
    assert load([file], {}, [f"apps.live.push_file={keys}"]).config.apps["live"].push == PUSHES
    file = settings(f'[apps.live]\npush_file = "{keys}"\n')
    assert load([file], {}, [f"apps.live.push={PUSHES[1]}"]).config.apps["live"].push == PUSHES[1:]


def test_a_file_and_a_list_in_one_place_are_a_mistake(keys, settings):
    file = settings(f'[apps.live]\npush_file = "{keys}"\npush = ["{PUSHES[1]}"]\n')
    told = "apps.live.push_file and apps.live.push say the same: give one of them"
    with pytest.raises(ConfigError, match=told):
        load([file], {})
    environ = {"RTMPD_APPS__LIVE__PUSH_FILE": str(keys), "RTMPD_APPS__LIVE__PUSH": PUSHES[1]}
    with pytest.raises(ConfigError, match=told):
        load((), environ)


def test_the_key_of_a_target_can_stand_in_a_file_of_its_own(tmp_path, settings):
    file = tmp_path / "twitch"
    file.write_text("# of the channel\n{KEY-1}?x=1\n")
    path = settings('[apps.live.push.twitch]\nurl = "rtmp://one.example.com/app"\nkey_file = "twitch"\n')
    loaded = load([path], {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    (target,) = loaded.config.at("live").push_targets.values()
    assert target.key == "{KEY-1}?x=1"
    assert "KEY-1" not in str(list(reference.rows(loaded)))
    environ = {"RTMPD_APPS__LIVE__PUSH__TWITCH__URL_FILE": str(file)}
    file.write_text(PUSHES[0])
    assert load((), environ).config.at("live").pushes("x")["twitch"].url.name == "KEY-1"
    file.write_text(PUSHES[0] * 2 + "\n" + PUSHES[1])
    with pytest.raises(ConfigError, match="twitch has 2 lines and not one") as mistake:
        load((), environ)
    assert "KEY-1" not in str(mistake.value)
    with pytest.raises(ConfigError, match=r"URL_FILE, RTMPD_APPS__LIVE__PUSH__TWITCH__URL: .* say the same"):
        load((), environ | {"RTMPD_APPS__LIVE__PUSH__TWITCH__URL": PUSHES[0]})


def test_a_line_in_braces_says_more_of_a_target(tmp_path, settings):
    file = tmp_path / "push-keys"
    file.write_text(f'{{url = "{PUSHES[0]}", track = 2}}\n{PUSHES[1]}\n')
    loaded = load([settings(f'[apps.live]\npush_file = "{file}"\n')], {})
    first, second = loaded.config.apps["live"].pushes("x").values()
    assert (first.tracks, second.tracks) == (TrackWish.parse("track=2"), None)
    assert "KEY-1" not in str(list(reference.rows(loaded)))
    file.write_text(f"\n{{url: {PUSHES[0]}}}\n")
    with pytest.raises(ConfigError, match="push-keys:2: is no table") as mistake:
        load([settings(f'[apps.live]\npush_file = "{file}"\n')], {})
    assert "KEY-1" not in str(mistake.value)


@pytest.mark.parametrize("key", ["push", "pull.from"])
def test_a_mistake_in_a_target_tells_no_secret(key):
    with pytest.raises(ConfigError) as mistake:
        load((), {}, [f'apps.live.{key}=[{{"url": "{PUSHES[0]}", "tracks": 1}}]'])
    assert "KEY-1" not in str(mistake.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'push_file = "nothing"',
            "nothing cannot be read: No such file or directory; .* or of CREDENTIALS_DIRECTORY=FOLDER$",
        ),
        ('push_file = "/nothing"', "nothing cannot be read: No such file or directory$"),
        ("push_file = 7", "is the name of a file"),
        ('push_file = ""', "is the name of a file"),
        ('pull_file = "x"', "there is no such key"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake(settings, line, told):
    with pytest.raises(ConfigError, match=told):
        load([settings(f"[apps.live]\n{line}\n")], {})


@pytest.mark.parametrize("table", ["notify.backend", "apps.live.push.twitch"])
def test_what_its_file_would_have_said_is_not_missing_as_well(settings, table):
    with pytest.raises(ConfigError) as mistake:
        load([settings(f'[{table}]\nenabled = true\nurl_file = "/nothing"\n')], {})
    (problem,) = mistake.value.problems
    assert problem.endswith(f"{table}.url_file: /nothing cannot be read: No such file or directory")


def test_only_secrets_have_files():
    with pytest.raises(ConfigError, match="there is no such key"):
        load((), {}, ["rtmp.listen_file=/etc/hostname"])


def test_editors_know_the_keys():
    definitions = reference.schema()["$defs"]
    assert definitions["AppConfig"]["properties"]["push_file"] == {"type": "string"}
    assert {"url_file", "key_file"} <= definitions["PushConfig"]["properties"].keys()
    assert definitions["PullConfig"]["properties"]["from_file"] == {"type": "string"}


FILE_KEYS = [
    key.name for key in (*walk(), *walk_some()) if key.path[-1].endswith(SUFFIX) or key.path[-1] == "jwks"
]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\0b", "a NUL character"),
        ("a\udcff", "bytes that are not UTF-8"),
        ("x" * 256, "more than 4095 bytes, or 255 between two slashes"),
        ("x/" * 2048, "more than 4095 bytes, or 255 between two slashes"),
    ],
)
def test_what_can_be_no_name_of_a_file_is_told_of_every_key_that_names_one(name, problem):
    keys = [*FILE_KEYS, "apps.live.push_file", "apps.live.push.x.key_file"]
    assert {"relay.ca_file", f"apps.{SOME_APP}.publish.keys_file"} < set(keys)
    for key in keys:
        with pytest.raises(ConfigError, match="is no name of a file: it has") as mistake:
            load((), {}, [f"{key}={name}"])
        assert str(mistake.value).endswith(problem)
        assert f"{key}: {name[:9]!a}"[:-1] in str(mistake.value)
    pair = [f'rtmps.certificates=[{{"chain_file": "x", "key_file": {json.dumps(name)}}}]']
    with pytest.raises(ConfigError, match="is no name of a file") as mistake:
        load((), {}, pair)
    assert str(mistake.value).endswith(problem)
