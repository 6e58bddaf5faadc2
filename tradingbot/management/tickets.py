"""From what a person typed to what the gate is asked. Every wrong value is refused here, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError

from market.orders import OrderType, Side
from risk.requests import EntryRequest, EntrySide
from tradingbot.management.arguments import WrongUsage, on_tick
from tradingbot.models import Contract

_OPTIONS = {"limit": "--limit", "stop": "--stop", "sl": "--sl", "tp": "--tp"}
_POSITIONS = {"stop": "ENTRY", "sl": "SL", "tp": "TP"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """An entry as it was typed, checked as far as that is possible without a market price.

    price        limit or stop price in points, None for a market or trailing entry
    sl, tp       prices; `sl_ticks` the stop's distance from the fill instead of `sl`
    fields       what the person calls limit, stop, sl and tp
    """

    contract: Contract
    side: Side
    quantity: int
    type: OrderType
    price: Decimal | None
    sl: Decimal | None
    tp: Decimal | None
    fields: Mapping[str, str]
    sl_ticks: int | None = None
    trail_ticks: int | None = None

    def __post_init__(self) -> None:
        for name, value in ((self.type.value, self.price), ("sl", self.sl), ("tp", self.tp)):
            if value is not None:
                on_tick(self.fields[name], value, self.contract)
        if self.sl is None and self.sl_ticks is None:
            raise WrongUsage(
                f"{self.fields['sl']}: a stop is required, every position has one from its first second; "
                "add --sl PRICE or --sl-ticks N"
            )
        if self.price is not None:
            self._distances(self.price)

    def request(self, newest: Decimal | None) -> EntryRequest:
        """Return what the gate is asked, at the newest price (None while unknown).

        Raises WrongUsage for a price on the wrong side of the market, CommandError if an unknown price is needed.
        """
        price = self._entry_price(newest)
        stop_ticks, target_ticks = self._distances(newest if price is None else price)
        spec = self.contract.spec
        side = EntrySide(
            side=self.side,
            type=self.type,
            price=None if price is None else spec.ticks(price),
            stop_ticks=stop_ticks,
            target_ticks=target_ticks,
        )
        return EntryRequest(
            contract=spec,
            quantity=self.quantity,
            sides=(side,),
            reference=None if newest is None else spec.ticks(newest),
            minimum_quantity=self.quantity,
        )

    def _entry_price(self, newest: Decimal | None) -> Decimal | None:
        """Return the price that the entry waits at, a trailing one at first; None for a market order."""
        if self.trail_ticks:
            if newest is None:
                raise self._no_price("--trail")
            return newest + self.side * self.contract.spec.price(self.trail_ticks)
        if self.type is not OrderType.STOP or self.price is None or newest is None:
            return self.price
        if (self.price - newest) * self.side <= 0:
            text = self.contract.text
            raise WrongUsage(
                f"{self.fields['stop']}: a {self.side.name} stop waits {_beyond(self.side)} the market, which is at "
                f"{text(newest)}, not at {text(self.price)}; for a better price use a limit order"
            )
        return self.price

    def _distances(self, start: Decimal | None) -> tuple[int, int | None]:
        """Return the ticks from the entry at `start` to stop and target."""
        stop = self.sl_ticks or 0
        if self.sl is not None:
            stop = self._distance("sl", self.sl, self.side.opposite, start)
        return stop, None if self.tp is None else self._distance("tp", self.tp, self.side, start)

    def _distance(self, name: str, price: Decimal, side: Side, start: Decimal | None) -> int:
        if start is None:
            raise self._no_price(self.fields[name])
        return distance(self.fields[name], self.contract, side, start=start, end=price)

    def _no_price(self, field: str) -> CommandError:
        symbol = self.contract.symbol
        return CommandError(
            f"{field}: no price of {symbol} is known to count from; "
            f"fetch some with `python manage.py history {symbol} 1m 10`"
        )


def trade(contract: Contract, side: Side, quantity: int, options: Mapping[str, Any]) -> Ticket:
    """Return the ticket of `trade`: limit, stop or trail (at most one), sl or sl_ticks (one of them), tp."""
    given = [name for name in ("limit", "stop", "trail") if options[name] is not None]
    if len(given) > 1:
        raise WrongUsage(f"--{given[1]}: an entry has one kind of price and --{given[0]} is given too; leave one out")
    if options["sl"] is not None and options["sl_ticks"] is not None:
        raise WrongUsage("--sl-ticks: the stop is given by --sl already; leave one out")
    kind = given[0] if given else "market"
    if kind == "trail" and options["sl"] is not None:
        raise WrongUsage("--sl: where a trailing entry fills is not known yet; use --sl-ticks N")
    if kind == "trail" and options["tp"] is not None:
        raise WrongUsage("--tp: where a trailing entry fills is not known yet; set it after the fill with `protect`")
    return Ticket(
        contract,
        side,
        quantity,
        type={"limit": OrderType.LIMIT, "stop": OrderType.STOP, "trail": OrderType.TRAILING_STOP}.get(
            kind, OrderType.MARKET
        ),
        price=options[kind] if kind in ("limit", "stop") else None,
        sl=options["sl"],
        tp=options["tp"],
        fields=_OPTIONS,
        sl_ticks=options["sl_ticks"],
        trail_ticks=options["trail"],
    )


def stop_bracket(contract: Contract, side: Side, quantity: int, *, entry: Decimal, sl: Decimal, tp: Decimal) -> Ticket:
    """Return the ticket of a breakout: a stop entry with its stop loss and take profit."""
    return Ticket(contract, side, quantity, OrderType.STOP, entry, sl, tp, fields=_POSITIONS)


def distance(field: str, contract: Contract, side: Side, *, start: Decimal, end: Decimal) -> int:
    """Return ticks from `start` to `end`, which must lie above it for BUY, below it for SELL. Raises WrongUsage."""
    ticks = contract.spec.ticks(end) - contract.spec.ticks(start)
    if ticks * side <= 0:
        raise WrongUsage(
            f"{field}: {contract.text(end)} is on the wrong side; it must lie {_beyond(side)} {contract.text(start)}"
        )
    return abs(ticks)


def _beyond(side: Side) -> str:
    return "above" if side is Side.BUY else "below"
