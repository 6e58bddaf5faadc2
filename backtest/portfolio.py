"""Several strategies on one account: each simulated by itself, but for the entries that the account lets not in.

Every session ends flat, so what strategies do to each other ends with it. In each session the first entry that another
strategy stands in the way of is taken away and its strategy simulated again, until nothing is in the way: what comes
before that entry cannot change any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from backtest.codes import KIND, LONG, O_ROW, O_SIGNAL, ROW, SHORT, Policy
from backtest.outcomes import Rules
from backtest.results import Result, of
from backtest.simulation import Prepared, Simulated, Terms, simulate
from backtest.statistics import Statistics, grouped
from backtest.trades import UNIT, Trades
from market.bars import Int, Timeframe


@dataclass(frozen=True, slots=True)
class Member:
    """A strategy of the account with its plans; two of one name are a mistake."""

    name: str
    prepared: tuple[Prepared, ...]
    terms: Terms


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the account lets its strategies do.

    one_a_contract   no entry where another strategy has orders or a position in the product
    most             strategies at work at once; None for no limit
    """

    one_a_contract: bool = True
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one strategy adds: `net` beside the others, `alone` by itself, dollars; entries not let in, by reason."""

    name: str
    trades: int
    net: float
    alone: float
    contract_taken: int
    too_many: int


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The account's result; `owners` names the strategy of each stretch of it."""

    result: Result
    parts: tuple[Part, ...]
    owners: tuple[str, ...]


