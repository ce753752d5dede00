"""JSON Web Tokens: whose are believed, what they allow, and what a forger tries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from rtmpd.access.jwks import Jwks
from rtmpd.access.jwt_tokens import MAX_LENGTH, TokenVerifier, parse_jwks
from rtmpd.access.proof import Proof
from rtmpd.access.token_rules import TokenRules
from rtmpd.exceptions import ProofFailed

NOW = 1_800_000_000.0
ISSUER, AUDIENCE = "https://id.example.com/", "rtmpd"
ALL = frozenset({"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"})
RULES = TokenRules(ISSUER, AUDIENCE, ALL)

PRIVATE: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
}
"""Keys of the issuer, by ``kid``."""
FAMILIES = {"rsa": "RS256", "p256": "ES256", "p384": "ES384", "p521": "ES512", "ed": "EdDSA"}


def public(name: str, **more: object) -> dict[str, object]:
    """A key as the issuer publishes it."""
    algorithm = jwt.get_algorithm_by_name(FAMILIES[name])
    return {**json.loads(algorithm.to_jwk(PRIVATE[name].public_key())), "kid": name, **more}


@cache
def key_set() -> bytes:
    return json.dumps({"keys": [public(kid) for kid in PRIVATE]}).encode()


def claims(**change: object) -> dict[str, object]:
    """Those of a good token; None takes one out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60, "sub": "mia", "streams": ["publish:live/show"]}
    return {name: value for name, value in (good | change).items() if value is not None}


def signed(kid: str = "p256", algorithm: str = "", headers: Any = None, **change: object) -> str:
    headers = {"kid": kid} if headers is None else headers
    return jwt.encode(claims(**change), PRIVATE[kid], algorithm or FAMILIES[kid], headers=headers)


def forged(header: object, payload: object, signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def judge(
    token: str,
    action: str = "publish",
    path: str = "live/show",
    now: float = NOW,
    rules: TokenRules = RULES,
    keys: bytes | None = None,
) -> str:
    """Whom a token is from, or why it is refused."""

    async def fetch() -> bytes:
        return key_set() if keys is None else keys

    verifier = TokenVerifier(rules, Jwks("issuer", fetch, parse_jwks, lambda: 0.0))
    try:
        found = await verifier.verify(token, action, path, now)
    except ProofFailed as error:
        return str(error.reason)
    assert isinstance(found, Proof)
    assert found.identity == (f"subject:{ISSUER} {found.account}" if found.account else "")
    return f"{found.account or 'somebody'} until {found.until - NOW:+g}"


# -- genuine tokens


@pytest.mark.parametrize(
    ("kid", "algorithm"),
    [
        ("rsa", "RS256"),
        ("rsa", "PS256"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed", "EdDSA"),
    ],
)
async def test_a_token_of_the_issuer_is_believed(kid: str, algorithm: str) -> None:
    assert await judge(signed(kid, algorithm)) == "mia until +60"


async def test_a_token_expires_to_the_second_or_as_late_as_the_leeway_says() -> None:
    rules = TokenRules(ISSUER, AUDIENCE, ALL, leeway=10.0)
    token = signed(exp=NOW, nbf=NOW - 20)
    assert await judge(token, now=NOW - 0.1) == "mia until +0"
    assert await judge(token, now=NOW) == "jwt_expired"
    assert await judge(token, now=NOW + 9.9, rules=rules) == "mia until +10"
    assert await judge(token, now=NOW + 10, rules=rules) == "jwt_expired"
    assert await judge(token, now=NOW - 20) == "mia until +0"
    assert await judge(token, now=NOW - 20.1) == "jwt_not_yet"
    assert await judge(token, now=NOW - 30, rules=rules) == "mia until +10"
    assert await judge(token, now=NOW - 30.1, rules=rules) == "jwt_not_yet"


@pytest.mark.parametrize("until", [None, "tomorrow", True, float("nan"), float("inf"), -1, 10**400])
async def test_a_token_that_is_good_for_ever_is_good_for_nothing(until: object) -> None:
    # json writes what is no JSON, and a PyJWT that is asked to sign must not look at it, either.
    payload = json.dumps({**claims(exp=None), **({} if until is None else {"exp": until})}).encode()
    token = jwt.PyJWS().encode(payload, PRIVATE["p256"], "ES256", headers={"kid": "p256"})
    assert await judge(token) == "jwt_expired"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"aud": ["other", AUDIENCE]}, "mia until +60"),
        ({"aud": "rtmpd2"}, "jwt_audience"),
        ({"aud": "rtmp"}, "jwt_audience"),
        ({"aud": []}, "jwt_audience"),
        ({"aud": None}, "jwt_audience"),
        ({"iss": "https://id.example.com"}, "jwt_audience"),
        ({"iss": "https://evil.example.com/"}, "jwt_audience"),
        ({"iss": None}, "jwt_audience"),
    ],
)
async def test_a_token_is_for_one_server_and_from_one_issuer(change: dict[str, object], verdict: str) -> None:
    assert await judge(signed(**change)) == verdict


