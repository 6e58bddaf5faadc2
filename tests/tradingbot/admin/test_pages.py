from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.authtoken.models import Token

from market.sessions import flat_by
from tests.factories import NOW, AccountFactory
from tests.tradingbot.browsing import words
from tests.tradingbot.days import TODAY, Day, flat_bars, traded
from tradingbot import urls
from tradingbot.admin.facts import FactAdmin
from tradingbot.models import (
    Account,
    AccountingDifference,
    ApiMetric,
    Balance,
    BarDay,
    BarHour,
    CalendarDay,
    DayResult,
    Decision,
    Heartbeat,
    Lease,
    Login,
    NewsEvent,
    Notification,
    Order,
    OrderEvent,
    Payout,
    PersonalRules,
    Position,
    RuleOverride,
    Sample,
    Search,
)
from tradingbot.operations import heartbeats, sessions
from tradingbot.templatetags import exchange

assert urls  # registers every page
SITES = admin.site._registry
MODELS = sorted(SITES, key=lambda model: model.__name__)
FACTS = [model for model in MODELS if isinstance(SITES[model], FactAdmin)]


def address(page: str, model, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def write_everything() -> Day:
    """Write the traded day and at least one row of everything else."""
    day = traded()
    sessions.plan(day.account, now=NOW)
    heartbeats.beat("beat")
    Notification.objects.create(kind="fill", account=day.account, title="Bought", facts={"entry": "20,001.25"}, at=NOW)
    results = dict.fromkeys(("trades", "won", "lost", "gross", "costs", "net", "gain", "loss", "low", "risk"), 1)
    DayResult.objects.create(account=day.account, session_date=TODAY, **results, risked=1, held=60)
    gap = {"expected": 5, "seen": 3, "difference": -2, "cause": "costs"}
    AccountingDifference.objects.create(account=day.account, session_date=TODAY, at=NOW, **gap)
    Balance.objects.create(account=day.account, at=NOW, session_date=TODAY, balance=50_000, open_profit=5, floor=48_000)
    call = {"endpoint": "Order/place", "outcome": "ok", "calls": 2, "seconds": 0.5, "slowest": 0.4}
    ApiMetric.objects.create(login=day.account.login, at=NOW, **call)
    Sample.objects.create(login=day.account.login, at=NOW, name="stream.gaps", value=1)
    Lease.objects.create(name="exit:1", holder="worker", fence=3, expires_at=NOW)
    every, _ = IntervalSchedule.objects.get_or_create(every=30, period="seconds")
    PeriodicTask.objects.create(name="check fills", task="tradingbot.tasks.critical.check_fills", interval=every)
    Payout.objects.create(account=day.account, session_date=TODAY, amount=300, seen_at=NOW)
    RuleOverride.objects.create(
        account=day.account, parameter="max_lots", value=3, effective_from=TODAY, reason="careful", by="ada", at=NOW
    )
    PersonalRules.objects.create(account=day.account, daily_loss=300)
    NewsEvent.objects.create(at=NOW, kind="cpi", title="CPI", source="ada")
    Search.objects.create(
        strategy="ema_cross", contract=day.contract, axes={"stop_atr": ["1", "2"]}, method="grid", objective="net",
        first=TODAY, last=TODAY, asked_by="ada", asked_at=NOW, evaluated=2, held_out=3,
        document={"best": [], "walk_forward": None},
    )  # fmt: skip
    BarHour.objects.create(contract=day.contract, seconds=5, opened_at=NOW, data=packed(), covered_until=NOW)
    return day


def packed() -> bytes:
    from market.bars import epoch, pack

    return pack(flat_bars(ticks=80_000, until=epoch(NOW)))


class TestEveryPage:
    @pytest.fixture(scope="class")
    @classmethod
    def full(cls, django_db_setup: None, django_db_blocker: Any) -> Iterator[Day]:
        """The rows of everything, written once for all pages and rolled back at the end."""
        with django_db_blocker.unblock(), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # the machine may be busy
            day = write_everything()
            Login.objects.update(api_key="the-api-key", token="the-token")
            yield day
            transaction.set_rollback(True)

    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
    @pytest.mark.parametrize("who", ["panel", "looking"])
    def test_every_list_and_every_page_opens_and_shows_no_secret(self, full, model, who, request):
        browser = request.getfixturevalue(who)
        key = Token.objects.create(user=browser.get("/admin/").wsgi_request.user).key
        secrets = ("the-api-key", "the-token", key)
        pages = [address("change", model, row.pk) for row in model._default_manager.all()[:3]]
        for page in [address("changelist", model), *pages]:
            response = browser.get(page)
            text = words(response)
            assert text
            assert not [secret for secret in secrets if secret in response.content.decode()], page
            if page in pages:
                assert "Decimal(" not in text
                assert "memory at 0x" not in text

    @pytest.mark.parametrize("model", FACTS, ids=lambda model: model.__name__)
    def test_records_of_fact_are_read_only_even_for_a_superuser(self, full, panel, model):
        row = model._default_manager.first()
        before = model._default_manager.filter(pk=row.pk).values().get()
        assert panel.get(address("add", model)).status_code == 403
        assert panel.post(address("change", model, row.pk), {"name": "forged", "quantity": 9}).status_code == 403
        assert panel.post(address("delete", model, row.pk), {"post": "yes"}).status_code == 403
        assert model._default_manager.filter(pk=row.pk).values().get() == before

    def test_a_process_id_is_no_amount(self, full, panel):
        Heartbeat.objects.update(pid=12345)
        assert "12345" in words(panel.get(address("changelist", Heartbeat)))


def test_tokens_have_no_page():
    assert Token not in SITES


def test_which_pages_are_records_of_fact():
    assert {model.__name__ for model in MODELS} - {model.__name__ for model in FACTS} == {
        "Account",
        "Backtest",
        "CalendarDay",
        "Group",
        "Login",
        "NewsEvent",
        "PersonalRules",
        "Strategy",
        "User",
    }


def test_the_order_page_tells_its_story(panel, day):
    text = words(panel.get(address("change", Order, day.stop.pk)))
    assert "sell 2 MNQ stop 20,001.25" in text
    assert "18 Nov 2026 09:17:00 ET facts" in text
    assert "stop_price 20001.25" in text


def test_the_order_list_takes_as_many_queries_for_thirty_orders_as_for_three(panel, day, django_assert_max_num_queries):
    with django_assert_max_num_queries(16) as few:
        panel.get(address("changelist", Order))
    common = {"account": day.account, "contract": day.contract, "session_date": TODAY, "side": 1, "quantity": 1}
    for number in range(27):
        Order.objects.create(**common, role="exit", type="market", tag=f"t{number}", created_at=NOW, updated_at=NOW)
    with django_assert_max_num_queries(len(few)):
        panel.get(address("changelist", Order))


def test_a_decision_shows_each_rule_with_its_verdict(panel, day):
    text = words(panel.get(address("change", Decision, day.decision.pk)))
    assert "passed product MNQ permitted" in text
    assert "does not apply daily loss - none set" in text
    assert "denied size 6.0 lots 5.0 lots 60 MNQ are 6.0 lots" in text
    assert "zone_above_near 20040.00" in text


def test_a_bar_day_is_readable(panel, day):
    response = panel.get(address("change", BarDay, day.contract.days.get().pk))
    text = words(response)
    assert "09:19:00 ET 20,002.50 20,003.00 20,002.00 20,002.50 1" in text  # the newest first
    assert "18:00:00 ET 20,002.50" in text
    assert f"/chart/MNQ/{TODAY}/?contract={day.contract.pk}" in response.content.decode()


def test_the_list_of_bar_days_does_not_read_the_bars(panel, day, django_assert_max_num_queries):
    with django_assert_max_num_queries(16) as queries:
        panel.get(address("changelist", BarDay))
    assert not [query["sql"] for query in queries if '"tradingbot_barday"."data"' in query["sql"]]


def test_cancelling_an_order_asks_and_then_leaves_it_to_a_worker(panel, day):
    page = f"/admin/tradingbot/order/{day.target.pk}/cancel/"
    assert "Cancel this order?" in words(panel.get(page))
    day.target.refresh_from_db()
    assert day.target.status == "working"
    assert "a worker cancels it" in words(panel.post(page, follow=True))
    day.target.refresh_from_db()
    assert day.target.status == "cancel_pending"
    assert OrderEvent.objects.filter(order=day.target).last().detail == {"by": "ada"}


def test_an_ended_order_offers_no_cancel(panel, day):
    assert "Cancel order" not in words(panel.get(address("change", Order, day.entry.pk)))
    assert panel.post(f"/admin/tradingbot/order/{day.entry.pk}/cancel/").status_code == 403


def test_the_stop_of_an_open_position_is_not_cancelled(panel, day):
    page = f"/admin/tradingbot/order/{day.stop.pk}/cancel/"
    text = words(panel.post(page, follow=True))
    assert f"#{day.stop.pk} is the stop of an open position and stays: move it, or close the position" in text
    day.stop.refresh_from_db()
    assert day.stop.status == "working"


def test_a_stop_whose_position_is_closed_is_cancelled(panel, day):
    Position.objects.update(quantity=0, broker_quantity=0)
    assert "a worker cancels it" in words(panel.post(f"/admin/tradingbot/order/{day.stop.pk}/cancel/", follow=True))
    day.stop.refresh_from_db()
    assert day.stop.status == "cancel_pending"


def test_selected_orders_are_asked_for_once_then_cancelled_but_for_a_stop_and_ended_ones(panel, day):
    chosen = {"action": "cancel_selected", "_selected_action": [day.stop.pk, day.target.pk, day.entry.pk]}
    question = panel.post(address("changelist", Order), chosen, follow=True)
    assert "Cancel 2 order(s)?" in words(question)
    assert not Order.objects.filter(status="cancel_pending").exists()
    text = words(panel.post(question.redirect_chain[-1][0], follow=True))
    assert "1 order(s) will be cancelled" in text
    assert f"#{day.stop.pk} is the stop of an open position and stays" in text
    assert list(Order.objects.filter(status="cancel_pending")) == [day.target]


def test_selected_orders_that_have_ended_are_not_asked_for(panel, day):
    chosen = {"action": "cancel_selected", "_selected_action": [day.entry.pk]}
    assert "None of them works" in words(panel.post(address("changelist", Order), chosen, follow=True))


def test_selected_orders_are_cancelled_only_by_who_may(looking, day):
    assert looking.post(f"/admin/orders/cancel/?orders={day.target.pk}").status_code == 403
    day.target.refresh_from_db()
    assert day.target.status == "working"


@pytest.mark.parametrize(
    ("path", "data"),
    [("account/{0}/flatten/", {"reason": "x"}), ("account/{0}/halt/", {"reason": "x"}), ("account/{0}/resume/", {})],
)
def test_who_may_only_look_cannot_act(onlooker, day, path, data):
    assert onlooker.post("/admin/tradingbot/" + path.format(day.account.pk), data).status_code == 403


def test_flattening_one_account_writes_the_request(panel, day):
    panel.post(f"/admin/tradingbot/account/{day.account.pk}/flatten/", {"reason": "enough"})
    day.account.refresh_from_db()
    assert (day.account.flatten_requested_at, day.account.flatten_reason) == (NOW, "enough")


def test_one_account_is_the_default(panel, day):
    other = AccountFactory(selected=True)
    text = words(panel.post(f"/admin/tradingbot/account/{day.account.pk}/choose/", follow=True))
    assert "use 50KTC-1001 when no account is named" in text
    assert list(Account.objects.filter(selected=True)) == [day.account]
    other.refresh_from_db()
    assert not other.selected


def test_stage_and_size_are_edited_the_limits_follow_and_the_editor_is_remembered(panel, day):
    form = {"stage": "combine", "size": "100", "enabled": "on", "start_balance": "100000", "has_daily_loss_limit": "on"}
    form |= {"bracket_mode": "auto_oco", "group_percent": "60", "sharing": "net", "max_strategies": "2"}
    page = address("change", Account, day.account.pk)
    assert panel.post(page, form | {"maximum_loss": "9", "balance": "1"}).status_code == 302
    day.account.refresh_from_db()
    account = day.account
    limits = (account.maximum_loss, account.daily_loss_limit, account.max_lots, str(account.balance))
    assert limits == (3000, 2000, 10, "50120.50")
    assert (account.sharing, account.max_strategies) == ("net", 2)
    assert account.history.earliest("-history_id").history_user.username == "ada"
    assert "maximum loss $3,000 rulebook: combine 100K from 2026-09-17" in words(panel.get(page))


def test_a_failed_notification_is_sent_again(panel, db):
    failed = Notification.objects.create(kind="risk", title="x", at=NOW, status="failed", attempts=5, error="HTTP 500")
    chosen = {"action": "retry", "_selected_action": [failed.pk]}
    panel.post(address("changelist", Notification), chosen)
    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.error) == ("pending", 0, "")


