"""Where one listens, and how: an address with what is said of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rtmpd.exceptions import ConfigError
from rtmpd.net.addresses import Address

UNIX_MODE: Final = 0o660
"""Of the file of a Unix socket: its user and its group may connect."""
_WORD: Final = re.compile(r"(.*\S) +(proxy|mode|owner)=(\S*)")
_MODE: Final = re.compile(r"0?[0-7]{3}")
_OWNER: Final = re.compile(r"[A-Za-z0-9_.-]*(:[A-Za-z0-9_.-]+)?")


class ProxyUse(StrEnum):
    """Whether who connects may say, before anything else, for whom: the PROXY protocol."""

    OFF = "off"
    ACCEPT = "accept"
    """A proxy that is trusted may; who says nothing is taken for itself."""
    REQUIRE = "require"
    """It is a proxy that is trusted, and does so."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """An address to listen on, as in ``:1937 proxy=require`` or ``unix:/run/rtmpd.sock mode=0666``."""

    address: Address
    proxy: ProxyUse = ProxyUse.OFF
    mode: int = UNIX_MODE
    """Of the file of a Unix socket."""
    owner: str = ""
    """The same: ``user``, ``:group`` or ``user:group``, by name or number; empty are those of the process."""

    @classmethod
    def parse(cls, text: str) -> Entrance:
        """Read an address and the words behind it. Raises ``ConfigError``."""
        words: dict[str, str] = {}
        rest = text
        while match := _WORD.fullmatch(rest):
            rest, word, value = match.groups()
            if word in words:
                raise ConfigError([f"{text!r} says {word}= twice"])
            words[word] = value
        address = Address.parse(rest)
        if not address.path and words.keys() - {"proxy"}:
            raise ConfigError([f"{text!r}: mode= and owner= are for the file of a Unix socket"])
        return cls(
            address,
            _parse_proxy(words.get("proxy", ProxyUse.OFF)),
            _parse_mode(words.get("mode", f"{UNIX_MODE:o}")),
            _parse_owner(words.get("owner")),
        )

    def __str__(self) -> str:
        words = [str(self.address)]
        if self.mode != UNIX_MODE:
            words.append(f"mode={self.mode:04o}")
        if self.owner:
            words.append(f"owner={self.owner}")
        if self.proxy is not ProxyUse.OFF:
            words.append(f"proxy={self.proxy}")
        return " ".join(words)


def _parse_proxy(text: str) -> ProxyUse:
    try:
        return ProxyUse(text)
    except ValueError:
        raise ConfigError([f"proxy={text}: write off, accept or require"]) from None


def _parse_mode(text: str) -> int:
    if not _MODE.fullmatch(text):
        raise ConfigError([f"mode={text}: write three digits from 0 to 7, such as 0660"])
    return int(text, 8)


def _parse_owner(text: str | None) -> str:
    if text is not None and not (text and _OWNER.fullmatch(text)):
        raise ConfigError([f"owner={text}: write user, :group or user:group"])
    return text or ""
