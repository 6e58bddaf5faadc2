"""Events of the user hub as reports of the port. Strict: what cannot be what it says is a ReadFailed, never a guess."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from brokers.base import AccountReport, FillReport, OrderReport, ReadFailed
from brokers.projectx import reports, wire

T = TypeVar("T")


class UserTarget(StrEnum):
    """Names of the user hub's events."""

    ACCOUNT = "GatewayUserAccount"
    ORDER = "GatewayUserOrder"
    POSITION = "GatewayUserPosition"
    TRADE = "GatewayUserTrade"


@dataclass(frozen=True, slots=True)
class PositionEvent:
    """A net position as it is now; `quantity` is signed and 0 when flat. Nothing in it tells which of two is newer."""

    account_id: int
    contract_id: str
    quantity: int
    average_price: Decimal


UserEvent = AccountReport | OrderReport | FillReport | PositionEvent


class _Wrapped(Struct):
    """What is sent in fact; the documentation shows the bare object. `action` has no published meaning."""

    data: Raw = Raw()
    action: int | None = None


_unwrap = msgspec.json.Decoder(_Wrapped).decode
_account = msgspec.json.Decoder(wire.Account).decode
_order = msgspec.json.Decoder(wire.Order).decode
_position = msgspec.json.Decoder(wire.Position).decode
_trade = msgspec.json.Decoder(wire.Trade).decode


def decode(target: str, arguments: list[Raw]) -> UserEvent:
    """Return what an event says. Raises ReadFailed for another target or shape."""
    if len(arguments) != 1:
        raise ReadFailed(f"{target}: {len(arguments)} arguments instead of one")
    try:
        body = _unwrap(arguments[0]).data or arguments[0]
        match target:
            case UserTarget.ACCOUNT:
                return reports.account(_account(body))
            case UserTarget.ORDER:
                return reports.order(_order(body))
            case UserTarget.POSITION:
                return _net(_position(body))
            case UserTarget.TRADE:
                return reports.fill(_trade(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error)
    else:
        reason = "an event that we do not know"
    raise ReadFailed(f"{target}: {reason}")


def _net(row: wire.Position) -> PositionEvent:
    report = reports.position(row)
    return PositionEvent(row.account_id, row.contract_id, report.quantity if report else 0, row.average_price)
