"""Profit target and consistency: what is needed to pass, and how much of a day still helps.

An account passes when it is flat and its net profit T is at least max(G, M / r): target G, best day M, ratio r. A day
above r x G fails nothing, it raises what is needed. Source: the firm's help pages, "Profit Target", "Consistency
Target" (checked 2026-10). Dollars; nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from risk.money import dollars
from risk.parameters import Parameters
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Code, Report


@dataclass(frozen=True, slots=True)
class Days:
    """An account's closed days and the one that is open.

    total     net profit of the closed days since the start, or since the last payout
    best      best closed day, 0 without a winning one
    number    closed days with a trade
    today     net result of the open day, realised; None while unknown
    complete  the days are known from the start on
    """

    total: Decimal = Decimal(0)
    best: Decimal = Decimal(0)
    number: int = 0
    today: Decimal | None = None
    complete: bool = True


def needed_total(*, target: Decimal, ratio: Decimal, best_day: Decimal) -> Decimal:
    """Return the net profit that passes."""
    return max(target, best_day / ratio)


def largest_day(*, target: Decimal, ratio: Decimal, best_day: Decimal) -> Decimal:
    """Return the largest day that does not raise what is needed."""
    return max(target * ratio, best_day)


def is_passed(
    *, total: Decimal, target: Decimal, ratio: Decimal, best_day: Decimal, days: int, min_days: int, flat: bool
) -> bool:
    """Return whether the account passes at the end of a day; `total` and `best_day` include that day."""
    return flat and days >= min_days and total >= needed_total(target=target, ratio=ratio, best_day=best_day)


def day_cap(rules: Parameters, days: Days, *, safety: Decimal) -> Decimal | None:
    """Return what today may make without delaying, less `safety`; None for a stage that has no target."""
    if rules.profit_target is None or rules.consistency_ratio is None:
        return None
    largest = largest_day(target=rules.profit_target, ratio=rules.consistency_ratio, best_day=days.best)
    return max(Decimal(0), largest - safety)


def useful_today(rules: Parameters, days: Days, *, made: Decimal, safety: Decimal) -> Decimal | None:
    """Return the dollars that still help today after `made`: up to the day's cap, and no more than are needed to pass.

    None for a stage without a target.
    """
    cap = day_cap(rules, days, safety=safety)
    return None if cap is None else _useful(rules, days, made=made, cap=cap)


def _useful(rules: Parameters, days: Days, *, made: Decimal, cap: Decimal) -> Decimal:
    if rules.profit_target is None or rules.consistency_ratio is None:
        return Decimal(0)
    needed = needed_total(target=rules.profit_target, ratio=rules.consistency_ratio, best_day=days.best)
    return max(Decimal(0), min(cap, needed - days.total) - made)


def room(report: Report, request: EntryRequest, state: RiskState) -> int:
    """Report what is still useful today; with the governor return how many contracts fit under the day's cap.

    stop     none once the day has made its cap
    reduce   besides, so many that their targets stay under it, at least the request's minimum
    """
    rules, name = state.rules, "useful today"
    if rules is None or rules.parameters is None:
        return 0
    safety = rules.personal.governor_safety
    cap = day_cap(rules.parameters, rules.days, safety=safety)
    if cap is None:
        report.rule(name, "no target at this stage", "none", None)
        return request.quantity
    governor = rules.personal.governor
    if state.day_profit is None:
        if governor == "off":
            report.rule(name, "unknown", dollars(cap), None, "the governor is off")
            return request.quantity
        text = "The result of the day is not known, and the account has a consistency governor."
        report.fail(Code.DAY_UNKNOWN, name, "unknown", dollars(cap), text)
        return 0
    useful = _useful(rules.parameters, rules.days, made=state.day_profit, cap=cap)
    value, limit = f"{dollars(useful)} more", f"day's cap {dollars(cap)}"
    if governor == "off":
        report.rule(name, value, limit, None, "the governor is off")
        return request.quantity
    if state.day_profit >= cap:
        text = (
            f"The day has made {dollars(state.day_profit)}: more than {dollars(cap)} on one day raises what is "
            "needed to pass. The consistency governor takes no entry until the next session."
        )
        report.fail(Code.CONSISTENCY, name, value, limit, text)
        return 0
    fits = request.quantity
    if governor == "reduce":
        targets = [side.target_ticks for side in request.sides]
        gain = max((ticks for ticks in targets if ticks is not None), default=0) * request.contract.tick_value
        if gain:
            fits = min(fits, max(request.minimum_quantity, int((cap - state.day_profit) // gain)))
    note = "" if fits == request.quantity else f"{fits} contracts stay under the cap at their target"
    report.rule(name, value, limit, note=note)
    return fits
