"""Who may publish and play: addresses, then keys, then what is allowed without one."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from policy_kit import (
    EXPIRED,
    FAR,
    HERE,
    IDENTITY,
    KEY,
    KEYED,
    LOCAL,
    NEAR,
    NOW,
    OPEN,
    OTHER,
    RING,
    Book,
    networks,
    play,
    policy,
    public,
    publish,
    refused,
    request,
)

from rtmpd.access.keys import Key, KeyRing, digest_of
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.proof import Proof
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.access.signed_urls import SignedUrls, make_query
from rtmpd.access.users import Users
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import ProofFailed, Refused
from rtmpd.reasons import Refusal
from rtmpd.rtmp import adobe_auth
from rtmpd.rtmp.commands import ConnectParams
from rtmpd.serving.access import AccessRequest, Action, Grant


@pytest.mark.parametrize(
    ("allow", "welcome"),
    [("anyone", {HERE, NEAR, FAR}), ("local", {HERE, NEAR}), ("proven", set()), ("nobody", set())],
)
@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PLAY])
def test_who_needs_no_key(action: Action, allow: str, welcome: set[str]) -> None:
    rules = Rules(Allow(allow))
    decider = policy(rules, rules)
    for address in (HERE, NEAR, FAR):
        asked = request(action, "cam", address=address)
        if address in welcome:
            assert decider.authorize(asked) == Grant(asked.key)
        else:
            refused(decider.authorize, asked)


def test_a_stranger_is_told_what_to_run() -> None:
    refusal = refused(publish, policy(LOCAL), "cam")
    assert (refusal.code, refusal.reason) == ("NetStream.Publish.Rejected", "not_local")
    assert "`rtmpd key new`" in refusal.description


def test_everybody_may_connect() -> None:
    asked = request(Action.CONNECT, "")
    assert policy(Rules(Allow.NOBODY)).authorize(asked) == Grant(asked.key)


# -- keys to publish with


@pytest.mark.parametrize("name", [KEY, f"extra/{KEY}"])
def test_the_key_in_place_of_the_name_leads_to_the_name(name: str) -> None:
    granted = publish(policy(KEYED), name)
    assert granted == Grant(StreamKey("live", "show"), account="Studio 2", identity=IDENTITY)


def test_the_key_beside_the_name() -> None:
    assert publish(policy(KEYED), "show", f"track=1&key={KEY}").key == StreamKey("live", "show")


@pytest.mark.parametrize(
    ("name", "query", "reason"),
    [
        ("show", "", "not_proven"),
        (KEY[:-1] + "y", "", "not_proven"),
        ("show", "key=hunter2", "key_wrong"),
        ("show", "key=", "key_wrong"),
        ("show", f"key={OTHER}", "key_wrong"),  # Of another stream.
        (KEY, f"key={KEY}", "key_wrong"),
        (EXPIRED, "", "key_expired"),
        ("show", f"key={EXPIRED}", "key_expired"),
    ],
)
def test_what_proves_nothing(name: str, query: str, reason: str) -> None:
    refusal = refused(publish, policy(KEYED), name, query, HERE)
    assert (refusal.code, refusal.reason) == ("NetStream.Publish.Rejected", reason)


def test_a_wrong_key_is_refused_where_anyone_may_and_none_is_needed() -> None:
    decider = policy(replace(KEYED, allow=Allow.ANYONE))
    assert publish(decider, "cam") == Grant(StreamKey("live", "cam"))
    assert refused(publish, decider, "show", "key=wrong").reason == "key_wrong"
    assert refused(publish, decider, EXPIRED).reason == "key_expired"


def test_a_key_lets_in_who_is_not_local_and_who_is_needs_none() -> None:
    decider = policy(replace(KEYED, allow=Allow.LOCAL))
    assert publish(decider, "cam", "", NEAR).key == StreamKey("live", "cam")
    assert publish(decider, KEY).key == StreamKey("live", "show")
    assert refused(publish, decider, "cam").reason == "not_proven"


def test_where_nobody_may_a_key_does_not_help() -> None:
    nobody = replace(KEYED, allow=Allow.NOBODY)
    assert refused(publish, policy(nobody), KEY).reason == "nobody"
    # Nor by the rules of the stream that the key leads to.
    decider = policy(KEYED, show=PathRules(nobody, OPEN))
    assert refused(publish, decider, KEY).reason == "nobody"
    assert publish(decider, OTHER).key == StreamKey("live", "talk")
    assert refused(play, policy(OPEN, nobody), "show", f"key={KEY}").reason == "nobody"


def test_where_there_are_no_keys_a_query_means_nothing() -> None:
    assert publish(policy(LOCAL), "cam", "key=whatever", HERE).key == StreamKey("live", "cam")


# -- users


ENCODER = ConnectParams(connect_object={"type": "nonprivate"})
USERS = Rules(Allow.PROVEN, users=Users({"mia": "pa55", "ben": "w0rd"}, bytes(16)))


def connect(
    decider: AccessPolicy, query: str = "", address: str = FAR, params: ConnectParams = ENCODER
) -> Grant:
    asked = replace(request(Action.CONNECT, "", query, address), connect=replace(params, app_query=query))
    return decider.authorize(asked)


def authenticated(decider: AccessPolicy, user: str, password: str, params: ConnectParams = ENCODER) -> str:
    """The query that an encoder comes with at last."""
    query = adobe_auth.user_query(user)
    challenge = adobe_auth.parse_challenge(refused(connect, decider, query, FAR, params).description)
    assert challenge
    return adobe_auth.response_query(challenge, user, password, "12345678")


def publish_as(decider: AccessPolicy, user: str, password: str, name: str = "show") -> Grant:
    """All that an encoder does with a password."""
    query = authenticated(decider, user, password)
    account = connect(decider, query).account
    asked = request(Action.PUBLISH, name)
    params = replace(ENCODER, app_query=query)
    return decider.authorize(replace(asked, origin=replace(asked.origin, account=account), connect=params))


def test_an_encoder_is_asked_for_its_user_and_then_let_in() -> None:
    decider = policy(USERS)
    first = refused(connect, decider)
    assert (first.code, first.reason) == ("NetConnection.Connect.Rejected", "user_asked")
    assert adobe_auth.needs_credentials(first.description)
    assert refused(connect, decider, adobe_auth.user_query("mia")).reason == "user_asked"
    assert connect(decider, authenticated(decider, "mia", "pa55")).account == "mia"
    assert publish_as(decider, "mia", "pa55") == Grant(
        StreamKey("live", "show"), account="mia", identity="user:mia"
    )


def test_a_wrong_password_is_refused_where_nobody_would_have_been_asked_too() -> None:
    for rules, params in ((USERS, ENCODER), (replace(USERS, allow=Allow.LOCAL), ConnectParams())):
        decider = policy(rules)
        refusal = refused(connect, decider, authenticated(decider, "mia", "wrong", params), FAR, params)
        assert (refusal.code, refusal.reason) == ("NetConnection.Connect.Rejected", "authentication_failed")
        assert adobe_auth.denial(refusal.description) == "authfailed"


@pytest.mark.parametrize(
    ("allow", "address", "params", "asked"),
    [
        ("proven", HERE, ENCODER, True),
        ("proven", FAR, ENCODER, True),
        ("proven", FAR, ConnectParams(), False),
        ("local", FAR, ENCODER, True),
        ("local", NEAR, ENCODER, False),
        ("anyone", FAR, ENCODER, False),
        ("nobody", FAR, ENCODER, False),
    ],
)
def test_who_is_asked_for_a_user(allow: str, address: str, params: ConnectParams, asked: bool) -> None:
    decider = policy(replace(USERS, allow=Allow(allow)))
    if asked:
        assert refused(connect, decider, "", address, params).reason == "user_asked"
    else:
        assert connect(decider, "", address, params).account == ""


def test_an_encoder_whose_address_is_refused_is_told_so_when_it_publishes() -> None:
    decider = policy(replace(USERS, deny_ips=networks(FAR)))
    assert connect(decider).account == ""
    assert refused(publish, decider, "show").reason == "address_refused"


def test_who_publishes_without_having_been_asked_is_told_what_to_do() -> None:
    refusal = refused(publish, policy(USERS), "show")
    assert refusal.reason == "not_proven"
    assert "Use authentication" in refusal.description


def test_a_user_of_the_app_publishes_what_a_table_of_the_stream_lets_him() -> None:
    own = PathRules(replace(USERS, users=Users({"mia": "pa55", "ben": "another"}, bytes(16))), OPEN)
    decider = policy(USERS, own=own)
    assert publish_as(decider, "mia", "pa55", "own").identity == "user:mia"
    assert publish_as(decider, "ben", "w0rd").identity == "user:ben"
    # The same name with another password is somebody else.
    assert refused(publish_as, decider, "ben", "w0rd", "own").reason == "not_proven"
    assert refused(publish_as, policy(replace(USERS, allow=Allow.NOBODY)), "mia", "pa55").reason == "nobody"


def test_what_was_overheard_proves_nothing_where_nobody_has_looked_at_its_age() -> None:
    decider = policy(USERS)
    query = authenticated(decider, "mia", "pa55")
    asked = replace(request(Action.PUBLISH, "show"), connect=replace(ENCODER, app_query=query))
    assert refused(decider.authorize, asked).reason == "not_proven"


# -- keys to play with


def test_a_player_shows_its_key_beside_the_name() -> None:
    decider = policy(OPEN, KEYED)
    granted = play(decider, "show", f"key={KEY}")
    assert granted == Grant(StreamKey("live", "show"), account="Studio 2", identity=IDENTITY)
    refusals = [
        refused(play, decider, *asked)
        for asked in (("show",), (KEY,), ("show", f"key={OTHER}"), ("show", f"key={EXPIRED}"))
    ]
    assert [each.reason for each in refusals] == ["not_proven", "not_proven", "key_wrong", "key_expired"]
    assert {each.code for each in refusals} == {"NetStream.Play.Failed"}


@pytest.mark.parametrize("key", [KEY, EXPIRED])
def test_who_plays_the_key_to_publish_with_is_told_so(key: str) -> None:
    decider = policy(KEYED)
    assert refused(play, decider, key).reason == "key_as_name"
    assert play(decider, "show").key == StreamKey("live", "show")


# -- links


LINKS = Rules(Allow.PROVEN, links=SignedUrls([KEY]))


def link(action: str = "publish", path: str = "live/show", left: float = 60) -> str:
    return make_query(KEY, action, path, int(NOW + left))


@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PLAY])
def test_a_link_lets_in_whoever_has_it(action: Action) -> None:
    decider = policy(LINKS, LINKS)
    asked = request(action, "show", f"track=1&{link(action)}")
    assert decider.authorize(asked) == Grant(StreamKey("live", "show"))
    assert refused(decider.authorize, request(action, "show", "track=1")).reason == "not_proven"


@pytest.mark.parametrize(
    ("name", "query", "reason"),
    [
        ("show", link("play"), "link_signature"),
        ("talk", link(), "link_signature"),
        ("show", link(left=0), "link_expired"),
        ("show", link()[:-1], "link_malformed"),
        # The stream that was asked for may be a key with a letter wrong.
        (KEY[:-1] + "y", link(), "link_signature"),
    ],
)
@pytest.mark.parametrize("allow", [Allow.PROVEN, Allow.ANYONE])
def test_a_link_that_is_wrong_is_refused_whoever_may(
    name: str, query: str, reason: str, allow: Allow
) -> None:
    refusal = refused(publish, policy(replace(LINKS, allow=allow)), name, query, HERE)
    assert (refusal.code, refusal.reason) == ("NetStream.Publish.Rejected", reason)
    assert name not in refusal.description


def test_any_one_proof_is_enough_and_each_that_is_shown_has_to_be_right() -> None:
    decider = policy(replace(KEYED, links=LINKS.links))
    assert publish(decider, "show", link()) == Grant(StreamKey("live", "show"))
    assert publish(decider, KEY).account == "Studio 2"
    assert publish(decider, "show", f"key={KEY}&{link()}").account == "Studio 2"
    assert refused(publish, decider, "show", f"key={KEY}&{link('play')}").reason == "link_signature"
    assert refused(publish, decider, "show", f"key={OTHER}&{link()}").reason == "key_wrong"


def test_where_there_are_no_links_a_query_means_nothing() -> None:
    assert publish(policy(LOCAL), "show", "exp=1&sig=2", HERE).key == StreamKey("live", "show")


def test_a_link_is_no_way_around_addresses_and_nobody() -> None:
    assert refused(publish, policy(replace(LINKS, allow=Allow.NOBODY)), "show", link()).reason == "nobody"
    denied = policy(replace(LINKS, deny_ips=networks(FAR)))
    assert refused(publish, denied, "show", link()).reason == "address_refused"


# -- tokens


class Issuer:
    """Believes one token, once it has been asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, float]] = []

    async def verify(self, token: str, action: str, path: str, now: float) -> Proof:
        self.asked.append((token, action, path, now))
        await asyncio.sleep(0)
        if token != "good":
            raise ProofFailed(Refusal.JWT_SIGNATURE, "This token is not genuine; get a new one.")
        return Proof("mia", "subject:id mia", NOW + 90)


