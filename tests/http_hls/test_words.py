"""What requests say: their first line, their directives, their tokens, old addresses."""

from __future__ import annotations

import pytest

from rtmpd.engine.key import StreamKey
from rtmpd.http.aliases import Aliases
from rtmpd.http.heads import Head, has_body, read_head
from rtmpd.http.hls_query import BadDirective, Directives, check_ahead, is_there, read_directives
from rtmpd.http.hls_tokens import TokenMint

KEY = StreamKey("live", "cam")


@pytest.mark.parametrize(
    ("data", "head"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", Head("/a?b", b"\r\nHost: x")),
        (b"GET /a HTTP/1.1\r\n\r\n", Head("/a", b"")),
        (b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", Head("", b"\r\nHost: x")),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Head("", b"\r\nHost: x")),
        (b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n", None),
        (b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"get /a HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n", None),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nG", None),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n", None),
        (b"\r\nGET /a HTTP/1.1\r\n\r\n", None),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /a HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /a HTTP/1.1\nContent-Length: 5 HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /a\t HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /a\0 HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"", None),
    ],
)
def test_a_head_is_one_whole_request_or_none(data: bytes, head: Head | None) -> None:
    assert read_head(data) == head


def test_what_may_come_behind_a_request_is_seen_in_its_headers() -> None:
    assert has_body(b"\r\nHost: x\r\nCONTENT-length: 1")
    assert has_body(b"\r\nTransfer-Encoding: chunked")
    assert has_body(b"\r\nUpgrade: websocket")
    assert not has_body(b"\r\nHost: content-length: x")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", Directives()),
        ("token=abc", Directives("abc")),
        ("token=a&_HLS_msn=7", Directives("a", 7)),
        ("_HLS_msn=7&_HLS_part=2&_HLS_skip=YES", Directives("", 7, 2, skip=True)),
        ("_HLS_skip=v2&x=1&&=", Directives(skip=True)),
    ],
)
def test_directives_are_read(query: str, wanted: Directives) -> None:
    assert read_directives(query) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "_HLS_part=1",
        "_HLS_msn=",
        "_HLS_msn=-1",
        "_HLS_msn=1.0",
        "_HLS_msn=1&_HLS_msn=2",
        "_HLS_msn=1&_HLS_part=x",
        "_HLS_msn=1&_HLS_part=1&_HLS_part=1",
        "_HLS_msn=\u0661",
        "_HLS_msn=%31",
        f"_HLS_msn={'9' * 19}",
        "_HLS_skip=NO",
        "_HLS_skip=",
    ],
)
def test_what_no_player_says_is_a_mistake(query: str) -> None:
    with pytest.raises(BadDirective):
        read_directives(query)


@pytest.mark.parametrize(
    ("msn", "part", "fine"),
    [
        (7, None, True),
        (8, None, True),
        (9, None, False),
        (7, 5, True),
        (7, 6, False),
        (8, 2, True),
        (8, 3, False),
    ],
)
def test_nobody_waits_for_what_is_far_ahead(msn: int, part: int | None, fine: bool) -> None:
    wanted = Directives("", msn, part)
    if fine:
        check_ahead(wanted, (7, 3), 0.2)
    else:
        with pytest.raises(BadDirective):
            check_ahead(wanted, (7, 3), 0.2)


@pytest.mark.parametrize(
    ("msn", "part", "position", "there"),
    [
        (7, None, (7, 3), False),
        (7, None, (8, 0), True),
        (7, 2, (7, 3), True),
        (7, 3, (7, 3), False),
        (7, 3, (8, 0), True),
        # Behind the last part of a segment comes the first of the next one.
        (7, 4, (8, 0), False),
        (7, 4, (8, 1), True),
        (6, 9, (8, 0), True),
        (8, 0, (7, 3), False),
        (None, None, (7, 3), True),
    ],
)
def test_a_playlist_has_what_is_wanted_or_not(
    msn: int | None, part: int | None, position: tuple[int, int], there: bool
) -> None:
    assert is_there(Directives("", msn, part), position, parts=4) is there


def test_a_token_is_good_for_its_stream() -> None:
    mint = TokenMint(b"secret")
    token = mint.issue(77, KEY)
    assert token.isascii()
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert mint.session_of(token, KEY) == 77
    assert mint.session_of(token, StreamKey("live", "other")) is None
    assert TokenMint(b"another").session_of(token, KEY) is None
    for number in range(len(token)):
        changed = token[:number] + ("A" if token[number] != "A" else "B") + token[number + 1 :]
        assert mint.session_of(changed, KEY) is None
    for wrong in ("", "x", token[:-1], token + "A", "\u00e9" * 40, "!" * 40):
        assert mint.session_of(wrong, KEY) is None


def test_old_addresses_lead_to_new_ones() -> None:
    aliases = Aliases(["/hls/{name}.m3u8 -> /live/{name}/index.m3u8", "/{app}/old.flv -> /{app}/new.flv"])
    assert aliases.find("/hls/cam.m3u8") == "/live/cam/index.m3u8"
    assert aliases.find("/hls/a b.m3u8") == "/live/a%20b/index.m3u8"
    assert aliases.find("/hls/a\r\nX: y.m3u8") == "/live/a%0D%0AX%3A%20y/index.m3u8"
    assert aliases.find("/x/old.flv") == "/x/new.flv"
    assert aliases.find("/hls/a/b.m3u8") is None
    assert aliases.find("/hls/camxm3u8") is None


def test_an_alias_may_lead_to_another_that_ends() -> None:
    assert Aliases(["/a -> /b", "/b -> /c", "/x/{a}.m3u8 -> /x/{a}"]).find("/a") == "/b"
    with pytest.raises(ValueError, match="leads back"):
        Aliases(["/a -> /b", "/b -> /c", "/c -> /b"])


@pytest.mark.parametrize(
    "alias",
    [
        "/a",
        "a -> /b",
        "/a -> b",
        "/a -> //example.com",
        "/a -> /{name}",
        "/{a}/{a} -> /{a}",
        "/{a -> /b",
        "/{A} -> /b",
        "/a -> /{0}",
        "/{a} -> /{a.b}",
        "/a -> /a",
        "/live/{name} -> /live/{name}_",
        "/live/{name} -> /live/test",
        "/{a}/{b} -> /{b}/{a}",
    ],
)
def test_an_alias_that_leads_nowhere_is_a_mistake(alias: str) -> None:
    with pytest.raises(ValueError, match='"'):
        Aliases([alias])
