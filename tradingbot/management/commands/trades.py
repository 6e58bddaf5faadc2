"""`manage.py trades`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Sum

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Money, Price, Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Trade

_WITH = ("contract", "strategy", "entry_fill__order", "exit_fill__order")


class Command(TerminalCommand):
    help = "List the closed round turns of a span of sessions; without dates today's."
    example = "trades --from 2026-11-16 --to 2026-11-20"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", type=arguments.day, metavar="DATE", help="first session")
        parser.add_argument("--to", dest="last", type=arguments.day, metavar="DATE", help="last session (today)")

    def handle(self, **options: Any) -> None:
        last = options["last"] or trade_date_of(now())
        first = options["first"] or last
        if first > last:
            raise WrongUsage(f"--from: {first} is after --to {last}; write the earlier date first")
        account = self.account()
        trades = Trade.objects.filter(account=account, session_date__range=(first, last))
        rows = [_row(trade) for trade in trades.select_related(*_WITH).order_by("exited_at", "pk")]
        columns = (
            "exited_at",
            "contract",
            "direction",
            "quantity",
            "entry",
            "exit",
            "exit_by",
            "slippage",
            "net",
            "strategy",
        )
        net = trades.aggregate(net=Sum("net"))["net"] or Decimal(0)
        span = f"on {first}" if first == last else f"from {first} to {last}"
        parts: list[Table | str] = [Table(rows, columns, f"{account} closed no trade {span}")]
        if rows:
            parts.append(f"{len(rows)} trade(s) {span}, net {Money(net, signed=True)}")
        self.show(rows, *parts)


def _row(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.pk,
        "session": trade.session_date,
        "entered_at": trade.entered_at,
        "exited_at": trade.exited_at,
        "contract": trade.contract.name,
        "direction": "long" if trade.direction > 0 else "short",
        "quantity": trade.quantity,
        "entry": Price(trade.entry_price, trade.contract),
        "exit": Price(trade.exit_price, trade.contract),
        "exit_by": trade.exit_role,
        "gross": Money(trade.gross, signed=True),
        "fees": Money(trade.fees),
        "commissions": Money(trade.commissions),
        "net": Money(trade.net, signed=True),
        "slippage": money(trade.slippage),
        "strategy": trade.strategy.name if trade.strategy else None,
    }
