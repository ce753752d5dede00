"""Commands that other servers run for streams, as ours: an argument each, and placeholders for names."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rtmpd.imports.scripts import with_variables

_BRACES: Final = re.compile(r"\{(\w+)\}")
_REDIRECTION: Final = re.compile(r"\d?(?:>>?|<).*|\d?>&\d")
_SHELLS: Final = frozenset({"sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"})
_SCRIPT: Final = re.compile(r"-[a-z]*c")
_LOCAL: Final = re.compile(
    r"(?:rtmp|rtsp)://(?:localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>\d+))?/(?P<app>[^/?]+)/(?P<name>[^?]+)(?:\?.*)?"
)
_MOST_PUBLISHED: Final = 8
_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Language:
    """How another server writes what stands for something of a stream."""

    variable: re.Pattern[str]
    """One of them, its name in the first group that there is; in ``sign`` a character that is only itself."""
    known: Mapping[str, str]
    """What stands in place of each: a text, with placeholders of ours."""
    ports: Container[str]
    """On which that server was reached by RTMP."""

    def translate(self, text: str, missing: list[str]) -> str:
        """With placeholders of ours in place of theirs, and braces of its own doubled; what is not known goes
        into ``missing``.
        """
        pieces, plain, end = [], "", 0
        for found in self.variable.finditer(text):
            plain, end = plain + text[end : found.start()], found.end()
            if found.lastgroup == "sign":
                plain += found["sign"]
                continue
            name = next((group for group in found.groups() if group is not None), "")
            if name not in self.known:
                missing.append(name)
            pieces += [_doubled(plain), self.known.get(name, found[0])]
            plain = ""
        return "".join([*pieces, _doubled(plain + text[end:])])


def _doubled(text: str) -> str:
    return _BRACES.sub(r"{{\1}}", text)


@dataclass(slots=True)
class Translated:
    """What became of a command."""

    command: list[str] = field(default_factory=list)
    publish: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What it asks for that there is not."""
    script: bool = False
    """A shell reads it."""
    unread: bool = False
    """What the shell should read stands where it does not."""
    rtsp: bool = False
    """It has published by RTSP."""

    @property
    def name(self) -> str:
        """A name for it, after its program."""
        program = self.command[0].rpartition("/")[2] if self.command else ""
        return _NAME.sub("-", program).strip("-")[:32] or "command"


def translate(arguments: Sequence[str], language: Language, app: str) -> Translated:
    """The command of one that runs for the streams of ``app``, which plays or publishes them here."""
    done = Translated()
    words = [word for word in arguments if not _REDIRECTION.fullmatch(word)]
    program = words[0].rpartition("/")[2] if words else ""
    encodes = "ffmpeg" in program or program.startswith("gst-")
    options = (number for number, word in enumerate(words) if number and _SCRIPT.fullmatch(word))
    option = next(options, 0) if program in _SHELLS else 0
    done.script = option > 0
    before = ""
    for number, word in enumerate(words):
        plain = language.translate(word, done.missing)
        if done.script and number == option + 1:
            text, done.unread = with_variables(plain)
            done.command.append(text)
            continue
        done.command.append(_own_url(plain, before, language, app, encodes=encodes, publish=done.publish))
        before = word
    _mend_format(done)
    return done


def _mend_format(done: Translated) -> None:
    """Who published by RTSP does so by RTMP."""
    for number, word in enumerate(done.command[:-1]):
        if (word, done.command[number + 1]) == ("-f", "rtsp") and done.publish:
            done.command[number + 1] = "flv"
            done.rtsp = True


def _own_url(
    text: str, before: str, language: Language, app: str, *, encodes: bool, publish: list[str]
) -> str:
    """A URL of the server itself as the placeholder that needs no key; any other text as it is."""
    found = _LOCAL.fullmatch(text)
    if found is None or (found["port"] or "1935") not in language.ports:
        return text
    there, name = ("{app}" if found["app"] == app else found["app"]), found["name"]
    if before == "-i" or not encodes:
        return "{play_url}" if (there, name) == ("{app}", "{name}") else text
    stream = f"{there}/{name}"
    if stream not in publish:
        if len(publish) == _MOST_PUBLISHED:
            return text
        publish.append(stream)
    number = publish.index(stream) + 1
    return "{publish_url}" if number == 1 else f"{{publish_url_{number}}}"


class Names:
    """Names for tables of one kind, each once."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, ...], set[str]] = {}

    def free(self, table: Sequence[str], wish: str) -> str:
        """``wish``, or with a number behind it, as no other of ``table`` is called."""
        taken = self._taken.setdefault(tuple(table), set())
        name = next(
            each
            for number in range(1, len(taken) + 2)
            if (each := wish if number == 1 else f"{wish}-{number}") not in taken
        )
        taken.add(name)
        return name


def name_of_host(host: str) -> str:
    """A name for who is called there, such as ``example`` for live.example.com; nothing of a password."""
    labels = host.rpartition("@")[2].partition(":")[0].split(".")
    word = labels[-2] if len(labels) > 1 and not labels[-1].isdigit() else ".".join(labels)
    return _NAME.sub("-", word).strip("-")[:32] or "target"
