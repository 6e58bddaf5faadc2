"""The venue itself: takes orders, walks the market over them, and answers what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from brokers.simulated import wire
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.clearing import Clearing
from brokers.simulated.codes import Closing, PartlyClosing, Reading, Refusal
from brokers.simulated.desk import Desk
from brokers.simulated.events import EventSwitches
from brokers.simulated.faults import Faults
from brokers.simulated.faults_events import Event, Happenings
from brokers.simulated.history import History
from brokers.simulated.ledger import Ledger, instant, micros
from brokers.simulated.market import Market
from brokers.simulated.products import Listing, listing
from brokers.simulated.records import Account
from brokers.simulated.switches import Switchboard
from brokers.simulated.tickets import Body, Close, Modify, OneOrder, PartialClose, Place
from brokers.simulated.timers import Timers
from brokers.simulated.walk import Walk

T = TypeVar("T", bound=Body)


class Venue:
    """One venue over one ledger. Every method takes the market time; a time before the last one counts as the last one.

    A mutation is committed before it returns, refused ones too. Methods raise `Refusal`. Safe for several threads.
    """

    def __init__(
        self,
        ledger: Ledger,
        market: Market,
        behaviour: Behaviour | None = None,
        event_switches: EventSwitches | None = None,
    ) -> None:
        self.ledger = ledger
        self.behaviour = behaviour = behaviour or Behaviour()
        self.market = market
        self.event_switches = event_switches or EventSwitches()
        self.switches = Switchboard(self.behaviour, self.event_switches)
        self.listener: Callable[[list[tuple[str, dict[str, Any]]]], None] | None = None
        """Told of the events of each commit, in whichever thread it happened."""
        self.history = History(market)
        self._clearing = Clearing(ledger)
        self.faults = Faults()
        self._timers = Timers()
        self._desk = Desk(ledger, self._clearing, market, behaviour, self.faults, self._timers)
        self._happenings = Happenings(ledger, self._clearing, market, self._desk.place)
        self._walk = Walk(ledger, self._clearing, market, behaviour)
        self._lock = threading.RLock()
        self._reads: list[tuple[str, datetime, int]] = []
        walked_to = ledger.note("walked_to")
        self._walked_to = instant(int(walked_to)) if walked_to else None

    @property
    def walked_to(self) -> datetime | None:
        """Return the market time up to which the ledger stands, None for a new one."""
        return self._walked_to

    def open_account(self, name: str, balance: Decimal, at: datetime) -> Account:
        """Open an account, or return the one of that name."""
        with self._committed():
            known = {account.name: account for account in self.ledger.accounts()}
            return known.get(name) or self.ledger.add_account(name, balance, at)

    def set_account(self, account_id: int, at: datetime, *, can_trade: bool) -> None:
        """Let an account trade or lock it. Raises Refusal for an unknown one."""
        with self._committed():
            self._clearing.account(replace(self.account(account_id), can_trade=can_trade), at)

    def happen(self, event: Event, at: datetime) -> None:
        """Let something happen that no client asked for. Raises ValueError for what cannot."""
        with self._committed():
            at = max(at, self._walked_to or at)
            self._go(at)
            self._happenings.let(event, at)
            self.ledger.record("fault", type(event).__name__, at, wire.encode(event).decode())
            self.ledger.keep("walked_to", str(micros(at)))

    def advance(self, now: datetime) -> None:
        """Let the market run up to the last whole piece of a minute before `now`, or what else is due by then."""
        with self._lock:
            whole, due_at = self._walk.last_boundary(now), self._timers.next()
            if due_at is not None and due_at <= now:
                whole = max(whole, due_at)
            if self._walked_to is None:
                self._walked_to = now
            elif whole > self._walked_to:
                with self._committed():
                    self._go(whole)

    @contextmanager
    def looking(self, now: datetime) -> Iterator[datetime]:
        """Hold the venue still at `now` and yield its time, for reads that belong together."""
        with self._lock:
            self.advance(now)
            yield max(now, self._walked_to or now)

    def note_read(self, path: str, at: datetime, status: int) -> None:
        """Remember a request that changed nothing for the journal; it is written with the next commit or `flush`."""
        self._reads.append((path.removeprefix("/api/"), at, status))

    def flush(self) -> None:
        """Write what `note_read` remembers."""
        if self._reads:
            with self._committed():
                pass

    def shut(self) -> None:
        """Write what is left and close the ledger."""
        self.flush()
        self.ledger.close()

    def account(self, account_id: int) -> Account:
        found = self.ledger.account(account_id)
        if found is None:
            raise Refusal(Reading.NOT_FOUND, f"Account {account_id} not found.")
        return found

    def listing(self, contract_id: str) -> Listing:
        found = listing(contract_id)
        if found is None:
            raise Refusal(Reading.NOT_FOUND, f"Contract {contract_id} not found.")
        return found

    def place(self, ticket: Place, at: datetime) -> int:
        """Return the id of the order that was taken."""
        order_id = self._settle("Order/place", ticket, at, self._desk.place)
        if order_id is None:
            raise ValueError("an accepted order has an id")
        return order_id

    def modify(self, ticket: Modify, at: datetime) -> None:
        self._settle("Order/modify", ticket, at, self._desk.modify)

    def cancel(self, ticket: OneOrder, at: datetime) -> None:
        self._settle("Order/cancel", ticket, at, self._desk.cancel)

    def close(self, ticket: Close, at: datetime) -> None:
        self._settle("Position/closeContract", ticket, at, lambda t, at: self._desk.close(t, at, None, Closing))

    def close_part(self, ticket: PartialClose, at: datetime) -> None:
        self._settle(
            "Position/partialCloseContract", ticket, at, lambda t, at: self._desk.close(t, at, t.size, PartlyClosing)
        )

    def _settle(
        self, name: str, ticket: T, at: datetime, act: Callable[[T, datetime], int | Refusal | None]
    ) -> int | None:
        """Walk to the request's time, act, write both into the journal, commit; then say what came out."""
        with self._committed():
            at = max(at, self._walked_to or at)
            self._go(at)
            outcome = act(ticket, at)
            if isinstance(outcome, Refusal):
                reply: dict[str, Any] = {"errorCode": outcome.code, "errorMessage": outcome.message}
            else:
                reply = {"orderId": outcome}
            self.ledger.record("request", name, at, wire.encode({"request": ticket, "reply": reply}).decode())
            self.ledger.keep("walked_to", str(micros(at)))
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def _go(self, to: datetime) -> None:
        """Let the market act on the orders up to `to`, and do on the way what was to be done later."""
        for due_at, act in self._timers.until(to):
            at = max(due_at, self._walked_to or due_at)
            self._run(at)
            act(at)
        self._run(to)

    def _run(self, to: datetime) -> None:
        start, self._walked_to = self._walked_to or to, to
        if self._walk.run(start, to):
            self.ledger.keep("walked_to", str(micros(to)))

    @contextmanager
    def _committed(self) -> Iterator[None]:
        """One transaction; what fails inside leaves the venue as it was."""
        with self._lock:
            walked_to, waiting = self._walked_to, self._timers.waiting()
            reads, self._reads = self._reads, []
            try:
                with self.ledger.transaction():
                    for path, at, status in reads:
                        self.ledger.record("read", path, at, f'{{"status":{status}}}')
                    yield
            except BaseException:
                self._walked_to, self._reads = walked_to, reads + self._reads
                self._timers.put_back(waiting)
                self._clearing.events.clear()
                raise
            events = self._clearing.events.copy()
            self._clearing.events.clear()
            if events and self.listener is not None:
                self.listener(events)
