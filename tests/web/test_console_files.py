"""The files of the console: what they are sent with, and that they belong together.

The player is another folder's. How they work in a browser is in tests/console.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from control_kit import Desk

from rtmpd.control.server_answers import PublicHttp
from rtmpd.web import console_files

FOLDER = Path(console_files.__file__).with_name("console")
MODULES = sorted(FOLDER.glob("*.js"))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/console/main.js", "text/javascript; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
async def test_a_file_is_sent_once_and_may_do_little(path: str, content_type: str) -> None:
    async with Desk().client() as client:
        async with client.get(path) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
            headers = answer.headers
            tag = headers["ETag"]
            assert await answer.read()
        for name, value in {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }.items():
            assert headers[name] == value
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["frame-ancestors"]) == (
            "'none'",
            "'self'",
            "'none'",
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
        async with client.get(path, headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
        async with client.get(path, headers={"If-None-Match": '"other"'}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("place", "host", "origin"),
    [
        (PublicHttp(url=None, scheme="http", port=8935, prefix="/x"), "tv.example:9935", "//tv.example:8935"),
        (
            PublicHttp(url=None, scheme="https", port=8936, prefix=""),
            "[2001:db8::1]:9935",
            "//[2001:db8::1]:8936",
        ),
        (PublicHttp(url=None, scheme="http", port=8935, prefix=""), "tv.example", "//tv.example:8935"),
        (
            PublicHttp(url="https://video.example/x", scheme="https", port=None, prefix=""),
            "a:1",
            "//video.example",
        ),
        (PublicHttp(url=None, scheme="http", port=8935, prefix=""), "a.example;script-src *", ""),
        (None, "tv.example:9935", ""),
    ],
)
async def test_streams_may_come_from_where_they_are_played_alone(
    place: PublicHttp | None, host: str, origin: str
) -> None:
    desk = Desk()
    desk.http = place
    async with desk.client(local=False) as client, client.get("/", headers={"Host": host}) as answer:
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    scheme = "" if place is None else place.scheme
    there = f" {scheme}:{origin} {scheme.replace('http', 'ws')}:{origin}" if origin else ""
    assert policy["connect-src"] == f"'self'{there}"
    assert policy["media-src"] == f"blob: data:{there}"
    assert policy["script-src"] == "'self'"


async def test_the_console_has_the_player_also_before_a_token_is_shown() -> None:
    async with Desk().client(local=False) as client:
        async with client.get("/console/player/player.js") as answer:
            assert (answer.status, answer.content_type) == (200, "text/javascript")
        async with client.get("/console/player/vendor/hls.min.mjs") as answer:
            assert answer.status == 200
        async with client.get("/console/player/../server.py") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("name", ["other.js", "..%2Fserver.py", "index.html%00", ".", "main.js/x"])
async def test_nothing_else_is_sent(name: str) -> None:
    async with Desk().client() as client, client.get(f"/console/{name}") as answer:
        assert answer.status == 404


def test_the_files_name_each_other_and_nobody_else() -> None:
    named = set(re.findall(r'(?:src|href)="console/([^"]+)"', (FOLDER / "index.html").read_text()))
    for module in MODULES:
        named |= set(re.findall(r'from "\./([^"]+)"', module.read_text()))
    of_the_player = {name for name in named if name.startswith("player/")}
    assert all(
        (FOLDER.parent.with_name("player") / name.removeprefix("player/")).is_file() for name in of_the_player
    )
    assert named - of_the_player | {"index.html"} == {path.name for path in FOLDER.iterdir()}
    for path in FOLDER.iterdir():
        assert "//" not in re.sub(
            r"(?m)(^|\s)//.*$|http://www.w3.org/2000/svg|rtmps?://|\$\{http.scheme\}://", "", path.read_text()
        ), f"{path.name} loads something from elsewhere"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_nothing_is_read_as_markup(module: Path) -> None:
    text = module.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text
    )
    assert not re.search(r"\.style\b|style:", text), "the policy refuses styles within the page"
