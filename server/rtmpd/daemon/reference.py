"""The configuration as people read it: values as TOML, and a file with every key explained."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from annotated_types import Ge, Gt, Le

from rtmpd.daemon.access_config import PlayAccess, PlayKeys, PublishAccess, PublishKeys
from rtmpd.daemon.admin_config import TOKENS, AdminConfig, TokenConfig
from rtmpd.daemon.app_config import APPS, PUSH, AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.descriptions import describe
from rtmpd.daemon.fields import Effect, Section
from rtmpd.daemon.hook_config import HookConfig
from rtmpd.daemon.keys import (
    FALLBACKS,
    SOME_APP,
    SOME_HOOK,
    SOME_NAMES,
    SOME_PROCESS,
    SOME_STREAM,
    SOME_TARGET,
    TARGETS,
    Key,
    named_in,
    names_in,
    walk,
    walk_app,
    walk_named,
    walk_some,
)
from rtmpd.daemon.notify_config import NOTIFY, NotifyConfig
from rtmpd.daemon.push_config import PushConfig
from rtmpd.daemon.run_config import ProcessConfig
from rtmpd.daemon.secret_files import SUFFIX
from rtmpd.daemon.settings import Settings
from rtmpd.daemon.values import format_duration, format_size, spell

_WIDTH: Final = 100
_DEFAULT: Final = "default"
"""The origin of what nobody says."""
_EXAMPLES: Final = {
    "url": '"rtmps://live.example.com/app"',
    "key": '"STREAM-KEY"',
    SOME_STREAM: '["sha256:0000000000000000000000000000000000000000000000000000000000000000"]',
    "command": '["ffmpeg", "-i", "{play_url}", "-s", "854x480", "-f", "flv", "{publish_url}"]',
    f"apps.{SOME_APP}.exec.{SOME_HOOK}.command": '["/usr/local/bin/note-stream", "{event}", "{name}"]',
    "on": '["published", "unpublished"]',
    "on_publish": '["http://127.0.0.1:8080/auth"]',
    "from": '["rtmp://origin.example.com/{app}/{name}"]',
}
"""For keys of an app whose default says little."""
_NOTIFY_EXAMPLES: Final = {"url": '"https://example.com/rtmpd"', "secret": '"whsec_..."'}
"""The same for who is notified."""
_INTRODUCTION: Final = """\
Every setting of rtmpd, at its default: keep the lines that you change. A key can also come from the
environment (RTMPD_RTMP__LISTEN=:1935) or the command line (--set rtmp.listen=:1935); the command line wins
over the environment, the environment over this file. "rtmpd check -c FILE" shows the outcome.

