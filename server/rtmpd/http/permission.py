"""Asking whether somebody may play what a request is for, without a play on that connection."""

from __future__ import annotations

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
    requests = guest.requests
    before = requests.connect_params, requests.origin
    requests.connect_params, requests.origin = wish.connect, origin
    try:
        introduced = await authorize(guest, ConnectRequested(wish.connect))
        introduced.abandon()
        requests.origin = guest.origin.found_to_be(introduced.account, introduced.identity)
        guest.check(Action.PLAY)
        grant = await authorize(guest, wish.play)
        grant = replace(grant, valid_for=min(grant.valid_for, introduced.valid_for))
        return Permit(grant, guest.origin.found_to_be(grant.account, grant.identity))
    except Refused as refusal:
        path = clean_path(wish.connect.app, wish.name)
        log.play_refused(guest, StreamKey.of_path(path, guest.context.apps), refusal)
        stats = guest.context.stats
        count(stats.refusals, refusal.reason)
        stats.levels.note_refused(Action.PLAY, refusal.reason)
        raise
    finally:
        requests.connect_params, requests.origin = before
