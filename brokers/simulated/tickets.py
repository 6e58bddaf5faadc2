"""What a client may ask for, field by field, in the wire's names; bodies that do not fit are answered with HTTP 400."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Body(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A JSON object; unknown members are ignored."""


class Nothing(Body, frozen=True):
    pass


class Login(Body, frozen=True):
    user_name: str
    api_key: str


class SearchAccounts(Body, frozen=True):
    only_active_accounts: bool


class SearchContracts(Body, frozen=True):
    live: bool
    search_text: str | None = None


class SearchContract(Body, frozen=True):
    contract_id: str


class ListContracts(Body, frozen=True):
    live: bool


class RetrieveBars(Body, frozen=True):
    contract_id: str
    live: bool
    start_time: Time
    end_time: Time
    unit: Int32
    unit_number: Int32
    limit: Int32
    include_partial_bar: bool


class Leg(Body, frozen=True):
    ticks: Int32
    type: Int32


class Place(Body, frozen=True):
    account_id: Int32
    contract_id: str
    type: Int32
    side: Int32
    size: Int32
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    custom_tag: str | None = None
    stop_loss_bracket: Leg | None = None
    take_profit_bracket: Leg | None = None


class Modify(Body, frozen=True):
    account_id: Int32
    order_id: Int64
    size: Int32 | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class OneOrder(Body, frozen=True):
    account_id: Int32
    order_id: Int64


class OneAccount(Body, frozen=True):
    account_id: Int32


class SearchOrders(Body, frozen=True):
    account_id: Int32
    start_timestamp: Time
    end_timestamp: Time | None = None


class OrderFilter(Body, frozen=True):
    account_id: Int32
    statuses: list[Int32] | None = None
    contract_id: str | None = None
    created_after: Time | None = None
    created_before: Time | None = None


class QueryOrders(Body, frozen=True):
    filter: OrderFilter
    page_size: Int32 = 1000
    page_offset: Int32 = 0
    sort_by: Int32 = 0
    sort_direction: Int32 = 0
    include_total_count: bool = False


class Close(Body, frozen=True):
    account_id: Int32
    contract_id: str


class PartialClose(Body, frozen=True):
    account_id: Int32
    contract_id: str
    size: Int32


class SearchTrades(Body, frozen=True):
    account_id: Int32
    start_timestamp: Time | None = None
    end_timestamp: Time | None = None
