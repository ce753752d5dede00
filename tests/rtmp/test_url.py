from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.exceptions import UsageError
from rtmpd.rtmp.url import (
    RtmpUrl,
    awaited_name,
    bare_names,
    clean_path,
    parse_query,
    redact,
    resolve,
    split_query,
    validate_name,
)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("rtmp://h/live/key", RtmpUrl("rtmp", "h", 1935, "live", "key")),
        ("rtmps://h/live/key", RtmpUrl("rtmps", "h", 443, "live", "key")),
        ("RTMP://h:19350/live/key", RtmpUrl("rtmp", "h", 19350, "live", "key")),
        ("rtmp://h:/live/key", RtmpUrl("rtmp", "h", 1935, "live", "key")),
        ("rtmp://[::1]/live/key", RtmpUrl("rtmp", "::1", 1935, "live", "key")),
        ("rtmp://[fe80::1%eth0]:1936/live", RtmpUrl("rtmp", "fe80::1%eth0", 1936, "live")),
        ("rtmp://h/live", RtmpUrl("rtmp", "h", 1935, "live")),
        ("rtmp://h/live/", RtmpUrl("rtmp", "h", 1935, "live")),
        ("rtmp://h/a/b/c", RtmpUrl("rtmp", "h", 1935, "a/b", "c")),
        ("rtmp://h/live/k?t=a+b/c==&x=%20", RtmpUrl("rtmp", "h", 1935, "live", "k", "t=a+b/c==&x=%20")),
        ("rtmp://h/live/k?a=1?b=2", RtmpUrl("rtmp", "h", 1935, "live", "k", "a=1?b=2")),
        ("rtmp://u:p%40s%2Fs@h/live/k", RtmpUrl("rtmp", "h", 1935, "live", "k", user="u", password="p@s/s")),
        ("rtmp://u:p@q@h/live/k", RtmpUrl("rtmp", "h", 1935, "live", "k", user="u", password="p@q")),
        ("rtmp://h/live/my%20key", RtmpUrl("rtmp", "h", 1935, "live", "my%20key")),
        ("rtmp://u@h/live", RtmpUrl("rtmp", "h", 1935, "live", user="u")),
    ],
)
def test_parse(text: str, parsed: RtmpUrl) -> None:
    assert RtmpUrl.parse(text) == parsed
    assert RtmpUrl.parse(parsed.full) == parsed


@pytest.mark.parametrize(("app", "name"), [("a", "b/c"), ("a/b", "c"), ("a/b/c", ""), ("/a/b/", "c")])
def test_the_app_may_be_given(app: str, name: str) -> None:
    url = RtmpUrl.parse("rtmp://h/a/b/c", app=app)
    assert (url.app, url.name) == (app.strip("/"), name)


@pytest.mark.parametrize("app", ["b", "a/b/c/d", "a/bb", ""])
def test_an_app_that_does_not_fit(app: str) -> None:
    with pytest.raises(UsageError):
        RtmpUrl.parse("rtmp://h/a/b/c", app=app)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "rtmp://"),
        ("h/live/key", "rtmp://"),
        ("http://h/live/key", "rtmp://"),
        ("rtmpt://h/live/key", "rtmp://"),
        ("rtmp:///live/key", "no host"),
        ("rtmp://u:secret@/live/key", "no host"),
        ("rtmp://:1935/live", "no host"),
        ("rtmp://h", "application"),
        ("rtmp://h/?secret", "application"),
        ("rtmp://h:0/live", "port"),
        ("rtmp://h:65536/live", "port"),
        ("rtmp://h:99999999999/live", "port"),
        ("rtmp://h:000001999999/live", "port"),
        (f"rtmp://h:000001{'9' * 5000}/live", "port"),
        ("rtmp://h:x/live", "port"),
        ("rtmp://h:²/live", "port"),
        ("rtmp://::1/live", "brackets"),
        ("rtmp://[::1/live", "[address]"),
        ("rtmp://[::1]x/live", "[address]"),
        ("rtmp://[h]/live", "[address]"),
        ("rtmp://h/li ve", "spaces"),
        ("rtmp://h/live\r\n", "spaces"),
        ("rtmp://h\x00/live", "control"),
    ],
)
def test_refusals_are_pointed_and_tell_no_secret(text: str, about: str) -> None:
    with pytest.raises(UsageError) as caught:
        RtmpUrl.parse(text)
    assert about in str(caught.value)
    assert "secret" not in str(caught.value)


