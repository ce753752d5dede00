"""What somebody in charge has done while a server ran goes on in the next process."""

from __future__ import annotations

import json

from policy_kit import NOW
from relay_kit import KEY, serve

from rtmpd.access.keys import Key, digest_of
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.daemon import belongings
from rtmpd.serving.access import Action


def test_keys_that_were_added_and_revoked_are_so_in_the_next_process() -> None:
    before, after = RuntimeKeys(lambda: NOW), RuntimeKeys(lambda: NOW)
    before.add(RuntimeKey(Action.PUBLISH, "live/a", Key(digest_of("a"), "a", "Ann", NOW + 60.0, True), NOW))
    before.add(RuntimeKey(Action.PLAY, "live/b", Key(digest_of("b"), "b"), NOW, is_token=True))
    before.revoke(digest_of("c"), named=True)
    before.revoke(digest_of("d"), named=False)
    handed = json.loads(json.dumps(belongings.of_keys(before)))
    handed["keys"] += [["publish"], ["publish", "live/a", "xx", "", None, False, 0, False], None]
    handed["revoked"] += [["xx", True], 7]
    belongings.take_keys(after, handed)
    assert list(after) == list(before)
    assert list(after.revoked()) == [(digest_of("c"), True), (digest_of("d"), False)]
    belongings.take_keys(after, {})


async def test_push_targets_that_are_off_are_so_in_the_next_process() -> None:
    url = "rtmp://127.0.0.1:1/live/s3cret"
    async with serve("a", push=[url]) as before, serve("b", push=[url]) as after:
        added = before.push.add(KEY, "rtmp://127.0.0.1:1/live/other", "all")
        before.push.switch_off(KEY, added.id)
        before.push.switch_off(KEY, "config-1")
        handed = json.loads(json.dumps({"off": before.push.off()}))
        belongings.take_off(after.push, handed)
        assert after.push.statuses() == before.push.statuses()
        assert after.push.added() == before.push.added() == []
