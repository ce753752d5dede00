"""The document of the API (OpenAPI 3.1), made of the table of its operations and of the models in that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from rtmpd.control.actor import Role
from rtmpd.control.descriptions import field_texts
from rtmpd.reasons import Problem
from rtmpd.web.event_stream import MEDIA_TYPE
from rtmpd.web.logins import COOKIE
from rtmpd.web.operation_table import OPERATIONS
from rtmpd.web.operations import PARAMETERS, Operation
from rtmpd.web.problems import CONTENT_TYPE, ProblemAnswer

VERSION: Final = "1.0.0"
"""Of the API: the first number is that of its path."""
PREFIX: Final = "/api/v1"
FILE: Final = "application/octet-stream"
_RECORDED: Final[dict[str, Any]] = {
    name: {"schema": {"type": "string"}} for name in ("video/x-flv", "video/mp4")
}
_REF: Final = "#/components/schemas/{model}"
_ALWAYS: Final = (Problem.TIMEOUT, Problem.OTHER_HOST, Problem.INTERNAL_ERROR)
_OF_ALL_WHO_ASK: Final = (
    Problem.TOKEN_MISSING,
    Problem.TOKEN_WRONG,
    Problem.TOKEN_EXPIRED,
    Problem.ROLE,
    Problem.TOO_MANY_ATTEMPTS,
    Problem.KEYS_UNAVAILABLE,
)
_OF_CHANGES: Final = (Problem.NOT_ALLOWED, Problem.NOT_JSON)
_OF_BODIES: Final = (Problem.BAD_REQUEST, Problem.TOO_LARGE, Problem.NOT_JSON)
_SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "What `rtmpd admin-token new` has made, or a JWT of the issuer that is trusted.",
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "The token as the password of any user, for programs that have no other place for it.",
    },
    "browser": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Set by login; changes then come from pages of this server, as application/json.",
    },
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{}, {"token": []}, {"password": []}, {"browser": []}]
"""Programs of the server's machine need none."""
_DESCRIPTION: Final = (
    "What somebody in charge of an rtmpd server can see and do. Times are RFC 3339 in UTC, sizes bytes, "
    "durations seconds. Lists come in parts: send `next` as `after`. Answers to GET are up to a second old. "
    "What goes wrong is told as RFC 9457 has it. Whoever asks from elsewhere than the server's machine shows "
    "a token; `x-rtmpd-role` is the role that it takes, and `x-rtmpd-whole-server` says that it is nothing "
    "for a token of some streams only."
)


def document() -> dict[str, Any]:
    """All of it, for ``json.dumps``."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "rtmpd", "version": VERSION, "description": _DESCRIPTION},
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": _SCHEMES},
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"{PREFIX}{operation.path}", {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "security": _SECURITY if operation.role is not None else [],
        "x-rtmpd-role": operation.role,
        "x-rtmpd-whole-server": operation.whole_server,
    }
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation.query)]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": _reference(operation.body)}}
        told["requestBody"] = {"required": not operation.optional_body, "content": content}
    told["responses"] = {
        str(operation.status): _success(operation),
        **_parts(operation),
        **_failures(operation),
    }
    return told


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }


def _query_parameters(query: type[BaseModel] | None) -> Iterator[dict[str, Any]]:
    if query is None:
        return
    texts = dict(field_texts(query))
    for name, schema in query.model_json_schema(ref_template=_REF)["properties"].items():
        plain = {key: value for key, value in schema.items() if key not in ("title", "default")}
        # Nobody can send a null: to leave it out is the same.
        (only,) = [each for each in plain.get("anyOf", [plain]) if each != {"type": "null"}]
        default = {} if schema.get("default") is None else {"default": schema["default"]}
        yield {"name": name, "in": "query", "description": texts[name], "schema": only | default}


def _success(operation: Operation) -> dict[str, Any]:
    if operation.download is not None:
        return {"description": "A file.", "content": {FILE: {"schema": {"type": "string"}}}}
    if operation.file is not None:
        return {"description": "The file.", "content": _RECORDED}
    if operation.answer is None:
        return {"description": "It is done."}
    told = _first_line(operation.answer)
    if operation.follow is not None:
        # What one event looks like no version of OpenAPI before 3.2 can say.
        schema = {"type": "string", "x-rtmpd-data": _reference(operation.answer)["$ref"]}
        return {"description": f"The data of each event: {told}", "content": {MEDIA_TYPE: {"schema": schema}}}
    return {"description": told, "content": {"application/json": {"schema": _reference(operation.answer)}}}


def _parts(operation: Operation) -> dict[str, Any]:
    """Of a file: what comes of a Range (RFC 9110, section 14)."""
    if operation.file is None:
        return {}
    return {
        "206": {"description": "The part of it that Range names.", "content": _RECORDED},
        "416": {"description": "Range names nothing that is in it."},
    }


def _failures(operation: Operation) -> dict[str, Any]:
    problems = {*operation.problems, *_ALWAYS}
    if operation.role is not None:
        problems.update(_OF_ALL_WHO_ASK)
    if operation.role is Role.OPERATE:
        problems.update(_OF_CHANGES)
    if operation.whole_server:
        problems.add(Problem.OUT_OF_SCOPE)
    if operation.query is not None:
        problems.add(Problem.BAD_REQUEST)
    if operation.body is not None:
        problems.update(_OF_BODIES)
    by_status: dict[int, list[str]] = {}
    for problem in Problem:
        if problem in problems:
            by_status.setdefault(problem.status, []).append(f"`{problem}`: {problem.heading}")
    content = {CONTENT_TYPE: {"schema": _reference(ProblemAnswer)}}
    return {
        str(status): {"description": " ".join(texts), "content": content}
        for status, texts in by_status.items()
    }


def _schemas() -> dict[str, Any]:
    modes: dict[type[BaseModel], JsonSchemaMode] = {ProblemAnswer: "serialization"}
    for each in OPERATIONS:
        if each.answer is not None:
            modes[each.answer] = "serialization"
        if each.body is not None:
            modes[each.body] = "validation"
        if each.query is not None:
            modes[each.query] = "validation"
    _, found = models_json_schema(list(modes.items()), ref_template=_REF)
    schemas: dict[str, Any] = found["$defs"]
    for model in _with_parts(modes):
        for name, text in field_texts(model):
            schemas[model.__name__]["properties"][name].setdefault("description", text)
    for each in OPERATIONS:
        if each.query is not None:
            schemas.pop(each.query.__name__, None)
    return {name: _without_titles(schema) for name, schema in sorted(schemas.items())}


def _with_parts(models: Iterable[type[BaseModel]]) -> set[type[BaseModel]]:
    """These, and all that are in their fields."""
    found: set[type[BaseModel]] = set()
    waiting = list(models)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [part for field in model.model_fields.values() for part in _models(field.annotation)]
    return found


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """They repeat the names of the fields."""
    properties = schema.get("properties", {})
    for field in properties.values():
        field.pop("title", None)
    return schema


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
