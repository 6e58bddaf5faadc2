"""Scheduled releases: no new position in their window, or fewer; by the firm's rule, and by what a trader typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from market.sessions import CHICAGO
from risk.exposures import Tally
from risk.requests import EntryRequest
from risk.rulebook import NewsRule, smallest
from risk.states import RiskState
from risk.verdicts import Code, Report


@dataclass(frozen=True, slots=True)
class Window:
    """Time around a release in which entries are bound; both ends belong to it.

    symbols    products in which nothing may be opened; None: in all
    capped     products of which at most `contracts` may be held and worked, when something new is opened
    by         whose rule it is, for the sentence
    """

    title: str
    starts_at: datetime
    ends_at: datetime
    symbols: frozenset[str] | None
    by: str
    capped: frozenset[str] = frozenset()
    contracts: int | None = None

    def holds(self, at: datetime) -> bool:
        return self.starts_at <= at <= self.ends_at

    def blocks(self, symbol: str) -> bool:
        return self.symbols is None or symbol in self.symbols

    def cap(self, symbol: str) -> int | None:
        """Return how many contracts may be held at most, None for any number."""
        if self.blocks(symbol):
            return 0
        return self.contracts if symbol in self.capped else None


def firm_window(title: str, at: datetime, rule: NewsRule, size: int | None) -> Window:
    """Return the window of the firm's rule for an account of `size` thousands."""
    return Window(
        title,
        at - timedelta(minutes=rule.minutes_before),
        at + timedelta(minutes=rule.minutes_after),
        rule.blocked,
        "the firm",
        rule.capped,
        smallest(rule.contracts, size),
    )


def room(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> int:
    """Return how many contracts may be opened now: 0 in a window that blocks the product."""
    if state.rules is None:
        return 0
    fits = request.quantity
    symbol = request.contract.symbol
    bound = False
    for window in state.rules.windows:
        cap = window.cap(symbol) if window.holds(state.now) else None
        if cap is None:
            continue
        bound = True
        held = book.symbols.get(symbol, 0)
        left = max(0, cap - held) // len(request.sides) if request.sides else 0
        value, limit = window.title, f"{cap} {symbol} from {_clock(window.starts_at)} to {_clock(window.ends_at)}"
        if left >= request.minimum_quantity:
            report.rule("news", value, limit, note="" if left >= request.quantity else f"{left} contracts fit")
        else:
            what = f"at most {cap} {symbol}, {held} are in use" if cap else f"no new position in {symbol}"
            text = (
                f"{window.title}: from {_clock(window.starts_at)} to {_clock(window.ends_at)} Chicago "
                f"{window.by} allows {what}."
            )
            report.fail(Code.NEWS_WINDOW, "news", value, limit, text)
        fits = min(fits, left)
    if not bound:
        report.rule("news", "no window is open", "none", None)
    return fits


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(CHICAGO)):%H:%M:%S}"
