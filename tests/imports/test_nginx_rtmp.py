"""nginx.conf with a block rtmp, as settings of ours."""

from __future__ import annotations

import subprocess
from textwrap import dedent, indent

import pytest

from rtmpd.daemon.admin_config import AdminConfig
from rtmpd.daemon.http_config import HttpConfig
from rtmpd.imports.draft import ADMIN, HTTP
from rtmpd.imports.nginx_words import APP, COMMANDS, HLS, LEFT, NEEDLESS, RECORD, SERVER
from rtmpd.processes.command import OF_HOOKS, Command

from .conftest import Import, Imported


def application(imported: Import, *lines: str, name: str = "live", outside: str = "") -> Imported:
    """One application, where publishing is on, with these directives from the fifth line on."""
    inside = indent("\n".join(lines), " " * 6)
    text = f"rtmp {{\n  server {{ listen 1935; {outside}\n    application {name} {{\n      live on;\n"
    return imported("nginx-rtmp", f"{text}{inside}\n    }}\n  }}\n}}\n")


def test_an_application_alone_lets_anyone_publish_as_it_did_and_that_is_told(imported: Import) -> None:
    done = application(imported)
    assert done.code == 0
    assert done.settings["rtmp"] == {"listen": [":1935"]}
    assert done.app("live") == {"publish": {"allow": "anyone"}}
    assert any("anyone may publish" in line for line in done.told)


def test_each_setting_says_where_it_came_from(imported: Import) -> None:
    done = application(imported, "", "drop_idle_publisher 15s;")
    lines = done.text.splitlines()
    at = lines.index('idle_publisher_timeout = "15s"')
    assert lines[at - 1].startswith("# ")
    assert lines[at - 1].endswith("other.conf:6")


def test_what_a_server_says_is_of_the_server(imported: Import) -> None:
    outside = (
        "chunk_size 8k; ack_window 5000000; max_streams 16; ping 2m; ping_timeout 20s; timeout 25s; "
        "max_message 16M; max_connections 300;"
    )
    done = application(imported, outside=outside)
    assert done.code == 0
    assert done.settings["rtmp"] == {
        "listen": [":1935"],
        "chunk_size": 8192,
        "window_ack_size": 5_000_000,
        "limits": {
            "max_message_bytes": (1 << 24) - 1,
            "max_partial_bytes": (1 << 24) - 1,
            "max_message_streams": 16,
            "ping_interval": "120s",
            "ping_timeout": "20s",
            "max_connections": 300,
            "max_connections_per_address": 300,
        },
    }
    assert done.settings["player"] == {"disconnect_after": "25s"}


def test_what_would_not_be_taken_is_left_with_the_reason_and_the_rest_is_there(imported: Import) -> None:
    done = application(imported, "drop_idle_publisher 9s;", outside="chunk_size 64; max_connections 0;")
    assert (done.code, done.left) == (3, ["2:rtmp.chunk_size", "2:max_connections"])
    assert any("rtmp.chunk_size: would not be taken" in line and "at least 128" in line for line in done.told)
    assert done.app("live")["limits"] == {"idle_publisher_timeout": "9s"}


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("1935", ":1935"),
        ("*:1936", ":1936"),
        ("127.0.0.1:1940", "127.0.0.1:1940"),
        ("[::1]:1935 ipv6only=on", "[::1]:1935"),
        ("192.0.2.4", "192.0.2.4:1935"),
    ],
)
def test_where_it_listens(imported: Import, listen: str, address: str) -> None:
    text = f"rtmp {{ server {{ listen {listen}; application live {{ live on; }} }} }}"
    assert imported("nginx-rtmp", text).settings["rtmp"]["listen"] == [address]


def test_who_comes_by_a_proxy_is_left_to_be_said(imported: Import) -> None:
    done = imported("nginx-rtmp", "rtmp { server { listen 1935 proxy_protocol; } }")
    assert (done.code, done.left) == (3, ["1:listen ... proxy_protocol"])


@pytest.mark.parametrize(
    ("rules", "publish"),
    [
        (["allow publish 192.0.2.0/24", "deny publish all"], {"allow": "anyone", "ips": ["192.0.2.0/24"]}),
        (["deny publish 192.0.2.7", "allow publish all"], {"allow": "anyone", "deny_ips": ["192.0.2.7"]}),
        (["deny publish 192.0.2.7"], {"allow": "anyone", "deny_ips": ["192.0.2.7"]}),
        (["deny publish all"], {"allow": "nobody"}),
        (["deny all"], {"allow": "nobody"}),
        (["allow publish all", "deny publish all"], {"allow": "anyone"}),
        (["allow play 192.0.2.1"], {"allow": "anyone"}),
    ],
)
def test_who_may_publish(imported: Import, rules: list[str], publish: dict[str, object]) -> None:
    done = application(imported, *(f"{rule};" for rule in rules))
    assert done.code == 0
    assert done.app("live")["publish"] == publish


