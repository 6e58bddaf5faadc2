"""Sessions through the live operations at the simulated venue, under a clock that stands in between.

The venue walks each minute as one bar, so both sides read bars by `market.matching.step`. The clock stops at the closes
at which something can happen: where the plan of all bars asks for something, where an order or a profit that is managed
is reached, where an entry or a position ends by time. A row of the live plan that the plan of all bars did not have
would be seen at the next stop, late, and leave a MISSED decision: `late` finds it. The machine's clock, which tells how
long ago a close was sent, is moved on with the market's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from django.db.models import F

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.broker import SimulatedBroker
from brokers.simulated.engine import Venue
from brokers.simulated.ledger import Ledger
from brokers.simulated.products import Listing
from market.bars import Bars, Int, epoch, join, moment
from market.calendar import generate
from market.orders import LIVE
from market.plans import Management, Partial, frames
from market.sessions import Session, flat_by
from strategies import STRATEGIES
from tradingbot.models import (
    Account,
    Contract,
    Decision,
    Fill,
    Login,
    Order,
    Outcome,
    Position,
    SessionStep,
    Strategy,
)
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


class Life:
    """An account that trades one strategy through the sessions dated `first` to `last`."""

    def __init__(self, kind: str, values: dict[str, object], *, first: date, last: date, seed: int) -> None:
        known = generate(first - timedelta(days=60), last)
        self.market = MadeMarket(known, seed=seed)
        self.traded = [session for session in known if session.trade_date >= first]
        self.before = known[-len(self.traded) - 35 : -len(self.traded)]
        self.now = self.traded[0].opens_at - timedelta(minutes=20)
        self.venue = Venue(Ledger(":memory:"), self.market, Behaviour(segments=1, slippage=1))
        self.venue.listener = self._hear
        login = Login.objects.create(
            name="paper", venue="paper", base_url="http://127.0.0.1:1", user_name="demo", api_key="demo"
        )
        self.venue.open_account("150KTC-V2-1-1", Decimal(150_000), self.now)
        venues.use(login, SimulatedBroker(self.venue, lambda: self.now))
        calendar.ensure_calendar(now=self.now)
        contracts.refresh(login, now=self.now)
        (self.account,) = accounts.discover(login, now=self.now)
        self.contract = Contract.objects.get(symbol="MNQ", active=True)
        for session in self.before:
            self._record(session, self.market.of(session), session.closes_at)
        self.strategy = Strategy.objects.create(
            name=kind, kind=kind, account=self.account, symbol="MNQ", enabled=True, parameters=values
        )
        self._heard = True

    def run(self) -> None:
        """Live through every session."""
        self._asks = self._closes_that_ask()
        for session in self.traded:
            self.now = session.opens_at + MINUTE
            trading.end_locks(now=self.now)
            self._work()
            end = flat_by(session)
            while self.now < end and (at := self._next(session, end)) is not None:
                self._to(at, session)
            self._record(session, self.market.of(session), session.closes_at)
            for minutes in (1, 16):
                self.now = end + minutes * MINUTE
                self._work()

    def late(self) -> list[str]:
        """Return what was seen too late, or not at all."""
        said = Decision.objects.filter(outcome__in=(Outcome.MISSED, Outcome.FAILED)).values_list("sentence", flat=True)
        return list(said)

    def _closes_that_ask(self) -> Int:
        kind, params = STRATEGIES[self.strategy.kind], self.strategy.typed_parameters()
        sessions = [*self.before, *self.traded]
        seen = frames(join([self.market.of(one) for one in sessions]), sessions, kind.timeframes(params))
        plan = kind.plan(seen, params, self.contract.spec)
        rows = (plan.long.kind > 0) | (plan.short.kind > 0) | plan.exit_long | plan.exit_short
        return seen.base.opened_at[rows] + 60

    def _next(self, session: Session, end: datetime) -> datetime | None:
        """Return the next close at which something can happen, `end` for an account that is not flat; None for none."""
        asking = self._asks[(self._asks > epoch(self.now)) & (self._asks < epoch(end))]
        ahead = [moment(asking[0])] if len(asking) else []
        steps = SessionStep.objects.filter(state="pending", due_at__gt=self.now, due_at__lt=end)
        ahead += [at for at in [steps.order_by("due_at").values_list("due_at", flat=True).first()] if at]
        rows = list(Order.objects.filter(account=self.account, session_date=session.trade_date).order_by("pk"))
        live = [order for order in rows if order.status in LIVE]
        held = Position.objects.filter(account=self.account).exclude(quantity=0).exists()
        if not live and not held:
            return min(ahead, default=None)
        ahead += [order.expires_at for order in live if order.role == "entry" and order.expires_at] + [end]
        until = min(ahead)
        entries = [order for order in rows if held and order.role == "entry" and order.average_price is not None]
        reached = self._reached(self._bars(session, self.now, until), live, entries)
        for entry in entries:
            since = self._filled_at(entry)
            if entry.trail_ticks:
                reached |= self._new_best(session, entry, since, until)
            if entry.hold:
                ahead += [at for at in (since + entry.hold, since + entry.hold + MINUTE) if at > self.now]
        found = np.flatnonzero(reached)
        ahead += [self.now + (int(found[0]) + 1) * MINUTE] if len(found) else []
        return min(ahead)

    def _reached(self, coming: Bars, live: list[Order], entries: list[Order]) -> npt.NDArray[np.bool_]:
        """Return the minutes that reach the price of an order or a profit at which a position is managed."""
        spec = self.contract.spec
        levels = [spec.ticks(order.price) for order in live if order.price is not None]
        for entry in entries:
            parts = [Partial(Decimal(r), Decimal(share)) for r, share in entry.partials]
            goals = [entry.breakeven_ticks or 0, *Management(partials=tuple(parts)).partial_at(entry.stop_ticks or 0)]
            levels += [spec.ticks(entry.average_price or Decimal(0)) + entry.side * goal for goal in goals]
        reached = np.zeros(len(coming), np.bool_)
        for level in levels:
            reached |= (coming.low <= level) & (level <= coming.high)
        return reached

    def _new_best(self, session: Session, entry: Order, since: datetime, until: datetime) -> npt.NDArray[np.bool_]:
        """Return the minutes from now on that go beyond the best price since the entry's fill."""
        bars = self._bars(session, since, until)
        prices = (bars.high if entry.side > 0 else -bars.low).copy()
        prices[:1] = bars.close[:1] * entry.side
        best = np.concatenate(([np.iinfo(np.int64).min], np.maximum.accumulate(prices)[:-1]))
        return (prices > best)[bars.opened_at >= epoch(self.now)]

    def _filled_at(self, entry: Order) -> datetime:
        """Return when the minute opened in which the entry filled."""
        at = Fill.objects.filter(order=entry).order_by("at").values_list("at", flat=True)[0]
        return at.replace(second=0, microsecond=0)

    def _bars(self, session: Session, since: datetime, until: datetime) -> Bars:
        return self.market.of(session).between(since, until)

    def _to(self, at: datetime, session: Session) -> None:
        """Let the market go on to `at`, then do what workers and guard do at a bar's close."""
        passed, self.now = at - self.now, at
        Position.objects.filter(close_sent_at__isnull=False).update(close_sent_at=F("close_sent_at") - passed)
        self.venue.advance(at)
        self._settle()
        self._record(session, self._bars(session, max(self._recorded, session.opens_at), at), at)
        if SessionStep.objects.filter(state="pending", due_at__lte=at).exists():
            self._work()
        if epoch(at) in self._asks:
            accounts.refresh(self.account_row, now=at)  # as every minute
        decisions.evaluate(self.contract, now=at)
        if Order.objects.filter(status__in=LIVE, role="entry", expires_at__lte=at).exists():
            orders.sweep(now=at)
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
            Account.objects.update(flat_seen_at=F("flat_seen_at") - _BETWEEN_READS)
        raise AssertionError("the account does not get flat")

    def _settle(self) -> None:
        """Let fills be booked, pairs cancelled and stops checked, as long as the venue tells of something."""
        while self._heard:
            self._heard = False
            reconciliation.reconcile(self.account, now=self.now, max_age=0)
            protection.check(self.account, now=self.now, max_age=0)
        if self.account_row.flatten_requested_at:
            self._work()

    def _hear(self, events: object) -> None:
        self._heard = True

    def _record(self, session: Session, bars: Bars, until: datetime) -> None:
        record_in(self.contract, session, bars, source="stream", covered_until=until, now=max(self.now, until + MINUTE))
        self._recorded = until

    @property
    def account_row(self) -> Account:
        self.account.refresh_from_db()
        return self.account
