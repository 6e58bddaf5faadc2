"""What can be set on a strategy: a dataclass whose fields know their bounds, unit and meaning.

The admin's form, the environment, the docs and the optimiser's search space are all made from `fields_of`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeVar, get_type_hints

P = TypeVar("P")

_WORDS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter. `ge` and `le` are inclusive bounds, None for none; `choices` are the only values unless empty."""

    name: str
    type: type
    default: Any
    help: str
    unit: str
    ge: Any
    le: Any
    choices: tuple[Any, ...]


class ParameterError(ValueError):
    """Values that no strategy can run with: `errors` says of each name what is wrong and what would be right."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = errors


def param(
    default: Any,
    *,
    help: str,
    unit: str = "",
    ge: Any = None,
    le: Any = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """Return a dataclass field with what `fields_of` tells about it."""
    metadata = {"help": help, "unit": unit, "ge": ge, "le": le, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def fields_of(cls: type) -> list[ParameterSpec]:
    """Return the parameters of a parameter dataclass in the order written.

    Raises TypeError for one without help, and for a number without both bounds or choices.
    """
    types = get_type_hints(cls)
    specs = []
    for field in dataclasses.fields(cls):
        kind, told = types[field.name], dict(field.metadata)
        if issubclass(kind, Enum):
            told["choices"] = told["choices"] or tuple(kind)
        specs.append(ParameterSpec(name=field.name, type=kind, default=field.default, **told))
    for spec in specs:
        unbounded = spec.type in (int, Decimal) and not spec.choices and (spec.ge is None or spec.le is None)
        if unbounded or not spec.help:
            raise TypeError(f"{cls.__qualname__}.{spec.name} needs help, and bounds if it is a number")
    return specs


def parse(cls: type[P], values: Mapping[str, object]) -> P:
    """Return the parameters with `values` (typed, or as text from a form or the environment) over the defaults.

    Raises ParameterError with every name that is unknown or has a value of the wrong type or outside of its bounds, and
    with what the dataclass's own `problems()` says about values that do not go together.
    """
    specs = {spec.name: spec for spec in fields_of(cls)}
    errors: dict[str, str] = {}
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in specs:
            nearest = difflib.get_close_matches(name, specs, n=1, cutoff=0)
            errors[name] = f"is no parameter; did you mean {nearest[0]}?"
            continue
        try:
            typed[name] = _checked(specs[name], value)
        except ValueError as error:
            errors[name] = str(error)
    if not errors:
        params = cls(**typed)
        problems: Callable[[], dict[str, str]] | None = getattr(params, "problems", None)
        errors = problems() if problems else {}
        if not errors:
            return params
    raise ParameterError(errors)


def dump(params: Any) -> dict[str, Any]:
    """Return the parameters as JSON has them; `parse` reads them back."""
    return {spec.name: _plain(getattr(params, spec.name)) for spec in fields_of(type(params))}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    return value


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(str(_plain(choice)) for choice in choices)


def _checked(spec: ParameterSpec, value: object) -> Any:
    typed = _typed(spec, value.strip() if isinstance(value, str) else value)
    if spec.choices and typed not in spec.choices:
        raise ValueError(f"{_plain(typed)} is not one of {_listed(spec.choices)}")
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.ge is not None and typed < spec.ge:
        raise ValueError(f"{_plain(typed)} is below the least allowed, {_plain(spec.ge)}{unit}")
    if spec.le is not None and typed > spec.le:
        raise ValueError(f"{_plain(typed)} is above the most allowed, {_plain(spec.le)}{unit}")
    return typed


def _typed(spec: ParameterSpec, value: object) -> Any:
    """Return `value` as the type of `spec`. Raises ValueError, saying what would be right, if it is not one."""
    if spec.type is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
        raise ValueError(f"{value!r} is not yes or no; write true or false")
    if isinstance(value, spec.type) and not isinstance(value, bool):
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(f"{value} is not a number; write for example {spec.default}")
        return value
    if spec.type is int:
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            return int(value)
        raise ValueError(f"{value!r} is not a whole number; write for example {spec.default}")
    if spec.type is Decimal:
        return _decimal(spec, value)
    if spec.type is time:
        if isinstance(value, str) and re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", value, re.ASCII):
            try:
                return time.fromisoformat(value.zfill(5) if value.count(":") == 1 else value.zfill(8))
            except ValueError:
                pass  # 24:61 looks like a time
        raise ValueError(f"{value!r} is not a time of day; write HH:MM, for example {_plain(spec.default)}")
    if issubclass(spec.type, Enum):
        for member in spec.type:
            if member.value == value:
                return member
        raise ValueError(f"{value!r} is not one of {_listed(spec.choices)}")
    raise ValueError(f"{value!r} is not text")


def _decimal(spec: ParameterSpec, value: object) -> Decimal:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("nan")
        if number.is_finite():
            return number
    raise ValueError(f"{value!r} is not a number; write for example {spec.default}")
