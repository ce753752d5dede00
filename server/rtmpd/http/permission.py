"""Asking whether somebody may have what a request is for, without having it on that connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.engine.stats import count
from rtmpd.exceptions import Refused
from rtmpd.http.wishes import Wish
from rtmpd.rtmp.events import ConnectRequested
from rtmpd.rtmp.url import clean_path
from rtmpd.serving import connection_log as log
from rtmpd.serving.access import Action, Grant
from rtmpd.serving.authorization import authorize
from rtmpd.serving.guest import Guest


class Permit(NamedTuple):
    """It is granted."""

    grant: Grant
    """It is to be abandoned, or followed."""
    origin: Origin
    """Who has asked, as far as it is known now."""


async def ask_permission(guest: Guest, wish: Wish, origin: Origin) -> Permit:
    """What ``origin`` is granted who wants to play by way of ``guest``. Raises ``Refused``; nothing ends
    then.
    """
    with asking(guest, Action.PLAY, wish, origin):
        return await ask(guest, Action.PLAY, wish)


async def may_play(guest: Guest, wish: Wish) -> StreamKey:
    """The stream that ``guest`` would be shown, without showing it. Raises ``Refused``; nothing ends then."""
    grant = (await ask_permission(guest, wish, guest.origin)).grant
    grant.abandon()
    return grant.key


@contextmanager
def asking(guest: Guest, action: Action, wish: Wish, origin: Origin) -> Iterator[None]:
    """Have ``guest`` be ``origin``, who connects as ``wish`` says, for as long as this lasts. What is refused
    then is logged and counted.
    """
    requests = guest.requests
    before = requests.connect_params, requests.origin
    requests.connect_params, requests.origin = wish.connect, origin
    try:
        yield
    except Refused as refusal:
        key = StreamKey.of_path(clean_path(wish.connect.app, wish.name), guest.context.apps)
        (log.publish_refused if action is Action.PUBLISH else log.play_refused)(guest, key, refusal)
        stats = guest.context.stats
        count(stats.refusals, refusal.reason)
        stats.levels.note_refused(action, refusal.reason)
        raise
    finally:
        requests.connect_params, requests.origin = before


async def ask(guest: Guest, action: Action, wish: Wish) -> Permit:
    """What ``guest`` is granted, within ``asking``. Raises ``Refused``."""
    introduced = await authorize(guest, ConnectRequested(wish.connect))
    introduced.abandon()
    guest.requests.origin = guest.origin.found_to_be(introduced.account, introduced.identity)
    guest.check(action)
    grant = await authorize(guest, wish.publish if action is Action.PUBLISH else wish.play)
    grant = replace(grant, valid_for=min(grant.valid_for, introduced.valid_for))
    return Permit(grant, guest.origin.found_to_be(grant.account, grant.identity))
