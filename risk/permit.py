"""What must stand before any entry, whoever asks and for whatever: the trading permit.

The gate looks at it for each entry; pages and the watch look at it without one. Nothing here is about a single order.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from market.sessions import NEW_YORK
from risk import firm_rules, limits
from risk.states import RiskState
from risk.verdicts import Code, Report

_NEW_YORK = ZoneInfo(NEW_YORK)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_AUTO_OCO = "Auto OCO Brackets"
_BALANCE_AGE = f"{limits.BALANCE_AGE:.0f} s"
_SKEW = f"at most {limits.CLOCK_SKEW:.0f} s"
_MODES = {"auto_oco": _AUTO_OCO, "position": "Position Brackets"}


def permit(state: RiskState, symbol: str = "") -> Report:
    """Return every rule of the permit with value, limit and verdict; `code` is `ALLOWED` if all of them are kept.

    symbol   whose prices must be fresh; empty: prices are not looked at
    """
    report = Report()
    standing(report, state)
    calendar(report, state)
    if symbol:
        prices(report, state, symbol)
    balance(report, state)
    return report


def standing(report: Report, state: RiskState) -> None:
    """Look at what stands between us and the venue: agreement, token, bracket mode, clock, rulebook, processes."""
    if state.reconciled:
        report.rule("reconciled", "yes", "yes")
    else:
        text = "The account could not be compared with the venue since the start, or since the stream connected."
        report.fail(Code.NOT_RECONCILED, "reconciled", "no", "yes", text)
    _token(report, state)
    _brackets(report, state)
    _skew(report, state)
    firm_rules.data(report, state)
    if state.blocked:
        text = f"The login may send no entries: {state.blocked}."
        report.fail(Code.LOGIN_BLOCKED, "login", state.blocked, "clear", text)
    else:
        report.rule("login", "clear", "clear")


def calendar(report: Report, state: RiskState) -> None:
    until, needed = state.calendar_until, (state.now + limits.CALENDAR_AHEAD).date()
    known, limit = day(until) if until else "none", day(needed)
    if until and until >= needed:
        report.rule("calendar known until", known, limit)
        return
    text = f"The calendar is known until {known} only: it must reach {limit}, 14 days ahead."
    report.fail(Code.CALENDAR_ENDS, "calendar known until", known, limit, text)


def prices(report: Report, state: RiskState, symbol: str, *, has_reference: bool = True) -> None:
    """Look at the age of the closed bars; `has_reference`: whether the caller has a newest price of them."""
    limit = f"{state.price_age:.0f} s"
    if state.prices_at is None or not has_reference:
        text = f"There is no price of {symbol}: its bars have not been read."
        report.fail(Code.STALE_PRICES, "age of prices", "none", limit, text)
        return
    age = (state.now - state.prices_at).total_seconds()
    if age <= state.price_age:
        report.rule("age of prices", f"{age:.0f} s", limit)
        return
    text = f"The newest bar of {symbol} is {age:.0f} s old: at most {limit} are allowed."
    report.fail(Code.STALE_PRICES, "age of prices", f"{age:.0f} s", limit, text)


def balance(report: Report, state: RiskState) -> None:
    limit = _BALANCE_AGE
    if state.balance is None or state.balance_age is None or state.equity is None:
        text = "The account's balance or the price of an open position is not known."
        report.fail(Code.STALE_BALANCE, "age of balance", "none", limit, text)
    elif state.balance_age <= limits.BALANCE_AGE:
        report.rule("age of balance", f"{state.balance_age:.0f} s", limit)
    else:
        text = f"The account's balance was read {state.balance_age:.0f} s ago: at most {limit} are allowed."
        report.fail(Code.STALE_BALANCE, "age of balance", f"{state.balance_age:.0f} s", limit, text)


def _token(report: Report, state: RiskState) -> None:
    """The token must outlive the session's flat time: what cannot be closed any more must not be opened."""
    needed = state.flat_at or state.now
    limit = f"beyond {clock(needed)}"
    if state.token_until is None:
        if not state.real:
            report.rule("token valid until", "none yet", limit, None)
            return
        text = "We have no token of the venue: nothing was logged in yet."
        report.fail(Code.TOKEN_EXPIRES, "token valid until", "none", limit, text)
    elif state.token_until > needed:
        report.rule("token valid until", clock(state.token_until), limit)
    else:
        until = clock(state.token_until)
        text = f"The venue's token ends {until} New York: it must outlive the flat time, {clock(needed)}."
        report.fail(Code.TOKEN_EXPIRES, "token valid until", until, limit, text)


def _brackets(report: Report, state: RiskState) -> None:
    """An entry carries its stop in the request, which the venue takes in one of its two modes only."""
    mode = _MODES.get(state.bracket_mode, "unknown")
    if mode == _AUTO_OCO or (mode == "unknown" and not state.real):
        report.rule("bracket mode", mode, _AUTO_OCO, True if mode == _AUTO_OCO else None)
        return
    text = (
        f"The platform's bracket mode is {mode}: set Settings, Risk Settings to {_AUTO_OCO} there, "
        "then say so on the account's page, or by arming it."
    )
    report.fail(Code.BRACKET_MODE, "bracket mode", mode, _AUTO_OCO, text)


def _skew(report: Report, state: RiskState) -> None:
    limit = _SKEW
    if state.clock_skew is None:
        if not state.real:
            report.rule("clock against the venue's", "not measured", limit, None)
            return
        text = "Our clock has not been compared with the venue's yet."
        report.fail(Code.CLOCK_SKEW, "clock against the venue's", "not measured", limit, text)
        return
    value = f"{state.clock_skew:+.1f} s"
    if abs(state.clock_skew) <= limits.CLOCK_SKEW:
        report.rule("clock against the venue's", value, limit)
    else:
        text = f"The machine's clock differs from the venue's by {value}: {limit} are allowed."
        report.fail(Code.CLOCK_SKEW, "clock against the venue's", value, limit, text)


@lru_cache(maxsize=128)  # a session's times are shown with every entry
def clock(at: datetime) -> str:
    """Return an instant as rules show it: weekday and time in New York."""
    local = at.astimezone(_NEW_YORK)
    return f"{_DAYS[local.weekday()]} {local.time().isoformat('seconds')}"


@lru_cache(maxsize=16)
def day(of: date) -> str:
    """Return a date as rules show it."""
    return of.isoformat()
