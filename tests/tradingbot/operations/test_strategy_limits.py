"""A strategy's own limits on real rows: what counts, in the order's transaction, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.core.exceptions import ValidationError

from market.orders import OrderStatus, OrderType, Role, Side
from risk.gate import EntryRequest, EntrySide
from tests.tradingbot.operations.orders.desk import PRICE, Desk
from tradingbot.models import Notification, Order, StateChange, Strategy, Trade
from tradingbot.operations import books, strategy_states, strategy_watch, venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    desk = Desk.open()
    desk.strategy = Strategy.objects.create(
        name="overnight", kind="overnight_range", account=desk.account, symbol="MNQ", enabled=True
    )
    yield desk
    venues.forget()


def allow(desk: Desk, **limits: object) -> None:
    Strategy.objects.update(**limits)
    desk.strategy.refresh_from_db()


def lose(desk: Desk, *, quantity: int = 2) -> Trade:
    """Buy at market and be stopped out 20 ticks lower."""
    side = EntrySide(Side.BUY, OrderType.MARKET, None, 20, 60)
    decision = desk.ask(EntryRequest(desk.spec, quantity, (side,), reference=PRICE))
    assert decision.code == "allowed", decision.sentence
    desk.send(decision)
    desk.minute(0, 0, -30, -30)
    desk.settle()
    desk.minute(0, 0, 0, 0)
    desk.settle()
    desk.look()
    return Trade.objects.filter(strategy=desk.strategy).first()


def done(desk: Desk) -> strategy_states.Results:
    return strategy_states.results(desk.strategy, trade_date=desk.now.date())


def test_what_a_strategy_did_is_counted_from_its_rows(desk: Desk):
    first = lose(desk)
    assert first.net == D("-22.44")  # 20 ticks x $0.50 x 2 and 2 x $1.22
    assert done(desk) == strategy_states.Results(1, 1, D("-22.44"), D("22.44"), 1, first.exited_at)
    second = lose(desk)
    assert (done(desk).losses, done(desk).lost_at, done(desk).drawdown) == (2, second.exited_at, D("44.88"))
    Trade.objects.filter(pk=second.pk).update(net=D(10))
    assert (done(desk).losses, done(desk).realised) == (0, D("-12.44"))
    allow(desk, results_since=first.exited_at)
    assert done(desk).drawdown == 0


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_entries_a_day": 1}, "strategy_entries"),
        ({"max_signals_a_day": 1}, "strategy_signals"),
        ({"loss_streak": 1}, "loss_streak"),
        ({"drawdown_dollars": 20}, "strategy_drawdown"),
        ({"daily_loss_dollars": 40}, "strategy_daily_loss"),
        ({"entry_windows": "15:00-15:30", "entry_zone": "America/Chicago"}, "strategy_window"),
        ({"min_reward_risk": 2}, "reward_risk"),
        ({"max_stop_points": 9}, "stop_distance"),
        ({"max_risk_dollars": 10}, "trade_risk"),
        ({"daily_loss_share": 50}, "strategy_share"),
    ],
)
def test_each_limit_denies_in_the_orders_transaction_and_is_shown(desk: Desk, limits: dict, code: str):
    lose(desk)
    allow(desk, **limits)
    denied = desk.pair()
    assert denied.code == code
    assert denied.sentence in [rule["note"] for rule in denied.rules if rule["ok"] is False]
    assert Order.objects.filter(decision=denied).count() == 0
    allow(desk, **{name: "" if name.startswith("entry") else None for name in limits})
    assert desk.pair().code == "allowed"


def test_a_pair_and_the_position_that_comes_of_it_are_one(desk: Desk):
    allow(desk, max_positions=1)
    decision = desk.pair()
    desk.send(decision)
    assert desk.pair(up=60, down=-60).code == "strategy_positions"
    desk.minute(0, 25, 0, 22)
    desk.settle()
    assert desk.pair(up=60, down=-60).code == "strategy_positions"
    allow(desk, max_positions=2)
    other = EntrySide(Side.SELL, OrderType.STOP, PRICE - 90, 20)
    assert desk.ask(EntryRequest(desk.spec, 1, (other,), reference=PRICE)).code == "allowed"


def test_its_own_open_risk_counts_against_its_daily_loss_and_anothers_does_not(desk: Desk):
    allow(desk, daily_loss_dollars=100)
    desk.send(desk.pair(quantity=1))  # (40 + 8) x $0.50 + $1.22 = $25.22 a side
    held = desk.pair(quantity=1, up=60, down=-60)
    assert held.code == "strategy_daily_loss"
    fits = next(rule for rule in held.rules if rule["rule"] == "strategy's worst result today")
    assert (fits["ok"], fits["value"]) == (False, "-$100.88")
    Order.objects.update(strategy=None)
    assert desk.pair(quantity=1, up=60, down=-60).code == "allowed"


def test_what_it_holds_is_worth_at_its_stop_what_its_closed_trades_leave(desk: Desk):
    """Bought at 0 and at +40, the second stopped at +20: at the first one's stop, -40, the day has lost 60 ticks."""
    allow(desk, daily_loss_dollars=100)
    for price, stop in ((0, 40), (40, 20)):
        desk.minute(price, price, price, price)
        side = EntrySide(Side.BUY, OrderType.MARKET, None, stop, None)
        desk.send(desk.ask(EntryRequest(desk.spec, 1, (side,), reference=PRICE + price)))
        desk.minute(price, price, price, price)
        desk.settle()
        desk.look()
    desk.minute(40, 40, 20, 20)
    desk.settle()
    turn = Trade.objects.get()
    mine = strategy_states.strategy_state(
        desk.strategy,
        trade_date=desk.now.date(),
        orders=books.live_orders(desk.account.pk),
        positions=books.open_positions(desk.account.pk),
    )
    (open_,) = mine.exposures
    assert (open_.quantity, turn.points / desk.spec.tick_size - (open_.stop_ticks or 0)) == (1, -60)