def test_tc_url_is_plain() -> None:
    assert RtmpUrl.parse("rtmp://u:p@h:1935/a/b/k?t=1").tc_url == "rtmp://h/a/b"
    assert RtmpUrl.parse("rtmps://[::1]:444/live/k").tc_url == "rtmps://[::1]:444/live"


def test_secrets_show_only_in_full() -> None:
    text = "rtmp://u:secret@h/live/k?token=secret"
    url = RtmpUrl.parse(text)
    assert str(url) == "rtmp://u:***@h/live/k?***"
    assert "secret" not in repr(url)
    assert url.full == text


def test_redact() -> None:
    assert redact("rtmp://u:p@h/live/k?token=x") == "rtmp://u:***@h/live/k?***"
    assert redact("rtmp://u:p?q@h/live") == "rtmp://u:***@h/live"
    assert redact("live?a=1?b=2 and\nmore") == "live?***"
    assert redact("rtmp://h:1935/live/k") == "rtmp://h:1935/live/k"
    assert redact("key?") == "key?"


def test_split_query() -> None:
    assert split_query("key?a=1?b=2") == ("key", "a=1?b=2")
    assert split_query("key") == ("key", "")


def test_parse_query_keeps_bare_base64() -> None:
    query = "k=v?authmod=adobe&user=U&response=DT/Zl9t+wwpZWX1bBOIUg==&opaque=&&flag&x=a%2Fb%20c&user=W"
    assert parse_query(query) == {
        "k": "v",
        "authmod": "adobe",
        "user": "W",
        "response": "DT/Zl9t+wwpZWX1bBOIUg==",
        "opaque": "",
        "flag": "",
        "x": "a/b c",
    }


@pytest.mark.parametrize(
    "name", ["live", "a/b", "a-b_c.d~e+f=g", "пример", "流", "..a", "a..b", "...", "x" * 128]
)
def test_good_names(name: str) -> None:
    assert validate_name(name, 128) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "name_empty"),
        ("x" * 129, "name_too_long"),
        ("é" * 65, "name_too_long"),
        ("a@b", "name_reserved"),
        ("/a", "name_level"),
        ("a/", "name_level"),
        ("a//b", "name_level"),
        ("/", "name_level"),
        (".", "name_level"),
        ("..", "name_level"),
        ("a/../b", "name_level"),
        ("a/.", "name_level"),
        ("a\x00b", "name_character"),
        ("a\nb", "name_character"),
        ("a\x1b[31m", "name_character"),
        ("a b", "name_character"),
        ("a\N{NO-BREAK SPACE}b", "name_character"),
        ("a\\b", "name_character"),
        ('a"b', "name_character"),
        ("a'b", "name_character"),
        ("a`b`", "name_character"),
        ("a?b", "name_character"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "name_character"),
        ("a\N{REPLACEMENT CHARACTER}", "name_character"),
    ],
)
def test_bad_names(name: str, reason: str) -> None:
    assert validate_name(name, 128) == reason


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("live", "cam"), "live/cam"),
        (("live", ""), "live"),
        (("/live//", "//room///cam/"), "live/room/cam"),
        (("live\0junk", "cam\0\0"), "live/cam"),
        (("live ", "\tcam\r\n"), "live/cam"),
        (("live", "room / cam"), "live/room/cam"),
        (("live/_definst_", "cam"), "live/cam"),
        (("live", "_definst_/cam"), "live/cam"),
        (("live", "a b/.."), "live/a b/.."),
        (("", "/ / \0x"), ""),
    ],
)
def test_clean_path(parts: tuple[str, ...], path: str) -> None:
    assert clean_path(*parts) == path


@given(st.text("a/ .\0\n@", max_size=12), st.text("a/ .\0\n@", max_size=12))
def test_a_clean_path_stays_as_it_is_wherever_it_is_cut(app: str, name: str) -> None:
    path = clean_path(app, name)
    assert clean_path(path) == path
    for position in [i for i, character in enumerate(path) if character == "/"]:
        assert clean_path(path[:position], path[position:]) == path


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("cam", []),
        ("mp4:cam", ["cam"]),
        ("flv:cam.flv", ["cam.flv", "flv:cam", "cam"]),
        ("a/mp4:b/cam.f4v", ["a/b/cam.f4v", "a/mp4:b/cam", "a/b/cam"]),
        ("mp3:cam.264", []),
        ("mp4:", []),
        ("flv:../mp4:/x", []),
    ],
)
def test_bare_names(name: str, bare: list[str]) -> None:
    assert bare_names(name) == bare


