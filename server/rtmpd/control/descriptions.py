"""The texts below the fields of models, as descriptions for documents made of them.

pydantic's ``use_attribute_docstrings`` does the same, but reads the source of every model at every start: a
server's too, where nobody reads them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from pydantic import BaseModel


def field_texts(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Fields and the texts below them, those of the models that ``model`` is derived from first."""
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            yield from _below_fields(base)


def _below_fields(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    match ast.parse(textwrap.dedent(inspect.getsource(model))).body:
        case [ast.ClassDef(body=body)]:
            for line, below in pairwise(body):
                match line, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                        yield name, inspect.cleandoc(text)
