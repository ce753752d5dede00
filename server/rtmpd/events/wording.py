"""Events in sentences, for people who read them on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rtmpd.engine.claim import SwitchReason
from rtmpd.engine.health import HealthKind
from rtmpd.engine.slate import Slate, SlateEnd
from rtmpd.events.model import Event, EventKind, Fact
from rtmpd.relay.status import RelayState


class Mood(Enum):
    """How glad the reader will be."""

    GOOD = "good"
    PLAIN = "plain"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Message:
    """An event in words, without any markup, each in one line. Both may hold what peers call themselves and
    their streams.
    """

    title: str
    text: str
    mood: Mood = Mood.PLAIN


_TITLES: Final[Mapping[EventKind, tuple[str, Mood]]] = {
    EventKind.PUBLISHED: ("{stream} is being published", Mood.PLAIN),
    EventKind.FIRST_MEDIA: ("{stream} is on air", Mood.GOOD),
    EventKind.CODEC_CHANGED: ("{stream} has changed its codecs", Mood.PLAIN),
    EventKind.UNPUBLISHED: ("{stream} is not published any more", Mood.PLAIN),
    EventKind.HELD: ("{stream} is interrupted", Mood.BAD),
    EventKind.RESUMED: ("{stream} goes on", Mood.GOOD),
    EventKind.ENDED: ("{stream} is over", Mood.PLAIN),
    EventKind.SLATE_STARTED: ("{stream} shows its slate", Mood.BAD),
    EventKind.SLATE_ENDED: ("{stream} shows its slate no more", Mood.PLAIN),
    EventKind.PLAYER_JOINED: ("{who} plays {stream}", Mood.PLAIN),
    EventKind.PLAYER_LEFT: ("{who} has left {stream}", Mood.PLAIN),
    EventKind.SOURCE_SWITCHED: ("{stream} goes on with its {source} encoder", Mood.PLAIN),
    EventKind.FIRST_VIEWER: ("{stream} is watched", Mood.PLAIN),
    EventKind.LAST_VIEWER_LEFT: ("{stream} is not watched any more", Mood.PLAIN),
    EventKind.PUSH_STATE: ("{stream} to {target}: {state}", Mood.PLAIN),
    EventKind.WARNING_RAISED: ("{stream}: {warning}", Mood.BAD),
    EventKind.WARNING_CLEARED: ("{stream}: {warning} is over", Mood.GOOD),
    EventKind.RECORDING_STARTED: ("{stream} is being recorded", Mood.PLAIN),
    EventKind.RECORDING_FINISHED: ("{stream} was recorded", Mood.GOOD),
    EventKind.RECORDING_FAILED: ("{stream} is not being recorded", Mood.BAD),
    EventKind.AUDIT: ("{who}: {change} {target}", Mood.PLAIN),
    EventKind.TEST: ("rtmpd reaches you", Mood.GOOD),
}
_MOODS: Final[Mapping[Fact, Mood]] = {
    RelayState.LIVE: Mood.GOOD,
    RelayState.STALLED: Mood.BAD,
    RelayState.BACKOFF: Mood.BAD,
    RelayState.FAILED: Mood.BAD,
}
"""Of a push, by its state."""
_OF_EITHER: Final = (EventKind.SLATE_STARTED, EventKind.SLATE_ENDED)
"""Of a stream, or of a push alone."""
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SWITCHES: Final[Mapping[Fact, SwitchReason]] = {str(why): why for why in SwitchReason}
_SLATES: Final[Mapping[Fact, Slate]] = {str(slate): slate for slate in Slate}
_SLATE_ENDS: Final[Mapping[Fact, SlateEnd]] = {str(why): why for why in SlateEnd}
_WARNINGS: Final[Mapping[Fact, HealthKind]] = {str(kind): kind for kind in HealthKind}


def sentence(markdown: str) -> str:
    """What a word means, as ``Word.meaning`` has it, without markup and with a capital letter."""
    text = _LINK.sub(r"\1", markdown).replace("`", "")
    return text[:1].upper() + text[1:]


def worded(event: Event) -> Message:
    """What happened, in words."""
    facts = event.facts
    title, mood = _TITLES[event.kind]
    alone = facts["target"] if event.kind in _OF_EITHER else None
    filled = {
        "stream": event.key if alone is None else f"{event.key} to {alone}",
        "who": event.origin.who,
        **facts,
    }
    text = _line(". ".join(filter(None, _sentences(event, facts))))
    mood = _MOODS.get(facts.get("state"), mood)
    return Message(_line(title.format_map(filled)), text and f"{text}.", mood)


def _sentences(event: Event, facts: Mapping[str, Fact]) -> list[str]:
    match event.kind:
        case EventKind.PUBLISHED:
            agent = event.origin.agent
            return [f"By {event.origin.who}" + (f" with {agent}" if agent else "")]
        case EventKind.FIRST_MEDIA:
            size = f" {facts['width']}x{facts['height']}" if facts["width"] else ""
            return [f"{_named(facts['video'])}{size}, {_named(facts['audio'])}"]
        case EventKind.CODEC_CHANGED:
            now = f"{_named(facts['video'])}, {_named(facts['audio'])}"
            return [f"Now {now}; before {_named(facts['video_before'])}, {_named(facts['audio_before'])}"]
        case EventKind.RESUMED:
            return [f"After {_duration(facts['outage'])}"]
        case EventKind.PLAYER_JOINED:
            return ["Its file, and nothing that is live" if facts["file"] else "", event.origin.agent]
        case EventKind.PUSH_STATE:
            return [str(facts["remote"]), str(facts["reason"]), str(facts["status"])]
        case EventKind.WARNING_RAISED:
            kind = _WARNINGS[facts["warning"]]
            figures = {name: fact for name, fact in facts.items() if isinstance(fact, int | float | str)}
            return [kind.finding(figures), kind.advice]
        case EventKind.SOURCE_SWITCHED | EventKind.SLATE_STARTED | EventKind.SLATE_ENDED:
            return _on_air(facts)
        case EventKind.WARNING_CLEARED | EventKind.FIRST_VIEWER | EventKind.LAST_VIEWER_LEFT:
            return []
        case EventKind.RECORDING_STARTED:
            return [f"Into {facts['path']}"]
        case EventKind.RECORDING_FINISHED:
            lasts = f"{_duration(facts['duration'])}, {_size(facts['bytes'])}, {facts['codecs']}"
            return [lasts, f"File: {facts['path']}", f"Reason: {facts['reason']}"]
        case EventKind.RECORDING_FAILED:
            return [sentence(str(facts["problem"])).rstrip("."), f"File: {facts['path']}"]
        case EventKind.AUDIT:
            return _audit(facts)
        case EventKind.TEST:
            return ["This is a test of the notifications"]
        case EventKind.HELD:
            return [*_end(facts), "Its players wait for the encoder to come back"]
        case EventKind.UNPUBLISHED | EventKind.ENDED | EventKind.PLAYER_LEFT:
            return _end(facts)


def _on_air(facts: Mapping[str, Fact]) -> list[str]:
    if "slate" not in facts:
        return [sentence(_SWITCHES[facts["reason"]].meaning)]
    if "reason" not in facts:
        return [sentence(_SLATES[facts["slate"]].meaning)]
    return [f"After {_duration(facts['duration'])}", sentence(_SLATE_ENDS[facts["reason"]].meaning)]


def _audit(facts: Mapping[str, Fact]) -> list[str]:
    told = [sentence(f"{name}: {facts[name]}") for name in ("before", "after", "reason") if facts[name]]
    if facts["problem"] is None:
        return told
    return [sentence(f"{facts['result']}: {facts['detail']}").rstrip("."), *told]


def _named(codec: Fact) -> str:
    return "nothing" if codec is None else str(codec)


def _end(facts: Mapping[str, Fact]) -> list[str]:
    by = f" by {facts['by']}" if facts["by"] else ""
    lasted = f"After {_duration(facts['duration'])}" if "duration" in facts else ""
    return [lasted, f"Reason: {facts['reason']}{by}"]


def _duration(seconds: Fact) -> str:
    """Such as ``4.2 s`` or ``1:02:03``."""
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _size(size: Fact) -> str:
    """Such as ``4.2 MB``."""
    if not isinstance(size, int | float):
        return ""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _line(text: str) -> str:
    """What peers have written is to look like no event of its own."""
    return "".join(filter(str.isprintable, " ".join(text.split())))
