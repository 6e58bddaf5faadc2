"""`manage.py pnl`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, Q, QuerySet, Sum

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import arguments, holdings
from tradingbot.management.tables import Money, Table, money
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Trade


class Command(TerminalCommand):
    help = "Show today's profit and loss, realised and open, and that of the days before."
    example = "pnl --days 30"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=arguments.days, default=10, metavar="N", help="calendar days back (10)")

    def handle(self, **options: Any) -> None:
        account = self.account()
        today = trade_date_of(now())
        trades = Trade.objects.filter(account=account)
        closed = trades.filter(session_date=today).aggregate(net=Sum("net"), count=Count("pk"))
        facts = {
            "account": account.name,
            "session": today,
            "trades": closed["count"],
            "realised": Money(closed["net"] or Decimal(0), signed=True),
            "balance_change": money(account.day_profit, signed=True) if account.session_date == today else None,
            "open": money(holdings.open_profit(holdings.of(account)), signed=True),
        }
        days = _by_day(trades.filter(session_date__gt=today - timedelta(days=options["days"]), session_date__lte=today))
        columns = ("session", "trades", "won", "lost", "gross", "costs", "net")
        self.show(
            {"today": facts, "days": days},
            facts,
            "",
            Table(days, columns, f"no trade was closed in the last {options['days']} days"),
        )


def _by_day(trades: QuerySet[Trade]) -> list[dict[str, Any]]:
    """Return one row a session with trades, newest first."""
    rows = (
        trades.values("session_date")
        .annotate(
            trades=Count("pk"),
            won=Count("pk", filter=Q(net__gt=0)),
            lost=Count("pk", filter=Q(net__lt=0)),
            total_gross=Sum("gross"),
            costs=Sum("fees") + Sum("commissions"),
            total_net=Sum("net"),
        )
        .order_by("-session_date")
    )
    return [
        {
            "session": row["session_date"],
            "trades": row["trades"],
            "won": row["won"],
            "lost": row["lost"],
            "gross": Money(row["total_gross"], signed=True),
            "costs": Money(row["costs"]),
            "net": Money(row["total_net"], signed=True),
        }
        for row in rows
    ]
