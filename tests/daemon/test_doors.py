"""Listeners that come and go, all of the new ones or none."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

import pytest

from rtmpd.daemon.doors import Door, Doors
from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address
from rtmpd.net.entrances import Entrance
from rtmpd.net.listeners import Listener, Place

ANY = Entrance(Address("127.0.0.1", 0))
OTHER = Entrance(Address("localhost", 0))


class House:
    """Doors to nothing, and what is open."""

    def __init__(self) -> None:
        door = Door(self._open, self._close)
        self.doors = Doors({"rtmp": door, "admin": door})
        self.open: list[Listener] = []
        self.failure: BaseException | None = None
        """Of the next one for ``OTHER``."""

    async def _open(self, entrance: Entrance, place: Place) -> Listener:
        if entrance == OTHER and self.failure is not None:
            raise self.failure
        self.open.append(await Listener.start(place, asyncio.Protocol))
        return self.open[-1]

    def _close(self, listener: Listener) -> None:
        self.open.remove(listener)
        listener.close()


async def test_what_is_named_is_open_and_what_is_not_is_closed() -> None:
    house = House()
    opened = await house.doors.open({"rtmp": [ANY, ANY], "admin": [ANY]})
    assert [protocol for protocol, _ in opened] == ["rtmp", "admin"]
    assert [entrance.address for _, entrance in opened] == [each.address for each in house.open]
    first, second = house.open
    opened = await house.doors.open({"rtmp": [ANY, OTHER], "admin": []})
    assert opened == [("rtmp", replace(OTHER, address=house.open[2].address))]
    closed = house.doors.keep({"rtmp": [ANY, OTHER], "admin": []})
    assert closed == [("admin", replace(ANY, address=second.address))]
    assert house.open[0] is first
    left = [("rtmp", replace(ANY, address=each.address)) for each in house.open]
    assert house.doors.keep({}) == left
    assert house.open == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ConfigError(["no such place"]), "no such place"),
        (OSError(errno.EACCES, "Permission denied"), "cannot listen on localhost:0: Permission denied"),
    ],
)
async def test_of_new_ones_none_is_left_when_one_fails(failure: Exception, told: str) -> None:
    house = House()
    await house.doors.open({"rtmp": [ANY]})
    before = list(house.open)
    house.failure = failure
    with pytest.raises(ConfigError) as error:
        await house.doors.open({"admin": [ANY, OTHER]})
    assert error.value.problems == (told,)
    assert house.open == before


async def test_nor_when_somebody_stops_it_half_way() -> None:
    house = House()
    house.failure = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await house.doors.open({"rtmp": [ANY, OTHER]})
    assert house.open == []
