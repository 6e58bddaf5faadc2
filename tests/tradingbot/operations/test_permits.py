"""What must stand before any entry: refused with its code when it goes, told once, and over by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db.models.functions import Now

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.tokens import Credentials
from tests.brokers.simulated.served import served
from tests.tradingbot.operations.orders.desk import Desk
from tradingbot.models import Account, BracketMode, CalendarDay, Login, Notification, Order, Position
from tradingbot.operations import permits, risk_states, venues


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield Desk.open()
    venues.forget()


def watch(desk: Desk) -> str:
    return permits.watch(Account.objects.select_related("login").get(), now=desk.now)


def told() -> list[str]:
    rows = Notification.objects.filter(title__contains="entries ").order_by("pk")
    return [row.title.partition(": ")[2] for row in rows]


def break_token() -> None:
    Login.objects.update(token="old", token_renewed_at=Now() - timedelta(hours=19))


def break_skew() -> None:
    Login.objects.update(clock_skew=6.5)


def break_calendar() -> None:
    CalendarDay.objects.filter(trade_date__gt="2026-11-20").delete()


def break_brackets() -> None:
    Account.objects.update(bracket_mode=BracketMode.POSITION)


def mend(desk: Desk) -> None:
    from tests.factories import calendar_days

    Login.objects.update(token="new", token_renewed_at=Now(), clock_skew=0.1)
    Account.objects.update(bracket_mode=BracketMode.AUTO_OCO)
    CalendarDay.objects.all().delete()
    calendar_days()


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        (break_token, "token_expires", "must outlive the flat time"),
        (break_skew, "clock_skew", "differs from the venue's by +6.5 s"),
        (break_calendar, "calendar_ends", "is known until 2026-11-20 only"),
        (break_brackets, "bracket_mode", "Position Brackets"),
    ],
)
def test_what_goes_in_mid_session_is_refused_told_once_and_over_by_itself(desk: Desk, broken, code: str, words: str):
    assert (watch(desk), told(), desk.pair().code) == ("", [], "allowed")
    Order.objects.all().update(status="cancelled")
    broken()
    assert words in watch(desk)
    assert words in watch(desk)
    assert told() == ["entries wait"]
    denied = desk.pair()
    assert (denied.code, words in denied.sentence) == (code, True)
    mend(desk)
    assert watch(desk) == ""
    assert told() == ["entries wait", "entries may leave"]
    assert desk.pair().code == "allowed"


def test_the_moment_between_a_fill_and_the_next_look_at_the_positions_is_not_told(desk: Desk):
    Position.objects.create(account=desk.account, contract=desk.contract, quantity=0, broker_quantity=3)
    assert "not known" in watch(desk)
    assert told() == []
    Position.objects.update(broker_quantity=0)
    assert (watch(desk), told()) == ("", [])


def test_every_rule_of_the_permit_has_value_limit_and_verdict(desk: Desk):
    rules = permits.rules(Account.objects.select_related("login").get(), now=desk.now)
    assert [rule.name for rule in rules] == [
        "reconciled",
        "token valid until",
        "bracket mode",
        "clock against the venue's",
        "rulebook",
        "login",
        "calendar known until",
        "age of balance",
    ]
    assert all(rule.value and rule.limit and rule.ok is not False for rule in rules)


def test_outside_the_hours_of_entries_nothing_is_missed(desk: Desk):
    break_skew()
    desk.now = desk.now.replace(hour=22, minute=30)  # the daily break
    assert (watch(desk), told()) == ("", [])


def test_a_refused_bracket_tells_which_mode_the_platform_is_in(db: None):
    desk = Desk.open(behaviour=Behaviour(segments=1, brackets="position"))
    assert {order.status for order in desk.send(desk.pair())} == {"rejected"}
    assert Account.objects.get().bracket_mode == BracketMode.POSITION
    assert desk.pair().code == "bracket_mode"
    venues.forget()


def test_a_token_that_would_end_before_the_flat_time_is_exchanged_from_an_hour_before_the_open_on(desk: Desk):
    stage = SimpleNamespace(venue=desk.venue, now=lambda: desk.now)
    with ExitStack() as stack:
        Login.objects.update(base_url=stack.enter_context(served(stage, credentials=Credentials("demo", "demo"))))
        broker = venues.connect(Login.objects.get())
        stack.callback(broker._gateway.disconnect)
        assert broker.accounts()
        Login.objects.update(token_renewed_at=Now() - timedelta(hours=19))
        desk.now = desk.now.replace(hour=21, minute=55)  # 16:55 New York: the next session opens in 65 minutes
        before = Login.objects.get().token
        watch(desk)
        assert Login.objects.get().token == before
        desk.now += timedelta(minutes=10)
        watch(desk)
        account = Account.objects.select_related("login").get()
        assert account.login.token != before
        until = risk_states.risk_state(account, None, None, now=desk.now).token_until
        assert until - desk.now > timedelta(hours=23, minutes=59)
        watch(desk)
        assert Login.objects.get().token == account.login.token
