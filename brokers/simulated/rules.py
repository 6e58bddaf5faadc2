"""Which orders the venue takes: every refusal in its words, prices turned into ticks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.products import Listing
from brokers.simulated.records import Order, Type
from brokers.simulated.tickets import Leg, Modify, Place
from brokers.simulated.wire import side as side_of
from market.orders import Side

MINIMUM_STOP = 4  # ticks
MAXIMUM_TRAIL = 1000  # ticks
_HIGHEST = Decimal(10**9)


class Rejected(Exception):
    """The order breaks a rule; the text is the venue's message."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an accepted request comes to, in ticks; `stop_offset` and `target_offset` signed from the fill."""

    side: Side
    type: Type
    size: int
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    stop_offset: int | None = None
    target_offset: int | None = None


def terms(ticket: Place, month: Listing, last: int | None, behaviour: Behaviour) -> Terms:
    """Return what `ticket` asks for; `last` is the market's last price. Raises Rejected."""
    side = side_of(ticket.side)
    if side is None:
        raise Rejected(f"Invalid side ({ticket.side}).")
    if ticket.size <= 0:
        raise Rejected(f"Invalid size ({ticket.size}). Size should be greater than zero.")
    if ticket.type not in set(Type) - {Type.STOP_LIMIT}:
        raise Rejected(f"Invalid order type ({ticket.type}).")
    kind = Type(ticket.type)
    limit, stop, trail = None, None, None
    if kind is Type.LIMIT:
        limit = ticks("limit price", ticket.limit_price, month)
    elif kind is Type.STOP:
        stop = ticks("stop price", ticket.stop_price, month)
        check_stop(stop, side, last, behaviour)
    elif kind is Type.TRAILING_STOP:
        trail = trail_distance(ticket.trail_price, month, last, most=MAXIMUM_TRAIL)
        stop = trigger(side, trail, last)
    elif last is None:
        raise Rejected(f"{month.name} has no last price.")
    elif kind is not Type.MARKET:
        limit = last if kind is Type.JOIN_BID else last + 1  # the book is one tick wide, its bid the last price
    return Terms(side, kind, ticket.size, limit, stop, trail, *_offsets(ticket, side, behaviour))


def ticks(name: str, price: Decimal | None, month: Listing) -> int:
    """Return `price` in ticks. Raises Rejected for none, one off the grid or an absurd one."""
    if price is None:
        raise Rejected(f"{name.capitalize()} not set.")
    if not 0 < price < _HIGHEST:
        raise Rejected(f"Invalid {name}. Price is out of range.")
    try:
        return month.contract.ticks(price)
    except ValueError as error:
        raise Rejected(f"Invalid {name}. Price is not aligned to tick size.") from error


def check_stop(stop: int, side: Side, last: int | None, behaviour: Behaviour) -> None:
    """Raise Rejected for a stop that the market has reached already."""
    if behaviour.wrong_side_stops == "refused" and last is not None and (stop - last) * side <= 0:
        where = "above" if side is Side.BUY else "below"
        raise Rejected(f"Invalid stop price. A {side.name.lower()} stop should be {where} the last price.")


def trail_distance(price: Decimal | None, month: Listing, last: int | None, *, most: int | None) -> int:
    """Return how many ticks a trailing stop stays behind: from the last price to `price`. Raises Rejected."""
    if price is None:
        raise Rejected("Trail Distance not set.")
    if last is None:
        raise Rejected("Cannot trail without a last price")
    distance = abs(last - ticks("trail price", price, month))
    if not distance:
        raise Rejected("Trail Distance not set.")
    if most is not None and distance > most:
        raise Rejected(f"Trail Distance exceeds maximum ({most})")
    return distance


def trigger(side: Side, trail: int, last: int | None) -> int:
    """Return where a trailing stop that starts now is triggered. Raises Rejected without a last price."""
    if last is None:
        raise Rejected("Cannot trail without a last price")
    return last + side * trail


def _offsets(ticket: Place, side: Side, behaviour: Behaviour) -> tuple[int | None, int | None]:
    stop, target = ticket.stop_loss_bracket, ticket.take_profit_bracket
    if (stop or target) and behaviour.brackets == "position":
        raise Rejected("Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets.")
    if stop and stop.type != Type.STOP:
        raise Rejected(f"Invalid stop loss type ({_name(stop.type)}). Only STOP Market orders are supported.")
    if target and target.type != Type.LIMIT:
        raise Rejected(f"Invalid take profit type ({_name(target.type)}). Only LIMIT orders are supported.")
    signed = behaviour.bracket_ticks == "signed"
    stop_offset = _offset("stop loss", stop, side, -side, signed=signed)
    target_offset = _offset("take profit", target, side, int(side), signed=signed)
    if stop and stop_offset is not None and abs(stop_offset) < MINIMUM_STOP:
        raise Rejected(f"Invalid stop loss ticks ({stop.ticks}). Ticks should be at least {MINIMUM_STOP} ticks.")
    return stop_offset, target_offset


def _offset(name: str, leg: Leg | None, side: Side, sign: int, *, signed: bool) -> int | None:
    if leg is None:
        return None
    if leg.ticks * (sign if signed else 1) <= 0:
        wanted = "less" if signed and sign < 0 else "greater"
        when = ("longing" if side is Side.BUY else "going short") if signed else "using brackets"
        raise Rejected(f"Invalid {name} ticks ({leg.ticks}). Ticks should be {wanted} than zero when {when}.")
    return leg.ticks if signed else leg.ticks * sign


def _name(kind: int) -> str:
    return Type(kind).name.replace("_", " ").title().replace(" ", "") if kind in set(Type) else str(kind)


def changes(
    ticket: Modify, order: Order, month: Listing, last: int | None, behaviour: Behaviour
) -> dict[str, int | None]:
    """Return what a modification sets on a working order: absolute values, absent ones stay. Raises Rejected."""
    found: dict[str, int | None] = {}
    if ticket.size is not None:
        if ticket.size <= order.filled:
            raise Rejected(f"Invalid size ({ticket.size}). Size should be greater than the filled volume.")
        found["size"] = ticket.size
    if ticket.limit_price is not None:
        if order.type is not Type.LIMIT:
            raise Rejected("Only a limit order has a limit price.")
        found["limit"] = ticks("limit price", ticket.limit_price, month)
    if ticket.stop_price is not None:
        if order.type is not Type.STOP:
            raise Rejected("Only a stop order has a stop price.")
        found["stop"] = ticks("stop price", ticket.stop_price, month)
        check_stop(found["stop"] or 0, order.side, last, behaviour)
    if ticket.trail_price is not None:
        if order.type is not Type.TRAILING_STOP:
            raise Rejected("Only a trailing stop has a trail price.")
        trail = trail_distance(ticket.trail_price, month, last, most=None)
        found |= {"trail": trail, "stop": trigger(order.side, trail, last)}
    return found
