"""From a wish to committed intents: the gate and the rows in one transaction."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from market.orders import OrderStatus, OrderType, Role, Side
from market.plans import Management
from risk.gate import EntryRequest, EntrySide, Verdict, decide
from tradingbot.faults import point
from tradingbot.models import Account, Contract, Decision, Order, OrderEvent, Outcome, Strategy
from tradingbot.operations import notifications, risk_states, statements

_LOCK = 0x7B6F776E  # of advisory locks, the first of two numbers: any, as long as nobody else uses it


def lock(account_id: int) -> Account:
    """Return the account's row, locked until the transaction ends: who wants to open, halt or claim waits in line."""
    return Account.objects.select_for_update(of=("self",)).select_related("login").get(pk=account_id)


def _wait_for_other_accounts(account: Account) -> None:
    """Let entries at one venue be decided one after another, each seeing what the one before has committed.

    What own accounts hold together is bound, too: no opposite positions, so many exposed accounts of a login. Held
    until the transaction ends; who holds it has the lock of its account already and waits for no other.
    """
    statements.rows(
        "SELECT pg_advisory_xact_lock(%(lock)s::int, hashtext(%(venue)s))", {"lock": _LOCK, "venue": account.venue}
    )


def open(*, account: Account, **wish: Any) -> Decision:
    """Ask the gate and commit the orders that it allows; nothing is sent yet. See `open_locked` for the arguments.

    Returns the Decision: ORDERED with its entries in `decision.orders`, or DENIED with the rule that said no.
    """
    with transaction.atomic():
        decision, _ = open_locked(account=lock(account.pk), **wish)
        point("place.before_intent")
    point("place.after_intent")
    return decision


def open_locked(
    *,
    account: Account,
    contract: Contract,
    request: EntryRequest,
    session_date: date,
    now: datetime,
    strategy: Strategy | None = None,
    inputs: dict[str, Any] | None = None,
    bar_closed_at: datetime | None = None,
    requested_by: str = "",
    management: Management | None = None,
    trail_ticks: int = 0,
    adds: bool = False,
) -> tuple[Decision, list[Order]]:
    """Do the same inside a transaction that holds the account's lock; returns the decision and its entries.

    management, trail_ticks   what is to happen to the position, written to the entries: it holds for them from then
                              on, however the strategy is set later
    adds                      the entries add to a position
    """
    _wait_for_other_accounts(account)
    state = risk_states.risk_state(account, contract, strategy, now=now)
    verdict = decide(request, state)
    decision = Decision.objects.create(
        account=account,
        strategy=strategy,
        contract=contract,
        session_date=session_date,
        at=now,
        bar_closed_at=bar_closed_at,
        outcome=Outcome.ORDERED if verdict.allowed else Outcome.DENIED,
        code=verdict.code,
        sentence=verdict.sentence,
        inputs=inputs or {},
        rules=[rule_row(rule) for rule in verdict.rules],
        config_version=config_version(strategy),
        requested_by=requested_by,
    )
    if verdict.allowed:
        entries = _entries(
            decision, contract, request, verdict, management or Management(), trail_ticks, adds, state.flat_at, now
        )
        return decision, entries
    notifications.notify(
        "risk",
        f"{strategy or requested_by}: entry denied",
        account=account,
        body=decision.sentence,
        level="warning",
        now=now,
    )
    return decision, []


def _entries(
    decision: Decision,
    contract: Contract,
    request: EntryRequest,
    verdict: Verdict,
    management: Management,
    trail_ticks: int,
    adds: bool,
    flat_at: datetime | None,
    now: datetime,
) -> list[Order]:
    """Write and return the entries, write their legs; without a time of its own an entry works until the flat time."""
    group = uuid4() if request.oco and len(request.sides) > 1 else None
    entries = Order.objects.bulk_create(
        Order(
            account=decision.account,
            strategy=decision.strategy,
            contract=contract,
            decision=decision,
            oco_group=group,
            session_date=decision.session_date,
            tag=new_tag(),
            role=Role.ENTRY,
            side=side.side,
            type=side.type,
            quantity=verdict.quantity,
            limit_price=_price(request, side) if side.type is OrderType.LIMIT else None,
            stop_price=_price(request, side) if side.type in (OrderType.STOP, OrderType.TRAILING_STOP) else None,
            reference_price=_reference(request, side),
            stop_ticks=side.stop_ticks,
            target_ticks=side.target_ticks,
            breakeven_ticks=management.breakeven_at(side.stop_ticks or 0) or None,
            breakeven_offset_ticks=management.breakeven_offset_ticks,
            trail_ticks=trail_ticks or None,
            partials=[[str(part.r), str(part.share)] for part in management.partials],
            hold=management.hold,
            adds=adds,
            expires_at=side.expires_at or flat_at,
            requested_by=decision.requested_by or str(decision.strategy),
            created_at=now,
            updated_at=now,
        )
        for side in request.sides
    )
    legs = [
        _leg(entry, role, type_, now)
        for entry in entries
        for role, type_, ticks in (
            (Role.STOP, OrderType.STOP, entry.stop_ticks),
            (Role.TARGET, OrderType.LIMIT, entry.target_ticks),
        )
        if ticks
    ]
    Order.objects.bulk_create(legs)
    OrderEvent.objects.bulk_create(
        OrderEvent(
            order=entry,
            at=now,
            kind="intent",
            before=entry.status,
            after=entry.status,
            detail={"decision": decision.pk},
        )
        for entry in entries
    )
    return entries


def _price(request: EntryRequest, side: EntrySide) -> Decimal | None:
    return None if side.price is None else request.contract.price(side.price)


def _reference(request: EntryRequest, side: EntrySide) -> Decimal | None:
    """Return the price that a market order was decided at; other orders name theirs."""
    if side.type is not OrderType.MARKET or request.reference is None:
        return None
    return request.contract.price(request.reference)


def _leg(entry: Order, role: Role, type_: OrderType, now: datetime) -> Order:
    """Return the unsaved row of a bracket leg: it travels with its entry and has no price before the fill."""
    return Order(
        account=entry.account,
        strategy=entry.strategy,
        contract=entry.contract,
        decision=entry.decision,
        parent=entry,
        session_date=entry.session_date,
        tag=f"{entry.tag}-{'SL' if role is Role.STOP else 'TP'}",
        role=role,
        side=Side(entry.side).opposite,
        type=type_,
        quantity=entry.quantity,
        status=OrderStatus.SUSPENDED,
        requested_by=entry.requested_by,
        created_at=now,
        updated_at=now,
    )


def new_tag() -> str:
    """Return a tag that was never used: our prefix and a random id. One intent, one tag, for ever."""
    return f"{settings.TAG_PREFIX}-{uuid4().hex}"


def rule_row(rule: Any) -> dict[str, Any]:
    """Return a rule of the gate as it is stored with the decision."""
    return {"rule": rule.name, "value": rule.value, "limit": rule.limit, "ok": rule.ok, "note": rule.note}


def config_version(strategy: Strategy | None) -> str:
    """Return a short hash of the parameters in force, empty for a manual order."""
    if strategy is None:
        return ""
    text = json.dumps([strategy.kind, strategy.symbol, strategy.parameters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
