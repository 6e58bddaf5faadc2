from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client
from msgspec import structs

from tests.factories import NOW, AccountFactory
from tests.tradingbot.browsing import words
from tradingbot.models import Account, AccountingDifference, Heartbeat, Notification, Order, Position, TradingState
from tradingbot.operations import heartbeats, trading
from tradingbot.operations.streaming import state
from tradingbot.queues import redis


def test_an_empty_system_says_what_to_do(panel):
    text = words(panel.get("/admin/"))
    assert "No account yet" in text
    assert "PROJECTX_API_KEY" in text
    assert "No strategy yet" in text
    assert "start them with make run" in text


def test_the_day_is_on_the_page(panel, day):
    heartbeats.beat("worker-critical")
    text = words(panel.get("/admin/"))
    assert "18 Nov 2026 09:20:00 ET" in text
    assert "Paper venue · rehearsal at 30x, clock stands still" in text
    # balance, day's profit: 120.50 realised + 2 x 1.25 points x $2 open; floor 48,000; room: equity less floor
    assert "$50,120.50 +$125.50 +$5.00 $50,125.50 $48,000.00 $2,125.50" in text
    assert "+2 20,001.25 20,001.25 20,041.25 20,002.50 +$5.00" in text  # size, entry, stop, target, newest, profit
    assert "sell 2 MNQ stop 20,001.25" in text
    assert "sell 2 MNQ limit 20,041.25" in text
    assert "Two brackets of 2 MNQ were placed." in text
    assert "20,002.50 09:20:00 ET 0 s" in text  # newest bar, its close, its age
    assert "worker-critical 0 s" in text


def test_a_position_without_a_stop_is_marked(panel, day):
    Order.objects.filter(pk=day.stop.pk).update(status="cancelled")
    assert "no stop" in words(panel.get("/admin/"))


def test_the_page_takes_few_queries_however_many_accounts_there_are(panel, day, django_assert_num_queries):
    panel.get("/admin/")
    with django_assert_num_queries(QUERIES):
        panel.get("/admin/front/")
    for number in range(5):
        AccountFactory(broker_account_id=2000 + number)
        Notification.objects.create(kind="risk", level="alert", title="x", at=NOW)
    with django_assert_num_queries(QUERIES):
        panel.get("/admin/front/")


QUERIES = 16


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trading_state": TradingState.HALTED}, "Halted 1 of 2 account(s) without new entries: 50KTC-1001."),
        ({"trading_state": TradingState.REDUCE_ONLY}, "Reduce only"),
        ({"flatten_requested_at": NOW}, "Flattening"),
        ({"reconciled_at": None}, "Starting"),
    ],
)
def test_the_headline_tells_the_worst_state(panel, day, change, expected):
    AccountFactory()
    Account.objects.filter(pk=day.account.pk).update(**change)
    assert expected in words(panel.get("/admin/front/"))


def test_a_silent_process_is_named_in_the_headline(panel, day):
    heartbeats.beat("beat")
    Heartbeat.objects.filter(name="beat").update(at=Now() - timedelta(seconds=91))
    assert "No sign of life from beat." in words(panel.get("/admin/front/"))


def test_the_stream_is_told_with_the_age_of_its_data(panel, day):
    assert "No stream runs here, everything is polled." in words(panel.get("/admin/front/"))
    heartbeats.beat("stream")
    assert "paper The stream is silent, everything is polled. polling" in words(panel.get("/admin/front/"))
    say(day.account.login_id, problems=[], ages={"MNQZ6": 0.31, "MES": 4.9})
    assert "Fills, quotes and minutes come as they happen. Data are 4.9 s old. delivers" in words(
        panel.get("/admin/front/")
    )
    say(day.account.login_id, problems=["the user hub is not connected"], ages={})
    assert "Degraded to polling: the user hub is not connected. degraded" in words(panel.get("/admin/front/"))


def say(login_id: int, **said: object) -> None:
    """Let the stream of a login say something."""
    nothing = {field.name: field.type() for field in structs.fields(state.Status) if field.type in (int, bool, list)}
    spreads = {name: state.Spread(0.001, 0.002) for name in ("write", "hint", "book")}
    status = state.Status(**nothing | spreads | {"problems": [], "ages": {}} | said)
    redis().set(state.status_key(login_id), state.encode(status), px=state.LASTS)


