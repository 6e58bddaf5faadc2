"""The gateway's swagger as validators: of what it answers, and of what it may be asked.

`gateway.json` is ProjectX's swagger of March 2026 without its prose, with what was seen added until September. It says
nothing of null: an optional property may be null in an answer, as the venue's own answers show.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator, FormatChecker

SWAGGER: dict[str, Any] = json.loads((Path(__file__).parent / "gateway.json").read_text())
PATHS: dict[str, Any] = SWAGGER["paths"]
DEFINITIONS: dict[str, Any] = SWAGGER["definitions"]
_formats = FormatChecker(())


@_formats.checks("date-time", ValueError)
def _is_aware(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def with_nulls() -> dict[str, Any]:
    """Return the swagger with its optional properties marked as nullable, as tools read it."""
    marked = copy.deepcopy(SWAGGER)
    for definition in marked["definitions"].values():
        for name, schema in definition.get("properties", {}).items():
            if name not in definition.get("required", ()):
                definition["properties"][name] = {"x-nullable": True} | (
                    {"allOf": [schema]} if "$ref" in schema else schema
                )
    return marked


def names(definition: str) -> dict[int, str]:
    """Return the numbers of an enum with their names."""
    enum = DEFINITIONS[definition]
    return dict(zip(enum["enum"], enum["x-enumNames"], strict=True))


def problems_of_answer(path: str, body: Any) -> list[str]:
    """Return what is wrong with an answer of HTTP 200, in words; unknown properties are wrong too."""
    return _problems(_validator(path, "answer"), body)


def problems_of_request(path: str, body: Any) -> list[str]:
    """Return what is wrong with a request, in words; a property may be absent, but not null."""
    return _problems(_validator(path, "request"), body)


def _problems(validator: Draft4Validator, body: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(body)
    ]


@cache
def _validator(path: str, what: str) -> Draft4Validator:
    (operation,) = PATHS[path].values()
    schema = operation["responses"]["200"]["schema"] if what == "answer" else operation["parameters"][0]["schema"]
    definitions = {name: _strict(one, nullable=what == "answer") for name, one in DEFINITIONS.items()}
    return Draft4Validator(schema | {"definitions": definitions}, format_checker=_formats)


def _strict(definition: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Return a definition without room for other properties, its optional ones also null if that is allowed."""
    strict = copy.deepcopy(definition)
    if "properties" in strict:
        strict["additionalProperties"] = False
        for name, schema in strict["properties"].items():
            if nullable and name not in strict.get("required", ()):
                strict["properties"][name] = {"anyOf": [schema, {"type": "null"}]}
    return strict
