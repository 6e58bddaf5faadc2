"""`manage.py optimise`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.commands.backtest import add_wish, bar, dollars, refused, wish_of
from tradingbot.management.tables import Figure, Table
from tradingbot.management.terminal import TerminalCommand, person

_MOST = 1_000_000


class Command(TerminalCommand):
    help = "Search the parameters of a strategy over the cached bars, with the newest sessions held out."
    example = "optimise overnight_range MNQ --search stop_atr=1:4:0.5 --search target_atr=2,3,4 --walk 120:20"

    def add_arguments(self, parser: CommandParser) -> None:
        add_wish(parser)
        parser.add_argument(
            "--search", action="append", default=[], metavar="K=…", help="K=A,B,C or K=FROM:TO:STEP; repeat"
        )
        parser.add_argument("--method", choices=("grid", "tpe", "genetic"), default="grid", help="of the search (grid)")
        parser.add_argument(
            "--objective", choices=("sharpe", "net", "recovery"), default="sharpe", help="made large (sharpe)"
        )
        parser.add_argument("--trials", type=_count, default=200, metavar="N", help="of tpe and genetic (200)")
        parser.add_argument("--least-trades", type=_count, default=20, metavar="N", help="fewer are not judged (20)")
        parser.add_argument(
            "--walk", type=_walk, default=(0, 0), metavar="TRAIN:TEST", help="walk forward, in sessions"
        )
        parser.add_argument("--held-out", type=_percent, default=20, metavar="PERCENT", help="newest sessions (20)")
        parser.add_argument("--unlock", action="store_true", help="look at the held-out sessions with the best found")
        parser.add_argument("--processes", type=_count, default=0, metavar="N", help="that compute (all cores)")
        parser.add_argument(
            "--name", default="", help="keep a journal: the same search goes on where it was broken off"
        )

        parser.add_argument("--save", action="store_true", help="keep what was found as a row of the admin")

    def handle(self, **options: Any) -> None:
        from backtest import compiled
        from backtest.axes import Axis, check
        from backtest.evaluation import OtherSearch
        from backtest.optimiser import Method
        from tradingbot.operations.backtests import searching

        contract = names.contract(options["symbol"], self.account())
        with refused():
            axes = tuple(map(Axis.of, options["search"]))
            check(axes)
            asked = searching.Search(
                wish=wish_of(options, contract.symbol),
                axes=axes,
                method=Method(options["method"]),
                train=options["walk"][0],
                test=options["walk"][1],
                **{
                    name: options[name]
                    for name in ("objective", "trials", "least_trades", "held_out", "unlock", "processes", "name")
                },
            )
            asked.check()
        compiled.kernel(self.progress)  # before every process of the search would
        with bar(f"{asked.wish.kind} on {contract.symbol}", shown=not self.json) as progress, refused():
            try:
                found = searching.find(asked, contract, now=now(), progress=lambda what, done, of: progress(done, of))
            except OtherSearch as error:
                raise WrongUsage(f"--name: {error}") from error
            except OSError as error:
                raise CommandError(f"--name: the journal cannot be written ({error})") from error
        document = searching.document(asked, found)
        if options["save"]:
            document["row"] = searching.keep(asked, contract, found, by=person()).pk
        self.show(document, *parts(document, [axis.name for axis in axes]))
        if options["save"] and not self.json:
            self.progress(f"row: {document['row']}")


def parts(document: dict[str, Any], searched: list[str]) -> Iterator[Table | dict[str, Any] | str]:
    from tradingbot.operations.backtests import presenting

    def score(value: float | None) -> Figure:
        return Figure(presenting.score(document["objective"], value))

    first, last, count = document["sessions"]
    held, firm, walk = document["held_out"], document["firm"], document["walk_forward"]
    yield {
        "searched": f"{count} sessions, {first} to {last}",
        "held out": f"{held[2]} sessions, {held[0]} to {held[1]}" if held else "nothing",
        "evaluated": f"{document['evaluated']} parameter sets, {document['not_judged']} not judged",
        "objective": document["objective"],
    }
    rows = [
        {
            **trial["values"],
            "score": score(trial["score"]),
            "net": dollars(trial["net"]),
            "trades": trial["trades"],
        }
        for trial in document["best"]
    ]
    yield ""
    yield Table(rows, (*searched, "score", "net", "trades"), f"nothing was judged: {document['why_none']}", "the best")
    if walk:
        yield ""
        yield Table(
            [{"from": w["tested"][0], "until": w["tested"][1], **(w["values"] or dict.fromkeys(searched)),
              "trained": score(w["score"]), "tested": score(w["tested_score"])} for w in walk["windows"]],
            ("from", "until", *searched, "trained", "tested"), "", "walk-forward: chosen before, used in these",
        )  # fmt: skip
        yield ""
        yield {
            "walked forward, net": dollars(walk["net"]),
            "trades": walk["trades"],
            "efficiency": presenting.efficiency(walk),
        }
        yield ""
        yield Table(
            [{"parameter": s["name"], "chosen": presenting.steadiness(s)} for s in walk["stability"]],
            ("parameter", "chosen"), "no window was traded", "stability",
        )  # fmt: skip
    if firm:
        yield ""
        chances = {
            name: f"{firm[name]['value']:.1%} ({firm[name]['low']:.0%} to {firm[name]['high']:.0%})"
            for name in ("passes", "breaches")
        }
        yield {"account": f"{firm['rules']}: {firm['result']}", "days": firm["days_are"], **chances}
    if unlocked := document["held_out_result"]:
        yield ""
        told = f"net {dollars(unlocked['net'])} in {unlocked['trades']} trades"
        if document["objective"] != "net":
            told += f", {document['objective']} {score(unlocked['score'])}"
        yield f"held out, looked at now: {told}"


def _count(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= _MOST):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 1 to {_MOST}")
    return int(typed)


def _percent(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and int(typed) <= 90):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 0 to 90")
    return int(typed)


def _walk(typed: str) -> tuple[int, int]:
    train, colon, test = typed.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{typed!r} is not TRAIN:TEST, two numbers of sessions, for example 120:20")
    return _count(train), _count(test)
