"""Every quote held against what an account may lose: the stream only hints, the operation looks again and acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from market.sessions import trade_date_of
from risk.drawdown import closing_price
from tradingbot.models import Account, Login, Position
from tradingbot.operations import limits_watch, quotes, risk_states

_QUOTE_AGE = 5.0
_Prices = tuple[Decimal | None, Decimal | None, Decimal | None]  # last, bid, ask
_UNKNOWN: _Prices = (None, None, None)


@dataclass(frozen=True, slots=True)
class Holding:
    """An open position: contracts signed, prices in points, dollars a point and contract."""

    contract_id: str
    quantity: int
    average_price: Decimal
    point_value: Decimal


@dataclass(frozen=True, slots=True)
class Watch:
    """An account with open positions; `least` and `most` are the equities at which a limit has everything closed."""

    account_id: int
    balance: Decimal
    least: Decimal | None
    holdings: tuple[Holding, ...]
    most: Decimal | None = None


def watches(login: Login, *, now: datetime) -> list[Watch]:
    """Return what is to be watched: accounts with a position, of which balance and a limit are known."""
    found = []
    for account in Account.objects.filter(login=login, enabled=True).select_related("login"):
        rows = list(Position.objects.filter(account=account).exclude(quantity=0).select_related("contract"))
        least, most = _least(account, now), _most(account, now)
        if not rows or account.balance is None or (least is None and most is None):
            continue
        holdings = [
            Holding(row.contract.broker_contract_id, row.quantity, row.average_price, row.contract.spec.point_value)
            for row in rows
        ]
        balance = account.balance + risk_states.booked_since(account)
        found.append(Watch(account.pk, balance, least, tuple(holdings), most))
    return found


def _least(account: Account, now: datetime) -> Decimal | None:
    floors = [risk_states.floor_of(account)]
    today = trade_date_of(now)
    result = limits_watch.least_result(account, on=today)
    if result is not None and account.session_date == today and account.session_start_balance is not None:
        floors.append(account.session_start_balance + result)
    known = [floor for floor in floors if floor is not None]
    return max(known) if known else None


def _most(account: Account, now: datetime) -> Decimal | None:
    result = limits_watch.most_result(account)
    if result is None or account.session_date != trade_date_of(now) or account.session_start_balance is None:
        return None
    return Decimal(account.session_start_balance + result)


class Watcher:
    """Holds quotes against the watches; used in the loop."""

    def __init__(self) -> None:
        self._by_contract: dict[str, list[Watch]] = {}
        self._prices: dict[str, _Prices] = {}

    def watch(self, watches: list[Watch]) -> None:
        self._by_contract = {}
        for watch in watches:
            for holding in watch.holdings:
                self._by_contract.setdefault(holding.contract_id, []).append(watch)

    def reached(
        self, contract_id: str, last: Decimal | None, bid: Decimal | None = None, ask: Decimal | None = None
    ) -> list[int]:
        """Return the accounts of which a limit is reached at a new quote of a contract."""
        if contract_id not in self._by_contract:
            return []
        self._prices[contract_id] = (last, bid, ask)
        return [watch.account_id for watch in self._by_contract[contract_id] if self._is_reached(watch)]

    def _is_reached(self, watch: Watch) -> bool:
        equity = watch.balance
        for holding in watch.holdings:
            last, bid, ask = self._prices.get(holding.contract_id, _UNKNOWN)
            price = closing_price(holding.quantity, last=last, bid=bid, ask=ask)
            if price is None:
                return False
            equity += (price - holding.average_price) * holding.quantity * holding.point_value
        lost = watch.least is not None and equity <= watch.least
        return lost or (watch.most is not None and equity >= watch.most)


def check(account: Account, *, now: datetime) -> str:
    """Hold the account at the newest quotes against its limits; returns why it was stopped, empty if it was not.

    Each position is worth the worse of the last price and the side at which it would close; unless all of them have a
    quote of the last five seconds, they are worth what their newest bars say.
    """
    positions, moved = risk_states.holdings(account)
    worth = risk_states.worth_of(account, positions, trade_date=trade_date_of(now), moved=moved)
    prices = {row.pk: price for row in positions if (price := _price(row)) is not None}
    if worth.balance is None or len(prices) < len(positions):
        return limits_watch.check(account, now=now)
    profit = sum((row.open_profit(prices[row.pk]) for row in positions), Decimal(0))
    equity = worth.balance + profit
    start = account.session_start_balance if account.session_date == trade_date_of(now) else None
    day = None if start is None else equity - start
    return limits_watch.check(account, now=now, worth=risk_states.Worth(worth.balance, profit, equity, day))


def _price(position: Position) -> Decimal | None:
    quote = quotes.latest(position.contract, max_age=_QUOTE_AGE) if position.quantity else None
    if quote is None:
        return None
    return closing_price(position.quantity, last=quote.last, bid=quote.bid, ask=quote.ask)
