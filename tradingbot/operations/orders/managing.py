"""What happens to an open position by declaration: its stop moves, parts of it are closed, its time ends.

All of it is decided on closed 1-minute bars and takes effect with the next one, as `market.plans.Management` says it
and `backtest` does it. It is found anew from bars, fills and orders each time: a missed bar, a crash between two steps
or a lost answer is made up for with the next bar, and nothing is done twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from market.bars import epoch
from market.contracts import Contract as Spec
from market.orders import OrderStatus, OrderType, Side
from market.plans import Management, Partial
from market.sessions import trade_date_of
from tradingbot.models import Account, Contract, Decision, Order, Outcome, Strategy
from tradingbot.operations import bars
from tradingbot.operations.orders.changing import modify, request_modify
from tradingbot.operations.orders.holdings import Holding, engaged, holdings, resting
from tradingbot.operations.orders.opening import config_version, lock
from tradingbot.operations.orders.reducing import (
    cancel_legs,
    claim_close,
    close_all,
    close_is_under_way,
    fit,
    intend_exit,
    refresh,
    send_exit,
    too_large,
)

log = logging.getLogger(__name__)

_MINUTE = timedelta(minutes=1)


def manage(strategy: Strategy | None, contract: Contract, *, now: datetime) -> list[Decision]:
    """Do what the entries of one strategy declare, those placed by hand for None. Returns the decisions taken."""
    found = holdings(engaged(contract, now=now).holders, contract, trade_date_of(now))
    mine = [holding for holding in found if holding.entry.strategy_id == (strategy.pk if strategy else None)]
    for account in {holding.entry.account for holding in mine if too_large(holding)}:
        fit(account, contract, now=now)  # a step before this one was cut off
    decisions: list[Decision] = []
    for holding in mine:
        if holding.left > 0 and holding.filled_at is not None and holding.entry.average_price is not None:
            decisions += _manage(Held(holding, contract.spec, _best(holding, contract, now)), now)
    return decisions


def flatten_strategy(account: Account, strategy: Strategy, contract: Contract, *, now: datetime) -> int | None:
    """Close at its flat time what the entries of a strategy hold, and nothing that others hold in the contract.

    Returns how many contracts of it the venue showed before: 0 is when there is nothing left to close, None if it
    could not be read and nothing was done.
    """
    if refresh(account, now=now) is None:
        return None
    found = holdings({account.pk}, contract, trade_date_of(now))
    mine = [holding for holding in found if holding.entry.strategy_id == strategy.pk and holding.left > 0]
    if account.pk in engaged(contract, now=now).holders:
        for holding in mine:
            if not any(order.is_live for order in holding.exits):
                _close_whole(Held(holding, contract.spec, None), "flat_time", "it is the strategy's flat time", now)
    return sum(holding.left for holding in mine)


@dataclass(slots=True)
class Held:
    """An open entry; `best` is the best price since its fill in ticks."""

    holding: Holding
    spec: Spec
    best: int | None

    @property
    def entry(self) -> Order:
        return self.holding.entry

    @property
    def profit(self) -> Decimal | None:
        """Return the best profit since the fill in ticks, None before the first close."""
        if self.best is None or self.entry.average_price is None:
            return None
        return Decimal(self.best - self.entry.average_price / self.spec.tick_size) * self.entry.side


def _manage(held: Held, now: datetime) -> list[Decision]:
    hold = held.entry.hold
    if hold is not None and _time_is_over(held, hold, now):
        return _close(held, code="hold", why=f"it was held for {int(hold.total_seconds()) // 60} minutes", now=now)
    moved = move_stops(held, now)
    if any(decision.code.endswith("_passed") for decision in moved):
        return moved
    return moved + _take_parts(held, now)


def _since(entry: Order, filled_at: datetime) -> datetime:
    """Return from when on the entry counts as filled: at the bar's close for one placed at market at that close.

    It fills within seconds of that; a backtest has it fill at the open of the next bar, which is the same moment.
    """
    minute = filled_at.replace(second=0, microsecond=0)
    decided = entry.decision.bar_closed_at if entry.decision is not None else None
    return minute if entry.type == OrderType.MARKET and decided == minute else filled_at


def _best(holding: Holding, contract: Contract, now: datetime) -> int | None:
    """Return the best price of the closed bars since the fill in ticks; the bar of the fill counts by its close."""
    entry = holding.entry
    if holding.filled_at is None or not (entry.breakeven_ticks or entry.trail_ticks or entry.partials):
        return None
    filled_at = _since(entry, holding.filled_at)
    since = bars.base(contract, since=entry.session_date, now=now).between(
        filled_at.replace(second=0, microsecond=0), now + _MINUTE
    )
    if not len(since):
        return None
    prices = (since.high if entry.side == Side.BUY else since.low).copy()
    if since.opened_at[0] < epoch(filled_at):
        prices[0] = since.close[0]
    return int((prices * entry.side).max()) * entry.side


def _time_is_over(held: Held, hold: timedelta, now: datetime) -> bool:
    """Return whether the newest close is at or after the fill plus `hold`; that needs no bars."""
    filled_at = held.holding.filled_at
    return filled_at is not None and now.replace(second=0, microsecond=0) >= _since(held.entry, filled_at) + hold


@dataclass(frozen=True, slots=True)
class _Wish:
    """Where a stop should rest at least, and why in words with a place for the price."""

    price: Decimal
    code: str
    why: str


def move_stops(held: Held, now: datetime) -> list[Decision]:
    """Move the stop to the entry after enough profit, and behind the best price; never back."""
    wish = max(_wishes(held), key=lambda wish: wish.price * held.entry.side, default=None)
    if wish is None:
        return []
    decisions = []
    for stop in held.holding.stops:
        before = stop.desired_price or stop.stop_price
        if before is None or not movable(stop) or (wish.price - before) * held.entry.side <= 0:
            continue
        if (decision := _move(held, stop, wish, now)) is not None:
            decisions.append(decision)
    return decisions


def movable(stop: Order) -> bool:
    """Return whether a stop rests at the venue at a price of its own."""
    return stop.type == OrderType.STOP and stop.stop_price is not None and resting(stop)


def _wishes(held: Held) -> list[_Wish]:
    """Return where the declared moves want the stop by now; the nearest counts, on a tie the move to the entry."""
    entry, spec, profit = held.entry, held.spec, held.profit
    if profit is None or held.best is None:
        return []
    wishes = []
    if entry.breakeven_ticks and profit >= entry.breakeven_ticks:
        offset = entry.breakeven_offset_ticks
        where = f"{offset:+d} ticks from the entry, to" if offset else "to the entry"
        points = f"{spec.price(entry.breakeven_ticks).normalize():f} points of profit were reached"
        wishes.append(_Wish(breakeven(entry, spec), code="breakeven", why=f"{where} {{}}: {points}"))
    if entry.trail_ticks:
        price = spec.price(held.best - entry.side * entry.trail_ticks)
        distance = f"{spec.price(entry.trail_ticks).normalize():f} points behind the best price"
        best = entry.contract.text(spec.price(held.best))
        wishes.append(_Wish(price, code="trail", why=f"to {{}}: {distance} {best}"))
    return wishes


def breakeven(entry: Order, spec: Spec) -> Decimal:
    """Return the entry's average fill on the tick grid, rounded so that the stop does not lose, plus its offset."""
    ticks, rest = divmod(entry.average_price or Decimal(0), spec.tick_size)
    on_grid = int(ticks) + (1 if rest and entry.side == Side.BUY else 0)
    return spec.price(on_grid + entry.side * entry.breakeven_offset_ticks)


