"""`manage.py portfolio`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tradingbot.clock import now
from tradingbot.management import arguments, names
from tradingbot.management.commands.backtest import add_results, add_terms, bar, groups, refused, write_page
from tradingbot.management.tables import Table
from tradingbot.management.terminal import TerminalCommand, person


class Command(TerminalCommand):
    help = "Simulate several strategies together on one account, as its settings let them trade."
    example = "portfolio overnight_range:MNQ ema_cross:MES --firm combine-50 --odds"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "strategies",
            nargs="*",
            metavar="NAME[:SYMBOL]",
            help="a configured strategy, or a kind with its product; of two that signal at one close the one named "
            "first is asked first (those that are switched on for the account)",
        )
        add_terms(parser)
        parser.add_argument(
            "--contract", choices=("deny", "net"), help="what a second strategy in one product may do (the account's)"
        )
        parser.add_argument(
            "--most", type=arguments.quantity, metavar="N", help="strategies at work at once (the account's)"
        )
        add_results(parser)

    def handle(self, **options: Any) -> None:
        from backtest import compiled
        from backtest.codes import Policy
        from backtest.portfolio import Sharing
        from tradingbot.operations.backtests import portfolios, presenting

        account = self.account()
        own = portfolios.sharing_of(account)
        one = own.one_a_contract if options["contract"] is None else options["contract"] == "deny"
        with refused():
            members = portfolios.named(options["strategies"]) or portfolios.of_account(account)
            asked = portfolios.together(
                members,
                Sharing(one_a_contract=one, most=options["most"] or own.most),
                first=options["first"],
                last=options["last"],
                slippage=1 if options["slippage"] is None else options["slippage"],
                policy=Policy[options["bars"].upper()],
                firm=options["firm"],
            )
        contracts = {symbol: names.contract(symbol, account) for symbol in dict.fromkeys(s for _, s in members)}
        compiled.kernel(self.progress)
        with bar(f"{len(members)} strategies", shown=not self.json) as progress, refused():
            made, found = portfolios.simulate(asked, contracts, now=now(), progress=progress)
            odds = presenting.odds_of(made.result) if options["odds"] else None
        document = portfolios.document(asked, made, found, odds)
        if options["save"]:
            contract = contracts[asked.one.symbol]
            document["row"] = portfolios.keep(asked, contract, made, found, odds, by=person()).pk
        if path := options["report"]:
            write_page(path, portfolios.page(asked, made, found, odds))
            document["report"] = str(path)
        columns = ("name", "trades", "net", "alone", "contract_taken", "too_many")
        parts = Table(document["parts"], columns, "", "the strategies; net beside the others, alone by itself")
        told = portfolios.told(asked, made, found, odds)
        self.show(document, told, "", parts, *groups(document["statistics"]["groups"]))
        for name in ("report", "row"):
            if name in document and not self.json:
                self.progress(f"{name}: {document[name]}")