async def ask(decider: AccessPolicy, asked: AccessRequest) -> Grant:
    answer = decider.authorize(asked)
    assert not isinstance(answer, Grant)
    return await answer


@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PLAY])
async def test_whoever_shows_a_token_waits_for_its_issuer_and_nobody_else_does(action: Action) -> None:
    issuer = Issuer()
    rules = Rules(Allow.PROVEN, tokens=issuer, end_with_proof=True)
    decider = policy(rules, rules)
    granted = await ask(decider, request(action, "show", "track=1&jwt=good"))
    assert granted == Grant(
        StreamKey("live", "show"), account="mia", identity="subject:id mia", valid_for=90.0
    )
    assert issuer.asked == [("good", action, "live/show", NOW)]
    assert refused(decider.authorize, request(action, "show", "track=1")).reason == "not_proven"


@pytest.mark.parametrize("allow", [Allow.PROVEN, Allow.ANYONE])
async def test_a_token_that_is_wrong_is_refused_whoever_may(allow: Allow) -> None:
    decider = policy(Rules(allow, tokens=Issuer()))
    with pytest.raises(Refused) as caught:
        await ask(decider, request(Action.PUBLISH, "show", "jwt=bad", HERE))
    assert (caught.value.code, caught.value.reason) == ("NetStream.Publish.Rejected", "jwt_signature")


