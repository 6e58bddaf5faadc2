"""What the gate needs to know of an account, read from our rows in few queries, inside the transaction of the order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from django.db.models import Count, DecimalField, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Now

from market.orders import ENTRY_TAKEN, LIVE, OrderStatus, OrderType, Role, Side
from market.sessions import flat_by, trade_date_of
from risk import drawdown, limits, rulebook
from risk.gate import Exposure, RiskState
from tradingbot.clock import speed
from tradingbot.models import Account, Balance, BarDay, CalendarDay, Contract, Order, Position, Stage, Strategy, Trade
from tradingbot.operations import bars

_LATENCY = 5.0  # machine seconds that fetching and deciding may take on top of the age that prices may have
_STOPS = (OrderType.STOP, OrderType.TRAILING_STOP)
_PROTECTING = (OrderStatus.WORKING, OrderStatus.PARTIAL)


def risk_state(account: Account, contract: Contract, strategy: Strategy | None, *, now: datetime) -> RiskState:
    """Return the state of `account` for an entry in `contract`. Reads our own rows only; nothing unknown is guessed."""
    day = _calendar(now)
    session = day.session if day else None
    trade_date = session.trade_date if session else trade_date_of(now)
    facts = _facts(account, contract, trade_date, now)
    orders = _orders(account)
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    worth = worth_of(account, positions, realised=facts.realised, trade_date=trade_date)
    return RiskState(
        now=now,
        trading_state=account.trading_state,
        stage=account.stage,
        enabled=account.enabled,
        can_trade=account.can_trade,
        reconciled=account.reconciled_at is not None,
        blocked=account.login.entries_blocked if account.login.enabled else "it is disabled",
        strategy_halted=_halted(strategy, trade_date),
        session=session,
        flat_at=flat_by(session) if session else None,
        entries_until=limits.entries_until(session) if session else None,
        calendar_until=day.until if day else None,  # type: ignore[attr-defined]
        prices_at=facts.covered_until,
        price_age=limits.PRICE_AGE + _LATENCY * speed,
        balance=worth.balance,
        balance_age=facts.balance_age,
        equity=worth.equity,
        day_profit=worth.day_profit,
        floor=floor_of(account),
        maximum_loss=account.maximum_loss,
        daily_loss_limit=account.daily_loss_limit,
        max_lots=_max_lots(account, trade_date),
        product_cap=rulebook.product_cap(contract.symbol, rulebook.infer(account.name)[1], trade_date),
        exposures=tuple(exposures(positions, orders)),
        taken=frozenset(Side(order.side) for order in orders if _takes(order, strategy, trade_date)),
        entries_minute=facts.entries_minute,
        entries_session=facts.entries_session,
        exposed_accounts=facts.exposed_accounts,
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """Dollars of an account at the newest prices; None where a part is not known."""

    balance: Decimal | None
    open_profit: Decimal | None
    equity: Decimal | None
    day_profit: Decimal | None


def worth_of(
    account: Account, positions: Iterable[Position], *, realised: Decimal = Decimal(0), trade_date: date
) -> Worth:
    """Return what the account is worth with `positions` at their newest prices.

    realised   net result of trades closed since the balance was read; only a loss counts, the venue has the last word
    The day's profit is None unless the balance at the start of the session `trade_date` is known.
    """
    balance = None if account.balance is None else account.balance + min(realised, Decimal(0))
    open_profit: Decimal | None = Decimal(0)
    for position in positions:
        newest = bars.last_price(position.contract) if position.quantity else None
        if newest is not None and open_profit is not None:
            open_profit += position.open_profit(newest[0])
        elif position.quantity or position.broker_quantity:
            open_profit = None
    equity = None if balance is None or open_profit is None else balance + open_profit
    start = account.session_start_balance if account.session_date == trade_date else None
    profit = None if equity is None or start is None else equity - start
    return Worth(balance, open_profit, equity, profit)


def floor_of(account: Account) -> Decimal | None:
    """Return the equity at which the account is lost, None unless everything that makes it is known."""
    if account.start_balance is None or account.maximum_loss is None or account.highest_eod_balance is None:
        return None
    return drawdown.floor(
        start=account.start_balance, maximum_loss=account.maximum_loss, highest_eod=account.highest_eod_balance
    )


def exposures(positions: Iterable[Position], orders: Iterable[Order]) -> list[Exposure]:
    """Return what is open or may open: positions split by their stops, entries, other orders that would open."""
    orders = list(orders)
    held = {position.contract_id: _held(position) for position in positions}
    found = [item for position in positions for item in _position(position, held[position.contract_id], orders)]
    for order in orders:
        left = order.quantity - order.filled
        if left <= 0 or order.status == OrderStatus.ABANDONED:
            continue
        if order.role == Role.ENTRY:
            found.append(_exposure(order, left, order.stop_ticks))
        elif order.status != OrderStatus.SUSPENDED and not _reduces(order, left, held.get(order.contract_id, [])):
            found.append(_exposure(order, left, None))
    return found


def _exposure(order: Order, quantity: int, stop_ticks: int | None) -> Exposure:
    return Exposure(
        contract=order.contract.spec,
        side=Side(order.side),
        quantity=quantity,
        stop_ticks=stop_ticks,
        is_unknown=order.status == OrderStatus.UNKNOWN,
        oco_group=order.oco_group,
    )


def _held(position: Position) -> list[int]:
    """Return the signed sizes that count: the larger of ours and the venue's, both where they disagree on the side."""
    ours, theirs = position.quantity, position.broker_quantity
    if ours * theirs < 0:
        return [ours, theirs]
    return [max(ours, theirs, key=abs)]


