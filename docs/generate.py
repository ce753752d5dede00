"""Writes what of docs is made from the code: docs/openapi.json, and what words mean.

These are the words of metrics, log, API and events.

The words and their meanings are the code's, subclasses of ``rtmpd.reasons.Word``. Each table stands between
two comments that name its class, in docs/operations.md or where ``ELSEWHERE`` says. ``make docs`` runs this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rtmpd.control.audit import Change, ChangeResult
from rtmpd.daemon.access_log import AccessLogLoss
from rtmpd.engine.claim import HoldEnd, SwitchReason
from rtmpd.engine.drops import DropReason
from rtmpd.engine.health import HealthKind
from rtmpd.engine.levels import JoinEnd, Outage
from rtmpd.engine.sink import CloseReason
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.events.delivery import NotifyFailure, NotifyLoss
from rtmpd.events.model import EventKind
from rtmpd.hooks.rules import Moment
from rtmpd.hooks.stats import HookOutcome
from rtmpd.http.hls_counts import WaitEnd
from rtmpd.media.correction import Correction
from rtmpd.multitrack.words import ConfigOutcome
from rtmpd.outputs.afterwork_words import AfterworkFailure, RemovalFailure, RemovalReason, Step
from rtmpd.outputs.kept import KeptLoss
from rtmpd.outputs.record_words import RecordingFailure, RecordingLoss
from rtmpd.outputs.recording import RecordingEnd
from rtmpd.packaging.stats import Overfull
from rtmpd.processes.words import HookEnd, ProcessEnd, ProcessState
from rtmpd.reasons import (
    HandshakeFailure,
    HttpFailure,
    Problem,
    Refusal,
    SessionFailure,
    VerificationFailure,
    Word,
)
from rtmpd.relay.status import RelayState
from rtmpd.rtmp.quirks import Quirk
from rtmpd.serving.playing import PlayEnd
from rtmpd.state.words import StateFailure
from rtmpd.web.event_stream import FollowEnd
from rtmpd.web.openapi import document as openapi_document

OPERATIONS: Final = Path(__file__).parent / "operations.md"
NOTIFICATIONS: Final = Path(__file__).parent / "notifications.md"
API: Final = Path(__file__).parent / "api.md"
LEVELS: Final = Path(__file__).parent / "service-levels.md"
HLS: Final = Path(__file__).parent / "hls.md"
HLS_STREAMS: Final = Path(__file__).parent / "hls-streams.md"
SLATE: Final = Path(__file__).parent / "slate.md"
OPENAPI: Final = Path(__file__).parent / "openapi.json"

_REASON: Final = {"reason": "value", "what": "meaning"}
TABLES: Final[Mapping[type[Word], Mapping[str, str]]] = {
    HealthKind: {"kind": "value", "when": "meaning", "what to do": "remedy"},
    HandshakeFailure: _REASON,
    SessionFailure: _REASON,
    Refusal: {"reason": "value", "fault of": "fault", "what": "meaning"},
    VerificationFailure: _REASON,
    HttpFailure: _REASON,
    HookOutcome: {"outcome": "value", "what": "meaning"},
    ConfigOutcome: {"outcome": "value", "what": "meaning"},
    Moment: {"moment": "value", "when": "meaning"},
    CloseReason: _REASON,
    JoinEnd: {"outcome": "value", "what": "meaning"},
    Outage: {"cause": "value", "what": "meaning"},
    HoldEnd: _REASON,
    Slate: {"slate": "value", "what": "meaning"},
    SlateEnd: _REASON,
    PlayEnd: _REASON,
    DropReason: {"reason": "value", "lost to": "lost_to", "what": "meaning"},
    Correction: {"correction": "value", "what": "meaning"},
    Quirk: {"quirk": "value", "what": "meaning"},
    RelayState: {"state": "value", "what": "meaning"},
    ProcessState: {"state": "value", "what": "meaning"},
    ProcessEnd: _REASON,
    HookEnd: _REASON,
    EventKind: {"event": "value", "what": "meaning"},
    SwitchReason: _REASON,
    StateFailure: _REASON,
    RecordingEnd: _REASON,
    RecordingFailure: _REASON,
    RecordingLoss: _REASON,
    KeptLoss: _REASON,
    Step: {"step": "value", "what is to be done": "meaning"},
    RemovalReason: _REASON,
    RemovalFailure: _REASON,
    AfterworkFailure: _REASON,
    NotifyLoss: _REASON,
    AccessLogLoss: _REASON,
    NotifyFailure: _REASON,
    FollowEnd: _REASON,
    Change: {"change": "value", "what": "meaning"},
    ChangeResult: {"result": "value", "what": "meaning"},
    WaitEnd: {"outcome": "value", "what": "meaning"},
    Overfull: {"where": "value", "what": "meaning"},
    Problem: {"type": "value", "status": "status", "what": "meaning"},
}
"""Titles of the columns, and what of each word stands in them."""
ELSEWHERE: Final[Mapping[type[Word], Path]] = {
    **dict.fromkeys((EventKind, SwitchReason, NotifyLoss, NotifyFailure), NOTIFICATIONS),
    **dict.fromkeys((Change, ChangeResult, FollowEnd, Problem), API),
    **dict.fromkeys((JoinEnd, Outage), LEVELS),
    **dict.fromkeys((Slate, SlateEnd), SLATE),
    WaitEnd: HLS,
    Overfull: HLS_STREAMS,
}
"""Documents of tables that are not in docs/operations.md."""


def table(words: type[Word]) -> str:
    """What stands between the two comments of ``words``, lines of Markdown."""
    columns = TABLES[words]
    lines = [columns, ["---"] * len(columns)]
    for word in words:
        name, *texts = (getattr(word, attribute) for attribute in columns.values())
        lines.append([f"`{name}`", *map(str, texts)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def regenerated(document: Path, text: str) -> str:
    """``text`` of ``document`` with the tables that the code has now. LookupError if one has no place."""
    for words in TABLES:
        if ELSEWHERE.get(words, OPERATIONS) != document:
            continue
        name = words.__name__
        begin, end = f"<!-- {name}: make docs -->\n", f"<!-- end of {name} -->\n"
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (begun and ended):
            raise LookupError(f"write where the table of {name} belongs:\n{begin}{end}")
        text = f"{before}{begin}\n{table(words)}\n{end}{after}"
    return text


def openapi() -> str:
    """What docs/openapi.json holds."""
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in (OPERATIONS, NOTIFICATIONS, API, LEVELS, HLS, HLS_STREAMS):
        each.write_text(regenerated(each, each.read_text()))
    OPENAPI.write_text(openapi())
