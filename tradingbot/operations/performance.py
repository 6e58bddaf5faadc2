"""What an account or a strategy has come to, from the results of its sessions: figures, periods, causes, hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from market.orders import OrderType
from market.performance import Day, Figures, by_month, by_week, causes, figures, together
from market.sessions import NEW_YORK
from tradingbot.models import Account, CalendarDay, DayResult, Fill, Strategy, Trade
from tradingbot.operations.results import held

BY_HAND = "by hand"
_CENT = Decimal("0.01")
_TOLD = 10  # causes of a drawdown


@dataclass(frozen=True, slots=True)
class Hour:
    """Trades entered in one hour of New York; dollars. `slippage`: what their orders filled worse than intended."""

    hour: int
    trades: int
    net: Decimal
    costs: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class Performance:
    """An account, or one strategy of it.

    days     every session from the first with a trade to the newest, those without a trade too
    parts    results by strategy, without empty sessions
    causes   (strategy, session, dollars) of the largest drawdown, the largest loss first
    """

    name: str
    figures: Figures
    days: list[Day]
    weeks: list[Day]
    months: list[Day]
    parts: dict[str, list[Day]]
    causes: list[tuple[str, date, Decimal]]
    hours: list[Hour]

    def plain(self) -> dict[str, Any]:
        """Return everything as the API and a script read it: dollars as text with cents, dates as ISO has them."""
        periods = {name: list(map(asdict, getattr(self, name))) for name in ("days", "weeks", "months", "hours")}
        causes_ = [{"strategy": part, "session_date": day, "net": net} for part, day, net in self.causes]
        parts = {name: asdict(figures(days)) for name, days in self.parts.items()}
        whole = {
            "name": self.name,
            "figures": asdict(self.figures),
            **periods,
            "drawdown": causes_,
            "strategies": parts,
        }
        return {name: _plain(value) for name, value in whole.items()}


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case Decimal():
            return f"{value:.2f}"
        case date():
            return value.isoformat()
        case _:
            return value


def of_account(account: Account) -> Performance:
    """Return the performance of an account over everything that it has traded."""
    return _performance(account.name, account.results.all(), Trade.objects.filter(account=account), account)


def of_strategy(strategy: Strategy) -> Performance:
    """Return the performance of a strategy, on all accounts that it has traded."""
    return _performance(strategy.name, strategy.results.all(), strategy.trades.all(), None)


def _performance(name: str, rows: QuerySet[DayResult], trades: QuerySet[Trade], account: Account | None) -> Performance:
    parts: dict[str, list[Day]] = {}
    for row in rows.select_related("strategy").order_by("session_date"):
        parts.setdefault(row.strategy.name if row.strategy else BY_HAND, []).append(row.day)
    days, seconds = _every_session(together(day for found in parts.values() for day in found))
    if account is not None and len(parts) > 1:
        seconds_held = held(trades.values_list("entered_at", "exited_at"))
    else:
        seconds_held = sum(day.held for day in days)
    found = figures(days, seconds=seconds, held=seconds_held)
    return Performance(
        name=name,
        figures=found,
        days=days,
        weeks=by_week(days),
        months=by_month(days),
        parts=parts,
        causes=causes(found.fall, parts)[:_TOLD] if found.fall else [],
        hours=_hours(trades),
    )


def _every_session(traded: list[Day]) -> tuple[list[Day], int]:
    """Return the days with those between them that the calendar knows, and how long all of them were open."""
    if not traded:
        return [], 0
    known = {day.session_date: day for day in traded}
    span = CalendarDay.objects.filter(trade_date__range=(traded[0].session_date, traded[-1].session_date))
    seconds = 0
    for session_date, opens_at, closes_at in span.values_list("trade_date", "opens_at", "closes_at"):
        known.setdefault(session_date, Day(session_date))
        seconds += int((closes_at - opens_at).total_seconds())
    return [known[session_date] for session_date in sorted(known)], seconds


def _hours(trades: QuerySet[Trade]) -> list[Hour]:
    zone = ZoneInfo(NEW_YORK)
    hours: dict[int, Hour] = {}
    rows = trades.select_related("contract", "entry_fill__order", "exit_fill__order")
    for trade in rows.order_by("entered_at"):
        hour = trade.entered_at.astimezone(zone).hour
        before = hours.get(hour, Hour(hour, 0, Decimal(0), Decimal(0), Decimal(0)))
        hours[hour] = Hour(
            hour,
            before.trades + 1,
            before.net + trade.net,
            before.costs + trade.fees + trade.commissions,
            before.slippage + (trade.slippage or Decimal(0)).quantize(_CENT, ROUND_HALF_UP),
        )
    return [hours[hour] for hour in sorted(hours)]


LEAST_ORDERS = 20
"""Orders of one strategy from which on its own slippage is told, and orders of it in one hour for that hour's."""
_TABLE_SLIPPAGE = 1  # ticks, while no order has told any


