"""Every key of the configuration, as people name it and as the models hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rtmpd.daemon.app_config import APPS, AppConfig
from rtmpd.daemon.config import Config
from rtmpd.daemon.fields import Shown, Unit
from rtmpd.daemon.values import KeyPath, spell

SOME_APP: Final = "NAME"
"""Stands for the name of an app where no particular one is meant."""
_ATTRIBUTES: Final = {"from": "origins"}
"""Attributes of the models that cannot be named as their keys are."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its path, and the field of the models that holds it."""

    path: KeyPath
    field: FieldInfo

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
        for part in self.path:
            value = value[part] if isinstance(value, dict) else getattr(value, _ATTRIBUTES.get(part, part))
        return value

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


def walk(model: type[BaseModel] = Config, path: KeyPath = ()) -> Iterator[Key]:
    """Every setting, in the order of the models: the keys of a section before its subsections.

    Those of apps are left out: see ``walk_app``.
    """
    sections = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        if (*path, name) == (APPS,):
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((field.annotation, (*path, name)))
        else:
            yield Key((*path, name), field)
    for section, section_path in sections:
        yield from walk(section, section_path)


def walk_app(name: str) -> Iterator[Key]:
    """Every setting of one app."""
    return walk(AppConfig, (APPS, name))
