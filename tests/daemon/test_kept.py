"""Push targets and stream keys that outlive the process: what is written, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engine_kit import House as Engine

from rtmpd.access.keys import Key, digest_of
from rtmpd.access.runtime_keys import RuntimeKey, RuntimeKeys
from rtmpd.daemon.config import Config
from rtmpd.daemon.kept_keys import KeptKeys
from rtmpd.daemon.kept_pushes import KeptPushes
from rtmpd.daemon.state_config import StateConfig
from rtmpd.daemon.state_side import StateSide
from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import ProofFailed
from rtmpd.relay.dialer import RelayDialer
from rtmpd.relay.push.relays import PushRelays
from rtmpd.relay.template import RelayTemplate
from rtmpd.serving.access import Action
from rtmpd.state.database import FILE

NOW = 1_800_000_000.0
CAM = StreamKey("live", "cam")
SECRET = "m3kq8vwz5tnx2cfhj7yb9dgr4as6pue2x"
URL = f"rtmp://127.0.0.1:1/app/{SECRET}"
MORE = "rtmp://127.0.0.1:1/app/other-key"


class House:
    """The pushes and keys of a server, whose settings push to ``config-1``."""

    def __init__(self, folder: Path | str) -> None:
        self.engine = Engine()
        self.templates = {"config-1": RelayTemplate.parse("rtmp://127.0.0.1:1/app/configured")}
        dialer = RelayDialer("this", lambda: 1)
        self.pushes = PushRelays(self.engine.registry, dialer, lambda: 0.0, lambda _key: self.templates)
        self.keys = RuntimeKeys(lambda: NOW)
        self.named = {digest_of("named-key-of-the-settings")}
        self.reviews = 0
        books = (KeptPushes(self.pushes), KeptKeys(self.keys, lambda: self.named, self.review))
        self.side = StateSide(self.engine.registry, books, lambda: 0.0, {}, "this", wall_clock=lambda: NOW)
        self.apply(folder)

    def apply(self, folder: Path | str) -> None:
        self.side.apply(Config(state=StateConfig(dir=str(folder))))

    def review(self) -> None:
        self.reviews += 1

    def add_key(self, text: str, path: str = "live/cam", until: float | None = None) -> None:
        key = Key(digest_of(text), path.partition("/")[2], "ann", until, True)
        self.keys.add(RuntimeKey(Action.PUBLISH, path, key, NOW - 5, True))

    @property
    def targets(self) -> dict[str, str]:
        return {each.id: str(each.state) for each in self.pushes.statuses()}


@asynccontextmanager
async def serving(folder: Path | str) -> AsyncIterator[House]:
    house = House(folder)
    await house.side.ready()
    try:
        yield house
    finally:
        await house.side.close()
        await house.pushes.close(0.0)


async def test_targets_are_pushed_to_by_the_next_process_and_stay_off(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        for url, track in ((URL, None), (MORE, 2), ("rtmp://127.0.0.1:1/app/gone", "all")):
            house.pushes.add(CAM, url, track)
        house.pushes.remove(CAM, "api-3")
        assert house.pushes.switch_off(CAM, "api-2") is not None
        assert house.pushes.switch_off(CAM, "config-1") is not None
    assert SECRET.encode() in (tmp_path / FILE).read_bytes()
    async with serving(tmp_path) as house:
        assert house.targets == {"api-1": "idle", "api-2": "off", "config-1": "off"}
        assert house.pushes.add(CAM, "rtmp://127.0.0.1:1/app/new").id == "api-3"
        assert house.pushes.switch_on(CAM, "api-2") is not None
        house.pushes.switch_on(CAM, "config-1")
        house.pushes.remove(CAM, "api-1")
    assert SECRET.encode() not in (tmp_path / FILE).read_bytes()
    async with serving(tmp_path) as house:
        assert house.targets == {"api-2": "idle", "api-3": "idle"}


async def test_a_target_that_cannot_be_had_any_more_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as house:
        house.pushes.add(CAM, URL)
        assert house.pushes.switch_off(CAM, "config-1") is not None
        assert await house.side.settled() is True
        house.side.apply(Config(state=StateConfig(dir="")))
    house = House("")
    house.templates = {}
    house.pushes.add(CAM, URL)  # By somebody who was quicker than the disk.
    house.apply(tmp_path)
    await house.side.ready()
    await house.side.close()
    assert house.targets == {"api-1": "idle"}
    await house.pushes.close(0.0)
    async with serving(tmp_path) as house:
        assert house.targets == {"api-1": "idle"}
    assert SECRET not in caplog.text


async def test_keys_are_good_in_the_next_process_and_revoked_ones_are_not(tmp_path: Path) -> None:
    revoked, expired = "revoked-key-of-somebody", "expired-key-of-somebody"
    async with serving(tmp_path) as house:
        house.add_key(SECRET)
        house.add_key(revoked)
        house.add_key(expired, until=NOW - 1)
        house.keys.revoke(digest_of(revoked), named=False)
        house.keys.revoke(digest_of("named-key-of-the-settings"), named=True)
    content = (tmp_path / FILE).read_bytes()
    assert not any(text.encode() in content for text in (SECRET, revoked))
    async with serving(tmp_path) as house:
        (key,) = house.keys
        assert (key.path, key.key.label, key.key.backup, key.since, key.is_token) == (
            "live/cam",
            "ann",
            True,
            NOW - 5,
            True,
        )
        found = house.keys.find(Action.PUBLISH, "live", SECRET)
        assert found is not None
        assert found.name == "cam"
        for text in (revoked, "named-key-of-the-settings"):
            with pytest.raises(ProofFailed):
                house.keys.find(Action.PUBLISH, "live", text)
        assert house.reviews == 1
        house.named.clear()
        house.keys.forget_revoked(lambda: house.named)  # The settings name it no more.
        house.keys.revoke(digest_of(SECRET), named=False)
    async with serving(tmp_path) as house:
        assert list(house.keys) == []
        assert house.keys.is_revoked(digest_of(SECRET))
        assert not house.keys.is_revoked(digest_of("named-key-of-the-settings"))


async def test_a_folder_that_comes_later_gets_them_all(tmp_path: Path) -> None:
    async with serving("") as house:
        house.pushes.add(CAM, URL)
        assert house.pushes.switch_off(CAM, "config-1") is not None
        house.add_key(SECRET)
        house.keys.revoke(digest_of("named-key-of-the-settings"), named=True)
        house.apply(tmp_path)
        await house.side.ready()
        await asyncio.sleep(0)
        assert await house.side.settled() is True
    async with serving(tmp_path) as house:
        assert house.targets == {"api-1": "idle", "config-1": "off"}
        assert len(house.keys) == 1
        assert house.keys.is_revoked(digest_of("named-key-of-the-settings"))
