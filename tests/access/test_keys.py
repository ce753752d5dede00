"""Stream keys: made, hashed, found again; what is no key, and what must not become one."""

from __future__ import annotations

import hashlib
import random
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtmpd.access import keys
from rtmpd.access.keys import Key, KeyRing
from rtmpd.exceptions import ProofFailed
from rtmpd.rtmp.url import validate_name

NOW = 1_800_000_000.0
"""2027-01-15 at 08:00 UTC."""
TEXT = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
OTHER = "7yb9dgr4as6pue2xm3kq8vwz5tnx2cfhj"


def dice(seed: int = 1) -> random.Random:
    return random.Random(seed)


def key(text: str = TEXT, name: str = "show", **more: object) -> Key:
    return Key(keys.digest_of(text), name, **more)  # type: ignore[arg-type]


# -- a fresh one


def test_a_fresh_key_is_easy_to_type_and_to_paste() -> None:
    text = keys.new_key(dice().randbytes)
    assert len(text) == 33
    assert set(text) <= set(string.ascii_lowercase + string.digits) - set("0o1li")
    assert validate_name(text, 255) is None
    keys.check_strength(text)


def test_it_has_160_random_bits() -> None:
    asked: list[int] = []
    drawn = dice().randbytes

    def draw(count: int) -> bytes:
        asked.append(count)
        return drawn(count)

    keys.new_key(draw)
    assert asked == [20]
    assert len(keys.spell_key(b"\xff" * 20)) == len(keys.spell_key(bytes(20))) == 33
    # Every bit of them counts: one that is another makes another key.
    numbers = [0, *(1 << bit for bit in range(160))]
    assert len({keys.spell_key(number.to_bytes(20, "big")) for number in numbers}) == 161


@given(st.integers(min_value=0))
@example(3042)  # Its first draw has no digit.
def test_every_fresh_key_is_strong(seed: int) -> None:
    keys.check_strength(keys.new_key(dice(seed).randbytes))


# -- what is kept of it


def test_a_digest_is_sha256_as_any_tool_makes_it() -> None:
    spelled = keys.spell_digest(keys.digest_of(TEXT))
    assert spelled == f"sha256:{hashlib.sha256(TEXT.encode()).hexdigest()}"
    assert (
        keys.parse_digest(spelled)
        == keys.parse_digest(f"sha256:{spelled[7:].upper()}")
        == keys.digest_of(TEXT)
    )


@pytest.mark.parametrize(
    "text",
    ["", TEXT, "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "md5:" + "0" * 64, "sha256:" + "g" * 64,
     "SHA256:" + "0" * 64, "sha256:" + "0" * 64 + "\n", "sha256: " + "0" * 63],
)  # fmt: skip
def test_what_is_no_digest_is_not_quoted(text: str) -> None:
    with pytest.raises(
        ValueError, match="is not sha256: and 64 hex digits; `rtmpd key hash` makes that"
    ) as caught:
        keys.parse_digest(text)
    assert TEXT not in str(caught.value)


# -- the ring


def test_a_key_leads_to_its_name() -> None:
    ring = KeyRing([key(TEXT, "show"), key(OTHER, "talk", label="Studio 2", until=NOW + 1)])
    assert ring.find(TEXT, NOW) == Key(keys.digest_of(TEXT), "show", label="", until=None)
    assert ring.find(OTHER, NOW) == Key(keys.digest_of(OTHER), "talk", "Studio 2", until=NOW + 1)
    assert len(ring) == 2
    assert [each.name for each in ring] == ["show", "talk"]
    assert keys.digest_of(OTHER) in ring


def test_a_name_has_several_keys_while_they_are_changed() -> None:
    ring = KeyRing([key(TEXT, "show"), key(OTHER, "show")])
    found = [ring.find(text, NOW) for text in (TEXT, OTHER)]
    assert [each and each.name for each in found] == ["show", "show"]


def test_a_key_has_one_name() -> None:
    with pytest.raises(ValueError, match="is a key of show already"):
        KeyRing([key(TEXT, "show"), key(TEXT, "talk")])