def edit(panel, row: CalendarDay, **typed: str):
    """Send the form of a calendar day; `typed` are day of the month and time in New York."""
    times = {"opens_at": "17 18:00", "rth_opens_at": "18 09:30", "closes_at": "18 17:00"} | typed
    form = {"trade_date": "2026-11-18", "note": "half day"}
    for name, at in times.items():
        on, clock = at.split()
        form |= {f"{name}_0": f"2026-11-{on}", f"{name}_1": clock}
    return panel.post(address("change", CalendarDay, row.pk), form)


def test_an_edited_calendar_day_carries_the_name_of_who_edited_it(panel, day):
    row = CalendarDay.objects.get(trade_date=TODAY)
    response = edit(panel, row, closes_at="18 13:00")
    assert response.status_code == 302, words(response)
    row.refresh_from_db()
    assert (row.source, row.note) == ("ada", "half day")
    assert row.closes_at == datetime(2026, 11, 18, 18, tzinfo=UTC)  # typed in New York


def test_a_close_before_the_regular_one_is_an_early_close_without_being_told(panel, day):
    row = CalendarDay.objects.get(trade_date=TODAY)
    edit(panel, row, closes_at="18 13:00")
    row.refresh_from_db()
    assert flat_by(row.session) == datetime(2026, 11, 18, 17, 35, tzinfo=UTC)
    assert "13:00:00 ET early" in words(panel.get(address("changelist", CalendarDay), {"early_close__exact": 1}))
    assert sessions.plan_missing(now=NOW)
    edit(panel, row)
    row.refresh_from_db()
    assert flat_by(row.session) == datetime(2026, 11, 18, 21, tzinfo=UTC)
    assert not row.early_close


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("closes_at", "19 13:00", "2026-11-18 lies between 18:00 of the evening before and 17:00, New York"),
        ("opens_at", "16 18:00", "2026-11-18 lies between 18:00 of the evening before and 17:00, New York"),
        ("rth_opens_at", "17 09:30", "2026-11-18 lies between 18:00 of the evening before and 17:00, New York"),
        ("opens_at", "18 17:00", "the session would close before it opens"),
        ("trade_date", "2026-11-21", "2026-11-21 is a Saturday: no session ends on it"),
    ],
)
def test_times_that_no_session_can_have_are_refused(panel, day, name, at, said):
    row = CalendarDay.objects.get(trade_date=TODAY)
    if name == "trade_date":
        row.trade_date = date.fromisoformat(at)
        with pytest.raises(ValidationError, match=said):
            row.clean()
    else:
        assert said in words(edit(panel, row, **{name: at}))
    row.refresh_from_db()
    assert row.source != "ada"