def test_who_may_play(imported: Import) -> None:
    done = application(imported, "allow play 10.0.0.0/8;", "deny play all;")
    assert done.app("live")["play"] == {"ips": ["10.0.0.0/8"]}


def test_an_order_that_lists_cannot_have_is_left(imported: Import) -> None:
    done = application(imported, "allow publish 192.0.2.1;", "deny publish 192.0.2.0/24;")
    assert (done.code, done.left) == (3, ["5:allow"])


def test_a_backend_decides_in_its_own_words(imported: Import) -> None:
    done = application(
        imported,
        "on_play http://127.0.0.1:8000/play;",
        "on_done http://127.0.0.1:8000/done;",
        "notify_update_timeout 5s;",
        outside="on_publish http://127.0.0.1:8000/auth?secret=hush; notify_method get;",
    )
    assert done.code == 0
    assert done.app("live") == {
        "hooks": {
            "dialect": "nginx-rtmp",
            "decides": True,
            "method": "get",
            "on_publish": ["http://127.0.0.1:8000/auth?secret=hush"],
            "on_play": ["http://127.0.0.1:8000/play"],
            "on_done": ["http://127.0.0.1:8000/done"],
            "update_interval": "5s",
        }
    }


def test_recordings_go_where_they_went(imported: Import) -> None:
    done = application(
        imported,
        "record all manual;",
        "record_suffix -%Y-%m-%d_%H.flv;",
        "record_interval 15m;",
        "record_max_size 1g;",
        "record_lock on;",
        outside="record_path /srv/rec;",
    )
    assert done.code == 0
    assert done.app("live")["record"] == {
        "start": "manual",
        "root": "/srv/rec",
        "name": "{name}-{start:%Y-%m-%d_%H}",
        "split_after": "900s",
        "split_bytes": 1 << 30,
    }


def test_a_recorder_is_the_recorder_and_a_second_one_is_left(imported: Import) -> None:
    done = application(
        imported,
        "recorder all { record all; record_path /srv/a; record_unique on; exec_record_done note $path; }",
        "recorder sound { record audio; record_path /srv/b; }",
    )
    assert done.left == ["6:recorder"]
    assert done.app("live")["record"] == {"start": "always", "root": "/srv/a", "name": "{name}-{start}"}
    assert done.app("live")["exec"]["note"] == {"command": ["note", "{file}"], "on": ["recording_finished"]}


@pytest.mark.parametrize(("what", "path"), [("keyframes", "/srv"), ("all", "recordings")])
def test_what_cannot_be_recorded_so_is_not_recorded(imported: Import, what: str, path: str) -> None:
    done = application(imported, f"record {what};", f"record_path {path};")
    assert done.code == 3
    assert "record" not in done.app("live")


def test_pushes_are_targets_and_their_keys_are_told_to_nobody(imported: Import) -> None:
    done = application(
        imported,
        "push rtmp://a.live.example.com/app2/hush-hush-1;",
        "push rtmps://b.example.com:443/other;",
        "push c.example.net/in name=fixed pageUrl=http://x;",
    )
    assert done.app("live")["push"] == {
        "example": {"url": "rtmp://a.live.example.com/app2", "key": "hush-hush-1"},
        "example-2": {"url": "rtmps://b.example.com:443/other/{name}"},
        "example-3": {"url": "rtmp://c.example.net/in", "key": "fixed"},
    }
    assert done.app("live")["publish"] == {"allow": "anyone", "open": True}
    assert done.left == ["7:push ... pageUrl"]
    assert "hush" not in "".join(done.told)


def test_a_push_to_itself_is_a_process_that_copies(imported: Import) -> None:
    done = application(imported, "push rtmp://localhost/small;")
    assert done.app("live")["run"]["copy"] == {
        "command": ["ffmpeg", "-i", "{play_url}", "-c", "copy", "-f", "flv", "{publish_url}"],
        "publish": ["small/{name}"],
    }


def test_pulls_are_origins(imported: Import) -> None:
    done = application(
        imported,
        "pull rtmp://origin.example.com/live;",
        "pull rtmp://origin.example.com/live/special name=cam static;",
    )
    assert done.code == 0
    assert done.app("live")["pull"] == {"from": ["rtmp://origin.example.com/live/{name}"]}
    assert done.app("live/cam")["pull"] == {
        "from": ["rtmp://origin.example.com/live/special"],
        "names": ["cam"],
        "on_demand": False,
    }


