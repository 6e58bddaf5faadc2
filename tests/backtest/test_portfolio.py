"""Several strategies on one account: who is let in, what that changes, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal as D

import numpy as np
import pytest

from backtest import codes
from backtest.outcomes import Rules
from backtest.portfolio import Member, Portfolio, Sharing, portfolio
from backtest.results import backtest
from backtest.simulation import Prepared, Stretch, Terms
from backtest.trades import UNIT
from market.bars import Bars, epoch
from market.contracts import Contract
from market.plans import Management, frames
from market.sessions import regular_session
from tests.backtest import toys
from tests.backtest.toys import MNQ

SESSION = regular_session(date(2026, 11, 18))
TERMS = Terms(1, slippage=0, costs=D("0.61"))
DATES = (SESSION.trade_date,)
MES = Contract("CON.F.US.MES.Z26", "MES", D("0.25"), D("1.25"))


def bought(name: str, *times: tuple[int, int], contract: Contract = MNQ, target: int = 5) -> Member:
    """Return a strategy that buys at market at the close of the minutes that are given, after 09:30 New York.

    times   (minute, side); the price rises a tick a minute, a target is `target` ticks away, a stop 40
    """
    at = np.arange(epoch(SESSION.opens_at), epoch(SESSION.closes_at), 60, np.int64)
    price = 80_000 + np.maximum(0, (at - epoch(SESSION.rth_opens_at)) // 60)
    bars = Bars(at, price, price + 1, price - 1, price, np.ones_like(at))
    rows = np.searchsorted(at, epoch(SESSION.rth_opens_at) + 60 * np.array([minute for minute, _ in times]))
    signals = np.zeros((len(rows), codes.SIGNAL_COLUMNS), np.int64)
    signals[:, codes.ROW], signals[:, codes.QUANTITY] = rows, 1
    for number, (_, side) in enumerate(times):
        first = codes.LONG if side > 0 else codes.SHORT
        signals[number, first + codes.KIND] = 1
        signals[number, first + codes.STOP_TICKS], signals[number, first + codes.TARGET_TICKS] = 40, target
        signals[number, first + codes.EXPIRES] = epoch(SESSION.closes_at)
    stretch = Stretch(contract, bars, (SESSION,), None, SESSION.trade_date, SESSION.trade_date)
    made = frames(bars, (SESSION,), (), None)
    return Member(name, (Prepared(stretch, made, made.flat_by, signals, Management()),), TERMS)


def run(*members: Member, sharing: Sharing | None = None, rules: Rules | None = None) -> Portfolio:
    return portfolio(members, DATES, sharing or Sharing(), rules=rules)


def entered(found: Portfolio) -> list[tuple[str, int]]:
    """Return the entries: whose, and in which minute after 09:30."""
    trades = found.result.simulated.trades
    rows = zip(trades.stretch.tolist(), trades.entered_at.tolist(), strict=True)
    return sorted((found.owners[at], (moment - epoch(SESSION.rth_opens_at)) // 60) for at, moment in rows)


class TestOneAContract:
    def test_an_entry_waits_for_nobody_and_is_denied(self):
        # first buys at the open of 11 and takes 5 ticks once 16 has traded through: out in minute 15's bar (its high)
        found = run(bought("first", (10, 1)), bought("second", (12, 1), (30, 1)))
        assert entered(found) == [("first", 11), ("second", 31)]
        first, second = found.parts
        assert (first.contract_taken, second.contract_taken, second.trades) == (0, 1, 1)
        assert second.alone == 2 * second.net

    def test_of_two_at_one_close_the_one_named_first_enters(self):
        members = bought("first", (10, 1)), bought("second", (10, 1))
        assert entered(run(*members)) == [("first", 11)]
        assert entered(run(*reversed(members))) == [("second", 11)]

    def test_what_is_denied_lets_in_what_came_after_it(self):
        """Alone `second` would hold from 12 on and refuse its own signal of 18; `third` would find `second` there."""
        members = (
            bought("first", (10, 1)),
            bought("second", (12, 1), (18, 1), target=30),
            bought("third", (17, 1), target=2),
        )
        assert entered(run(*members)) == [("first", 11), ("third", 18)]
        assert [part.contract_taken for part in run(*members).parts] == [0, 2, 0]

    def test_products_do_not_stand_in_each_others_way(self):
        found = run(bought("first", (10, 1)), bought("second", (10, 1), contract=MES))
        assert entered(found) == [("first", 11), ("second", 11)]
        # 5 ticks of $0.50 and of $1.25, less $1.22 each
        assert (found.result.statistics.net, [part.net for part in found.parts]) == (6.31, [1.28, 5.03])

    def test_both_may_where_the_account_says_so(self):
        found = run(bought("first", (10, 1)), bought("second", (12, 1)), sharing=Sharing(one_a_contract=False))
        assert entered(found) == [("first", 11), ("second", 13)]


def test_no_more_than_so_many_are_at_work_at_once():
    members = (
        bought("first", (10, 1)),
        bought("second", (11, 1), contract=MES),
        bought("third", (12, 1), (40, 1), contract=replace(MES, symbol="MGC")),
    )
    found = run(*members, sharing=Sharing(most=2))
    assert entered(found) == [("first", 11), ("second", 12), ("third", 41)]
    assert [part.too_many for part in found.parts] == [0, 0, 1]


def test_the_account_is_judged_by_what_all_do_together():
    """Each loses 40 ticks of $0.50 and $1.22 at the end of a rising morning: one survives $40, two do not."""
    rules = Rules("small", start=D(1000), maximum_loss=D(40))
    one, other = (
        bought("one", (10, -1), target=0),
        bought("other", (10, -1), target=0, contract=replace(MNQ, symbol="NQ")),
    )
    assert str(run(one, rules=rules).result.outcome.result) == "neither"
    assert str(run(one, other, rules=rules).result.outcome.result) == "breached"


def test_one_strategy_is_its_own_backtest():
    job = toys.job()
    params = toys.Parameters()
    single = backtest(job.planner, params, job.stretches, job.sessions, job.terms)
    found = portfolio([Member("toy", single.prepared, job.terms)], job.sessions, Sharing())
    assert found.result.days.net.tolist() == single.days.net.tolist()
    assert found.result.days.low.tolist() == single.days.low.tolist()
    assert found.result.statistics.net == single.statistics.net
    assert found.result.statistics.otherwise_net == single.statistics.otherwise_net
    assert found.result.statistics.groups["strategy"][0].net == int(single.simulated.trades.net.sum()) / UNIT


def test_strategies_need_names_of_their_own():
    with pytest.raises(ValueError, match="different names, not one, one"):
        run(bought("one", (10, 1)), bought("one", (20, 1)))
    with pytest.raises(ValueError, match="not none"):
        run()
