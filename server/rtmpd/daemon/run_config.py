"""Processes of streams: ``[apps.NAME.run.PROCESS]``, and ``[run]``, the limits of all of them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from rtmpd.daemon.fields import LIST_OR_TEXT, Count, Positive, Seconds, Section, Shown
from rtmpd.daemon.push_config import ANY, Names
from rtmpd.daemon.values import parse_list
from rtmpd.engine.key import StreamKey
from rtmpd.events.hook_rules import HookLimits
from rtmpd.exceptions import UsageError
from rtmpd.processes.command import MAX_PUBLISHED, Command
from rtmpd.processes.rules import DEFAULT_PUBLISH, Restart, RunLimits, RunRule, Start

RUN: Final = "run"
"""The table of an app whose keys people choose: ``apps.NAME.run.PROCESS`` is a ``ProcessConfig``."""
_LIMITS: Final = RunLimits()
_HOOKS: Final = HookLimits()
_RULE: Final = RunRule(Command(()))
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _hide_secrets(arguments: object) -> object:
    from rtmpd.processes.command_secrets import without_secrets

    return without_secrets(arguments) if isinstance(arguments, tuple) else arguments


Arguments = Annotated[tuple[str, ...], BeforeValidator(parse_list), Shown(_hide_secrets), LIST_OR_TEXT]


class RunConfig(Section):
    """Processes that live as long as a stream, and hooks, commands that are run for events: what all of them
    together may take. Which there are is said for each app, below."""

    max_processes: Count = _LIMITS.max_processes
    """Processes at a time; further ones take their turn. 0 starts none."""
    max_per_app: Count = _LIMITS.max_per_app
    """Of them, those of the streams of one app."""
    max_per_stream: Count = _LIMITS.max_per_stream
    """Of them, those of one stream."""
    max_output_lines: Count = _LIMITS.lines_per_minute
    """Lines of what one process writes that go into the log, in a minute; how many others there were is
    logged too. 0 logs none."""
    max_hooks: Positive = _HOOKS.max_at_once
    """Hooks at a time, of one stream one at a time."""
    max_hooks_waiting: Positive = _HOOKS.max_waiting
    """Hooks that wait for their turn; further ones are lost."""

    def to_limits(self) -> RunLimits:
        """The same below the daemon."""
        return RunLimits(self.max_processes, self.max_per_app, self.max_per_stream, self.max_output_lines)

    def to_hook_limits(self) -> HookLimits:
        """The same for hooks."""
        return HookLimits(self.max_hooks, self.max_hooks_waiting, self.max_output_lines)


class ProcessConfig(Section):
    """A process for each stream of the app, such as an ffmpeg that publishes it in a smaller size. PROCESS is
    its name in log and metrics. It begins with the stream, ends with it, and is started again when it ends
    before. It runs as the user that the server runs as: docs/processes.md."""

    command: Arguments = ()
    """The program and its arguments, one by one: no shell reads them. {play_url} is where the process plays
    the stream, {publish_url} where it publishes the first stream of publish, {publish_url_2} the second;
    both have a token in them that this machine alone can use, while the process lives. {app}, {name} and
    {process} are names. The environment has the same: RTMPD_PLAY_URL, RTMPD_PUBLISH_URL, RTMPD_APP,
    RTMPD_NAME. command_file names a file with the same instead, one argument a line."""
    publish: Annotated[Names, Field(max_length=MAX_PUBLISHED)] = (DEFAULT_PUBLISH,)
    """Streams that the process may publish, as app and name."""
    streams: Names = (ANY,)
    """Streams of the app that have this process; "*" is all."""
    start: Literal["media", "viewer"] = _RULE.start.value
    """media: with the first audio or video of the stream. viewer: while somebody watches a stream in publish,
    or with an empty publish the stream itself. A process that publishes the very stream that is watched
    ("{app}/{name}") needs no encoder to begin."""
    restart: Literal["always", "failure", "never"] = _RULE.restart.value
    """Whether a process that ended by itself is started again while its stream goes on: failure does so
    unless its exit status was 0."""
    linger: Seconds = _RULE.linger
    """With start = "viewer": how long the process stays when nobody watches any more."""
    stop_timeout: Seconds = _RULE.stop_timeout
    """How long the process may take to end after SIGTERM; then it is killed."""
    renditions: bool = False
    """Have the process for streams, too, that processes like this one publish."""
    enabled: bool = True
    """Whether there are such processes."""

    def to_rule(self) -> RunRule:
        """The same below the daemon. Raises UsageError with what is wrong."""
        return RunRule(
            command=Command.parse(self.command, len(self.publish)),
            publish=self.publish,
            start=Start(self.start),
            restart=Restart(self.restart),
            linger=self.linger,
            stop_timeout=self.stop_timeout,
            renditions=self.renditions,
        )

    def is_for(self, stream: str) -> bool:
        """Whether a stream of the app has this process."""
        return self.enabled and bool(self.command) and (ANY in self.streams or stream in self.streams)


def find_problem(name: str, process: ProcessConfig) -> str:
    """What is wrong with a process as it came out; empty if nothing is."""
    if not _NAME.fullmatch(name):
        return ": the name of a process is of letters, digits, - and _"
    try:
        process.to_rule().published(StreamKey("app", "name"), name)
    except UsageError as error:
        return f": {error}"
    return ""
