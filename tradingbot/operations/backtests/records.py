"""Simulations as rows: asked for in the admin, run by the background worker, kept for comparison."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models.functions import Now

from backtest.codes import Policy
from backtest.monte_carlo import Odds
from backtest.results import Result
from tradingbot.models import Backtest, Contract
from tradingbot.operations import hints
from tradingbot.operations.backtests import presenting
from tradingbot.operations.backtests.histories import History
from tradingbot.operations.backtests.running import simulate
from tradingbot.operations.backtests.wishes import Wish, configured

log = logging.getLogger(__name__)

State = Backtest.State
_SILENT = timedelta(minutes=10)  # a first simulation compiles the kernel, which may take a minute


class Cancelled(Exception):
    """A person does not want the result any more."""


def ask(wish: Wish, contract: Contract, *, by: str) -> Backtest:
    """Return the queued row of a simulation; a worker is told. Raises what `Wish.check` raises."""
    wish.check()
    row = Backtest.objects.create(**_asked(wish, contract, by))
    hints.publish("background.backtest", backtest_id=row.pk)
    return row


def cancel(row: Backtest) -> bool:
    """Ask a simulation to stop; one that has not begun ends at once. False if it has ended."""
    if Backtest.objects.filter(pk=row.pk, state=State.QUEUED).update(state=State.CANCELLED, finished_at=Now()):
        return True
    return bool(Backtest.objects.filter(pk=row.pk, state=State.RUNNING).update(cancel_requested=True))


def run(row: Backtest, *, now: datetime) -> bool:
    """Run a queued simulation; False if another worker has it or it was cancelled. What goes wrong ends in the row."""
    mine = Backtest.objects.filter(pk=row.pk)
    if not mine.filter(state=State.QUEUED).update(state=State.RUNNING, started_at=Now(), beat_at=Now()):
        return False
    wish = wish_of(row)
    try:
        result, found = simulate(wish, row.contract, now=now, progress=_reporting(row))
        drawn = presenting.odds_of(result)
        _reporting(row)(99, 100)
        mine.filter(state=State.RUNNING).update(**_done(wish, result, found, drawn))
    except Cancelled:
        mine.update(state=State.CANCELLED, finished_at=Now())
    except Exception as error:
        log.exception("%s failed", row)
        mine.update(state=State.FAILED, finished_at=Now(), reason=f"{type(error).__name__}: {error}"[:300])
    return True


def run_next(*, now: datetime) -> bool:
    """Run the oldest queued simulation, after giving up on those whose worker has died; False if none waits."""
    Backtest.objects.filter(state=State.RUNNING, beat_at__lt=Now() - _SILENT).update(
        state=State.FAILED, finished_at=Now(), reason="its worker died"
    )
    row = Backtest.objects.filter(state=State.QUEUED).select_related("contract").order_by("pk").first()
    return row is not None and run(row, now=now)


def keep(wish: Wish, contract: Contract, result: Result, found: History, drawn: Odds | None, *, by: str) -> Backtest:
    """Return the row of a simulation that was run elsewhere, for example at a prompt."""
    return Backtest.objects.create(**{**_asked(wish, contract, by), **_done(wish, result, found, drawn)})


def kept(
    wish: Wish,
    contract: Contract,
    result: Result,
    sessions: Sequence[date],
    document: Mapping[str, Any],
    page: str,
    *,
    by: str,
    parameters: Mapping[str, Any],
) -> Backtest:
    """Return the row of a result that is told otherwise than that of one strategy."""
    asked = {**_asked(wish, contract, by), "parameters": parameters}
    return Backtest.objects.create(**{**asked, **_ended(result, sessions, document, page)})


def wish_of(row: Backtest) -> Wish:
    """Return what a row asks for."""
    return Wish(
        kind=row.strategy,
        symbol=row.contract.symbol,
        values=row.parameters,
        first=row.first,
        last=row.last,
        slippage=row.slippage,
        policy=Policy(row.policy),
        firm=row.firm,
    )


def wish_for(
    name: str, contract: Contract, values: Mapping[str, str], first: date | None, last: date | None, **terms: Any
) -> Wish:
    """Return the wish for a kind, or for a configured strategy with its parameters. Raises ValueError."""
    kind, parameters = configured(name)
    return Wish(kind, contract.symbol, {**parameters, **values}, first, last, **terms)


def _asked(wish: Wish, contract: Contract, by: str) -> dict[str, Any]:
    return {
        "strategy": wish.kind,
        "contract": contract,
        "parameters": {name: value for name, value in wish.values.items() if name != "symbol"},
        "first": wish.first,
        "last": wish.last,
        "slippage": wish.slippage,
        "policy": int(wish.policy),
        "firm": wish.firm,
        "asked_by": by,
        "asked_at": Now(),
    }


def _done(wish: Wish, result: Result, found: History, drawn: Odds | None) -> dict[str, Any]:
    document = presenting.document(wish, result, found, drawn)
    told = presenting.told(wish, result, found, drawn)
    page = presenting.page(wish, result, found, drawn)
    return _ended(result, found.sessions, {**document, "told": list(told.items())}, page)


def _ended(result: Result, sessions: Sequence[date], document: Mapping[str, Any], page: str) -> dict[str, Any]:
    told = result.statistics
    return {
        "state": State.DONE,
        "finished_at": Now(),
        "progress": 100,
        "first": sessions[0],
        "last": sessions[-1],
        "trades": told.trades,
        "net": Decimal(str(told.net)),
        "max_drawdown": Decimal(str(told.max_drawdown)),
        "win_rate": told.win_rate,
        "profit_factor": told.profit_factor,
        "sharpe": told.sharpe,
        "outcome": str(result.outcome.result) if result.outcome else "",
        "document": document,
        "page": gzip.compress(page.encode(), 6),
    }


def _reporting(row: Backtest) -> Callable[[int, int], None]:
    """Return what writes the progress into the row and raises Cancelled once a person wants that."""

    def report(done: int, of: int) -> None:
        mine = Backtest.objects.filter(pk=row.pk, state=State.RUNNING, cancel_requested=False)
        if not mine.update(progress=min(99, 100 * done // max(1, of)), beat_at=Now()):
            raise Cancelled

    return report
