"""A month through the live operations at the simulated venue, minute by minute under a clock that stands in between.

The venue walks each minute as one bar, so both sides read bars by `market.matching.step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db.models import F

from brokers.base import FillReport, Lane
from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import Listing
from brokers.simulated.records import Type
from market.bars import Bars, epoch, moment
from market.calendar import generate
from market.orders import LIVE
from market.sessions import Session, flat_by
from tradingbot.models import Account, Contract, Login, Order, Position, SessionStep, Strategy
from tradingbot.operations import (
    accounts,
    calendar,
    contracts,
    decisions,
    orders,
    protection,
    reconciliation,
    sessions,
    trading,
    venues,
)
from tradingbot.operations.bars.storing import record_in

MINUTE = timedelta(minutes=1)
_BETWEEN_READS = timedelta(seconds=3)


class MadeMarket:
    """Minutes of a random walk, quiet over night and lively by day; each opens where the one before closed."""

    def __init__(self, known: Sequence[Session], *, seed: int, price: int = 84_000) -> None:
        random = np.random.default_rng(seed)
        self._days: dict[date, Bars] = {}
        for session in known:
            at = np.arange(epoch(session.opens_at), epoch(session.closes_at), 60, np.int64)
            lively = random.choice([6.0, 14.0, 30.0])
            wide = np.where(at >= epoch(session.rth_opens_at), lively, 4.0)
            close = price + np.cumsum(np.round(random.normal(0, wide)).astype(np.int64))
            opened = np.concatenate(([price], close[:-1]))
            above, below = (random.poisson(wide / 2) for _ in range(2))
            high, low = np.maximum(opened, close) + above, np.minimum(opened, close) - below
            self._days[session.trade_date] = Bars(at, opened, high, low, close, np.full(len(at), 100, np.int64))
            price = int(close[-1])

    def spread(self, day: date, at: datetime, ticks: int) -> None:
        """Let the minute that opens then reach `ticks` beyond both its ends: both sides of a pair at once."""
        bars = self._days[day]
        row = int(np.searchsorted(bars.opened_at, epoch(at)))
        bars.high[row] += ticks
        bars.low[row] -= ticks

    def calm(self, day: date, at: datetime) -> None:
        """Let the price stand still from the minute that opens then."""
        bars = self._days[day]
        row = int(np.searchsorted(bars.opened_at, epoch(at)))
        for column in bars.columns[1:5]:
            column[row:] = bars.close[row - 1]

    def minutes(self, listing: Listing, session: Session) -> Bars:
        return self._days.get(session.trade_date, Bars.empty())

    def of(self, session: Session) -> Bars:
        return self._days[session.trade_date]


class PunctualBroker(SimulatedBroker):
    """Stamps what a minute filled inside of that minute, as an exchange does; the replay stamps its end."""

    def fills(
        self, account_id: int, start: datetime, end: datetime, *, lane: Lane = Lane.RECONCILE
    ) -> list[FillReport]:
        return [self._inside(report) for report in super().fills(account_id, start, end, lane=lane)]

    def _inside(self, report: FillReport) -> FillReport:
        order = self._venue.ledger.order(report.order_id)
        at_once = order is not None and order.type is Type.MARKET
        return report if at_once else replace(report, at=report.at - timedelta(microseconds=1))


class LiveMonth:
    """An account that trades one strategy through the sessions dated `first` to `last`."""

    def __init__(self, kind: str, values: dict[str, object], *, first: date, last: date, seed: int) -> None:
        known = generate(first - timedelta(days=60), last)
        self.market = MadeMarket(known, seed=seed)
        self.traded = [session for session in known if session.trade_date >= first]
        self.now = self.traded[0].opens_at - timedelta(minutes=20)
        self.venue = Venue(Ledger(":memory:"), self.market, Behaviour(segments=1, slippage=1))
        login = Login.objects.create(
            name="paper", venue="paper", base_url="http://127.0.0.1:1", user_name="demo", api_key="demo"
        )
        self.venue.open_account("150KTC-V2-1-1", Decimal(150_000), self.now)
        venues.use(login, PunctualBroker(self.venue, lambda: self.now))
        calendar.ensure_calendar(now=self.now)
        contracts.refresh(login, now=self.now)
        (self.account,) = accounts.discover(login, now=self.now)
        self.contract = Contract.objects.get(symbol="MNQ", active=True)
        for session in known[-len(self.traded) - 35 : -len(self.traded)]:
            self._record(session, self.market.of(session), session.closes_at)
        self.strategy = Strategy.objects.create(
            name=kind, kind=kind, account=self.account, symbol="MNQ", enabled=True, parameters=values
        )

    def run(self) -> None:
        """Live through every session."""
        for session in self.traded:
            self._morning(session)
            end = flat_by(session)
            while self.now < end and self._exposed():
                self._to(self._next(session, end), session)
            if self._exposed():
                self._to(end, session)
            self._close(session)

    def _morning(self, session: Session) -> None:
        """Prepare the session, then stand at 09:30 with every bar until then."""
        self.now = session.opens_at + MINUTE
        trading.end_locks(now=self.now)
        self._work()
        self._to(session.rth_opens_at, session)

    def _to(self, at: datetime, session: Session) -> None:
        """Let the market go on to `at`, then do what workers and guard do at a bar's close."""
        self.now = at
        self._settle()
        self._record(session, self.market.of(session).between(session.opens_at, at), at)
        if self._steps_due():
            self._work()
        if decisions.evaluate(self.contract, now=at):
            self._settle()

    def _work(self) -> None:
        self.account.refresh_from_db()
        sessions.plan(self.account, now=self.now)
        accounts.refresh(self.account, now=self.now)
        reconciliation.reconcile(self.account, now=self.now, max_age=0)
        sessions.due(now=self.now)
        for _ in range(10):
            if orders.flatten_due(self.account, now=self.now):
                return
            Account.objects.update(flat_seen_at=F("flat_seen_at") - _BETWEEN_READS)  # the machine's clock goes on too
        raise AssertionError("the account does not get flat")

    def _settle(self) -> None:
        """Let fills be booked, pairs cancelled and stops checked, until nothing changes any more."""
        while reconciliation.reconcile(self.account, now=self.now, max_age=0):
            protection.check(self.account, now=self.now, max_age=0)
        if self.account_row.flatten_requested_at:
            self._work()

    def _steps_due(self) -> bool:
        return SessionStep.objects.filter(state="pending", due_at__lte=self.now).exists()

    def _close(self, session: Session) -> None:
        """Record the rest of the day and let the session's last steps run."""
        self._record(session, self.market.of(session), session.closes_at)
        for minutes in (1, 16):
            self.now = flat_by(session) + minutes * MINUTE
            self._work()

    def _exposed(self) -> bool:
        live = Order.objects.live().filter(account=self.account).exists()
        return live or Position.objects.filter(account=self.account).exclude(quantity=0).exists()

    def _next(self, session: Session, end: datetime) -> datetime:
        """Return the end of the next minute in which anything may happen: an order reached or ended, a stop to move."""
        spec = self.contract.spec
        rows = list(Order.objects.filter(account=self.account, session_date=session.trade_date))
        live = [order for order in rows if order.status in LIVE]
        levels = [spec.ticks(order.price) for order in live if order.price is not None]
        levels += [
            spec.ticks(order.average_price) + order.side * (order.breakeven_ticks or 0)
            for order in rows
            if order.role == "entry" and order.average_price is not None
        ]
        ends = min([order.expires_at for order in live if order.role == "entry" and order.expires_at] + [end])
        coming = self.market.of(session).between(self.now, ends)
        reached = np.zeros(len(coming), np.bool_)
        for level in levels:
            reached |= (coming.low <= level) & (level <= coming.high)
        found = np.flatnonzero(reached)
        return moment(coming.opened_at[found[0]]) + MINUTE if len(found) else ends

    def _record(self, session: Session, bars: Bars, until: datetime) -> None:
        record_in(self.contract, session, bars, source="stream", covered_until=until, now=max(self.now, until + MINUTE))

    @property
    def account_row(self) -> Account:
        self.account.refresh_from_db()
        return self.account
