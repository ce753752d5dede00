"""What observers are told of who publishes and plays."""

from __future__ import annotations

from dataclasses import replace

from net_kit import Client, House, eventually, serve
from rtmp_dialogue import command, connect

from rtmpd.engine.observer import StreamObserver
from rtmpd.engine.origin import Origin
from rtmpd.engine.publication import Publication
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.subscriber import Subscription


class Book(StreamObserver):
    """Who came, and for what reason they left."""

    def __init__(self, house: House) -> None:
        self.came: list[tuple[str, Origin]] = []
        self.left: list[tuple[str, CloseReason]] = []
        house.registry.observe(self)

    def published(self, publication: Publication) -> None:
        self.came.append(("publish", publication.origin))

    def unpublished(self, publication: Publication) -> None:
        self._leave("publish", publication)

    def play_started(self, subscription: Subscription) -> None:
        self.came.append(("play", subscription.origin))

    def play_ended(self, subscription: Subscription) -> None:
        self._leave("play", subscription)

    def _leave(self, what: str, which: Publication | Subscription) -> None:
        assert which.ending is not None
        self.left.append((what, which.ending.reason))


async def both(client: Client) -> None:
    """A publish and a play on one connection."""
    client.say(
        connect(flashVer="FMLE/3.0"),
        command("createStream", 2),
        command("publish", 3, "cam?key=SECRET", on=1),
        command("createStream", 4),
        command("play", 5, "cam?key=SECRET&track=all", on=2),
    )
    await client.until("2: onStatus 0 status NetStream.Play.Start")


async def test_an_origin_tells_who_came_and_where_and_no_secret() -> None:
    async with serve() as house:
        book = Book(house)
        await both(await house.client())
        await eventually(lambda: len(book.came) == 2)
        (what, publisher), (also, player) = book.came
        (connection,) = house.connections
        assert (what, also) == ("publish", "play")
        assert replace(publisher, session=0) == Origin(
            address="127.0.0.1",
            network="127.0.0.1",
            connection=connection.origin.connection,
            listener=f"127.0.0.1:{house.port}",
            agent="FMLE/3.0",
        )
        assert player == replace(publisher, query="track=all")
        assert "SECRET" not in repr(book.came)


async def test_all_that_a_connection_does_shares_one_origin_and_each_has_its_own_session() -> None:
    async with serve() as house:
        book = Book(house)
        first = await (await house.client()).publish("one")
        await first.play("one", on=2)
        await (await house.client()).play("one")
        await eventually(lambda: len(book.came) == 3)
        one, same, other = (origin for _, origin in book.came)
        assert same is one
        assert other.session > one.session > 0


async def test_an_observer_is_told_the_reason_that_the_log_has() -> None:
    async with serve() as house:
        book = Book(house)
        client = await house.client()
        await both(client)
        client.reset()
        await eventually(lambda: len(book.left) == 2)
        assert dict(book.left) == {
            "publish": CloseReason.CONNECTION_LOST,
            "play": CloseReason.CONNECTION_LOST,
        }
