"""The ProjectX wire format: records as JSON. Numbers are decimals, enums integers, times ISO with an offset."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from brokers.simulated.products import Listing, listed
from brokers.simulated.records import Account, Execution, Order, Position, Status
from market.bars import Bars, moment
from market.orders import Side

encode = msgspec.json.Encoder(decimal_format="number").encode

_SIDES = {Side.BUY: 0, Side.SELL: 1}


def side(number: int) -> Side | None:
    """Return the side that 0 (bid, buy) or 1 (ask, sell) stands for, None for another number."""
    return {0: Side.BUY, 1: Side.SELL}.get(number)


def stamp(at: datetime) -> str:
    """Return a time as the venue writes it: fractional digits without trailing zeros, offset +00:00."""
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}+00:00"


def account(of: Account) -> dict[str, Any]:
    return {
        "id": of.id,
        "name": of.name,
        "balance": of.balance,
        "canTrade": of.can_trade,
        "isVisible": of.visible,
        "simulated": True,
    }


def contract(of: Listing, *, active: bool) -> dict[str, Any]:
    return {
        "id": of.contract.id,
        "name": of.name,
        "description": of.description,
        "tickSize": of.contract.tick_size,
        "tickValue": of.contract.tick_value,
        "activeContract": active,
        "symbolId": of.symbol_id,
    }


def bars(of: Bars, month: Listing) -> list[dict[str, Any]]:
    """Return bars in the order given."""
    tick = month.contract.tick_size
    return [
        {"t": stamp(moment(t)), "o": o * tick, "h": h * tick, "l": low * tick, "c": c * tick, "v": v}
        for t, o, h, low, c, v in zip(*(column.tolist() for column in of.columns), strict=True)
    ]


def order(of: Order) -> dict[str, Any]:
    month = listed(of.contract_id)
    price = month.contract.price
    model: dict[str, Any] = {
        "id": of.id,
        "accountId": of.account_id,
        "contractId": of.contract_id,
        "symbolId": month.symbol_id,
        "creationTimestamp": stamp(of.created_at),
        "updateTimestamp": stamp(of.updated_at),
        "status": int(of.status),
        "type": int(of.type),
        "side": _SIDES[of.side],
        "size": of.size,
        "limitPrice": None if of.limit is None else price(of.limit),
        "stopPrice": None if of.stop is None else price(of.stop),
        "fillVolume": of.filled,
        "filledPrice": Decimal(of.fill_cost) / of.filled * month.contract.tick_size if of.filled else None,
        "customTag": of.tag,
    }
    distance = of.offset if of.status is Status.SUSPENDED else of.trail
    if distance is not None:
        model |= {"trailDistance": distance, "trailPrice": price(distance)}
    if of.parent_id is not None:
        model["parentOrderId"] = of.parent_id
    if of.linked_id is not None:
        model["linkedOrderId"] = of.linked_id
    return model


def position(of: Position) -> dict[str, Any]:
    month = listed(of.contract_id)
    return {
        "id": of.id,
        "accountId": of.account_id,
        "contractId": of.contract_id,
        "contractDisplayName": month.display_name,
        "creationTimestamp": stamp(of.opened_at),
        "type": 0 if not of.quantity else 1 if of.quantity > 0 else 2,
        "size": abs(of.quantity),
        "averagePrice": (of.average * month.contract.tick_size).quantize(Decimal("1e-9")),
    }


def trade(of: Execution, *, commissions: bool) -> dict[str, Any]:
    month = listed(of.contract_id)
    model: dict[str, Any] = {
        "id": of.id,
        "accountId": of.account_id,
        "contractId": of.contract_id,
        "creationTimestamp": stamp(of.at),
        "price": month.contract.price(of.price),
        "profitAndLoss": of.profit,
        "fees": of.fees,
    }
    if commissions:
        model["commissions"] = of.commissions
    return model | {"side": _SIDES[of.side], "size": of.quantity, "voided": of.voided, "orderId": of.order_id}


def sparse(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model as events carry it: without its null fields."""
    return {name: value for name, value in model.items() if value is not None}