@pytest.mark.parametrize("text", ["show", "", TEXT[:-1], TEXT + "2", TEXT.upper(), TEXT + "\n"])
def test_anything_else_is_found_nowhere(text: str) -> None:
    assert KeyRing([key(), key(TEXT[:-1] + "3")]).find(text, NOW) is None


def test_a_short_password_is_not_looked_up_even_if_somebody_has_configured_it() -> None:
    ring = KeyRing(
        [key("hunter2"), key("a" * 15, "fifteen"), key("a" * 16, "sixteen"), key("b" * 257, "long")]
    )
    assert ring.find("hunter2", NOW) is None
    assert ring.find("a" * 15, NOW) is None
    assert ring.find("a" * 16, NOW) is not None
    assert ring.find("b" * 257, NOW) is None


def test_an_expired_key_says_when_it_expired() -> None:
    ring = KeyRing([key(until=NOW)])
    assert ring.find(TEXT, NOW - 0.001) is not None
    with pytest.raises(ProofFailed) as caught:
        ring.find(TEXT, NOW)
    assert str(caught.value) == "This key has expired on 2027-01-15 at 08:00 UTC; ask for another one."
    assert caught.value.reason == "key_expired"


@given(st.lists(st.text(min_size=16, max_size=40), unique=True, max_size=20), st.text())
def test_every_key_is_found_and_nothing_else(texts: list[str], other: str) -> None:
    ring = KeyRing(key(text, f"show{number}") for number, text in enumerate(texts))
    found = [ring.find(text, NOW) for text in texts]
    assert [each and each.name for each in found] == [f"show{number}" for number in range(len(texts))]
    assert (ring.find(other, NOW) is None) == (other not in texts)


# -- how long it is good


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2027-01-15", NOW + 16 * 3600),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T08:00Z", NOW),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("2027-01-15 08:00:00Z", NOW),
    ],
)
def test_a_day_is_good_to_its_end_and_a_time_to_the_second(text: str, until: float) -> None:
    assert keys.parse_until(text) == until


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2027-02-30", "2027-01-15T08:00:00", "9999-12-31", "1800000000"]
)
def test_other_times_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is no time: write 2027-01-31 \(to the end"):
        keys.parse_until(text)


# -- strength


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hunter2", "has 7 characters and not 16 to 256"),
        ("a1" * 129, "has 258 characters"),
        ("correct-horse-battery-staple", "that a person thought of"),
        ("73846218465013846592", "that a person thought of"),
        ("Password12345678", "that a person thought of"),
        ("abcdefghijklmnop1234567890", "that a person thought of"),
        ("aaaaaaaaaaaaaaaaaaaaaaa1", "that a person thought of"),
        ("a1a1a1a1a1a1a1a1a1a1a1", "that a person thought of"),
        ("two words and 1 number", "letters, digits and . _ ~ - only"),
        ("a/path/of/16/letters", "letters, digits and . _ ~ - only"),
        ("schlüssel-von-1963-n", "letters, digits and . _ ~ - only"),
        ("", "letters, digits and . _ ~ - only"),
    ],
)
def test_a_weak_key_is_refused_and_told_how_to_do_better(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        keys.check_strength(text)
    assert str(caught.value).endswith("; `rtmpd key new` makes one that nobody guesses")
    assert text == "" or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "live_482915733_Kq7WmZ0xVbT4nYcRs9uLfAe2Gh8dJp",
        "e8b7f9a2-4c1d-4f63-9a07-5be2d1c860f4",
        "9f86d081884c7d65",
        "a1b9-7xk2-mm40-c3qz-e5ty",
    ],
)
def test_keys_of_other_servers_may_stay(text: str) -> None:
    keys.check_strength(text)


# -- the fingerprint


def test_the_same_refused_key_is_recognised_and_nothing_more_is_told() -> None:
    secret = bytes(range(32))
    seen = keys.fingerprint(secret, TEXT)
    assert seen == keys.fingerprint(secret, TEXT)
    assert len(seen) == 6
    assert seen != keys.fingerprint(secret, OTHER)
    assert seen != keys.fingerprint(bytes(32), TEXT)
    assert not keys.digest_of(TEXT).hex().startswith(seen)
