"""What the settings are there for: the texts below the fields of the models, as their descriptions.

pydantic's ``use_attribute_docstrings`` does the same, but reads the source of every model at every start: a
server's too, where nobody reads them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

from rtmpd.daemon.fields import Section


def describe(model: type[Section]) -> None:
    """Put the text below every field of ``model``, and of the sections in it, into its ``description``."""
    for field in model.model_fields.values():
        for section in _sections(field.annotation):
            describe(section)
    for name, text in _texts(model):
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


def _texts(model: type[Section]) -> Iterator[tuple[str, str]]:
    """Fields and the texts below them, those of the models that ``model`` is derived from first."""
    for base in reversed(model.__mro__):
        if issubclass(base, Section):
            yield from _below_fields(base)


def _below_fields(model: type[Section]) -> Iterator[tuple[str, str]]:
    match ast.parse(textwrap.dedent(inspect.getsource(model))).body:
        case [ast.ClassDef(body=body)]:
            for line, below in pairwise(body):
                match line, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                        yield name, inspect.cleandoc(text)
