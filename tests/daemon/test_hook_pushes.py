"""Where backends want streams pushed: by whom, and until when."""

from __future__ import annotations

import pytest

from rtmpd.daemon.hook_side import HookPushes
from rtmpd.engine.key import StreamKey

KEY = StreamKey("live", "show")


def labels(pushes: HookPushes) -> dict[str, str]:
    return {name: template.expand(KEY).url.full for name, template in pushes.of(KEY).items()}


def test_only_who_wanted_it_takes_it_back() -> None:
    changed: list[StreamKey] = []
    pushes = HookPushes(changed.append)
    first, second = object(), object()
    pushes.put(KEY, first, ("rtmp://a/live/x", "rtmp://b/live"))
    assert labels(pushes) == {"hook-1": "rtmp://a/live/x", "hook-2": "rtmp://b/live/show"}
    pushes.put(KEY, second, ("rtmp://c/{app}/{name}",))
    pushes.put(KEY, first, ())
    assert labels(pushes) == {"hook-1": "rtmp://c/live/show"}
    pushes.put(KEY, second, ())
    assert labels(pushes) == {}
    assert changed == [KEY, KEY]


def test_what_is_no_place_is_told(caplog: pytest.LogCaptureFixture) -> None:
    pushes = HookPushes(lambda _key: None)
    pushes.put(KEY, object(), ("http://a/q7secret", "rtmp://b/live/x"))
    assert labels(pushes) == {"hook-2": "rtmp://b/live/x"}
    (line,) = [record for record in caplog.records if record.getMessage() == "backend push refused"]
    assert "q7secret" not in str(line.fields)
