"""What the models of the configuration are made of: sections, and values with units."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from rtmpd.daemon.values import (
    check_file_name,
    parse_count,
    parse_duration,
    parse_list,
    parse_milliseconds,
    parse_size,
    parse_size_or_auto,
    parse_whole_seconds,
    quote,
)
from rtmpd.exceptions import ConfigError
from rtmpd.net.entrances import Entrance


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number of the configuration counts, for documentation."""

    name: str


def _check_address(text: str) -> str:
    try:
        return str(Entrance.parse(text))
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _check_network(text: str) -> str:
    try:
        return text and str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError(f"{quote(text)} is no address and no network") from error


def _check_member(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{quote(text)} is no address and no network") from None


def _parse_addresses(value: object) -> object:
    match value:
        case int() if value is not True and value is not False:
            raise ValueError(f'{quote(value)} is not a list: write [":{value}"]')
    return parse_list(value)


_SECONDS: Final = Unit("seconds")
_BYTES: Final = Unit("bytes")

# Editors that know the schema must accept "10s" as the parsers do.
_NUMBER_OR_TEXT: Final = WithJsonSchema({"type": ["number", "string"], "minimum": 0})
LIST_OR_TEXT: Final = WithJsonSchema({"type": ["array", "string"], "items": {"type": "string"}})

Seconds = Annotated[float, BeforeValidator(parse_duration), _SECONDS, _NUMBER_OR_TEXT]
Timeout = Annotated[Seconds, Field(gt=0)]
WholeSeconds = Annotated[int, BeforeValidator(parse_whole_seconds), _SECONDS, _NUMBER_OR_TEXT]
Milliseconds = Annotated[int, BeforeValidator(parse_milliseconds), Unit("milliseconds"), _NUMBER_OR_TEXT]
Size = Annotated[int, BeforeValidator(parse_size), _BYTES, _NUMBER_OR_TEXT]
SizeOrAuto = Annotated[int | Literal["auto"], BeforeValidator(parse_size_or_auto), _BYTES, _NUMBER_OR_TEXT]
Count = Annotated[int, BeforeValidator(parse_count)]
Positive = Annotated[Count, Field(gt=0)]
ListenAddress = Annotated[str, AfterValidator(_check_address)]
ListenAddresses = Annotated[tuple[ListenAddress, ...], BeforeValidator(_parse_addresses), LIST_OR_TEXT]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_check_member)], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]
FileName = Annotated[str, AfterValidator(check_file_name)]
"""Empty where there is none."""
NetworkOrNone = Annotated[str, AfterValidator(_check_network)]


@dataclass(frozen=True, slots=True)
class Shown:
    """How a value that holds secrets is shown to people."""

    hide: Callable[[object], object]


class Effect(StrEnum):
    """For whom another value holds that comes while the server runs."""

    AT_ONCE = "everybody, at once"
    CONNECTIONS = "new connections"
    PUBLISHES = "new publishes"
    PLAYS = "new plays"
    FILES = "new files of recordings"
    ATTEMPTS = "new attempts of relays"


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no changes once read."""

    effect: ClassVar[Effect] = Effect.AT_ONCE
    """Of its keys, but those that are annotated with another."""
    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


def overlay(under: S, over: Section) -> S:
    """``under`` with what ``over`` says, key by key; what ``over`` does not mention stays."""
    changes = {name: _overlay(getattr(under, name), getattr(over, name)) for name in over.model_fields_set}
    return under.model_copy(update=changes)


def _overlay(under: object, over: object) -> object:
    match under, over:
        case Section(), Section():
            return overlay(under, over)
        case dict(), dict():
            return under | {name: _overlay(under.get(name), value) for name, value in over.items()}
    return over


def require_order(section: BaseModel, prefix: str, low: str, high: str) -> None:
    """Raise unless the value of key ``low`` is at most that of key ``high``."""
    least, most = getattr(section, low), getattr(section, high)
    if least > most:
        raise PydanticCustomError(
            "conflict",
            "{low_key} = {least} is more than {high_key} = {most}: lower the first or raise the second",
            {"low_key": f"{prefix}.{low}", "high_key": f"{prefix}.{high}", "least": least, "most": most},
        )
