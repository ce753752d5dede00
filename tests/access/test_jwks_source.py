"""Where keys come from: an https URL, a file, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmpd.access.jwks_source import MAX_BYTES, check_source, open_source, shown_source
from rtmpd.exceptions import ClientError, HttpFailed
from rtmpd.net.http_message import HttpAnswer, HttpRequest
from rtmpd.reasons import HttpFailure

KEYS = b'{"keys": []}'
URL = "https://id.example.com/keys?policy=a"


async def test_keys_are_asked_for_at_a_url() -> None:
    asked: list[HttpRequest] = []

    async def call(request: HttpRequest) -> HttpAnswer:
        asked.append(request)
        return HttpAnswer(200, KEYS)

    assert await open_source(URL, call)() == KEYS
    assert asked == [HttpRequest(URL, headers=(("Accept", "application/json"),), method="GET")]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (HttpAnswer(404), "the answer is HTTP status 404 and not 200"),
        (HttpAnswer(302, location="/keys"), "the answer is HTTP status 302 and not 200"),
        (HttpFailed(HttpFailure.TIMEOUT, "no answer"), "no answer"),
    ],
)
async def test_an_answer_that_is_of_no_use(answer: HttpAnswer | HttpFailed, problem: str) -> None:
    async def call(_request: HttpRequest) -> HttpAnswer:
        if isinstance(answer, HttpFailed):
            raise answer
        return answer

    with pytest.raises(ClientError) as caught:
        await open_source(URL, call)()
    assert str(caught.value) == problem


async def nobody(_request: HttpRequest) -> HttpAnswer:
    raise AssertionError("a file needs no server")


async def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "the keys"
    path.write_bytes(KEYS)
    check_source(str(path))
    assert await open_source(str(path), nobody)() == KEYS
    path.write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(ClientError, match="the file has more than 64 KiB"):
        await open_source(str(path), nobody)()
    path.unlink()
    with pytest.raises(ClientError, match="cannot be read: No such file or directory"):
        await open_source(str(path), nobody)()


@pytest.mark.parametrize(
    "source",
    [
        "http://issuer/keys",
        "https:///keys",
        "https://issuer:99999/keys",
        "https://issuer:0/keys",
        "https://[issuer/keys",
        "https://me:hunter2@issuer/keys",
        "file://host/keys",
        "ftp://issuer/keys",
    ],
)
def test_anything_else_is_a_mistake(source: str) -> None:
    with pytest.raises(ValueError, match="is an https:// URL or the path of a file") as caught:
        check_source(source)
    assert "hunter2" not in str(caught.value)


def test_what_is_shown_of_a_source_has_no_query() -> None:
    check_source(URL)
    assert shown_source(URL) == "https://id.example.com/keys"
    assert shown_source("/etc/keys?") == "/etc/keys?"
