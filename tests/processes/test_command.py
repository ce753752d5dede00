"""Commands: placeholders, what is refused, what a process finds in its environment, what is secret."""

from __future__ import annotations

import pytest

from rtmpd.engine.origin import NOBODY, Origin
from rtmpd.exceptions import UsageError
from rtmpd.processes.command import Command, environment, facts_of
from rtmpd.processes.command_secrets import secrets_in, without_secrets
from rtmpd.rtmp.scrubbing import Scrubber

VALUES = {
    "app": "live",
    "name": "show",
    "play_url": "rtmp://here/live/show?key=TOKEN",
    "publish_url_2": "rtmp://2",
}


def test_placeholders_are_filled_in_once_and_other_braces_stay() -> None:
    command = Command.parse(
        ["x", "{play_url}", "{app}-{name}.mp4", "{{name}}", "%{pts\\:hms}", "{publish_url_2}", "{}"], 2
    )
    filled = command.fill(VALUES | {"name": "{app}"})
    assert filled == [
        "x", VALUES["play_url"], "live-{app}.mp4", "{name}", "%{pts\\:hms}", "rtmp://2", "{}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "published", "said"),
    [
        ([], 1, "the command is empty"),
        ([""], 1, "the command is empty"),
        (["x", "a\0b"], 1, "NUL"),
        (["ffmpeg -i {play_url}"], 1, "no shell takes a line apart"),
        (["{name}"], 1, "the program itself may not hang on the stream"),
        (["x", "{nmae}"], 1, r"\{nmae\} is not known: .*; write \{\{nmae\}\} for braces that stay"),
        (["x", "{publish_url_9}"], 8, "is not known"),
        (["x", "{publish_url}"], 0, "needs 1 stream in publish, which has 0"),
        (["x", "{publish_url_3}"], 2, "needs 3 streams in publish, which has 2"),
        (["sh", "-c", "echo {name}"], 1, "a shell would run what stands in a stream's name"),
        (["/bin/bash", "-ec", "echo {app}"], 1, "a shell would run"),
        (["busybox", "sh", "-c", "echo {app}"], 1, "a shell would run"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], published: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Command.parse(arguments, published)


def test_a_shell_may_have_a_name_as_an_argument() -> None:
    assert Command.parse(["sh", "-c", 'echo "$1"', "sh", "{name}"], 1).fill(VALUES)[-1] == "show"


def test_no_name_becomes_an_option() -> None:
    command = Command.parse(["ffmpeg", "{name}.mp4"], 1)
    assert command.fill(VALUES)[1] == "show.mp4"
    with pytest.raises(UsageError, match="would be taken for an option"):
        command.fill(VALUES | {"name": "-y"})
    assert Command.parse(["x", "-metadata", "-{name}"], 1).fill(VALUES)[2] == "-show"


def test_a_process_finds_our_environment_without_our_secrets() -> None:
    ours = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "RTMPD_APPS__LIVE__PUSH": "secret",
        "NOTIFY_SOCKET": "/run/x",
        "LISTEN_FDS": "3",
        "CREDENTIALS_DIRECTORY": "/run/y",
    }
    assert environment(ours, {"name": "show", "play_url": VALUES["play_url"]}) == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "RTMPD_NAME": "show",
        "RTMPD_PLAY_URL": VALUES["play_url"],
    }


def test_what_peers_say_of_themselves_is_made_fit() -> None:
    agent = "x://a\nb\0c" + 300 * "d"
    origin = Origin(session=5, address="192.0.2.7", agent=agent, account="Studio 2", query="track=1")
    assert facts_of(origin) == {
        "session": "00000000-0000-0000-0000-000000000005",
        "address": "192.0.2.7",
        "agent": "x://abc" + 191 * "d",
        "account": "Studio 2",
        "query": "track=1",
    }
    assert facts_of(NOBODY) == {}


def test_stream_keys_queries_and_passwords_are_secrets() -> None:
    command = Command(
        (
            "ffmpeg", "-i", "{play_url}", "rtmp://a.example/app/STREAMKEY", "rtmp://u:PASSWORD@b.example/app/{name}",
            "srt://c.example:9000?passphrase=PHRASE", "[f=flv]rtmps://d.example/x/OTHERKEY|[f=flv]rtmp://e/y/THIRDKEY",
        )
    )  # fmt: skip
    secrets = set(command.secrets)
    assert {"STREAMKEY", "PASSWORD", "PHRASE", "OTHERKEY", "THIRDKEY"} <= secrets
    assert not {"{name}", "a.example", "app"} & secrets


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("curl|-u|me:pw|http://a/", "curl|-u|me:***|http://a/"),
        ("curl|-ume:PASSWORD", "curl|-ume:***"),
        ("curl|--user=me:PASSWORD|--proxy-user|me:QUIET HORSE", "curl|--user=me:***|--proxy-user|me:***"),
        ("curl|-H|Authorization: Bearer QWERTY|-H|Accept: */*",
         "curl|-H|Authorization: Bearer ***|-H|Accept: */*"),
        ("curl|-H|X-Whatever: VALUE|-HCookie:a=b", "curl|-H|X-Whatever: ***|-HCookie:***"),
        ("ffmpeg|-headers|User-Agent: x\r\nX-A: VALUE\r\n", "ffmpeg|-headers|User-Agent: x\r\nX-A: ***\r\n"),
        ("wget|--header=Authorization: Basic VALUE==", "wget|--header=Authorization: Basic ***"),
        ("x|--password|QUIET HORSE|--api-key=A KEY", "x|--password|***|--api-key=***"),
        ("ffmpeg|-passphrase|VALUE|-y|out", "ffmpeg|-passphrase|***|-y|out"),
        ("env|DB_PASSWORD=SECRET|note|{name}", "env|DB_PASSWORD=***|note|{name}"),
        ("sh|-c|curl -H 'Authorization: Bearer QWERTY' -u me:WORD -d token=VALUE http://a",
         "sh|-c|curl -H 'Authorization: Bearer ***' -u me:*** -d token=*** http://a"),
        *((plain, plain) for plain in (
            "x|--token|{name}|--token-file|/run/x|--password|-v",
            "ffmpeg|-c:v|libx264|-pass|1|-u|root|-vf|scale=1:2,fps=25|-map|0:a",
            "curl|-H|Content-Type: application/json|-d|{{name}}|-o|/tmp/token|http://a:8080/b",
        )),
    ],
)  # fmt: skip
def test_what_options_and_headers_name_is_hidden_as_well(arguments: str, shown: str) -> None:
    given = tuple(arguments.split("|"))
    assert "|".join(without_secrets(given)) == shown
    said = " ".join(given)
    words = [
        each
        for each in ("PASSWORD", "QUIET HORSE", "QWERTY", "VALUE", "SECRET", "A KEY", "WORD")
        if each in said
    ]
    logged = Scrubber(secrets_in(given)).scrub(said)
    assert not any(word in logged.replace("DB_PASSWORD", "") for word in words)


def test_of_no_command_nothing_is_shown() -> None:
    assert without_secrets(()) == ()
