"""Whether a request is well formed: product, quantity, sides, prices, stop and target."""

from __future__ import annotations

from market.orders import OrderType, Side
from risk import limits
from risk.costs import ROUND_TURN
from risk.requests import EntryRequest, EntrySide
from risk.verdicts import Code, Report

_MARKET, _STOPS = OrderType.MARKET, (OrderType.STOP, OrderType.TRAILING_STOP)
_STOP_LOSSES = f"{limits.MIN_STOP_TICKS} to {limits.MAX_DISTANCE_TICKS} ticks"


def product(report: Report, request: EntryRequest) -> bool:
    symbol = request.contract.symbol
    if limits.weight(symbol) is None or symbol not in ROUND_TURN:
        text = f"{symbol} is not a product that the firm permits."
    elif symbol in limits.EARLY_PRODUCTS:
        text = f"{symbol} closes before our flat time: it is not traded."
    else:
        report.rule("product", symbol, "permitted")
        return True
    report.fail(Code.PRODUCT_REFUSED, "product", symbol, "permitted", text)
    return False


def quantity(report: Report, request: EntryRequest) -> bool:
    if request.quantity >= request.minimum_quantity >= 1:
        report.rule("quantity", str(request.quantity), f"at least {request.minimum_quantity}")
        return True
    at_least = max(1, request.minimum_quantity)
    text = f"The quantity is {request.quantity}: write a whole number of contracts, at least {at_least}."
    report.fail(Code.BAD_QUANTITY, "quantity", str(request.quantity), f"at least {at_least}", text)
    return False


def sides(report: Report, request: EntryRequest) -> bool:
    sides = request.sides
    pair = len(sides) == 2 and sides[0].side is not sides[1].side
    words = " and ".join([side.side.word for side in sides]) or "none"
    if not (pair if request.oco else len(sides) == 1):
        text = f"The entry has the sides {words}: it needs one side, or a buy and a sell as a pair."
        report.fail(Code.BAD_SIDES, "sides", words, "one, or a pair", text)
        return False
    report.rule("sides", words, "one, or a pair")
    good = [_side(report, request, side) for side in sides]
    return all(good)


def _side(report: Report, request: EntryRequest, side: EntrySide) -> bool:
    priced, stopped, aimed = _price(report, request, side), _stop(report, side), _target(report, side)
    return priced and stopped and aimed


def _price(report: Report, request: EntryRequest, side: EntrySide) -> bool:
    contract, word, price, kind = request.contract, side.side.word, side.price, side.type
    name, limit = f"{word} price", "right side of the market"
    value = f"{word} {kind}" if price is None else f"{word} {kind} {contract.price(price)}"
    if (price is None) is not (kind is _MARKET):
        if price is None:
            text = f"The price of the {word} {kind} is missing."
        else:
            text = f"A market {word} has no price: leave the price out, or make it a limit or stop order."
    elif kind in _STOPS and not _is_ahead(side, request.reference):
        text = (
            f"The {word} stop {contract.price(price or 0)} is not {_beyond(side)} the market, "
            f"{contract.price(request.reference or 0)}: a {word} stop must lie {_beyond(side)} it."
        )
    else:
        report.rule(name, value, limit)
        return True
    report.fail(Code.BAD_PRICE, name, value, limit, text)
    return False


def _stop(report: Report, side: EntrySide) -> bool:
    name, value = f"{side.side.word} stop loss", f"{side.stop_ticks} ticks"
    if limits.MIN_STOP_TICKS <= side.stop_ticks <= limits.MAX_DISTANCE_TICKS:
        report.rule(name, value, _STOP_LOSSES)
        return True
    report.fail(Code.BAD_STOP, name, value, _STOP_LOSSES, _bad_stop(side, side.side.word))
    return False


def _target(report: Report, side: EntrySide) -> bool:
    word, ticks = side.side.word, side.target_ticks
    if ticks is None:
        report.rule(f"{word} target", "none", "optional", None)
        return True
    if 1 <= ticks <= limits.MAX_DISTANCE_TICKS:
        report.rule(f"{word} target", f"{ticks} ticks", "beyond the entry")
        return True
    text = f"The target of the {word} is {ticks} ticks away: it must lie {_beyond(side)} the entry."
    report.fail(Code.BAD_TARGET, f"{word} target", f"{ticks} ticks", "beyond the entry", text)
    return False


def _beyond(side: EntrySide) -> str:
    return "above" if side.side is Side.BUY else "below"


def _is_ahead(side: EntrySide, reference: int | None) -> bool:
    """Return whether a stop entry waits for the market; True without a market price, which is denied as stale."""
    return side.price is None or reference is None or (side.price - reference) * side.side > 0


def _bad_stop(side: EntrySide, word: str) -> str:
    if side.stop_ticks <= 0:
        where = "below" if side.side is Side.BUY else "above"
        return f"The stop loss of the {word} is {side.stop_ticks} ticks away: it must lie {where} the entry."
    if side.stop_ticks < limits.MIN_STOP_TICKS:
        return (
            f"The stop loss of the {word} is {side.stop_ticks} ticks away: "
            f"the venue takes {limits.MIN_STOP_TICKS} ticks or more."
        )
    return f"The stop loss of the {word} is {side.stop_ticks} ticks away: that cannot be meant."
