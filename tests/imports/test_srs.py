"""srs.conf as settings of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtmpd.daemon import cli

from .conftest import Import, Imported


def vhost(imported: Import, *lines: str) -> Imported:
    """The default one, with these directives from the third line on."""
    text = "\n".join(["listen 1935;", "vhost __defaultVhost__ {", *lines, "}", ""])
    return imported("srs", text)


def test_what_is_of_the_server(imported: Import) -> None:
    text = """
    listen 1935 127.0.0.1:1936;
    max_connections 500;
    srs_log_level warn;
    daemon off;
    pid ./objs/srs.pid;
    http_api { enabled on; listen 1985; }
    http_server { enabled on; listen 8080; }
    stats { network 0; }
    rtc_server { enabled off; listen 8000; }
    """
    done = imported("srs", text)
    assert done.code == 0
    assert done.settings == {
        "rtmp": {
            "listen": [":1935", "127.0.0.1:1936"],
            "limits": {"max_connections": 500, "max_connections_per_address": 500},
        },
        "log": {"level": "warning"},
        "compat": {"srs": {"admin": True}},
        "http": {"listen": [":8080"]},
    }


def test_what_is_said_of_the_default_vhost_is_said_of_all_apps(imported: Import) -> None:
    done = vhost(
        imported,
        "chunk_size 60000; tcp_nodelay on; min_latency on;",
        "play { gop_cache off; queue_length 8; mw_latency 100; send_min_interval 10; }",
        "publish { mr off; firstpkt_timeout 15000; normal_timeout 6500; }",
    )
    assert done.code == 0
    assert done.settings["rtmp"]["chunk_size"] == 60000
    assert done.app("*") == {
        "gop": {"enabled": False},
        "player": {"max_backlog_seconds": "8s"},
        "stream": {"merge_window_ms": 100},
        "limits": {"first_media_timeout": "15s", "idle_publisher_timeout": "6.5s"},
        "publish": {"allow": "anyone"},
    }


def test_another_vhost_is_left(imported: Import) -> None:
    done = imported("srs", "vhost __defaultVhost__ { }\nvhost second.example { dvr { enabled on; } }")
    assert (done.code, done.left) == (3, ["2:vhost"])


def test_security_is_lists_without_order(imported: Import) -> None:
    done = vhost(
        imported,
        "security { enabled on; allow publish 192.0.2.0/24; deny publish 192.0.2.9; deny play all; }",
    )
    assert done.app("*")["publish"] == {"allow": "anyone", "ips": ["192.0.2.0/24"], "deny_ips": ["192.0.2.9"]}
    assert done.app("*")["play"] == {"allow": "nobody"}


def test_a_block_that_is_not_enabled_says_nothing(imported: Import) -> None:
    done = vhost(
        imported,
        "security { enabled off; deny publish all; }",
        "dvr { enabled off; dvr_path /rec/[stream].flv; }",
        "forward { enabled off; destination 192.0.2.1; }",
        "transcode { enabled off; }",
        "cluster { mode local; }",
    )
    assert (done.code, done.app("*")) == (0, {"publish": {"allow": "anyone"}})


def test_hooks_speak_srs(imported: Import) -> None:
    done = vhost(
        imported,
        "http_hooks { enabled on; on_publish http://a.example/x http://b.example/y;",
        "on_unpublish http://a.example/x; on_stop http://a.example/x; on_close http://a.example/x;",
        "on_dvr http://a.example/x; on_hls http://a.example/x; }",
    )
    assert done.left == ["5:on_hls"]
    assert done.app("*") == {
        "hooks": {
            "dialect": "srs",
            "decides": True,
            "on_publish": ["http://a.example/x", "http://b.example/y"],
            "on_publish_done": ["http://a.example/x"],
            "on_play_done": ["http://a.example/x"],
            "on_disconnect": ["http://a.example/x"],
            "on_record_done": ["http://a.example/x"],
        }
    }


def test_forwards_and_an_edge(imported: Import) -> None:
    done = vhost(
        imported,
        "forward { enabled on; destination 192.0.2.50:1936 live.example.net; }",
        "cluster { mode remote; origin 192.0.2.1:1935 192.0.2.2; }",
    )
    assert done.code == 0
    assert done.app("*")["push"] == {
        "192-0-2-50": {"url": "rtmp://192.0.2.50:1936/{app}/{name}"},
        "example": {"url": "rtmp://live.example.net/{app}/{name}"},
    }
    assert done.app("*")["pull"] == {
        "from": ["rtmp://192.0.2.1:1935/{app}/{name}", "rtmp://192.0.2.2/{app}/{name}"]
    }
    assert done.app("*")["publish"] == {"allow": "anyone", "open": True}


def test_a_backend_says_where_streams_are_forwarded(imported: Import) -> None:
    done = vhost(imported, "forward { enabled on; backend http://127.0.0.1:8085/forward; }")
    assert done.app("*")["hooks"] == {"dialect": "srs", "on_forward": ["http://127.0.0.1:8085/forward"]}


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        (
            "/rec/[app]/[stream]/[2006]/[01]/[02]/[15].[04].[05].flv",
            "/rec",
            "{app}/{name}/{start:%Y/%m/%d/%H.%M.%S}",
        ),
        ("/data/[vhost]/x-[stream].[timestamp].flv", "/data", "x-{name}.{start:%s}"),
        ("/rec/fixed.flv", "/rec", "fixed"),
    ],
)
def test_what_files_are_called(imported: Import, path: str, root: str, name: str) -> None:
    done = vhost(imported, f"dvr {{ enabled on; dvr_path {path}; dvr_plan segment; dvr_duration 120; }}")
    assert done.code == 0
    assert done.app("*")["record"] == {"start": "always", "root": root, "name": name, "split_after": "120s"}


def test_only_some_streams_are_recorded(imported: Import) -> None:
    done = vhost(imported, "dvr { enabled on; dvr_path /rec/[stream].mp4; dvr_apply live/one live/two; }")
    assert sorted(done.settings["apps"]) == ["*", "live/one", "live/two"]
    assert done.app("live/two")["record"]["mp4"] == {"enabled": True}


def test_a_path_that_is_not_whole_is_left(imported: Import) -> None:
    done = vhost(imported, "dvr { enabled on; dvr_path ./objs/[stream].flv; }")
    assert (done.code, done.left) == (3, ["3:dvr_path"])


def test_a_command_of_each_stream(imported: Import) -> None:
    done = vhost(
        imported,
        'exec { enabled on; publish ffmpeg -i [url] -filter_complex "[0:v]split[v]"',
        "-f flv rtmp://127.0.0.1/[app]/[stream]_small; }",
    )
    assert done.app("*")["run"]["ffmpeg"] == {
        "command": [
            *("ffmpeg", "-i", "{play_url}", "-filter_complex", "[0:v]split[v]", "-f", "flv", "{publish_url}"),
        ],
        "publish": ["{app}/{name}_small"],
    }


def test_hls_and_flv(imported: Import) -> None:
    done = vhost(
        imported,
        "hls { enabled on; hls_fragment 4; hls_window 40; hls_path ./objs; }",
        "http_remux { enabled on; mount [vhost]/video/[app]/[stream].flv; }",
    )
    assert done.code == 0
    assert done.app("*")["hls"] == {"enabled": True, "segment": "4s", "window": "40s"}
    assert done.settings["http"] == {
        "prefix": "/video",
        "aliases": ["/{app}/{name}.m3u8 -> /{app}/{name}/index.m3u8"],
    }


def test_another_order_of_an_address_is_left(imported: Import) -> None:
    done = vhost(imported, "http_remux { enabled on; mount [vhost]/[stream]/[app].flv; }")
    assert (done.code, done.left) == (3, ["3:http_remux mount"])


def test_a_certificate_is_that_of_rtmps(tmp_path: Path) -> None:
    file = tmp_path / "srs.conf"
    file.write_text("rtmps { enabled on; listen 1443; key /a/key.pem; cert /a/cert.pem; }")
    done = CliRunner().invoke(cli.app, ["import", "srs", str(file)])
    assert done.exit_code == 0
    assert 'certificates = [{chain_file = "/a/cert.pem", key_file = "/a/key.pem"}]' in done.stdout


def test_what_is_not_there_is_named(imported: Import) -> None:
    done = vhost(imported, "rtc { enabled on; }", "transcode { enabled on; }", "weird on;")
    assert (done.code, done.left) == (3, ["3:rtc", "4:transcode", "5:weird"])


def test_whatever_stands_in_a_block_is_looked_at(imported: Import) -> None:
    done = vhost(
        imported,
        "play { gop_cache on; odd 1; }",
        "forward { enabled on; odd 2; destination host; }",
        "http_hooks { enabled on; on_odd http://host/x; }",
        "mystery { enabled on; deeper { a b; } }",
        "dvr { enabled off; odd 3; }",
        "hls { enabled on; hls_entry_prefix http://cdn; odd 4; }",
    )
    assert done.left == ["3:odd", "4:odd", "5:on_odd", "6:mystery", "8:hls_entry_prefix", "8:odd"]
    assert "other.conf:7 dvr" in done.text.replace("\n# ", " ")


def test_parts_of_the_api_and_of_the_web_server(imported: Import) -> None:
    text = """
    http_api { enabled on; listen 1985; raw_api { enabled on; } auth { enabled on; password hush; } }
    http_server { enabled on; listen 8080; https { enabled on; listen 8088; } }
    """
    done = imported("srs", text)
    assert done.left == ["2:http_api raw_api", "2:http_api auth", "3:https", "3:https.listen"]
    assert done.settings["http"] == {"listen": [":8080"]}
    assert "https" not in done.settings
    assert "hush" not in done.text


def test_a_password_is_in_no_name(imported: Import) -> None:
    done = vhost(imported, "forward { enabled on; destination rtmp://hush:hush@host/app/key; }")
    assert done.app("*")["push"] == {"host": {"url": "rtmp://hush:hush@host/app/key"}}


def test_a_stream_that_can_be_none_is_recorded_nowhere(imported: Import) -> None:
    done = vhost(imported, 'dvr { enabled on; dvr_path /rec/[stream].flv; dvr_apply live/a "b c"; }')
    assert (done.left, [*done.settings["apps"]]) == (["3:dvr_apply"], ["live/a", "*"])


def test_the_file_of_another_server_is_none(imported: Import) -> None:
    done = imported("srs", "rtmp { server { listen 1935; } }\nhttp { }\n")
    assert (done.code, done.text, len(done.told)) == (78, "", 1)
    assert "there is no listen or vhost or rtmps" in done.told[0]
