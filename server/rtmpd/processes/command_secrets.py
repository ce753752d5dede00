"""What in a command is nobody else's business: known by how a URL, an option or a header names it.

A guess about programs of all kinds: it may hide too much, and knows no secret that stands under another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rtmpd.rtmp.scrubbing import Scrubber, secrets_of
from rtmpd.rtmp.url import REDACTED

_END: Final = "\0"
"""Between arguments, none of which has one: so one pattern finds an option with its value, and in scripts."""
_MIN_LOGGED: Final = 4
"""Characters from which an option's value is looked for in what the program writes."""
_PLACEHOLDER: Final = re.compile(r"\{\w+\}")
_URL: Final = re.compile(
    r"(?P<scheme>\w+)://(?:[^\s/@:]*(?::(?P<password>[^\s/@]*))?@)?[^\s/?|]*(?P<path>/[^\s?|]*)?(?:\?(?P<query>[^\s|]*))?"
)

_KEYS: Final = "api|access|auth|stream|private|shared|encryption|decryption|signing"
_NAME: Final = (
    rf"[\w-]*(?:passw(?:or)?d|passphrase|secret|token|bearer|credential|(?:{_KEYS})[-_]?key)"
    r"(?![\w-]*file)[\w-]*"
)
_SCHEME: Final = r"[ \t]*(?:(?:basic|bearer|digest|token)[ \t]+)?"
"""Says what kind of credentials follow, and is none."""
_BEGIN: Final = r"(?<![^\0\s\"'])"
"""Of an option, also in a script."""
_WORD: Final = r"[\"']?([^\s\0\"'][^\s\0\"']*)"
_PUBLIC_HEADERS: Final = (
    "accept[a-z-]*|cache-control|connection|content-[a-z]+|host|origin|range|referer|user-agent"
)
_SECRETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\w-])(?:{_NAME}|[\w-]*(?:authorization|cookie|auth))[ \t]*:(?!//){_SCHEME}([^\r\n\0\"']+)",
        rf"(?<![^\0])--?{_NAME}[=\0](?!-)([^\0]+)",
        rf"{_BEGIN}--?{_NAME}[ \t]+(?!-){_WORD}",
        rf"(?<![\w-]){_NAME}=[\"']?([^\s\0\"'&;|]+)",
        rf"{_BEGIN}(?:-u|--(?:proxy-)?user)\0[^\s\0:/]+:([^\0]+)",
        rf"{_BEGIN}(?:-u[ \t]*|--(?:proxy-)?user[ \t=]+)[\"']?[^\s\0\"':/]+:(?!//)([^\s\0\"']+)",
    )
)
_HEADERS: Final = re.compile(
    rf"{_BEGIN}(?:-H|--(?:proxy-)?header|-headers)(?:\0([^\0]+)|[ \t=]*[\"']?([^\0\"']+))"
)
_HEADER: Final = re.compile(rf"(?im)^(?!(?:{_PUBLIC_HEADERS}):)[\w-]+:{_SCHEME}([^\r\n]+)")


def secrets_in(arguments: Sequence[str]) -> list[str]:
    """Those without placeholders, as the program may write them: stream keys, queries, passwords, tokens."""
    text = _END.join(arguments)
    found = [secret for argument in arguments for secret in _in_urls(argument)]
    found += [text[begin:end] for begin, end in _spans(text) if end - begin >= _MIN_LOGGED]
    return [secret for secret in dict.fromkeys(found) if secret and not _PLACEHOLDER.search(secret)]


def without_secrets(arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments as they may be shown."""
    text = _END.join(arguments)
    for begin, end in sorted(_spans(text), reverse=True):
        text = text[:begin] + REDACTED + text[end:]
    scrubber = Scrubber(secrets_in(arguments))
    return tuple(map(scrubber.redact, text.split(_END))) if arguments else ()


def _spans(text: str) -> list[tuple[int, int]]:
    """Where options and headers have their secrets, none within another, and none a placeholder alone."""
    found = [match.span(1) for pattern in _SECRETS for match in pattern.finditer(text)]
    for block in _HEADERS.finditer(text):
        which = 1 if block[1] else 2
        begin = block.start(which)
        found += [(begin + line.start(1), begin + line.end(1)) for line in _HEADER.finditer(block[which])]
    spans: list[tuple[int, int]] = []
    for begin, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if (spans and begin < spans[-1][1]) or _PLACEHOLDER.fullmatch(text[begin:end]):
            continue
        if text[begin:end].strip():
            spans.append((begin, end))
    return spans


def _in_urls(argument: str) -> Iterator[str]:
    for url in _URL.finditer(argument):
        _, _, stream_key = (url["path"] or "").rpartition("/")
        yield from [url["password"] or "", *secrets_of(url["query"] or "")]
        if url["scheme"].lower() in ("rtmp", "rtmps"):
            yield stream_key
