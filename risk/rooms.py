"""How many contracts of a request still fit under each limit; a limit that is not known lets none through."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from risk import limits
from risk.exposures import Tally
from risk.money import dollars
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Code, Report
from risk.worst_cases import WorstCase, fitting


def lots(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> int:
    one = limits.weight(request.contract.symbol)
    held = limits.lots(book.symbols.items())
    if state.max_lots is None:
        text = "The account's size limit (max lots) is not known: set it in the admin."
        report.fail(Code.NO_SIZE_LIMIT, "lots", "unknown", "required", text)
        return 0
    if held is None or one is None:
        text = "The account holds a product that we do not know: its size cannot be counted."
        report.fail(Code.TOO_MANY_LOTS, "lots", "unknown", f"{state.max_lots}", text)
        return 0
    each = one * len(request.sides)
    wanted = held + each * request.quantity
    fits = int(max(Decimal(0), state.max_lots - held) // each)
    limit = str(state.max_lots)
    if fits >= request.minimum_quantity:
        report.rule("lots", str(wanted), limit, note="" if fits >= request.quantity else f"{fits} contracts fit")
    else:
        text = (
            f"With {request.quantity} {request.contract.symbol} the account would hold or work {wanted} lots: "
            f"the firm allows {limit}, {held} are in use."
        )
        report.fail(Code.TOO_MANY_LOTS, "lots", f"{wanted}", limit, text)
    return fits


def product_cap(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> int:
    if state.product_cap is None:
        report.rule("product cap", "none", "none", None)
        return request.quantity
    symbol = request.contract.symbol
    held = book.symbols.get(symbol, 0)
    wanted = held + request.quantity * len(request.sides)
    fits = max(0, state.product_cap - held) // len(request.sides)
    if fits >= request.minimum_quantity:
        report.rule("product cap", f"{wanted}", f"{state.product_cap}")
    else:
        text = f"The firm allows {state.product_cap} {symbol} at present: {held} are in use, {wanted} would be."
        report.fail(Code.PRODUCT_CAP, "product cap", f"{wanted}", f"{state.product_cap}", text)
    return fits


def daily_loss(report: Report, request: EntryRequest, state: RiskState, book: WorstCase, each: Decimal) -> int:
    limit = state.daily_loss_limit
    if limit is None:
        report.rule("daily loss", "no limit chosen", "none", None)
        return request.quantity
    if state.day_profit is None or state.balance is None or state.equity is None:
        text = "The result of the day is not known, and the account has a daily loss limit."
        report.fail(Code.DAY_UNKNOWN, "daily loss", "unknown", dollars(-limit), text)
        return 0
    worst = state.day_profit - (state.equity - book.equity(balance=state.balance, equity=state.equity))
    fits = fitting(worst + limit, each)
    after, above = dollars(worst - each * request.quantity), _above(-limit)
    if fits >= request.minimum_quantity:
        note = "" if fits >= request.quantity else f"{fits} contracts fit"
        report.rule("worst result of the day", after, above, note=note)
    else:
        text = f"At the stops the day could end at {after}: the daily loss limit is {dollars(-limit)}."
        report.fail(Code.DAILY_LOSS, "worst result of the day", after, above, text)
    return fits


def maximum_loss(report: Report, request: EntryRequest, state: RiskState, book: WorstCase, each: Decimal) -> int:
    floor = state.floor
    if state.maximum_loss is None or floor is None:
        field = "maximum loss" if state.maximum_loss is None else "highest end-of-day balance"
        text = f"The account's {field} is not known: set it in the admin, the firm's dashboard shows it."
        report.fail(Code.NO_LOSS_LIMIT, "worst equity", "unknown", "required", text)
        return 0
    if state.balance is None or state.equity is None:
        report.rule("worst equity", "unknown", f"above {dollars(floor)}", None, "needs the balance")
        return 0
    worst = book.equity(balance=state.balance, equity=state.equity)
    fits = fitting(worst - floor, each)
    after, above = dollars(worst - each * request.quantity), _above(floor)
    if fits >= request.minimum_quantity:
        note = "" if fits >= request.quantity else f"{fits} contracts fit"
        report.rule("worst equity", after, above, note=note)
    else:
        text = f"At the stops the equity could fall to {after}: the account is lost at {dollars(floor)}."
        report.fail(Code.MAXIMUM_LOSS, "worst equity", after, above, text)
    return fits


@lru_cache(maxsize=64)  # floors and limits stay what they are for a day
def _above(amount: Decimal) -> str:
    return f"above {dollars(amount)}"