async def test_a_token_is_no_way_around_addresses_and_nobody_and_other_proofs() -> None:
    issuer = Issuer()
    rules = Rules(Allow.PROVEN, tokens=issuer, ring=RING)
    asked = request(Action.PUBLISH, "show", "jwt=good")
    denied = policy(replace(rules, deny_ips=networks(FAR)))
    assert refused(denied.authorize, asked).reason == "address_refused"
    assert issuer.asked == []  # Whoever may not come in anyway costs the issuer nothing.
    for other, reason in ((replace(rules, allow=Allow.NOBODY), "nobody"), (rules, "key_wrong")):
        query = "jwt=good" if reason == "nobody" else f"jwt=good&key={OTHER}"
        with pytest.raises(Refused) as caught:
            await ask(policy(other), request(Action.PUBLISH, "show", query))
        assert caught.value.reason == reason


def test_where_no_issuer_is_believed_a_query_means_nothing() -> None:
    assert publish(policy(LOCAL), "show", "jwt=bad", HERE).key == StreamKey("live", "show")


# -- how long


def test_a_session_ends_with_its_proof_where_the_app_says_so() -> None:
    until = KeyRing([Key(digest_of(KEY), "show", until=NOW + 30), Key(digest_of(OTHER), "show")])
    for ends in (False, True):
        rules = Rules(Allow.ANYONE, ring=until, links=LINKS.links, end_with_proof=ends)
        decider = policy(rules, rules)
        for asked, seconds in (
            (publish(decider, KEY), 30.0),
            (publish(decider, OTHER), math.inf),
            (publish(decider, "show", link()), 60.0),
            (play(decider, "show", link("play")), 60.0),
            (play(decider, "show", f"key={KEY}"), 30.0),
            (publish(decider, "show"), math.inf),
        ):
            assert asked.valid_for == (seconds if ends else math.inf)


