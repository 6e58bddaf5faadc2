"""Trades and balance agree to the cent at the end of every session, or a row says where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest

from brokers.base import FillReport, PlaceOrder, Refused
from market.orders import OrderType, Side
from tests.tradingbot.operations.ledgers import PayingBroker, go, open_desk, trade
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, AccountingDifference, Balance, Fill, Notification, Position, Trade
from tradingbot.operations import accounting, accounts, reconciliation, session_steps, venues
from tradingbot.operations.session_steps import Step

WEDNESDAY, THURSDAY = date(2026, 11, 18), date(2026, 11, 19)
AFTER_CLOSE = datetime(2026, 11, 18, 21, 15, tzinfo=UTC)  # 15:15 Chicago


class Editing(PayingBroker):
    """A venue whose executions the test changes on their way to us."""

    hidden: frozenset[int] = frozenset()
    voided: frozenset[int] = frozenset()

    def fills(self, *args, **options) -> list[FillReport]:
        found = super().fills(*args, **options)
        return [replace(one, voided=one.id in self.voided) for one in found if one.id not in self.hidden]


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    desk = open_desk()
    desk.broker = Editing(desk.venue, lambda: desk.now)
    venues.use(desk.account.login, desk.broker)
    yield desk
    venues.forget()


def traded(desk: Desk, points: int) -> D:
    net = trade(desk, points)
    book(desk)
    return net


def book(desk: Desk) -> None:
    reconciliation.book_all(desk.account, since=desk.now - timedelta(days=4), now=desk.now)


def end(desk: Desk, day: date = WEDNESDAY) -> str:
    """Run the last step of a session after its close; return its note."""
    go(desk, AFTER_CLOSE + (day - WEDNESDAY))
    step = next(
        row
        for row in session_steps.timetable(desk.account, session_steps.calendar.session_for(day))
        if row.step == Step.REPORT
    )
    note = session_steps.run(step, now=desk.now)
    desk.account.refresh_from_db()
    return note


def begin(desk: Desk, day: date) -> None:
    go(desk, datetime(day.year, day.month, day.day, 15, 0, tzinfo=UTC))
    accounts.refresh(desk.account, now=desk.now)


def hide_last(desk: Desk) -> None:
    """Forget the newest execution as if it had never been booked, and let the venue not show it."""
    last = Fill.objects.order_by("-at").first()
    desk.broker.hidden = frozenset({last.broker_trade_id})
    Trade.objects.filter(exit_fill=last).delete()
    last.delete()
    Position.objects.update(booked_from=None)


def open_differences() -> list[tuple[date, D, str]]:
    rows = AccountingDifference.objects.filter(closed_at=None).order_by("session_date")
    return [(row.session_date, row.difference, row.cause) for row in rows]


def test_a_session_whose_trades_explain_the_balance_leaves_no_row(desk):
    first = traded(desk, 25)
    traded(desk, -10)
    assert end(desk) == "sent"
    begin(desk, THURSDAY)
    traded(desk, 7)
    assert end(desk, THURSDAY) == "sent"
    assert AccountingDifference.objects.count() == 0
    assert first in Trade.objects.values_list("net", flat=True)
    booked = (
        Balance.objects.filter(end_of_day=True, booked__isnull=False)
        .order_by("session_date")
        .values_list("booked", "balance")
    )
    assert [balance - amount for amount, balance in booked] == [50_000, 50_000]


def test_money_that_went_without_a_trade_is_a_row_and_one_alert_until_a_person_closes_it(desk):
    traded(desk, 25)
    desk.broker.paid = D("12.34")
    assert end(desk) == "sent; -12.34 dollars are not explained"
    assert open_differences() == [(WEDNESDAY, D("-12.34"), "adjustment")]
    end(desk)
    alert = Notification.objects.get(title__startswith="Balance not explained")
    assert (alert.level, alert.facts["Difference"]) == ("alert", "-12.34")
    begin(desk, THURSDAY)
    traded(desk, 5)
    assert end(desk, THURSDAY) == "sent"  # what is known already is not said again
    row = AccountingDifference.objects.get()
    with pytest.raises(ValueError, match="write why"):
        accounting.close(row, reason=" ", by="anna", now=desk.now)
    accounting.close(row, reason="data fee of the firm", by="anna", now=desk.now)
    with pytest.raises(ValueError, match="closed already"):
        accounting.close(row, reason="again", by="anna", now=desk.now)
    row.refresh_from_db()
    assert (row.closed_by, row.reason, row.closed_at) == ("anna", "data fee of the firm", desk.now)
    begin(desk, THURSDAY + timedelta(days=1))
    desk.broker.paid += D("0.01")
    end(desk, THURSDAY + timedelta(days=1))
    assert open_differences() == [(THURSDAY + timedelta(days=1), D("-0.01"), "adjustment")]


def test_what_may_be_a_payout_of_an_account_without_a_known_floor_is_suspected_as_one(desk):
    traded(desk, 400)
    end(desk)
    Account.objects.update(stage="express", highest_eod_balance=None)
    desk.account.refresh_from_db()
    begin(desk, THURSDAY)
    desk.broker.paid = D(300)
    end(desk, THURSDAY)
    assert open_differences() == [(THURSDAY, D(-300), "payout")]


@pytest.mark.parametrize(("left", "unexplained"), [("300", []), ("12.34", [(THURSDAY, D("-12.34"), "adjustment")])])
def test_a_payout_between_two_sessions_explains_the_balance_and_a_fee_does_not(desk, left, unexplained):
    Account.objects.update(stage="express", start_balance=0)
    desk.account.refresh_from_db()
    traded(desk, 400)
    end(desk)
    desk.broker.paid = D(left)
    begin(desk, THURSDAY)
    traded(desk, 5)
    end(desk, THURSDAY)
    assert open_differences() == unexplained


def test_a_fill_that_was_not_booked_is_named_and_explains_itself_when_it_is(desk):
    traded(desk, 25)
    hide_last(desk)
    end(desk)
    assert open_differences() == [(WEDNESDAY, D("49.39"), "adjustment")]  # 50 points and a side's costs
    desk.broker.hidden = frozenset()
    begin(desk, THURSDAY)
    assert end(desk, THURSDAY) == "sent"
    row = AccountingDifference.objects.get()
    assert (row.closed_by, row.reason) == ("accounting", "what was booked since explains it")


def test_a_fill_in_a_contract_that_nobody_knows_is_a_missing_fill(desk, monkeypatch):
    traded(desk, 25)
    last = Fill.objects.order_by("-at").first()
    booked = desk.contract.broker_contract_id
    Trade.objects.filter(exit_fill=last).delete()
    last.delete()
    Position.objects.update(booked_from=None)
    type(desk.contract).objects.update(broker_contract_id="CON.F.US.OTHER.Z26")
    monkeypatch.setattr(desk.broker, "contract", unknown)
    end(desk)
    row = AccountingDifference.objects.get()
    assert (row.cause, booked in row.detail) == ("missing_fill", True)


def unknown(contract_id):
    raise Refused(f"{contract_id} is not known")


def test_a_fill_voided_the_day_after_is_no_difference_when_the_venue_gives_the_money_back(desk):
    net = traded(desk, -25)
    end(desk)
    begin(desk, THURSDAY)
    desk.broker.voided = frozenset(Fill.objects.values_list("broker_trade_id", flat=True))
    desk.broker.paid = net  # the loss is taken back
    book(desk)
    assert Trade.objects.count() == 0
    assert end(desk, THURSDAY) == "sent"
    assert AccountingDifference.objects.count() == 0


def test_what_is_still_open_counts_as_the_venue_counts_it(desk):
    """Bought at 0 and +10 points, sold one at +20: the venue realises +15 points against the average, we +20."""
    for side, at in ((Side.BUY, 0), (Side.BUY, 40), (Side.SELL, 80)):
        desk.minute(at, at, at, at)
        order = PlaceOrder(
            account_id=desk.account.broker_account_id,
            contract_id=desk.contract.broker_contract_id,
            tag=f"hand-{at}",
            side=side,
            type=OrderType.MARKET,
            quantity=1,
        )
        desk.broker.place(order)
    desk.minute(80, 80, 80, 80)
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    accounts.refresh(desk.account, now=desk.now)
    desk.account.refresh_from_db()
    assert Trade.objects.get().net == 40 - D("1.22")
    assert accounting.booked_until(desk.account, WEDNESDAY) == 30 - 3 * D("0.61")
    assert desk.account.balance == 50_000 + 30 - 3 * D("0.61")


def test_without_commissions_of_the_venue_the_table_explains_the_balance(desk):
    desk.venue.behaviour = replace(desk.venue.behaviour, commissions=False)
    traded(desk, 25)
    assert Fill.objects.filter(estimated=True).count() == 2
    assert end(desk) == "sent"
    desk.account.refresh_from_db()
    assert desk.account.session_start_balance == 50_000


def test_a_start_in_the_middle_of_a_session_loses_nothing(desk):
    """Everything of the account that is not a fill is gone; the day's start, end and floor come out the same."""
    net = traded(desk, 300)
    Account.objects.update(session_date=None, session_start_balance=None, balance=None, balance_at=None)
    Balance.objects.all().delete()
    desk.account.refresh_from_db()
    accounts.refresh(desk.account, now=desk.now)
    assert end(desk) == "sent"
    closing = Balance.objects.get(end_of_day=True)
    assert (closing.balance, closing.floor) == (50_000 + net, 48_000 + net)
    assert closing.booked == net