@dataclass(frozen=True, slots=True)
class Measured:
    """What trading a product has really cost: what a simulation may assume.

    costs      dollars a contract and side, fees and commissions as the venue told them
    slippage   ticks on market and stop orders, on average, whole and never below 0: of the kind of strategy that was
               asked for as soon as it has enough orders, else of everything in the product, else one tick
    fills      executions behind the costs; orders: those of which the slippage is known
    own        whether these orders are the strategy's
    hours      the same of each hour of New York in which the strategy has enough orders: ticks, and how many orders
    """

    symbol: str
    costs: Decimal
    slippage: int
    fills: int
    orders: int
    own: bool
    hours: dict[int, tuple[int, int]]

    @property
    def hourly(self) -> tuple[int, ...]:
        """Return the ticks of all 24 hours, those of `slippage` where an hour has too few orders; empty: none has."""
        return tuple(self.hours.get(hour, (self.slippage, 0))[0] for hour in range(24)) if self.hours else ()

    @property
    def source(self) -> str:
        """Return where the slippage is from, for whoever reads a result."""
        whose = f"of {self.orders} own orders" if self.own else f"of {self.orders} orders of every strategy"
        rest = f"{_ticks(self.slippage)} {whose if self.orders else 'from the table, no order has told any'}"
        parts = [f"{hour:02}:00 {_ticks(ticks)} of {orders} own orders" for hour, (ticks, orders) in self.hours.items()]
        return f"measured by hour of New York: {', '.join(parts)}; else {rest}" if parts else f"measured: {rest}"


def measured(symbol: str, *, kind: str = "", since: datetime | None = None) -> Measured | None:
    """Return the costs of a product's real executions, None while the venue has told none."""
    rows = Fill.objects.filter(contract__symbol=symbol, voided=False, estimated=False).select_related(
        "order__strategy", "contract"
    )
    fills: Sequence[Fill] = list(rows.filter(at__gte=since) if since else rows)
    if not fills:
        return None
    contracts = sum(fill.quantity for fill in fills)
    paid = sum((fill.fees + fill.commissions for fill in fills), Decimal(0))
    crossed = (OrderType.MARKET, OrderType.STOP)
    zone = ZoneInfo(NEW_YORK)
    every: list[Decimal] = []
    own: dict[int, list[Decimal]] = {}
    for fill in fills:
        if fill.order is None or fill.order.type not in crossed or fill.worse_by is None:
            continue
        ticks = fill.worse_by / fill.contract.tick_size
        every.append(ticks)
        if fill.order.strategy is not None and fill.order.strategy.kind == kind:
            own.setdefault(fill.at.astimezone(zone).hour, []).append(ticks)
    mine = [ticks for hour in own.values() for ticks in hour]
    is_own = len(mine) >= LEAST_ORDERS
    told = mine if is_own else every
    return Measured(
        symbol=symbol,
        costs=(paid / contracts).quantize(_CENT, ROUND_HALF_UP),
        slippage=_average(told) if told else _TABLE_SLIPPAGE,
        fills=len(fills),
        orders=len(told),
        own=is_own,
        hours={hour: (_average(own[hour]), len(own[hour])) for hour in sorted(own) if len(own[hour]) >= LEAST_ORDERS},
    )


def _ticks(number: int) -> str:
    return "1 tick" if number == 1 else f"{number} ticks"


def _average(ticks: Sequence[Decimal]) -> int:
    """Return whole ticks, never below 0: no simulation counts on fills that are better than asked for."""
    return max(int((sum(ticks, Decimal(0)) / len(ticks)).to_integral_value(ROUND_HALF_UP)), 0)
