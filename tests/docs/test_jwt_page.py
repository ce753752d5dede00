"""What docs/jwt.md says of tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from rtmpd.access.jwks import Jwks
from rtmpd.access.jwt_tokens import TokenVerifier, parse_jwks
from rtmpd.access.proof import Proof
from rtmpd.access.token_rules import ALGORITHMS, JwksRules, TokenRules
from rtmpd.exceptions import ProofFailed

PAGE = (Path(__file__).parents[2] / "docs" / "jwt.md").read_text()
CLAIMS = json.loads(re.findall(r"^```json\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0])
KEY = ed25519.Ed25519PrivateKey.generate()


def verifier() -> TokenVerifier:
    key = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(KEY.public_key()))

    async def fetch() -> bytes:
        return json.dumps({"keys": [{**key, "kid": "1"}]}).encode()

    rules = TokenRules(CLAIMS["iss"], CLAIMS["aud"], frozenset({"EdDSA"}))
    return TokenVerifier(rules, Jwks("issuer", fetch, parse_jwks, lambda: 0.0))


def signed(claims: object) -> str:
    return jwt.encode(claims, KEY, "EdDSA", headers={"kid": "1"})  # type: ignore[arg-type]


async def test_the_token_on_the_page_is_a_good_one() -> None:
    token = signed(CLAIMS)
    assert await verifier().verify(token, "publish", "live/show", 1_800_000_000.0) == Proof(
        "mia", "subject:https://id.example.com/ mia", 1_800_000_060.0
    )
    assert 290 < len(token) < 310


@pytest.mark.parametrize("entry", re.findall(r"^\| `((?:publish|play):[^`]+)` \|", PAGE, re.MULTILINE))
async def test_every_entry_allows_what_it_says(entry: str) -> None:
    token = signed({**CLAIMS, "streams": [entry]})
    action, _, _ = entry.partition(":")
    await verifier().verify(token, action, "live/show", 1_800_000_000.0)
    with pytest.raises(ProofFailed):
        await verifier().verify(
            token, {"publish": "play", "play": "publish"}[action], "live/show", 1_800_000_000.0
        )


def test_the_figures_are_those_of_the_code() -> None:
    section = PAGE.partition("By one of the algorithms")[2].partition("There is no")[0]
    assert set(re.findall(r"`(\w+)`", section)) == ALGORITHMS
    assert JwksRules(refresh=10 * 60.0, retry=30.0, max_stale=24 * 3600.0) == JwksRules()
