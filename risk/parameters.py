"""What binds an account of one stage and size: every parameter with its unit, its bounds and its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum

from risk.stages import Stage


class Kind(StrEnum):
    """What a value must be."""

    BALANCE = "balance"  # dollars, 0 or more
    DOLLARS = "dollars"  # above 0
    RATIO = "ratio"  # above 0, at most 1
    LOTS = "lots"  # mini-equivalents above 0
    COUNT = "count"  # whole, 0 or more
    CLOCK = "clock"  # HH:MM, Chicago
    LEVELS = "levels"  # of the scaling plan


@dataclass(frozen=True, slots=True)
class Spec:
    """A parameter: its kind, the stages that must state it, what it means; `override`: may be set for one account."""

    kind: Kind
    stages: frozenset[Stage]
    help: str
    override: bool = True


_PASSED = frozenset({Stage.PRACTICE, Stage.COMBINE})
_EXPRESS = frozenset({Stage.EXPRESS})
_TRADED = _PASSED | _EXPRESS
_ALL = _TRADED | {Stage.LIVE}

SPECS: dict[str, Spec] = {
    "start": Spec(Kind.BALANCE, _TRADED, "balance at the beginning", override=False),
    "maximum_loss": Spec(Kind.DOLLARS, _TRADED, "Maximum Loss Limit: the floor trails the highest end of day by it"),
    "daily_loss": Spec(Kind.DOLLARS, _ALL, "Daily Loss Limit, where it was chosen with the account"),
    "max_lots": Spec(Kind.LOTS, _TRADED, "largest size in mini-equivalents"),
    "scaling": Spec(Kind.LEVELS, _EXPRESS, "lots by the balance of the last end of day", override=False),
    "profit_target": Spec(Kind.DOLLARS, _PASSED, "net profit that passes"),
    "consistency_ratio": Spec(Kind.RATIO, _TRADED, "largest share of the profit that one day may have made"),
    "min_trading_days": Spec(Kind.COUNT, _PASSED, "trading days before the account can pass"),
    "consistency_min_days": Spec(Kind.COUNT, _EXPRESS, "trading days before a payout on the consistency path"),
    "consistency_payout_cap": Spec(Kind.DOLLARS, _EXPRESS, "most that a payout on the consistency path can be"),
    "payout_winning_days": Spec(Kind.COUNT, _EXPRESS, "winning days before a payout on the standard path"),
    "payout_day_profit": Spec(Kind.DOLLARS, _EXPRESS, "net profit that makes a winning day"),
    "payout_cap": Spec(Kind.DOLLARS, _EXPRESS, "most that a payout on the standard path can be"),
    "payout_share": Spec(Kind.RATIO, _EXPRESS, "share of the balance that a payout can be"),
    "payout_minimum": Spec(Kind.DOLLARS, _EXPRESS, "least that is paid out"),
    "trader_share": Spec(Kind.RATIO, _EXPRESS, "share of a payout that the trader receives"),
    "inactivity_days": Spec(Kind.COUNT, _EXPRESS, "days without a trade after which the account may be closed"),
    "minimum_balance": Spec(Kind.DOLLARS, frozenset({Stage.LIVE}), "balance that a live account must stay above"),
    "last_open": Spec(Kind.CLOCK, _TRADED, "last new position of the day, Chicago", override=False),
    "flat_by": Spec(Kind.CLOCK, _TRADED, "everything closed, Chicago", override=False),
    "holiday_buffer": Spec(Kind.COUNT, _TRADED, "minutes before an early close to be flat", override=False),
}
"""Every parameter in the order in which pages show them."""

Levels = tuple[tuple[Decimal | None, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What binds an account of one stage and size (thousands); see SPECS. None: the stage has no such rule.

    scaling   (balance up to and including which, lots), None is above all of them; empty: no scaling
    """

    stage: Stage
    size: int
    effective_from: date
    source: str
    checked_on: date
    start: Decimal | None = None
    maximum_loss: Decimal | None = None
    daily_loss: Decimal | None = None
    max_lots: Decimal | None = None
    scaling: Levels = ()
    profit_target: Decimal | None = None
    consistency_ratio: Decimal | None = None
    min_trading_days: int | None = None
    consistency_min_days: int | None = None
    consistency_payout_cap: Decimal | None = None
    payout_winning_days: int | None = None
    payout_day_profit: Decimal | None = None
    payout_cap: Decimal | None = None
    payout_share: Decimal | None = None
    payout_minimum: Decimal | None = None
    trader_share: Decimal | None = None
    inactivity_days: int | None = None
    minimum_balance: Decimal | None = None
    last_open: time | None = None
    flat_by: time | None = None
    holiday_buffer: int | None = None


def lots(rules: Parameters, *, last_eod: Decimal | None) -> Decimal | None:
    """Return the most lots after a session that ended with `last_eod`; the lowest level when that is not known.

    None if the stage states none, which refuses entries.
    """
    if not rules.scaling:
        return rules.max_lots
    if last_eod is None:
        return rules.scaling[0][1]
    return next(number for up_to, number in rules.scaling if up_to is None or last_eod <= up_to)


def percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f} %"


def words(name: str, value: object) -> str:
    """Return a parameter's value as a person reads it."""
    kind = SPECS[name].kind
    if value is None:
        return "none"
    if kind in (Kind.BALANCE, Kind.DOLLARS):
        return f"${value:,.2f}".removesuffix(".00")
    if kind is Kind.RATIO:
        return percent(value) if isinstance(value, Decimal) else str(value)
    if kind is Kind.CLOCK and isinstance(value, time):
        return f"{value:%H:%M} Chicago"
    if kind is Kind.LEVELS and isinstance(value, tuple):
        return ", ".join(
            f"{number} lots " + ("above" if up_to is None else f"up to ${up_to:,.0f}") for up_to, number in value
        )
    return f"{value}"