def test_a_command_plays_and_publishes_by_placeholders(imported: Import) -> None:
    done = application(
        imported,
        "exec ffmpeg -i rtmp://localhost/live/$name -vf 'drawtext=text={x}'",
        "  -f flv rtmp://localhost/small/${name}_360 -f flv rtmp://127.0.0.1:1935/$app/copy",
        "  -f flv rtmp://far.example.com/in/$name 2>>/var/log/$name.log;",
        "respawn off;",
    )
    assert done.code == 0
    assert done.app("live")["run"]["ffmpeg"] == {
        "command": [
            *("ffmpeg", "-i", "{play_url}", "-vf", "drawtext=text={{x}}", "-f", "flv", "{publish_url}"),
            *("-f", "flv", "{publish_url_2}", "-f", "flv", "rtmp://far.example.com/in/{name}"),
        ],
        "publish": ["small/{name}_360", "{app}/copy"],
        "restart": "never",
    }


@pytest.mark.parametrize(
    ("script", "ours", "said"),
    [
        ("put $app/$name_low", 'put "$RTMPD_APP"/"$RTMPD_NAME"_low', "live/my  cam_low"),
        ("put ${name}_low $addr", 'put "$RTMPD_NAME"_low "$RTMPD_ADDRESS"', "my  cam_low|192.0.2.1"),
        (r"put \"a/$name_low $name\"", 'put "a/${{RTMPD_NAME}}_low $RTMPD_NAME"', "a/my  cam_low my  cam"),
        (r"put \"it's $name\" x", 'put "it\'s $RTMPD_NAME" x', "it's my  cam|x"),
        (r"put 'a\' $name", "put 'a' \"$RTMPD_NAME\"", "a|my  cam"),
        ("put `put $name`", "put `put $RTMPD_NAME`", "my|cam"),
        (
            r"X=1 put \${RTMPD_APP} \$RTMPD_APP {x}",
            "X=1 put ${{RTMPD_APP}} $RTMPD_APP {{x}}",
            "live|live|{x}",
        ),
    ],
)
def test_a_shell_is_given_variables_that_expand_to_what_was_filled_in(
    imported: Import, script: str, ours: str, said: str
) -> None:
    done = application(imported, f'exec_publish sh -c "{script}";')
    assert done.code == 0
    command = done.app("live")["exec"]["sh"]["command"]
    assert command == ["sh", "-c", ours]
    shell, option, text = Command.parse(command, names=OF_HOOKS).fill({})
    put = "put() { local IFS='|'; printf %s \"$*\"; }\n"
    environment = {"RTMPD_APP": "live", "RTMPD_NAME": "my  cam", "RTMPD_ADDRESS": "192.0.2.1"}
    ran = subprocess.run([shell, option, put + text], env=environment, capture_output=True, timeout=10)
    assert (ran.stdout.decode(), ran.stderr) == (said, b"")


def test_what_a_shell_is_given_besides_its_script_has_placeholders(imported: Import) -> None:
    done = application(imported, "exec_publish sh -c 'echo \\$1' sh $name_low;")
    assert done.app("live")["exec"]["sh"]["command"] == ["sh", "-c", "echo $1", "sh", "{name}_low"]


@pytest.mark.parametrize("script", ["echo 'a $name'", "echo $name `echo 'b'`", "echo $name it's"])
def test_a_variable_that_a_shell_would_not_read_is_left(imported: Import, script: str) -> None:
    done = application(imported, f'exec_publish sh -c "{script}";')
    assert (done.code, done.left) == (3, ["5:exec_publish"])
    assert "exec" not in done.app("live")


def test_a_command_that_asks_for_what_there_is_not_is_left(imported: Import) -> None:
    done = application(imported, "exec_play_done note $pageurl;", "exec_static ffmpeg -i camera;")
    assert (done.code, done.left) == (3, ["5:exec_play_done", "6:exec_static"])


def test_a_process_begins_with_a_viewer(imported: Import) -> None:
    done = application(imported, "exec_pull ffmpeg -i http://cam/x -f flv rtmp://localhost/$app/$name;")
    assert done.app("live")["run"]["ffmpeg"] == {
        "command": ["ffmpeg", "-i", "http://cam/x", "-f", "flv", "{publish_url}"],
        "publish": ["{app}/{name}"],
        "start": "viewer",
    }


def test_files_are_played_and_nobody_publishes_where_nothing_was_live(imported: Import) -> None:
    text = "rtmp { server { listen 1935; application films { play /var/films; } } }"
    done = imported("nginx-rtmp", text)
    assert done.app("films") == {"vod": {"root": "/var/films"}, "publish": {"allow": "nobody"}}


