"""The venue's durable book in SQLite: what is committed here happened, whatever dies afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.simulated.records import Account, Execution, Order, Position, Status, Type
from market.orders import Side

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MACHINE = (
    "machine_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"  # SQLite reads the machine's clock
)
_FIRST_ORDER, _FIRST_EXECUTION, _FIRST_POSITION, _FIRST_ACCOUNT = 3_400_000_001, 3_000_000_001, 800_000_001, 1001
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, balance TEXT NOT NULL,
    can_trade INT NOT NULL, visible INT NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, account_id INT NOT NULL REFERENCES accounts, contract_id TEXT NOT NULL,
    created_at INT NOT NULL, updated_at INT NOT NULL, status INT NOT NULL, type INT NOT NULL, side INT NOT NULL,
    size INT NOT NULL, "limit" INT, stop INT, trail INT, "offset" INT, filled INT NOT NULL, fill_cost INT NOT NULL,
    tag TEXT, parent_id INT REFERENCES orders, linked_id INT, reason TEXT, {_MACHINE},
    CHECK (filled BETWEEN 0 AND max(size, 0)), UNIQUE (account_id, tag)
);
CREATE INDEX orders_in_flight ON orders (status) WHERE status IN (1, 6, 7, 8);
CREATE INDEX orders_by_parent ON orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX orders_by_time ON orders (account_id, created_at);
CREATE TABLE executions (
    id INTEGER PRIMARY KEY, order_id INT NOT NULL REFERENCES orders, account_id INT NOT NULL, contract_id TEXT NOT NULL,
    at INT NOT NULL, side INT NOT NULL, quantity INT NOT NULL CHECK (quantity > 0), price INT NOT NULL,
    fees TEXT NOT NULL, commissions TEXT NOT NULL, profit TEXT, voided INT NOT NULL, {_MACHINE}
);
CREATE INDEX executions_by_time ON executions (account_id, at);
CREATE TABLE positions (
    id INTEGER PRIMARY KEY, account_id INT NOT NULL REFERENCES accounts, contract_id TEXT NOT NULL,
    opened_at INT NOT NULL, quantity INT NOT NULL, cost TEXT NOT NULL
);
CREATE UNIQUE INDEX one_open_position ON positions (account_id, contract_id) WHERE quantity != 0;
CREATE TABLE balances (
    id INTEGER PRIMARY KEY, account_id INT NOT NULL REFERENCES accounts, at INT NOT NULL, balance TEXT NOT NULL,
    execution_id INT REFERENCES executions, {_MACHINE}
);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, at INT NOT NULL, data TEXT NOT NULL, {_MACHINE}
);
CREATE TABLE ended_tokens (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER journal_stands BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER journal_stays BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER executions_stay BEFORE DELETE ON executions BEGIN SELECT RAISE(ABORT, 'append only'); END;
PRAGMA user_version = 1;
"""