def _position(position: Position, held: list[int], orders: list[Order]) -> list[Exposure]:
    spec = position.contract.spec
    found = []
    for signed in held:
        side, left = Side.BUY if signed > 0 else Side.SELL, abs(signed)
        risks = [
            (risk, order.quantity - order.filled)
            for order in orders
            if order.contract_id == position.contract_id and order.side == side.opposite
            if (risk := _stop_ticks(order, position, side)) is not None
        ]
        for risk, quantity in sorted(risks, reverse=True):
            if left and quantity > 0:
                found.append(Exposure(spec, side, min(left, quantity), risk, is_position=True))
                left -= min(left, quantity)
        if left:
            found.append(Exposure(spec, side, left, None, is_position=True))
    return found


def _stop_ticks(order: Order, position: Position, side: Side) -> int | None:
    """Return the ticks that the position loses at this order, None if the order does not protect it."""
    if order.type not in _STOPS or order.role not in (Role.STOP, Role.EXTERNAL):
        return None
    if order.status == OrderStatus.SUSPENDED:  # the venue activates it at this distance from the fill
        return order.parent.stop_ticks if order.parent is not None and order.parent.filled else None
    if order.status not in _PROTECTING or order.stop_price is None:
        return None
    price = position.average_price or order.stop_price
    ticks = (price - order.stop_price) * side / position.contract.spec.tick_size
    return int(ticks.to_integral_value(ROUND_CEILING))


def _reduces(order: Order, quantity: int, held: list[int]) -> bool:
    return any(signed * order.side < 0 and quantity <= abs(signed) for signed in held)


@dataclass(frozen=True, slots=True)
class _Facts:
    covered_until: datetime | None
    balance_age: float | None
    realised: Decimal
    entries_minute: int
    entries_session: int
    exposed_accounts: int


def _facts(account: Account, contract: Contract, trade_date: date, now: datetime) -> _Facts:
    """Return in one query what is not in the rows of the account, its positions and its orders."""
    entries = Order.objects.filter(account=OuterRef("pk"), role=Role.ENTRY, session_date=trade_date)
    trades = Trade.objects.filter(account=OuterRef("pk"), exited_at__gt=account.balance_at or now)
    exposed = (
        Account.objects.filter(login=OuterRef("login"))
        .exclude(pk=account.pk)
        .filter(
            Exists(Order.objects.filter(account=OuterRef("pk"), status__in=LIVE))
            | Exists(Position.objects.filter(account=OuterRef("pk")).exclude(quantity=0, broker_quantity=0))
        )
    )
    row = (
        Account.objects.filter(pk=account.pk)
        .annotate(
            machine_now=Now(),
            covered_until=Subquery(
                BarDay.objects.filter(contract=contract).order_by("-trade_date").values("covered_until")[:1]
            ),
            realised=Coalesce(
                Subquery(_summed(trades, Sum("net")), output_field=DecimalField()),
                Decimal(0),
                output_field=DecimalField(),
            ),
            entries_session=_count(entries, "account"),
            entries_minute=_count(entries.filter(created_at__gt=now - timedelta(minutes=1)), "account"),
            exposed_accounts=_count(exposed, "login"),
        )
        .values("machine_now", "covered_until", "realised", "entries_session", "entries_minute", "exposed_accounts")
        .get()
    )
    read_at = account.balance_read_at
    return _Facts(
        covered_until=row["covered_until"],
        balance_age=(row["machine_now"] - read_at).total_seconds() if read_at else None,
        realised=row["realised"],
        entries_minute=row["entries_minute"],
        entries_session=row["entries_session"],
        exposed_accounts=row["exposed_accounts"],
    )


def _summed(rows: QuerySet[Trade], total: Sum) -> QuerySet[Trade, Decimal]:
    return rows.order_by().values("account").annotate(total=total).values_list("total", flat=True)


def _count(rows: QuerySet[Order] | QuerySet[Account], by: str) -> Coalesce:
    grouped = rows.order_by().values(by).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(grouped, output_field=IntegerField()), 0)


def _calendar(now: datetime) -> CalendarDay | None:
    """Return the open session's row with `until`, the last date that the calendar knows."""
    last = CalendarDay.objects.order_by("-trade_date").values("trade_date")[:1]
    return CalendarDay.objects.filter(opens_at__lte=now, closes_at__gt=now).annotate(until=Subquery(last)).first()


def _orders(account: Account) -> list[Order]:
    rows = account.orders.filter(Q(status__in=LIVE) | Q(status=OrderStatus.ABANDONED, role=Role.ENTRY))
    return list(rows.select_related("contract", "parent").order_by())


def _takes(order: Order, strategy: Strategy | None, trade_date: date) -> bool:
    mine = strategy is not None and order.strategy_id == strategy.pk and order.session_date == trade_date
    return mine and order.role == Role.ENTRY and order.status in ENTRY_TAKEN


def _halted(strategy: Strategy | None, trade_date: date) -> str:
    if strategy is None:
        return ""
    if not strategy.enabled:
        return "it is switched off"
    return (strategy.halt_reason or "halted") if strategy.halted_on == trade_date else ""


def _max_lots(account: Account, trade_date: date) -> Decimal | None:
    """Return the account's limit, for an Express account not above what its last end of day allows."""
    if account.stage != Stage.EXPRESS or account.max_lots is None:
        return account.max_lots
    rules = rulebook.parameters(account.stage, rulebook.infer(account.name)[1], trade_date)
    if rules is None:
        return account.max_lots
    last = Balance.objects.filter(account=account, end_of_day=True, session_date__lt=trade_date).order_by(
        "-session_date"
    )
    return min(account.max_lots, rulebook.lots(rules, last_eod=last.values_list("balance", flat=True).first()))