def test_a_loss_in_the_session_stops_it_until_the_next_and_a_drawdown_until_a_person(desk: Desk):
    lose(desk)
    allow(desk, daily_loss_dollars=20)
    (said,) = strategy_watch.check(desk.account, now=desk.now)
    assert said == "overnight: -$22.44 today, its limit is -$20.00"
    assert strategy_watch.check(desk.account, now=desk.now) == []
    allow(desk, daily_loss_dollars=None)
    assert desk.pair().code == "strategy_halted"
    allow(desk, halted_on=None, halt_reason="", drawdown_dollars=20)
    (said,) = strategy_watch.check(desk.account, now=desk.now)
    desk.strategy.refresh_from_db()
    assert desk.pair().sentence.endswith("its limit is $20.00; a person releases it.")
    with pytest.raises(ValueError, match="a reason is required"):
        strategy_watch.release(desk.strategy, by="ada", reason=" ", now=desk.now)
    assert strategy_watch.release(desk.strategy, by="ada", reason="looked at it", now=desk.now + timedelta(seconds=1))
    desk.strategy.refresh_from_db()
    assert strategy_watch.check(desk.account, now=desk.now) == []
    assert desk.pair().code == "allowed"
    assert [row.after for row in StateChange.objects.filter(kind="strategy").order_by("pk")] == [
        *("overnight stopped", "overnight stopped", "overnight released")
    ]
    assert Notification.objects.filter(title="overnight stands still").count() == 2


def test_a_strategy_that_is_stopped_has_its_entries_withdrawn(desk: Desk):
    lose(desk)
    allow(desk, drawdown_dollars=20)
    Strategy.objects.update(drawdown_dollars=None)
    desk.strategy.refresh_from_db()
    entries = desk.send(desk.pair())
    allow(desk, drawdown_dollars=20)
    strategy_watch.check(desk.account, now=desk.now)
    for entry in entries:
        entry.refresh_from_db()
    assert {entry.status for entry in entries} == {OrderStatus.CANCEL_PENDING}
    assert {entry.role for entry in entries} == {Role.ENTRY}


def test_what_a_person_writes_is_checked(desk: Desk):
    desk.strategy.entry_windows, desk.strategy.max_risk_dollars = "9 to 10", D(0)
    with pytest.raises(ValidationError) as error:
        desk.strategy.full_clean()
    assert set(error.value.message_dict) == {"entry_windows", "max_risk_dollars"}


def test_limits_are_part_of_the_strategys_history(desk: Desk):
    desk.strategy.max_entries_a_day = 3
    desk.strategy.save()
    assert [row.max_entries_a_day for row in desk.strategy.history.order_by("history_id")] == [None, 3]
