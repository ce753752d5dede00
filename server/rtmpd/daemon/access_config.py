"""Who may publish and play: ``[apps.NAME.publish]`` and ``[apps.NAME.play]``."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rtmpd.access.keys import Key, check_label, parse_digest, parse_until
from rtmpd.access.rules import Allow, Network
from rtmpd.access.users import check_user
from rtmpd.daemon.fields import LIST_OR_TEXT, Count, Effect, FileName, Networks, Seconds, Section, Shown
from rtmpd.daemon.media_config import RejectConfig, WarnConfig
from rtmpd.daemon.proofs_config import (
    JwtConfig,
    PlayLinks,
    PlayTokens,
    PublishLinks,
    PublishTokens,
    SignedUrlsConfig,
)
from rtmpd.daemon.values import KeyPath, parse_list
from rtmpd.engine.media_limits import MediaRules
from rtmpd.rtmp.limits import Limits
from rtmpd.rtmp.url import REDACTED, validate_name

KEYS: Final = "keys"
"""The table of ``publish`` and of ``play`` whose keys are names of streams."""

_EVERY: Final = "*"
"""Of apps, and of lists of names; a key has one."""


class KeyEntry(Section):
    """A key of which more is said than its digest."""

    sha256: str
    label: str = ""
    until: str = ""
    backup: bool = False


def _check_key(item: object) -> object:
    """A digest, or a table with one. The sentence about a wrong one quotes nothing: it may be a key."""
    if isinstance(item, str):
        parse_digest(item)
    elif isinstance(item, dict) and "sha256" in item and item.keys() <= KeyEntry.model_fields.keys():
        kinds = {name: bool if name == "backup" else str for name in item}
        if not all(isinstance(value, kinds[name]) for name, value in item.items()):
            raise ValueError("sha256, label and until are texts, in quotation marks; backup is true or false")
        parse_digest(item["sha256"])
        check_label(item.get("label", ""))
        if item.get("until"):
            parse_until(item["until"])
    else:
        text = '{sha256 = "sha256:...", label = "...", until = "...", backup = true}'
        raise ValueError(f'a key is "sha256:...", or {text}')
    return item


def _check_user(text: str) -> str:
    """``user:password``; the sentence about a wrong one does not tell the password."""
    user, separator, password = text.partition(":")
    if not separator:
        raise ValueError("is no user: write user:password")
    check_user(user, password)
    return text


def _check_users(texts: tuple[str, ...]) -> tuple[str, ...]:
    times = Counter(user for user, _ in map(_parse_user, texts))
    for user, count in times.most_common(1):
        if count > 1:
            raise ValueError(f"{user} is there twice: a user has one password")
    return texts


def _hide_passwords(texts: object) -> object:
    if not isinstance(texts, tuple):
        return texts
    return tuple(f"{user}:{REDACTED}" for user, _ in map(_parse_user, texts))


def _parse_user(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    return user, password


_KEY_SCHEMA: Final = {
    "type": ["string", "object"],
    "properties": {
        name: {"type": "boolean" if name == "backup" else "string"} for name in KeyEntry.model_fields
    },
    "required": ["sha256"],
    "additionalProperties": False,
}
KeyList = Annotated[
    tuple[Annotated[str | KeyEntry, BeforeValidator(_check_key)], ...],
    BeforeValidator(parse_list),
    WithJsonSchema({"type": ["array", "string"], "items": _KEY_SCHEMA}),
]

UserList = Annotated[
    tuple[Annotated[str, AfterValidator(_check_user)], ...],
    BeforeValidator(parse_list),
    AfterValidator(_check_users),
    Shown(_hide_passwords),
    LIST_OR_TEXT,
]


class AccessConfig(Section):
    """What both have."""

    allow: Annotated[Literal["auto", "anyone", "local", "proven", "nobody"], Effect.AT_ONCE] = "auto"
    ips: Annotated[Networks, Effect.AT_ONCE] = ()
    deny_ips: Annotated[Networks, Effect.AT_ONCE] = ()
    keys_file: Annotated[FileName, Effect.AT_ONCE] = ""
    keys: dict[str, KeyList] = Field(default_factory=dict)
    end_with_proof: bool = False
    signed_urls: SignedUrlsConfig = SignedUrlsConfig()
    jwt: JwtConfig = JwtConfig()

    @property
    def takes_keys(self) -> bool:
        """Keys are spoken of, even if there is none left."""
        return bool(self.keys or self.keys_file)

    @property
    def takes_proofs(self) -> bool:
        """The same of all that proves who a client is."""
        return self.takes_keys or self.takes_tokens

    @property
    def takes_tokens(self) -> bool:
        """The same of links and JWTs."""
        return self.signed_urls.spoken_of or self.jwt.spoken_of

    def allowed(self, otherwise: Allow) -> Allow:
        """Who needs no proof; without a word about it and about proofs ``otherwise``."""
        if self.allow != "auto":
            return Allow(self.allow)
        return Allow.PROVEN if self.takes_proofs else otherwise

    def networks(self) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
        """``ips`` and ``deny_ips``."""
        return tuple(map(ipaddress.ip_network, self.ips)), tuple(map(ipaddress.ip_network, self.deny_ips))

    def all_keys(self) -> Iterator[Key]:
        """Those of ``keys``."""
        for name, entries in self.keys.items():
            for entry in entries:
                yield _key(name, entry)

    def find_problems(self, outcome: AccessConfig) -> Iterator[tuple[KeyPath, str]]:
        """Keys of this table and what is wrong with them; ``outcome`` is it with what shorter ones say."""
        owners: dict[bytes, str] = {}
        for key in outcome.all_keys():
            owner = owners.setdefault(key.digest, key.name)
            if owner != key.name and self.keys.keys() & {owner, key.name}:
                said = key.name if key.name in self.keys else owner
                yield (KEYS, said), f": {owner} and {key.name} have the same key: give each its own"
        if self.jwt.spoken_of and outcome.jwt.missing:
            yield ("jwt", outcome.jwt.missing), " is missing: docs/jwt.md says which keys have to be there"
        for name in self.keys:
            if name == _EVERY:
                yield (KEYS, name), " is no stream: a key is for one, by its name; give each its own"
            elif validate_name(name, Limits().max_name_bytes) is not None:
                yield (KEYS, name), " is for a stream that cannot exist: write its name without the app"
        for name, entries in self.keys.items():
            if len({_key(name, entry).digest for entry in entries}) < len(entries):
                yield (KEYS, name), " has the same key twice: leave one of the two out"


class PublishAccess(AccessConfig):
    """Who may publish the streams of the app, beside those whom a key, password, link or token lets in."""

    effect = Effect.PUBLISHES
    allow: Annotated[Literal["auto", "anyone", "local", "proven", "nobody"], Effect.AT_ONCE] = "auto"
    """Who needs no proof. anyone; local: this machine and private networks (10.0.0.0/8, 172.16.0.0/12,
    192.168.0.0/16, fc00::/7, link-local), and whoever comes by a Unix socket; proven: nobody; nobody: no
    proof helps, either. auto is proven once there is anything to prove it by, else local."""
    open: bool = False
    """Says that allow = "anyone" is meant although streams of the app go on by themselves, to push targets or
    into processes; without it that is a mistake."""
    ips: Annotated[Networks, Effect.AT_ONCE] = ()
    """Addresses and networks that encoders have to come from, key or not; empty is anywhere. Nothing is said
    about who comes by a Unix socket."""
    deny_ips: Annotated[Networks, Effect.AT_ONCE] = ()
    """Addresses and networks that may not publish, whatever key they have."""
    max_publishers: Annotated[Count, Effect.AT_ONCE] = 0
    """Streams with a publisher at a time, pulled ones included: of all that take this from the same table
    together, and of [apps."*"] those of each first level of the path. 0 is any number."""
    max_duration: Seconds = 0.0
    """How long a publish may last; then it ends, and may begin anew. 0 is any time."""
    keys_file: Annotated[FileName, Effect.AT_ONCE] = ""
    """File with further keys, one a line: name sha256:... [label="..."] [until=2027-01-31] [backup=true]. It
    is read again when it changes."""
    users: Annotated[UserList, Effect.AT_ONCE] = ()
    """Users with their passwords, which have to be known in the clear: ["mia:PASSWORD"]. Encoders are asked
    for them when they connect, before they can show anything else, so no table has both. users_file names a
    file with them instead, one a line. An empty list lets no user in."""
    keys: dict[str, KeyList] = Field(default_factory=dict)
    reject: RejectConfig = RejectConfig()
    warn: WarnConfig = WarnConfig()

    def to_media_rules(self) -> MediaRules:
        """What may be sent."""
        return MediaRules(self.reject.to_limits(), self.warn.to_limits())

    end_with_proof: bool = False
    """A publish ends, with its connection, when the key, link or token expires that let it in; otherwise who
    is in stays."""
    signed_urls: PublishLinks = PublishLinks()
    jwt: PublishTokens = PublishTokens()

    @property
    def takes_proofs(self) -> bool:
        """Without users that once were there nobody may publish, as without keys."""
        return super().takes_proofs or "users" in self.model_fields_set

    @property
    def passwords(self) -> dict[str, str]:
        """Of ``users``."""
        return dict(map(_parse_user, self.users))

    def find_problems(self, outcome: AccessConfig) -> Iterator[tuple[KeyPath, str]]:
        """As of all access; and users whom nobody would ask, or who would be asked in vain."""
        yield from super().find_problems(outcome)
        if not isinstance(outcome, PublishAccess) or not outcome.users:
            return
        said = self.model_fields_set
        shown_later = outcome.takes_keys or outcome.takes_tokens
        if shown_later and said & {"users", "keys", "keys_file", "signed_urls", "jwt"}:
            text = (
                ": users are asked for before a key, link or token is shown: have them in an app of their own"
            )
            yield ("users",), text
        elif said & {"users", "allow"} and outcome.allow == "anyone":
            yield ("allow",), ' = "anyone" asks nobody for a user: leave it out, or the users'


class PlayAccess(AccessConfig):
    """Who may play the streams of the app, beside those whom a key, link or token lets in."""

    effect = Effect.PLAYS
    allow: Annotated[Literal["auto", "anyone", "local", "proven", "nobody"], Effect.AT_ONCE] = "auto"
    """As for publish; auto is proven once there is anything to prove it by, else anyone."""
    ips: Annotated[Networks, Effect.AT_ONCE] = ()
    """Addresses and networks that players have to come from, key or not; empty is anywhere."""
    deny_ips: Annotated[Networks, Effect.AT_ONCE] = ()
    """Addresses and networks that may not play, whatever key they have."""
    max_players: Annotated[Count, Effect.AT_ONCE] = 0
    """Players at a time, of all streams together that take this from the same table, and of [apps."*"] those
    of each first level of the path. 0 is any number. player.max_players_per_stream is for one stream."""
    max_duration: Seconds = 0.0
    """How long a play may last, the wait for a publisher included; 0 is any time."""
    keys_file: Annotated[FileName, Effect.AT_ONCE] = ""
    """File with further keys to play with, as for publish."""
    keys: dict[str, KeyList] = Field(default_factory=dict)
    end_with_proof: bool = False
    """A play ends, with its connection, when the key, link or token expires that let it in; otherwise who is
    in stays."""
    signed_urls: PlayLinks = PlayLinks()
    jwt: PlayTokens = PlayTokens()

    def find_problems(self, outcome: AccessConfig) -> Iterator[tuple[KeyPath, str]]:
        yield from super().find_problems(outcome)
        for name in dict.fromkeys(key.name for key in self.all_keys() if key.backup):
            yield (KEYS, name), " says backup = true, which is for encoders: take it out"


class PublishKeys(Section):
    """Keys to publish with, by the name that the stream has in public: the encoder sends the key in place of
    that (OBS: Stream Key), or name?key=KEY. Only what `rtmpd key new` or `rtmpd key hash` prints stands here;
    no file has the key itself. Several keys of a name are good at a time."""

    STREAM: KeyList = ()
    """Such as ["sha256:..."], or [{sha256 = "sha256:...", label = "Studio 2", until = "2027-01-31"}]: label
    is whom the log names, until the last day, or a time (2027-01-31T20:00:00Z). backup = true makes it the
    key of a second encoder, which stands by for the first. An empty list takes back what a table of a shorter
    path says."""


class PlayKeys(Section):
    """Keys to play with, by the name of the stream: the player asks for name?key=KEY."""

    STREAM: KeyList = ()
    """As for publish."""


def _key(name: str, entry: str | KeyEntry) -> Key:
    if isinstance(entry, str):
        return Key(parse_digest(entry), name)
    until = parse_until(entry.until) if entry.until else None
    return Key(parse_digest(entry.sha256), name, entry.label, until, entry.backup)
