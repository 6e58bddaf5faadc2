"""A traded day as rows: what the panel, the chart and the API show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal as D

import numpy as np

from market.bars import Bars, epoch
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import regular_session
from tests.factories import NOW, AccountFactory, ContractFactory, StrategyFactory, calendar_days
from tradingbot.models import (
    Account,
    Contract,
    Decision,
    Fill,
    Order,
    Outcome,
    OvernightRange,
    Position,
    StateChange,
    Strategy,
    Trade,
)
from tradingbot.operations import bars

TODAY = NOW.date()
RULES = [
    {"rule": "product", "value": "MNQ", "limit": "permitted", "ok": True, "note": ""},
    {"rule": "daily loss", "value": "-", "limit": "none set", "ok": None, "note": ""},
    {"rule": "size", "value": "6.0 lots", "limit": "5.0 lots", "ok": False, "note": "60 MNQ are 6.0 lots"},
]


@dataclass(frozen=True)
class Day:
    """Long 2 MNQ from 20,001.25 with a stop that has moved to the entry, and a closed trade before it."""

    account: Account
    contract: Contract
    strategy: Strategy
    decision: Decision
    entry: Order
    stop: Order
    target: Order
    fill: Fill


def flat_bars(*, ticks: int, until: int) -> Bars:
    """Return minutes from the session's open to epoch second `until`, all at one price."""
    opened_at = np.arange(epoch(regular_session(TODAY).opens_at), until, 60, dtype=np.int64)
    price = np.full(len(opened_at), ticks, np.int64)
    return Bars(opened_at, price, price + 2, price - 2, price, np.ones(len(opened_at), np.int64))


def traded() -> Day:
    """Write the rows of the day at 09:20 New York."""
    calendar_days()
    account = AccountFactory(name="50KTC-1001", start_balance=D(50_000), maximum_loss=D(2000), balance=D("50120.50"))
    Account.objects.filter(pk=account.pk).update(session_start_balance=D(50_000), highest_eod_balance=D(50_000))
    account.refresh_from_db()
    contract, strategy = ContractFactory(), StrategyFactory(account=account)
    bars.record(contract, TODAY, flat_bars(ticks=80_010, until=epoch(NOW)), source="venue", covered_until=NOW, now=NOW)
    OvernightRange.objects.create(
        contract=contract,
        session_date=TODAY,
        high=D(20_001),
        low=D(19_990),
        bars=920,
        expected_bars=930,
        complete=True,
        captured_at=NOW,
    )
    common = {"account": account, "strategy": strategy, "contract": contract, "session_date": TODAY}
    at = NOW - timedelta(minutes=10)
    decision = Decision.objects.create(
        **common,
        at=at,
        bar_closed_at=at,
        outcome=Outcome.ORDERED,
        code="allowed",
        sentence="Two brackets of 2 MNQ were placed.",
        inputs={"range_high": "20001.00", "zone_above_near": "20040.00", "zone_above_far": "20060.00"},
        rules=RULES,
        config_version="abc",
    )
    common |= {"decision": decision, "quantity": 2, "requested_by": "overnight_range", "updated_at": NOW}
    entry = Order.objects.create(
        **common,
        tag="tb-entry",
        role=Role.ENTRY,
        side=Side.BUY,
        type=OrderType.STOP,
        filled=2,
        stop_price=D("20001.25"),
        average_price=D("20001.25"),
        stop_ticks=80,
        target_ticks=160,
        status=OrderStatus.FILLED,
        sent_at=at,
        broker_order_id=11,
        created_at=at,
    )
    legs = {**common, "parent": entry, "side": Side.SELL, "status": OrderStatus.WORKING, "created_at": at}
    stop = Order.objects.create(
        **legs, tag="tb-SL", role=Role.STOP, type=OrderType.STOP, stop_price=D("20001.25"), broker_order_id=12
    )
    stop.note("modify asked", at=NOW - timedelta(minutes=4), detail={"price": "20001.25", "from": "19981.25"})
    stop.note("facts", at=NOW - timedelta(minutes=3), detail={"stop_price": "20001.25"})
    target = Order.objects.create(
        **legs, tag="tb-TP", role=Role.TARGET, type=OrderType.LIMIT, limit_price=D("20041.25"), broker_order_id=13
    )
    booked = {"account": account, "contract": contract, "session_date": TODAY, "fees": D("0.74"), "commissions": D(0)}
    fill = Fill.objects.create(
        **booked, order=entry, broker_trade_id=1, broker_order_id=11, at=at, side=1, quantity=2, price=D("20001.25")
    )
    Position.objects.create(
        account=account, contract=contract, quantity=2, broker_quantity=2, average_price=D("20001.25"), opened_at=at
    )
    opened, closed = (
        Fill.objects.create(
            **booked, broker_trade_id=n, broker_order_id=n, at=at, side=side, quantity=1, price=D(price)
        )
        for n, side, price in ((2, 1, 19_990), (3, -1, 20_000))
    )
    Trade.objects.create(
        account=account,
        contract=contract,
        strategy=strategy,
        entry_fill=opened,
        exit_fill=closed,
        session_date=TODAY,
        direction=1,
        quantity=1,
        entry_price=opened.price,
        exit_price=closed.price,
        entered_at=at,
        exited_at=at,
        gross=D(20),
        fees=D("1.48"),
        commissions=D(0),
        net=D("18.52"),
        exit_role=Role.TARGET,
    )
    StateChange.objects.create(account=account, kind="state", at=at, before="halted", after="active", by="ada")
    return Day(account, contract, strategy, decision, entry, stop, target, fill)
