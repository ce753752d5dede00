"""The HTTP side, and who may ask there: ``[admin]`` with ``tokens`` and ``jwt``, ``[metrics]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from rtmpd.access.admin_rules import AdminRules, AdminToken, IssuedRoles
from rtmpd.access.keys import Key, parse_digest, parse_until
from rtmpd.daemon.fields import (
    LIST_OR_TEXT,
    Count,
    Effect,
    FileName,
    ListenAddresses,
    Positive,
    Seconds,
    Section,
    Timeout,
)
from rtmpd.daemon.notify_config import Streams
from rtmpd.daemon.proofs_config import Algorithms, IssuerConfig, Source
from rtmpd.daemon.values import KeyPath, parse_list
from rtmpd.events.settings import ALL_STREAMS
from rtmpd.net.entrances import Entrance
from rtmpd.web.limits import AdminLimits

ADMIN: Final = "admin"
TOKENS: Final[KeyPath] = (ADMIN, "tokens")
"""The table of all tokens."""
_ADMIN: Final = AdminLimits()
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_TOKENS: Final = 1000

Roles = Literal["read", "operate"]
Opened = Annotated[
    tuple[Literal["metrics", "health", "stat"], ...], BeforeValidator(parse_list), LIST_OR_TEXT
]
Values = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(parse_list), LIST_OR_TEXT]


class TokenConfig(Section):
    """Somebody who may ask over HTTP, from wherever they are, by a token that `rtmpd admin-token new NAME`
    makes and shows once. They send it as Authorization: Bearer, or as the password of a user. NAME is who
    the log and the audit name. A token that goes, here and with a reload, ends what is open with it."""

    sha256: str = ""
    """What is kept of the token: sha256: and 64 hex digits. `rtmpd key hash` makes that of one you have."""
    role: Roles = "read"
    """read sees everything that is no secret, operate changes what goes on, too."""
    streams: Streams = (ALL_STREAMS,)
    """Apps (live) and streams (live/show) that it is for; "*" is all, and the server as a whole."""
    until: str = ""
    """The last day that it is good, 2027-01-31 (UTC), or a time, 2027-01-31T20:00:00Z; empty is for good."""

    def to_token(self, name: str) -> AdminToken:
        """One that has no problem."""
        until = parse_until(self.until) if self.until else None
        return AdminToken(Key(parse_digest(self.sha256), name, until=until), self.role, self.streams)

    def find_problem(self, name: str) -> tuple[str, str] | None:
        """A key that cannot be used as it stands, and what is wrong; ``name`` is the token's."""
        if not NAME.fullmatch(name):
            return "sha256", ": the name of a token is of letters, digits, - and _"
        if not self.sha256:
            return "sha256", f" is missing: `rtmpd admin-token new {name}` makes one"
        try:
            parse_digest(self.sha256)
        except ValueError as error:
            return "sha256", f" {error}"
        if not self.streams:
            return "streams", ' names no stream: write ["*"] for all'
        try:
            if self.until:
                parse_until(self.until)
        except ValueError as error:
            return "until", f" {error}"
        return None


class AdminTokensOfIssuer(IssuerConfig):
    """JSON Web Tokens, such as an identity provider (OIDC) issues, in place of a token of ours. They need
    rtmpd's extra jwt. issuer, audience, algorithms, jwks and claim have to be there, and read or operate."""

    issuer: str = ""
    """What a token's iss has to be."""
    audience: str = ""
    """What a token's aud has to be, or to name: this server, as the issuer calls it."""
    algorithms: Algorithms = ()
    """As for publishers."""
    jwks: Source = ""
    """Where the issuer's public keys are, as for publishers."""
    ca_file: FileName = ""
    """File with the authorities (PEM) that vouch for the server of jwks; empty means those of the system."""
    leeway: Seconds = 0.0
    """By how much the issuer's clock may be wrong."""
    claim: str = ""
    """The claim that says what somebody may, a text or a list: "groups", or "realm_access.roles" for one
    inside another."""
    read: Values = ()
    """Values of claim that mean the role read."""
    operate: Values = ()
    """Values of claim that mean the role operate."""
    streams_claim: str = ""
    """A claim with the apps and streams that a token is for, without which it is for none. Empty: tokens are
    for all."""

    def find_problem(self) -> tuple[str, str] | None:
        """A key that is missing, and what of it."""
        if not (self.spoken_of or self.claim or self.read or self.operate):
            return None
        if self.missing:
            return self.missing, " is missing: docs/api.md says which keys have to be there"
        if not self.claim:
            return "claim", " is missing: name the claim that says what somebody may"
        if not (self.read or self.operate):
            return "read", ": no value of claim means anything yet: name some for read or operate"
        return None

    def to_roles(self) -> IssuedRoles:
        """What is said of whoever has one."""
        roles = dict.fromkeys(self.read, "read") | dict.fromkeys(self.operate, "operate")
        return IssuedRoles(self.claim, roles, self.streams_claim)


