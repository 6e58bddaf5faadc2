"""Rows for tests; what a test does not name is an ordinary practice account that trades MNQ on paper."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import factory
from factory.django import DjangoModelFactory

from market.products import PRODUCTS
from market.sessions import regular_session
from strategies import STRATEGIES
from strategies.parameters import dump
from tradingbot import models

NOW = datetime(2026, 11, 18, 14, 20, tzinfo=UTC)  # a Wednesday, 09:20 New York


class LoginFactory(DjangoModelFactory):
    name = "paper"
    venue = "paper"
    base_url = "http://127.0.0.1:1"
    user_name = "demo"
    api_key = "demo"

    class Meta:
        model = models.Login
        django_get_or_create = ("name",)


class AccountFactory(DjangoModelFactory):
    login = factory.SubFactory(LoginFactory)
    broker_account_id = factory.Sequence(lambda number: 1001 + number)
    name = factory.LazyAttribute(lambda account: f"PRAC-V2-{account.broker_account_id}")
    stage = models.Stage.PRACTICE
    can_trade = True
    start_balance = highest_eod_balance = balance = session_start_balance = Decimal(150_000)
    maximum_loss = Decimal(4500)
    max_lots = Decimal(15)
    session_date = NOW.date()
    balance_at = balance_read_at = reconciled_at = NOW

    class Meta:
        model = models.Account


class ContractFactory(DjangoModelFactory):
    venue = "paper"
    symbol = "MNQ"
    broker_contract_id = factory.LazyAttribute(
        lambda row: f"CON.F.US.{PRODUCTS[row.symbol].id}.{row.name[-2]}2{row.name[-1]}"
    )
    name = "MNQZ6"
    tick_size = Decimal("0.25")
    tick_value = Decimal("0.5")
    seen_at = NOW

    class Meta:
        model = models.Contract
        django_get_or_create = ("venue", "broker_contract_id")


class StrategyFactory(DjangoModelFactory):
    account = factory.SubFactory(AccountFactory)
    kind = "overnight_range"
    name = factory.SelfAttribute("kind")
    symbol = "MNQ"
    enabled = True
    parameters = factory.LazyAttribute(lambda strategy: dump(STRATEGIES[strategy.kind].parameters()))

    class Meta:
        model = models.Strategy


def calendar_days() -> None:
    """Write ordinary sessions from two weeks before NOW to a month after it; the real calendar takes longer."""
    days = (date(2026, 11, 2) + timedelta(days=number) for number in range(46))
    sessions = [regular_session(day) for day in days if day.weekday() < 5]
    models.CalendarDay.objects.bulk_create(
        models.CalendarDay(
            trade_date=session.trade_date,
            opens_at=session.opens_at,
            closes_at=session.closes_at,
            rth_opens_at=session.rth_opens_at,
            source="test",
        )
        for session in sessions
    )