@pytest.mark.parametrize(
    ("subject", "shown"),
    [("mia", "mia"), ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"), (None, "somebody"),
     ("a" * 101, "somebody"), ("a\nb", "somebody")],
)  # fmt: skip
async def test_the_subject_is_shown_if_it_is_fit_to_be(subject: object, shown: str) -> None:
    assert await judge(signed(sub=subject)) == f"{shown} until +60"


# -- what they allow


@pytest.mark.parametrize(
    ("claim", "allowed"),
    [
        (["publish:live/show"], {"publish live/show"}),
        ("publish:live/show", {"publish live/show"}),
        ("openid email publish:live/show play:live/show", {"publish live/show", "play live/show"}),
        (["play:live/*"], {"play live/show", "play live/a/b"}),
        (["publish:live/a/*"], {"publish live/a/b"}),
        (["play:*"], {"play live/show", "play live/a/b", "play other/show"}),
        (["publish:live", "publish:live/", "publish:", "publish", "live/show", "*", ":live/show"], set()),
        (["Publish:live/show", "publish: live/show", "publish:live/sho*", "publish:*/show"], set()),
        ([7, None, ["publish:*"]], set()),
        ({"publish:live/show": True}, set()),
        (None, set()),
        ([], set()),
        ("", set()),
    ],
)
async def test_a_token_says_what_it_is_good_for(claim: object, allowed: set[str]) -> None:
    token = signed(streams=claim)
    for action in ("publish", "play"):
        for path in ("live/show", "live/a/b", "other/show"):
            verdict = await judge(token, action, path)
            assert verdict == ("mia until +60" if f"{action} {path}" in allowed else "jwt_names"), (
                action,
                path,
            )


async def test_the_claim_may_have_another_name() -> None:
    rules = TokenRules(ISSUER, AUDIENCE, ALL, names_claim="scope")
    assert await judge(signed(streams=None, scope="publish:live/show"), rules=rules) == "mia until +60"
    assert await judge(signed(), rules=rules) == "jwt_names"


# -- what a forger tries


async def test_a_token_that_was_changed() -> None:
    header, payload, signature = signed().split(".")
    other = signed(streams=["publish:*"]).split(".")[1]
    assert await judge(f"{header}.{other}.{signature}") == "jwt_signature"
    assert await judge(f"{header}.{payload}.") == "jwt_signature"
    assert await judge(f"{header}.{payload}.{'A' * len(signature)}") == "jwt_signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "ES256K", "RS1"])
async def test_an_algorithm_that_nobody_has_allowed(algorithm: str) -> None:
    token = forged({"alg": algorithm, "kid": "rsa"}, claims())
    assert await judge(token) == "jwt_algorithm"