@pytest.mark.parametrize(
    ("name", "awaited"),
    [
        ("cam", "cam"),
        ("mp4:cam", "cam"),
        ("flv:cam.flv", "cam.flv"),
        ("room/flv:cam", "room/cam"),
        ("cam.flv", "cam.flv"),
        ("mp4:cam.mp4", "mp4:cam.mp4"),
        ("mp4:cam.f4v", "mp4:cam.f4v"),
        ("flv:", "flv:"),
        ("room/mp4:..", "room/mp4:.."),
    ],
)
def test_what_a_player_waits_for(name: str, awaited: str) -> None:
    assert awaited_name(name) == awaited


def test_a_lone_surrogate_is_refused_and_does_not_raise() -> None:
    assert validate_name("a\udc80", 128) == "name_character"


@given(st.text(max_size=40))
def test_a_good_name_stays_below_its_directory(name: str) -> None:
    if validate_name(name, 64) is None:
        assert ".." not in name.split("/")
        assert not name.startswith("/")
        assert name.isprintable()
        assert len(name.encode()) <= 64


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    for candidate in (text, f"rtmp://{text}", f"rtmp://h/{text}", f"rtmp://h:1/a?{text}"):
        try:
            url = RtmpUrl.parse(candidate)
        except UsageError:
            continue
        assert url.app
        assert RtmpUrl.parse(url.full).full == url.full


@pytest.mark.parametrize(
    ("reference", "absolute"),
    [
        ("rtmps://other:8443/app", "rtmps://other:8443/app"),
        ("//other/app", "rtmp://other/app"),
        ("/backup", "rtmp://host:1936/backup"),
        ("/backup?origin=rtmp://a/b", "rtmp://host:1936/backup?origin=rtmp://a/b"),
        ("/a://b", "rtmp://host:1936/a://b"),
        ("backup", "rtmp://host:1936/live/backup"),
        ("backup?origin=rtmp://a/b", "rtmp://host:1936/live/backup?origin=rtmp://a/b"),
        ("?token=x", "rtmp://host:1936/live/inst?token=x"),
        ("?origin=rtmp://a/b", "rtmp://host:1936/live/inst?origin=rtmp://a/b"),
        ("", "rtmp://host:1936/live/inst?token=a/b"),
    ],
)
def test_resolve(reference: str, absolute: str) -> None:
    assert resolve("rtmp://host:1936/live/inst?token=a/b", reference) == absolute


@pytest.mark.parametrize(
    ("base", "absolute"),
    [("rtmp://host/live", "rtmp://host/backup"), ("rtmp://host", "rtmp://host/backup")],
)
def test_resolve_beside_few_levels(base: str, absolute: str) -> None:
    assert resolve(base, "backup") == absolute


@given(st.text(max_size=40))
def test_whatever_is_resolved_is_absolute(reference: str) -> None:
    assert re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", resolve("rtmp://host/live", reference))


HOME = RtmpUrl("rtmp", "h", 1935, "live", "key", "token=x", "user", "secret")


@pytest.mark.parametrize(
    ("tc_url", "moved", "app_query"),
    [
        ("rtmp://h/b/c", RtmpUrl("rtmp", "h", 1935, "b/c", "key", "token=x", "user", "secret"), ""),
        ("rtmp://h:1936/live", RtmpUrl("rtmp", "h", 1936, "live", "key", "token=x"), ""),
        (
            "rtmp://other/live/?t=rtmp://z",
            RtmpUrl("rtmp", "other", 1935, "live", "key", "token=x"),
            "t=rtmp://z",
        ),
        ("rtmp://evil:p@other/live", RtmpUrl("rtmp", "other", 1935, "live", "key", "token=x"), ""),
    ],
)
def test_a_stream_moves_with_its_name(tc_url: str, moved: RtmpUrl, app_query: str) -> None:
    assert HOME.moved_to(tc_url) == (moved, app_query)


@pytest.mark.parametrize(
    "tc_url", ["rtmps://h/live", "http://h/live", "rtmp://h", "rtmp://h/?x", "/live", ""]
)
def test_places_that_nobody_moves_to(tc_url: str) -> None:
    with pytest.raises(UsageError):
        HOME.moved_to(tc_url)
