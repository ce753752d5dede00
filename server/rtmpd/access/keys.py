"""Stream keys: how one is made, what of it is kept, and whom a presented one belongs to.

A key is a text that only its owner and the encoder know. Kept is its SHA-256 alone, so whoever reads the
configuration cannot publish. That is safe for what a machine drew, and for nothing that a person thought of.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from rtmpd.access.proof import KEY, Proof
from rtmpd.exceptions import ProofFailed
from rtmpd.reasons import Refusal

MIN_LENGTH: Final = 16
"""Characters. What is shorter is no key and is never looked up, whatever digests are configured."""
MAX_LENGTH: Final = 256
MAX_LABEL_LENGTH: Final = 100

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what looks like something else (0 o, 1 l i), in one case and without punctuation: a double click
takes the whole key, and no shell or URL has to quote it."""
_KEY_BYTES: Final = 20
_KEY_LENGTH: Final = 33
"""The fewest characters of the alphabet that tell 160 bits apart."""
_PREFIX: Final = "sha256:"
_DIGEST: Final = re.compile(rf"{_PREFIX}([0-9A-Fa-f]{{64}})")
_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""RFC 3986's unreserved characters: the same in a shell, in a path and in a query."""
_MIN_TURNS: Final = 10
"""Places at which the next character is neither the same nor its neighbour in the alphabet."""
_MIN_DIFFERENT: Final = 6
_FINGERPRINT_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Key:
    """What a key opens. There is nothing in it that may not be shown."""

    digest: bytes
    """SHA-256 of the key. Who presents the same key twice is the same."""
    name: str
    """Of the stream that it publishes or plays, without the app; it is public and differs from the key."""
    label: str = ""
    """Whose it is, for the log."""
    until: float | None = None
    """When it expires, in seconds since 1970."""
    backup: bool = False
    """Of the stream's second encoder, which stands by for the first."""

    @property
    def identity(self) -> str:
        """Whoever has it: a text that is the same whenever the key is presented, and no secret: see
        ``digest_in``.
        """
        return KEY + self.digest.hex()

    def check_time(self, now: float) -> None:
        """Raise ProofFailed if it has expired at ``now``, in seconds since 1970."""
        if self.until is not None and now >= self.until:
            since = datetime.fromtimestamp(self.until, UTC)
            text = f"This key has expired on {since:%Y-%m-%d at %H:%M} UTC; ask for another one."
            raise ProofFailed(Refusal.KEY_EXPIRED, text)

    @property
    def proof(self) -> Proof:
        """What whoever presents it has proven."""
        return Proof(self.label, self.identity, math.inf if self.until is None else self.until)


class KeyRing:
    """The keys of an app, found by what somebody presents.

    Of a key that has no more than a name no object is kept: ten thousand of those take less than 2 MB.
    """

    __slots__ = ("_names", "_terms")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        """Raises ValueError if a key is there twice."""
        self._names: dict[bytes, str] = {}
        self._terms: dict[bytes, Key] = {}
        """Those that have more than a name."""
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._names

    def __iter__(self) -> Iterator[Key]:
        """All keys, in the order in which they were added, expired ones too."""
        return map(self._key, self._names)

    def add(self, key: Key) -> None:
        """Put one more in. Raises ValueError if it is there already, for whatever name."""
        if key.digest in self._names:
            raise ValueError(f"is a key of {self._names[key.digest]} already, and a key has one name")
        self._names[key.digest] = key.name
        if key.label or key.until is not None or key.backup:
            self._terms[key.digest] = key

    def find(self, text: str, now: float) -> Key | None:
        """The key that ``text`` is, or None when it is none of these; ``now`` in seconds since 1970.

        One SHA-256 and one look-up, however many keys there are. None may also be an answer to a plain stream
        name, which stands in the same place. Raises ProofFailed for a key that has expired.
        """
        if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
            return None
        # How long this takes can tell no more than how a digest begins, and nobody finds a text whose digest
        # begins as he likes, byte after byte: comparing in constant time is for what can be aimed at.
        digest = digest_of(text)
        if digest not in self._names:
            return None
        key = self._key(digest)
        key.check_time(now)
        return key

    def _key(self, digest: bytes) -> Key:
        return self._terms.get(digest) or Key(digest, self._names[digest])


