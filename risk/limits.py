"""Our own bounds, size in lots, and the hours in which an entry may be sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from market.products import PRODUCTS
from market.sessions import CHICAGO, Session, flat_by

LAST_ENTRY = time(15, 8)  # Chicago; the firm's desk flattens from then on (help pages, checked 2026-10)
MIN_STOP_TICKS = 4  # the venue refuses a closer stop bracket
MAX_DISTANCE_TICKS = 100_000  # a bracket further away is a typing error
SLIPPAGE_TICKS = 8  # reserve for each exit at a stop
PRICE_AGE = 120.0  # market seconds: one bar missed and the time to fetch it
CLOCK_SKEW = 5.0  # seconds between our clock and the venue's
BALANCE_AGE = 90.0  # seconds of machine time
CALENDAR_AHEAD = timedelta(days=14)
ENTRIES_A_MINUTE = 6
ENTRIES_A_SESSION = 60  # the firm counts hundreds of trades a day as exploiting its simulation
ACCOUNTS_A_LOGIN = 5  # exposed at once; more could not be watched in full within the venue's request budget
EARLY_PRODUCTS = frozenset({"ZC", "ZW", "ZS", "ZM", "ZL", "HE", "LE"})  # close before our flat time

_TENTHS = {symbol: int(product.weight * 10) for symbol, product in PRODUCTS.items()}  # whole ones


def weight(symbol: str) -> Decimal | None:
    """Return the size of one contract in mini-equivalents, None for a product that we do not know."""
    known = PRODUCTS.get(symbol)
    return known.weight if known else None


def lots(sizes: Iterable[tuple[str, int]]) -> Decimal | None:
    """Return the mini-equivalents of (symbol, contracts) pairs; long and short add up. None if one is unknown."""
    tenths = 0
    try:
        for symbol, quantity in sizes:
            tenths += _TENTHS[symbol] * (quantity if quantity > 0 else -quantity)
    except KeyError:
        return None
    return Decimal(tenths).scaleb(-1) if tenths % 10 else Decimal(tenths // 10)


def entries_until(session: Session) -> datetime:
    """Return when the session's last entry may be sent: 15:08 Chicago, or our flat time if that is earlier."""
    last = datetime.combine(session.trade_date, LAST_ENTRY, ZoneInfo(CHICAGO))
    return min(last.astimezone(session.closes_at.tzinfo), flat_by(session))
