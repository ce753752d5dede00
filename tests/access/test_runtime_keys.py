"""Stream keys that come while the server runs, and keys that are revoked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from policy_kit import FAR, HERE, KEY, KEYED, LOCAL, NOW, OPEN, Book, play, publish, request

from rtmpd.access import runtime_keys
from rtmpd.access.keys import Key, digest_of
from rtmpd.access.policy import AccessPolicy
from rtmpd.access.rules import PathRules, Rules
from rtmpd.access.runtime_keys import NoMemory, RuntimeKey, RuntimeKeys
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import Refused, UsageError
from rtmpd.reasons import Refusal
from rtmpd.serving.access import Action

ADDED = "q9wkt7mzsn4vcfhj2yb8dgr3as6pue5xk"


class Notes(NoMemory):
    """Remembers what is to be kept."""

    def __init__(self) -> None:
        self.notes: list[tuple[object, ...]] = []

    def added(self, key: RuntimeKey) -> None:
        self.notes.append(("added", key.path))

    def removed(self, digest: bytes) -> None:
        self.notes.append(("removed", digest))

    def revoked(self, digest: bytes, yes: bool) -> None:
        self.notes.append(("revoked", digest, yes))


def keys(now: Callable[[], float] = lambda: NOW) -> tuple[RuntimeKeys, Notes]:
    found = RuntimeKeys(now)
    notes = found.memory = Notes()
    return found, notes


def runtime(text: str, path: str, action: Action = Action.PUBLISH, until: float | None = None) -> RuntimeKey:
    return RuntimeKey(action, path, Key(digest_of(text), path.partition("/")[2], "Ann", until), NOW)


def policy(found: RuntimeKeys, rules: Rules = OPEN) -> AccessPolicy:
    return AccessPolicy(Book(PathRules(rules, rules)), lambda: NOW, b"secret", found)


def why(decide: Callable[[], object]) -> Refusal:
    with pytest.raises(Refused) as caught:
        decide()
    return caught.value.reason


def origin(identity: str, address: str = FAR) -> Origin:
    return Origin(address=address, network=address).found_to_be("", identity)


@pytest.mark.parametrize("rules", [LOCAL, KEYED])
def test_a_key_that_was_added_publishes_its_stream(rules: Rules) -> None:
    found, notes = keys()
    decider = policy(found, rules)
    assert why(lambda: publish(decider, ADDED)) in (Refusal.NOT_LOCAL, Refusal.NOT_PROVEN)
    found.add(runtime(ADDED, "live/concert"))
    for name, query in ((ADDED, ""), ("concert", f"key={ADDED}")):
        grant = publish(decider, name, query)
        assert (grant.key, grant.account) == ("live/concert", "Ann")
    assert why(lambda: publish(decider, "other", f"key={ADDED}")) is Refusal.KEY_WRONG
    assert why(lambda: play(decider, ADDED)) is Refusal.KEY_AS_NAME
    key = StreamKey("live", "concert")
    assert decider.withdrawn(Action.PUBLISH, key, origin(grant.identity)) is None
    assert decider.withdrawn(Action.PUBLISH, StreamKey("live", "x"), origin(grant.identity)) is not None
    assert notes.notes == [("added", "live/concert")]
    with pytest.raises(UsageError, match="a key already"):
        found.add(runtime(ADDED, "live/other"))


def test_it_is_for_its_app_and_for_what_it_was_made_and_its_time() -> None:
    found, _ = keys()
    decider = policy(found, LOCAL)
    found.add(runtime(ADDED, "other/concert"))
    assert why(lambda: publish(decider, ADDED)) is Refusal.NOT_LOCAL
    found.revoke(digest_of(ADDED), named=False)
    assert found.lift(digest_of(ADDED))
    found.add(runtime(ADDED, "live/concert", Action.PLAY))
    assert why(lambda: publish(decider, ADDED)) is Refusal.NOT_LOCAL
    assert play(decider, "concert", f"key={ADDED}").account == "Ann"
    found.revoke(digest_of(ADDED), named=False)
    found.lift(digest_of(ADDED))
    found.add(runtime(ADDED, "live/concert", until=NOW))
    assert why(lambda: publish(decider, ADDED)) is Refusal.KEY_EXPIRED


def test_a_revoked_key_opens_nothing_wherever_it_stands_and_ends_who_came_by_it() -> None:
    found, notes = keys()
    decider = policy(found, KEYED)
    grant = publish(decider, KEY)
    here = origin(grant.identity, HERE)
    assert decider.withdrawn(Action.PUBLISH, grant.key, here) is None
    found.revoke(digest_of(KEY), named=True)
    assert why(lambda: publish(decider, KEY)) is Refusal.KEY_REVOKED
    assert decider.withdrawn(Action.PUBLISH, grant.key, here) is Refusal.KEY_REVOKED
    found.forget_revoked(lambda: {digest_of(KEY)})
    assert found.is_revoked(digest_of(KEY))
    assert (found.lift(digest_of(KEY)), found.lift(digest_of(KEY))) == (True, False)
    assert publish(decider, KEY).key == "live/show"
    # It leaves the settings: should it come back, it was meant to.
    found.revoke(digest_of(KEY), named=True)
    found.forget_revoked(set)
    assert not found.is_revoked(digest_of(KEY))
    # One that was added is gone.
    found.add(runtime(ADDED, "live/concert"))
    found.revoke(digest_of(ADDED), named=False)
    found.forget_revoked(set)
    assert (len(found), found.is_revoked(digest_of(ADDED))) == (0, True)
    digest = digest_of(ADDED)
    assert notes.notes[-3:] == [("added", "live/concert"), ("removed", digest), ("revoked", digest, True)]


def test_there_is_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_keys, "MAX_ADDED", 2)
    monkeypatch.setattr(runtime_keys, "MAX_REVOKED", 2)
    now = NOW
    found, _ = keys(lambda: now)
    for number in range(2):
        found.add(runtime(f"{ADDED}{number}", "live/a", until=NOW + 10.0 - number))
    with pytest.raises(UsageError, match="2 keys already"):
        found.add(runtime(ADDED, "live/a"))
    now = NOW + 20.0
    found.add(runtime(ADDED, "live/a"))
    assert [digest_of(text) in found for text in (f"{ADDED}0", f"{ADDED}1", ADDED)] == [True, False, True]
    for text in ("a", "b", "c"):
        found.revoke(digest_of(text), named=False)
    assert [found.is_revoked(digest_of(text)) for text in ("a", "b", "c")] == [False, True, True]


def test_what_may_be_a_key_is_not_shown_once_there_were_any() -> None:
    found, _ = keys()
    decider = policy(found)
    asked = request(Action.PUBLISH, ADDED)
    assert decider.as_public(Action.PUBLISH, asked.key).name == ADDED
    found.add(runtime(ADDED, "live/concert"))
    found.revoke(digest_of(ADDED), named=False)
    assert decider.as_public(Action.PUBLISH, asked.key).name.startswith("~")