Durations are seconds (10) or texts ("10s", "500ms", "2m", "1h", "7d"); sizes are bytes (65536) or texts
("64KiB", "16MiB", "1GiB"; "16MB" is decimal)."""


def format_value(key: Key, value: object) -> str:
    """A value as TOML that reads back as the same value."""
    match value:
        case bool() | str() | tuple():
            return _toml(value)
        case float() | int() if key.unit == "seconds":
            return f'"{format_duration(value)}"'
        case int() if key.unit == "bytes" and not (text := format_size(value)).isdigit():
            return f'"{text}"'
    return str(value)


def _toml(value: object) -> str:
    match value:
        case Section():
            return _toml(value.model_dump(exclude_unset=True))
        case dict():
            return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


class Row(NamedTuple):
    """One setting as it is told."""

    key: str
    value: str
    """As it is written in a file, without secrets."""
    origin: str
    """Where somebody says so; or ``default``."""
    effect: Effect


def rows(settings: Settings) -> Iterator[Row]:
    """Every setting, without secrets; of apps what holds for them."""
    for key in (*walk(), *named_in(settings.config)):
        value = format_value(key, key.show(key.read(settings.config)))
        yield Row(key.name, value, settings.origins.get(key.name, _DEFAULT), key.effect)
    for name in settings.config.apps:
        for key, _, value, origin in _held(settings, name):
            yield Row(key.name, value, origin, key.effect)


def rows_at(settings: Settings, path: str) -> Iterator[Row]:
    """The same of what holds for one app or stream: the very keys that say it.

    What nobody says has the key that would be the first to say it.
    """
    for key, said, value, origin in _held(settings, path):
        yield Row(said, value, origin, key.effect)


def _held(settings: Settings, path: str) -> Iterator[tuple[Key, str, str, str]]:
    """Every key of an app or stream, the name of the one that is followed, its value and its origin."""
    app = settings.config.at(path)
    outcome = Config.model_construct(apps={path: app})
    tables = settings.config.tables(path)[::-1] or [path]
    for key in walk_app(path, names_in(app)):
        section, *rest = key.path[2:]
        names = [spell((APPS, table, section, *rest)) for table in tables]
        names += [spell((*FALLBACKS[section], *rest))] if section in FALLBACKS else []
        said = next((name for name in names if name in settings.origins), names[0])
        if rest == [] and section == PUSH and app.targets and said not in settings.origins:
            continue  # The tables below say it all.
        value = format_value(key, key.show(key.read(outcome)))
        yield key, said, value, settings.origins.get(said, _DEFAULT)


def _describe() -> None:
    for model in (Config, PublishKeys, PlayKeys):
        describe(model)


def schema() -> dict[str, Any]:
    """A JSON schema of the file, for editors."""
    _describe()
    document = Config.model_json_schema()
    for key in walk_some():
        if key.is_secret:
            for definition in document["$defs"].values():
                properties = definition["properties"]
                if properties.get(key.path[-1], {}).get("description") == key.field.description:
                    properties[key.path[-1] + SUFFIX] = {"type": "string"}
    app = document["$defs"]["AppConfig"]["properties"]
    app[PUSH] = {"anyOf": [app[PUSH], app.pop(TARGETS)]}
    return document


def template() -> str:
    """A TOML file with every key at its default, described, with unit, range and default."""
    _describe()
    defaults = Config()
    lines = _comment(_INTRODUCTION)
    section: tuple[str, ...] = ()
    for key in walk():
        if key.path[:-1] != section:
            section = key.path[:-1]
            lines += ["", *_comment(key.model.__doc__ or ""), f"[{'.'.join(section)}]"]
        value = format_value(key, key.read(defaults))
        facts = "; ".join(filter(None, (key.unit, _range(key), f"default {value}")))
        lines += ["", *_comment(key.field.description or ""), *_comment(facts), f"{key.path[-1]} = {value}"]
    return "\n".join([*lines, *_token_template(), *_notify_template(), *_app_template()]) + "\n"


def _token_template() -> Iterator[str]:
    """The settings of a token of the admin port, commented out: there is none until somebody makes it."""
    some = Config(admin=AdminConfig(tokens={SOME_APP: TokenConfig()}))
    yield from _named_template(walk_named(TOKENS, SOME_APP), some, {"sha256": f'"sha256:{"0" * 64}"'})


def _notify_template() -> Iterator[str]:
    """The settings of somebody who is told, commented out: nobody is until somebody names him."""
    some = Config(notify={SOME_APP: NotifyConfig()})
    yield from _named_template(walk_named((NOTIFY,), SOME_APP), some, _NOTIFY_EXAMPLES)


def _app_template() -> Iterator[str]:
    """The settings of an app, commented out: there is none until somebody names it."""
    app = AppConfig(
        targets={SOME_TARGET: PushConfig()},
        publish=PublishAccess(keys={SOME_STREAM: ()}),
        play=PlayAccess(keys={SOME_STREAM: ()}),
        run={SOME_PROCESS: ProcessConfig()},
        exec={SOME_HOOK: HookConfig()},
    )
    some = Config(apps={SOME_APP: app})
    yield from _named_template(walk_app(SOME_APP, SOME_NAMES), some, _EXAMPLES)


def _named_template(keys: Iterable[Key], some: Config, examples: Mapping[str, str]) -> Iterator[str]:
    section: tuple[str, ...] = ()
    for key in keys:
        if key.path[:-1] != section:
            section = key.path[:-1]
            yield from ["", *_comment(key.model.__doc__ or ""), f"# [{'.'.join(section)}]"]
        if key.path[-1] == PUSH:
            continue  # In the same file the tables below cannot stand beside it.
        value = format_value(key, key.read(some))
        facts = "; ".join(filter(None, (key.unit, _range(key), f"default {value}")))
        yield from ["", *_comment(key.field.description or ""), *_comment(facts)]
        example = examples.get(key.name, examples.get(key.path[-1], value))
        yield f"# {key.path[-1]} = {example}"


def _range(key: Key) -> str:
    words = []
    for bound in key.field.metadata:
        match bound:
            case Gt(gt=limit):
                words.append(f"more than {limit}")
            case Ge(ge=limit):
                words.append(f"at least {limit}")
            case Le(le=limit):
                words.append(f"at most {limit}")
    return ", ".join(words)


def _comment(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if lines:
            lines.append("#")
        lines += textwrap.wrap(
            " ".join(paragraph.split()), _WIDTH, initial_indent="# ", subsequent_indent="# "
        )
    return lines
