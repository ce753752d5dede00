"""Signatures as Standard Webhooks has them, checked as docs/notifications.md tells receivers to."""

from __future__ import annotations

import base64

import pytest
from events_kit import verified

from rtmpd.events.signature import parse_secrets, signed

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_example_of_the_specification() -> None:
    headers = dict(signed(parse_secrets(SECRET), ID, AT, BODY))
    assert headers == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNATURE,
    }
    assert verified(headers, BODY, SECRET, now=AT + 60)


@pytest.mark.parametrize(
    ("change", "body", "now"),
    [
        ({"webhook-id": "msg_another"}, BODY, AT),
        ({"webhook-timestamp": str(AT + 1)}, BODY, AT),
        ({}, BODY + b" ", AT),
        ({}, BODY, AT + 301),
        ({"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()}, BODY, AT),
    ],
)
def test_what_was_changed_or_is_old_is_not_verified(change: dict[str, str], body: bytes, now: float) -> None:
    headers = dict(signed(parse_secrets(SECRET), ID, AT, BODY)) | change
    assert not verified(headers, body, SECRET, now=now)


def test_two_secrets_sign_while_one_takes_the_place_of_the_other() -> None:
    new = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    headers = dict(signed(parse_secrets(f"{SECRET} {new}"), ID, AT, BODY))
    assert headers["webhook-signature"].startswith(SIGNATURE + " v1,")
    assert verified(headers, BODY, SECRET, now=AT)
    assert verified(headers, BODY, new, now=AT)


def test_without_a_secret_nothing_is_signed() -> None:
    assert dict(signed((), ID, AT, BODY)) == {"webhook-id": ID, "webhook-timestamp": str(AT)}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("whsec_correct horse", "is no secret of Standard Webhooks, which is base64; make one with: echo"),
        ("whsec_!!!!", "is no secret of Standard Webhooks"),
        ("whsec_c2hvcnQ=", "has 5 bytes, and not 24 to 64; make one with"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "has 65 bytes"),
    ],
)
def test_a_secret_that_is_none_is_told_without_it(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as told:
        parse_secrets(text)
    assert text.removeprefix("whsec_") not in str(told.value)
