"""Tokens of our own processes: what they open, to whom, and for how long."""

from __future__ import annotations

import os

import pytest

from rtmpd.access.local_tokens import MARK, LocalTokens
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.rtmp.constants import StatusCode
from rtmpd.serving.access import AccessRequest, Action, Grant

SHOW, SMALL = StreamKey("live", "show"), StreamKey("live", "show_480p")


class Nobody:
    """Refuses everybody."""

    def authorize(self, request: AccessRequest) -> Grant:
        raise Refused(StatusCode.PUBLISH_REJECTED, "Nobody.", Refusal.NOBODY)

    def withdrawn(self, action: Action, key: StreamKey, origin: Origin) -> Refusal | None:
        return Refusal.NOBODY


@pytest.fixture
def tokens() -> LocalTokens:
    return LocalTokens(Nobody(), os.urandom)


def ask(
    tokens: LocalTokens, action: Action, key: StreamKey, query: str, address: str = "127.0.0.1"
) -> Grant | Refusal:
    origin = Origin(session=7, address=address)
    try:
        grant = tokens.authorize(AccessRequest(action, key, origin, ConnectParams(app="live"), query))
    except Refused as refused:
        return refused.reason
    assert isinstance(grant, Grant)
    return grant


def test_a_token_plays_its_stream_and_publishes_what_it_is_for_and_nothing_else(tokens: LocalTokens) -> None:
    query = f"key={tokens.issue('480p', [SHOW], [SMALL], '127.0.0.1')}"
    for address in ("127.0.0.1", "127.0.0.9", "::1", "unix"):
        played = ask(tokens, Action.PLAY, SHOW, query, address)
        assert isinstance(played, Grant)
        assert (played.key, played.account) == (SHOW, "process 480p")
    published = ask(tokens, Action.PUBLISH, SMALL, query)
    assert isinstance(published, Grant)
    assert published.identity == "process:480p:live/show_480p"
    assert ask(tokens, Action.PUBLISH, SHOW, query) is Refusal.KEY_WRONG
    assert ask(tokens, Action.PLAY, SMALL, query) is Refusal.KEY_WRONG


def test_other_machines_have_no_use_for_it(tokens: LocalTokens) -> None:
    query = f"key={tokens.issue('480p', [SHOW], [SMALL], '192.0.2.1')}"
    for address in ("192.0.2.2", "10.0.0.1", "unknown"):
        assert ask(tokens, Action.PLAY, SHOW, query, address) is Refusal.ADDRESS_REFUSED
    # A server that listens on one address alone is reached from that one.
    assert isinstance(ask(tokens, Action.PLAY, SHOW, query, "192.0.2.1"), Grant)


def test_it_goes_with_its_process(tokens: LocalTokens) -> None:
    first, second = (tokens.issue("480p", [SHOW], [SMALL], "127.0.0.1") for _ in range(2))
    assert first != second
    assert isinstance(ask(tokens, Action.PLAY, SHOW, f"key={first}"), Grant)
    assert isinstance(ask(tokens, Action.PLAY, SHOW, f"key={first}"), Grant)
    assert tokens.came_by_token(7)
    assert not tokens.came_by_token(8)
    tokens.revoke(first)
    assert ask(tokens, Action.PLAY, SHOW, f"key={first}") is Refusal.KEY_WRONG
    assert not tokens.came_by_token(7)
    assert isinstance(ask(tokens, Action.PLAY, SHOW, f"key={second}"), Grant)
    assert second not in repr(vars(tokens))


@pytest.mark.parametrize("query", ["", "key=wrong", "token=rtmpd-x", f"name={MARK}"])
def test_whoever_shows_none_is_asked_about_as_ever(tokens: LocalTokens, query: str) -> None:
    tokens.issue("480p", [SHOW], [SMALL], "127.0.0.1")
    assert ask(tokens, Action.PLAY, SHOW, query) is Refusal.NOBODY


def test_whoever_has_shown_one_stays_when_rules_change(tokens: LocalTokens) -> None:
    grant = ask(tokens, Action.PUBLISH, SMALL, f"key={tokens.issue('480p', [SHOW], [SMALL], '127.0.0.1')}")
    assert isinstance(grant, Grant)
    ours = Origin(address="127.0.0.1", identity=grant.identity)
    assert tokens.withdrawn(Action.PUBLISH, SMALL, ours) is None
    assert tokens.withdrawn(Action.PUBLISH, SMALL, Origin(address="127.0.0.1")) is Refusal.NOBODY
