"""What a search may vary: parameters with the values that each may take."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import prod

Values = dict[str, str]
"""Parameter values as text, as `strategies.parameters.parse` reads them."""

_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter and its values in order; `ordered` when neighbours are alike (numbers)."""

    name: str
    values: tuple[str, ...]
    ordered: bool

    @classmethod
    def of(cls, typed: str) -> Axis:
        """Return the axis that `NAME=A,B,C` or `NAME=FROM:TO:STEP` means. Raises ValueError for anything else."""
        name, equals, rest = (part.strip() for part in typed.partition("="))
        if not equals or not name or not rest:
            raise ValueError(f"{typed!r}: write NAME=A,B,C or NAME=FROM:TO:STEP")
        if ":" not in rest:
            values = tuple(dict.fromkeys(part.strip() for part in rest.split(",")))
            return cls(name, values, all(_number(value) is not None for value in values))
        edges = [_number(part) for part in rest.split(":")]
        first, last, step = edges if len(edges) == 3 else (None, None, None)
        if first is None or last is None or step is None or step <= 0 or last < first:
            raise ValueError(f"{typed!r}: a range is FROM:TO:STEP with numbers, TO not below FROM and STEP above 0")
        count = int((last - first) // step) + 1
        if count > _MOST_STEPS:
            raise ValueError(f"{typed!r}: {count} values, at most {_MOST_STEPS} can be searched")
        return cls(name, tuple(f"{(first + number * step).normalize():f}" for number in range(count)), True)


def check(axes: Sequence[Axis]) -> None:
    """Raise ValueError unless there is something to search, each parameter once."""
    names = [axis.name for axis in axes]
    if not axes:
        raise ValueError("nothing to search: name at least one parameter with its values")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice")


def combinations(axes: Sequence[Axis]) -> int:
    """Return how many combinations the axes have."""
    return prod(len(axis.values) for axis in axes)


def grid(axes: Sequence[Axis]) -> Iterator[Values]:
    """Yield every combination."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.name for axis in axes), values, strict=True))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
