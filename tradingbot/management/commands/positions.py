"""`manage.py positions`."""

from __future__ import annotations

from typing import Any

from tradingbot.management import holdings
from tradingbot.management.tables import Price, Table, money, price
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Order


class Command(TerminalCommand):
    help = "List the open positions with their profit, stop and target."
    example = "positions --account PRAC"

    def handle(self, **options: Any) -> None:
        account = self.account()
        rows = [_row(holding) for holding in holdings.of(account)]
        columns = (
            "contract",
            "direction",
            "quantity",
            "average_price",
            "price",
            "open_profit",
            "stop",
            "target",
            "note",
        )
        self.show(rows, Table(rows, columns, f"{account} is flat"))


def _row(holding: holdings.Holding) -> dict[str, Any]:
    position, contract = holding.position, holding.position.contract
    quantity = holdings.size(position) or position.quantity
    notes = []
    if position.differs_since is not None:
        notes.append(f"the venue says {position.broker_quantity:+d}")
    if not holding.protected:
        notes.append("NO FULL STOP")
    return {
        "contract": contract.name,
        "symbol": contract.symbol,
        "direction": "long" if quantity > 0 else "short",
        "quantity": abs(quantity),
        "average_price": Price(position.average_price, contract),
        "price": price(holding.price, contract),
        "price_at": holding.price_at,
        "open_profit": money(holding.profit, signed=True),
        "stop": _level(holding.stops),
        "target": _level(holding.targets),
        "protected": holding.protected,
        "opened_at": position.opened_at,
        "venue_quantity": position.broker_quantity,
        "note": "; ".join(notes) or None,
    }


def _level(orders: tuple[Order, ...]) -> Price | None:
    """Return the price of the first order of a kind; a position has more than one only while it is repaired."""
    return price(orders[0].price, orders[0].contract) if orders else None
