from __future__ import annotations

import pytest
from engine_kit import AAC_HEADER, sound

from rtmpd.engine.flusher import Flusher
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import EngineLimits
from rtmpd.engine.origin import NOBODY
from rtmpd.engine.registry import Registry
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.stats import ServerStats
from rtmpd.rtmp.messages import Message

KEY = StreamKey("live", "cam")


class Publisher:
    def __init__(self) -> None:
        self.closed: list[CloseReason] = []

    def close(self, reason: CloseReason) -> None:
        self.closed.append(reason)


@pytest.fixture
def registry() -> Registry:
    flusher = Flusher(lambda call: None, lambda delay, call: None, lambda: 0.0, lambda: 0.0)
    limits = EngineLimits(first_media_timeout=20.0, idle_publisher_timeout=10.0)
    return Registry(flusher, ServerStats(), limits)


def test_the_first_media_may_take_longer_than_what_follows(registry: Registry) -> None:
    publisher = Publisher()
    publication = registry.claim(KEY, publisher, NOBODY, 100.0)
    registry.sample(119.9)
    publication.receive(Message(8, 0, 1, AAC_HEADER), 119.9)
    assert publication.silent_for(121.0) == pytest.approx(1.1)
    registry.sample(129.8)
    assert publisher.closed == []
    registry.sample(129.9)
    assert (publisher.closed, publication.closed, dict(registry.streams)) == ([CloseReason.IDLE], True, {})


def test_data_is_no_media(registry: Registry) -> None:
    publisher = Publisher()
    publication = registry.claim(KEY, publisher, NOBODY, 100.0)
    publication.receive(Message(18, 0, 1, b"\x02\0\x04text"), 119.0)
    registry.sample(120.0)
    assert publisher.closed == [CloseReason.IDLE]


def test_who_sends_stays(registry: Registry) -> None:
    publisher = Publisher()
    publication = registry.claim(KEY, publisher, NOBODY, 100.0)
    for second in range(100, 200, 9):
        publication.receive(Message(8, second, 1, sound()), float(second))
        registry.sample(second + 8.9)
    assert publisher.closed == []
    publication.close(CloseReason.FINISHED)
    registry.sample(1000.0)
    assert publisher.closed == []


def test_each_stream_has_deadlines_of_its_own() -> None:
    flusher = Flusher(lambda call: None, lambda delay, call: None, lambda: 0.0, lambda: 0.0)
    patient = EngineLimits(first_media_timeout=60.0, idle_publisher_timeout=30.0)
    registry = Registry(
        flusher,
        ServerStats(),
        EngineLimits(first_media_timeout=20.0, idle_publisher_timeout=10.0),
        lambda key, limits: patient if key.app == "slides" else limits,
    )
    publishers = [Publisher() for _ in range(2)]
    for app, publisher in zip(("slides", "live"), publishers, strict=True):
        registry.claim(StreamKey(app, "cam"), publisher, NOBODY, 0.0)
    registry.sample(20.0)
    assert [publisher.closed for publisher in publishers] == [[], [CloseReason.IDLE]]
    registry.sample(60.0)
    assert publishers[0].closed == [CloseReason.IDLE]
