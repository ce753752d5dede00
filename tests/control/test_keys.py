"""Stream keys at the hands of somebody in charge."""

from __future__ import annotations

import pytest
from control_kit import Desk

from rtmpd.access.keys import digest_of, spell_digest
from rtmpd.control.actor import Actor
from rtmpd.control.key_answers import KeyOrigin, PublishTokenRequest, StreamKeyQuery, StreamKeyRequest
from rtmpd.exceptions import Conflict, ControlError, NotFound
from rtmpd.reasons import Problem

ANN = Actor("ann", "192.0.2.7")
BOB = Actor("bob", "192.0.2.7", streams=("live/other",))


async def test_keys_are_listed_and_made_and_revoked_and_never_shown() -> None:
    desk = Desk()
    keys = desk.control.keys
    (named,) = (await keys.list(StreamKeyQuery(), ANN)).items
    assert (named.app, named.name, named.label, named.origin) == ("live", "cam", "Studio", "settings")
    assert (named.setting, named.expired, named.revoked) == ("apps.live.publish.keys.cam", True, False)
    made = await keys.add(StreamKeyRequest(app="live", name="b", seconds=60.0, backup=True), ANN)
    assert made.key is not None
    assert (made.info.backup, made.info.until is not None, made.info.setting) == (True, True, None)
    given = await keys.add(
        StreamKeyRequest(action="play", app="live", name="b", sha256=spell_digest(digest_of("x" * 20))),
        ANN,
    )
    assert (given.key, given.info.action, given.info.until) == (None, "play", None)
    page = await keys.list(StreamKeyQuery(limit=1, stream="live/b"), ANN)
    (first,) = page.items
    (second,) = (await keys.list(StreamKeyQuery(after=page.next, stream="live/b"), ANN)).items
    assert {first.id, second.id} == {made.info.id, given.info.id}
    assert page.total == (await keys.list(StreamKeyQuery(origin=KeyOrigin.ADDED), ANN)).total == 2
    await keys.revoke(made.info.id, ANN)
    await keys.revoke(named.id, ANN)
    told = [each.id for each in (await keys.list(StreamKeyQuery(app="live"), ANN)).items if each.revoked]
    assert told == [named.id]
    assert not (await keys.lift(named.id, ANN)).revoked
    with pytest.raises(Conflict):
        await keys.lift(named.id, ANN)
    with pytest.raises(NotFound):
        await keys.revoke(made.info.id, ANN)
    facts = [facts for _, _, facts in desk.audited]
    changes = [(each["change"], each["result"]) for each in facts]
    assert changes == [
        ("add_key", "done"),
        ("add_key", "done"),
        ("revoke_key", "done"),
        ("revoke_key", "done"),
        ("lift_key", "done"),
        ("lift_key", "refused"),
        ("revoke_key", "refused"),
    ]
    assert (facts[0]["target"], facts[3]["before"]) == (f"publish live/b {made.info.id}", "Studio")
    said = f"{facts}{page}"
    assert (made.key in said, digest_of(made.key).hex()[:8] in said) == (False, False)


async def test_what_cannot_be_a_key_is_said_and_who_sees_other_streams_sees_no_others() -> None:
    keys = Desk().control.keys

    async def why(request: StreamKeyRequest, by: Actor = ANN) -> Problem:
        with pytest.raises(ControlError) as caught:
            await keys.add(request, by)
        return caught.value.problem

    taken = spell_digest(digest_of("x" * 20))
    await keys.add(StreamKeyRequest(app="live", name="b", sha256=taken), ANN)
    assert await why(StreamKeyRequest(app="live", name="c", sha256=taken)) is Problem.KEY_REFUSED
    assert await why(StreamKeyRequest(app="live", name="c", sha256="x")) is Problem.BAD_REQUEST
    assert await why(StreamKeyRequest(app="live", name="a b")) is Problem.BAD_REQUEST
    assert await why(StreamKeyRequest(app="live", name="c", label="\n")) is Problem.BAD_REQUEST
    assert await why(StreamKeyRequest(app="live", name="c"), BOB) is Problem.OUT_OF_SCOPE
    await keys.add(StreamKeyRequest(app="live", name="other"), BOB)
    assert [each.name for each in (await keys.list(StreamKeyQuery(), BOB)).items] == ["other"]
    first = (await keys.list(StreamKeyQuery(), ANN)).items[0]
    for change in (keys.revoke, keys.lift):
        with pytest.raises(NotFound):
            await change(first.id, BOB)


async def test_whoever_shows_a_jwt_gets_a_key() -> None:
    keys = Desk().control.keys
    request = PublishTokenRequest(jwt="publish:live/show", app="live", name="show", seconds=60.0)
    token = await keys.publish_token(request, Actor(address="192.0.2.9"))
    assert (len(token.key), token.app, token.name) == (33, "live", "show")
    with pytest.raises(ControlError) as caught:
        await keys.publish_token(request.model_copy(update={"name": "other"}), Actor(address="192.0.2.9"))
    assert caught.value.problem is Problem.TOKEN_REFUSED
