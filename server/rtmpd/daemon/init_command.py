"""``rtmpd init``: a configuration for the first evening, from four questions."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from rtmpd.daemon import key_command
from rtmpd.daemon.config_options import mistakes_told
from rtmpd.exceptions import ConfigError, UsageError
from rtmpd.rtmp.constants import DEFAULT_PORT
from rtmpd.rtmp.url import RtmpUrl

_HIDDEN: Final = 0o600
_PLAIN: Final = 0o644
_DEFAULT_STREAM: Final = "live/show"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that the stream is pushed on to."""

    name: str
    url: str
    key: str = field(repr=False)

    @property
    def key_file(self) -> str:
        return f"{self.name}.key"


@dataclass(frozen=True, slots=True)
class Answers:
    """What there is to know."""

    host: str
    """By which encoders and players reach the server."""
    stream: str
    targets: Sequence[Target]
    chain_file: str
    """Of the certificate for rtmps://; empty without one."""
    certificate_key_file: str


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path("rtmpd.toml"),
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="NAME", help="Name or address by which encoders reach this server."),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option("--stream", metavar="[APP/]NAME", help="Public name of the stream to publish."),
    ] = None,
    push: Annotated[
        list[str] | None,
        typer.Option(
            "--push",
            metavar="URL",
            help="Where else it goes, such as rtmp://host/app; its stream key is asked for. Can be repeated.",
        ),
    ] = None,
    certificate: Annotated[
        tuple[str, str] | None,
        typer.Option("--certificate", metavar="CHAIN KEY", help="PEM files of a certificate, for rtmps://."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: what no option says is left at its default.")
    ] = False,
) -> None:
    """Ask for host, stream, push targets and certificate, write a configuration, and say what goes where.

    Nothing that exists is overwritten. Stream keys of other servers go into files of their own, which nobody
    else may read.
    """
    answers = _ask(host, stream, push, certificate, defaults=defaults)
    key, digest = key_command.make_key()
    contents = dict(_contents(file.name, answers, digest))
    with mistakes_told(os.EX_CONFIG):
        _try_out(file.name, contents)
        _write(file.parent, contents)
    typer.echo("\n".join(_told(file, answers, key)))


# Questions


def _ask(
    host: str | None,
    stream: str | None,
    push: Sequence[str] | None,
    certificate: tuple[str, str] | None,
    *,
    defaults: bool,
) -> Answers:
    if host is None:
        text = "Name or address by which encoders reach this server"
        host = "localhost" if defaults else typer.prompt(text, "localhost")
    if stream is None and not defaults:
        stream = typer.prompt("Public name of the stream", _DEFAULT_STREAM)
    path = key_command.parse_stream(stream or _DEFAULT_STREAM)
    targets: list[Target] = []
    for url in push or ():
        targets.append(_ask_for_key(url, targets))
    if push is None and not defaults:
        _ask_for_targets(targets)
    chain, key = certificate or ("", "")
    if certificate is None and not defaults:
        chain = _ask_or_not("Certificate for rtmps://, a PEM file with its chain (none: just Enter)")
        key = typer.prompt("Its key, a PEM file") if chain else ""
    return Answers(_checked_host(host), path, targets, *(_whole(name) for name in (chain, key)))


def _ask_for_targets(targets: list[Target]) -> None:
    question = "Push it on to, such as rtmp://live.example.com/app (nowhere: just Enter)"
    while url := _ask_or_not(question):
        try:
            targets.append(_ask_for_key(url, targets))
        except typer.BadParameter as error:
            typer.echo(f"rtmpd: {error.message}", err=True)
        question = "And to (no more: just Enter)"


def _ask_for_key(url: str, others: Sequence[Target]) -> Target:
    """A target; its key is no option, as everybody on a machine reads the arguments of processes."""
    from rtmpd.relay.template import RelayTemplate

    server = url.rstrip("/")
    try:
        RelayTemplate.parse(server, name="key")
        host = RtmpUrl.parse(f"{server}/key").host
    except UsageError as error:
        raise typer.BadParameter(f"{error}: write it as rtmp://host/app") from None
    hidden = sys.stdin.isatty()
    key = str(typer.prompt(f"Stream key for {server}", hide_input=hidden)).strip()
    if not _can_be_kept(server, key):
        raise typer.BadParameter(
            f"this is no stream key for {server}: copy it again, without what is around it"
        )
    return Target(_name_of(host, {other.name for other in others}), server, key)


