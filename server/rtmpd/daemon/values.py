"""How keys and values are written in a configuration: durations, sizes, counts, lists.

Every ``parse_*`` takes what a TOML file, an environment variable or ``--set`` can hold and raises ValueError
with a sentence that says what to write instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Final

from rtmpd.daemon.environment import ENVIRONMENT_PREFIX

KeyPath = tuple[str, ...]
"""A key with the names of its sections before it."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d)?", re.IGNORECASE)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?b|b)?", re.IGNORECASE)
_BYTES: Final = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_QUOTE_LENGTH: Final = 60

_MAX_FILE_NAME: Final = 255
"""Bytes of one level of a path: NAME_MAX of Linux and macOS."""
_MAX_PATH: Final = 4095
"""Bytes of a whole one: PATH_MAX of Linux."""

AUTO: Final = "auto"
"""In place of a size: one that fits the machine."""


def spell(path: Iterable[str]) -> str:
    """The path of a key as it is written: names with dots stand in quotation marks."""
    return ".".join(f'"{part}"' if "." in part else part for part in path)


def spell_for(path: KeyPath, origin: str) -> str:
    """The same as it is written in the source ``origin``: a variable of the environment has another form."""
    if origin.startswith(ENVIRONMENT_PREFIX):
        return ENVIRONMENT_PREFIX + "__".join(path).upper()
    return spell(path)


def quote(value: object) -> str:
    """What a person wrote, on one line, safe for a terminal and of bounded length."""
    text = ascii(value)
    return text if len(text) <= _QUOTE_LENGTH else text[:_QUOTE_LENGTH] + "..."


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as ``10s``, ``500ms``, ``2m``, ``1h``, ``7d``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value) and value >= 0:
            return float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _SECONDS[(match[2] or "s").lower()]
        if math.isfinite(seconds):
            return round(seconds, 9)
    raise ValueError(f'{quote(value)} is not a duration: write seconds (10) or "10s", "500ms", "2m", "24h"')


def parse_whole_seconds(value: object) -> int:
    """A whole number of seconds, written as for ``parse_duration``."""
    seconds = parse_duration(value)
    if not seconds.is_integer():
        raise ValueError(f"{quote(value)} is not a whole number of seconds")
    return int(seconds)


def parse_milliseconds(value: object) -> int:
    """Milliseconds from a whole number of them or a text with its unit, such as ``50ms`` or ``20s``."""
    if isinstance(value, str) and value.strip()[-1:].isalpha():
        milliseconds = parse_duration(value) * 1000
    else:
        milliseconds = parse_count(value, 'milliseconds (50) or "50ms", "20s"')
    if not float(milliseconds).is_integer():
        raise ValueError(f"{quote(value)} is not a whole number of milliseconds")
    return int(milliseconds)


def parse_size(value: object) -> int:
    """Bytes from a whole number of them or a text such as ``16MiB`` (binary) or ``16MB`` (decimal)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        size = float(match[1]) * _BYTES[(match[2] or "b").lower()]
        if size.is_integer():
            return int(size)
    raise ValueError(f'{quote(value)} is not a size: write bytes (65536) or "64KiB", "16MiB", "1GiB"')


def parse_size_or_auto(value: object) -> int | str:
    """What ``parse_size`` reads, or ``AUTO``."""
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    try:
        return parse_size(value)
    except ValueError as error:
        raise ValueError(f'{error}, or "{AUTO}"') from None


def parse_count(value: object, expected: str = "a whole number, not less than 0") -> int:
    """An integer of 0 or more; ``expected`` is the end of the sentence a wrong one is answered with."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value.strip()):
        return int(value)
    raise ValueError(f"{quote(value)} is not a count: write {expected}")


def parse_list(value: object) -> object:
    """A list from a text (a JSON array, or words separated by commas); anything else is left as it is."""
    if not isinstance(value, str):
        return value
    # "[::]:1935" begins like an array and is not one.
    try:
        decoded = json.loads(value)
    except ValueError:
        decoded = None
    if isinstance(decoded, list):
        return decoded
    return [word.strip() for word in value.split(",") if word.strip()]


def check_file_name(text: str) -> str:
    """What can be the name of a file, and be shown. Raises ValueError with a sentence."""
    try:
        name = text.encode()
    except UnicodeEncodeError:
        problem = "bytes that are not UTF-8"
    else:
        levels = name.split(b"/")
        if b"\0" in name:
            problem = "a NUL character"
        elif len(name) > _MAX_PATH or max(map(len, levels)) > _MAX_FILE_NAME:
            problem = f"more than {_MAX_PATH} bytes, or {_MAX_FILE_NAME} between two slashes"
        else:
            return text
    raise ValueError(f"{quote(text)} is no name of a file: it has {problem}")


def format_duration(seconds: float) -> str:
    """Seconds as ``parse_duration`` reads them, to the nanosecond."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def format_bound(bound: float, unit: str) -> str:
    """The same of what a value may be, as people say it: ``1h``, ``1MiB``, ``5 seconds``, ``3``."""
    if unit == "seconds":
        for name in ("d", "h", "m"):
            if bound and bound % _SECONDS[name] == 0:
                return f"{bound / _SECONDS[name]:g}{name}"
    if unit == "bytes" and not (text := format_size(int(bound))).isdigit():
        return text
    return f"{bound:.15g} {unit}".rstrip()


def format_size(size: int) -> str:
    """The size in the largest binary unit that divides it, as ``parse_size`` reads it."""
    for unit in ("GiB", "MiB", "KiB"):
        factor = _BYTES[unit.lower()]
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
