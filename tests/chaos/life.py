"""The life of a breakout pair: sent, one side filled, the other cancelled, the stop moved, flat. Faults come in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tests import checker
from tests.chaos.system import System

OPEN, FILLED = 1, 2
RESUMES_WITHIN = 60.0
"""Machine seconds from the end of an outage until what it held up is done."""
ENDED = "('filled', 'cancelled', 'expired', 'rejected', 'abandoned')"


class Life:
    """Goes on with whatever is left of the pair; every step waits for evidence at the venue and in our rows."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.ids: list[int] = []

    def begin(self, quantity: int = 3) -> None:
        """Commit the pair and publish its hints, as web does."""
        self.system.wait(self._look, "fresh figures", 90)
        self.ids = self.system.act("pair", quantity=quantity)
        for order_id in self.ids:
            self.system.act("hint", task="critical.send_order", order_id=order_id)

    def _look(self) -> bool:
        try:
            self.system.act("look")
        except RuntimeError:  # the venue may go wrong already
            return False
        return True

    def sent(self, seconds: float = 90, *, swept: bool = True) -> None:
        """Wait until each entry works, for us and at the venue, or has ended with proof.

        swept   whether beat runs, so that what a busy worker put back is sent again; else its hint is repeated
        """
        hinted: set[tuple[int, int]] = set()

        def done() -> bool:
            left = self.system.rows(
                "SELECT id, attempt, status = 'new' AND not_before <= clock_timestamp() AS due FROM tradingbot_order"
                " WHERE role = 'entry' AND status IN ('new', 'sending', 'unknown')"
            )
            for row in [] if swept else left:
                attempt = (row["id"], row["attempt"])
                if row["due"] and attempt not in hinted:
                    hinted.add(attempt)
                    self.system.act("hint", task="critical.send_order", order_id=row["id"])
            return not left

        self.system.wait(done, "the sending of the pair", seconds)

    def resumes(self, work: Callable[[float], object]) -> None:
        """Measure `work`, which waits for what an outage held up; call it at the outage's end."""
        began = time.monotonic()
        work(RESUMES_WITHIN)
        self.system.resumed = time.monotonic() - began
        assert self.system.resumed <= RESUMES_WITHIN

    def fill(self, quantity: int | None = None) -> bool:
        """Fill the buy at the venue, if it works. Returns whether anything is held now."""
        working = self.system.ledger(
            f"SELECT id FROM orders WHERE parent_id IS NULL AND tag IS NOT NULL AND status = {OPEN} AND side = 1"
        )
        if working:
            self.system.fault("fill", order_id=working[0]["id"], quantity=quantity)
        return bool(working)

    def booked(self, seconds: float = 60) -> None:
        """Wait until our fills are the venue's, a full stop works, and nothing is left of the other entry."""
        theirs = sum(row["side"] * row["quantity"] for row in self.system.ledger("SELECT * FROM executions"))
        self.system.wait(
            lambda: self.system.rows(f"SELECT 1 FROM tradingbot_position WHERE quantity = {theirs}"),
            f"the booking of {theirs}",
            seconds,
        )
        self.system.wait(lambda: not self.entries_working(), "the cancel of the other entry", seconds)

    def entries_working(self) -> list[Any]:
        """Return the venue's orders of our entries that work and have not begun to fill."""
        return self.system.ledger(
            f"SELECT id FROM orders WHERE status = {OPEN} AND filled = 0 AND tag IN ({self._tags('entry')})"
        )

    def _tags(self, role: str) -> str:
        rows = self.system.rows(f"SELECT tag FROM tradingbot_order WHERE role = '{role}'")
        return ", ".join(f"'{row['tag']}'" for row in rows)

    def moved(self, seconds: float = 60) -> None:
        """Ask for the stop to be moved and wait until the venue has it there."""
        self.system.wait(
            lambda: self.system.rows("SELECT 1 FROM tradingbot_order WHERE role = 'stop' AND status = 'working'"),
            "a working stop",
            seconds,
        )
        ticks = int(float(self.system.act("move_stop", points=1)) * 4)
        self.system.wait(
            lambda: self.system.ledger(f"SELECT 1 FROM orders WHERE status = {OPEN} AND stop = {ticks}"),
            "the stop at its new price",
            seconds,
        )

    def flat(self, seconds: float = 90) -> None:
        """Have the account flattened and wait until that is seen."""
        self.system.act("flatten")
        self.flattened(seconds)

    def flat_when_possible(self, seconds: float = 120) -> None:
        """Ask for a flatten as soon as our side takes it, unless it is flat and asked for already."""
        self.system.wait(self._asked, "a database that takes a flatten", seconds)
        self.flattened(seconds)

    def _asked(self) -> bool:
        try:
            self.system.act("flatten")
        except RuntimeError:
            return False
        return True

    def requested(self, seconds: float = 30) -> None:
        """Wait until our side has asked for a flatten by itself."""
        self.system.wait(
            lambda: self.system.rows("SELECT 1 FROM tradingbot_notification WHERE title LIKE '%flattening%'"),
            "a flatten",
            seconds,
        )

    def protected(self, seconds: float = 30) -> None:
        """Wait until the venue holds a stop of the position's size, or no position any more."""
        self.system.wait(
            lambda: (
                self.system.ledger(
                    f"SELECT 1 FROM orders WHERE status = {OPEN} AND size = 3 AND tag IN ({self._tags('stop')})"
                )
                or not self.system.ledger("SELECT 1 FROM positions WHERE quantity <> 0")
            ),
            "a stop",
            seconds,
        )

    def flattened(self, seconds: float = 90) -> None:
        self.system.wait(
            lambda: self.system.rows("SELECT 1 FROM tradingbot_account WHERE flatten_requested_at IS NULL"),
            "the end of the flatten",
            seconds,
        )

    def settled(self, seconds: float = 90) -> None:
        """Wait until no order of ours is open any more and every execution is booked: the lists may lag behind."""
        self.system.wait(
            lambda: (
                not self.system.rows(
                    f"SELECT 1 FROM tradingbot_order WHERE role <> 'external' AND status NOT IN {ENDED}"
                )
            ),
            "the end of every order",
            seconds,
        )
        self.system.wait(
            lambda: (
                self.system.one("SELECT count(*) FROM tradingbot_fill WHERE NOT voided")
                == len(self.system.ledger("SELECT 1 FROM executions WHERE NOT voided"))
            ),
            "the booking of every execution",
            seconds,
        )

    def whole(self) -> None:
        """Live it from the sending on."""
        self.sent()
        if self.fill():
            self.booked()
            self.moved()
        self.flat()
        self.settled()


def judge(system: System, name: str, *, flat: bool = True) -> checker.Figures:
    """Hold the run against the invariants, keep its figures, and return them."""
    facts = system.facts()
    figures = checker.measure(facts)
    violations = checker.check(facts)
    measured = {"cpu": system.cpu(), "seconds": time.monotonic() - system.began, "resumed": system.resumed}
    with (system.machine.var / "report.jsonl").open("a") as report:
        report.write(json.dumps({"scenario": name, "violations": violations, **asdict(figures), **measured}) + "\n")
    assert violations == []
    assert (figures.doubles, figures.lost, figures.flat) == (0, 0, flat), figures
    return figures