def new_key(random_bytes: Callable[[int], bytes]) -> str:
    """A fresh key of 160 random bits; ``random_bytes(n)`` are dice that nobody can foresee."""
    # One in 20,000 has no digit, for instance, and would not be taken where keys are checked.
    while not _seems_drawn(text := spell_key(random_bytes(_KEY_BYTES))):
        pass
    return text


def spell_key(random: bytes) -> str:
    """A key that has these 160 bits."""
    number = int.from_bytes(random, "big")
    characters = []
    for _ in range(_KEY_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)


def digest_of(text: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text.encode()).digest()


def digest_in(identity: str) -> bytes:
    """Of the key by which somebody was let in who has this identity, which begins with ``proof.KEY``."""
    return bytes.fromhex(identity.removeprefix(KEY))


def spell_digest(digest: bytes) -> str:
    """A digest as it is written in configurations: ``sha256:`` and 64 hex digits."""
    return _PREFIX + digest.hex()


def parse_digest(text: str) -> bytes:
    """What ``spell_digest`` wrote. Raises ValueError with a sentence that quotes nothing: it may be a key."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise ValueError("is not sha256: and 64 hex digits; `rtmpd key hash` makes that of a key")
    return bytes.fromhex(match[1])


def parse_until(text: str) -> float:
    """Seconds since 1970 at which something expires that is good until ``text``.

    That is a time with its zone (``2027-01-31T20:00:00Z``), or a day (``2027-01-31``), to whose end in UTC it
    is good. Raises ValueError with a sentence.
    """
    with contextlib.suppress(ValueError, OverflowError):
        return (datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1)).timestamp()
    with contextlib.suppress(ValueError):
        end = datetime.fromisoformat(text)
        if end.tzinfo is not None:
            return end.timestamp()
    raise ValueError("is no time: write 2027-01-31 (to the end of that day, UTC) or 2027-01-31T20:00:00Z")


def check_label(text: str) -> None:
    """Raise ValueError with a sentence unless ``text`` is fit to stand in logs and lists as a label."""
    if len(text) > MAX_LABEL_LENGTH or not text.isprintable():
        raise ValueError(f"a label has at most {MAX_LABEL_LENGTH} printable characters")


def check_strength(text: str) -> None:
    """Raise ValueError, with a sentence that does not quote it, unless ``text`` may become a key or a secret.

    A digest is tried billions of times a second by whoever has stolen it. What people think of does not last;
    what a machine drew, here or for another server, does. Nobody can be sure which one a text is: refused are
    texts that are short, that are words alone or digits alone, and those that go on as anybody would.
    """
    advice = "`rtmpd key new` makes one that nobody guesses"
    if not _SAFE.fullmatch(text):
        raise ValueError(
            f"may consist of letters, digits and . _ ~ - only, which nothing has to quote; {advice}"
        )
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise ValueError(f"has {len(text)} characters and not {MIN_LENGTH} to {MAX_LENGTH}; {advice}")
    if not _seems_drawn(text):
        raise ValueError(f"looks like something that a person thought of; {advice}")


def _seems_drawn(text: str) -> bool:
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    turns = sum(abs(ord(here) - ord(there)) > 1 for here, there in pairwise(text))
    return mixed and turns >= _MIN_TURNS and len(set(text)) >= _MIN_DIFFERENT


def fingerprint(secret: bytes, text: str) -> str:
    """Six hex digits by which lines about a refused ``text`` are recognised as being about the same one.

    ``secret`` is random and never leaves the process: without it a log would help to guess what somebody had
    mistyped by a character.
    """
    return hmac.digest(secret, text.encode(), "sha256").hex()[:_FINGERPRINT_DIGITS]
