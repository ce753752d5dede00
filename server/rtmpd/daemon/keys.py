"""Every key of the configuration, as people name it and as the models hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args, get_origin

from pydantic.fields import FieldInfo

from rtmpd.daemon.access_config import KEYS, PlayKeys, PublishKeys
from rtmpd.daemon.admin_config import TOKENS, TokenConfig
from rtmpd.daemon.app_config import APPS, PUSH, AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Effect, Section, Shown, Unit
from rtmpd.daemon.hook_config import EXEC, HookConfig
from rtmpd.daemon.notify_config import NOTIFY, NotifyConfig
from rtmpd.daemon.push_config import PushConfig
from rtmpd.daemon.run_config import RUN, ProcessConfig
from rtmpd.daemon.values import KeyPath, spell

TARGETS: Final = "targets"
"""Where the models are given what people write below ``PUSH``."""
FALLBACKS: Final[dict[str, KeyPath]] = {
    "stream": ("stream",),
    "headers": ("stream", "headers"),
    "gop": ("stream", "gop"),
    "limits": ("rtmp", "limits"),
    "player": ("player",),
}
"""Sections that say what holds where no table of an app does."""
SOME_APP: Final = "NAME"
"""Stands for the name of an app, or of what is in a table of ``NAMED``, where no particular one is meant."""
SOME_TARGET: Final = "TARGET"
"""The same for the name of a push target."""
SOME_STREAM: Final = "STREAM"
"""The same for the name of a stream."""
SOME_PROCESS: Final = "PROCESS"
"""The same for the name of a process."""
SOME_HOOK: Final = "HOOK"
"""The same for the name of a command that is run for events."""
SOME_NAMES: Final[tuple[KeyPath, ...]] = (
    (PUSH, SOME_TARGET),
    ("publish", KEYS, SOME_STREAM),
    ("play", KEYS, SOME_STREAM),
    (RUN, SOME_PROCESS),
    (EXEC, SOME_HOOK),
)
"""All that people name in the tables of an app: see ``names_in``."""
_KEYS: Final[dict[str, type[Section]]] = {"publish": PublishKeys, "play": PlayKeys}
"""Sections whose keys are names of streams."""
NAMED: Final[Mapping[KeyPath, type[Section]]] = {(NOTIFY,): NotifyConfig, TOKENS: TokenConfig}
"""Tables of tables that people name, but for those of apps: see ``walk_named``."""
UNSAID: Final = object()
"""In place of a value that nobody gave."""
_ATTRIBUTES: Final = {"from": "origins"}
"""Attributes of the models that cannot be named as their keys are."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its path, and the field of the models that holds it."""

    path: KeyPath
    field: FieldInfo
    place: KeyPath
    """Where the models are given it; the same as ``path``, but for push targets."""
    model: type[Section]
    """The section that it stands in."""

    @property
    def name(self) -> str:
        return spell(self.path)

    @property
    def unit(self) -> str:
        """``seconds``, ``milliseconds``, ``bytes`` or nothing."""
        return next((item.name for item in self.field.metadata if isinstance(item, Unit)), "")

    def read(self, config: Config) -> object:
        """The value of this setting in ``config``."""
        value: object = config
        for part in self.place:
            value = value[part] if isinstance(value, dict) else getattr(value, _ATTRIBUTES.get(part, part))
        return value

    def said(self, config: Config) -> object:
        """The value that somebody gave it in ``config``, or ``UNSAID``."""
        value: object = config
        for part in self.place:
            name = _ATTRIBUTES.get(part, part)
            if isinstance(value, Section):
                value = getattr(value, name) if name in value.model_fields_set else UNSAID
            else:
                value = value.get(part, UNSAID) if isinstance(value, dict) else UNSAID
        return value

    @property
    def effect(self) -> Effect:
        """For whom another value holds that comes while the server runs."""
        return next((item for item in self.field.metadata if isinstance(item, Effect)), self.model.effect)

    @property
    def is_list(self) -> bool:
        """Whether it is a list; a single value otherwise."""
        return get_origin(self.field.annotation) is tuple

    @property
    def holds_tables(self) -> bool:
        """Whether it is a list of tables alone."""
        item = next(iter(get_args(self.field.annotation)), None) if self.is_list else None
        kind = get_args(item)[0] if get_origin(item) is Annotated else item
        return isinstance(kind, type) and issubclass(kind, Section)

    @property
    def is_secret(self) -> bool:
        """Whether values of this setting hold secrets."""
        return self._shown is not None

    def show(self, value: object) -> object:
        """``value`` as it may be shown to people: without secrets."""
        return value if self._shown is None else self._shown.hide(value)

    @property
    def _shown(self) -> Shown | None:
        return next((item for item in self.field.metadata if isinstance(item, Shown)), None)


