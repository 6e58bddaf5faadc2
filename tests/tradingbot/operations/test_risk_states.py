"""What the gate is told of an account: everything that is open or may open, with its stop, in few queries."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest

from brokers.base import PlaceOrder
from market.orders import OrderStatus, OrderType, Role, Side
from risk.gate import Code, Exposure
from risk.rulebook import Stage as RulebookStage
from tests.factories import ContractFactory
from tests.tradingbot.operations.ledgers import open_desk
from tests.tradingbot.operations.orders.desk import PRICE, Desk
from tradingbot.models import (
    Account,
    Balance,
    CalendarDay,
    Login,
    Order,
    PersonalRules,
    Position,
    Sharing,
    Stage,
    Strategy,
    TradingState,
)
from tradingbot.operations import orders, reconciliation, risk_states, rulebooks, venues

CLOSED = (OrderStatus.NEW, OrderStatus.SENDING, OrderStatus.UNKNOWN)


def state(desk: Desk, strategy: Strategy | None = None):
    account = Account.objects.select_related("login").get(pk=desk.account.pk)
    return risk_states.risk_state(account, desk.contract, strategy, now=desk.now)


def fill_buy(desk: Desk) -> tuple[Order, Order]:
    buy, sell = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    reconciliation.check_fills(desk.account, now=desk.now, max_age=0)
    return buy, sell


def sizes(exposures: tuple[Exposure, ...]) -> list[tuple[str, Side, int, int | None]]:
    kinds = (("position" if e.is_position else "order", e.side, e.quantity, e.stop_ticks) for e in exposures)
    return sorted(kinds, key=str)


def test_the_state_of_a_quiet_account_lets_the_pair_through(desk):
    quiet = state(desk)
    assert (quiet.balance, quiet.equity, quiet.day_profit, quiet.floor) == (50_000, 50_000, 0, 48_000)
    assert (quiet.max_lots, quiet.exposures, quiet.taken, quiet.exposed_accounts) == (5, (), frozenset(), 0)
    assert quiet.session.trade_date == quiet.flat_at.date()
    assert quiet.now - quiet.prices_at < timedelta(seconds=10)
    assert 0 <= quiet.balance_age < 30


def test_it_takes_five_queries_without_a_position_and_one_more_for_each_open_contract(
    desk, django_assert_max_num_queries
):
    account = Account.objects.select_related("login").get(pk=desk.account.pk)
    rulebooks.current()  # parsed once in a process
    with django_assert_max_num_queries(5):
        risk_states.risk_state(account, desk.contract, None, now=desk.now)
    fill_buy(desk)
    with django_assert_max_num_queries(7):
        risk_states.risk_state(account, desk.contract, None, now=desk.now)


def test_both_sides_of_a_pair_count_from_the_intent_on(desk):
    decision = desk.pair()
    both = [("order", Side.BUY, 3, 40), ("order", Side.SELL, 3, 40)]
    assert sizes(state(desk).exposures) == both
    desk.send(decision)
    assert sizes(state(desk).exposures) == both
    assert {e.oco_group for e in state(desk).exposures} == {decision.orders.filter(role=Role.ENTRY).first().oco_group}


def test_an_unknown_order_counts_like_a_working_one_and_is_marked(desk):
    decision = desk.pair()
    order = decision.orders.filter(role=Role.ENTRY).first()
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.UNKNOWN)
    assert [e.is_unknown for e in state(desk).exposures if e.side == order.side] == [True]


def test_after_the_fill_the_position_counts_at_its_stop_and_the_opposite_until_its_cancel_is_proven(desk):
    _, sell = fill_buy(desk)
    sell.refresh_from_db()
    assert sell.status == OrderStatus.CANCEL_PENDING
    assert sizes(state(desk).exposures) == [("order", Side.SELL, 3, 40), ("position", Side.BUY, 3, 40)]
    orders.cancel(sell, now=desk.now)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    assert sizes(state(desk).exposures) == [("position", Side.BUY, 3, 40)]


def test_the_stop_after_breakeven_risks_nothing_and_a_missing_one_everything(desk):
    buy, sell = fill_buy(desk)
    Order.objects.filter(pk=sell.pk).update(status=OrderStatus.CANCELLED)
    stop = buy.legs.get(role=Role.STOP)
    Order.objects.filter(pk=stop.pk).update(stop_price=D(21005))
    assert sizes(state(desk).exposures) == [("position", Side.BUY, 3, 0)]
    for status in CLOSED:
        Order.objects.filter(pk=stop.pk).update(status=status)
        bare = state(desk).exposures
        assert ("position", Side.BUY, 3, None) in sizes(bare)
    Order.objects.filter(pk=stop.pk).update(status=OrderStatus.WORKING, quantity=2)
    assert sizes(state(desk).exposures) == [("position", Side.BUY, 1, None), ("position", Side.BUY, 2, 0)]


def test_the_larger_of_our_position_and_the_venues_counts(desk):
    fill_buy(desk)
    Position.objects.update(broker_quantity=5)
    assert ("position", Side.BUY, 2, None) in sizes(state(desk).exposures)
    Position.objects.update(broker_quantity=-1)
    assert ("position", Side.SELL, 1, None) in sizes(state(desk).exposures)


def test_a_foreign_order_that_could_open_something_stops_entries_and_one_that_reduces_does_not(desk):
    def place(side: Side, price: int, tag: str) -> None:
        venue_id, contract_id = desk.account.broker_account_id, desk.contract.broker_contract_id
        limit = desk.spec.price(PRICE + price)
        desk.broker.place(PlaceOrder(venue_id, contract_id, tag, side, OrderType.LIMIT, 1, limit_price=limit))
        reconciliation.reconcile(desk.account, now=desk.now, max_age=0)

    fill_buy(desk)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    before = sizes(state(desk).exposures)
    place(Side.SELL, 400, "foreign-1")
    assert sizes(state(desk).exposures) == before
    place(Side.BUY, -400, "foreign-2")
    assert sizes(state(desk).exposures) == sorted([*before, ("order", Side.BUY, 1, None)], key=str)


def test_open_loss_counts_and_a_loss_booked_since_the_balance_was_read_too(desk):
    fill_buy(desk)
    desk.minute(22, 22, 0, 0)
    desk.look()
    open_ = state(desk)
    # 3 bought at +20 ticks, market at 0: -20 x $0.50 x 3; the entry cost 3 x 0.61
    assert (open_.balance, open_.equity) == (D("49998.17"), D("49968.17"))
    assert open_.day_profit == D("-31.83")
    desk.minute(0, 0, -25, -25)  # through the stop at -20: -40 ticks x $0.50 x 3, 3 x 0.61
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    closed = state(desk)
    assert closed.balance == closed.equity == D("49998.17") - D("61.83")


def test_a_position_closed_in_part_is_worth_what_the_venue_leaves_of_it(desk):
    """Ten bought at +100 points, ten at 0, ten sold at 0: each half lost 1,000 dollars, one of them realised."""
    for side, at in ((Side.BUY, 400), (Side.BUY, 0), (Side.SELL, 0)):
        desk.minute(at, at, at, at)
        order = PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag=f"hand-{desk.now}",
            side=side,
            type=OrderType.MARKET,
            quantity=10,
        )
        desk.broker.place(order)
    desk.minute(0, 0, 0, 0)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    desk.look()
    (position,) = desk.broker.positions(desk.account.broker_account_id)
    assert Position.objects.get().average_price == position.average_price == D(21050)
    assert state(desk).equity == 48_000 - 30 * D("0.61")


def test_a_price_that_is_missing_makes_the_equity_unknown(desk):
    fill_buy(desk)
    desk.contract.days.all().delete()
    assert state(desk).equity is None
    assert state(desk).day_profit is None
    assert state(desk).prices_at is None


def test_a_strategy_sees_its_own_entries_and_its_halt(desk):
    strategy = Strategy.objects.create(
        name="overnight", kind="overnight_range", account=desk.account, symbol="MNQ", enabled=True
    )
    desk.strategy = strategy
    desk.pair()
    assert state(desk, strategy).taken == {Side.BUY, Side.SELL}
    assert (state(desk).taken, state(desk).entries_minute, state(desk).entries_session) == (frozenset(), 2, 2)
    strategy.halted_on, strategy.halt_reason = state(desk).session.trade_date, "both entries filled"
    assert state(desk, strategy).strategy_halted == "both entries filled"
    strategy.halted_on = None
    strategy.enabled = False
    assert state(desk, strategy).strategy_halted == "it is switched off"


def test_a_contract_belongs_to_the_strategy_that_is_at_work_in_it(desk):
    first, second = (
        Strategy.objects.create(name=name, kind="overnight_range", account=desk.account, symbol="MNQ", enabled=True)
        for name in ("first", "second")
    )
    desk.strategy = first
    buy, _ = fill_buy(desk)
    assert (state(desk, second).contract_taken_by, state(desk, second).strategies_at_work) == ("first", 1)
    assert (state(desk, first).contract_taken_by, state(desk, first).strategies_at_work) == ("", 0)
    assert state(desk, None).contract_taken_by == ""  # a person decides for himself
    Order.objects.exclude(role=Role.ENTRY).update(strategy=None)  # a stop that guard placed belongs to nobody
    Order.objects.exclude(pk=buy.pk).filter(role=Role.ENTRY).update(status=OrderStatus.CANCELLED)
    assert (state(desk, second).contract_taken_by, state(desk, first).contract_taken_by) == ("first", "")
    Account.objects.update(sharing=Sharing.NET, max_strategies=1)
    assert (state(desk, second).contract_taken_by, state(desk, second).max_strategies) == ("", 1)
    Account.objects.update(sharing=Sharing.DENY)
    Position.objects.update(quantity=0, broker_quantity=0)
    Order.objects.update(status=OrderStatus.CANCELLED)
    assert state(desk, second).contract_taken_by == ""


def test_other_exposed_accounts_of_the_login_are_counted(desk):
    other = Account.objects.create(login=desk.account.login, broker_account_id=7, name="other")
    Position.objects.create(account=other, contract=desk.contract, quantity=1)
    Account.objects.create(login=desk.account.login, broker_account_id=8, name="quiet")
    assert state(desk).exposed_accounts == 1


def test_beside_five_exposed_accounts_of_the_login_an_entry_is_denied_until_one_is_flat(desk):
    oil = ContractFactory(symbol="MCL", name="MCLF7")
    for number in range(5):
        other = Account.objects.create(login=desk.account.login, broker_account_id=10 + number, name=f"other {number}")
        Position.objects.create(account=other, contract=oil, broker_quantity=1)
    denied = desk.pair()
    assert (denied.outcome, denied.code) == ("denied", Code.TOO_MANY_ACCOUNTS)
    assert denied.sentence.startswith("5 other accounts of the login are exposed")
    assert desk.ledger() == []
    Position.objects.filter(account=other).update(broker_quantity=0)
    assert desk.pair().outcome == "ordered"


def test_a_date_without_a_session_and_an_empty_calendar_deny(desk):
    CalendarDay.objects.filter(trade_date=state(desk).session.trade_date).delete()
    assert (state(desk).session, state(desk).calendar_until) == (None, None)
    CalendarDay.objects.all().delete()
    assert state(desk).session is None


@pytest.mark.parametrize(("last_eod", "expected"), [(None, 2), (D(0), 2), (D(1500), 2), (D(1650), 3), (D(2500), 5)])
def test_an_express_account_may_hold_what_its_last_end_of_day_allows(db, last_eod, expected):
    desk = open_desk("50KXFA-V2-1", 0)
    if last_eod is not None:
        Balance.objects.filter(account=desk.account, end_of_day=True).update(balance=last_eod)
    assert state(desk).max_lots == expected
    venues.forget()


@pytest.mark.parametrize(("days", "expected"), [(0, 3), (-1, 5), (1, 5)])
def test_a_payout_since_the_last_end_of_day_lowers_what_an_express_account_may_hold(db, days, expected):
    """The firm's example: 3,100 less 1,550 paid out leave 3 lots in the next session."""
    desk = open_desk("50KXFA-V2-1", 0)
    Balance.objects.filter(account=desk.account, end_of_day=True).update(balance=3100)
    desk.account.payouts.create(session_date=desk.now.date() + timedelta(days=days), amount=1550, seen_at=desk.now)
    assert state(desk).max_lots == expected
    venues.forget()


