"""``rtmpd check --connect``: can this machine reach everybody, and start everything, that the settings name?

Each is called as the server would call it, up to where something would be published, played or decided.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin
from uuid import uuid4

from rtmpd.access.jwks_source import open_source, shown_source
from rtmpd.access.token_rules import JwksRules
from rtmpd.daemon.app_config import APPS
from rtmpd.daemon.banner import APP
from rtmpd.daemon.config import Config
from rtmpd.daemon.hook_config import EXEC
from rtmpd.daemon.notify_config import NOTIFY
from rtmpd.daemon.push_config import ANY
from rtmpd.daemon.run_config import RUN
from rtmpd.daemon.values import spell
from rtmpd.engine.key import StreamKey
from rtmpd.engine.limits import counted
from rtmpd.events.settings import TargetSettings
from rtmpd.exceptions import ClientError, HttpFailed
from rtmpd.hooks.rules import Moment
from rtmpd.net.certificates import Certificate
from rtmpd.net.http_message import HttpRequest, shown_url
from rtmpd.processes.words import explain_start
from rtmpd.relay.dialer import EXPECTED, RelayDialer, explain
from rtmpd.relay.template import RelayTarget, RelayTemplate
from rtmpd.rtmp.via import NO_VIA

if TYPE_CHECKING:
    from rtmpd.access.jwks import PublicKey
    from rtmpd.net.http_caller import HttpCaller

PATIENCE: Final = 10.0
"""Seconds for each."""
_AT_A_TIME: Final = 16
_STREAM: Final = "check"
"""In place of ``{name}``; nobody is told it."""
_DAY: Final = 86_400.0
_SOON: Final = 14.0
"""Days before the end of a certificate from which it is a failure, as for the alert."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one."""

    works: bool
    text: str
    """In words, without a secret."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Somebody to call."""

    key: str
    """Who says so."""
    label: str
    """Who it is, without a secret."""
    run: Callable[[], Awaitable[Finding]] = field(repr=False)
    """Returns within about ``PATIENCE``, and raises nothing but bugs."""


def trials(config: Config, environ: Mapping[str, str]) -> list[Trial]:
    """Everybody that the settings name. Raises ConfigError where a certificate cannot be used."""
    there = (_relays(config), _backends(config), _key_sets(config), _programs(config), _notified(config))
    return [*chain(*there), *_certificates(config, environ)]


async def run(trials: Sequence[Trial]) -> list[Finding]:
    """Their findings, in the same order; several are called at a time."""
    free = asyncio.Semaphore(_AT_A_TIME)

    async def call(trial: Trial) -> Finding:
        async with free:
            return await trial.run()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call(trial)) for trial in trials]
    return [task.result() for task in tasks]


def _relays(config: Config) -> Iterator[Trial]:
    dialer = RelayDialer(str(uuid4()), count().__next__, PATIENCE, config.relay.ca_file or None)
    for table, said in config.apps.items():
        app = config.at(table)
        for name in said.push_targets:
            target = app.push_targets[name]
            if target.enabled and target.url:
                yield _relay(dialer, spell((APPS, table, "push", name)), target.to_template(), table)
        origins = said.pull.templates
        for number, template in enumerate(origins, 1):
            # Of two on one server the label is the same.
            key = spell((APPS, table, "pull")) + (f" number {number}" if len(origins) > 1 else "")
            yield _relay(dialer, key, template, table)


def _relay(dialer: RelayDialer, key: str, template: RelayTemplate, table: str) -> Trial:
    app, _, name = table.partition("/")
    target = template.expand(StreamKey(APP if app == ANY else app, name or _STREAM))
    return Trial(key, target.label, partial(_call_relay, dialer, target))


async def _call_relay(dialer: RelayDialer, target: RelayTarget) -> Finding:
    started = time.monotonic()
    try:
        connection = await dialer.dial(target, NO_VIA)
    except EXPECTED as error:
        return Finding(False, explain(error, target))
    took = time.monotonic() - started
    agent = connection.info.fms_ver
    await connection.close()
    return Finding(True, f"answers in {took * 1000:.0f} ms" + (f", as {agent}" if agent else ""))