class AdminConfig(Section):
    """The HTTP side: /metrics, /healthz, /readyz and the API. This machine asks as it likes; whoever else
    reaches it sees what open says, and shows a token ([admin.tokens.NAME]) for all else."""

    listen: ListenAddresses = ("127.0.0.1:9935",)
    """Where to listen, as for RTMP; an empty list opens no HTTP port. On a loopback address only requests
    that name localhost or such an address are answered: any web page could have a browser here ask under
    its own name."""
    open: Opened = ()
    """What those see who show no token and are not on this machine: "metrics" is /metrics, "health" is
    /healthz and /readyz, "stat" the statistics of compat.nginx_rtmp, addresses of clients included."""
    local: Literal["operate", "read", "none"] = "operate"
    """What programs of this machine may without a token, by loopback addresses. "none" is for machines that
    others use too, and where a proxy does not say for whom it asks. Whoever may open a Unix socket may do
    everything."""
    max_connections: Positive = _ADMIN.max_connections
    """Connections to each address at a time; one more costs the oldest one."""
    request_timeout: Annotated[Timeout, Effect.CONNECTIONS] = _ADMIN.request_timeout
    """How long the headers of a request may take, the rest of it as long again, and the pause between two
    requests of a connection."""
    login_lifetime: Timeout = 43_200.0
    """How long a browser stays logged in at most; it is no longer than its token is good."""
    jwt: AdminTokensOfIssuer = AdminTokensOfIssuer()
    tokens: dict[str, TokenConfig] = Field(default_factory=dict)
    """Who may ask from elsewhere, by names."""

    def to_limits(self) -> AdminLimits:
        """What strangers may cost this port."""
        return AdminLimits(self.max_connections, self.request_timeout)

    @property
    def takes_tokens(self) -> bool:
        """Somebody has one."""
        return bool(self.tokens) or self.jwt.spoken_of

    def to_rules(self) -> AdminRules:
        """Who may ask there."""
        tokens = tuple(token.to_token(name) for name, token in self.tokens.items())
        return AdminRules(tokens, self.jwt.to_roles() if self.jwt.spoken_of else None)

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        """Keys that cannot be used where they stand, each with what is wrong."""
        if (found := self.jwt.find_problem()) is not None:
            yield (ADMIN, "jwt", found[0]), found[1]
        owners: dict[bytes, str] = {}
        for name, token in self.tokens.items():
            if (found := token.find_problem(name)) is not None:
                yield (*TOKENS, name, found[0]), found[1]
                continue
            owner = owners.setdefault(parse_digest(token.sha256), name)
            if owner != name:
                yield (*TOKENS, name, "sha256"), f": {owner} has the same token: give each its own"
        if len(self.tokens) > _MAX_TOKENS:
            name = next(reversed(self.tokens))
            yield (*TOKENS, name, "sha256"), f" is one too many: there may be {_MAX_TOKENS} tokens"


class MetricsConfig(Section):
    """What Prometheus sees."""

    listen: ListenAddresses = ()
    """Where /metrics, /healthz and /readyz are served besides, to whoever comes, and nothing else is. It is
    written as admin.listen is."""
    max_streams: Annotated[Count, Effect.PUBLISHES] = 200
    """Streams with series of their own; the others are added up as stream="_other"."""
    max_age: Seconds = 1.0
    """A page that is not older is handed out again, so that it is written once however many ask; 0 writes
    one for everybody."""

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart."""
        return tuple(map(Entrance.parse, self.listen))
