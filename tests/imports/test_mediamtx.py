"""mediamtx.yml as settings of ours."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from .conftest import Import, Imported

OPEN = {"allow": "anyone"}


def paths(imported: Import, text: str) -> Imported:
    """The paths alone, from the second line on."""
    lines = dedent(text).strip().splitlines()
    return imported("mediamtx", "paths:\n" + "\n".join(f"  {line}" for line in lines) + "\n")


def test_what_is_of_the_server(imported: Import) -> None:
    text = """
    logLevel: warn
    logDestinations: [stdout]
    readTimeout: 12s
    writeTimeout: 9s
    writeQueueSize: 512
    rtmpAddress: 127.0.0.1:1940
    api: yes
    apiAddress: 127.0.0.1:9997
    metrics: true
    rtsp: no
    srt: no
    webrtc: false
    """
    done = imported("mediamtx", dedent(text))
    assert done.code == 0
    assert done.settings == {
        "log": {"level": "warning"},
        "rtmp": {"listen": ["127.0.0.1:1940"]},
        "compat": {"mediamtx": {"admin": True}},
        "apps": {
            "*": {
                "limits": {"idle_publisher_timeout": "12s"},
                "player": {"disconnect_after": "9s"},
                "publish": OPEN,
            }
        },
    }


def test_protocols_that_are_not_here_are_told_once(imported: Import) -> None:
    done = imported("mediamtx", "rtsp: yes\nrtspAddress: :8554\nwebrtc: yes\nsrt: yes\nsrtAddress: :8890\n")
    assert (done.code, done.left) == (3, ["1:rtsp", "3:webrtc", "4:srt"])


def test_hls_is_where_it_was(imported: Import) -> None:
    text = """
    hls: yes
    hlsAddress: :8888
    hlsVariant: lowLatency
    hlsSegmentDuration: 1s
    hlsSegmentCount: 9
    hlsPartDuration: 250ms
    hlsDirectory: /var/hls
    hlsAllowOrigins: ['https://www.example.com']
    """
    done = imported("mediamtx", dedent(text))
    assert done.code == 0
    assert done.settings["http"] == {"listen": [":8888"], "origins": ["https://www.example.com"]}
    assert done.app("*")["hls"] == {
        "segment": "1s",
        "part": "0.25s",
        "window": "9s",
        "directory": "/var/hls",
    }


def test_hls_without_parts_and_without_any(imported: Import) -> None:
    assert imported("mediamtx", "hlsVariant: mpegts\nhlsPartDuration: 1s").app("*")["hls"] == {"part": 0}
    assert imported("mediamtx", "hls: no\nhlsAddress: :8888").app("*")["hls"] == {"enabled": False}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("live/show", "live/show"),
        ("all_others", "*"),
        ("all", "*"),
        ("~^.*$", "*"),
        ("~^live/.+$", "live"),
        ("~^live/(.+)$", "live"),
        ("~^live/", "live"),
        ("~^a/b/([^/]+)$", "a/b"),
    ],
)
def test_a_path_is_a_table(imported: Import, name: str, table: str) -> None:
    done = paths(imported, f"'{name}':\n  maxReaders: 7")
    assert done.code == 0
    assert done.app(table)["player"] == {"max_players_per_stream": 7}


@pytest.mark.parametrize("name", ["cam", "~^cam[0-9]+$", "~cam"])
def test_a_path_that_is_no_table_is_left(imported: Import, name: str) -> None:
    done = paths(imported, f"'{name}':\n  maxReaders: 7")
    assert (done.code, done.settings["apps"]) == (3, {"*": {"publish": OPEN}})


def test_sources_are_pulled(imported: Import) -> None:
    text = """
    live/one:
      source: rtmp://origin.example/live/other
    live/two:
      source: rtmps://origin.example/$MTX_PATH
      sourceOnDemand: yes
      sourceOnDemandStartTimeout: 8s
      sourceOnDemandCloseAfter: 20s
    live/three:
      source: rtsp://camera.example/stream
    """
    done = paths(imported, text)
    assert done.left == ["10:source"]
    assert done.app("live/one")["pull"] == {
        "from": ["rtmp://origin.example/live/other"],
        "on_demand": False,
        "names": ["one"],
    }
    assert done.app("live/two")["pull"] == {
        "from": ["rtmps://origin.example/{app}/{name}"],
        "timeout": "8s",
        "linger": "20s",
    }


def test_commands_run_as_long_as_something_does(imported: Import) -> None:
    text = """
    live/show:
      runOnReady: ffmpeg -i rtsp://localhost:$RTSP_PORT/$MTX_PATH -c copy -f flv 'rtmp://a.example/in/hush'
      runOnReadyRestart: yes
      runOnNotReady: note gone $MTX_PATH
      runOnRecordSegmentComplete: note $MTX_SEGMENT_PATH
      runOnInit: ffmpeg -i camera
    "~^test/.+$":
      runOnDemand: ffmpeg -re -i loop.mp4 -f rtsp rtsp://localhost:$RTSP_PORT/$MTX_PATH
      runOnDemandCloseAfter: 15s
      runOnRead: note $MTX_READER_TYPE
    """
    done = paths(imported, text)
    assert (done.code, done.left) == (3, ["7:runOnInit", "11:runOnRead"])
    show = done.app("live/show")
    assert show["run"]["ffmpeg"] == {
        "command": ["ffmpeg", "-i", "{play_url}", "-c", "copy", "-f", "flv", "rtmp://a.example/in/hush"],
        "publish": [],
    }
    assert show["exec"] == {
        "note": {"command": ["note", "gone", "{app}/{name}"], "on": ["unpublished"]},
        "note-2": {"command": ["note", "{file}"], "on": ["recording_finished"]},
    }
    assert done.app("test")["run"]["ffmpeg"] == {
        "command": ["ffmpeg", "-re", "-i", "loop.mp4", "-f", "flv", "{publish_url}"],
        "publish": ["{app}/{name}"],
        "start": "viewer",
        "restart": "never",
        "linger": "15s",
    }
    assert done.app("*")["publish"] == {"allow": "anyone", "open": True}
    assert "hush" not in "".join(done.told)


def test_recordings_take_from_what_is_said_of_all(imported: Import) -> None:
    text = """
    pathDefaults:
      record: no
      recordPath: /rec/%path/%Y-%m-%d_%H-%M-%S-%f
      recordFormat: fmp4
      recordPartDuration: 1s
      recordSegmentDuration: 1h
      recordDeleteAfter: 1d
    paths:
      live/show:
        record: yes
      live/other:
    """
    done = imported("mediamtx", dedent(text))
    assert done.code == 0
    assert done.settings["apps"] == {
        "*": {"publish": OPEN},
        "live/show": {
            "record": {
                "start": "always",
                "root": "/rec",
                "name": "{app}/{name}/{start:%Y-%m-%d_%H-%M-%S-%f}",
                "split_after": "3600s",
                "keep": {"max_age": "86400s"},
                "mp4": {"enabled": True},
            }
        },
    }


def test_who_overrides_whom(imported: Import) -> None:
    done = paths(imported, "live/a:\n  overridePublisher: yes\nlive/b:\n  overridePublisher: no")
    assert done.app("live/a")["handover"] == {"on_duplicate": "takeover"}
    assert done.app("live/b")["handover"] == {"on_duplicate": "reject"}


def users(imported: Import, text: str) -> Imported:
    lines = dedent(text).strip().splitlines()
    return imported("mediamtx", "authInternalUsers:\n" + "\n".join(lines) + "\n")


def test_users_publish_with_their_passwords_and_nobody_else_anywhere(imported: Import) -> None:
    text = """
    - user: mia
      pass: hush-hush
      permissions:
      - action: publish
        path: live/show
    - user: any
      permissions:
      - action: read
        path:
    """
    done = users(imported, text)
    assert done.code == 0
    assert done.settings["apps"] == {
        "*": {"publish": {"allow": "nobody"}},
        "live/show": {"publish": {"allow": "proven", "users": ["mia:hush-hush"]}},
    }
    assert "hush" not in "".join(done.told)


def test_whoever_comes_from_there_publishes(imported: Import) -> None:
    text = """
    - user: any
      ips: [192.0.2.0/24]
      permissions:
      - action: publish
      - action: read
    """
    access: dict[str, Any] = {"allow": "anyone", "ips": ["192.0.2.0/24"]}
    done = users(imported, text)
    assert (done.code, done.app("*")) == (0, {"publish": access, "play": access})


def test_what_cannot_be_asked_for_lets_nobody_in(imported: Import) -> None:
    text = """
    - user: sha256:j1tsRqDEw9xvq/D7/9tMx6Jh/jMhk3UfjwIB2f1zgMo=
      pass: sha256:BdSWkrdV+ZxFBLUQQY7+7uv9RmiSVA8nrPmjGjJtZQQ=
      permissions:
      - action: publish
    - user: ben
      pass: hush
      permissions:
      - action: read
    """
    done = users(imported, text)
    assert (done.code, done.left) == (3, ["2:user", "6:user"])
    assert done.app("*") == {"publish": {"allow": "proven"}, "play": {"allow": "proven"}}


def test_a_backend_decides_in_its_own_words(imported: Import) -> None:
    text = """
    authMethod: http
    authHTTPAddress: http://127.0.0.1:8000/auth
    authHTTPExclude:
    - action: api
    - action: read
    """
    done = imported("mediamtx", dedent(text))
    assert (done.code, done.left) == (3, ["6:authHTTPExclude"])
    assert done.app("*") == {
        "hooks": {
            "dialect": "mediamtx",
            "decides": True,
            "on_publish": ["http://127.0.0.1:8000/auth"],
            "on_play": ["http://127.0.0.1:8000/auth"],
        }
    }


def test_tokens_let_nobody_in_before_they_are_said_anew(imported: Import) -> None:
    done = imported("mediamtx", "authMethod: jwt\nauthJWTJWKS: https://id.example/jwks\n")
    assert (done.code, done.left) == (3, ["1:authMethod"])
    assert done.app("*") == {"publish": {"allow": "proven"}, "play": {"allow": "proven"}}


def test_what_nobody_knows_is_named_with_its_line(imported: Import) -> None:
    done = imported("mediamtx", "strange: hush\npaths:\n  live/a:\n    odd: hush\n")
    assert (done.code, done.left) == (3, ["1:strange", "4:odd"])
    assert "hush" not in "".join(done.told)


def test_what_needs_no_setting_is_named_at_the_end(imported: Import) -> None:
    done = imported("mediamtx", "logFile: x\nrtspAddress: :8554\npathDefaults: {rpiCameraWidth: 3}\n")
    rest = done.text.partition("# Without a setting of their own")[2].replace("\n# ", " ")
    assert done.code == 0
    assert [each.rpartition("/")[2] for each in rest.partition(": ")[2].strip().split(", ")[-3:]] == [
        "other.conf:1 logFile",
        "other.conf:2 rtspAddress",
        "other.conf:3 rpiCameraWidth",
    ]


def test_tables_are_merged_as_yaml_says(imported: Import) -> None:
    text = "authMethod: jwt\npathDefaults: &all {maxReaders: 3, overridePublisher: yes}\n"
    done = imported("mediamtx", f"{text}paths:\n  live/a:\n    <<: *all\n    maxReaders: 4\n")
    assert done.app("live/a") == {
        "player": {"max_players_per_stream": 4},
        "handover": {"on_duplicate": "takeover"},
    }


def test_a_path_may_be_recorded_less_than_all(imported: Import) -> None:
    text = "pathDefaults: {record: yes, recordPath: /rec/%path/%s}\npaths:\n  live/a: {record: no}\n"
    done = imported("mediamtx", f"{text}  live/b: {{maxReaders: 3}}\n")
    assert done.app("live/a")["record"] == {"start": "never"}
    assert "record" not in done.app("live/b")


@pytest.mark.parametrize("text", ["rtmp: no", "rtmpEncryption: strict"])
def test_rtmp_in_the_clear_is_for_this_machine_where_it_was_for_nobody(imported: Import, text: str) -> None:
    done = imported("mediamtx", text)
    assert (done.code, done.settings["rtmp"]) == (0, {"listen": ["127.0.0.1:1935"]})


def test_proxies_of_both_are_believed(imported: Import) -> None:
    done = imported(
        "mediamtx", "rtmpTrustedProxies: [192.0.2.1]\nhlsTrustedProxies: [192.0.2.2, 192.0.2.1]\n"
    )
    assert done.settings["network"] == {"trusted_proxies": ["192.0.2.1", "192.0.2.2"]}


def test_numbers_that_are_none(imported: Import) -> None:
    done = paths(imported, f"live/a:\n  maxReaders: many\nlive/b:\n  maxReaders: {'9' * 5000}")
    assert [each.partition(":")[2] for each in done.left] == ["maxReaders", "maxReaders"]


def test_scripts_of_shells_are_given_variables(imported: Import) -> None:
    text = """
    live/one:
      runOnReady: sh -c "note rtmp://localhost/${MTX_PATH}_low"
    live/two:
      runOnReady: sh -c "note '$MTX_PATH'"
    """
    done = paths(imported, text)
    command = done.app("live/one")["run"]["sh"]["command"]
    assert command == ["sh", "-c", 'note rtmp://localhost/"$RTMPD_APP"/"$RTMPD_NAME"_low']
    assert [each.partition(":")[2] for each in done.left] == ["runOnReady"]
    assert "run" not in done.settings["apps"].get("live/two", {})


def test_a_file_of_something_else_is_none(imported: Import) -> None:
    done = imported("mediamtx", "services:\n  web: {}\nvolumes: {}\n")
    assert (done.code, done.text, len(done.told)) == (78, "", 1)
    assert "there is no key of MediaMTX in it" in done.told[0]
