"""RTMP over TLS: ``[rtmps]``."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from rtmpd.daemon.fields import Effect, FileName, ListenAddresses, Section
from rtmpd.daemon.secret_files import CREDENTIALS
from rtmpd.daemon.values import parse_list
from rtmpd.net.certificates import CertificateFiles, CertificateSet
from rtmpd.net.entrances import Entrance

_KEYS: Final = {"chain_file", "key_file"}
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class CertificatePair(Section):
    """A certificate of a list."""

    chain_file: Annotated[FileName, Field(min_length=1)]
    key_file: Annotated[FileName, Field(min_length=1)]


def _check_pairs(value: object) -> object:
    pairs = parse_list(value)
    if not isinstance(pairs, list | tuple) or not all(map(_is_pair, pairs)):
        raise ValueError('write it as [{chain_file = "fullchain.pem", key_file = "privkey.pem"}]')
    return pairs


def _is_pair(value: Any) -> bool:
    return isinstance(value, CertificatePair) or (
        isinstance(value, dict)
        and value.keys() == _KEYS
        and all(isinstance(each, str) for each in value.values())
    )


Pairs = Annotated[
    tuple[CertificatePair, ...],
    BeforeValidator(_check_pairs),
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "items": {
                "type": "object",
                "properties": {"chain_file": {"type": "string"}, "key_file": {"type": "string"}},
                "required": ["chain_file", "key_file"],
                "additionalProperties": False,
            },
        }
    ),
]


class RtmpsConfig(Section):
    """The same over TLS, for rtmps:// URLs, once there is a certificate. All limits of RTMP hold."""

    listen: ListenAddresses = (":1936",)
    """Where to listen, as for RTMP. Nowhere as long as certificates is empty."""
    certificates: Annotated[Pairs, Effect.CONNECTIONS] = ()
    """[{chain_file = "fullchain.pem", key_file = "privkey.pem"}]: PEM files of a certificate, followed by the
    authorities between it and a known one, and of its key without a passphrase. Of several, each client is
    shown the one for the name in its URL, or else the first. Files that change are read again within
    seconds. A relative name is looked for where systemd puts credentials, or else in the working folder."""
    min_version: Annotated[Literal["1.2", "1.3"], Effect.CONNECTIONS] = "1.2"
    """Oldest TLS that is spoken: 1.2, which old encoders and libraries need, or 1.3."""

    def entrances(self) -> tuple[Entrance, ...]:
        """``listen``, taken apart; none without a certificate."""
        return tuple(map(Entrance.parse, self.listen)) if self.certificates else ()

    def load_certificates(self, environ: Mapping[str, str]) -> CertificateSet:
        """Read the files; raises ConfigError with all that cannot be used."""
        return CertificateSet.load(tuple(self._files(environ)), _VERSIONS[self.min_version])

    def _files(self, environ: Mapping[str, str]) -> Iterator[CertificateFiles]:
        folder = Path(environ.get(CREDENTIALS, ""))
        for pair in self.certificates:
            yield CertificateFiles(folder / pair.chain_file, folder / pair.key_file)