def _move(held: Held, stop: Order, wish: _Wish, now: datetime) -> Decision | None:
    """Move one stop; None if it has ended or another process has moved it at least as far."""
    entry, contract = held.entry, held.entry.contract
    before = stop.stop_price
    said = f"Stop of {stop.quantity} {contract.symbol} moved from {contract.text(before)} "
    said += f"{wish.why.format(contract.text(wish.price))}."
    inputs = {"entry": str(entry.average_price), "from": str(before), "to": str(wish.price)}
    by = f"{wish.code} of {entry.strategy or entry.requested_by}"
    if not request_modify(stop, wish.price, by=by, now=now, towards=Side(entry.side)):
        return None
    decision = _decide(held, code=wish.code, sentence=said, inputs=inputs, now=now)
    stop.refresh_from_db()
    if not modify(stop, now=now):
        _leave(held, decision, stop, wish.price, now)
    return decision


def _leave(held: Held, decision: Decision, stop: Order, price: Decimal, now: datetime) -> None:
    """The price is beyond the new stop already, where none may rest: that stop would have filled, so close."""
    account, contract = stop.account, stop.contract
    reading = refresh(account, now=now)
    if reading is not None and not any(report.id == stop.broker_order_id for report in reading.orders):
        return  # the old stop has filled
    said = _close_entry(held, decision, now)
    decision.code += "_passed"
    decision.sentence = (
        f"The price had passed {contract.text(price)} again before the stop could be moved there; "
        f"{held.holding.left} {contract.symbol} {said}."
    )
    decision.save(update_fields=["code", "sentence"])


def _close(held: Held, *, code: str, why: str, now: datetime) -> list[Decision]:
    """Close what is left of an entry, unless that is under way."""
    if any(order.is_live for order in held.holding.exits) or refresh(held.entry.account, now=now) is None:
        return []
    current = _again(held.holding)
    if current is None or current.left <= 0:
        return []
    held.holding = current
    return [_close_whole(held, code, why, now)]


