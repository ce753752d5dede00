"""Commands that are run for events: ``[apps.NAME.exec.HOOK]``."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from rtmpd.daemon.fields import LIST_OR_TEXT, Section, Timeout
from rtmpd.daemon.push_config import ANY, Names
from rtmpd.daemon.run_config import Arguments
from rtmpd.daemon.values import parse_list, quote
from rtmpd.events.hook_rules import HookRule
from rtmpd.events.model import EventKind
from rtmpd.exceptions import UsageError
from rtmpd.processes.command import OF_HOOKS, Command

EXEC: Final = "exec"
"""The table of an app whose keys people choose: ``apps.NAME.exec.HOOK`` is a ``HookConfig``."""
_RULE: Final = HookRule(Command(()), frozenset())
_KINDS: Final = tuple(kind for kind in EventKind if kind not in (EventKind.AUDIT, EventKind.TEST))
"""What happens to streams."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _check_kind(text: str) -> str:
    if text not in _KINDS:
        raise ValueError(f"{quote(text)} is no event: {', '.join(_KINDS)} are")
    return text


Kinds = Annotated[
    tuple[Annotated[str, AfterValidator(_check_kind)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]


class HookConfig(Section):
    """A command that is run once for an event of a stream of the app, such as a script that writes to a
    database when a stream begins. HOOK is its name in the log. Nobody waits for it. It runs as the user that
    the server runs as: docs/processes.md."""

    command: Arguments = ()
    """The program and its arguments, one by one: no shell reads them. {app}, {name} and {event} stand for
    what the event is about. The environment has the same and more: RTMPD_EVENT, RTMPD_NAME, RTMPD_JSON.
    command_file names a file with the same instead, one argument a line."""
    on: Kinds = ()
    """Events that it is run for, as in docs/notifications.md: "published", "unpublished", "ended"."""
    streams: Names = (ANY,)
    """Streams of the app that it is run for; "*" is all."""
    timeout: Timeout = _RULE.timeout
    """How long the command may take; then it is ended."""
    enabled: bool = True
    """Whether it is run."""

    def to_rule(self) -> HookRule:
        """The same below the daemon. Raises UsageError with what is wrong."""
        command = Command.parse(self.command, names=OF_HOOKS)
        return HookRule(command, frozenset(kind for kind in EventKind if kind in self.on), self.timeout)

    def is_for(self, stream: str) -> bool:
        """Whether it is run for a stream of the app."""
        return self.enabled and bool(self.command) and (ANY in self.streams or stream in self.streams)


def find_problem(name: str, hook: HookConfig) -> str:
    """What is wrong with a hook as it came out; empty if nothing is."""
    if not _NAME.fullmatch(name):
        return ": the name of a hook is of letters, digits, - and _"
    try:
        hook.to_rule()
    except UsageError as error:
        return f": {error}"
    return ""
