"""Requests as they travel."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct


class Request(Struct, rename="camel", omit_defaults=True):
    """A request's body. Absent means "no value" or "unchanged": the venue's reading of null is not documented."""


class Nothing(Request):
    """No body."""


class LoginRequest(Request):
    user_name: str
    api_key: str

    def __repr__(self) -> str:
        return "LoginRequest(…)"


class AccountsRequest(Request):
    only_active_accounts: bool


class ContractsRequest(Request):
    live: bool


class SearchContractsRequest(Request):
    search_text: str
    live: bool


class ContractRequest(Request):
    contract_id: str


class BarsRequest(Request):
    contract_id: str
    live: bool
    start_time: datetime
    end_time: datetime
    unit: int
    unit_number: int
    limit: int
    include_partial_bar: bool


class Bracket(Request):
    ticks: int
    type: int


class PlaceRequest(Request):
    account_id: int
    contract_id: str
    type: int
    side: int
    size: int
    custom_tag: str
    limit_price: Raw | None = None
    stop_price: Raw | None = None
    trail_price: Raw | None = None
    stop_loss_bracket: Bracket | None = None
    take_profit_bracket: Bracket | None = None


class ModifyRequest(Request):
    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Raw | None = None
    stop_price: Raw | None = None
    trail_price: Raw | None = None


class OrderRequest(Request):
    """Cancel an order, or look one up."""

    account_id: int
    order_id: int


class CloseRequest(Request):
    account_id: int
    contract_id: str


class PartialCloseRequest(Request):
    account_id: int
    contract_id: str
    size: int


class AccountRequest(Request):
    account_id: int


class WindowRequest(Request):
    """Orders or trades of a window."""

    account_id: int
    start_timestamp: datetime
    end_timestamp: datetime


class OrderFilter(Request):
    account_id: int
    statuses: tuple[int, ...]


class QueryRequest(Request):
    """`sort_by` 1 is the id, `sort_direction` 0 ascending."""

    filter: OrderFilter
    page_size: int
    page_offset: int
    sort_by: int
    sort_direction: int
    include_total_count: bool


def encode(request: Request) -> bytes:
    """Return the body; Nothing has none."""
    return b"" if isinstance(request, Nothing) else msgspec.json.encode(request)


def number(price: Decimal | None) -> Raw | None:
    """Return `price` as a JSON number in plain digits, never 1E-7. Raises ValueError for NaN and infinity."""
    if price is None:
        return None
    if not price.is_finite():
        raise ValueError(f"{price} is not a price")
    return Raw(format(price, "f").encode())


def utc(at: datetime) -> datetime:
    """Return an aware time in UTC, which travels with a Z. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC)