async def test_a_public_key_is_no_secret_that_signs() -> None:
    """The confusion of old: HS256, keyed with the text of the public key."""
    pem = (
        PRIVATE["rsa"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    unsigned = forged({"alg": "HS256", "kid": "rsa"}, claims()).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(hmac.digest(pem, unsigned.encode(), hashlib.sha256)).rstrip(b"=")
    assert await judge(f"{unsigned}.{signature.decode()}") == "jwt_algorithm"


async def test_a_key_verifies_only_what_it_is_for() -> None:
    assert await judge(signed("p256", headers={"kid": "rsa"})) == "jwt_algorithm"
    assert await judge(signed("rsa", headers={"kid": "p256"})) == "jwt_algorithm"
    keys = json.dumps({"keys": [public("rsa", alg="PS256")]}).encode()
    assert await judge(signed("rsa", "RS256"), keys=keys) == "jwt_algorithm"
    assert await judge(signed("rsa", "PS256"), keys=keys) == "mia until +60"


async def test_an_allowed_algorithm_of_another_server_is_not_allowed_here() -> None:
    rules = TokenRules(ISSUER, AUDIENCE, frozenset({"ES256"}))
    assert await judge(signed("p256"), rules=rules) == "mia until +60"
    assert await judge(signed("rsa"), rules=rules) == "jwt_algorithm"


async def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    key = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(mine.public_key()))
    for headers in (
        {"kid": "mine", "jwk": key},
        {"kid": "p256", "jwk": key},
        {"kid": "mine", "jku": "https://x/"},
    ):
        token = jwt.encode(claims(), mine, "ES256", headers=headers)
        assert await judge(token) in ("jwt_key_unknown", "jwt_signature")


async def test_what_a_token_calls_critical_is_not_understood() -> None:
    token = signed(headers={"kid": "p256", "crit": ["exp"]})
    assert await judge(token) == "jwt_malformed"


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "a" * (MAX_LENGTH + 1), "\N{SNOWMAN}.a.b", forged([], {}), forged({}, {}),
     forged({"alg": 7}, {}), forged({"alg": "ES256", "kid": 7}, {}), forged({"alg": ["ES256"]}, {})],
)  # fmt: skip
async def test_what_is_no_token(token: str) -> None:
    assert await judge(token) == "jwt_malformed"


async def test_a_token_nested_too_deeply() -> None:
    header = base64.urlsafe_b64encode(b'{"alg": ' + b"[" * 6001).decode()
    assert not header.endswith("=")
    assert await judge(f"{header}.a.b") == "jwt_malformed"
    token = jwt.PyJWS().encode(b"[" * 4000, PRIVATE["p256"], "ES256", headers={"kid": "p256"})
    assert await judge(token) == "jwt_signature"


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b'"text"'])
async def test_a_signed_text_that_is_no_set_of_claims(payload: bytes) -> None:
    token = jwt.PyJWS().encode(payload, PRIVATE["p256"], "ES256", headers={"kid": "p256"})
    assert await judge(token) == "jwt_malformed"


async def test_a_long_token_is_not_looked_at() -> None:
    assert await judge(signed(sub="x" * MAX_LENGTH)) == "jwt_malformed"


HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "b64", "crit"]), st.text() | st.none() | st.booleans()
)


@given(header=HEADERS, payload=st.text(), signature=st.binary())
async def test_whatever_is_sent_is_an_attempt(header: Any, payload: str, signature: bytes) -> None:
    for token in (
        payload,
        forged(header, payload, signature),
        forged({"alg": "ES256", **header}, payload, signature),
    ):
        assert (await judge(token)).startswith("jwt_")


# -- the issuer's keys