def test_hls_is_as_long_as_it_was(imported: Import) -> None:
    done = application(
        imported,
        "hls on;",
        "hls_path /tmp/hls;",
        "hls_fragment 4s;",
        "hls_playlist_length 1m;",
        "hls_keys on;",
        "hls_variant _low BANDWIDTH=160000;",
        "hls_variant _mid;",
    )
    assert done.app("live")["hls"] == {
        "enabled": True,
        "segment": "4s",
        "window": "60s",
        "variants": ["{name}", "{name}_low", "{name}_mid"],
    }
    assert done.left == ["6:hls_path", "9:hls_keys"]


def test_who_may_not_play_does_not_by_hls_either_and_that_is_told(imported: Import) -> None:
    done = application(imported, "hls on;", "deny play all;")
    assert (done.left, done.app("live")["play"]) == (["6:deny"], {"allow": "nobody"})
    assert application(imported, "hls on;", "allow play all;").left == []


@pytest.mark.parametrize(
    ("location", "path", "nested", "alias"),
    [
        ("location /hls { root /tmp; }", "/tmp/hls", "off", "/hls/{name}.m3u8"),
        ("location /hls/ { alias /var/hls/; }", "/var/hls/small", "on", "/hls/small/{name}/index.m3u8"),
        ("location / { root /www; }", "/www/x", "off", "/x/{name}.m3u8"),
        ("root /www; location /x { expires -1; }", "/www/x", "off", "/x/{name}.m3u8"),
        ("location /other { root /tmp; }", "/tmp/hls", "off", None),
        ("location /hls { proxy_pass http://x; }", "/tmp/hls", "off", None),
    ],
)
def test_old_addresses_of_hls_lead_to_where_it_is(
    imported: Import, location: str, path: str, nested: str, alias: str | None
) -> None:
    text = f"""
    rtmp {{ server {{ listen 1935; application live {{ live on;
      hls on; hls_path {path}; hls_nested {nested}; }} }} }}
    http {{ server {{ {location} }} }}
    """
    aliases = imported("nginx-rtmp", text).settings.get("http", {}).get("aliases")
    assert aliases == (alias and [f"{alias} -> /live/{{name}}/index.m3u8"])


def test_ports_that_are_told_are_those_of_the_settings() -> None:
    assert f"port {HttpConfig().listen[0].lstrip(':')}," in HTTP
    assert f"({AdminConfig().listen[0]}," in ADMIN


WEB = "rtmp {{ server {{ application live {{ live on; hls on; hls_path /tmp/hls; }} }} }}\nhttp {{ {} }}\n"


@pytest.mark.parametrize(
    ("web", "origins", "left"),
    [
        ("server { location /hls { root /tmp; CORS *; } }", ["*"], []),
        (
            "server { location /hls { root /tmp; CORS https://a.example; CORS https://b.example always; } }",
            ["https://a.example", "https://b.example"],
            [],
        ),
        ("CORS *; server { root /tmp; location /hls { expires -1; } }", ["*"], []),
        ("CORS *; server { location /hls { root /tmp; add_header X y; } }", None, []),
        ("server { root /tmp; location ~ m3u8$ { if ($x) { CORS *; } } }", ["*"], []),
        ("server { root /tmp; location /api { CORS *; } }", None, []),
        ("server { location /hls { root /tmp; CORS $http_origin; } }", None, ["2:add_header CORS"]),
    ],
)
def test_pages_that_had_hls_have_it(
    imported: Import, web: str, origins: list[str] | None, left: list[str]
) -> None:
    done = imported("nginx-rtmp", WEB.format(web.replace("CORS", "add_header Access-Control-Allow-Origin")))
    told = [each.replace("Access-Control-Allow-Origin", "CORS") for each in done.left]
    assert (done.settings["http"].get("origins"), told) == (origins, left)


def test_pages_that_had_http_flv_have_it(imported: Import) -> None:
    web = "http { server { location /flv { flv_live on; add_header Access-Control-Allow-Origin *; } } }"
    done = imported("nginx-rtmp", f"rtmp {{ server {{ application live {{ live on; }} }} }}\n{web}")
    assert (done.code, done.settings["http"]) == (0, {"origins": ["*"]})


@pytest.mark.parametrize(
    ("listen", "ports"), [("", "80"), ("listen [::]:8080; listen 127.0.0.1:81;", "8080, 81")]
)
def test_where_streams_are_and_where_they_were_is_told(imported: Import, listen: str, ports: str) -> None:
    done = imported("nginx-rtmp", WEB.format(f"server {{ {listen} location /hls {{ root /tmp; }} }}"))
    (line,) = [line for line in done.told if ": hls: " in line]
    assert "port 8935" in line
    assert f"at port {ports} of nginx" in line