class Ledger:
    """Rows of one venue in one file, or in memory for ":memory:". One writer; reads see the open transaction."""

    def __init__(self, path: str | Path) -> None:
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        self._db.row_factory = sqlite3.Row
        # The journal is hardly read again: a cache of the usual 2 MB would fill with it for hours.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -512"):
            self._db.execute(f"PRAGMA {pragma}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        elif version != 1:
            raise ValueError(f"{path}: ledger version {version}, this venue writes version 1: start with --fresh")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside at once, durably, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def note(self, key: str) -> str | None:
        """Return a value kept with `keep`."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, key: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    def record(self, kind: str, name: str, at: datetime, data: str) -> None:
        """Append to the journal; `data` is JSON without secrets."""
        self._db.execute(
            "INSERT INTO journal (kind, name, at, data) VALUES (?, ?, ?, ?)", (kind, name, micros(at), data)
        )

    def add_account(self, name: str, balance: Decimal, at: datetime) -> Account:
        """Open an account. Raises sqlite3.IntegrityError for a name that is taken."""
        account = Account(self._next("accounts", _FIRST_ACCOUNT), name, balance)
        self._db.execute("INSERT INTO accounts VALUES (?, ?, ?, 1, 1)", (account.id, name, f"{balance:f}"))
        self._balance(account.id, at, balance, None)
        return account

    def set_account(self, account: Account) -> None:
        """Store whether the account may trade and is shown; its balance moves only by executions."""
        self._db.execute(
            "UPDATE accounts SET can_trade = ?, visible = ? WHERE id = ?",
            (account.can_trade, account.visible, account.id),
        )

    def accounts(self) -> list[Account]:
        return [_account(row) for row in self._db.execute("SELECT * FROM accounts ORDER BY id")]

    def account(self, account_id: int) -> Account | None:
        row = self._db.execute("SELECT * FROM accounts WHERE id = ?", (account_id,)).fetchone()
        return _account(row) if row else None

    def next_order_id(self) -> int:
        return self._next("orders", _FIRST_ORDER)

    def add_order(self, order: Order) -> None:
        """Store a new order. Raises sqlite3.IntegrityError when its tag was ever used on the account."""
        names = [field.name for field in fields(Order)]
        columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
        values = [_stored(getattr(order, name)) for name in names]
        self._db.execute(f"INSERT INTO orders ({columns}) VALUES ({marks})", values)  # noqa: S608  names are ours

    def set_order(self, order: Order) -> None:
        """Store what may change on an order."""
        self._db.execute(
            'UPDATE orders SET updated_at = ?, status = ?, size = ?, "limit" = ?, stop = ?, trail = ?, "offset" = ?,'
            " filled = ?, fill_cost = ? WHERE id = ?",
            (micros(order.updated_at), order.status, order.size, order.limit, order.stop, order.trail, order.offset,
             order.filled, order.fill_cost, order.id),
        )  # fmt: skip

    def order(self, order_id: int) -> Order | None:
        row = self._db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
        return _order(row) if row else None

    def in_flight(self) -> list[Order]:
        """Return every order of every account that has not ended, in the order of acceptance."""
        return [
            _order(row) for row in self._db.execute("SELECT * FROM orders WHERE status IN (1, 6, 7, 8) ORDER BY id")
        ]

    def legs(self, order_id: int) -> list[Order]:
        """Return the bracket legs of an order."""
        return [
            _order(row) for row in self._db.execute("SELECT * FROM orders WHERE parent_id = ? ORDER BY id", (order_id,))
        ]

    def orders(
        self,
        account_id: int,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        statuses: Collection[int] | None = None,
    ) -> list[Order]:
        """Return the orders of an account that were created in [start, end], ascending; None leaves a filter out."""
        query = "SELECT * FROM orders WHERE account_id = ? AND created_at BETWEEN ? AND ?"
        if statuses is not None:
            query += f" AND status IN ({', '.join(str(int(status)) for status in statuses)})"
        return [_order(row) for row in self._db.execute(f"{query} ORDER BY id", (account_id, *_span(start, end)))]

    def tag_used(self, account_id: int, tags: Sequence[str]) -> bool:
        marks = ", ".join("?" * len(tags))
        query = f"SELECT 1 FROM orders WHERE account_id = ? AND tag IN ({marks}) LIMIT 1"  # noqa: S608
        return self._db.execute(query, (account_id, *tags)).fetchone() is not None

    def book(self, execution: Execution, position: Position, balance: Decimal) -> None:
        """Store an execution with the position and the balance that it leaves."""
        e = execution
        self._db.execute(
            "INSERT INTO executions (id, order_id, account_id, contract_id, at, side, quantity, price, fees,"
            " commissions, profit, voided) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (e.id, e.order_id, e.account_id, e.contract_id, micros(e.at), int(e.side), e.quantity, e.price,
             f"{e.fees:f}", f"{e.commissions:f}", None if e.profit is None else f"{e.profit:f}", e.voided),
        )  # fmt: skip
        self._keep_position(position)
        self._balance(e.account_id, e.at, balance, e.id)

    def restate(self, executions: Sequence[Execution], position: Position, balance: Decimal, at: datetime) -> None:
        """Store what a voided execution leaves: the changed executions, the position, the balance."""
        for e in executions:
            self._db.execute(
                "UPDATE executions SET voided = ?, profit = ? WHERE id = ?",
                (e.voided, None if e.profit is None else f"{e.profit:f}", e.id),
            )
        self._keep_position(position)
        self._balance(position.account_id, at, balance, executions[0].id)

    def next_execution_id(self) -> int:
        return self._next("executions", _FIRST_EXECUTION)

    def execution(self, execution_id: int) -> Execution | None:
        row = self._db.execute("SELECT * FROM executions WHERE id = ?", (execution_id,)).fetchone()
        return _execution(row) if row else None

    def next_position_id(self) -> int:
        return self._next("positions", _FIRST_POSITION)

    def executions(self, account_id: int, start: datetime | None, end: datetime | None) -> list[Execution]:
        """Return the executions in [start, end], oldest first; None leaves a side open."""
        query = "SELECT * FROM executions WHERE account_id = ? AND at BETWEEN ? AND ? ORDER BY id"
        return [_execution(row) for row in self._db.execute(query, (account_id, *_span(start, end)))]

    def positions(self, account_id: int) -> list[Position]:
        """Return the open positions."""
        rows = self._db.execute(
            "SELECT * FROM positions WHERE account_id = ? AND quantity != 0 ORDER BY id", (account_id,)
        )
        return [_position(row) for row in rows]

    def position(self, account_id: int, contract_id: str) -> Position | None:
        return next((p for p in self.positions(account_id) if p.contract_id == contract_id), None)

    def end_token(self, token_id: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO ended_tokens VALUES (?)", (token_id,))

    def token_ended(self, token_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM ended_tokens WHERE id = ?", (token_id,)).fetchone() is not None

    def younger_than(self, table: str, account_id: int, age: timedelta) -> set[int]:
        """Return the ids of an account's rows that were made less than `age` of machine time ago."""
        query = (
            f"SELECT id FROM {table} WHERE account_id = ?"  # noqa: S608
            " AND machine_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)"
        )
        return {row[0] for row in self._db.execute(query, (account_id, f"-{age.total_seconds():.3f} seconds"))}

    def rows(self, table: str, *, after: int = 0) -> list[dict[str, Any]]:
        """Return a table as it is stored, ids above `after`, for checkers; times as ISO texts."""
        cursor = self._db.execute(f"SELECT * FROM {table} WHERE id > ? ORDER BY id", (after,))  # noqa: S608
        times = ("at", "created_at", "updated_at", "opened_at")
        return [{k: instant(v).isoformat() if k in times else v for k, v in dict(row).items()} for row in cursor]

    def _keep_position(self, p: Position) -> None:
        self._db.execute(
            "INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity, cost = excluded.cost",
            (p.id, p.account_id, p.contract_id, micros(p.opened_at), p.quantity, f"{p.cost:f}"),
        )

    def _balance(self, account_id: int, at: datetime, balance: Decimal, execution_id: int | None) -> None:
        self._db.execute("UPDATE accounts SET balance = ? WHERE id = ?", (f"{balance:f}", account_id))
        self._db.execute(
            "INSERT INTO balances (account_id, at, balance, execution_id) VALUES (?, ?, ?, ?)",
            (account_id, micros(at), f"{balance:f}", execution_id),
        )

    def _next(self, table: str, first: int) -> int:
        last = self._db.execute(f"SELECT max(id) FROM {table}").fetchone()[0]  # noqa: S608
        return first if last is None else last + 1


def micros(at: datetime) -> int:
    """Return an aware time as whole microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant(value: int) -> datetime:
    """Return microseconds since 1970 as an aware time."""
    return _EPOCH + timedelta(microseconds=value)


def _span(start: datetime | None, end: datetime | None) -> tuple[int, int]:
    return (micros(start) if start else -(2**62)), (micros(end) if end else 2**62)


def _stored(value: object) -> object:
    return micros(value) if isinstance(value, datetime) else value


def _account(row: sqlite3.Row) -> Account:
    return Account(row["id"], row["name"], Decimal(row["balance"]), bool(row["can_trade"]), bool(row["visible"]))


def _order(row: sqlite3.Row) -> Order:
    values = {field.name: row[field.name] for field in fields(Order)}
    values |= {
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
        "status": Status(row["status"]),
        "type": Type(row["type"]),
        "side": Side(row["side"]),
    }
    return Order(**values)


def _execution(row: sqlite3.Row) -> Execution:
    values = {field.name: row[field.name] for field in fields(Execution)}
    profit = None if row["profit"] is None else Decimal(row["profit"])
    values |= {
        "at": instant(row["at"]),
        "side": Side(row["side"]),
        "fees": Decimal(row["fees"]),
        "commissions": Decimal(row["commissions"]),
        "profit": profit,
        "voided": bool(row["voided"]),
    }
    return Execution(**values)


def _position(row: sqlite3.Row) -> Position:
    values = {field.name: row[field.name] for field in fields(Position)}
    return Position(**values | {"opened_at": instant(row["opened_at"]), "cost": Decimal(row["cost"])})
