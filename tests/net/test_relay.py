from __future__ import annotations

import pytest

from rtmpd.engine.key import StreamKey
from rtmpd.exceptions import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    ConnectRejected,
    PlayRejected,
    PublishRejected,
    StreamFailed,
    UsageError,
)
from rtmpd.net.relay import RelayTemplate, explain, is_final, last_words

KEY = StreamKey("studio", "cam")


@pytest.mark.parametrize(
    ("template", "label", "stream"),
    [
        ("rtmp://host/{app}/{name}", "rtmp://host/studio", "cam"),
        ("rtmps://host/{app}_2/{name}_2", "rtmps://host/studio_2", "cam_2"),
        ("rtmp://u:p@host:1936/a/b/key?t={name}&x=1", "rtmp://host:1936/a/b", "key?t=cam&x=1"),
        ("rtmp://[::1]/live/{name}", "rtmp://[::1]/live", "cam"),
    ],
)
def test_a_template_leads_to_a_target(template: str, label: str, stream: str) -> None:
    target = RelayTemplate.parse(template).expand(KEY)
    assert (target.label, target.stream) == (label, stream)
    assert (target.address.name, target.address.query) == ("", "")


def test_names_cannot_change_where_a_template_leads() -> None:
    target = RelayTemplate.parse("rtmp://host/{app}/{name}").expand(StreamKey("a/../b", "{app}@evil/x"))
    assert target.url.host == "host"
    assert (target.url.app, target.url.name) == ("a/../b", "{app}@evil/x")


@pytest.mark.parametrize(
    "text", ["rtmp://host/app/s3cret", "rtmp://host/app/x?k=s3cret", "rtmp://u:s3cret@h/a/b"]
)
def test_secrets_do_not_show(text: str) -> None:
    template = RelayTemplate.parse(text)
    assert "s3cret" not in f"{template} {template.expand(KEY)!r} {template.expand(KEY).label}"


@pytest.mark.parametrize(
    "text", ["http://h/a/s3cret", "rtmp://h/s3cret", "rtmp://{name}/a/s3cret", "rtmp://h/{x}/s3cret"]
)
def test_urls_that_cannot_be_used(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        RelayTemplate.parse(text)
    assert "s3cret" not in str(caught.value)


def test_what_a_remote_says_is_kept_without_our_secrets() -> None:
    target = RelayTemplate.parse("rtmp://u:passw0rd@host/app/k3y?token=t0ken&n=1").expand(KEY)
    said = "key k3y,\n token t0ken, password passw0rd, 1 " + "x" * 500
    error = PublishRejected("no", code="NetStream.Publish.Denied", description=said)
    assert explain(error, target).startswith("the server refused: key ***, token ***, password ***, 1 xxx")
    assert last_words(error, target).startswith("NetStream.Publish.Denied key ***,")
    assert len(explain(error, target)) <= 200
    own = RelayTemplate.parse("rtmp://host/{app}/{name}").expand(KEY)
    assert own.scrub("cam is being published") == "cam is being published"
    assert explain(StreamFailed("over"), own) == "the server ended the stream"
    assert last_words(ConnectionLost("gone"), own) == ""
    denied = AuthenticationFailed("rtmp://host/studio wants a user", description="[ code=403 ]")
    assert explain(denied, own) == "rtmp://host/studio wants a user"


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (AuthenticationFailed("no"), True),
        (ConnectRejected("no"), True),
        (PublishRejected("no", code="NetStream.Publish.Denied"), True),
        (PublishRejected("busy", code="NetStream.Publish.BadName"), False),
        (PlayRejected("no"), False),
        (StreamFailed("over"), False),
        (ConnectFailed("refused"), False),
        (ConnectionLost("gone"), False),
        (OSError("odd"), False),
    ],
)
def test_refusals_for_good_are_told_from_accidents(error: Exception, final: bool) -> None:
    assert is_final(error) is final
