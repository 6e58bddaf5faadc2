"""What happens to an open position by declaration: the stop goes to the entry after enough profit."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models.functions import Now

from brokers.base import BrokerError
from market.bars import epoch
from market.orders import OrderStatus, OrderType, Role, Side
from market.sessions import trade_date_of
from tradingbot.models import Contract, Decision, Order, Outcome, Position, Strategy
from tradingbot.operations import bars, snapshots, statements, venues
from tradingbot.operations.orders.changing import cancel, modify, request_cancel, request_modify
from tradingbot.operations.orders.opening import config_version

_HOLDERS = """
SELECT account_id FROM tradingbot_position
WHERE contract_id = %(contract)s AND quantity <> 0
  AND (close_sent_at IS NULL OR close_sent_at <= statement_timestamp() - interval '5 seconds')
"""


def holders(contract: Contract) -> set[int]:
    """Return the ids of the accounts with a position in `contract` that no close is under way for."""
    return {account_id for (account_id,) in statements.rows(_HOLDERS, {"contract": contract.pk})}


def manage(strategy: Strategy | None, contract: Contract, *, now: datetime) -> list[Decision]:
    """Move stops to breakeven where a closed 1-minute bar reached the profit; returns the decisions taken.

    Works on the entries of one strategy, on those placed by hand for None.

    The bar of the fill counts by its close alone, since its extreme may be older than the fill.
    """
    decisions = []
    for entry in Order.objects.filter(
        account__in=holders(contract),
        contract=contract,
        strategy=strategy,
        role=Role.ENTRY,
        filled__gt=0,
        breakeven_ticks__isnull=False,
        session_date=trade_date_of(now),
    ).select_related("account", "contract", "decision"):
        stop = (
            Order.objects.filter(
                account=entry.account,
                contract=contract,
                strategy=strategy,
                role=Role.STOP,
                side=-entry.side,
                type=OrderType.STOP,
                status__in=(OrderStatus.WORKING, OrderStatus.PARTIAL),
            )
            .select_related("contract", "account__login")
            .order_by("pk")
            .first()
        )
        if stop is None or stop.stop_price is None or stop.desired_price is not None:
            continue
        price = _breakeven(entry)
        if (stop.stop_price - price) * entry.side >= 0 or not _reached(entry, contract, now):
            continue
        decisions.append(_move(strategy, entry, stop, price, now))
    return decisions


def _breakeven(entry: Order) -> Decimal:
    """Return the entry's average fill on the tick grid, rounded so that the stop does not lose."""
    spec = entry.contract.spec
    ticks, rest = divmod(entry.average_price or Decimal(0), spec.tick_size)
    return spec.price(int(ticks) + (1 if rest and entry.side == Side.BUY else 0))


def _reached(entry: Order, contract: Contract, now: datetime) -> bool:
    filled_at = entry.fills.order_by("at").values_list("at", flat=True).first()
    if filled_at is None or entry.average_price is None or entry.breakeven_ticks is None:
        return False
    spec = contract.spec
    since = bars.base(contract, since=entry.session_date, now=now).between(
        filled_at.replace(second=0, microsecond=0), now + timedelta(minutes=1)
    )
    if not len(since):
        return False
    profit = (since.high if entry.side == Side.BUY else since.low).copy()
    if since.opened_at[0] < epoch(filled_at):
        profit[0] = since.close[0]
    best = int((profit * entry.side).max()) * spec.tick_size
    wanted = entry.average_price * entry.side + entry.breakeven_ticks * spec.tick_size
    return bool(best >= wanted)


def _move(strategy: Strategy | None, entry: Order, stop: Order, price: Decimal, now: datetime) -> Decision:
    contract = entry.contract
    before = stop.stop_price
    decision = Decision.objects.create(
        account=entry.account,
        strategy=strategy,
        contract=contract,
        session_date=entry.session_date,
        at=now,
        outcome=Outcome.MANAGED,
        code="breakeven",
        sentence=(
            f"Stop of {stop.quantity} {contract.symbol} moved from {contract.text(before)} to the entry "
            f"{contract.text(price)}: {contract.spec.price(entry.breakeven_ticks or 0).normalize():f} points of profit "
            "were reached."
        ),
        inputs={"entry": str(entry.average_price), "from": str(before), "to": str(price)},
        config_version=config_version(strategy),
    )
    if request_modify(stop, price, by=f"breakeven of {strategy or entry.requested_by}", now=now):
        stop.refresh_from_db()
        if not modify(stop, now=now):
            _leave(decision, entry, stop, now)
    return decision


def _leave(decision: Decision, entry: Order, stop: Order, now: datetime) -> None:
    """The price is back beyond the entry already, where no stop may rest: that stop would have filled, so close.

    The venue's own close cannot turn the position around when the old stop fills at the same time. The legs are
    cancelled in the same breath: left alone, they would open a position of their own.
    """
    account, contract = stop.account, stop.contract
    reading = snapshots.read(account, max_age=0, now=now)
    if not any(report.id == stop.broker_order_id for report in reading.orders):
        return  # the old stop has filled
    Position.objects.filter(account=account, contract=contract).update(close_sent_at=Now())
    try:
        venues.connect(account.login).close(
            account.broker_account_id, contract.broker_contract_id, stop.quantity - stop.filled
        )
        said = "closed at market"
        for leg in entry.legs.select_related("account__login", "contract"):
            if request_cancel(leg, by="breakeven", now=now):
                leg.refresh_from_db()
                cancel(leg, now=now)
    except BrokerError as error:
        said = f"close at market: {error}"
    decision.code = "breakeven_passed"
    decision.sentence = (
        f"The price had passed the entry {contract.text(Decimal(decision.inputs['to']))} again before the stop could "
        f"be moved there; {stop.quantity} {contract.symbol} {said}."
    )
    decision.save(update_fields=["code", "sentence"])
