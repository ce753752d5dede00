"""What the settings are there for: the texts below the fields of the models, as their descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from rtmpd.control.descriptions import field_texts
from rtmpd.daemon.fields import Section


def describe(model: type[Section]) -> None:
    """Put the text below every field of ``model``, and of the sections in it, into its ``description``."""
    for field in model.model_fields.values():
        for section in _sections(field.annotation):
            describe(section)
    for name, text in field_texts(model):
        if name in model.model_fields:
            model.model_fields[name].description = text
    # Schemas have been made without.
    model.model_rebuild(force=True)


def _sections(annotation: object) -> Iterator[type[Section]]:
    """The models in a type such as ``dict[str, AppConfig]``."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
