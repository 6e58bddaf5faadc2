"""What each path of the ProjectX API asks for and answers, without HTTP: a body in, the payload out, or a Refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from brokers.simulated import tickets, wire
from brokers.simulated.codes import Reading, Refusal
from brokers.simulated.engine import Venue
from brokers.simulated.history import LIMIT, Unit
from brokers.simulated.market import LiveMarket
from brokers.simulated.products import LISTED, Listing, front, is_active
from brokers.simulated.records import Status
from market.sessions import trade_date_of

T = TypeVar("T", bound=tickets.Body)
Payload = dict[str, Any]
FOUND = 20
"""Most contracts in the answer to a search."""
PAGE = 1000
"""Most orders in an answer of v2/query."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """One path. A mutation writes the journal itself; bars have a rate limit of their own."""

    path: str
    body: type[T]
    answer: Callable[[Venue, T, datetime], Payload]
    mutates: bool = False
    bars: bool = False


def accounts(venue: Venue, ask: tickets.SearchAccounts, at: datetime) -> Payload:
    found = venue.ledger.accounts()
    return {"accounts": [wire.account(a) for a in found if a.visible or not ask.only_active_accounts]}


def search_contracts(venue: Venue, ask: tickets.SearchContracts, at: datetime) -> Payload:
    text = (ask.search_text or "").upper()
    found = [month for month in _active(at, live=ask.live) if text in month.name or text in month.symbol_id]
    return {"contracts": [wire.contract(month, active=True) for month in found[:FOUND]]}


def available_contracts(venue: Venue, ask: tickets.ListContracts, at: datetime) -> Payload:
    return {"contracts": [wire.contract(month, active=True) for month in _active(at, live=ask.live)]}


def contract(venue: Venue, ask: tickets.SearchContract, at: datetime) -> Payload:
    month = venue.listing(ask.contract_id)
    return {"contract": wire.contract(month, active=is_active(month, at))}


def bars(venue: Venue, ask: tickets.RetrieveBars, at: datetime) -> Payload:
    month = venue.listing(ask.contract_id)
    if ask.live:
        raise Refusal(Reading.NOT_FOUND)
    if ask.unit not in set(Unit):
        raise Refusal(Reading.UNIT_INVALID)
    if ask.unit_number < 1:
        raise Refusal(Reading.UNIT_NUMBER_INVALID)
    if not 0 < ask.limit <= LIMIT:
        raise Refusal(Reading.LIMIT_INVALID)
    market = venue.market
    if isinstance(market, LiveMarket) and market.is_live(month):
        found = market.bars(month, ask.unit, ask.unit_number, ask.start_time, min(ask.end_time, at), ask.limit)
    else:
        found = venue.history.bars(
            month,
            Unit(ask.unit),
            ask.unit_number,
            ask.start_time,
            ask.end_time,
            now=at,
            limit=ask.limit,
            partial=ask.include_partial_bar,
        )
    rows = wire.bars(found, month)
    return {"bars": rows if venue.behaviour.bars_order == "oldest" else rows[::-1]}


def place(venue: Venue, ask: tickets.Place, at: datetime) -> Payload:
    return {"orderId": venue.place(ask, at)}


def modify(venue: Venue, ask: tickets.Modify, at: datetime) -> Payload:
    venue.modify(ask, at)
    return {}


def cancel(venue: Venue, ask: tickets.OneOrder, at: datetime) -> Payload:
    venue.cancel(ask, at)
    return {}


def search_orders(venue: Venue, ask: tickets.SearchOrders, at: datetime) -> Payload:
    account = venue.account(ask.account_id)
    hidden = venue.faults.hidden(venue.ledger, "orders", account.id)
    found = [o for o in venue.ledger.orders(account.id, ask.start_timestamp, ask.end_timestamp) if not hidden(o.id)]
    shown = [o for o in found if o.status is not Status.SUSPENDED or venue.behaviour.show_suspended]
    return {"orders": [wire.order(order) for order in shown]}


def search_open_orders(venue: Venue, ask: tickets.OneAccount, at: datetime) -> Payload:
    account = venue.account(ask.account_id)
    shown = {Status.OPEN, Status.PENDING} if venue.behaviour.show_pending else {Status.OPEN}
    hidden = venue.faults.hidden(venue.ledger, "orders", account.id)
    working = [order for order in venue.ledger.in_flight() if order.account_id == account.id and not hidden(order.id)]
    found = [order for order in working if order.status in shown]
    return {"orders": [wire.order(order) for order in found]}


def order(venue: Venue, ask: tickets.OneOrder, at: datetime) -> Payload:
    found = venue.ledger.order(ask.order_id)
    if found is None or found.account_id != ask.account_id:
        raise Refusal(Reading.NOT_FOUND, f"Order {ask.order_id} not found.")
    return {"order": wire.order(found)}


def query_orders(venue: Venue, ask: tickets.QueryOrders, at: datetime) -> Payload:
    """The offset counts rows, a page holds at most 1,000 orders; an empty list of statuses asks for all."""
    wanted = ask.filter
    account = venue.account(wanted.account_id)
    hidden = venue.faults.hidden(venue.ledger, "orders", account.id)
    chosen = venue.ledger.orders(
        account.id, wanted.created_after, wanted.created_before, statuses=wanted.statuses or None
    )
    found = [order for order in chosen if wanted.contract_id in (None, order.contract_id) and not hidden(order.id)]
    found.sort(key=lambda o: (o.created_at, o.id) if ask.sort_by == 0 else o.id, reverse=ask.sort_direction == 1)
    first = max(ask.page_offset, 0)
    page = found[first : first + max(0, min(ask.page_size, PAGE))]
    total = {"totalCount": len(found)} if ask.include_total_count else {}
    return {"orders": [wire.order(order) for order in page]} | total


def positions(venue: Venue, ask: tickets.OneAccount, at: datetime) -> Payload:
    account = venue.account(ask.account_id)
    return {"positions": [wire.position(position) for position in venue.ledger.positions(account.id)]}


def close(venue: Venue, ask: tickets.Close, at: datetime) -> Payload:
    venue.close(ask, at)
    return {}


def close_part(venue: Venue, ask: tickets.PartialClose, at: datetime) -> Payload:
    venue.close_part(ask, at)
    return {}


def trades(venue: Venue, ask: tickets.SearchTrades, at: datetime) -> Payload:
    account = venue.account(ask.account_id)
    hidden = venue.faults.hidden(venue.ledger, "executions", account.id)
    found = [e for e in venue.ledger.executions(account.id, ask.start_timestamp, ask.end_timestamp) if not hidden(e.id)]
    return {"trades": [wire.trade(one, commissions=venue.behaviour.commissions) for one in reversed(found)]}


def _active(at: datetime, *, live: bool) -> list[Listing]:
    """Return the active month of every product; logins of simulated accounts see none of the live ones."""
    return [] if live else [front(product, trade_date_of(at)) for product in LISTED]


ENDPOINTS: tuple[Endpoint[Any], ...] = (
    Endpoint("/api/Account/search", tickets.SearchAccounts, accounts),
    Endpoint("/api/Contract/search", tickets.SearchContracts, search_contracts),
    Endpoint("/api/Contract/available", tickets.ListContracts, available_contracts),
    Endpoint("/api/Contract/searchById", tickets.SearchContract, contract),
    Endpoint("/api/History/retrieveBars", tickets.RetrieveBars, bars, bars=True),
    Endpoint("/api/Order/place", tickets.Place, place, mutates=True),
    Endpoint("/api/Order/modify", tickets.Modify, modify, mutates=True),
    Endpoint("/api/Order/cancel", tickets.OneOrder, cancel, mutates=True),
    Endpoint("/api/Order/search", tickets.SearchOrders, search_orders),
    Endpoint("/api/Order/searchOpen", tickets.OneAccount, search_open_orders),
    Endpoint("/api/Order/searchById", tickets.OneOrder, order),
    Endpoint("/api/Order/v2/query", tickets.QueryOrders, query_orders),
    Endpoint("/api/Position/searchOpen", tickets.OneAccount, positions),
    Endpoint("/api/Position/closeContract", tickets.Close, close, mutates=True),
    Endpoint("/api/Position/partialCloseContract", tickets.PartialClose, close_part, mutates=True),
    Endpoint("/api/Trade/search", tickets.SearchTrades, trades),
)
