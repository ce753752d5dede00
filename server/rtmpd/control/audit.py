"""Who has changed what, or was refused to: a line of the log and an event for each time that it was tried."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from rtmpd.control.actor import Actor
from rtmpd.engine.key import StreamKey
from rtmpd.engine.origin import Origin
from rtmpd.events.model import NO_STREAM, Fact
from rtmpd.exceptions import ConfigError, ControlError
from rtmpd.reasons import Problem, Word

logger = logging.getLogger(__name__)

_MOST_TEXT: Final = 1000
"""Characters of a text."""
_MOST_NAMES: Final = 20
"""Of settings."""


class Change(Word):
    """What somebody in charge can change."""

    RELOAD = "reload", "the settings were read again; `after` names those that say something else"
    END = "end", "the players of a held stream are told that it is over"
    DRAIN = "drain", "the server ends, and lets nobody in any more; `after` is when it will be over"
    REPLACE = "replace", "another process takes over, `after`"
    KICK = "kick", "a session is ended; `before` is what it did, `after` the ban that came with it"
    BAN = "ban", "nobody is let in from a network; `before` is the ban that there was"
    UNBAN = "unban", "a ban is lifted, which was `before`"
    ADD_PUSH = "add_push", "a stream is pushed to one more address, `after`"
    REDIRECT = "redirect", "players are led from the stream `before` to a stream or a server, `after`"
    PUSH_OFF = "push_off", "nothing is sent to a push target until it is switched on"
    PUSH_ON = "push_on", "a push target is sent to again"
    RESTART_PUSH = "restart_push", "a push leaves the other server and comes back"
    PULL_OFF = "pull_off", "a stream is fetched from no other server until that is switched on"
    PULL_ON = "pull_on", "a stream is fetched from other servers again"
    RESTART_PULL = "restart_pull", "a pull leaves its origin, and asks anew which server has the stream"
    ADD_KEY = "add_key", "a stream key is good from now on; `after` is its label"
    REVOKE_KEY = "revoke_key", "a stream key opens nothing any more; `before` is its label"
    LIFT_KEY = "lift_key", "a revoked stream key of the settings is good again; `after` is its label"
    LOG_LEVEL = "log_level", "more is written into the log for a while, or what the settings say again"
    START_RECORDING = "start_recording", "a stream is recorded from its next key frame on"
    STOP_RECORDING = "stop_recording", "it is recorded no more, until it is published anew"
    SPLIT_RECORDING = "split_recording", "its recording goes on in another file"
    DELETE_RECORDING = "delete_recording", "a recorded file is removed; `before` is its size in bytes"
    RETRY_RECORDING = "retry_recording", "what is still to be done with a recorded file is tried now"
    REMOVE_PUSH = "remove_push", "a stream is pushed no more to the address `before`"


class ChangeResult(Word):
    """What became of it."""

    DONE = "done", "it is so now"
    REFUSED = "refused", "nothing has changed; `problem` is the kind of problem, `detail` says more"
    FAILED = "failed", "a bug of rtmpd, whose log has the traceback, or it took too long and nobody waited"


Teller: TypeAlias = Callable[[Origin, StreamKey, Mapping[str, Fact]], None]


@dataclass(slots=True)
class Attempt:
    """One change. What is said of it may be completed while it is tried; nothing here may be secret."""

    by: Actor
    change: Change
    target: str = ""
    """Such as a session, a network, or app and name of a stream; empty where it is the server."""
    reason: str = ""
    """In the words of who wanted it."""
    key: StreamKey = NO_STREAM
    """The stream that it is about, if it is about one."""
    before: Fact = None
    """How it was."""
    after: Fact = None
    """How it is now."""


class Audit:
    """Notes every change once. ``tell(by, key, facts)`` makes an event of it; without it nothing is noted."""

    def __init__(self, tell: Teller | None) -> None:
        self._tell = tell

    def note(
        self,
        by: Actor,
        change: Change,
        target: str = "",
        reason: str = "",
        *,
        before: Fact = None,
        after: Fact = None,
    ) -> None:
        """``by`` has changed something. A ``target`` that is a ``StreamKey`` is the stream, too."""
        attempt = _attempt(by, change, target, reason)
        attempt.before, attempt.after = before, after
        self._note(attempt, ChangeResult.DONE)

    @contextmanager
    def attempt(self, by: Actor, change: Change, target: str = "", reason: str = "") -> Iterator[Attempt]:
        """Within this ``by`` tries to change something: what comes of it is noted at the end, whatever it is.

        ControlError and ConfigError are refusals; every exception goes on.
        """
        attempt = _attempt(by, change, target, reason)
        try:
            yield attempt
        except ControlError as error:
            self._note(attempt, ChangeResult.REFUSED, error.problem, error.detail)
            raise
        except ConfigError as error:
            self._note(attempt, ChangeResult.REFUSED, Problem.SETTINGS_REFUSED, "; ".join(error.problems))
            raise
        except BaseException:
            self._note(attempt, ChangeResult.FAILED, Problem.INTERNAL_ERROR, "the log may say more")
            raise
        self._note(attempt, ChangeResult.DONE)

    def _note(
        self, of: Attempt, result: ChangeResult, problem: Problem | None = None, detail: str = ""
    ) -> None:
        if self._tell is None:
            return
        by = of.by
        # Not as `client`, of whom one address has so many lines: none of these may be missing.
        who = {"by": by.name or None, "from": by.address or by.protocol}
        facts = _facts(of, result, problem, detail)
        fields = who | facts
        if result is ChangeResult.DONE:
            logger.info("change made", extra={"fields": fields})
        else:
            logger.warning("change not made", extra={"fields": fields})
        self._tell(by.origin, of.key, facts)


def _facts(of: Attempt, result: ChangeResult, problem: Problem | None, detail: str) -> dict[str, Fact]:
    return {
        "change": str(of.change),
        "target": _cut(of.target),
        "result": str(result),
        "reason": of.reason or None,
        "before": _cut(of.before),
        "after": _cut(of.after),
        "problem": None if problem is None else str(problem),
        "detail": _cut(detail) or None,
    }


def spell_settings(changed: Iterable[Sequence[str]]) -> str | None:
    """Names of settings that say something else, in groups, for ``Attempt.after``."""
    names = [name for each in changed for name in each]
    more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more]) or None


def _attempt(by: Actor, change: Change, target: str, reason: str) -> Attempt:
    key = target if isinstance(target, StreamKey) else NO_STREAM
    return Attempt(by, change, str(target), reason, key)


def _cut(fact: Fact) -> Fact:
    return fact[:_MOST_TEXT] if isinstance(fact, str) else fact
