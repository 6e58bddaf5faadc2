"""An account at a venue that does not answer, with two contracts; and commands run as at a prompt."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from market.bars import Int
from tests.factories import calendar_days
from tests.markets import DrawnMarket
from tradingbot.clock import Anchor, clock, now
from tradingbot.models import Account, Contract, Login, Order
from tradingbot.operations import accounts, bars, contracts, reconciliation, venues

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # a Wednesday, 10:00 in New York


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended; `error` is its one line on stderr."""

    code: int
    out: str
    notes: str
    error: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch, tmp_path):
    """Market time stands at NOW until `clock.start`, then it runs at 30x."""
    monkeypatch.setattr(clock, "anchor", Anchor(NOW, 30.0))
    monkeypatch.setattr(clock, "_file", tmp_path / "clock.json")
    monkeypatch.setattr(clock, "_origin", None)


@pytest.fixture
def run() -> Callable[..., Ran]:
    def command(*typed: str) -> Ran:
        out, notes = io.StringIO(), io.StringIO()
        try:
            call_command(*typed, stdout=out, stderr=notes)
        except CommandError as error:
            return Ran(error.returncode, out.getvalue(), notes.getvalue(), str(error))
        return Ran(0, out.getvalue(), notes.getvalue(), "")

    return command


@pytest.fixture
def login(db) -> Login:
    return Login.objects.create(
        name="paper", venue="paper", base_url="http://127.0.0.1:1", user_name="trader", api_key="key"
    )


@pytest.fixture
def account(login) -> Account:
    return make_account(login, "PRAC-V2-1", 1001)


@pytest.fixture
def contract(account) -> Contract:
    make_contract("ES", "ESZ6", tick_value="12.5")
    return make_contract("MNQ", "MNQZ6", tick_value="0.5")


def make_account(login: Login, name: str, number: int, **values: Any) -> Account:
    defaults = {
        "stage": "practice",
        "can_trade": True,
        "balance": Decimal(150_000),
        "balance_at": NOW,
        "session_date": NOW.date(),
        "session_start_balance": Decimal("149900.50"),
        "maximum_loss": Decimal(4500),
        "max_lots": Decimal(15),
    }
    return Account.objects.create(login=login, name=name, broker_account_id=number, **(defaults | values))


def make_contract(symbol: str, name: str, *, tick_value: str, active: bool = True) -> Contract:
    return Contract.objects.create(
        venue="paper",
        broker_contract_id=f"CON.F.US.{symbol}.{name[-2:]}",
        symbol=symbol,
        name=name,
        tick_size=Decimal("0.25"),
        tick_value=Decimal(tick_value),
        active=active,
        seen_at=NOW,
    )


def make_order(account: Account, contract: Contract, **values: Any) -> Order:
    defaults = {
        "session_date": NOW.date(),
        "tag": f"tb-{Order.objects.count()}",
        "role": "entry",
        "side": 1,
        "type": "limit",
        "quantity": 1,
        "limit_price": Decimal("21480.25"),
        "stop_ticks": 40,
        "status": "working",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order.objects.create(account=account, contract=contract, **(defaults | values))


def still(minute: Int) -> Int:
    """Return 21,480.00 for every minute, in ticks."""
    return np.full_like(minute, 85920)


@pytest.fixture
def venue(transactional_db, login, standing_clock) -> Iterator[Venue]:
    """The simulated venue without a wire, an account that is ready to trade, and market time at 30x."""
    clock.start()
    engine = Venue(Ledger(":memory:"), DrawnMarket(still))
    engine.open_account("PRAC-V2-1-1", Decimal(150_000), NOW)
    venues.use(login, SimulatedBroker(engine, now))
    calendar_days()
    contracts.refresh(login, now=now())
    (account,) = accounts.discover(login, now=now())
    bars.fetch(Contract.objects.get(symbol="MNQ", active=True), now=now())
    accounts.refresh(account, now=now())
    reconciliation.reconcile(account, now=now())
    yield engine
    venues.forget()
    engine.shut()