def test_a_state_without_limits_is_denied_by_the_gate(desk):
    for field, code in (("max_lots", Code.NO_SIZE_LIMIT), ("highest_eod_balance", Code.NO_LOSS_LIMIT)):
        Account.objects.update(**{field: None})
        decision = desk.pair()
        assert (decision.outcome, decision.code) == ("denied", code)
        Account.objects.update(max_lots=5, highest_eod_balance=50_000)
    Account.objects.update(trading_state=TradingState.REDUCE_ONLY)
    assert desk.pair().code == Code.REDUCE_ONLY


def test_stages_have_the_same_words_in_the_rulebook_and_in_the_rows():
    assert {stage.value for stage in RulebookStage} == set(Stage.values)
    assert TradingState.ACTIVE == "active"


class TestElsewhere:
    """What other accounts of the owner hold or may come to hold."""

    @pytest.fixture
    def other(self, desk) -> Account:
        return Account.objects.create(login=desk.account.login, broker_account_id=77, name="50KTC-V2-77")

    def seen(self, desk):
        return [(e.account, e.symbol, e.side, e.is_position) for e in state(desk).rules.elsewhere]

    def test_positions_of_ours_and_of_the_venue_count_own_ones_do_not(self, desk, other):
        fill_buy(desk)
        assert self.seen(desk) == []
        Position.objects.create(account=other, contract=desk.contract, quantity=-2, broker_quantity=-2)
        assert self.seen(desk) == [("50KTC-V2-77", "MNQ", Side.SELL, True)]

    def test_a_working_entry_counts_and_an_abandoned_one_only_in_its_session(self, desk, other):
        today = state(desk).session.trade_date
        facts = {"account": other, "contract": desk.contract, "role": Role.ENTRY, "side": Side.SELL, "quantity": 1}
        facts |= {"type": OrderType.MARKET, "stop_ticks": 40, "created_at": desk.now, "updated_at": desk.now}
        row = Order.objects.create(**facts, tag="x", session_date=today, status=OrderStatus.UNKNOWN)
        assert self.seen(desk) == [("50KTC-V2-77", "MNQ", Side.SELL, False)]
        assert desk.pair().code == Code.HEDGING
        Order.objects.filter(pk=row.pk).update(status=OrderStatus.ABANDONED)
        assert len(self.seen(desk)) == 1
        Order.objects.filter(pk=row.pk).update(session_date=today - timedelta(days=1))
        assert self.seen(desk) == []

    def test_a_pair_is_known_while_neither_side_has_filled(self, desk, other):
        desk.pair()
        Order.objects.update(account=other)
        assert {(e.side, e.pair_price) for e in state(desk).rules.elsewhere} == {
            (Side.BUY, D("21005.00")),
            (Side.SELL, D("20995.00")),
        }
        buy = Order.objects.get(account=other, role=Role.ENTRY, side=Side.BUY)
        for changes in ({"filled": 1}, {"filled": 0, "status": OrderStatus.CANCEL_PENDING}):
            Order.objects.filter(pk=buy.pk).update(**changes)
            assert {e.pair_price for e in state(desk).rules.elsewhere} == {None}
            assert desk.pair().code == Code.HEDGING
        Order.objects.filter(pk=buy.pk).update(status=OrderStatus.WORKING)
        assert desk.pair().outcome == "ordered"

    def test_a_resting_entry_is_withdrawn_once_another_account_holds_against_it(self, desk, other):
        buy, sell = desk.send(desk.pair())
        held = Position.objects.create(account=other, contract=ContractFactory(symbol="MES"), broker_quantity=2)
        Position.objects.filter(pk=held.pk).update(account=desk.account)  # its own position is no reason
        orders.sweep(now=desk.now)
        assert {order.status for order in (buy, sell)} == {"working"}
        Position.objects.filter(pk=held.pk).update(account=other)
        orders.sweep(now=desk.now)
        for order in (buy, sell):
            order.refresh_from_db()
        assert buy.status == "working"
        assert (sell.status, sell.reason) == (
            OrderStatus.CANCEL_PENDING,
            "cancelled by an opposite position on another own account",
        )

    def test_accounts_of_another_venue_are_another_matter(self, desk, other):
        login = Login.objects.create(
            name="live", venue="projectx", base_url="https://x.test", user_name="a", api_key="b"
        )
        Account.objects.filter(pk=other.pk).update(login=login)
        Position.objects.create(account=other, contract=desk.contract, quantity=-2)
        assert self.seen(desk) == []


def test_governor_and_days_come_from_the_rows(desk):
    PersonalRules.objects.create(account=desk.account, governor="stop", governor_safety=75)
    for back, balance in ((2, 50_900), (1, 50_700)):
        Balance.objects.update_or_create(
            account=desk.account,
            session_date=desk.now.date() - timedelta(days=back),
            end_of_day=True,
            defaults={"at": desk.now, "balance": balance, "open_profit": 0},
        )
    Balance.objects.create(
        account=desk.account,
        at=desk.now,
        session_date=desk.now.date() - timedelta(days=5),
        balance=50_000,
        open_profit=0,
        end_of_day=True,
    )
    found = state(desk).rules
    assert (found.personal.governor, found.personal.governor_safety) == ("stop", 75)
    assert (found.days.total, found.days.best, found.days.number, found.days.complete) == (700, 900, 2, True)
