"""A plan over years of bars: stretches of one contract without a hole, each through the kernel, joined as trades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from backtest import compiled
from backtest.codes import (
    ADDS,
    BREAKEVEN,
    EXIT_LONG,
    EXIT_SHORT,
    EXPIRES,
    KIND,
    LONG,
    MOST_PARTIALS,
    O_SIGNAL,
    OCO,
    PARTIALS,
    PARTS,
    PRICE,
    QUANTITY,
    REFUSALS,
    ROW,
    SHORT,
    SIGNAL_COLUMNS,
    STOP_TICKS,
    T_ENTRY,
    T_ENTRY_ROW,
    T_EXIT,
    T_EXIT_ROW,
    T_ORDER,
    T_QUANTITY,
    T_REASON,
    T_SIDE,
    TARGET_TICKS,
    TRAIL_TICKS,
    Policy,
)
from backtest.trades import Trades, units
from market.bars import Bars, Int, Timeframe, epoch
from market.contracts import Contract
from market.plans import Frames, Kind, Management, Plan, PlanSide, frames
from market.sessions import NEW_YORK, Session, at_local, regular_session

EPOCH = date(1970, 1, 1).toordinal()
HOURS = 24
_NEW_YORK = ZoneInfo(NEW_YORK)
LEAST_STOP = 4  # ticks: the venue refuses a stop bracket nearer than this


class Planner(Protocol):
    """The part of a strategy that a simulation needs; see `strategies.Strategy`."""

    @property
    def plan(self) -> Callable[[Frames, Any, Contract], Plan]: ...
    @property
    def management(self) -> Callable[[Any, Contract], Management]: ...
    @property
    def timeframes(self) -> Callable[[Any], tuple[Timeframe, ...]]: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bars of one contract month over which a strategy sees one daily series.

    base        1-minute bars, those that only warm up included
    sessions    calendar of the days that `base` covers
    daily       daily series as it was known when the last session opened; None makes it of `base`
    first, last trade dates (inclusive) on which the strategy may place orders
    seen_until  epoch seconds after which no bar is seen by the strategy: the first minute that is not known
    details     shorter bars of the same minutes, for the DETAIL policy
    """

    contract: Contract
    base: Bars
    sessions: tuple[Session, ...]
    daily: Bars | None
    first: date
    last: date
    seen_until: int | None = None
    details: Bars | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a simulation assumes.

    quantity   contracts of each entry
    slippage   ticks against us on every market and stop order
    hourly     the same by the hour of New York, 0 to 23, in which the order fills; empty: `slippage` at any hour
    costs      dollars a contract and side
    """

    quantity: int
    slippage: int = 1
    costs: Decimal = Decimal(0)
    policy: Policy = Policy.PESSIMISTIC
    hourly: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.quantity < 1 or self.costs < 0 or min((self.slippage, *self.hourly)) < 0:
            raise ValueError(
                f"quantity {self.quantity}, slippage {self.slippage} or costs {self.costs} are not possible"
            )
        if len(self.hourly) not in (0, HOURS):
            raise ValueError(f"slippage by hour has {len(self.hourly)} values: one for each of {HOURS} hours")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stretch with its plan as the kernel takes them: what does not depend on terms."""

    stretch: Stretch
    frames: Frames
    flat_at: Int
    signals: Int
    management: Management


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation did.

    orders    per stretch the entries, columns of `backtest.codes`; `signals` the rows that their O_SIGNAL counts
    refused   how many signals were not placed, by `Refusal`
    """

    trades: Trades
    orders: tuple[Int, ...]
    signals: tuple[Int, ...]
    refused: Int


def frames_of(planner: Planner, params: Any, stretch: Stretch) -> Frames:
    """Return what the strategy sees in a stretch; the same for all parameters that ask for the same timeframes."""
    return frames(stretch.base, stretch.sessions, planner.timeframes(params), stretch.daily)


def prepare(planner: Planner, params: Any, stretch: Stretch, *, quantity: int, made: Frames | None = None) -> Prepared:
    """Return the plan of a stretch, made once for any terms of this quantity. `made`: its frames if they are there."""
    made = made or frames_of(planner, params, stretch)
    managed = planner.management(params, stretch.contract)
    plan = planner.plan(made, params, stretch.contract)
    signals = signals_of(plan, managed, quantity, stretch.contract)
    dates = made.trade_date[signals[:, ROW]]
    mine = (dates >= _days(stretch.first)) & (dates <= _days(stretch.last))
    if stretch.seen_until is not None:
        mine &= made.base.opened_at[signals[:, ROW]] < stretch.seen_until
    return Prepared(stretch, made, flat_times(made, managed), np.ascontiguousarray(signals[mine]), managed)


def simulate(prepared: Sequence[Prepared], terms: Terms) -> Simulated:
    """Run the plans through the kernel, which the first call of an installation compiles; see `backtest.compiled`."""
    loop = compiled.kernel()
    parts, orders, refused = [], [], np.zeros(REFUSALS, np.int64)
    for number, one in enumerate(prepared):
        bars, managed = one.frames.base, one.management
        columns = (*bars.columns[:5], one.frames.trade_date, one.flat_at, one.frames.tradeable)
        arguments: tuple[Any, ...] = (
            *map(np.ascontiguousarray, columns),
            one.signals,
            *_details(one, terms),
            _slippages(bars.opened_at, terms),
            managed.breakeven_offset_ticks,
            int(managed.hold.total_seconds()) if managed.hold else 0,
            managed.max_adds,
            int(terms.policy),
            LEAST_STOP,
        )
        placed, closed, denied = loop.run(*arguments)
        parts.append(_trades(number, one, placed, closed, terms))
        orders.append(placed)
        refused += denied
    return Simulated(Trades.join(parts), tuple(orders), tuple(one.signals for one in prepared), refused)


def _slippages(opened_at: Int, terms: Terms) -> Int:
    """Return the ticks of all bars, or of each hour from that of the first bar on."""
    if not terms.hourly or not len(opened_at):
        return np.array([terms.slippage], np.int64)
    hours = np.arange(opened_at[0] // 3600, opened_at[-1] // 3600 + 1)
    days = hours // HOURS
    ahead = np.array([_ahead(day) for day in range(int(days[0]), int(days[-1]) + 1)], np.int64)
    ticks: Int = np.array(terms.hourly, np.int64)[(hours + ahead[days - days[0]]) % HOURS]
    return ticks


@cache
def _ahead(day: int) -> int:
    """Return the hours that New York is ahead of UTC at noon; it changes its clocks while no session is open."""
    noon = datetime.combine(date.fromordinal(EPOCH + day), time(12), UTC).astimezone(_NEW_YORK)
    return int((noon.utcoffset() or timedelta()) // timedelta(hours=1))


def signals_of(plan: Plan, managed: Management, quantity: int, contract: Contract) -> Int:
    """Return the rows of a plan that ask for something, as the kernel takes them.

    quantity   contracts of an entry, at most: fewer where they would lose more than `managed.risk`, 0 where one would
    Raises ValueError for more partial targets than the kernel knows.
    """
    if len(managed.partials) > MOST_PARTIALS:
        raise ValueError(f"{len(managed.partials)} partial targets: at most {MOST_PARTIALS} can be simulated")
    asking = (plan.long.kind != Kind.NONE) | (plan.short.kind != Kind.NONE) | plan.exit_long | plan.exit_short
    rows = np.flatnonzero(asking)
    signals = np.zeros((len(rows), SIGNAL_COLUMNS), np.int64)
    signals[:, ROW], signals[:, OCO] = rows, plan.oco[rows]
    signals[:, EXIT_LONG], signals[:, EXIT_SHORT] = plan.exit_long[rows], plan.exit_short[rows]
    signals[:, TRAIL_TICKS] = plan.trail_ticks[rows]
    if plan.adds is not None:
        signals[:, ADDS] = plan.adds[rows]
    for side, first in ((plan.long, LONG), (plan.short, SHORT)):
        _fill_side(signals[:, first:], side, rows, managed)
    _size(signals, managed, quantity, contract)
    return signals


def _size(signals: Int, managed: Management, quantity: int, contract: Contract) -> None:
    """Write how many contracts each row asks for, and how many of them each partial target closes."""
    signals[:, QUANTITY] = quantity
    if managed.risk:
        farthest = np.maximum(signals[:, LONG + STOP_TICKS], signals[:, SHORT + STOP_TICKS])
        stops, which = np.unique(farthest, return_inverse=True)
        sizes = [managed.quantity(quantity, stop, contract) if stop else 0 for stop in stops.tolist()]
        signals[:, QUANTITY] = np.array(sizes, np.int64)[which]
    for size in set(signals[:, QUANTITY].tolist()) - {0} if managed.partials else ():
        shares = managed.partial_quantities(size)
        signals[signals[:, QUANTITY] == size, PARTS : PARTS + len(shares)] = shares


def flat_times(made: Frames, managed: Management) -> Int:
    """Return per bar when its session is flat: the account's limit, or the strategy's own time if that is earlier."""
    if managed.flat_at is None:
        return made.flat_by
    opens, which = np.unique(made.session_open, return_inverse=True)
    firsts = np.searchsorted(made.session_open, opens)
    own = [_flat_at(int(made.trade_date[row]), managed) for row in firsts.tolist()]
    return np.minimum(made.flat_by, np.array(own, np.int64)[which])


def _fill_side(columns: Int, side: PlanSide, rows: Int, managed: Management) -> None:
    columns[:, KIND], columns[:, PRICE] = side.kind[rows], side.price[rows]
    columns[:, STOP_TICKS], columns[:, TARGET_TICKS] = side.stop_ticks[rows], side.target_ticks[rows]
    columns[:, EXPIRES] = side.expires_at[rows]

    @cache
    def goals(stop: int) -> tuple[int, ...]:
        return (managed.breakeven_at(stop), *managed.partial_at(stop))

    if managed.breakeven_ticks or managed.breakeven_r or managed.partials:
        for number, stop in enumerate(columns[:, STOP_TICKS].tolist()):
            columns[number, BREAKEVEN], *parts = goals(stop)
            columns[number, PARTIALS : PARTIALS + len(parts)] = parts


@cache
def _session_of(day: int) -> Session:
    return regular_session(date.fromordinal(EPOCH + day))


def _flat_at(day: int, managed: Management) -> int:
    if managed.flat_at is None:
        raise ValueError("the strategy has no flat time of its own")
    return epoch(at_local(_session_of(day), managed.flat_at, managed.zone))


def _details(one: Prepared, terms: Terms) -> tuple[Int, Int]:
    """Return the shorter bars and where those of each minute begin."""
    base, shorter = one.frames.base, one.stretch.details
    if terms.policy is not Policy.DETAIL or shorter is None:
        return np.zeros((0, 4), np.int64), np.zeros(len(base) + 1, np.int64)
    edges = np.append(base.opened_at, base.opened_at[-1:] + Timeframe.M1.seconds)
    inside = np.searchsorted(base.opened_at, shorter.opened_at, "right") - 1
    known = (inside >= 0) & (shorter.opened_at < base.opened_at[np.maximum(inside, 0)] + Timeframe.M1.seconds)
    kept = Bars(*(column[known] for column in shorter.columns))
    return np.ascontiguousarray(np.stack(kept.columns[1:5], axis=1)), np.searchsorted(kept.opened_at, edges)


def _trades(number: int, one: Prepared, orders: Int, closed: Int, terms: Terms) -> Trades:
    from backtest.excursions import excursions

    bars, contract = one.frames.base, one.stretch.contract
    rows, exits, side, quantity = (closed[:, column] for column in (T_ENTRY_ROW, T_EXIT_ROW, T_SIDE, T_QUANTITY))
    first = orders[closed[:, T_ORDER]]
    extremes: tuple[Any, ...] = (np.ascontiguousarray(bars.high), np.ascontiguousarray(bars.low), closed)
    worst, best = excursions(*extremes)
    tick = units(contract.tick_value)
    earned = (closed[:, T_EXIT] - closed[:, T_ENTRY]) * side * quantity * tick
    costs = 2 * units(terms.costs) * quantity
    stops = np.where(
        side > 0,
        one.signals[first[:, O_SIGNAL], LONG + STOP_TICKS],
        one.signals[first[:, O_SIGNAL], SHORT + STOP_TICKS],
    )
    return Trades(
        stretch=np.full(len(closed), number, np.int64),
        order=closed[:, T_ORDER],
        trade_date=one.frames.trade_date[rows],
        side=side,
        quantity=quantity,
        entry_row=rows,
        exit_row=exits,
        entered_at=bars.opened_at[rows],
        exited_at=bars.opened_at[exits],
        entry=closed[:, T_ENTRY],
        exit=closed[:, T_EXIT],
        stop_ticks=stops,
        reason=closed[:, T_REASON],
        tick_value=np.full(len(closed), tick, np.int64),
        adverse=worst,
        favourable=best,
        gross=earned,
        costs=costs,
        net=earned - costs,
    )


def _days(day: date) -> int:
    return day.toordinal() - EPOCH