def test_statistics_and_control_are_at_their_paths(imported: Import) -> None:
    text = """
    rtmp { server { listen 1935; application live { live on; } } }
    http {
      include mime.types;
      gzip on;
      server {
        listen 8080;
        location /statistics { rtmp_stat all; rtmp_stat_stylesheet stat.xsl; }
        location = /ctl { rtmp_control all; }
      }
    }
    """
    done = imported("nginx-rtmp", dedent(text))
    assert done.code == 0
    assert done.settings["compat"]["nginx_rtmp"] == {
        "admin": True,
        "stat_path": "/statistics",
        "control_path": "/ctl",
    }


def test_what_nobody_knows_is_named_with_its_line_and_not_with_what_it_says(imported: Import) -> None:
    done = application(imported, "frobnicate hush;", "dash on;", "buflen 3s;", "wait_key on;")
    assert (done.code, done.left) == (3, ["5:frobnicate", "6:dash"])
    assert "hush" not in "".join(done.told)


def rest(done: Imported) -> str:
    """What stands at the end of the settings."""
    return done.text.partition("# Without a setting of their own")[2].replace("\n# ", " ")


def test_whatever_is_said_is_a_setting_or_told_of_or_named_at_the_end(imported: Import) -> None:
    said = [*SERVER, *APP, *RECORD, *HLS, *COMMANDS, *NEEDLESS, *LEFT, "frobnicate"]
    lines = [f"{name} 5s;" for name in said if name not in ("application", "recorder", "live")]
    done = application(imported, *lines, name="tv")
    all_of_it = "\n".join([done.text.replace("\n# ", " "), *done.told])
    for number, line in enumerate(lines, 5):
        assert f"other.conf:{number}" in all_of_it, line
    assert "wait_key" in rest(done)


def test_what_stands_where_nothing_of_it_does_is_named_too(imported: Import) -> None:
    done = application(imported, "recorder a { odd 1; record all; }", outside="strange { a b; } dull on;")
    assert done.left == ["2:strange", "2:dull", "5:odd", "5:record_path"]


@pytest.mark.parametrize("name", ['"a b"', '""', "../x", '"a\\nb"'])
def test_what_no_app_can_be_called_is_left_as_a_whole(imported: Import, name: str) -> None:
    done = application(imported, "push rtmp://host/app;", "frobnicate on;", name=name)
    assert (done.code, done.left, "apps" in done.settings) == (3, ["3:application"], False)


@pytest.mark.parametrize(
    ("line", "closed"),
    [
        ("allow publish nowhere; deny publish all;", "publish"),
        ("deny play nowhere;", "play"),
        ("on_play nowhere;", "play"),
    ],
)
def test_what_kept_somebody_out_and_cannot_here_keeps_out_all(
    imported: Import, line: str, closed: str
) -> None:
    done = application(imported, line)
    assert (done.code, done.app("live")[closed]["allow"]) == (3, "nobody")


def test_nothing_said_is_nothing_to_stumble_over(imported: Import) -> None:
    done = application(imported, "allow;", "deny;", "push;", "pull;", "exec;", "on_play;", "hls_fragment;")
    assert (done.code, done.left) == (3, ["7:push", "8:pull", "9:exec"])
    assert application(imported, outside=f"max_connections {'9' * 5000};").left == ["2:max_connections"]


def test_two_servers_that_say_it_differently_are_told_apart(imported: Import) -> None:
    text = "rtmp { server { listen 1935; chunk_size 4096; }\n server { listen 1936; chunk_size 8192; } }"
    done = imported("nginx-rtmp", text)
    assert done.settings["rtmp"] == {"listen": [":1935", ":1936"], "chunk_size": 4096}
    assert done.left == ["2:chunk_size"]


@pytest.mark.parametrize("text", ["events { }\nhttp { }\n", "", "# nothing\n"])
def test_a_file_without_rtmp_is_none(imported: Import, text: str) -> None:
    done = imported("nginx-rtmp", text)
    assert (done.code, done.text, len(done.told)) == (78, "", 1)
    assert "there is no rtmp in it" in done.told[0]


def test_what_was_not_included_is_told_where_there_is_nothing_else(imported: Import) -> None:
    done = imported("nginx-rtmp", "events { }\ninclude gone.conf;\n")
    assert (done.code, done.text) == (78, "")
    assert "other.conf:2: include: cannot be read" in done.told[0]
