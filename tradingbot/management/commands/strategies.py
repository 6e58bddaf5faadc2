"""`manage.py strategies`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Sum

from market.sessions import trade_date_of
from tradingbot.clock import now
from tradingbot.management import names
from tradingbot.management.arguments import WrongUsage
from tradingbot.management.tables import Money, Table
from tradingbot.management.terminal import TerminalCommand, person
from tradingbot.models import Strategy, Trade
from tradingbot.operations import copies, strategies, strategy_files

_SWITCHES = ("start", "stop")


class Command(TerminalCommand):
    help = (
        "List the strategies with what they did today, start, stop or copy one, write them to a file or read it back."
    )
    example = "strategies stop overnight_range"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            nargs="?",
            choices=["start", "stop", "copy", "export", "import"],
            help="let NAME trade, or no longer; put it on more accounts; write all to FILE; make them what it says",
        )
        parser.add_argument(
            "name", nargs="?", metavar="NAME|FILE", help="strategy, or the beginning of its name; a file, - for stdout"
        )
        parser.add_argument("--to", nargs="+", default=[], metavar="ACCOUNT", help="accounts that get a copy")
        parser.add_argument("--yes", action="store_true", help="import or copy without a question")

    def handle(self, **options: Any) -> None:
        action = options["action"]
        if action and not options["name"]:
            if action in (*_SWITCHES, "copy"):
                raise WrongUsage(f"NAME: say which strategy, e.g. strategies {action} overnight_range")
            raise WrongUsage(f"FILE: say which file, e.g. strategies {action} strategies.yaml")
        rows = Strategy.objects.select_related("account")
        if self._account_name is not None:
            rows = rows.filter(account=self.account())
        if action == "export":
            self._export(options["name"], list(rows))
            return
        if action == "import":
            self._import(Path(options["name"]), yes=options["yes"])
            return
        if action == "copy":
            self._copy(names.strategy(options["name"]), options["to"], yes=options["yes"])
            return
        if action:
            chosen = names.strategy(options["name"])
            _switch(action, chosen)
            rows = rows.filter(pk=chosen.pk)
        today = trade_date_of(now())
        found = [_row(strategy, today) for strategy in rows]
        columns = ("strategy", "account", "symbol", "enabled", "trades", "net", "today")
        self.show(found, Table(found, columns, "no strategy is configured yet; `make run` makes them"))

    def _copy(self, original: Strategy, typed: list[str], *, yes: bool) -> None:
        if not typed:
            raise WrongUsage(f"--to: say which accounts, e.g. strategies copy {original} --to 50KTC-V2-2 50KTC-V2-3")
        try:
            planned = copies.compare(original, [names.account(name) for name in typed], now=now())
        except ValueError as error:
            raise CommandError(f"NAME: {error}") from error
        told = [
            {
                "account": one.account.name,
                "strategy": None if one.why else one.name,
                "size": one.size,
                "room": f"{one.share:.0%} of the original's",
                "remark": one.why,
            }
            for one in planned
        ]
        table = Table(told, ("account", "strategy", "size", "room", "remark"), "")
        good = [one for one in planned if not one.why]
        if not good:
            raise CommandError("; ".join(f"{one.account}: {one.why}" for one in planned))
        self.progress(f"{original} trades {original.typed_parameters().size} {original.symbol} on {original.account}.")
        self.confirm(
            f"Make {len(good)} copies, switched off, {', '.join(f'{c.name} ({c.size})' for c in good)}?", yes=yes
        )
        copies.make(original, good, by=person(), now=now())
        self.show(told, table)

    def _export(self, name: str, rows: list[Strategy]) -> None:
        text = strategy_files.write(rows)
        if name == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"FILE: {name} cannot be written ({error.strerror or error})") from error
        self.show({"file": name, "strategies": [row.name for row in rows]}, f"{len(rows)} strategies written to {name}")

    def _import(self, file: Path, *, yes: bool) -> None:
        try:
            changes = strategy_files.compare(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"FILE: {file} cannot be read ({error})") from error
        except strategy_files.BadFile as error:
            lines = "\n  ".join(error.problems)
            raise CommandError(f"FILE: {file} cannot be used, nothing was changed:\n  {lines}") from error
        told = [
            {
                "strategy": change.row.name,
                "new": change.is_new,
                "changes": [{"name": one.name, "before": one.before, "after": one.after} for one in change.differences],
            }
            for change in changes
        ]
        if not changes:
            self.show(told, "nothing differs from what is configured")
            return
        self.progress("\n".join(line for change in changes for line in _lines(change)))
        self.confirm(f"Put {len(changes)} changed or new strategies in force?", yes=yes)
        try:
            strategy_files.put_in_force(changes, by=person(), now=now())
        except ValueError as error:
            raise CommandError(f"FILE: {error}") from error
        self.show(told, f"{len(changes)} strategies changed; they hold from the next bar that closes")


def _lines(change: strategy_files.Change) -> Iterator[str]:
    """Yield how a person sees what would change."""
    row = change.row
    yield f"{row.name}: new, {row.kind} on {row.account}, {row.symbol}" if change.is_new else f"{row.name}:"
    for one in change.differences:
        yield f"  {one.name}: {one.after}" if one.before is None else f"  {one.name}: {one.before} → {one.after}"


def _switch(action: str, strategy: Strategy) -> None:
    operation = strategies.start if action == "start" else strategies.stop
    try:
        operation(strategy, by=person(), now=now())
    except ValueError as error:
        raise CommandError(f"NAME: {error}") from error


def _row(strategy: Strategy, today: date) -> dict[str, Any]:
    trades = Trade.objects.filter(strategy=strategy, session_date=today)
    return {
        "strategy": strategy.name,
        "kind": strategy.kind,
        "account": strategy.account.name,
        "symbol": strategy.symbol,
        "enabled": strategy.enabled,
        "trades": trades.count(),
        "net": Money(trades.aggregate(net=Sum("net"))["net"] or Decimal(0), signed=True),
        "today": _outcome(strategy, today),
        "last_evaluated_at": strategy.last_evaluated_at,
        "fixed_by": strategies.pinned(strategy),
    }


def _outcome(strategy: Strategy, today: date) -> str:
    """Return what the strategy did in this session, in a sentence."""
    if strategy.halted_on == today:
        return f"stands still: {strategy.halt_reason}"
    decision = strategy.decisions.filter(session_date=today).first()
    if decision:
        return f"{decision.get_outcome_display()}: {decision.sentence}"
    if not strategy.enabled:
        return "disabled"
    if strategy.last_evaluated_at and trade_date_of(strategy.last_evaluated_at) == today:
        return strategy.last_reason or "evaluated, nothing to do"
    return "not evaluated in this session"
