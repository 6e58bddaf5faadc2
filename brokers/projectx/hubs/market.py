"""Events of the market hub: quotes put together from what changed, trades, depth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from brokers.base import ReadFailed
from brokers.projectx.wire import Time
from market.orders import Side

QUOTE, TRADE, DEPTH = "GatewayQuote", "GatewayTrade", "GatewayDepth"


class Quote(Struct, frozen=True):
    """What is known of a contract's prices, points; None for what the venue has not told yet. `at` is its clock.

    A struct and no dataclass: thousands are made in a second.
    """

    contract_id: str
    at: datetime
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: int | None = None


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """One print; `side` is the aggressor's, None when the venue does not say."""

    contract_id: str
    at: datetime
    price: Decimal
    quantity: int
    side: Side | None


@dataclass(frozen=True, slots=True)
class Depth:
    """A change of one level; for information only. `kind` is the venue's DomType, size 0 removes the level."""

    contract_id: str
    at: datetime
    kind: int
    price: Decimal
    size: int


class _Quote(Struct, rename="camel"):
    """Only what changed is sent; null and absent both mean: as before."""

    last_price: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Annotated[int, Meta(ge=0)] | None = None
    last_updated: Time | None = None
    timestamp: Time | None = None


class _Trade(Struct, rename="camel"):
    price: Decimal
    timestamp: Time
    volume: Annotated[int, Meta(ge=0)]
    type: int | None = None
    contract_id: str | None = None


class _Depth(Struct, rename="camel"):
    price: Decimal
    timestamp: Time
    volume: Annotated[int, Meta(ge=0)]
    type: int
    contract_id: str | None = None


_decode_id = msgspec.json.Decoder(str).decode
_decode_quote = msgspec.json.Decoder(_Quote).decode
_decode_trades = msgspec.json.Decoder(list[_Trade | None]).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_depths = msgspec.json.Decoder(list[_Depth | None]).decode
_decode_depth = msgspec.json.Decoder(_Depth).decode
_SIDES = {0: Side.BUY, 1: Side.SELL}


class MarketDecoder:
    """Decodes the events of one connection; begin anew after each connect, which starts with snapshots."""

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}

    def quote(self, arguments: list[Raw]) -> Quote:
        """Return the whole quote after an event. Raises ReadFailed, and the quote is as before."""
        contract_id, body = _split(QUOTE, arguments)
        try:
            new = _decode_quote(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ReadFailed(f"{QUOTE}: {error}") from None
        old = self._quotes.get(contract_id)
        at = new.last_updated or new.timestamp or (old.at if old else None)
        if at is None:
            raise ReadFailed(f"{QUOTE}: the first one has no time")
        _finite(QUOTE, new.last_price, new.best_bid, new.best_ask, new.open, new.high, new.low)
        old = old or Quote(contract_id, at)
        merged = Quote(
            contract_id,
            at,
            old.last if new.last_price is None else new.last_price,
            old.bid if new.best_bid is None else new.best_bid,
            old.ask if new.best_ask is None else new.best_ask,
            old.open if new.open is None else new.open,
            old.high if new.high is None else new.high,
            old.low if new.low is None else new.low,
            old.volume if new.volume is None else new.volume,
        )
        self._quotes[contract_id] = merged
        return merged


def trades(arguments: list[Raw]) -> list[MarketTrade]:
    """Return the prints of an event: a list, which may hold nulls, or one. Raises ReadFailed."""
    contract_id, body = _split(TRADE, arguments)
    try:
        rows = _decode_trades(body) if _is_list(body) else [_decode_trade(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReadFailed(f"{TRADE}: {error}") from None
    found = []
    for row in rows:
        if row is not None:
            if row.contract_id not in (None, contract_id):
                raise ReadFailed(f"{TRADE}: a trade of {row.contract_id} among those of {contract_id}")
            _finite(TRADE, row.price)
            found.append(
                MarketTrade(
                    contract_id,
                    row.timestamp,
                    row.price,
                    row.volume,
                    None if row.type is None else _SIDES.get(row.type),
                )
            )
    return found


def depths(arguments: list[Raw]) -> list[Depth]:
    """Return the changes of an event, one or a list of them. Raises ReadFailed."""
    contract_id, body = _split(DEPTH, arguments)
    try:
        rows = _decode_depths(body) if _is_list(body) else [_decode_depth(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReadFailed(f"{DEPTH}: {error}") from None
    present = [row for row in rows if row is not None]
    _finite(DEPTH, *(row.price for row in present))
    return [Depth(contract_id, row.timestamp, row.type, row.price, row.volume) for row in present]


def _split(target: str, arguments: list[Raw]) -> tuple[str, Raw]:
    if len(arguments) != 2:
        raise ReadFailed(f"{target}: {len(arguments)} arguments instead of two")
    try:
        return _decode_id(arguments[0]), arguments[1]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReadFailed(f"{target}: {error}") from None


def _is_list(body: Raw) -> bool:
    return bytes(body).lstrip()[:1] == b"["


def _finite(target: str, *numbers: Decimal | None) -> None:
    for number in numbers:
        if number is not None and not number.is_finite():
            raise ReadFailed(f"{target}: {number} is not a price")
