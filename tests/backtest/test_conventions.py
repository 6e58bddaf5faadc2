"""What a bar does to orders, positions and their management, worked out by hand and run through the compiled loop."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest

from backtest.codes import O_ENDING, Ending, Policy, Reason, Refusal
from backtest.simulation import Prepared, Simulated, Stretch, Terms, flat_times, signals_of, simulate
from market.bars import Bar, Bars, epoch
from market.contracts import Contract
from market.plans import Kind, Management, Partial, Plan, PlanSide, frames
from market.sessions import Session, regular_session

MNQ = Contract("CON.F.US.MNQ.Z26", "MNQ", D("0.25"), D("0.5"))
DAY = date(2026, 11, 18)
SESSION = regular_session(DAY)
OPEN = epoch(SESSION.rth_opens_at)
TERMS = Terms(quantity=2, slippage=1, costs=D("0.61"))
UNMANAGED = Management()
AWAY = 50  # minutes after which an entry ends


def run(
    rows: list[tuple[int, int, int, int]],
    *,
    long: tuple[Kind, int, int, int] | None = None,
    short: tuple[Kind, int, int, int] | None = None,
    management: Management = UNMANAGED,
    terms: Terms = TERMS,
    start: int = OPEN,
    again: int | None = None,
    trail: int = 0,
    out: int | None = None,
    details: list[Bar] | None = None,
    expires: int = AWAY,
    session: Session = SESSION,
) -> Simulated:
    """Simulate minutes (open, high, low, close) from `start` on; the sides (kind, price, stop, target) are placed at
    the close of the first, once more at that of row `again`; an exit of both directions at row `out`.
    """
    bars = Bars.of([Bar(start + 60 * row, *prices) for row, prices in enumerate(rows)])
    made = frames(bars, [session], ())
    length = len(bars)
    sides = {}
    for name, asked in (("long", long), ("short", short)):
        side = sides[name] = PlanSide.nothing(length)
        for row in [] if asked is None else [0] if again is None else [0, again]:
            side.kind[row], side.price[row], side.stop_ticks[row], side.target_ticks[row] = asked
            side.expires_at[row] = start + 60 * (row + expires)
    oco, leave = np.zeros(length, np.bool_), np.zeros(length, np.bool_)
    oco[0] = long is not None and short is not None
    if out is not None:
        leave[out] = True
    plan = Plan(sides["long"], sides["short"], oco, leave, leave, np.full(length, trail))
    signals = signals_of(plan, management, terms.quantity, MNQ)
    day = session.trade_date
    stretch = Stretch(MNQ, bars, (session,), None, day, day, details=Bars.of(details) if details else None)
    return simulate([Prepared(stretch, made, flat_times(made, management), signals, management)], terms)


def told(found: Simulated) -> list[tuple[int, int, Reason, int]]:
    """Return entry, exit, reason and contracts of each trade."""
    trades = found.trades
    columns = (trades.entry, trades.exit, trades.reason, trades.quantity)
    return [(a, b, Reason(c), d) for a, b, c, d in zip(*(column.tolist() for column in columns), strict=True)]


BUY = (Kind.STOP, 110, 20, 30)
SELL = (Kind.STOP, 90, 20, 30)
FIRST = (100, 101, 99, 100)


class TestEntries:
    def test_an_order_lives_from_the_next_open_and_its_legs_hang_on_the_fill(self):
        found = run([FIRST, (100, 112, 100, 111), (111, 145, 111, 140)], long=BUY)
        assert told(found) == [(111, 141, Reason.TARGET, 2)]  # 110 and a tick of slippage, 30 above that

    def test_the_bar_of_the_signal_fills_nothing(self):
        assert told(run([(100, 130, 70, 100), FIRST], long=BUY, short=SELL)) == []

    def test_a_gap_fills_at_the_open(self):
        assert told(run([FIRST, (115, 116, 114, 115), (115, 115, 90, 92)], long=BUY)) == [(116, 95, Reason.STOP, 2)]

    def test_the_pair_fills_the_side_nearer_to_the_open_and_cancels_the_other(self):
        found = run([FIRST, (105, 111, 104, 110), (110, 112, 85, 88)], long=BUY, short=SELL)
        assert told(found) == [(111, 90, Reason.STOP, 2)]
        assert found.orders[0][:, O_ENDING].tolist() == [Ending.FILLED, Ending.CANCELLED]

    def test_both_sides_in_one_bar_give_up_for_the_session(self):
        rows = [FIRST, (100, 111, 89, 100), (99, 100, 98, 99), FIRST, (100, 112, 100, 111)]
        wide = (Kind.STOP, 110, 60, 90), (Kind.STOP, 90, 60, 90)
        found = run(rows, long=wide[0], short=wide[1], again=3)
        assert told(found) == [(111, 89, Reason.OPPOSITE, 2)]  # equally near: the long first, the short closes it
        assert found.refused[Refusal.HALTED] == 1

    def test_an_entry_ends_at_its_time(self):
        found = run([FIRST, FIRST, FIRST, (100, 115, 100, 114)], long=BUY, expires=3)
        assert told(found) == []
        assert found.orders[0][:, O_ENDING].tolist() == [Ending.EXPIRED]

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            ((Kind.STOP, 100, 20, 30), Refusal.PRICE),  # the close has reached it
            ((Kind.STOP, 110, 3, 30), Refusal.DISTANCE),
        ],
    )
    def test_what_the_gate_denies_is_not_placed(self, asked, why):
        found = run([FIRST, (100, 130, 100, 130)], long=asked)
        assert (told(found), found.refused[why]) == ([], 1)

    @pytest.mark.parametrize(("risk", "contracts"), [(D(20), [2]), (D("19.99"), [1]), (D("9.99"), [])])
    def test_an_entry_is_made_smaller_than_its_size_by_the_risk_it_may_have(self, risk, contracts):
        """20 ticks of $0.50 to the stop are $10 a contract."""
        found = run([FIRST, (100, 112, 100, 111), (111, 145, 111, 140)], long=BUY, management=Management(risk=risk))
        assert [quantity for *_, quantity in told(found)] == contracts
        assert found.refused[Refusal.SIZE] == (not contracts)

    def test_while_a_position_is_open_another_entry_is_passed_over(self):
        found = run([FIRST, (100, 112, 100, 111), FIRST, FIRST], long=BUY, again=2)
        assert found.refused[Refusal.HELD] == 1

    def test_nothing_is_placed_from_the_flat_time_on(self):
        found = run([FIRST, (100, 130, 100, 130)], long=BUY, start=OPEN + 6 * 3600 + 29 * 60)
        assert found.refused[Refusal.WINDOW] == 1


class TestSameBar:
    ROWS = [FIRST, (100, 112, 100, 111), (111, 142, 90, 120), FIRST]  # reaches the target 141 and the stop 91

    def test_pessimistic_takes_the_stop(self):
        assert told(run(self.ROWS, long=BUY)) == [(111, 90, Reason.STOP, 2)]

    def test_optimistic_takes_the_target(self):
        terms = Terms(quantity=2, slippage=1, policy=Policy.OPTIMISTIC)
        assert told(run(self.ROWS, long=BUY, terms=terms)) == [(111, 141, Reason.TARGET, 2)]

    @pytest.mark.parametrize(
        ("first", "reason"), [((111, 142, 111, 142), Reason.TARGET), ((111, 111, 90, 90), Reason.STOP)]
    )
    def test_detail_bars_say_which_came_first(self, first, reason):
        terms = Terms(quantity=2, slippage=1, policy=Policy.DETAIL)
        later = (142, 142, 90, 120) if reason is Reason.TARGET else (90, 142, 90, 120)
        pieces = [Bar(OPEN + 120, *first), Bar(OPEN + 150, *later)]
        assert told(run(self.ROWS, long=BUY, terms=terms, details=pieces))[0][2] is reason


class TestManagement:
    def test_breakeven_moves_the_stop_from_the_next_bar_on(self):
        rows = [FIRST, (100, 112, 100, 111), (111, 126, 105, 124), (124, 124, 100, 101)]
        found = run(rows, long=BUY, management=Management(breakeven_ticks=15))
        assert told(found) == [(111, 110, Reason.BREAKEVEN, 2)]

    def test_the_bar_of_the_fill_counts_by_its_close_alone(self):
        rows = [FIRST, (100, 126, 100, 111), (111, 112, 95, 96), (96, 97, 90, 91)]
        found = run(rows, long=BUY, management=Management(breakeven_ticks=15))
        assert told(found) == [(111, 90, Reason.STOP, 2)]

    def test_the_trailing_stop_follows_the_best_closed_bar(self):
        rows = [FIRST, (100, 112, 100, 111), (111, 130, 111, 128), (128, 128, 119, 120)]
        assert told(run(rows, long=BUY, trail=10)) == [(111, 119, Reason.TRAIL, 2)]  # 130 - 10 and a tick

    def test_a_part_is_closed_at_the_open_after_its_profit_was_reached(self):
        rows = [FIRST, (100, 112, 100, 111), (111, 131, 111, 130), (129, 129, 120, 120), (120, 145, 120, 144)]
        found = run(rows, long=BUY, management=Management(partials=(Partial(D(1), D("0.5")),)))
        assert told(found) == [(111, 128, Reason.PARTIAL, 1), (111, 141, Reason.TARGET, 1)]

    def test_a_position_is_held_no_longer_than_allowed(self):
        rows = [FIRST, (100, 112, 100, 111), *[(111, 112, 110, 111)] * 6]
        found = run(rows, long=BUY, management=Management(hold=timedelta(minutes=3)))
        assert told(found) == [(111, 110, Reason.HOLD, 2)]
        assert (found.trades.exited_at - found.trades.entered_at).tolist() == [
            4 * 60
        ]  # filled in it, 3 minutes after it

    def test_an_exit_of_the_plan_closes_at_the_next_open(self):
        rows = [FIRST, (100, 112, 100, 111), (111, 112, 110, 111), (113, 114, 112, 113)]
        assert told(run(rows, long=BUY, out=2)) == [(111, 112, Reason.SIGNAL, 2)]

    @pytest.mark.parametrize(("own", "minute"), [(None, 390), (time(15, 30), 360), (time(16, 30), 390)])
    def test_flat_at_the_strategys_time_or_the_accounts_limit(self, own, minute):
        rows = [FIRST, (100, 112, 100, 111), *[(111, 112, 110, 111)] * 400]
        found = run(rows, long=BUY, management=Management(flat_at=own))
        assert told(found) == [(111, 110, Reason.FLAT, 2)]
        assert found.trades.exited_at.tolist() == [OPEN + 60 * minute]

    def test_without_further_bars_the_session_closes_at_the_last_close(self):
        assert told(run([FIRST, (100, 112, 100, 111)], long=BUY)) == [(111, 110, Reason.END, 2)]


class TestMoney:
    def test_costs_are_those_of_both_sides(self):
        trades = run([FIRST, (100, 112, 100, 111), (111, 145, 111, 140)], long=BUY).trades
        assert (trades.gross.tolist(), trades.costs.tolist()) == ([300_000], [24_400])  # 30 x 2 x 0.50; 4 x 0.61

    def test_worst_and_best_open_result(self):
        rows = [FIRST, (100, 112, 100, 111), (111, 138, 95, 100), (100, 145, 98, 144)]
        trades = run(rows, long=BUY).trades
        assert (trades.adverse.tolist(), trades.favourable.tolist()) == ([-16], [30])

    def test_more_partial_targets_than_the_kernel_knows_are_refused(self):
        parts = tuple(Partial(D(number), D("0.1")) for number in range(1, 6))
        plan = SimpleNamespace(long=PlanSide.nothing(1), short=PlanSide.nothing(1))
        with pytest.raises(ValueError, match="5 partial targets"):
            signals_of(plan, Management(partials=parts), 10, MNQ)  # type: ignore[arg-type]


class TestSlippageByHour:
    """Each fill slips by what its own minute's hour in New York costs, whatever the other hours do."""

    ROWS = ((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 60, 60))  # stopped in the last

    @pytest.mark.parametrize(
        ("start", "hours", "entry", "exit_"),
        [
            (OPEN + 28 * 60, {9: 2, 10: 5}, 102, 102 - 30 - 5),  # 09:59 to 10:01: entered at 09:59 and stopped at 10:01
            (OPEN - 60 * 60, {8: 3}, 103, 103 - 30 - 3),
            (OPEN - 15 * 3600 - 30 * 60, {18: 4}, 104, 104 - 30 - 4),  # the evening before, 18:00
        ],
    )
    def test_entry_and_stop_take_the_ticks_of_their_own_hours(self, start, hours, entry, exit_):
        hourly = tuple(hours.get(hour, 0) for hour in range(24))
        terms = Terms(quantity=2, slippage=9, hourly=hourly)
        found = run(list(self.ROWS), long=(Kind.MARKET, 0, 30, 0), start=start, terms=terms)
        assert told(found) == [(entry, exit_, Reason.STOP, 2)]

    def test_an_hour_is_new_yorks_in_summer_too(self):
        summer = regular_session(date(2026, 7, 1))
        terms = Terms(quantity=2, hourly=tuple(range(24)))  # as many ticks as the hour has
        found = run(
            list(self.ROWS),
            long=(Kind.MARKET, 0, 30, 0),
            start=epoch(summer.rth_opens_at),
            terms=terms,
            session=summer,
        )
        assert told(found) == [(109, 109 - 30 - 9, Reason.STOP, 2)]

    @pytest.mark.parametrize("hourly", [(1,) * 23, (1,) * 23 + (-1,)])
    def test_wants_one_value_an_hour_and_none_below_nothing(self, hourly):
        with pytest.raises(ValueError, match=r"hour|slippage"):
            Terms(1, hourly=hourly)
