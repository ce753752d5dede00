"""The rules of every path as the configuration says them, with the files of keys that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rtmpd.access.issuers import Issuers
from rtmpd.access.key_file import KeyFile
from rtmpd.access.keys import KeyRing
from rtmpd.access.rules import Allow, PathRules, Rules
from rtmpd.daemon.access_config import AccessConfig, PublishAccess
from rtmpd.daemon.config import Config
from rtmpd.daemon.proofs_config import IssuerConfig
from rtmpd.exceptions import ConfigError

if TYPE_CHECKING:
    from rtmpd.access.jwks import Jwks
    from rtmpd.access.jwt_tokens import TokenVerifier
    from rtmpd.access.users import Users


class ConfiguredRules:
    """The rules of all paths: one pair for all that one table holds for."""

    def __init__(self, config: Config, before: ConfiguredRules | None = None) -> None:
        """Read the files, which takes a while.

        ``before`` are the rules that these replace: encoders are in the middle of what those have asked them.
        Raises ConfigError with the mistakes in all of the files, or where tokens need a library.
        """
        self.config = config
        self._secret: bytes = os.urandom(16) if before is None else before._secret
        """Of ``Users``."""
        self.issuers: Issuers = Issuers() if before is None else before.issuers
        """Of tokens; the key sets that nobody has a use for any more are there until ``take_over``."""
        self._key_sets: list[Jwks] = []
        self.tables = config.app_names()
        self.files: dict[str, KeyFile] = {}
        """Of keys, by their names in the configuration."""
        problems: list[str] = []
        outcomes = config.outcomes.values()
        names = [access.keys_file for app in outcomes for access in (app.publish, app.play)]
        for name in dict.fromkeys(filter(None, names)):
            try:
                self.files[name] = KeyFile(Path(name), config.rtmp.limits.max_name_bytes)
            except ConfigError as error:
                is_missing = isinstance(error.__cause__, FileNotFoundError)
                missing = f"; `rtmpd key new live/show --into {name}` makes one" if is_missing else ""
                problems += [f"{problem}{missing}" for problem in error.problems]
        if problems:
            raise ConfigError(problems)
        self._rules = {
            table: PathRules(self._read(app.publish, Allow.LOCAL), self._read(app.play, Allow.ANYONE))
            for table, app in config.outcomes.items()
        }
        jwt = config.admin.jwt
        self.admin_tokens = self._verifier(jwt) if jwt.spoken_of else None
        """Tells which JWTs are genuine that are shown at the admin port."""
        self.takes_secrets = any(
            rules.takes_secrets for both in self._rules.values() for rules in (both.publish, both.play)
        )

    def at(self, path: str) -> PathRules:
        """What holds for a stream."""
        return self._rules[self.config.table(path)]

    def take_over(self) -> None:
        """Keep nothing of the rules before: these hold now."""
        self.issuers.keep(self._key_sets)

    def _read(self, access: AccessConfig, otherwise: Allow) -> Rules:
        ring = KeyRing(access.all_keys()) if access.keys else None
        allow, (ips, deny_ips) = access.allowed(otherwise), access.networks()
        passwords = access.passwords if isinstance(access, PublishAccess) else {}
        users = self._users(passwords) if passwords else None
        return Rules(
            allow,
            ips,
            deny_ips,
            ring=ring,
            file=self.files.get(access.keys_file),
            users=users,
            links=access.signed_urls.to_verifier(),
            tokens=None if access.jwt.missing else self._verifier(access.jwt),
            end_with_proof=access.end_with_proof,
        )

    def _users(self, passwords: Mapping[str, str]) -> Users:
        from rtmpd.access.users import Users

        return Users(passwords, self._secret)

    def _verifier(self, jwt: IssuerConfig) -> TokenVerifier:
        """Raises ConfigError where there is no library for tokens."""
        from rtmpd.access.jwt_tokens import TokenVerifier, parse_jwks

        key_set = self.issuers.key_set(jwt.jwks, jwt.ca_file, parse_jwks)
        self._key_sets.append(key_set)
        return TokenVerifier(jwt.to_rules(), key_set)