def _close_whole(held: Held, code: str, why: str, now: datetime) -> Decision:
    inputs = {"entry": str(held.entry.average_price)}
    decision = _decide(held, code=code, sentence="", inputs=inputs, now=now)
    said = _close_entry(held, decision, now)
    decision.sentence = f"{held.holding.left} {held.entry.contract.symbol} {said}: {why}."
    decision.save(update_fields=["sentence"])
    return decision


def _close_entry(held: Held, decision: Decision, now: datetime) -> str:
    """Close an entry at market, by the venue's own close if nothing is open beside it; returns what was done."""
    if held.entry.is_live:
        cancel_legs([held.entry], by=decision.code, now=now)  # what it has not filled yet is not wanted any more
    current = _again(held.holding)
    if current is not None and current.alone:
        return _close_position(held, decision, now)
    with transaction.atomic():
        lock(held.entry.account_id)
        current = _still_open(held.holding)
        if current is None or close_is_under_way(current):
            return "were closed before"
        order = intend_exit(current, current.left, decision, now=now)
    send_exit(order, now=now)
    return "closed at market"


def _close_position(held: Held, decision: Decision, now: datetime) -> str:
    """Close by the venue's own close.

    The claim comes before the look at the exits, and who intends an exit looks for a claim, both under the account's
    lock: of an exit and a close one alone leaves. The claim's row is not written under that lock: who books a fill
    locks them the other way round.
    """
    if (claim := claim_close(held.holding)) is None:
        return "a close is under way"
    with transaction.atomic():
        lock(held.entry.account_id)
        current = _still_open(held.holding)
    if current is None:
        claim.give_back()
        return "were closed before"
    return close_all(current, claim, by=decision.code, now=now)


def _take_parts(held: Held, now: datetime) -> list[Decision]:
    """Close the parts whose profit was reached and that are not closed yet, all that are due at once."""
    reached = _part_due(held, held.holding)
    if not reached or refresh(held.entry.account, now=now) is None:
        return []
    entry, contract = held.entry, held.entry.contract
    with transaction.atomic():
        lock(entry.account_id)
        current = _again(held.holding)
        quantity = _part_due(held, current) if current is not None else 0
        if current is None or not quantity or close_is_under_way(current):
            return []  # the stop has filled, or another process was first
        points = held.spec.price(int(held.profit or 0)).normalize()
        what = f"{quantity} of {current.left} {contract.symbol} closed at market"
        said = f"{what}: {points:f} points of profit were reached."
        inputs = {"entry": str(entry.average_price), "quantity": str(quantity)}
        decision = _decide(held, code="partial", sentence=said, inputs=inputs, now=now)
        order = intend_exit(current, quantity, decision, now=now)
    send_exit(order, now=now)
    return [decision]


def _part_due(held: Held, holding: Holding) -> int:
    """Return how many contracts are to be closed now, of all parts reached; the last contract never is."""
    entry = held.entry
    if not entry.partials or held.profit is None or not holding.settled:
        return 0
    declared = Management(partials=tuple(Partial(Decimal(r), Decimal(share)) for r, share in entry.partials))
    goals, quantities = declared.partial_at(entry.stop_ticks or 0), declared.partial_quantities(holding.booked)
    reached = sum(quantity for goal, quantity in zip(goals, quantities, strict=True) if held.profit >= goal)
    asked = sum(order.quantity if _counts(order) else order.filled for order in holding.exits)
    return max(0, min(reached - asked, holding.left - 1))


def _counts(order: Order) -> bool:
    """Return whether an exit may still fill: one whose outcome was never known is not asked for again."""
    return order.is_live or order.status == OrderStatus.ABANDONED


def _again(holding: Holding) -> Holding | None:
    """Return the entry as our rows show it now, None if it is not open any more."""
    entry = holding.entry
    found = holdings({entry.account_id}, entry.contract, entry.session_date)
    return next((one for one in found if one.entry.pk == entry.pk), None)


def _still_open(holding: Holding) -> Holding | None:
    """Return the same, None as well if an exit of it is under way."""
    current = _again(holding)
    if current is None or current.left <= 0 or any(order.is_live for order in current.exits):
        return None
    return current


def _decide(held: Held, *, code: str, sentence: str, inputs: dict[str, Any], now: datetime) -> Decision:
    entry = held.entry
    return Decision.objects.create(
        account=entry.account,
        strategy=entry.strategy,
        contract=entry.contract,
        session_date=entry.session_date,
        at=now,
        outcome=Outcome.MANAGED,
        code=code,
        sentence=sentence,
        inputs=inputs,
        config_version=config_version(entry.strategy),
    )