def test_the_polled_part_makes_a_logged_out_browser_reload(db):
    response = Client().get("/admin/front/")
    assert (response.status_code, response["HX-Refresh"]) == (204, "true")


def test_live_trading_is_labelled(panel, settings):
    settings.TRADING_VENUE = "projectx"
    text = words(panel.get("/admin/"))
    assert "LIVE at ProjectX" in text
    assert "LIVE 30x" in text


def test_halting_asks_first_and_wants_a_reason(panel, day):
    assert "Halt all trading?" in words(panel.get("/admin/halt/"))
    assert "reason: This field is required." in words(panel.post("/admin/halt/")).replace("Reason", "reason")
    assert Account.objects.get().trading_state == TradingState.ACTIVE
    response = panel.post("/admin/halt/", {"reason": "news at ten"}, follow=True)
    assert "All accounts are halted: no new entries" in words(response)
    assert "All halted Every account, by ada: news at ten." in words(response)
    overall = trading.overall()
    assert (overall.trading_state, overall.reason, overall.by) == (TradingState.HALTED, "news at ten", "ada")
    panel.post("/admin/resume/")
    assert trading.overall().trading_state == TradingState.ACTIVE


def test_reduce_only_is_a_button_of_its_own(panel, day):
    assert "Reduce only" in words(panel.get("/admin/"))
    assert "Only reduce, on all accounts?" in words(panel.get("/admin/reduce-only/"))
    page = panel.post("/admin/reduce-only/", {"reason": "thin market"}, follow=True)
    assert "All reduce only Every account, by ada: thin market." in words(page)


def test_resuming_tells_which_account_cannot(panel, day):
    other = AccountFactory()
    for account in (day.account, other):
        trading.halt(account, reason="test", by="ada", now=NOW)
    Account.objects.filter(pk=other.pk).update(flatten_requested_at=NOW)
    text = words(panel.post("/admin/resume/", follow=True))
    assert "50KTC-1001 may trade again." in text
    assert "is being flattened" in text
    day.account.refresh_from_db()
    other.refresh_from_db()
    assert (day.account.trading_state, other.trading_state) == (TradingState.ACTIVE, TradingState.HALTED)


def test_flatten_all_writes_the_request_and_touches_no_order(panel, day):
    assert "(2 now)" in words(panel.get("/admin/flatten/"))
    panel.post("/admin/flatten/", {"reason": "enough"})
    account = Account.objects.get()
    assert account.flatten_requested_at == NOW
    assert account.trading_state == TradingState.HALTED
    assert Position.objects.get().quantity == 2
    day.stop.refresh_from_db()
    assert day.stop.status == "working"


def test_who_may_not_steer_sees_no_buttons_and_is_refused(onlooker, day):
    assert "Flatten all" not in words(onlooker.get("/admin/"))
    assert onlooker.post("/admin/flatten/", {"reason": "x"}).status_code == 403
    assert Account.objects.get().flatten_requested_at is None


def test_a_forged_request_is_refused(panel, day):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = panel.cookies
    assert strict.post("/admin/flatten/", {"reason": "x"}).status_code == 403
    assert Account.objects.get().flatten_requested_at is None


def test_a_balance_that_trades_do_not_explain_is_on_the_page_until_somebody_closes_it(panel, day):
    figures = {"expected": 5, "seen": 3, "difference": -2, "cause": "adjustment", "detail": "ask the firm", "at": NOW}
    row = AccountingDifference.objects.create(account=day.account, session_date=NOW.date(), **figures)
    assert "Balance not explained" in words(panel.get("/admin/"))
    url = f"/admin/tradingbot/accountingdifference/{row.pk}/close/"
    assert "booked were +5.00" in words(panel.get(url))
    panel.post(url, {"reason": "data fee"})
    row.refresh_from_db()
    assert (row.is_open, row.reason) == (False, "data fee")
    assert "Balance not explained" not in words(panel.get("/admin/"))
