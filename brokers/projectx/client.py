"""The ProjectX Gateway API behind the port."""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from msgspec import Raw

from brokers.base import (
    AccountReport,
    BarReport,
    ContractReport,
    FillReport,
    Lane,
    LoginFailed,
    OrderReport,
    PlaceOrder,
    PositionReport,
    ReadFailed,
    Refused,
)
from brokers.projectx import codes, pages, reports, requests, wire
from brokers.projectx.brackets import BracketSign, venue_ticks
from brokers.projectx.codes import Endpoint
from brokers.projectx.gateway import Gateway
from brokers.projectx.session import Tokens
from market.bars import Timeframe
from market.orders import OrderType

T = TypeVar("T")

LIVE = False
"""Which data and contracts to ask for: those of simulated accounts, the only ones that this API trades."""

LONGEST_TAG = 60

_PRICE_OF = {OrderType.LIMIT: "limit_price", OrderType.STOP: "stop_price", OrderType.TRAILING_STOP: "trail_price"}


class ProjectX:
    """One login at one ProjectX venue; see `brokers.base.Broker` for what each method promises."""

    def __init__(self, gateway: Gateway, tokens: Tokens, *, bracket_sign: BracketSign = BracketSign.SIGNED) -> None:
        self._gateway = gateway
        self.tokens = tokens
        self._bracket_sign = bracket_sign

    def accounts(self) -> list[AccountReport]:
        rows = self._read(codes.ACCOUNTS, requests.AccountsRequest(only_active_accounts=True), Lane.RECONCILE)
        return [reports.account(row) for row in rows]

    def contracts(self) -> list[ContractReport]:
        rows = self._read(codes.CONTRACTS, requests.ContractsRequest(live=LIVE), Lane.RECONCILE)
        return [reports.contract(row) for row in rows]

    def contracts_of(self, symbol: str) -> list[ContractReport]:
        """Return the listed months of exactly this symbol: the venue also finds QM and NQG for NQ."""
        request = requests.SearchContractsRequest(search_text=symbol, live=LIVE)
        found = [reports.contract(row) for row in self._read(codes.SEARCH_CONTRACTS, request, Lane.RECONCILE)]
        return [report for report in found if report.contract.symbol == symbol]

    def contract(self, contract_id: str) -> ContractReport:
        return reports.contract(self._read(codes.CONTRACT, requests.ContractRequest(contract_id), Lane.RECONCILE))

    def bars(
        self, contract_id: str, timeframe: Timeframe, start: datetime, end: datetime, *, limit: int = 20_000
    ) -> list[BarReport]:
        start, end = requests.utc(start), requests.utc(end)
        if limit < 1:
            raise ValueError(f"limit {limit} must be at least 1")

        def fetch(until: datetime, count: int) -> list[wire.Bar]:
            request = requests.BarsRequest(
                contract_id=contract_id,
                live=LIVE,
                start_time=start,
                end_time=until,
                unit=reports.UNITS[timeframe.unit],
                unit_number=timeframe.number,
                limit=count,
                include_partial_bar=False,
            )
            return self._read(codes.BARS, request, Lane.BARS)

        return [reports.bar(row) for row in pages.bars(fetch, start, end, limit)]

    def place(self, order: PlaceOrder, *, lane: Lane = Lane.PLACE) -> int:
        return self._change(codes.PLACE, self._place_request(order), lane)

    def modify(
        self,
        account_id: int,
        order_id: int,
        *,
        quantity: int | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        trail_price: Decimal | None = None,
        lane: Lane = Lane.STOP,
    ) -> None:
        if quantity is not None and quantity < 1:
            raise Refused(f"not sent: quantity {quantity} must be at least 1")
        if all(value is None for value in (quantity, limit_price, stop_price, trail_price)):
            raise Refused("not sent: a modification must change something")
        request = requests.ModifyRequest(
            account_id=account_id,
            order_id=order_id,
            size=quantity,
            limit_price=_price(limit_price),
            stop_price=_price(stop_price),
            trail_price=_price(trail_price),
        )
        self._change(codes.MODIFY, request, lane)

    def cancel(self, account_id: int, order_id: int) -> None:
        self._change(codes.CANCEL, requests.OrderRequest(account_id, order_id), Lane.CANCEL)

    def close(self, account_id: int, contract_id: str, quantity: int | None = None) -> None:
        if quantity is None:
            self._change(codes.CLOSE, requests.CloseRequest(account_id, contract_id), Lane.CANCEL)
            return
        if quantity < 1:
            raise Refused(f"not sent: quantity {quantity} must be at least 1")
        self._change(codes.PARTIAL_CLOSE, requests.PartialCloseRequest(account_id, contract_id, quantity), Lane.CANCEL)

    def orders_in_flight(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        def query(offset: int) -> wire.OrderPage:
            request = requests.QueryRequest(
                filter=requests.OrderFilter(account_id, reports.IN_FLIGHT),
                page_size=pages.ORDERS_A_PAGE,
                page_offset=offset,
                sort_by=1,
                sort_direction=0,
                include_total_count=True,
            )
            return self._read(codes.QUERY, request, lane)

        rows = _of_account(account_id, pages.orders(query))
        return [reports.order(row) for row in rows if row.status not in reports.ENDED]

    def orders_between(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[OrderReport]:
        rows = self._read(codes.ORDERS, _window(account_id, start, end), lane)
        found = {row.id: reports.order(row) for row in _of_account(account_id, rows)}
        return [found[key] for key in sorted(found) if start <= found[key].created_at <= end]

    def working_orders(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[OrderReport]:
        """Return what the venue lists as open: neither pending orders nor suspended legs; see `orders_in_flight`."""
        rows = self._read(codes.OPEN_ORDERS, requests.AccountRequest(account_id), lane)
        return [reports.order(row) for row in _of_account(account_id, rows)]

    def order(self, account_id: int, order_id: int, *, lane: Lane = Lane.RECONCILE) -> OrderReport:
        """Return one order in whatever state. Raises Refused when the venue does not know it."""
        row = self._read(codes.ORDER, requests.OrderRequest(account_id, order_id), lane)
        if row.id != order_id:
            raise ReadFailed(f"asked for order {order_id}, the answer brings {row.id}")
        return reports.order(*_of_account(account_id, [row]))

    def positions(self, account_id: int, *, lane: Lane = Lane.RECONCILE) -> list[PositionReport]:
        rows = self._read(codes.POSITIONS, requests.AccountRequest(account_id), lane)
        found = [reports.position(row) for row in _of_account(account_id, rows)]
        return [position for position in found if position is not None]

    def fills(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[FillReport]:
        rows = self._read(codes.TRADES, _window(account_id, start, end), lane)
        found = {row.id: reports.fill(row) for row in _of_account(account_id, rows)}
        return sorted((fill for fill in found.values() if start <= fill.at <= end), key=lambda fill: (fill.at, fill.id))

    def clock_skew(self) -> float | None:
        return self._gateway.skew

    def ping(self) -> float:
        """Return the seconds in which the venue said that it answers. Raises NotSent or ReadFailed."""
        return self._gateway.ping()

    def disconnect(self) -> None:
        """Close the connections; the object may still be used."""
        self._gateway.disconnect()

    def _read(self, endpoint: Endpoint[T], request: requests.Request, lane: Lane) -> T:
        return self._ask(endpoint, request, lane, None)

    def _change(self, endpoint: Endpoint[T], request: requests.Request, lane: Lane) -> T:
        return self._ask(endpoint, request, lane, time.monotonic() + self._gateway.timeouts.total)

    def _ask(self, endpoint: Endpoint[T], request: requests.Request, lane: Lane, deadline: float | None) -> T:
        """Send a request; after a 401, which proves that nothing was done, once more with a new token.

        Logins count into the deadline of a mutation. Without enough time for one the 401 stands.
        """
        token = self.tokens.get() or self.tokens.renew(None)
        try:
            return self._gateway.call(endpoint, request, lane=lane, token=token, deadline=deadline)
        except LoginFailed:
            if deadline is not None and deadline - time.monotonic() < self._gateway.timeouts.login:
                raise
        token = self.tokens.renew(token)
        return self._gateway.call(endpoint, request, lane=lane, token=token, deadline=deadline)

    def _place_request(self, order: PlaceOrder) -> requests.PlaceRequest:
        """Return the request. Raises Refused for an order that contradicts itself: it would be refused for good."""
        prices = {name: getattr(order, name) for name in _PRICE_OF.values()}
        given = [name for name, price in prices.items() if price is not None]
        needed = [name for name in (_PRICE_OF.get(order.type),) if name]
        if given != needed:
            raise Refused(f"not sent: a {order.type} order needs {needed or 'no price'}, not {given or 'none'}")
        if order.quantity < 1:
            raise Refused(f"not sent: quantity {order.quantity} must be at least 1")
        if not 0 < len(order.tag) <= LONGEST_TAG:
            raise Refused(f"not sent: the tag must have 1 to {LONGEST_TAG} characters, not {len(order.tag)}")
        stop, target = None, None
        if order.bracket is not None:
            if order.bracket.stop < 1 or (order.bracket.target is not None and order.bracket.target < 1):
                raise Refused(f"not sent: {order.bracket} must be distances of at least 1 tick")
            stop, target = venue_ticks(order.bracket, order.side, self._bracket_sign)
        return requests.PlaceRequest(
            account_id=order.account_id,
            contract_id=order.contract_id,
            type=reports.TYPES[order.type],
            side=reports.SIDES[order.side],
            size=order.quantity,
            custom_tag=order.tag,
            **{name: _price(price) for name, price in prices.items()},
            stop_loss_bracket=None if stop is None else requests.Bracket(stop, reports.TYPES[OrderType.STOP]),
            take_profit_bracket=None if target is None else requests.Bracket(target, reports.TYPES[OrderType.LIMIT]),
        )


def _window(account_id: int, start: datetime, end: datetime) -> requests.WindowRequest:
    return requests.WindowRequest(account_id, requests.utc(start), requests.utc(end))


def _price(price: Decimal | None) -> Raw | None:
    try:
        return requests.number(price)
    except ValueError as error:
        raise Refused(f"not sent: {error}") from error


Row = TypeVar("Row", wire.Order, wire.Position, wire.Trade)


def _of_account(account_id: int, rows: list[Row]) -> list[Row]:
    strangers = {row.account_id for row in rows} - {account_id}
    if strangers:
        raise ReadFailed(f"asked for account {account_id}, the answer brings {sorted(strangers)}")
    return rows
