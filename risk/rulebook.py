"""The firm's parameters by stage and size, each with the date from which it holds, its source and when it was read.

A rehearsal of a day before the oldest entry uses the oldest entry. Numbers are dollars unless said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

D = Decimal


class Stage(StrEnum):
    """What an account is to the firm; the first three may be traded by programs."""

    PRACTICE = "practice"
    COMBINE = "combine"
    EXPRESS = "express"
    LIVE = "live"
    UNKNOWN = "unknown"


TRADED = frozenset({Stage.PRACTICE, Stage.COMBINE, Stage.EXPRESS})


@dataclass(frozen=True, slots=True)
class Parameters:
    """What binds an account of one stage and size (thousands).

    start         balance at its beginning
    daily_loss    amount of the Daily Loss Limit where it was chosen
    max_lots      mini-equivalents; scaling: (balance up to and including which, lots), None is above all of them
    """

    start: Decimal
    maximum_loss: Decimal
    daily_loss: Decimal
    max_lots: Decimal
    valid_from: date
    source: str
    checked_on: date
    scaling: tuple[tuple[Decimal | None, Decimal], ...] = ()


_CHECKED = date(2026, 10, 10)
_LOSS = "help.topstep.com: Maximum Loss Limit, Daily Loss Limit, Maximum Position Size"
_SCALING = "help.topstep.com: Scaling Plan, 16 Jul 2026; at a boundary the smaller size"
_SINCE = date(2024, 8, 25)  # the Daily Loss Limit became optional


def _combine(size: int, loss: int, daily: int, lots: int) -> Parameters:
    return Parameters(D(size * 1000), D(loss), D(daily), D(lots), _SINCE, _LOSS, _CHECKED)


def _express(loss: int, daily: int, lots: int, *scaling: tuple[int | None, int]) -> Parameters:
    levels = tuple((None if up_to is None else D(up_to), D(number)) for up_to, number in scaling)
    return Parameters(D(0), D(loss), D(daily), D(lots), _SINCE, f"{_LOSS}; {_SCALING}", _CHECKED, levels)


RULES: dict[tuple[Stage, int], tuple[Parameters, ...]] = {
    (Stage.COMBINE, 50): (_combine(50, 2000, 1000, 5),),
    (Stage.COMBINE, 100): (_combine(100, 3000, 2000, 10),),
    (Stage.COMBINE, 150): (_combine(150, 4500, 3000, 15),),
    (Stage.EXPRESS, 50): (_express(2000, 1000, 5, (1500, 2), (2000, 3), (None, 5)),),
    (Stage.EXPRESS, 100): (_express(3000, 2000, 10, (1500, 3), (2000, 4), (3000, 5), (None, 10)),),
    (Stage.EXPRESS, 150): (_express(4500, 3000, 15, (1500, 3), (2000, 4), (3000, 5), (4500, 10), (None, 15)),),
    # A practice account has no rule that it can fail. It gets those of the Combine of its size: what works there works
    # under the rules too.
    (Stage.PRACTICE, 50): (_combine(50, 2000, 1000, 5),),
    (Stage.PRACTICE, 100): (_combine(100, 3000, 2000, 10),),
    (Stage.PRACTICE, 150): (_combine(150, 4500, 3000, 15),),
}
"""By stage and size; the versions of an entry in the order of their dates."""

_CAPS_SINCE = date(2026, 9, 1)  # help.topstep.com article 13613539, "temporary", checked 2026-10-10
_CAPS = {
    50: {"CL QM RB HO GC": 3, "MCL MGC": 30, "SIL MHG": 2, "SI HG PL": 0},
    100: {"CL QM RB HO GC": 6, "MCL MGC": 60, "SIL MHG": 4, "SI HG PL": 0},
    150: {"CL QM RB HO GC": 9, "MCL MGC": 90, "SIL MHG": 6, "SI HG PL": 0},
}

_NAME = re.compile(r"^(?:(?P<size>50|100|150)K)?(?P<stage>TC|COMBINE|PRAC|XFA|EXPRESS|LFA|LIVE)", re.IGNORECASE)
_STAGES = {
    "TC": Stage.COMBINE,
    "COMBINE": Stage.COMBINE,
    "PRAC": Stage.PRACTICE,
    "XFA": Stage.EXPRESS,
    "EXPRESS": Stage.EXPRESS,
    "LFA": Stage.LIVE,
    "LIVE": Stage.LIVE,
}
_PRACTICE_SIZE = 150  # practice accounts carry no size in their name


def parameters(stage: str, size: int | None, on: date) -> Parameters | None:
    """Return what binds an account on that date, None for a stage or size that the rulebook does not know."""
    versions = RULES.get((Stage(stage), size)) if size is not None else None
    if not versions:
        return None
    return next((version for version in reversed(versions) if version.valid_from <= on), versions[0])


def infer(name: str) -> tuple[Stage, int | None, bool]:
    """Return stage, size in thousands (None if it is not told) and whether the Daily Loss Limit was chosen.

    From names like 50KTC-V2-DLL-123, PRAC-V2-123, EXPRESS-V2-123. The API has no field for any of it.
    """
    match = _NAME.match(name.strip())
    if match is None:
        return Stage.UNKNOWN, None, False
    stage = _STAGES[match["stage"].upper()]
    told = re.search(r"(?<!\d)(50|100|150)K", name, re.IGNORECASE)
    size = int(told[1]) if told else None
    if stage is Stage.PRACTICE and size is None:
        size = _PRACTICE_SIZE
    return stage, size, bool(re.search(r"\bDLL\b", name, re.IGNORECASE))


def lots(rules: Parameters, *, last_eod: Decimal | None) -> Decimal:
    """Return the most lots after a session that ended with `last_eod`; the lowest level when that is not known."""
    if not rules.scaling:
        return rules.max_lots
    if last_eod is None:
        return rules.scaling[0][1]
    return next(number for up_to, number in rules.scaling if up_to is None or last_eod <= up_to)


def product_cap(symbol: str, size: int | None, on: date) -> int | None:
    """Return the most contracts of a product under the firm's temporary caps, None for a product that they do not name.

    An unknown size gets the smallest cap.
    """
    if on < _CAPS_SINCE:
        return None
    caps = _CAPS.get(size or 50, _CAPS[50])
    return next((cap for symbols, cap in caps.items() if symbol in symbols.split()), None)
