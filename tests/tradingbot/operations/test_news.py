"""News events: imported from a file or refused as a whole, and acted on once where their window begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from market.orders import OrderStatus, Role
from risk.gate import Code
from tests.tradingbot.operations.ledgers import open_desk
from tests.tradingbot.operations.orders.desk import Desk
from tests.tradingbot.operations.orders.test_exits import flatten_until_done
from tradingbot.models import Account, NewsEvent, NewsStep, Notification, Order, TradingState
from tradingbot.operations import news, reconciliation, trading, venues


@pytest.fixture
def desk(db) -> Iterator[Desk]:
    desk = open_desk()
    desk.minute(0, 0, 0, 0)
    desk.look()
    yield desk
    venues.forget()


def event(desk: Desk, minutes: float = 3, **facts) -> NewsEvent:
    """Write an event that many minutes ahead, with a window of five minutes on both sides."""
    facts = {"title": "FOMC", "kind": "fomc", "source": "test"} | facts
    return NewsEvent.objects.create(at=desk.now + timedelta(minutes=minutes), **facts)


def long(desk: Desk) -> Order:
    """Fill the buy of a pair; return its entry."""
    buy, _ = desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    desk.settle()
    buy.refresh_from_db()
    assert buy.status == OrderStatus.FILLED
    return buy


def test_entries_are_denied_in_the_window_and_the_working_ones_cancelled_once(desk):
    desk.send(desk.pair())
    event(desk, minutes=6)
    assert news.due(now=desk.now) == 0  # the window begins in a minute
    event(desk, title="FOMC press")
    assert news.due(now=desk.now) == 1
    entries = Order.objects.filter(role=Role.ENTRY)
    assert {order.status for order in entries} == {OrderStatus.CANCEL_PENDING}
    assert news.due(now=desk.now) == 0
    (step,) = NewsStep.objects.all()
    assert step.note == "2 entries are being cancelled"
    assert Notification.objects.get(title__endswith="news window").body.startswith("FOMC press: 2 entries")
    reconciliation.reconcile(desk.account, now=desk.now, max_age=0)
    denied = desk.pair()
    assert denied.code in (Code.NEWS_WINDOW, Code.ENTRY_TAKEN)


def test_the_gate_denies_in_the_window_and_not_outside_of_it(desk):
    row = event(desk)
    denied = desk.pair()
    assert denied.code == Code.NEWS_WINDOW
    assert "your own rule allows no new position in MNQ" in denied.sentence
    NewsEvent.objects.filter(pk=row.pk).update(at=desk.now + timedelta(minutes=5, seconds=1))
    assert desk.pair().outcome == "ordered"


def test_the_firms_rule_for_cpi_caps_micros_whatever_the_event_says(desk):
    event(desk, kind="cpi", title="CPI", action="firm")
    decision = desk.pair(quantity=3)
    assert decision.outcome == "ordered"
    assert {order.quantity for order in decision.orders.filter(role=Role.ENTRY)} == {1}  # both sides count: 2 of 3


def test_an_event_of_other_products_leaves_this_one_alone(desk):
    desk.send(desk.pair())
    event(desk, symbols="CL NG")
    assert news.due(now=desk.now) == 1
    assert NewsStep.objects.get().note == "nothing was open"
    assert Order.objects.filter(role=Role.ENTRY, status=OrderStatus.WORKING).count() == 2


def test_stops_of_a_winning_position_go_to_the_entry(desk):
    entry = long(desk)
    desk.minute(40, 50, 40, 45)
    desk.look()
    event(desk, action="breakeven")
    assert news.due(now=desk.now) == 1
    stop = entry.legs.get(role=Role.STOP)
    assert stop.desired_price == entry.average_price
    assert "1 stop(s) of" in NewsStep.objects.get().note


def test_stops_of_a_losing_position_stay(desk):
    entry = long(desk)
    desk.minute(10, 12, 5, 8)
    desk.look()
    event(desk, action="breakeven")
    news.due(now=desk.now)
    stop = entry.legs.get(role=Role.STOP)
    assert (stop.status, stop.desired_price) == (OrderStatus.WORKING, None)


def test_a_flatten_closes_before_the_release_and_lets_entries_leave_after_the_window(desk):
    long(desk)
    row = event(desk, action="flatten")
    news.due(now=desk.now)
    account = Account.objects.get(pk=desk.account.pk)
    assert account.flatten_reason == "news: FOMC"
    assert (account.trading_state, account.state_until) == (TradingState.REDUCE_ONLY, row.ends_at)
    assert flatten_until_done(desk) <= 4
    assert desk.venue.ledger.positions(desk.account.broker_account_id) == []
    assert trading.end_locks(now=row.ends_at) == 1


def test_a_position_is_closed_in_the_traders_window_though_the_firms_began_before(desk):
    long(desk)
    release = event(desk, minutes=4, kind="cpi", title="CPI", action="flatten", minutes_before=2)
    assert news.due(now=desk.now) == 1  # the firm's: five minutes before
    assert not Account.objects.get(flatten_requested_at=None).flatten_reason
    begun = release.starts_at
    assert news.due(now=begun) == 1
    assert Account.objects.get().flatten_requested_at == begun
    assert news.due(now=begun + timedelta(seconds=5)) == 0
    step = NewsStep.objects.get()
    assert (step.at, step.done_at) == (desk.now, begun)
    assert step.note == "nothing was open; everything is being closed, entries may leave again after the window"
    assert Notification.objects.filter(title__endswith="news window").count() == 1


def test_the_firms_window_cancels_entries_though_the_traders_began_before(desk):
    desk.send(desk.pair(quantity=2))  # both sides count: 4, the firm allows 3
    release = event(desk, minutes=20, kind="cpi", title="CPI", symbols="ES", minutes_before=30)
    assert news.due(now=desk.now) == 1
    assert Order.objects.filter(role=Role.ENTRY, status=OrderStatus.WORKING).count() == 2
    assert news.due(now=release.at - timedelta(minutes=5)) == 1
    assert Order.objects.filter(role=Role.ENTRY, status=OrderStatus.CANCEL_PENDING).count() == 2


def test_what_each_window_did_is_told(desk):
    desk.send(desk.pair(quantity=2))
    release = event(desk, minutes=4, kind="cpi", title="CPI", action="flatten", minutes_before=2)
    news.due(now=desk.now)
    desk.minute(0, 25, 0, 22)  # the buy fills before its cancel arrives
    desk.settle()
    news.due(now=release.starts_at)
    told = Notification.objects.filter(title__endswith="news window").order_by("at")
    assert [message.body for message in told] == [
        "CPI: 2 entries are being cancelled.",
        "CPI: everything is being closed, entries may leave again after the window.",
    ]


class TestFiles:
    def imported(self, tmp_path: Path, *lines: str) -> news.Report:
        file = tmp_path / "news.csv"
        file.write_text("\n".join(lines))
        return news.import_file(file, zone="America/Chicago", by="ada")

    def test_times_are_of_the_zone_and_a_second_import_brings_events_up_to_date(self, db, tmp_path):
        head = "at,kind,title,action,symbols"
        row = "2026-12-10 07:30,cpi,CPI,block,NQ MNQ"
        assert self.imported(tmp_path, head, row) == news.Report(1, 1, 0, ())
        event = NewsEvent.objects.get()
        assert (event.at, event.source) == (datetime(2026, 12, 10, 13, 30, tzinfo=UTC), "news.csv by ada")
        assert (event.minutes_before, event.minutes_after, event.symbols) == (5, 5, "NQ MNQ")
        assert self.imported(tmp_path, head, row).changed == 0
        assert self.imported(tmp_path, head, row.replace("block", "flatten")).changed == 1
        assert NewsEvent.objects.get().action == "flatten"

    @pytest.mark.parametrize(
        ("row", "problem"),
        [
            ("soon,cpi,CPI,5,block,", "at is 'soon': write a time like 2026-12-10 07:30"),
            ("2026-12-10,cpx,CPI,5,block,", "kind is 'cpx': known are cpi, employment, fomc, eia, other"),
            ("2026-12-10,cpi,,5,block,", "title is empty"),
            ("2026-12-10,cpi,CPI,-5,block,", "minutes_before is '-5': write whole minutes up to 600"),
            ("2026-12-10,cpi,CPI,5,panic,", "action is 'panic': known are firm, block, breakeven, flatten"),
            ("2026-12-10,cpi,CPI,5,block,XYZ", "symbols has XYZ: no such product"),
        ],
    )
    def test_a_mistake_is_named_with_its_line_and_nothing_is_written(self, db, tmp_path, row, problem):
        head = "at,kind,title,minutes_before,action,symbols"
        report = self.imported(tmp_path, head, "2026-12-10 07:30,cpi,CPI,5,block,", row)
        assert report.problems == ((3, problem),)
        assert not NewsEvent.objects.exists()

    def test_a_file_with_other_columns_says_which_it_wants(self, db, tmp_path):
        assert "the columns at, kind are missing" in self.imported(tmp_path, "time,title", "1,2").problems[0][1]
