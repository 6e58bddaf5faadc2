"""The rules of the rulebook and of the trader, as the gate asks them: usable data first, then what it says."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from market.orders import OrderType, Side
from market.sessions import CHICAGO
from risk import consistency, news, personal
from risk.exposures import Tally
from risk.requests import EntryRequest
from risk.rule_states import Elsewhere
from risk.states import RiskState
from risk.verdicts import Code, Report
from risk.worst_cases import WorstCase

_CHICAGO = ZoneInfo(CHICAGO)


def data(report: Report, state: RiskState) -> None:
    """Deny while the rules are wrong, were not read, or know nothing of the account's stage and size."""
    rules = state.rules
    problems = rules.problems if rules is not None else ("the rules of the account were not read",)
    if rules is None or problems:
        text = f"The rulebook cannot be used: {problems[0]}. No entries until it is right; `doctor` shows all of it."
        report.fail(Code.RULEBOOK_INVALID, "rulebook", f"{len(problems)} problem(s)", "none", text)
    elif rules.parameters is None:
        text = (
            f"The rulebook has no rules for stage {state.stage} with the size of this account: set stage and size on "
            "its page."
        )
        report.fail(Code.NO_RULES, "rulebook", "no entry", "stage and size", text)
    else:
        of = rules.parameters
        report.rule("rulebook", _entry(of.stage, of.size, of.effective_from), "stage and size")


@lru_cache(maxsize=64)
def _entry(stage: str, size: int, effective_from: date) -> str:
    return f"{stage} {size}K from {effective_from}"


def conduct(report: Report, request: EntryRequest, state: RiskState) -> None:
    """Ask what does not depend on money: products, last opening time, hedging, number of trades."""
    rules = state.rules
    if rules is None:
        return
    symbol = request.contract.symbol
    if rules.permitted is not None and symbol in rules.permitted:
        report.rule("firm's products", symbol, f"{len(rules.permitted)} products")
    else:
        text = f"{symbol} is not on the firm's list of products."
        report.fail(Code.PRODUCT_REFUSED, "firm's products", symbol, "on the list", text)
    _last_open(report, state)
    _hedging(report, request, state)
    if rules.conduct is not None and rules.trades >= rules.conduct.trades_a_day:
        note = "the firm reviews accounts with hundreds of trades a day"
        report.rule("trades today", str(rules.trades), f"warns at {rules.conduct.trades_a_day}", None, note)


def rooms(
    report: Report,
    request: EntryRequest,
    state: RiskState,
    book: Tally,
    worst: WorstCase | None,
    each: Decimal | None,
) -> list[int]:
    """Return how many contracts each of news, personal limits and governor leaves.

    worst, each   worst case of all that is open, and of one contract more; None while they cannot be counted
    """
    sizes = [news.room(report, request, state, book), consistency.room(report, request, state)]
    if worst is not None and each is not None:
        sizes.append(personal.room(report, request, state, worst, each))
    return sizes


def _last_open(report: Report, state: RiskState) -> None:
    last = state.rules.parameters.last_open if state.rules and state.rules.parameters else None
    if last is None or state.session is None:
        return
    until, limit = _until(state.session.trade_date, last)
    value = state.now.astimezone(_CHICAGO).time().isoformat("seconds")
    if state.now < until:
        report.rule("last opening time", value, limit)
    else:
        text = f"It is {value} Chicago: the firm takes no new position after {last:%H:%M}."
        report.fail(Code.OUTSIDE_WINDOW, "last opening time", value, limit, text)


@lru_cache(maxsize=8)  # the same two all day long
def _until(day: date, last: time) -> tuple[datetime, str]:
    until = datetime.combine(day, last, _CHICAGO)
    return until.astimezone(UTC), f"before {until:%a %H:%M} Chicago"


def _hedging(report: Report, request: EntryRequest, state: RiskState) -> None:
    """Deny an entry against what another account of the owner holds or may come to hold in correlated products.

    A pair that repeats a pair of another account is none: the price that fills one side here fills it there, too.
    """
    rules = state.rules
    if rules is None:
        return
    symbol = request.contract.symbol
    if not rules.elsewhere:
        report.rule("opposite positions", "none", "none on own accounts")
        return
    group = rules.conduct.group_of(symbol) if rules.conduct is not None else frozenset({symbol})
    others = [e for e in rules.elsewhere if e.symbol in group and not _is_twin(e, request)]
    for side in request.sides:
        against = next((e for e in others if e.side is side.side.opposite), None)
        if against is None:
            continue
        held = "is" if against.is_position else "may become"
        word = "long" if against.side is Side.BUY else "short"
        text = (
            f"{against.account} {held} {word} {against.symbol}: a {side.side.word} of {symbol} here would be "
            "hedging between own accounts, which the firm forbids even for a moment."
        )
        value = f"{against.account} {word} {against.symbol}"
        report.fail(Code.HEDGING, "opposite positions", value, "none on own accounts", text)
        return
    report.rule("opposite positions", "none", "none on own accounts")


def _is_twin(other: Elsewhere, request: EntryRequest) -> bool:
    """Return whether `other` is one side of a pair of stops with the request's prices."""
    return request.oco and any(
        other.pair_price is not None
        and side.type is OrderType.STOP
        and side.price is not None
        and (other.symbol, other.side) == (request.contract.symbol, side.side)
        and other.pair_price == request.contract.price(side.price)
        for side in request.sides
    )
