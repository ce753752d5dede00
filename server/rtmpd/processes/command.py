"""The command of a process: arguments with placeholders, and the environment that it finds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Self

from rtmpd.engine.limits import counted
from rtmpd.engine.origin import Origin
from rtmpd.exceptions import UsageError

MAX_PUBLISHED: Final = 8
"""Streams that one process may publish."""
PLAY_URL: Final = "play_url"
PUBLISH_URL: Final = "publish_url"
_OF_PROCESSES: Final = ("app", "name", "process", PLAY_URL, PUBLISH_URL)
OF_HOOKS: Final = ("app", "name", "event", "file", "filename", "basename", "dirname", "duration", "size")
"""What placeholders of a command name that is run for an event; those behind ``event`` are of recordings."""
_NUMBERED: Final = re.compile(rf"{PUBLISH_URL}_([2-{MAX_PUBLISHED}])")
_BRACES: Final = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
_SHELLS: Final = frozenset({"sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"})
_COMMAND_LINE: Final = re.compile(r"\s[-{]")
"""A space and an option or a placeholder: in the name of a program they are a whole command in one text."""
_SCRIPT: Final = re.compile(r"-[a-z]*c")
_MAX_SAID: Final = 200
_WITHHELD: Final = re.compile(
    r"RTMPD_.*|NOTIFY_SOCKET|WATCHDOG_(?:PID|USEC)|LISTEN_(?:PID|FDS|FDNAMES)|CREDENTIALS_DIRECTORY"
)
"""Of our environment: settings, which may be secrets, and what systemd hands to the server alone."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, in which ``{name}`` and others stand for what the stream has."""

    arguments: tuple[str, ...]

    @classmethod
    def parse(
        cls, arguments: Sequence[str], published: int = 0, names: Sequence[str] = _OF_PROCESSES
    ) -> Self:
        """``published`` is how many streams the process may publish, ``names`` what placeholders may name.

        Raises UsageError with what to write.
        """
        if not arguments or not arguments[0]:
            raise UsageError('the command is empty: name a program, as in ["ffmpeg", "-i", "{play_url}"]')
        if any("\0" in argument for argument in arguments):
            raise UsageError("the command holds a NUL character, which no program can be given")
        for argument in arguments:
            for name in _names_in(argument):
                _check(name, published, names)
        if _COMMAND_LINE.search(arguments[0]):
            raise UsageError(
                'no shell takes a line apart: write ["ffmpeg", "-i", "{play_url}"], an argument each'
            )
        if _names_in(arguments[0]):
            raise UsageError("the program itself may not hang on the stream: name it, and give it the rest")
        shell = PurePath(arguments[0]).name in _SHELLS
        script = next((at for at, each in enumerate(arguments) if at and _SCRIPT.fullmatch(each)), None)
        if shell and script is not None and any(map(_names_in, arguments[script : script + 2])):
            raise UsageError(
                "a shell would run what stands in a stream's name as a command: "
                'write "$RTMPD_NAME", in quotation marks, in place of {name}'
            )
        return cls(tuple(arguments))

    def fill(self, values: Mapping[str, str]) -> list[str]:
        """The arguments for one stream. Raises UsageError where a name would be taken for an option."""
        filled = []
        for argument in self.arguments:
            text = _BRACES.sub(
                lambda found: f"{{{found[1]}}}" if found[1] else values.get(found[2], ""), argument
            )
            if text.startswith("-") and not argument.startswith("-"):
                raise UsageError("the name of the stream begins with -, and would be taken for an option")
            filled.append(text)
        return filled

    @property
    def secrets(self) -> list[str]:
        """What it holds that is nobody else's business: stream keys, queries, passwords, tokens."""
        from rtmpd.processes.command_secrets import secrets_in  # Only who has commands has a use for it.

        return secrets_in(self.arguments)


def environment(inherited: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """What a process finds: our own environment without what is ours alone, and ``RTMPD_`` variables."""
    kept = {name: value for name, value in inherited.items() if not _WITHHELD.fullmatch(name)}
    return kept | {f"RTMPD_{name.upper()}": value for name, value in values.items()}


def facts_of(origin: Origin) -> dict[str, str]:
    """Who is on the other side, for ``environment``; of nobody nothing.

    What peers say of themselves comes without control characters, and is cut to 200 characters.
    """
    if not origin.session:
        return {}
    said = {"account": origin.account, "agent": origin.agent, "query": origin.query}
    facts = {name: "".join(filter(str.isprintable, text[:_MAX_SAID])) for name, text in said.items()}
    return facts | {"session": origin.session_id, "address": origin.shown}


def _names_in(argument: str) -> list[str]:
    return [found[2] for found in _BRACES.finditer(argument) if found[2]]


def _check(name: str, published: int, names: Sequence[str]) -> None:
    numbered = _NUMBERED.fullmatch(name) if PUBLISH_URL in names else None
    if name not in names and numbered is None:
        more = f", and {{{PUBLISH_URL}_2}} and so on" if PUBLISH_URL in names else ""
        known = ", ".join(f"{{{each}}}" for each in names)
        raise UsageError(
            f"{{{name}}} is not known: {known} are{more}; write {{{{{name}}}}} for braces that stay"
        )
    wanted = int(numbered[1]) if numbered else int(name == PUBLISH_URL)
    if wanted > published:
        raise UsageError(f"{{{name}}} needs {counted(wanted, 'stream')} in publish, which has {published}")
