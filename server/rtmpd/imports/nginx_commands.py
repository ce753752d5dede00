"""``exec`` and its kin as processes of streams, and as commands for events."""

from __future__ import annotations

import re
from typing import Final

from rtmpd.imports.blocks import Directive
from rtmpd.imports.commands import Language, Translated, translate
from rtmpd.imports.nginx_context import Application
from rtmpd.imports.nginx_words import EVENTS
from rtmpd.imports.scripts import UNREAD

_VARIABLE: Final = re.compile(r"\\(?P<sign>.)|\$\{(\w+)\}|\$([A-Za-z]+)", re.DOTALL)
"""A name ends with its letters, so that $name_low is the name with _low behind it."""
_STREAM: Final = {"app": "{app}", "name": "{name}"}
_FILE: Final = {key: f"{{{key}}}" for key in ("filename", "basename", "dirname")} | {"path": "{file}"}
_WHO: Final = {"addr": "{address}", "args": "{query}", "flashver": "{agent}"}
"""In the environment alone, so for what a shell reads."""


def write_command(app: Application, each: Directive) -> None:
    """One of them."""
    event = EVENTS.get(each.name)
    kind = "run" if event is None else "exec"
    done = _translated(app, each)
    if not done.command:
        app.draft.leave(each.place, each.name, "names no program")
        return
    if done.missing:
        names = ", ".join(sorted({f"${name}" for name in done.missing}))
        text = f"{names} cannot stand in an argument: docs/processes.md has what the environment says of it"
        app.draft.leave(each.place, each.name, text)
        return
    if done.unread:
        app.draft.leave(each.place, each.name, UNREAD)
        return
    table = (*app.table, kind, app.names.free((*app.table, kind), done.name))
    app.draft.put((*table, "command"), done.command, each.place)
    if event is not None:
        app.draft.put((*table, "on"), [event], each.place)
        return
    app.draft.put((*table, "publish"), done.publish, each.place)
    if each.name == "exec_pull":
        app.draft.put((*table, "start"), "viewer", each.place)
    respawn = app.last("respawn")
    if respawn is not None and respawn.first == "off":
        app.draft.put((*table, "restart"), "never", respawn.place)
    if done.script:
        app.draft.remark(
            each.place, each.name, "a shell reads it: RTMPD_PLAY_URL plays the stream without a key"
        )


def _translated(app: Application, each: Directive) -> Translated:
    """As ours. A shell finds more in its environment than may stand in arguments."""
    known = _STREAM | (_FILE if each.name == "exec_record_done" else {})
    done = translate(each.args, Language(_VARIABLE, known, app.ports), app.name)
    if done.script and done.missing:
        return translate(each.args, Language(_VARIABLE, known | _WHO, app.ports), app.name)
    return done
