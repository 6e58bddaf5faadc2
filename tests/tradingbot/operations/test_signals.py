"""What a plan's rows make the live path do: exits of all unseen rows, entries of the newest, additions, reversals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import strategies as registry
from market.bars import Timeframe, epoch
from market.contracts import Contract as Spec
from market.orders import OrderStatus, Role, Side
from market.plans import Frames, Kind, Management, Partial, Plan, PlanSide
from market.products import product
from strategies.conditions import Condition
from strategies.parameters import param, parse
from tests.tradingbot.operations.orders.desk import PRICE, START, Desk
from tradingbot.models import Account, Decision, Notification, Order, Strategy
from tradingbot.operations import bars, decisions, orders, protection, venues


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    size: int = param(2, ge=1, le=10, help="Contracts of each entry")


@dataclass
class Script:
    """A strategy whose rows a test writes: minute after START at whose close -> what the row asks for."""

    rows: dict[datetime, dict[str, Any]] = field(default_factory=dict)
    management: Management = field(default_factory=Management)

    def at(self, minute: int, **asks: Any) -> None:
        self.rows[START + timedelta(minutes=minute)] = asks

    def plan(self, frames: Frames, params: Parameters, contract: Spec) -> Plan:
        length = len(frames.base)
        sides = {name: PlanSide.nothing(length) for name in ("long", "short")}
        flags = {name: np.zeros(length, np.bool_) for name in ("exit_long", "exit_short", "adds", "oco")}
        trail, reasons = np.zeros(length, np.int64), np.zeros(length, np.int64)
        for closed_at, asks in self.rows.items():
            for row in np.flatnonzero(frames.base.opened_at == epoch(closed_at) - 60).tolist():
                reasons[row] = 1
                trail[row] = asks.get("trail", 0)
                for name, column in flags.items():
                    column[row] = asks.get(name, False)
                for name, side in sides.items():
                    if name in asks:
                        side.kind[row], side.price[row] = asks[name]
                        side.stop_ticks[row], side.target_ticks[row] = 40, 200
                        side.expires_at[row] = epoch(closed_at) + asks.get("lives", 3600)
        return Plan(
            sides["long"],
            sides["short"],
            flags["oco"],
            flags["exit_long"],
            flags["exit_short"],
            trail,
            reasons=reasons,
            reason_texts=("", "the script says so"),
            adds=flags["adds"],
        )


MARKET = (Kind.MARKET, 0)


@pytest.fixture
def script(monkeypatch) -> Script:
    script = Script()
    kind = registry.Strategy(
        name="scripted",
        title="Scripted",
        parameters=Parameters,
        plan=script.plan,
        management=lambda params, contract: script.management,
        warm_up=lambda params: {Timeframe.M1: 10},
        timeframes=lambda params: (),
        suits=lambda params: frozenset(Condition),
        enabled_by_default=False,
    )
    monkeypatch.setitem(registry.STRATEGIES, "scripted", kind)
    return script


@pytest.fixture
def desk(db: None, script: Script) -> Iterator[Desk]:
    desk = Desk.open()
    desk.strategy = Strategy.objects.create(
        name="scripted", kind="scripted", account=desk.account, symbol="MNQ", enabled=True
    )
    desk.minute(0, 0, 0, 0)
    evaluate(desk)
    yield desk
    venues.forget()


def evaluate(desk: Desk) -> list[Decision]:
    """Let the live path see what has closed, as its tasks do."""
    desk.look()
    return decisions.evaluate(desk.contract, now=desk.now)


def minute(desk: Desk, *prices: int, looks: bool = True) -> list[Decision]:
    desk.minute(*(prices or (0, 0, 0, 0)))
    return evaluate(desk) if looks else []


def position(desk: Desk) -> int:
    return sum(p.quantity for p in desk.broker.positions(desk.account.broker_account_id))


def told(taken: list[Decision]) -> list[tuple[str, str]]:
    return [(decision.outcome, decision.code) for decision in taken]


def alerts() -> list[str]:
    return list(Notification.objects.filter(level__in=("alert", "warning")).values_list("title", flat=True))


@pytest.fixture
def long(desk: Desk, script: Script) -> Desk:
    """Two contracts long since the close of minute 2."""
    script.at(2, long=MARKET)
    assert told(minute(desk)) == [("ordered", "allowed")]
    desk.look()
    assert position(desk) == 2
    return desk


class TestExits:
    def test_an_exit_closes_the_position_with_its_legs(self, long: Desk, script: Script):
        script.at(3, exit_long=True)
        (decision,) = minute(long)
        assert (decision.code, decision.sentence) == ("exit", "2 MNQ closed at market: the script says so.")
        assert position(long) == 0
        assert not Order.objects.live().exists()
        assert decision.orders.get().strategy == long.strategy

    def test_an_exit_seen_late_still_closes_and_a_late_entry_does_not_keep_it(self, long: Desk, script: Script):
        script.at(3, exit_long=True, short=MARKET)
        for _ in range(8):
            minute(long, looks=False)
        assert told(evaluate(long)) == [("managed", "exit"), ("missed", "too_late")]
        assert position(long) == 0

    def test_exits_of_older_unseen_rows_count(self, long: Desk, script: Script):
        script.at(3, exit_long=True)
        script.at(4, exit_short=True)
        minute(long, looks=False)
        assert told(minute(long)) == [("managed", "exit")]
        assert position(long) == 0

    def test_near_the_daily_loss_limit_exits_are_still_done(self, long: Desk, script: Script, monkeypatch):
        monkeypatch.setattr(
            "tradingbot.operations.refusals._near_daily_loss", lambda *_: ("denied", "dll_proximity", "lost enough")
        )
        script.at(3, exit_long=True, short=MARKET)
        assert told(minute(long)) == [("managed", "exit"), ("denied", "dll_proximity")]
        assert position(long) == 0

    def test_a_halted_account_still_leaves(self, long: Desk, script: Script):
        Account.objects.update(trading_state="halted", state_reason="a test")
        script.at(3, exit_long=True)
        assert told(minute(long)) == [("managed", "exit")]
        assert position(long) == 0

    def test_an_exit_of_the_other_direction_or_without_a_position_says_nothing(self, desk: Desk, script: Script):
        script.at(2, exit_long=True, exit_short=True)
        assert minute(desk) == []
        script.at(3, long=MARKET)
        minute(desk)
        script.at(4, exit_short=True)
        assert minute(desk) == []
        assert position(desk) == 2
        desk.strategy.refresh_from_db()
        assert desk.strategy.last_evaluated_at == START + timedelta(minutes=4)

    def test_a_row_from_before_the_fill_does_not_close_what_came_later(self, desk: Desk, script: Script):
        script.at(2, long=(Kind.LIMIT, PRICE - 10))
        minute(desk)
        script.at(3, exit_long=True)
        minute(desk, 0, 0, 0, 0, looks=False)
        minute(desk, 0, 0, -12, -5, looks=False)  # fills in the minute after that row
        assert evaluate(desk) == []
        assert position(desk) == 2

    def test_the_same_bar_again_does_not_close_twice(self, long: Desk, script: Script):
        script.at(3, exit_long=True)
        minute(long)
        assert decisions.evaluate(long.contract, now=long.now) == []
        assert Order.objects.filter(role=Role.EXIT).count() == 1

    def test_a_stop_that_has_filled_leaves_nothing_to_close(self, long: Desk, script: Script):
        script.at(3, exit_long=True)
        long.minute(0, 0, -50, -45)  # the stop fills at the venue
        bars.fetch(long.contract, now=long.now)
        assert decisions.evaluate(long.contract, now=long.now) == []
        assert (position(long), Order.objects.filter(role=Role.EXIT).count()) == (0, 0)

    def test_a_crash_after_the_exit_is_committed_is_finished_by_the_sweeper(
        self, long: Desk, script: Script, monkeypatch
    ):
        class Died(BaseException):
            """The process is killed here."""

        def die(*_: object, **__: object) -> None:
            raise Died

        script.at(3, exit_long=True, short=MARKET)
        with monkeypatch.context() as patched:
            patched.setattr("tradingbot.operations.orders.send", die)
            with pytest.raises(Died):
                minute(long)
        exit = Order.objects.get(role=Role.EXIT)
        assert exit.status == OrderStatus.NEW
        assert decisions.evaluate(long.contract, now=long.now) == []  # the bar is taken; the entry is lost, not late
        orders.send(Order.objects.get(pk=exit.pk), now=long.now)
        long.settle()
        assert position(long) == 0
        assert not Order.objects.live().exists()


class TestReversals:
    def test_the_entry_follows_when_the_venue_shows_that_the_position_is_gone(self, long: Desk, script: Script):
        script.at(3, exit_long=True, short=MARKET)
        assert told(minute(long)) == [("managed", "exit"), ("ordered", "allowed")]
        long.look()
        assert position(long) == -2
        live = Order.objects.live()
        assert {(order.role, order.side) for order in live} == {("stop", Side.BUY), ("target", Side.BUY)}
        assert protection.check(long.account, now=long.now, max_age=0) == []

    def test_it_does_not_follow_while_the_position_is_there(self, long: Desk, script: Script, monkeypatch):
        monkeypatch.setattr("tradingbot.operations.orders.reducing._BETWEEN", 0)
        long.broker.lose, long.broker.reaches = 1, False
        script.at(3, exit_long=True, short=MARKET)
        assert told(minute(long)) == [("managed", "exit"), ("denied", "not_flat_yet")]
        assert position(long) == 2
        assert Order.objects.live().filter(role=Role.STOP).count() == 1  # it is still protected
        assert alerts() == []


class TestPassedOver:
    def test_an_entry_is_for_a_flat_strategy(self, long: Desk, script: Script):
        for number, asks in enumerate(({"long": MARKET}, {"short": MARKET}), 3):
            script.at(number, **asks)
            assert told(minute(long)) == [("denied", "position_held")]
        assert position(long) == 2
        assert alerts() == []

    def test_an_entry_of_a_side_that_works_is_passed_over(self, desk: Desk, script: Script):
        script.at(2, long=(Kind.LIMIT, PRICE - 100))
        minute(desk)
        script.at(3, long=MARKET)
        assert told(minute(desk)) == [("denied", "entry_works")]
        script.at(4, short=(Kind.LIMIT, PRICE + 100))
        assert told(minute(desk)) == [("ordered", "allowed")]
        assert alerts() == []

    def test_after_the_position_is_closed_the_next_entry_is_taken(self, long: Desk, script: Script):
        minute(long, 0, 0, -50, -45)
        script.at(4, long=MARKET)
        assert told(minute(long, -45, -45, -45, -45)) == [("ordered", "allowed")]


class TestAdditions:
    @pytest.fixture
    def once(self, long: Desk, script: Script) -> Desk:
        script.management = Management(max_adds=1)
        return long

    def test_an_addition_joins_a_position_of_its_direction_at_most_max_adds_times(self, once: Desk, script: Script):
        script.at(3, long=MARKET, adds=True)
        assert told(minute(once)) == [("ordered", "allowed")]
        once.look()
        assert position(once) == 4
        assert protection.check(once.account, now=once.now, max_age=0) == []
        script.at(4, long=MARKET, adds=True)
        assert told(minute(once)) == [("denied", "adds_used")]

    def test_without_a_position_or_against_it_it_is_passed_over(self, desk: Desk, script: Script):
        script.management = Management(max_adds=1)
        script.at(2, long=MARKET, adds=True)
        assert told(minute(desk)) == [("denied", "nothing_to_add_to")]
        script.at(3, long=MARKET)
        minute(desk)
        script.at(4, short=MARKET, adds=True)
        assert told(minute(desk)) == [("denied", "nothing_to_add_to")]

    def test_the_next_position_may_be_added_to_again(self, once: Desk, script: Script):
        script.at(3, long=MARKET, adds=True)
        minute(once)
        script.at(4, exit_long=True)
        minute(once)
        assert position(once) == 0
        script.at(5, long=MARKET)
        minute(once)
        script.at(6, long=MARKET, adds=True)
        assert told(minute(once)) == [("ordered", "allowed")]


class TestWhatEntriesCarry:
    def test_the_declared_management_is_on_the_order(self, desk: Desk, script: Script):
        script.management = Management(
            breakeven_r=Decimal("1.5"),
            breakeven_offset_ticks=2,
            partials=(Partial(Decimal(2), Decimal("0.5")),),
            hold=timedelta(minutes=30),
        )
        script.at(2, long=MARKET, trail=60)
        minute(desk)
        entry = Order.objects.get(role=Role.ENTRY)
        assert (entry.breakeven_ticks, entry.breakeven_offset_ticks, entry.trail_ticks) == (60, 2, 60)
        assert (entry.partials, entry.hold, entry.adds) == ([["2", "0.5"]], timedelta(minutes=30), False)

    def test_the_stop_trails_from_bar_to_bar(self, desk: Desk, script: Script):
        script.at(2, long=MARKET, trail=50)
        minute(desk)
        (decision,) = minute(desk, 0, 30, 0, 25)
        assert (decision.code, decision.strategy) == ("trail", desk.strategy)

    def test_a_strategy_that_was_switched_off_still_has_its_position_managed(self, desk: Desk, script: Script):
        script.at(2, long=MARKET, trail=50)
        minute(desk)
        Strategy.objects.update(enabled=False)
        (decision,) = minute(desk, 0, 30, 0, 25)
        assert decision.code == "trail"

    def test_risk_makes_the_entry_smaller(self, desk: Desk, script: Script):
        script.management = Management(risk=Decimal(20))  # 40 ticks of $0.50 are $20
        script.at(2, long=MARKET)
        minute(desk)
        assert Order.objects.get(role=Role.ENTRY).quantity == 1

    def test_a_position_that_cannot_be_managed_is_told_and_keeps_nobody_from_the_turn(
        self, long: Desk, script: Script, monkeypatch
    ):
        Order.objects.filter(role=Role.ENTRY).update(partials=[["0", "2"]])  # a row that nobody can have written
        Order.objects.filter(role=Role.ENTRY).update(breakeven_ticks=1)
        script.at(3, exit_long=True)
        assert told(minute(long, 0, 5, 0, 5)) == [("managed", "exit")]
        assert "not managed" in alerts()[0]


MANAGED: dict[str, dict[str, Any]] = {
    "overnight_range": {"breakeven": True, "breakeven_points": "5"},
    "mean_reversion": {"breakeven_r": "0.5", "partial_r": "1", "hold_minutes": 30},
    "trend_following": {"breakeven_r": "0.5", "partial_r": "1", "hold_minutes": 30, "max_adds": 2},
    "pdh_pdl": {"breakeven_r": "0.5", "partial_r": "1", "hold_minutes": 30},
    "ema_cross": {"breakeven_r": "0.5", "partial_r": "1", "hold_minutes": 30},
    "orb_rubber_band": {"breakeven_r": "0.5", "partial_r": "1", "hold_minutes": 30},
}
CARRIED = {"breakeven_ticks", "breakeven_r", "breakeven_offset_ticks", "partials", "hold"}
ELSEWHERE = {"max_adds", "risk", "late_grace", "flat_at", "zone", "cancel_opposite"}


@pytest.mark.parametrize("name", sorted(registry.STRATEGIES))
def test_what_each_strategys_parameters_declare_is_done_to_its_position(name: str, desk: Desk, script: Script) -> None:
    kind = registry.STRATEGIES[name]
    managed = kind.management(parse(kind.parameters, MANAGED[name]), product("MNQ").contract(2026, 12))
    plain = Management()
    differs = {one for one in CARRIED | ELSEWHERE if getattr(managed, one) != getattr(plain, one)}
    assert differs & CARRIED
    script.management = replace(managed, late_grace=timedelta(minutes=5))
    script.at(2, long=MARKET)
    minute(desk)
    codes = {decision.code for decision in minute(desk, 0, 21, 0, 20)}
    codes |= {decision.code for decision in minute(desk, 20, 45, 20, 45)}
    for _ in range(30):
        minute(desk, 45, 45, 45, 45, looks=False)
    codes |= {decision.code for decision in evaluate(desk)}
    wanted = {"breakeven"}
    wanted |= {"partial"} if managed.partials else set()
    wanted |= {"hold"} if managed.hold else set()
    assert codes == wanted
    assert position(desk) == (0 if managed.hold else 2)


def test_every_field_of_management_is_known_here() -> None:
    assert {*Management.__dataclass_fields__} == CARRIED | ELSEWHERE