def walk(model: type[Section] = Config, path: KeyPath = (), place: KeyPath | None = None) -> Iterator[Key]:
    """Every setting, in the order of the models: the keys of a section before its subsections.

    Tables that people name are left out: see ``walk_app``.
    """
    place = path if place is None else place
    sections = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        if get_origin(field.annotation) is dict:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            sections.append((field.annotation, name))
        else:
            yield Key((*path, name), field, (*place, name), model)
    for section, name in sections:
        yield from walk(section, (*path, name), (*place, name))


def names_in(app: AppConfig) -> Iterator[KeyPath]:
    """What people have named in the tables of an app: ``push.TARGET``, ``publish.keys.STREAM``."""
    yield from ((PUSH, target) for target in app.targets)
    for section, access in (("publish", app.publish), ("play", app.play)):
        yield from ((section, KEYS, stream) for stream in access.keys)
    yield from ((RUN, process) for process in app.run)
    yield from ((EXEC, hook) for hook in app.exec)


def walk_app(name: str, names: Iterable[KeyPath] = ()) -> Iterator[Key]:
    """Every setting of one app, those of what ``names_in`` it included."""
    yield from walk(AppConfig, (APPS, name))
    for place in names:
        path = (APPS, name, *place)
        match place:
            case (section, "keys", _):
                model = _KEYS[section]
                yield Key(path, model.model_fields[SOME_STREAM], path, model)
            case (run, _) if run == RUN:
                yield from walk(ProcessConfig, path)
            case (run, _) if run == EXEC:
                yield from walk(HookConfig, path)
            case (_, target):
                yield from walk(PushConfig, path, (APPS, name, TARGETS, target))


def walk_named(table: KeyPath, name: str) -> Iterator[Key]:
    """Every setting of what has that name in a table of ``NAMED``."""
    yield from walk(NAMED[table], (*table, name))


def walk_some() -> Iterator[Key]:
    """Every setting of what people name, under names that stand for any."""
    for table in NAMED:
        yield from walk_named(table, SOME_APP)
    yield from walk_app(SOME_APP, SOME_NAMES)


def named_in(*configs: Config) -> Iterator[Key]:
    """Every setting of what people have named in the tables of ``NAMED``."""
    for table in NAMED:
        names: dict[str, None] = {}
        for config in configs:
            found: object = config
            for part in table:
                found = getattr(found, part)
            names |= dict.fromkeys(found if isinstance(found, dict) else ())
        for name in names:
            yield from walk_named(table, name)


def walk_written(paths: Iterable[KeyPath]) -> Iterator[Key]:
    """Every setting, with those of the apps, targets and streams that ``paths`` name."""
    apps: dict[str, dict[KeyPath, None]] = {}
    named_here: dict[tuple[KeyPath, str], None] = {}
    for path in paths:
        for place in NAMED:
            if path[: len(place)] == place != path:
                named_here[place, path[len(place)]] = None
        if path[0] == APPS and len(path) > 1:
            named = apps.setdefault(path[1], {})
            match path[2:]:
                case (table, name, *_) if table in (PUSH, RUN, EXEC):
                    named[table, name] = None
                case (section, keys, stream) if section in _KEYS and keys == KEYS:
                    named[section, keys, stream] = None
    yield from walk()
    for place, name in named_here:
        yield from walk_named(place, name)
    for app, names in apps.items():
        yield from walk_app(app, names)