def _backends(config: Config) -> Iterator[Trial]:
    for table, said in config.apps.items():
        hooks = config.at(table).hooks
        urls = (url for moment in Moment for url in getattr(said.hooks, moment))
        for server in dict.fromkeys(urljoin(url, "/") for url in urls):
            run = partial(_knock, server, hooks.ca_file, min(hooks.timeout, PATIENCE))
            yield Trial(spell((APPS, table, "hooks")), shown_url(server), run)


async def _knock(url: str, ca_file: str, within: float) -> Finding:
    """Whether there is a server, and the right one; nothing is asked that a backend would decide."""
    request = HttpRequest(url, method="GET")

    async def call(caller: HttpCaller) -> str | None:
        try:
            await caller.call(request, within=within, ca_file=ca_file)
        except HttpFailed as error:
            return str(error)
        return None

    return await _by_http(call)


def _programs(config: Config) -> Iterator[Trial]:
    for table, said in config.apps.items():
        app = config.at(table)
        run = [(RUN, name, app.run[name].enabled, app.run[name].command) for name in said.run]
        hooks = [(EXEC, name, app.exec[name].enabled, app.exec[name].command) for name in said.exec]
        for kind, name, enabled, command in (*run, *hooks):
            if enabled and command:
                look = partial(asyncio.to_thread, _look_for, command[0])
                yield Trial(spell((APPS, table, kind, name)), command[0], look)


def _look_for(program: str) -> Finding:
    found = shutil.which(program)
    error = PermissionError() if Path(program).is_file() else FileNotFoundError()
    return Finding(found is not None, f"is {found}" if found else explain_start(error, program))


def _key_sets(config: Config) -> Iterator[Trial]:
    """Of who issues tokens, each once."""
    found: dict[tuple[str, str], str] = {}
    for table in config.apps:
        app = config.at(table)
        for action, jwt in (("publish", app.publish.jwt), ("play", app.play.jwt)):
            if jwt.jwks:
                key = spell((APPS, table, action, "jwt", "jwks"))
                found.setdefault((jwt.jwks, jwt.ca_file), key)
    if not found:
        return
    from rtmpd.access.jwt_tokens import parse_jwks  # Raises ConfigError where its library is missing.

    for (source, ca_file), key in found.items():
        yield Trial(key, shown_source(source), partial(_fetch_keys, source, ca_file, parse_jwks))


async def _fetch_keys(
    source: str, ca_file: str, parse: Callable[[bytes], Mapping[str, PublicKey]]
) -> Finding:
    """Whether they can be had as the server would have them, and can be used."""

    async def fetch(caller: HttpCaller) -> str | None:
        call = partial(caller.call, within=JwksRules().timeout, ca_file=ca_file)
        try:
            parse(await open_source(source, call)())
        except (ClientError, ValueError) as error:
            return str(error)
        return None

    return await _by_http(fetch)


def _notified(config: Config) -> Iterator[Trial]:
    for name, target in config.notify.items():
        if target.enabled:
            run = partial(_reach, replace(target.to_settings(), timeout=min(target.timeout, PATIENCE)))
            yield Trial(spell((NOTIFY, name)), shown_url(target.url), run)


async def _reach(target: TargetSettings) -> Finding:
    from rtmpd.events.trial import find_obstacle

    return await _by_http(partial(find_obstacle, target))


async def _by_http(find_obstacle: Callable[[HttpCaller], Awaitable[str | None]]) -> Finding:
    from rtmpd.net.http_caller import HttpCaller

    started = time.monotonic()
    caller = HttpCaller(max_connections=1)
    try:
        obstacle = await find_obstacle(caller)
    finally:
        await caller.close()
    took = time.monotonic() - started
    return Finding(obstacle is None, obstacle or f"answers in {took * 1000:.0f} ms")


def _certificates(config: Config, environ: Mapping[str, str]) -> Iterator[Trial]:
    certificates = config.rtmps.load_certificates(environ).certificates
    for pair, certificate in zip(config.rtmps.certificates, certificates, strict=True):
        yield Trial("rtmps.certificates", pair.chain_file, partial(_look_at, certificate))


async def _look_at(certificate: Certificate) -> Finding:
    days = (certificate.not_after - time.time()) / _DAY
    names = ", ".join(certificate.names) or "no name"
    if days < 0:
        return Finding(False, f"for {names}: expired {counted(round(-days), 'day')} ago")
    return Finding(days > _SOON, f"for {names}: expires in {counted(round(days), 'day')}")
