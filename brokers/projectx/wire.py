"""Answers as they travel: JSON numbers become Decimal digit by digit, never through a float.

Decoding is strict in types and required fields and ignores properties that we do not know. An absent list is not
empty: `Answer.payload` is None then.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, Protocol, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Id = Annotated[int, Meta(gt=0, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Time = Annotated[datetime, Meta(tz=True)]


class Answer(Protocol[T_co]):
    """The envelope that every answer has, and what it brought."""

    @property
    def success(self) -> bool: ...
    @property
    def error_code(self) -> int: ...
    @property
    def error_message(self) -> str | None: ...
    @property
    def payload(self) -> T_co | None:
        """Return what was asked for, None when the answer does not bring it."""


class _Envelope(Struct, Generic[T], rename="camel"):
    success: bool
    error_code: int
    error_message: str | None = None


class Done(_Envelope[bool]):
    """An answer that brings nothing but the envelope."""

    @property
    def payload(self) -> bool:
        return True


def _token(text: str | None) -> str | None:
    return text if text and text.isascii() and text.isprintable() and " " not in text else None


class LoginAnswer(_Envelope[str]):
    token: str | None = None

    @property
    def payload(self) -> str | None:
        return _token(self.token)

    def __repr__(self) -> str:
        return "LoginAnswer(…)"


class ValidateAnswer(_Envelope[str]):
    new_token: str | None = None

    @property
    def payload(self) -> str | None:
        return _token(self.new_token)

    def __repr__(self) -> str:
        return "ValidateAnswer(…)"


class PlaceAnswer(_Envelope[int]):
    order_id: int | None = None

    @property
    def payload(self) -> int | None:
        return self.order_id if self.order_id and 0 < self.order_id < 2**63 else None


class Account(Struct, rename="camel"):
    id: Id
    name: str
    balance: Decimal
    can_trade: bool
    is_visible: bool
    simulated: bool


class AccountsAnswer(_Envelope[list[Account]]):
    accounts: list[Account] | None = None

    @property
    def payload(self) -> list[Account] | None:
        return self.accounts


class Contract(Struct, rename="camel"):
    id: str
    name: str
    description: str
    tick_size: Decimal
    tick_value: Decimal
    active_contract: bool


class ContractsAnswer(_Envelope[list[Contract]]):
    contracts: list[Contract] | None = None

    @property
    def payload(self) -> list[Contract] | None:
        return self.contracts


class ContractAnswer(_Envelope[Contract]):
    contract: Contract | None = None

    @property
    def payload(self) -> Contract | None:
        return self.contract


class Bar(Struct):
    t: Time
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Annotated[int, Meta(ge=0)]


class BarsAnswer(_Envelope[list[Bar]]):
    bars: list[Bar] | None = None

    @property
    def payload(self) -> list[Bar] | None:
        return self.bars


class Order(Struct, rename="camel"):
    id: Id
    account_id: Id
    contract_id: str
    creation_timestamp: Time
    status: int
    type: int
    side: int
    size: Count
    fill_volume: Count
    update_timestamp: Time | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_price: Decimal | None = None
    custom_tag: str | None = None
    parent_order_id: int | None = None
    linked_order_id: int | None = None


class OrdersAnswer(_Envelope[list[Order]]):
    orders: list[Order] | None = None

    @property
    def payload(self) -> list[Order] | None:
        return self.orders


class OrderAnswer(_Envelope[Order]):
    order: Order | None = None

    @property
    def payload(self) -> Order | None:
        return self.order


class OrderPage(Struct):
    orders: list[Order]
    total: int | None


class QueryAnswer(Struct, rename="camel"):
    """Answer of v2/query; nobody has documented that it carries the envelope, so a missing one is no failure."""

    success: bool = True
    error_code: int = 0
    error_message: str | None = None
    orders: list[Order] | None = None
    total_count: int | None = None

    @property
    def payload(self) -> OrderPage | None:
        return None if self.orders is None else OrderPage(self.orders, self.total_count)


class Position(Struct, rename="camel"):
    account_id: Id
    contract_id: str
    type: int
    size: Count
    average_price: Decimal


class PositionsAnswer(_Envelope[list[Position]]):
    positions: list[Position] | None = None

    @property
    def payload(self) -> list[Position] | None:
        return self.positions


class Trade(Struct, rename="camel"):
    id: Id
    account_id: Id
    contract_id: str
    creation_timestamp: Time
    price: Decimal
    fees: Decimal
    side: int
    size: Annotated[int, Meta(gt=0)]
    voided: bool
    order_id: Id
    profit_and_loss: Decimal | None = None
    commissions: Decimal | None = None


class TradesAnswer(_Envelope[list[Trade]]):
    trades: list[Trade] | None = None

    @property
    def payload(self) -> list[Trade] | None:
        return self.trades