def test_keys_that_cannot_verify_are_left_out() -> None:
    small = rsa.generate_private_key(65537, 1024)
    other = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(small.public_key()))
    keys = [
        public("rsa", use="enc", kid="1"),
        public("rsa", key_ops=["encrypt"], kid="2"),
        public("p256", alg="ES384", kid="3"),
        {**other, "kid": "small"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"secret" * 9).decode(), "kid": "4"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "5"},
        {"kty": "EC", "crv": "P-256", "kid": "6"},
        {"kty": "EC", "crv": ["P-256"], "alg": ["ES256"], "key_ops": 7, "kid": "7"},
        {"kty": "new"},
        "key",
        7,
        public("p256", use="sig", key_ops=["verify"], alg="ES256", kid="good"),
        public("rsa", x5c=["..."], kid="too"),
    ]
    found = parse_jwks(json.dumps({"keys": keys}).encode())
    assert {kid: sorted(key.algorithms) for kid, key in found.items()} == {
        "good": ["ES256"],
        "too": ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
    }


@pytest.mark.parametrize("kid", PRIVATE)
async def test_a_private_key_that_the_issuer_has_published_verifies_too(kid: str) -> None:
    key = json.loads(jwt.get_algorithm_by_name(FAMILIES[kid]).to_jwk(PRIVATE[kid]))
    key.pop("key_ops", None)  # PyJWT says of RSA what a private key is for.
    assert "d" in key
    keys = json.dumps({"keys": [key | {"kid": kid}]}).encode()
    assert await judge(signed(kid), keys=keys) == "mia until +60"


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": {}}', b"\xff", b"[" * 100_000, b"null"],
    ids=range(8),
)
def test_what_is_no_key_set(data: bytes) -> None:
    with pytest.raises(ValueError, match=r'^is no key set: \{"keys": \[...\]\} is expected$'):
        parse_jwks(data)


def test_a_set_without_a_key_to_verify_with() -> None:
    with pytest.raises(ValueError, match=r"^has no key to verify signatures with"):
        parse_jwks(b'{"keys": [{"kty": "oct", "k": "AA"}]}')


@given(st.binary())
def test_garbage_is_no_key_set(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_jwks(data)


# -- the rules


@pytest.mark.parametrize(
    ("issuer", "audience", "algorithms", "complaint"),
    [
        ("", "rtmpd", {"ES256"}, "issuer, audience and names_claim say whose tokens are good"),
        ("https://x/", "", {"ES256"}, "issuer, audience and names_claim say whose tokens are good"),
        ("https://x/", "rtmpd", set(), "and not none"),
        ("https://x/", "rtmpd", {"none"}, "and not none"),
        (
            "https://x/",
            "rtmpd",
            {"ES256", "HS256"},
            "the issuer signs with, of ES256, ES384",
        ),
    ],
)
def test_nothing_may_be_left_open(issuer: str, audience: str, algorithms: set[str], complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        TokenRules(issuer, audience, frozenset(algorithms))
    assert complaint in str(caught.value)


async def test_the_person_at_the_encoder_is_told_what_to_do() -> None:
    async def told(token: str, action: str = "publish") -> str:
        async def fetch() -> bytes:
            return key_set()

        with pytest.raises(ProofFailed) as caught:
            await TokenVerifier(RULES, Jwks("issuer", fetch, parse_jwks, lambda: 0.0)).verify(
                token, action, "live/show", NOW
            )
        return str(caught.value)

    assert (
        await told(signed(exp=NOW)) == "This token has expired on 2027-01-15 at 08:00:00 UTC; get a new one."
    )
    assert await told(signed(nbf=NOW + 1)) == "This token is not good before 2027-01-15 at 08:00:01 UTC."
    assert (
        await told(signed(), "play")
        == "This token does not allow you to play this very stream; get one that does."
    )
    assert await told("x") == "This is no whole token; get a new one."


def test_without_pyjwt_there_is_a_sentence() -> None:
    program = """
import sys
sys.modules["jwt"] = None
from rtmpd.exceptions import ConfigError
try:
    import rtmpd.access.jwt_tokens
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == (
        "JWT needs PyJWT with cryptography, which come with rtmpd's extra: pip install '.[jwt]'\n"
    )
