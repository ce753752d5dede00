"""Adobe authentication: golden responses, the whole dance between our two roles, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.adobe_auth import Challenge
from rtmpd.rtmp.url import parse_query

SECRET = bytes(range(32))
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("opaque", "response"),
    [("", "DT/Zl9tDpwwpZWX1bBOIUg=="), ("opq", "4eesxOGazOwWOcI6YqFERQ==")],
)
def test_golden_responses(opaque: str, response: str) -> None:
    challenge = Challenge("user", "abc", "def", opaque)
    assert adobe_auth.compute_response(challenge, "user", "pass", "12345678") == response


def test_queries_as_other_clients_send_them() -> None:
    assert adobe_auth.user_query("user") == "authmod=adobe&user=user"
    assert adobe_auth.user_query("a&b=c d?") == "authmod=adobe&user=a%26b%3Dc%20d%3F"
    query = adobe_auth.response_query(Challenge("user", "abc", "def", "opq"), "user", "pass", "12345678")
    assert query == (
        "authmod=adobe&user=user&challenge=12345678&response=4eesxOGazOwWOcI6YqFERQ==&opaque=opq"
    )


def test_refusals_are_told_apart() -> None:
    need = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
    challenge = (
        "[ AccessManager.Reject ] : [ authmod=adobe ] : "
        "?reason=needauth&user=user&salt=a+b/c=&challenge=d+e==&opaque=o/p="
    )
    failed = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x"
    other = "[ AccessManager.Reject ] : [ code=404 no such application ]"
    assert need == adobe_auth.NEED_AUTH
    texts = (need, challenge, failed, other)
    assert [adobe_auth.authmod(text) for text in texts] == ["adobe", "adobe", "adobe", None]
    assert [adobe_auth.needs_credentials(text) for text in texts] == [True, False, False, False]
    assert [adobe_auth.denial(text) for text in texts] == [None, None, "authfailed", None]
    parsed = [adobe_auth.parse_challenge(text) for text in texts]
    # Bare base64: a plus is not a blank here.
    assert parsed == [None, Challenge("user", "a+b/c=", "d+e==", "o/p="), None, None]


def test_the_short_form_of_other_servers() -> None:
    text = "code=403 need auth; authmod=adobe ?reason=needauth&user=u&salt=s&challenge=c&opaque="
    assert adobe_auth.authmod(text) == "adobe"
    assert adobe_auth.parse_challenge(text) == Challenge("u", "s", "c", "")
    assert adobe_auth.authmod("[ code=403 need auth; authmod=llnw ]") == "llnw"


@given(user=st.text(min_size=1, max_size=40), password=st.text(max_size=40))
def test_dance(user: str, password: str) -> None:
    given_user = parse_query(adobe_auth.user_query(user))["user"]
    assert given_user == user
    text = adobe_auth.challenge_text(adobe_auth.make_challenge(SECRET, given_user, NOW))
    challenge = adobe_auth.parse_challenge(text)
    assert challenge is not None
    query = adobe_auth.response_query(challenge, user, password, "0badcafe")
    # Clients append theirs to a query that is already there.
    fields = parse_query(f"vhost=x?{query}")
    assert adobe_auth.verify(SECRET, fields, password, NOW + 5, 30)
    assert not adobe_auth.verify(SECRET, fields, password + "x", NOW + 5, 30)


def answer(user: str = "user", secret: bytes = SECRET) -> dict[str, str]:
    challenge = adobe_auth.make_challenge(secret, user, NOW)
    return parse_query(adobe_auth.response_query(challenge, user, "pass", "12345678"))


@pytest.mark.parametrize("later", [31.0, 1e6, -5.0])
def test_a_challenge_expires(later: float) -> None:
    assert adobe_auth.verify(SECRET, answer(), "pass", NOW + 30, 30)
    assert not adobe_auth.verify(SECRET, answer(), "pass", NOW + later, 30)


@pytest.mark.parametrize(
    "change",
    [
        {"user": "root"},
        {"opaque": ""},
        {"opaque": "AAAA"},
        {"opaque": "\N{SNOWMAN}"},
        {"opaque": "=" * 7},
        {"challenge": "87654321"},
        {"response": ""},
        {"response": "\N{SNOWMAN}"},
    ],
)
def test_forgeries(change: dict[str, str]) -> None:
    assert adobe_auth.verify(SECRET, answer(), "pass", NOW, 30)
    assert not adobe_auth.verify(SECRET, answer() | change, "pass", NOW, 30)


def test_another_servers_challenge_is_refused() -> None:
    assert not adobe_auth.verify(SECRET, answer(secret=bytes(32)), "pass", NOW, 30)


@given(st.dictionaries(st.sampled_from(["user", "opaque", "challenge", "response"]), st.text()))
def test_hostile_fields_never_raise(fields: dict[str, str]) -> None:
    assert not adobe_auth.verify(SECRET, fields, "pass", NOW, 30)


@given(st.text())
def test_hostile_descriptions_never_raise(text: str) -> None:
    adobe_auth.parse_challenge(text + "?reason=needauth" + text)
    adobe_auth.denial(text)
    adobe_auth.authmod(text)


def test_denials_are_read_back() -> None:
    for reason in (adobe_auth.AUTH_FAILED, adobe_auth.NO_SUCH_USER):
        assert adobe_auth.denial(adobe_auth.denial_text(reason)) == reason
