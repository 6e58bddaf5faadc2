"""The firm's maximum loss: a floor under the equity that follows end-of-day balances up to the starting balance.

Source: the firm's help pages, "Maximum Loss Limit" (checked 2026-10).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal


def floor(*, start: Decimal, maximum_loss: Decimal, highest_eod: Decimal) -> Decimal:
    """Return the equity at which the account is lost, in dollars.

    start         balance that the account began with: 0 for an Express account
    highest_eod   highest balance at the end of a session so far; intraday peaks do not count
    It trails the highest end of day by `maximum_loss` and stops for good at `start`. Touching it is a breach.
    Raises ValueError for a loss that is not positive.
    """
    if maximum_loss <= 0:
        raise ValueError(f"the maximum loss must be positive, it is {maximum_loss}")
    return min(start, max(start, highest_eod) - maximum_loss)


def closing_price(quantity: int, *, last: Decimal | None, bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Return the price at which a position is to be valued, None while there is none.

    The firm does not say whether last, bid or ask counts: the worst of the last price and of the side that the position
    would close at. A side of 0 is none.
    """
    side = bid if quantity > 0 else ask
    known = [price for price in (last, side) if price is not None and price > 0]
    return (min if quantity > 0 else max)(known, default=None)


def is_breached(*, equity: Decimal, floor: Decimal) -> bool:
    """Return whether `equity` (cash and open profit) has reached the floor."""
    return equity <= floor


def is_day_lost(*, day_profit: Decimal, daily_loss_limit: Decimal | None) -> bool:
    """Return whether the session's profit (realised and open) has reached the daily loss limit; False without one."""
    return daily_loss_limit is not None and day_profit <= -daily_loss_limit


def used(*, room: Decimal, limit: Decimal) -> int:
    """Return how many percent of `limit` dollars are gone when `room` are left, between 0 and 100."""
    return min(100, max(0, int((limit - room) * 100 / limit)))


def end_of_day_balances(
    balance: Decimal, results: Iterable[tuple[date, Decimal]], *, today: date
) -> tuple[Decimal, dict[date, Decimal]]:
    """Return the balance before the first of `results` and those at the end of their sessions before `today`.

    balance   dollars now, in the session `today`
    results   (session date, net dollars) of executions, in any order

    Counted backwards from `balance`: money paid in or out in between moves the days before it.
    """
    days: dict[date, Decimal] = {}
    for day, net in results:
        days[day] = days.get(day, Decimal(0)) + net
    ended = {}
    for day in sorted(days, reverse=True):
        if day < today:
            ended[day] = balance
        balance -= days[day]
    return balance, ended
