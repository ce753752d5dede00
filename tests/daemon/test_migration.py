from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd.daemon.migration import migrate, migrate_file
from rtmpd.daemon.settings import load
from rtmpd.exceptions import ConfigError

OLD = """\
# The studio.
[apps.studio]
  push = [ # three of them
    "rtmps://one.example.com/app/KEY#1", # the first
    {url = "rtmp://two.example.com/{app}/{name}", track = "all"},
    # "rtmp://three.example.com/a/b",
    {url = "rtmp://four.example.com/a/b", track = 2},
  ]
  pull.linger = 5 # seconds
  pull.from = "rtmp://h/a/b"
[stream.gop]
max_ms = 20_000 # twenty seconds
audio_ms = 500
[[apps."a.b".push]] # an array
url = "rtmp://five.example.com/a/b"
[[apps."a.b".push]]
url = "rtmp://six.example.com/a/b"
track = 1
[apps.private]
push = []
[apps.one]
"push" = "rtmp://h/a/1, rtmp://h/a/2"
[apps]
live.push_file = "keys"
"""
NEW = """\
# The studio.
[apps.studio]
  # three of them
  # the first
  # "rtmp://three.example.com/a/b",
  push.config-1.url = "rtmps://one.example.com/app/KEY#1"
  push.config-2.url = "rtmp://two.example.com/{app}/{name}"
  push.config-2.track = "all"
  push.config-3.url = "rtmp://four.example.com/a/b"
  push.config-3.track = 2
  pull.linger = 5 # seconds
  pull.from = "rtmp://h/a/b"
[stream.gop]
# twenty seconds
audio_ms = 500
# an array
[apps."a.b".push.config-1]
url = "rtmp://five.example.com/a/b"
[apps."a.b".push.config-2]
url = "rtmp://six.example.com/a/b"
track = 1
[apps.private]
push = []
[apps.one]
"push".config-1.url = "rtmp://h/a/1"
"push".config-2.url = "rtmp://h/a/2"
[apps]
live.push_file = "keys"
"""


def test_lists_become_tables_and_what_is_gone_goes():
    assert migrate(OLD, "old.toml") == NEW
    assert migrate(NEW, "new.toml") == NEW


def test_it_means_the_same(tmp_path):
    (tmp_path / "keys").write_text("rtmp://h/a/seven\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(OLD.replace("max_ms = 20_000", ""))
    new.write_text(NEW)
    before, after = load([old], environ).config, load([new], environ).config
    for path in (*before.apps, "other"):
        assert before.at(path).pushes("x") == after.at(path).pushes("x")
        assert before.at(path).pull == after.at(path).pull
    assert before.stream == after.stream


REPLACED = """\
[apps.live]
push = ["rtmp://one/a/{name}", "rtmp://two/a/{name}"]
[apps."live/rehearsal"]
push = []
[apps."live/other"]
push = ["rtmp://three/a/{name}"]
[apps.livestock]
push = "rtmp://four/a/{name}"
"""


def test_a_list_in_place_of_what_a_shorter_path_pushes_to_stays(tmp_path):
    path = tmp_path / "rtmpd.toml"
    path.write_text(REPLACED)
    before = load([path], {}).config
    path.write_text(migrate(REPLACED, "old.toml"))
    after = load([path], {}).config
    assert {name: before.at(name).pushes("x") for name in before.apps} == {
        name: after.at(name).pushes("x") for name in after.apps
    }
    assert [name for name, app in after.apps.items() if app.targets] == ["live", "livestock"]


def test_files_that_cannot_be_migrated(tmp_path):
    for paths in ([], [tmp_path], [Path("a"), Path("b")]):
        with pytest.raises(ConfigError, match="--migrate: name one file"):
            migrate_file(paths)
    with pytest.raises(ConfigError, match="missing: there is no such file; check the path"):
        migrate_file([tmp_path / "missing"])
    path = tmp_path / "broken.toml"
    path.write_text("[log\n")
    with pytest.raises(ConfigError, match=r"broken.toml:1:5: not valid TOML"):
        migrate_file([path])
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"broken.toml: byte 0 is not UTF-8"):
        migrate_file([path])
    path.write_text('[log]\nlevel = "info"')
    assert migrate_file([path]) == '[log]\nlevel = "info"\n'


@pytest.mark.parametrize("end", ["\u2028", "\x85"])
def test_a_line_ends_where_toml_has_it_end(end):
    old = f'# one{end}line\n[apps.a]\npush = ["rtmp://h/a/b"]\n'
    new = f'# one{end}line\n[apps.a]\npush.config-1.url = "rtmp://h/a/b"\n'
    assert migrate(old, "old.toml") == new


def test_lines_that_windows_has_ended(tmp_path):
    path = tmp_path / "old.toml"
    path.write_bytes(b'[apps.a]\r\npush = ["rtmp://h/a/b"]\r\n')
    assert migrate_file([path]) == '[apps.a]\npush.config-1.url = "rtmp://h/a/b"\n'
