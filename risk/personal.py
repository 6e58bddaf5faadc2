"""Limits that a trader sets for the own day: a loss, fixed or trailing, and a profit after which the day is done."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from risk.money import dollars
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Code, Report
from risk.worst_cases import WorstCase, fitting


@dataclass(frozen=True, slots=True)
class Personal:
    """A trader's own limits in dollars; None: not set.

    trailing          the loss counts from `peak`, the best result of the day so far (never below 0)
    governor          off, stop or reduce; governor_safety: dollars below the consistency cap of a day
    """

    daily_loss: Decimal | None = None
    trailing: bool = False
    daily_profit: Decimal | None = None
    peak: Decimal = Decimal(0)
    governor: str = "off"
    governor_safety: Decimal = Decimal(0)


def lowest_result(personal: Personal) -> Decimal | None:
    """Return the day's result at which the loss limit is reached, None without one."""
    if personal.daily_loss is None:
        return None
    return (max(Decimal(0), personal.peak) if personal.trailing else Decimal(0)) - personal.daily_loss


def is_lost(personal: Personal, *, day_profit: Decimal) -> bool:
    lowest = lowest_result(personal)
    return lowest is not None and day_profit <= lowest


def is_done(personal: Personal, *, day_profit: Decimal) -> bool:
    """Return whether the day has made what it was to make."""
    return personal.daily_profit is not None and day_profit >= personal.daily_profit


def room(report: Report, request: EntryRequest, state: RiskState, book: WorstCase, each: Decimal) -> int:
    """Return how many contracts of `each` dollars of loss fit above the personal loss limit; 0 once the day is done."""
    personal = state.rules.personal if state.rules is not None else None
    if personal is None:
        return 0
    lowest = lowest_result(personal)
    if lowest is None and personal.daily_profit is None:
        report.rule("personal limits", "none set", "none", None)
        return request.quantity
    if state.day_profit is None or state.balance is None or state.equity is None:
        text = "The result of the day is not known, and the account has a personal daily limit."
        report.fail(Code.DAY_UNKNOWN, "personal limits", "unknown", "required", text)
        return 0
    fits = request.quantity
    if lowest is not None:
        fits = _loss(report, request, state.day_profit - (state.equity - _lowest_equity(state, book)), lowest, each)
    if personal.daily_profit is not None:
        value, limit = dollars(state.day_profit), f"below {dollars(personal.daily_profit)}"
        if is_done(personal, day_profit=state.day_profit):
            text = f"The day has made {value}: your profit target of the day is {dollars(personal.daily_profit)}."
            report.fail(Code.PERSONAL_PROFIT, "personal profit target", value, limit, text)
            return 0
        report.rule("personal profit target", value, limit)
    return fits


def _loss(report: Report, request: EntryRequest, worst: Decimal, lowest: Decimal, each: Decimal) -> int:
    fits = fitting(worst - lowest, each)
    after, limit = dollars(worst - each * request.quantity), f"above {dollars(lowest)}"
    if fits >= request.minimum_quantity:
        note = "" if fits >= request.quantity else f"{fits} contracts fit"
        report.rule("personal daily loss", after, limit, note=note)
    else:
        text = f"At the stops the day could end at {after}: your own loss limit stands at {dollars(lowest)}."
        report.fail(Code.PERSONAL_LOSS, "personal daily loss", after, limit, text)
    return fits


def _lowest_equity(state: RiskState, book: WorstCase) -> Decimal:
    return book.equity(balance=state.balance or Decimal(0), equity=state.equity or Decimal(0))
