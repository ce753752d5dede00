"""Signed links: which are genuine, and what each of them is good for."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access import signed_urls
from rtmpd.access.signed_urls import SignedUrls, make_query
from rtmpd.exceptions import ProofFailed
from rtmpd.rtmp.url import parse_query

NOW = 1_800_000_000
SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OTHER = "7yb9dgr4as6pue2xm3kq8vwz5tnx2cfhj"
CLIENT = "203.0.113.7"


def judge(
    query: str,
    action: str = "publish",
    path: str = "live/show",
    address: str = CLIENT,
    now: float = NOW,
    secrets: tuple[str, ...] = (SECRET,),
    max_lifetime: float | None = None,
) -> str:
    """What becomes of a link: until when it is good, or why it is refused."""
    fields = parse_query(query)
    assert signed_urls.is_signed(fields)
    try:
        return f"until {SignedUrls(secrets, max_lifetime).verify(fields, action, path, address, now):.0f}"
    except ProofFailed as error:
        return str(error.reason)


def link(until: int = NOW + 60, network: str = "", secret: str = SECRET) -> str:
    return make_query(secret, "publish", "live/show", until, network)


# -- the text that is signed


def test_the_signature_is_over_lines() -> None:
    def signed(text: str) -> str:
        return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    text = "publish\nlive/show\n1800000060\n"
    assert link() == f"exp=1800000060&sig={signed(text)}"
    text = "publish\nlive/show\n1800000060\n203.0.113.7\n"
    assert link(network="203.0.113.7") == f"exp=1800000060&ip=203.0.113.7&sig={signed(text)}"


LINES = st.text(st.characters(exclude_categories=["C"]), min_size=1)


@given(
    st.lists(
        st.tuples(LINES, LINES, st.integers(0, 99), st.sampled_from(["", "10.0.0.1", "10.0.0.2"])),
        unique=True,
    )
)
def test_no_two_links_are_signed_alike(links: list[tuple[str, str, int, str]]) -> None:
    queries = [make_query(SECRET, *each) for each in links]
    assert len({parse_query(query)["sig"] for query in queries}) == len(links)


# -- what it is good for


def test_a_link_is_good_until_it_expires_and_not_a_moment_longer() -> None:
    assert judge(link()) == "until 1800000060"
    assert judge(link(), now=NOW + 59.999) == "until 1800000060"
    assert judge(link(), now=NOW + 60) == "link_expired"


def test_a_link_is_for_one_action_and_one_stream() -> None:
    assert judge(link(), action="play") == "link_signature"
    assert judge(link(), path="live/other") == "link_signature"
    assert judge(link(), path="live/show/2") == "link_signature"


def test_a_link_that_was_changed_is_good_for_nothing() -> None:
    assert judge(link().replace("exp=1800000060", "exp=1900000060")) == "link_signature"
    assert judge(link().replace("exp=", "exp=0")) == "link_signature"
    assert judge(link() + "&ip=203.0.113.7") == "link_signature"
    assert judge(link(network="203.0.113.8").replace("ip=203.0.113.8&", "")) == "link_signature"
    assert judge(link(network="203.0.113.8").replace("113.8", "113.7")) == "link_signature"


@pytest.mark.parametrize(
    "query",
    [
        "exp=1800000060",
        f"sig={'0' * 64}",
        "exp=1800000060&sig=",
        f"exp=1800000060&sig={'0' * 63}",
        f"exp=1800000060&sig={'0' * 63}g",
        f"exp=soon&sig={'0' * 64}",
        f"exp=-1&sig={'0' * 64}",
        f"exp={'9' * 12}&sig={'0' * 64}",
        f"exp=١٨٠٠٠٠٠٠٦٠&sig={'0' * 64}",
    ],
)
def test_what_was_pasted_in_part_is_told_so(query: str) -> None:
    assert judge(query) == "link_malformed"


def test_hex_may_be_in_capitals_and_other_fields_may_be_there() -> None:
    query = link()
    assert (
        judge(query.partition("sig=")[0] + "sig=" + query.partition("sig=")[2].upper()) == "until 1800000060"
    )
    assert judge(f"track=all&{query}&backup=1") == "until 1800000060"


@pytest.mark.parametrize(
    ("network", "address", "verdict"),
    [
        ("203.0.113.7", CLIENT, "until 1800000060"),
        ("203.0.113.0/24", CLIENT, "until 1800000060"),
        ("203.0.113.9/24", CLIENT, "until 1800000060"),
        ("203.0.113.8", CLIENT, "link_address"),
        ("2001:db8::/64", CLIENT, "link_address"),
        ("2001:db8::/64", "2001:db8::7", "until 1800000060"),
        ("2001:db8::7", "2001:db8::7", "until 1800000060"),
        ("2001:DB8:0::7", "2001:db8::7", "until 1800000060"),
        ("2001:db8::/64", "2001:db8:0:1::7", "link_address"),
        ("203.0.113.7", "unix", "link_address"),
    ],
)
def test_a_link_may_be_for_one_address_or_network(network: str, address: str, verdict: str) -> None:
    assert judge(link(network=network), address=address) == verdict


def test_a_signer_may_percent_encode_an_address() -> None:
    query = link(network="2001:db8::/64").replace(":", "%3A").replace("/", "%2f")
    assert judge(query, address="2001:db8::7") == "until 1800000060"


def test_what_is_no_address_is_nobodys_though_it_is_signed() -> None:
    text = "publish\nlive/show\n1800000060\nhere\n"
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert judge(f"exp=1800000060&ip=here&sig={signature}") == "link_address"


def test_a_server_may_allow_short_links_only() -> None:
    assert judge(link(NOW + 60), max_lifetime=60.0) == "until 1800000060"
    assert judge(link(NOW + 61), max_lifetime=60.0) == "link_lifetime"
    assert judge(link(NOW + 61), max_lifetime=60.0, now=NOW + 1) == "until 1800000061"


def test_two_secrets_are_in_force_while_one_takes_the_others_place() -> None:
    for secret in (SECRET, OTHER):
        assert judge(link(secret=secret), secrets=(SECRET, OTHER)) == "until 1800000060"
    assert judge(link(secret=OTHER)) == "link_signature"


def test_the_person_at_the_encoder_is_told_what_to_do() -> None:
    def told(query: str, **more: float) -> str:
        with pytest.raises(ProofFailed) as caught:
            SignedUrls([SECRET], more.get("max_lifetime")).verify(
                parse_query(query), "publish", "live/show", CLIENT, more.get("now", NOW)
            )
        return str(caught.value)

    assert (
        told(link(), now=NOW + 99) == "The link has expired on 2027-01-15 at 08:01:00 UTC; ask for a new one."
    )
    assert told("exp=1") == "The link is not whole: copy all of it, with what follows the question mark."
    text = (
        "The link is not for this: it must have been made to publish this very stream, with a secret that is "
        "in force, and not be changed."
    )
    assert told(link(secret=OTHER)) == text
    assert told(link(network="::1")) == "The link is for another address than yours; ask for a new one."
    text = "The link is good for more than 10 seconds, the most allowed here."
    assert told(link(), max_lifetime=10.0) == text
    assert told(link(), max_lifetime=1.0) == text.replace("10 seconds", "1 second")


@given(st.dictionaries(st.sampled_from(["exp", "sig", "ip"]), st.text()))
def test_whatever_is_sent_is_refused_in_order(fields: dict[str, str]) -> None:
    with pytest.raises(ProofFailed):
        SignedUrls([SECRET, OTHER]).verify(fields, "publish", "live/show", CLIENT, NOW)


def test_a_query_without_a_link_means_to_be_none() -> None:
    assert not signed_urls.is_signed(parse_query("key=abc&track=1"))


# -- the secret, and what is made with it


@pytest.mark.parametrize(
    ("secrets", "complaint"),
    [
        ([], "there are 0 secrets and not 1 or 2"),
        ([SECRET, OTHER, SECRET], "there are 3 secrets and not 1 or 2"),
        (["hunter2"], "has 7 characters and not 16 to 256; `rtmpd key new` makes one"),
    ],
)
def test_a_secret_is_to_be_strong(secrets: list[str], complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        SignedUrls(secrets)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("until", "network"), [(-1, ""), (10**11, ""), (NOW, "here"), (NOW, "10.0.0.0/33")])
def test_a_link_that_could_not_be_used_is_not_made(until: int, network: str) -> None:
    with pytest.raises(ValueError):
        make_query(SECRET, "publish", "live/show", until, network)