@dataclass(slots=True)
class _Seat:
    """A strategy while it is fitted in: its plans without what was denied."""

    member: Member
    prepared: list[Prepared]
    terms: Terms
    simulated: Simulated
    taken: int = 0
    crowded: int = 0
    works: dict[int, list[_Work]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class _Work:
    """A strategy is at work in a product from the close of the signal's bar to that of the bar that ended it."""

    begins: int
    seat: int
    ends: int
    stretch: int
    symbol: str


def portfolio(
    members: Sequence[Member],
    sessions: Sequence[date],
    sharing: Sharing,
    *,
    rules: Rules | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Portfolio:
    """Return what the strategies do together; of two that signal at one close the one named first is asked first.

    Raises ValueError without a strategy, and for two of one name.
    """
    names = [member.name for member in members]
    if not members or len(set(names)) < len(names):
        raise ValueError(f"a portfolio wants strategies of different names, not {', '.join(names) or 'none'}")
    policy = members[0].terms.policy
    other = Policy.PESSIMISTIC if policy is Policy.OPTIMISTIC else Policy.OPTIMISTIC
    seats = _seated(members, sharing, policy)
    progress(1, 2)
    prepared = tuple(one for member in members for one in member.prepared)
    otherwise = _joined(_seated(members, sharing, other))
    result = of(prepared, members[0].terms, _joined(seats), otherwise.trades, sessions, rules=rules)
    owners = tuple(member.name for member in members for _ in member.prepared)
    strategies = grouped(result.simulated.trades, [owners[at] for at in result.simulated.trades.stretch.tolist()], str)
    told: Statistics = replace(result.statistics, groups={"strategy": strategies, **result.statistics.groups})
    progress(2, 2)
    return Portfolio(replace(result, statistics=told), tuple(map(_part, seats)), owners)


def _part(seat: _Seat) -> Part:
    mine, alone = seat.simulated.trades, simulate(seat.member.prepared, seat.terms).trades
    net, by_itself = (round(int(trades.net.sum()) / UNIT, 2) for trades in (mine, alone))
    return Part(seat.member.name, len(mine), net, by_itself, seat.taken, seat.crowded)


def _joined(seats: Sequence[_Seat]) -> Simulated:
    """Return all as one simulation, its trades by session in the order of the exits."""
    parts, before = [], 0
    for seat in seats:
        parts.append(replace(seat.simulated.trades, stretch=seat.simulated.trades.stretch + before))
        before += len(seat.prepared)
    trades = Trades.join(parts)
    return Simulated(
        trades=trades[np.lexsort((trades.exited_at, trades.trade_date))],
        orders=tuple(orders for seat in seats for orders in seat.simulated.orders),
        signals=tuple(signals for seat in seats for signals in seat.simulated.signals),
        refused=np.sum([seat.simulated.refused for seat in seats], axis=0),
    )


def _seated(members: Sequence[Member], sharing: Sharing, policy: Policy) -> list[_Seat]:
    """Return the strategies as the account lets them trade."""
    seats = []
    for number, member in enumerate(members):
        terms = replace(member.terms, policy=policy)
        seat = _Seat(member, list(member.prepared), terms, simulate(member.prepared, terms))
        seat.works = _works(number, seat)
        seats.append(seat)
    open_dates = {day for seat in seats for day in seat.works}
    while open_dates:
        changed: set[int] = set()
        for day in sorted(open_dates):
            works = sorted(work for seat in seats for work in seat.works.get(day, ()))
            found = _first_denied(works, sharing)
            if found is None:
                open_dates.discard(day)
                continue
            work, until, taken = found
            _deny(seats[work.seat], work, until, taken=taken)
            changed.add(work.seat)
        for number in changed:
            seat = seats[number]
            seat.simulated = simulate(seat.prepared, seat.terms)
            seat.works = _works(number, seat)
    return seats


def _works(number: int, seat: _Seat) -> dict[int, list[_Work]]:
    """Return by session when the strategy was at work, an entry each."""
    found: dict[int, list[_Work]] = defaultdict(list)
    trades, minute = seat.simulated.trades, Timeframe.M1.seconds
    for stretch, (one, orders) in enumerate(zip(seat.prepared, seat.simulated.orders, strict=True)):
        bars, mine = one.frames.base, trades.stretch == stretch
        last = orders[:, O_ROW].copy()
        np.maximum.at(last, trades.order[mine], trades.exit_row[mine])
        rows = one.signals[orders[:, O_SIGNAL], ROW]
        columns: tuple[Int, ...] = (one.frames.trade_date[rows], bars.opened_at[rows], bars.opened_at[last])
        for day, signalled, ended in zip(*(column.tolist() for column in columns), strict=True):
            symbol = one.stretch.contract.symbol
            found[day].append(_Work(signalled + minute, number, ended + minute, stretch, symbol))
    return found


def _first_denied(works: Sequence[_Work], sharing: Sharing) -> tuple[_Work, int, bool] | None:
    """Return the first of a session's entries that is denied, until when others would be, and if for its product."""
    for at, work in enumerate(works):
        others = [one for one in works[:at] if one.seat != work.seat and one.ends > work.begins]
        if any(one.seat == work.seat and one.ends > work.begins for one in works[:at] if one.begins < work.begins):
            continue  # at work already: nobody else could have come in its way
        same = [one.ends for one in others if one.symbol == work.symbol]
        if same and sharing.one_a_contract:
            return work, max(same), True
        if sharing.most is not None and len({one.seat for one in others}) >= sharing.most:
            return work, min(one.ends for one in others), False
    return None


def _deny(seat: _Seat, work: _Work, until: int, *, taken: bool) -> None:
    """Take the entries away that the strategy wants between this one and `until`; its exits stay."""
    one = seat.prepared[work.stretch]
    at = one.frames.base.opened_at[one.signals[:, ROW]] + Timeframe.M1.seconds
    signals = one.signals.copy()
    entries = (signals[:, LONG + KIND] != 0) | (signals[:, SHORT + KIND] != 0)
    denied = (at >= work.begins) & (at < until) & entries
    signals[denied, LONG + KIND] = signals[denied, SHORT + KIND] = 0
    seat.prepared[work.stretch] = replace(one, signals=signals)
    count = int(denied.sum())
    seat.taken, seat.crowded = seat.taken + count * taken, seat.crowded + count * (not taken)
