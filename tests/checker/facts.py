"""What a run left behind: the venue's ledger, which is the truth, and our database, which has to agree with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Row = SimpleNamespace
Query = Callable[[str], list[dict[str, Any]]]

_OURS = {
    "orders": "SELECT o.*, c.symbol, c.broker_contract_id, c.tick_size, c.tick_value FROM tradingbot_order o"
    " JOIN tradingbot_contract c ON c.id = o.contract_id ORDER BY o.id",
    "events": "SELECT * FROM tradingbot_orderevent ORDER BY id",
    "fills": "SELECT f.*, c.broker_contract_id FROM tradingbot_fill f"
    " JOIN tradingbot_contract c ON c.id = f.contract_id ORDER BY f.id",
    "positions": "SELECT p.*, c.broker_contract_id FROM tradingbot_position p"
    " JOIN tradingbot_contract c ON c.id = p.contract_id ORDER BY p.id",
    "trades": "SELECT * FROM tradingbot_trade ORDER BY id",
    "accounts": "SELECT * FROM tradingbot_account ORDER BY id",
    "states": "SELECT id, trading_state, history_date FROM tradingbot_historicalaccount ORDER BY history_id",
    "decisions": "SELECT * FROM tradingbot_decision ORDER BY id",
    "ranges": "SELECT * FROM tradingbot_overnightrange ORDER BY id",
    "steps": "SELECT * FROM tradingbot_sessionstep ORDER BY id",
    "notifications": "SELECT * FROM tradingbot_notification ORDER BY id",
}
_JSON = {"detail", "inputs", "rules", "facts"}
_TIMES = {"at", "created_at", "updated_at", "opened_at"}


@dataclass(frozen=True, slots=True)
class Death:
    """A component that ended or stood still, and when somebody noticed: it was restarted, or an alert was written."""

    name: str
    at: datetime
    noticed_at: datetime | None


@dataclass(slots=True)
class Facts:
    """Rows of both sides; times are aware, machine times are called so. Prices of the venue are ticks.

    until          machine time up to which the ledger tells; market_until the same in market time
    texts          what may leak: name and content of logs and the like; secrets must not be in them
    queue_peak     most messages that ever waited
    speed          market seconds a machine second: what is promised in seconds takes so many more of the market's
    """

    orders: list[Row]
    events: list[Row]
    fills: list[Row]
    positions: list[Row]
    trades: list[Row]
    accounts: list[Row]
    states: list[Row]
    decisions: list[Row]
    ranges: list[Row]
    steps: list[Row]
    notifications: list[Row]
    venue_accounts: list[Row]
    venue_orders: list[Row]
    executions: list[Row]
    venue_positions: list[Row]
    journal: list[Row]
    until: datetime
    market_until: datetime
    prefix: str = "tb-"
    texts: dict[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    deaths: Sequence[Death] = ()
    queue_peak: int = 0
    speed: float = 1.0

    def row_of(self, venue_order: Row) -> Row | None:
        """Return our row of a venue's order: by its tag, else by its id."""
        by_id = None
        for row in self.orders:
            if venue_order.tag and row.tag == venue_order.tag:
                return row
            if row.broker_order_id == venue_order.id:
                by_id = row
        return by_id

    def account_of(self, row: Row) -> Row:
        return next(account for account in self.accounts if account.id == row.account_id)


def read(query: Query, ledger: Path, *, until: datetime, **more: Any) -> Facts:
    """Return the facts of a run.

    query    runs a statement in our database and returns its rows
    ledger   file of the venue's ledger
    until    machine time of the reading
    """
    ours = {name: [_ours(row) for row in query(statement)] for name, statement in _OURS.items()}
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        theirs = {
            name: [_theirs(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY id")]
            for name, table in (
                ("venue_accounts", "accounts"),
                ("venue_orders", "orders"),
                ("executions", "executions"),
                ("venue_positions", "positions"),
                ("journal", "journal"),
            )
        }
        walked = db.execute("SELECT value FROM meta WHERE key = 'walked_to'").fetchone()
    times = [row.at for row in theirs["journal"]] + ([_instant(int(walked[0]))] if walked else [])
    return Facts(**ours, **theirs, until=until, market_until=max(times), **more)


def texts(files: Iterable[Path]) -> dict[str, str]:
    """Return the contents of log files by their names."""
    return {file.name: file.read_text(errors="replace") for file in files}


def _ours(row: dict[str, Any]) -> Row:
    return Row(**{k: json.loads(v) if k in _JSON and isinstance(v, str) else v for k, v in row.items()})


def _theirs(row: sqlite3.Row) -> Row:
    values = {name: _instant(row[name]) if name in _TIMES else row[name] for name in row.keys()}  # noqa: SIM118
    if "machine_at" in values:
        values["machine_at"] = datetime.fromisoformat(values["machine_at"])
    if "data" in values:
        values["data"] = json.loads(values["data"])
    return Row(**values)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
