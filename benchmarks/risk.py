"""What the gate costs: the pure decision, and the gate in the order's transaction with PostgreSQL.

An account with 20 positions, each with its stop, and 50 working entries asks for one more. The decision alone is
processor time. The gate on real rows is everything between the account's lock and the verdict: facts, orders,
positions, newest prices. The floor is what it cannot leave out, interleaved in the same rounds: four statements that
ask for nothing, as many as it makes. Beside it: what this process computes of it, and the whole of `orders.open`.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from benchmarks import stack

PURE_ROUNDS, ROUNDS, WARM_UP = 2000, 200, 20
POSITIONS, ORDERS = 20, 50
GOAL_PURE_MS, GOAL_GATE_MS = 0.1, 5.0
NOW = datetime(2026, 11, 18, 14, 30, 4, tzinfo=UTC)  # 09:30:04 New York
SYMBOLS = (
    *("MNQ", "MES", "M2K", "MYM", "ES", "NQ", "RTY", "YM", "MCL", "CL", "MNG", "NG", "MGC", "GC", "MHG", "M6A"),
    *("M6B", "M6E", "6A", "6E"),
)


def main() -> int:
    pure = _pure()
    with stack.servers():
        gate, own, floor, whole = _on_rows()
    p50, gate50, own50, floor50, whole50 = (statistics.median(values) for values in (pure, gate, own, floor, whole))
    pure99, gate99 = (statistics.quantiles(values, n=100)[98] for values in (pure, gate))
    print(f"decision alone      p50 {p50:7.3f} ms  p99 {pure99:7.3f} ms  ({POSITIONS} positions, {ORDERS} orders)")
    print(f"gate on rows        p50 {gate50:7.3f} ms  p99 {gate99:7.3f} ms  floor {floor50:.3f} ms")
    print(f"of it computed here p50 {own50:7.3f} ms;  orders.open, whole  p50 {whole50:.3f} ms")
    figures = {
        "decision_p50_ms": round(p50, 4),
        "decision_p99_ms": round(pure99, 4),
        "gate_p50_ms": round(gate50, 2),
        "gate_p99_ms": round(gate99, 2),
        "gate_computed_p50_ms": round(own50, 2),
        "open_p50_ms": round(whole50, 2),
        "floor_ms": round(floor50, 2),
    }
    ok = p50 <= GOAL_PURE_MS and gate50 <= GOAL_GATE_MS
    goal = f"decision p50 <= {GOAL_PURE_MS:g} ms, gate with PostgreSQL p50 <= {GOAL_GATE_MS:g} ms"
    print(json.dumps({"name": "risk", "figures": figures, "ratio": round(gate50 / floor50, 2), "goal": goal, "ok": ok}))
    return 0


def _pure() -> list[float]:
    """Return milliseconds of processor time of each decision."""
    from market.orders import OrderType, Side
    from market.products import product
    from market.sessions import flat_by, regular_session
    from risk.consistency import Days
    from risk.gate import EntryRequest, EntrySide, Exposure, RiskState, decide
    from risk.limits import entries_until
    from risk.personal import Personal
    from risk.rule_states import RuleState
    from risk.rulebook import shipped

    session = regular_session(date(2026, 11, 18))
    contracts = [product(symbol).contract(2026, 12) for symbol in SYMBOLS]
    book = [Exposure(contract, Side.BUY, 1, 40, is_position=True) for contract in contracts]
    book += [Exposure(contracts[number % POSITIONS], Side.SELL, 1, 60) for number in range(ORDERS)]
    rulebook, today = shipped(), NOW.date()
    rules = RuleState(
        problems=(),
        parameters=rulebook.parameters("combine", 50, today),
        permitted=rulebook.permitted(today),
        personal=Personal(),
        days=Days(),
        conduct=rulebook.conduct(today),
    )
    state = RiskState(
        now=NOW,
        rules=rules,
        trading_state="active",
        stage="combine",
        enabled=True,
        can_trade=True,
        reconciled=True,
        blocked="",
        strategy_halted="",
        session=session,
        flat_at=flat_by(session),
        entries_until=entries_until(session),
        calendar_until=date(2027, 11, 18),
        prices_at=NOW - timedelta(seconds=4),
        price_age=125.0,
        balance=Decimal(150_000),
        balance_age=30.0,
        equity=Decimal(150_000),
        day_profit=Decimal(0),
        floor=Decimal(50_000),
        maximum_loss=Decimal(100_000),
        daily_loss_limit=Decimal(90_000),
        max_lots=Decimal(500),
        exposures=tuple(book),
    )
    sides = (
        EntrySide(Side.BUY, OrderType.STOP, 86_200, 80, 100),
        EntrySide(Side.SELL, OrderType.STOP, 85_800, 80, 100),
    )
    request = EntryRequest(contracts[0], 3, sides, oco=True, reference=86_000)
    if not decide(request, state).allowed:
        sys.exit(f"the benchmark's entry is denied: {decide(request, state).sentence}")
    states = [_later(state, number) for number in range(WARM_UP + PURE_ROUNDS)]  # no two alike: nothing is remembered
    spent = []
    gc.disable()
    for number, state in enumerate(states):
        begin = time.thread_time()
        decide(request, state)
        if number >= WARM_UP:
            spent.append((time.thread_time() - begin) * 1e3)
    gc.enable()
    return spent


def _later(state, number: int):
    """Return the state of the account `number` seconds later, with as many cents more."""
    profit = Decimal(number) / 100
    values = {name: getattr(state, name) + profit for name in ("balance", "equity", "day_profit")}
    passed = timedelta(seconds=number)
    return replace(state, now=state.now + passed, prices_at=state.prices_at + passed, **values)


def _on_rows() -> tuple[list[float], list[float], list[float], list[float]]:
    """Return milliseconds of the gate in the order's transaction, this process's part, its floor, and of all of it."""
    from django.db import transaction

    from market.orders import OrderType, Side
    from risk.gate import EntryRequest, EntrySide, decide
    from tradingbot.clock import now
    from tradingbot.models import Decision
    from tradingbot.operations import orders, risk_states, statements

    account, contract = _rows(now())
    side = EntrySide(Side.BUY, OrderType.STOP, 86_200, 80, 100)
    request = EntryRequest(contract.spec, 3, (side,), reference=86_000)
    gates, own, floors, wholes = [], [], [], []
    for number in range(WARM_UP + ROUNDS):
        moment = now()
        with transaction.atomic():
            locked = orders.lock(account.pk)
            begin, computed = time.perf_counter(), time.thread_time()
            verdict = decide(request, risk_states.risk_state(locked, contract, None, now=moment))
            middle, computed = time.perf_counter(), time.thread_time() - computed
            for _ in range(4):
                statements.rows("SELECT 1", {})
            end = time.perf_counter()
        if not verdict.allowed:
            sys.exit(f"the benchmark's entry is denied: {verdict.sentence}")
        opened = time.perf_counter()
        decision = orders.open(
            account=account, contract=contract, request=request, session_date=moment.date(), now=moment
        )
        closed = time.perf_counter()
        decision.orders.filter(parent__isnull=False).delete()
        _forget(decision)
        Decision.objects.all().delete()
        if number >= WARM_UP:
            gates.append((middle - begin) * 1e3)
            own.append(computed * 1e3)
            floors.append((end - middle) * 1e3)
            wholes.append((closed - opened) * 1e3)
    return gates, own, floors, wholes


def _forget(decision) -> None:
    from tradingbot.models import OrderEvent

    OrderEvent.objects.filter(order__decision=decision).delete()
    decision.orders.all().delete()


def _rows(now: datetime):
    """Write an account with positions, their stops and working entries, bars of every contract; return it."""
    import numpy as np
    from django.db.models.functions import Now

    from market.bars import Bars, epoch
    from market.products import product
    from market.sessions import regular_session
    from tradingbot.models import Account, Contract, Login, Order, Position
    from tradingbot.operations import bars

    session = regular_session(date(2026, 11, 18))
    account = Account.objects.create(
        login=Login.objects.get(),
        broker_account_id=1,
        name="150KTC-V2-1-1",
        stage="combine",
        can_trade=True,
        start_balance=150_000,
        highest_eod_balance=150_000,
        balance=150_000,
        session_start_balance=150_000,
        session_date=session.trade_date,
        maximum_loss=100_000,
        daily_loss_limit=90_000,
        max_lots=500,
        balance_at=now,
        balance_read_at=Now(),
        reconciled_at=Now(),
    )
    Account.objects.update(balance_read_at=Now() + timedelta(hours=1))
    closed_at = now.replace(second=0, microsecond=0)
    at = np.arange(epoch(session.opens_at), epoch(closed_at), 60, np.int64)
    flat = np.full(len(at), 86_000, np.int64)
    contracts = []
    for symbol in SYMBOLS:
        spec = product(symbol).contract(2026, 12)
        row, _ = Contract.objects.update_or_create(
            venue="paper",
            broker_contract_id=spec.id,
            defaults={
                "symbol": symbol,
                "name": f"{symbol}Z6",
                "tick_size": spec.tick_size,
                "tick_value": spec.tick_value,
                "seen_at": now,
                "active": True,
            },
        )
        contracts.append(row)
        recorded = Bars(at, flat, flat, flat, flat, np.ones(len(at), np.int64))
        bars.record(row, session.trade_date, recorded, source="benchmark", covered_until=closed_at, now=now)
    earlier = now - timedelta(hours=1)
    common = {"account": account, "session_date": session.trade_date, "created_at": earlier, "updated_at": now}
    for contract in contracts:
        price = contract.spec.price(86_000)
        Position.objects.create(
            account=account, contract=contract, quantity=1, broker_quantity=1, average_price=price, opened_at=now
        )
        _order(Order, common, contract, "stop", -1, stop_price=contract.spec.price(85_960))
    for number in range(ORDERS):
        contract = contracts[number % POSITIONS]
        _order(Order, common, contract, "entry", 1, stop_price=contract.spec.price(86_100), stop_ticks=60)
    return account, contracts[0]


def _order(model, common: dict, contract, role: str, side: int, **values) -> None:
    number = model.objects.count()
    model.objects.create(
        **common,
        contract=contract,
        tag=f"bench-{number}",
        role=role,
        side=side,
        type="stop",
        quantity=1,
        status="working",
        broker_order_id=number + 1,
        **values,
    )


if __name__ == "__main__":
    sys.exit(main())