def _can_be_kept(server: str, key: str) -> bool:
    """Whether a stream key can be sent, and stand on a line of a file, where # begins what says nothing."""
    try:
        return bool(RtmpUrl.parse(f"{server}/{key}").name) and not key.startswith("#")
    except UsageError:
        return False


def _ask_or_not(question: str) -> str:
    return str(typer.prompt(question, default="", show_default=False))


def _checked_host(host: str) -> str:
    try:
        url = RtmpUrl.parse(f"rtmp://{host}/app")
        if url == RtmpUrl("rtmp", url.host, DEFAULT_PORT, "app"):
            return url.host
    except UsageError:
        pass
    raise typer.BadParameter(f"{host!r} is not the name or address of a server")


def _name_of(host: str, taken: set[str]) -> str:
    """Such as ``example`` for live.example.com."""
    labels = host.split(".")
    word = labels[-2] if len(labels) > 1 and not labels[-1].isdigit() else "target"
    plain = "".join(each for each in word if each.isascii() and (each.isalnum() or each == "-")) or "target"
    names = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _whole(name: str) -> str:
    return str(Path(name).absolute()) if name else ""


# Files


def _contents(file: str, answers: Answers, digest: str) -> Iterator[tuple[str, str]]:
    """Each file by its name."""
    yield file, "\n".join(_configuration(answers, digest)) + "\n"
    for target in answers.targets:
        yield target.key_file, f"{target.key}\n"


def _configuration(answers: Answers, digest: str) -> Iterator[str]:
    app, _, name = answers.stream.partition("/")
    table = f"apps.{key_command.quoted(app)}"
    yield "# Written by rtmpd init. What else can be said: rtmpd check --template"
    yield ""
    yield "# Whoever has the key publishes this stream; nobody else publishes in the app."
    yield f"[{table}.publish.keys]"
    yield f"{key_command.quoted(name)} = [{key_command.spelt(digest)}]"
    for target in answers.targets:
        yield ""
        yield f"[{table}.push.{target.name}]"
        yield f"url = {key_command.spelt(target.url)}"
        yield f"key_file = {key_command.spelt(target.key_file)}"
        yield f"streams = [{key_command.spelt(name)}]"
    if answers.chain_file:
        yield ""
        yield "[rtmps]"
        yield "certificates = ["
        chain, key = key_command.spelt(answers.chain_file), key_command.spelt(answers.certificate_key_file)
        yield f"  {{chain_file = {chain}, key_file = {key}}},"
        yield "]"


def _try_out(file: str, contents: dict[str, str]) -> None:
    """Raise ``ConfigError`` if a server would not start with it."""
    from rtmpd.daemon import settings
    from rtmpd.daemon.secret_files import CREDENTIALS

    with tempfile.TemporaryDirectory(prefix="rtmpd-init-") as name:
        folder = Path(name)
        for each, text in contents.items():
            (folder / each).write_text(text)
        environ = {CREDENTIALS: name}
        settings.load([folder / file], environ).config.rtmps.load_certificates(environ)


def _write(folder: Path, contents: dict[str, str]) -> None:
    """Write all, or nothing. Raises ``ConfigError``."""
    written: list[Path] = []
    try:
        for name, text in contents.items():
            path = folder / name
            path.touch(_HIDDEN if written else _PLAIN, exist_ok=False)
            written.append(path)
            path.write_text(text)
    except OSError as error:
        for path in written:
            path.unlink()
        advice = "; name another file" if isinstance(error, FileExistsError) else ""
        raise ConfigError([f"{error.filename}: {error.strerror}{advice}"]) from None


# What to do now


def _told(file: Path, answers: Answers, key: str) -> Iterator[str]:
    app, _, name = answers.stream.partition("/")
    secure = bool(answers.chain_file)
    host = f"[{answers.host}]" if ":" in answers.host else answers.host
    yield f"written        {file}"
    for target in answers.targets:
        yield f"               {file.with_name(target.key_file)}, the stream key for {target.url}"
    folder = "" if file.parent == Path() else f"cd {shlex.quote(str(file.parent))} && "
    yield f"start          {folder}rtmpd serve -c {shlex.quote(file.name)}"
    yield ""
    yield f"key            {key}"
    yield "               shown this once: it goes into the encoder, and nowhere else"
    server = f"rtmps://{host}:1936" if secure else f"rtmp://{host}"
    yield from key_command.directions(server, f"rtmp://{host}", app, name, key)
    if answers.targets or secure:
        yield ""
        yield "Under systemd the server is another user, who reads neither these keys nor that of the"
        yield "certificate: docs/operations.md says how they are handed over."
