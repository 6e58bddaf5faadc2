"""The day as it is told: every step once, in order, with prices, points and dollars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from market.orders import OrderStatus, Role
from tests.tradingbot.operations.ledgers import go
from tradingbot.models import Account, Decision, Notification, OvernightRange, SessionStep
from tradingbot.operations import accounts, orders, reports
from tradingbot.operations.story import Line, Story

AFTER_CLOSE = datetime(2026, 11, 18, 21, 15, tzinfo=UTC)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_a_whole_trade_is_told_step_by_step(desk):
    story = Story(desk.now)
    OvernightRange.objects.create(
        contract=desk.contract, session_date=desk.now.date(), high=Decimal("21004.75"), low=Decimal("20995.25"),
        bars=929, expected_bars=930, complete=True, captured_at=desk.now,
    )  # fmt: skip
    assert texts(story.lines()) == [
        "Overnight range of MNQ: 20,995.25 to 21,004.75, 9.50 points (929 of 930 minutes traded)"
    ]
    desk.send(desk.pair())
    bracket = "stop loss {} (-10 points, -$60.00), target {} (+15 points, +$90.00)"
    assert texts(story.lines()) == [
        "test: entry decided; 3 MNQ may be sent: every rule is kept.",
        f"Works at the venue: buy 3 MNQ stop 21,005.00; {bracket.format('20,995.00', '21,020.00')}",
        f"Works at the venue: sell 3 MNQ stop 20,995.00; {bracket.format('21,005.00', '20,980.00')}",
    ]
    desk.minute(0, 25, 0, 22)
    desk.settle()
    told = texts(story.lines())
    assert set(told) == {
        "Entry filled: bought 3 MNQ at 21,005.00",
        "Stop loss works: sell 3 MNQ stop 20,995.00",
        "Target works: sell 3 MNQ limit 21,020.00",
        "Cancelling sell 3 MNQ stop 20,995.00 (the fill of its opposite)",
        "Cancelled: sell 3 MNQ stop 20,995.00",
    }
    assert len(told) == 5
    stop = desk.account.orders.get(role=Role.STOP, status=OrderStatus.WORKING)
    orders.request_modify(stop, Decimal(21005), by="breakeven of overnight", now=desk.now)
    stop.refresh_from_db()
    orders.modify(stop, now=desk.now)
    desk.settle()
    assert texts(story.lines()) == [
        "Stop loss to go from 20,995.00 to 21,005.00 (breakeven of overnight)",
        "Confirmed by the venue: stop loss at 21,005.00",
    ]
    desk.minute(22, 85, 22, 85)
    desk.settle()
    ends = story.lines()
    assert "Target filled: sold 3 MNQ at 21,020.00" in texts(ends)
    trade = "Trade closed: long 3 MNQ from 21,005.00 to 21,020.00, +15 points, +$90.00 less $3.66 costs: +$86.34"
    assert [line.mood for line in ends if line.text == trade] == ["good"]
    assert story.lines() == []


def test_lines_come_in_the_order_of_time_and_none_from_before(desk):
    desk.pair()
    story = Story(desk.now + timedelta(seconds=1))
    desk.minute(0, 0, 0, 0)
    desk.look()
    desk.send(desk.pair())
    desk.minute(0, 25, 0, 22)
    desk.settle()
    lines = story.lines()
    assert lines == sorted(lines, key=lambda line: line.at)
    assert all(line.at > story._since for line in lines)


def test_a_denial_is_told_once_in_the_gates_words(desk):
    story = Story(desk.now)
    Account.objects.update(max_lots=None)
    decision = desk.pair()
    assert texts(story.lines()) == [f"test: denied. {decision.sentence}"]


def test_what_went_wrong_is_told(desk):
    story = Story(desk.now)
    buy, _ = desk.pair().orders.filter(role=Role.ENTRY).order_by("-side")
    buy.advance(OrderStatus.SENDING, at=desk.now)
    buy.advance(OrderStatus.UNKNOWN, at=desk.now)
    buy.advance(OrderStatus.ABANDONED, at=desk.now)
    Notification.objects.create(kind="risk", level="alert", title="Watch", body="it", at=desk.now)
    Notification.objects.create(kind="risk", level="info", title="quiet", at=desk.now)
    Notification.objects.create(kind="position", level="info", title="flattening", body="end of the day", at=desk.now)
    order = "buy 3 MNQ stop 21,005.00"
    assert texts(story.lines()) == [
        "test: entry decided; 3 MNQ may be sent: every rule is kept.",
        f"No answer from the venue for {order}: asking what became of it",
        f"Abandoned: {order}",
        "Watch: it",
        "flattening: end of the day",
    ]


def test_a_step_is_told_when_it_is_done(desk):
    story = Story(desk.now)
    step = SessionStep.objects.create(
        account=desk.account, session_date=desk.now.date(), step="verify", due_at=desk.now, deadline=AFTER_CLOSE
    )
    assert story.lines() == []
    SessionStep.objects.filter(pk=step.pk).update(state="done", done_at=desk.now, note="flat, no orders")
    assert texts(story.lines()) == ["Verified at the venue: flat, no orders"]
    assert story.lines() == []


def test_a_decision_whose_outcome_changed_is_told_as_it_came_out(desk):
    story = Story(desk.now)
    row = Decision.objects.create(
        account=desk.account, session_date=desk.now.date(), at=desk.now, outcome="managed", code="breakeven",
        sentence="Stop moved", config_version="",
    )  # fmt: skip
    assert story.lines() == []
    Decision.objects.filter(pk=row.pk).update(code="breakeven_passed", sentence="Closed at market.")
    assert texts(story.lines()) == ["Closed at market."]


def test_a_close_for_a_stop_that_could_not_be_moved_is_told_after_the_attempt(desk):
    stop = desk.pair().orders.filter(role=Role.STOP).first()
    desk.now += timedelta(seconds=1)
    story = Story(desk.now)
    stop.note("modify asked", at=desk.now, detail={"from": "20995", "price": "21005", "by": "breakeven of test"})
    stop.note("modify sent", at=desk.now, detail={"outcome": "refused"})
    Decision.objects.create(
        account=desk.account, session_date=desk.now.date(), at=desk.now, outcome="managed", code="breakeven_passed",
        sentence="3 MNQ closed at market.", config_version="",
    )  # fmt: skip
    assert texts(story.lines()) == [
        "Stop loss to go from 20,995.00 to 21,005.00 (breakeven of test)",
        "The stop loss could not be moved: refused",
        "3 MNQ closed at market.",
    ]


def test_the_summary_ends_the_story(desk):
    story = Story(desk.now)
    go(desk, AFTER_CLOSE)
    accounts.end_of_day(desk.account, now=desk.now)
    reports.daily_report(desk.account, now=desk.now)
    (line,) = story.lines()
    assert line.is_end
    assert line.text == (
        "Wed 18 Nov 2026: no trade. Trades 0; Gross +$0.00; Fees +$0.00; Net +$0.00; Flat yes; Denied entries 0; "
        "Balance $50,000.00; Room to the floor $2,000.00 (floor $48,000.00)"
    )
