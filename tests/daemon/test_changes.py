"""What two configurations differ in, and for whom that holds."""

from __future__ import annotations

from rtmpd.daemon.changes import Changes, compare
from rtmpd.daemon.fields import Effect
from rtmpd.daemon.settings import load

PUSHED = "apps.live.push.TARGET.url=rtmp://a/b/c"


def changes(before: list[str], after: list[str]) -> Changes:
    return compare(load((), {}, before).config, load((), {}, after).config)


def test_nothing_differs_from_itself() -> None:
    said = ["log.level=debug", PUSHED, "apps.live.pull.from=rtmp://a/b/c"]
    assert changes(said, said) == changes([], []) == {}


def test_every_key_that_differs_is_named_with_those_it_holds_for() -> None:
    assert changes(
        ["log.level=debug", "log.trace=192.0.2.1", "relay.ca_file=x"], ["rtmp.chunk_size=4096"]
    ) == {
        Effect.AT_ONCE: ["log.level"],
        Effect.CONNECTIONS: ["rtmp.chunk_size", "log.trace"],
        Effect.ATTEMPTS: ["relay.ca_file"],
    }


def test_keys_of_apps_and_targets_are_compared_as_they_are_said() -> None:
    assert changes(
        [PUSHED], [PUSHED, "apps.live.push.TARGET.track=all", "apps.live.player.wait_timeout=1s"]
    ) == {
        Effect.PLAYS: ["apps.live.player.wait_timeout"],
        Effect.AT_ONCE: ["apps.live.push.TARGET.track"],
    }
    # To say what is the default is to say something: [player] holds no more.
    assert changes([PUSHED], [PUSHED, "apps.live.player.wait_timeout=0"]) == {
        Effect.PLAYS: ["apps.live.player.wait_timeout"]
    }


def test_a_table_that_comes_or_goes_is_named() -> None:
    said = ['apps."live/room".gop.max_bytes=1MiB']
    for one, other in (([], said), (said, [])):
        assert changes(one, other) == {
            Effect.AT_ONCE: ["apps.live/room.gop.max_bytes"],
            Effect.CONNECTIONS: ["apps.live/room"],
        }
