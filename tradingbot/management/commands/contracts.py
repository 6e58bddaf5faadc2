"""`manage.py contracts`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.management import names
from tradingbot.management.tables import Money, Price, Table
from tradingbot.management.terminal import TerminalCommand
from tradingbot.models import Contract


class Command(TerminalCommand):
    help = "List the contracts of the venue, or every known month of one symbol."
    example = "contracts MNQ"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", nargs="?", metavar="SYMBOL", help="for example MNQ")

    def handle(self, **options: Any) -> None:
        account = self.account()
        contracts = names.contracts(account)
        if options["symbol"]:
            contracts = contracts.filter(symbol=names.contract(options["symbol"], account).symbol)
        else:
            contracts = contracts.filter(active=True)
        rows = [_row(contract) for contract in contracts]
        columns = ("symbol", "contract", "description", "tick_size", "tick_value", "point_value", "current")
        self.show(rows, Table(rows, columns, "no contract is known yet; `make run` reads them from the venue"))


def _row(contract: Contract) -> dict[str, Any]:
    spec = contract.spec
    return {
        "symbol": contract.symbol,
        "contract": contract.name,
        "id": contract.broker_contract_id,
        "description": contract.description or None,
        "tick_size": Price(spec.tick_size, contract),
        "tick_value": spec.tick_value,
        "point_value": Money(spec.point_value),
        "current": contract.active,
        "seen_at": contract.seen_at,
    }