@pytest.mark.parametrize(
    ("model", "label"),
    [(CalendarDay, "Closes at, New York time"), (NewsEvent, "At, New York time")],
    ids=lambda of: getattr(of, "__name__", ""),
)
def test_a_form_says_whose_time_is_typed(panel, day, model, label):
    assert label in words(panel.get(address("add", model)))


def test_a_login_keeps_its_key_when_the_field_is_left_empty(panel, day):
    login = Login.objects.get()
    form = {"name": "paper", "venue": "paper", "base_url": "http://127.0.0.1:8700", "user_name": "x", "enabled": "on"}
    assert panel.post(address("change", Login, login.pk), form | {"api_key": ""}).status_code == 302
    login.refresh_from_db()
    assert (login.api_key, login.user_name) == ("demo", "x")
    assert panel.post(address("change", Login, login.pk), form | {"api_key": "new"}).status_code == 302
    login.refresh_from_db()
    assert login.api_key == "new"
    assert "Paste the API key" in words(panel.post(address("add", Login), form | {"name": "other", "api_key": ""}))


def test_the_key_of_a_real_login_goes_to_no_address_in_the_clear(panel, day):
    page = address("add", Login)
    form = {
        "name": "mine",
        "venue": "projectx",
        "user_name": "x",
        "api_key": "y",
        "base_url": "http://api.topstepx.com",
    }
    assert "api.topstepx.com: http:// is for this machine only, use https://" in words(panel.post(page, form))
    assert panel.post(page, form | {"base_url": "https://api.topstepx.com"}).status_code == 302
    paper = {"name": "other", "venue": "paper", "base_url": "http://10.0.0.7:8700"}
    assert panel.post(page, form | paper).status_code == 302


def test_a_list_has_what_is_traded_in_one_column_and_the_whole_moment_on_hover(panel, day):
    page = panel.get(address("changelist", Order))
    assert "sell 2 MNQZ6" in words(page)
    whole = exchange.moment(day.entry.created_at)
    assert f'<span title="{whole}">{whole.replace(" 2026", "")}</span>' in page.content.decode()


def test_a_moment_of_another_year_has_its_year_in_a_list():
    assert ">31 Dec 2025 19:00:00 ET<" in exchange.stamp(datetime(2026, 1, 1, tzinfo=UTC))
    assert ">01 Jan 00:00:00 ET<" in exchange.stamp(datetime(2026, 1, 1, 5, tzinfo=UTC))
