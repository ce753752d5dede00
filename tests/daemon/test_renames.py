"""Keys that have another name: what is said of the old one, and how a file gets rid of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd import __version__
from rtmpd.daemon.migration import migrate
from rtmpd.daemon.renames import RENAMED_KEYS, Renames
from rtmpd.daemon.settings import load
from rtmpd.exceptions import ConfigError
from rtmpd.metrics.families import RENAMED_METRICS

RENAMES: Renames = {
    "log.verbosity": ("log.level", "0.1"),
    "limits.streams": ("stream.max_streams", "0.1"),
    "apps.NAME.delay": ("apps.NAME.pull.linger", "0.1"),
    "apps.NAME.push.TARGET.on": ("apps.NAME.push.TARGET.enabled", "0.1"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rtmpd.toml"


def test_an_old_name_works_in_every_source_and_is_told_with_its_place(file: Path) -> None:
    file.write_text('[apps."live/room"]\ndelay = 3\npull.from = "rtmp://h/a/b"\n[log]\nverbosity = "error"\n')
    environ = {"RTMPD_LIMITS__STREAMS": "7"}
    assignments = ["apps.tv.push.TUBE.url=rtmp://h/a/b", "apps.tv.push.TUBE.on=false"]
    settings = load([file], environ, assignments, RENAMES)
    assert settings.config.log.level == "error"
    assert settings.config.stream.max_streams == 7
    assert settings.config.at("live/room").pull.linger == 3.0
    assert not settings.config.at("tv").push_targets["TUBE"].enabled
    assert settings.origins["log.level"] == f"{file}:5"
    end = "; the next minor version will not know the old one"
    assert [str(each) for each in settings.old_names] == [
        f"{file}:2: apps.live/room.delay has another name now: write apps.live/room.pull.linger{end}",
        f"{file}:5: log.verbosity has another name now: write log.level{end}",
        f"RTMPD_LIMITS__STREAMS: limits.streams has another name now: write RTMPD_STREAM__MAX_STREAMS{end}",
        f"--set: apps.tv.push.TUBE.on has another name now: write apps.tv.push.TUBE.enabled{end}",
    ]


def test_a_stronger_source_wins_under_either_name(file: Path) -> None:
    file.write_text('[log]\nverbosity = "error"\n')
    assert load([file], {}, ["log.level=debug"], RENAMES).config.log.level == "debug"
    file.write_text('[log]\nlevel = "error"\n')
    assert load([file], {}, ["log.verbosity=debug"], RENAMES).config.log.level == "debug"


def test_both_names_in_one_source_are_a_mistake_that_says_which_to_delete(file: Path) -> None:
    file.write_text('[log]\nlevel = "error"\nverbosity = "debug"\n')
    environ = {"RTMPD_LIMITS__STREAMS": "7", "RTMPD_STREAM__MAX_STREAMS": "8"}
    with pytest.raises(ConfigError) as told:
        load([file], environ, [], RENAMES)
    old, end = "is the old name of", "and both are set: delete the first"
    assert told.value.problems == (
        f"{file}:3, {file}:2: log.verbosity {old} log.level, {end}",
        f"RTMPD_LIMITS__STREAMS, RTMPD_STREAM__MAX_STREAMS: limits.streams {old} stream.max_streams, {end}",
    )
    with pytest.raises(ConfigError, match=r"rtmpd\.toml:3, .*: log\.verbosity is the old name of log\.level"):
        migrate(file.read_text(), str(file), RENAMES)


def test_a_mistake_in_its_value_is_told_of_the_new_name() -> None:
    with pytest.raises(ConfigError, match=r"--set: log\.level: 'loud' is not one of"):
        load((), {}, ["log.verbosity=loud"], RENAMES)


def test_without_renames_an_old_name_is_no_key() -> None:
    with pytest.raises(ConfigError, match=r"log\.verbosity: there is no such key"):
        load((), {}, ["log.verbosity=debug"])


OLD = """\
limits.streams = 5 # at the top
[log]
  # Less of it.
  verbosity = "error" # for now
format = "json"
[apps."live/room"]
pull.from = "rtmp://h/a/b"
# So long.
delay = \"""
5\"""
[apps."live/room".push.TUBE]
url = "rtmp://h/a/b"
on = true
"""
NEW = """\
stream.max_streams = 5 # at the top
[log]
  # Less of it.
  level = "error" # for now
format = "json"
[apps."live/room"]
pull.from = "rtmp://h/a/b"
# So long.
pull.linger = \"""
5\"""
[apps."live/room".push.TUBE]
url = "rtmp://h/a/b"
enabled = true
"""


def test_a_migrated_file_has_the_new_names_in_place_and_its_comments() -> None:
    assert migrate(OLD, "old.toml", RENAMES) == NEW
    assert migrate(NEW, "new.toml", RENAMES) == NEW


def test_a_key_of_another_table_moves_there_with_the_comments_above_it(file: Path) -> None:
    old = """\
[limits]

# How many.
# Not more.
streams = 5 # or so
[stream]
merge_window_ms = 0
"""
    new = """\

[stream]
# How many.
# Not more.
streams = 5 # or so
merge_window_ms = 0
""".replace("streams", "max_streams")
    assert migrate(old, "old.toml", RENAMES) == new
    root = old.replace("[limits]\n\n", "").replace("streams", "limits.streams")
    assert migrate(root, "old.toml", RENAMES) == new.removeprefix("\n")
    without = old.replace("[stream]\nmerge_window_ms = 0\n", "")
    comes = "\n\n[stream]\n# How many.\n# Not more.\nmax_streams = 5 # or so\n"
    assert migrate(without, "old.toml", RENAMES) == comes
    # No end of a line to TOML, whatever Python takes it for.
    assert migrate(f"# \u2028\n{old}", "old.toml", RENAMES) == f"# \u2028\n{new}"


@pytest.mark.parametrize(
    "old",
    [
        "[limits]\nstreams = 5\n",
        "[limits] # Of all.\nstreams = 5\n[stream]\nmerge_window_ms = 0\n",
        '[apps.live]\ndelay = 3\n[apps.live.pull]\nfrom = "rtmp://h/a/b"\n[apps.tv]\n',
    ],
)
def test_a_migrated_file_says_the_same_without_an_old_name(old: str, file: Path) -> None:
    file.write_text(old)
    before = load([file], {}, [], RENAMES)
    file.write_text(migrate(old, "old.toml", RENAMES))
    after = load([file], {}, [])
    assert after.config == before.config


@pytest.mark.parametrize("renames", [RENAMED_KEYS, RENAMED_METRICS], ids=["keys", "metrics"])
def test_an_old_name_goes_with_the_next_minor_version(renames: Renames) -> None:
    assert overdue(renames, __version__) == []


def test_a_rename_is_overdue_once_a_minor_version_has_passed() -> None:
    renames = {"a.old": ("a.new", "0.2"), "b.old": ("b.new", "0.3.1")}
    due = {"0.2.7": [], "0.3.0": ["a.old"], "0.3.9": ["a.old"], "1.0.0": ["a.old", "b.old"]}
    assert {version: overdue(renames, version) for version in due} == due


def overdue(renames: Renames, version: str) -> list[str]:
    """Old names that the minor version before has known already."""
    return [old for old, (_, since) in renames.items() if minor(since) < minor(version)]


def minor(version: str) -> tuple[int, int]:
    major, number = map(int, version.split(".")[:2])
    return major, number
