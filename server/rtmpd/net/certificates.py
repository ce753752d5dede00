"""What a server shows of itself over TLS: certificates from files that may change while it runs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, cast

from rtmpd.exceptions import ConfigError
from rtmpd.net.file_stamps import Stamp, stamp_at

logger = logging.getLogger(__name__)

_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: expired ones can be read too."""
_FLIGHTS: Final = 3
"""Times that each side of a handshake speaks, at most."""
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with the authorities between it and a known one, and its key, both as PEM."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that clients can be shown."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    """DNS names and IP addresses that it is for, in lower case, such as ``*.example.com``."""
    not_after: float
    """When it expires, in seconds since 1970."""

    @classmethod
    def load(cls, files: CertificateFiles, minimum: ssl.TLSVersion) -> Certificate:
        """Read and try it; raises ConfigError. One that has expired is no mistake here: clients will tell."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = minimum
        # One handshake a connection: a client that asks for more costs us much and itself nothing.
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            context.load_cert_chain(files.chain, files.key, _refuse_to_ask)
            found = _seen_by_a_client(context, files.chain)
        except OSError as error:
            text = (
                f"the certificate {files.chain} with the key {files.key} cannot be used: {_why(error, files)}"
            )
            raise ConfigError([text]) from error
        except ValueError as error:
            raise ConfigError([f"the key {files.key} cannot be used: {error}"]) from error
        names, not_after = found
        return cls(context, names, not_after)


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """Certificates of one server; the first is for clients that name none of the others."""

    files: tuple[CertificateFiles, ...] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    certificates: tuple[Certificate, ...] = ()
    stamp: tuple[Stamp, ...] = ()
    """Tells these files from what they are later."""

    @classmethod
    def load(cls, files: Sequence[CertificateFiles], minimum: ssl.TLSVersion) -> CertificateSet:
        """Read all of ``files``; raises ConfigError with all that is wrong."""
        stamp = _stamp(files)
        certificates: list[Certificate] = []
        problems: list[str] = []
        for each in files:
            try:
                certificates.append(Certificate.load(each, minimum))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        if len(certificates) > 1:
            certificates[0].context.sni_callback = _chooser(certificates)
        return cls(tuple(files), minimum, tuple(certificates), stamp)


class Certificates:
    """The certificates that new connections are shown."""

    def __init__(self) -> None:
        self.current = CertificateSet()
        self.failures = 0
        """How often files had changed and could not be used."""
        self._last_seen: tuple[Stamp, ...] = ()
        self._refused: tuple[Stamp, ...] = ()
        self._expired: frozenset[tuple[str, float]] = frozenset()

    @property
    def context(self) -> ssl.SSLContext | None:
        """For one more handshake; None without a certificate."""
        return next((each.context for each in self.current.certificates), None)

    def expiries(self) -> Mapping[str, float]:
        """When each expires, in seconds since 1970, by its first name, or that of its file."""
        pairs = zip(self.current.files, self.current.certificates, strict=True)
        return {next(iter(each.names), files.chain.name): each.not_after for files, each in pairs}

    def refresh(self, now: float) -> None:
        """Read the files again if they have changed; call it every now and then.

        They are left to settle from one call to the next: whoever renews a certificate writes two files, one
        after the other. Files that cannot be used change nothing. A certificate that has expired by ``now``,
        in seconds since 1970, is told once.
        """
        if not self.current.files:
            return
        self._reload()
        told = self._expired
        self._expired = frozenset(each for each in self.expiries().items() if each[1] <= now)
        for name, end in sorted(self._expired - told):
            fields = {"name": name, "days": int((now - end) / _DAY)}
            logger.warning("certificate expired", extra={"fields": fields})

    def _reload(self) -> None:
        stamp, before = _stamp(self.current.files), self._last_seen
        self._last_seen = stamp
        if stamp in (self.current.stamp, self._refused) or stamp != before:
            return
        try:
            self.current = CertificateSet.load(self.current.files, self.current.minimum)
        except ConfigError as error:
            self._refused = stamp
            self.failures += 1
            logger.warning("certificates not reloaded", extra={"fields": {"error": str(error)}})
        else:
            logger.info("certificates reloaded", extra={"fields": {"names": ",".join(self.expiries())}})


def _chooser(certificates: Sequence[Certificate]) -> Callable[[ssl.SSLObject, str | None, object], None]:
    by_name = {name: each.context for each in reversed(certificates) for name in each.names}

    def choose(connection: ssl.SSLObject, name: str | None, _context: object) -> None:
        wanted = (name or "").lower()
        context = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
        if context is not None:
            connection.context = context

    return choose


def _seen_by_a_client(context: ssl.SSLContext, chain: Path) -> tuple[tuple[str, ...], float]:
    """Names and end of the certificate, as a client reads them that trusts it; raises ssl.SSLError.

    Python reads no certificates but those of its peers.
    """
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    trust.load_verify_locations(chain)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * _FLIGHTS:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    match client.getpeercert():
        case {"notAfter": str(end), **others}:
            named = cast("Iterable[tuple[str, str]]", others.get("subjectAltName", ()))
            names = tuple(name.lower() for kind, name in named if kind in ("DNS", "IP Address"))
            return names, ssl.cert_time_to_seconds(end)
    raise ssl.SSLError(0, "no handshake comes about with it")


def _refuse_to_ask() -> NoReturn:
    """OpenSSL would ask whoever sits at the terminal, and wait."""
    raise ValueError("it is encrypted; take the passphrase off: openssl pkey -in KEY -out NEW")


def _why(error: OSError, files: CertificateFiles) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "the key is of another certificate"
        case ssl.SSLError():
            reason = (error.reason or "").replace("_", " ").lower()
            return reason or "one of them is no PEM, or not what it should be; are they swapped?"
    for path in (files.chain, files.key):  # Python does not say which.
        try:
            path.open("rb").close()
        except OSError as cause:
            return f"{path}: {cause.strerror}"
    return error.strerror or str(error)


def _stamp(files: Sequence[CertificateFiles]) -> tuple[Stamp, ...]:
    return tuple(stamp_at(path) for each in files for path in (each.chain, each.key))