# -- addresses


@pytest.mark.parametrize(
    ("ips", "deny_ips", "address", "welcome"),
    [
        ((), ("203.0.113.0/24",), FAR, False),
        ((), ("203.0.113.0/24",), "203.0.114.7", True),
        (("203.0.113.7",), (), FAR, True),
        (("203.0.113.7",), (), "203.0.113.8", False),
        (("203.0.113.0/24",), ("203.0.113.7",), FAR, False),
        (("2001:db8::/32",), (), "2001:db8::7", True),
        (("2001:db8::/32",), (), FAR, False),
        (("203.0.113.7",), (), "unix", True),
        (("203.0.113.7",), (), "unknown", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PLAY])
def test_where_clients_come_from(
    action: Action, ips: tuple[str, ...], deny_ips: tuple[str, ...], address: str, welcome: bool
) -> None:
    rules = Rules(Allow.ANYONE, networks(*ips), networks(*deny_ips), RING)
    decider = policy(rules, replace(rules, ring=None))
    name = KEY if action is Action.PUBLISH else "cam"
    if welcome:
        decider.authorize(request(action, name, address=address))
    else:
        assert refused(decider.authorize, request(action, name, address=address)).reason == "address_refused"


def test_the_address_is_looked_at_before_the_key() -> None:
    rules = replace(KEYED, deny_ips=networks(FAR))
    assert refused(publish, policy(rules), "show", "key=wrong").reason == "address_refused"
    assert refused(publish, policy(KEYED, show=PathRules(rules, OPEN)), KEY).reason == "address_refused"


# -- what is shown


def test_a_name_that_may_be_meant_as_a_key_is_shown_by_its_fingerprint() -> None:
    shown = public(KEYED, KEY[:-1])
    assert shown.startswith("~")
    assert len(shown) == 7
    assert shown == public(KEYED, f"a/{KEY[:-1]}", Action.CONNECT)
    assert shown != public(KEYED, KEY)
    # A player's name is public, unless it is a key.
    assert public(KEYED, "show", Action.PLAY) == "show"
    assert public(KEYED, KEY, Action.PLAY).startswith("~")


TOKENS = Rules(Allow.PROVEN, tokens=Issuer())


@pytest.mark.parametrize(
    "spelling",
    ["mp4:{}", "flv:{}.flv", "{}.flv", "{}/x", "{};x", "key={}", "show&key={}", "%6D{}", "show%3Fkey={}"],
)
@pytest.mark.parametrize("rules", [KEYED, LINKS, TOKENS])
def test_a_secret_in_the_name_of_a_play_is_hidden_however_it_is_spelt(rules: Rules, spelling: str) -> None:
    for publish_rules, play_rules in ((rules, OPEN), (OPEN, rules)):
        name = spelling.format(KEY)
        assert public(publish_rules, name, Action.PLAY, play_rules).startswith("~")
        assert public(publish_rules, "show", Action.PLAY, play_rules) == "show"


@pytest.mark.parametrize("name", [f"show&exp=1800000000&sig={'9f' * 32}", f"eyJhbGciOi{'x' * 300}"])
@pytest.mark.parametrize("rules", [LINKS, TOKENS])
def test_a_link_or_token_in_place_of_a_name_to_publish_is_hidden(rules: Rules, name: str) -> None:
    for action in (Action.PUBLISH, Action.CONNECT):
        assert public(rules, name, action).startswith("~")
        assert public(rules, "show", action) == "show"


def test_a_key_in_the_wrong_app_or_in_place_of_one_is_hidden() -> None:
    book = Book(PathRules(LOCAL, OPEN), frozenset({"live", "an-app-with-a-long-name"}), takes_secrets=True)
    decider = AccessPolicy(book, lambda: NOW, b"secret")
    assert decider.as_public(Action.PUBLISH, StreamKey("Live", KEY)) == f"Live/{decider.hidden(KEY)}"
    assert decider.as_public(Action.PUBLISH, StreamKey(KEY, "show")) == f"{decider.hidden(KEY)}/show"
    assert decider.as_public(Action.CONNECT, StreamKey(KEY, "")) == f"{decider.hidden(KEY)}/"
    known = StreamKey("an-app-with-a-long-name", "show")
    assert decider.as_public(Action.PUBLISH, known) == known


def test_where_there_are_no_secrets_names_are_public() -> None:
    assert public(LOCAL, KEY) == KEY
    assert public(KEYED, "", Action.CONNECT) == ""


def test_other_rules_hold_from_then_on() -> None:
    decider = policy(LOCAL)
    decider.apply(Book(PathRules(OPEN, OPEN)))
    assert publish(decider, "cam").key == StreamKey("live", "cam")


# -- when other rules hold than those that let somebody in


@pytest.mark.parametrize(
    ("rules", "identity", "address", "reason"),
    [
        (OPEN, "", FAR, None),
        (OPEN, IDENTITY, FAR, None),
        (LOCAL, "", NEAR, None),
        (LOCAL, "", FAR, "not_local"),
        (KEYED, "", HERE, "not_proven"),
        (KEYED, IDENTITY, FAR, None),
        (Rules(Allow.PROVEN, ring=KeyRing()), IDENTITY, FAR, "not_proven"),
        (Rules(Allow.NOBODY, ring=RING), IDENTITY, FAR, "nobody"),
        (Rules(Allow.PROVEN, deny_ips=networks(f"{FAR}/32"), ring=RING), IDENTITY, FAR, "address_refused"),
        (Rules(Allow.PROVEN, users=Users({"ada": "x"}, bytes(16))), "user:ada", FAR, None),
        (Rules(Allow.PROVEN, users=Users({"bob": "x"}, bytes(16))), "user:ada", FAR, "not_proven"),
        (KEYED, "user:ada", FAR, "not_proven"),
        (KEYED, "subject:https://id.example.com ada", FAR, "not_proven"),
        (Rules(Allow.PROVEN, links=SignedUrls([OTHER])), "", FAR, None),
    ],
)
@pytest.mark.parametrize("action", [Action.PUBLISH, Action.PLAY])
def test_who_was_let_in_is_asked_for_no_more_than_what_holds_now(
    action: Action, rules: Rules, identity: str, address: str, reason: str | None
) -> None:
    origin = Origin(address=address, identity=identity)
    decider = policy(rules, OPEN) if action is Action.PUBLISH else policy(OPEN, rules)
    assert decider.withdrawn(action, StreamKey("live", "show"), origin) == reason


def test_a_key_of_an_app_holds_in_those_below_it() -> None:
    empty = Rules(Allow.PROVEN, ring=KeyRing())
    decider = policy(KEYED, **{"sub/show": PathRules(empty, empty)})
    origin = Origin(address=FAR, identity=IDENTITY)
    assert decider.withdrawn(Action.PUBLISH, StreamKey("live/sub", "show"), origin) is None
