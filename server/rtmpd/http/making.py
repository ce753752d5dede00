"""Who makes MP4 of streams, as far as requests for it need them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rtmpd.engine.key import StreamKey
from rtmpd.engine.mp4_wire import Mp4Wish
from rtmpd.engine.sink import PlayOptions
from rtmpd.packaging.fragment_rules import FragmentRules


class Made(Protocol):
    """What is made of one stream, for all who have the same wish."""

    problem: str
    """Why nobody can be shown it, a sentence for people; empty if somebody can."""
    changing: bool
    """Its audience is told of an end, behind which it goes on at once with another init segment."""

    @property
    def number(self) -> int:
        """Of its audience, for ``PlayOptions.apart``."""
        ...


class Maker(Protocol):
    """Makes it as long as somebody is there."""

    def rules(self, path: str) -> FragmentRules | None:
        """How it is made of the stream of that path; None where it is not."""
        ...

    def find(self, key: StreamKey, wish: Mp4Wish, options: PlayOptions) -> Made:
        """Whose audience somebody with these ``options`` is attached to, at once.

        Raises ``ResourceExhausted``.
        """
        ...


class Order(NamedTuple):
    """MP4, as a request wants it."""

    wish: Mp4Wish
    """But for the tracks, which a play has in its query."""
    maker: Maker
