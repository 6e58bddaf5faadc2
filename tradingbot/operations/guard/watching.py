"""One account with PostgreSQL: what guard reads of it, how often, and what it sets right."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import Q

from brokers.base import Lane, OrderReport, PositionReport
from market.orders import LIVE, OrderStatus, Role
from market.sessions import flat_by
from tradingbot.clock import now, period
from tradingbot.models import Account, Order, Position
from tradingbot.operations import calendar, closes, orders, protection, reconciliation, snapshots, venues
from tradingbot.operations.guard.remembering import KnownOrder, Plan

log = logging.getLogger(__name__)

EXPOSED, IDLE, FLATTENING = 2.0, 5.0, 3.0
"""Market seconds between two looks at the venue."""
GLANCE, SHORTEST_GLANCE = 1.0, 0.25
"""Market seconds between two looks into our own rows while nothing is exposed: an entry is seen when it is sent. A fast
clock does not make them shorter than so many seconds of the machine."""
FRESH = 2.0
"""Machine seconds for which what was just read, by whomever, is worked with."""
LADDER = 1.0
"""Machine seconds between two looks while a position lacks its stop."""
AGREE_AGAIN = 30.0
"""Market seconds after which all is read and compared though nothing seems to have changed."""
FIRST_LOOKS, FIRST_EVERY, LATER_EVERY = 5, 2.0, 6.0
"""An order of unknown outcome is looked up five times every two seconds, then every six: machine seconds."""
SESSIONS_AHEAD = 3

_Shown = frozenset[tuple[object, ...]]


@dataclass(slots=True)
class Picture:
    """What the venue shows of an account, without what does not matter here; None where it was not read yet."""

    orders: _Shown | None = None
    positions: _Shown | None = None


class Watch:
    """The rounds of one account. `stretch` says by how much its looks must lie further apart to stay in the budget."""

    def __init__(self, account_id: int, stretch: Callable[[], float] = lambda: 1.0) -> None:
        self.account_id = account_id
        self.exposed = False
        self.plan: Plan | None = None
        self._stretch = stretch
        self._picture = Picture()
        self._orders_next = False
        self._agreed_at = self._looked_at = float("-inf")
        self._looks = 0
        self._looked_up_at = float("-inf")

    def forget(self) -> None:
        """Take nothing for known any more: the next round reads everything before it acts."""
        self._picture = Picture()
        self._agreed_at = self._looked_at = float("-inf")

    def round(self) -> float:
        """Look once and set right what is wrong; returns the machine seconds until the next round.

        Raises BrokerError when the venue does not answer, django.db.Error when PostgreSQL does not.
        """
        account = Account.objects.select_related("login").get(pk=self.account_id)
        idle = not self.exposed and not _exposed(account)
        if idle and time.monotonic() - self._looked_at < period(IDLE) * self._stretch():
            return max(SHORTEST_GLANCE, period(GLANCE))
        self._looked_at = time.monotonic()
        moment = now()
        self.plan = learn(account, now=moment)
        orders.finish(account, now=moment)
        if not orders.flatten_due(account, now=moment):
            self.exposed = True
            self.forget()
            return period(FLATTENING)
        if _without_stop(account):
            return self._climb(account, moment)
        self._look_up_unknown(account, moment)
        agrees = time.monotonic() - self._agreed_at < period(AGREE_AGAIN) * self._stretch()
        if not agrees or self._changed(account):
            self._agree(account, moment, Lane.RECONCILE)
            self._agreed_at = time.monotonic()
            self._check(account, moment, max_age=FRESH)
        orders.end_ghosts(account, now=moment)
        self.exposed = _exposed(account)
        if _without_stop(account):
            return self._until_next_step(account, checked_at=self._looked_at)
        return period(EXPOSED) * self._stretch() if self.exposed else max(SHORTEST_GLANCE, period(GLANCE))

    def _climb(self, account: Account, moment: datetime) -> float:
        """Ask each second whether the stop is there, by one read; take the ladder's steps when they are due."""
        checked_at = time.monotonic()
        if protection.next_step(account, now=moment) > 0:
            broker = venues.connect(account.login)
            shown = _orders(broker.orders_in_flight(account.broker_account_id, lane=Lane.STOP))
            if shown == self._picture.orders:
                return self._until_next_step(account, checked_at=checked_at)
        checked_at = time.monotonic()
        self._check(account, moment, max_age=0.0)
        self._agree(account, moment, Lane.STOP)
        self.exposed = True
        if _without_stop(account):
            return self._until_next_step(account, checked_at=checked_at)
        return period(EXPOSED)

    def _until_next_step(self, account: Account, *, checked_at: float) -> float:
        """Return the seconds from this round's start until the ladder's next step, LADDER at most.

        What became due since the check began, a step or the end of a claim to close, is done at once.
        """
        since = time.monotonic() - checked_at
        left = min(protection.next_step(account, now=now(), since=since), closes.seconds_left(account, since=since))
        return min(LADDER, time.monotonic() - self._looked_at + left)

    def _look_up_unknown(self, account: Account, moment: datetime) -> None:
        """Resolve orders of unknown outcome: often at first; to give one up takes five reads over 30 s."""
        if not Order.objects.filter(account=account, status=OrderStatus.UNKNOWN).exists():
            self._looks = 0
            return
        wait = FIRST_EVERY if self._looks < FIRST_LOOKS else LATER_EVERY
        if time.monotonic() - self._looked_up_at < period(wait) * 0.9:
            return
        self._looked_up_at, self._looks = time.monotonic(), self._looks + 1
        if orders.resolve(account, now=moment):
            self.forget()

    def _changed(self, account: Account) -> bool:
        """Return whether the venue shows something else than before: by others' readings, else by one read of ours."""
        before = self._picture
        if before.orders is None or before.positions is None:
            snapshots.read(account, max_age=0.0, now=now(), lane=Lane.STOP)
            return True
        if stored := snapshots.newest(account, max_age=period(EXPOSED)):
            shown = Picture(_orders(stored.orders), _positions(stored.positions))
        elif self._orders_next:
            broker = venues.connect(account.login)
            shown = Picture(_orders(broker.orders_in_flight(account.broker_account_id)), before.positions)
            self._orders_next = False
        else:
            broker = venues.connect(account.login)
            shown = Picture(before.orders, _positions(broker.positions(account.broker_account_id)))
            self._orders_next = True
        if shown == before:
            return False
        snapshots.read(account, max_age=0.0, now=now(), lane=Lane.STOP)
        return True

    def _agree(self, account: Account, moment: datetime, lane: Lane) -> None:
        """Book and compare; stops are looked after without the executions, too."""
        with suppress(snapshots.ExecutionsUnread):
            reconciliation.reconcile(account, now=moment, max_age=FRESH, lane=lane)
        self._see(account)

    def _see(self, account: Account) -> None:
        stored = snapshots.newest(account)
        if stored is not None:
            self._picture = Picture(_orders(stored.orders), _positions(stored.positions))

    def _check(self, account: Account, moment: datetime, *, max_age: float) -> None:
        for done in protection.check(account, now=moment, max_age=max_age):
            log.warning("%s: %s", account, done)


def learn(account: Account, *, now: datetime) -> Plan:
    """Return what must hold for `account` even if PostgreSQL goes away now."""
    live = list(Order.objects.filter(account=account, status__in=LIVE).select_related("contract"))
    held = Position.objects.filter(account=account).exclude(quantity=0, broker_quantity=0).select_related("contract")
    sessions = calendar.recent(now, 1) + calendar.upcoming(now, SESSIONS_AHEAD)
    by_date = {session.trade_date: session for session in sessions}
    opening = sorted(by_date.values(), key=lambda session: session.opens_at)
    return Plan(
        account_id=account.pk,
        broker_account_id=account.broker_account_id,
        name=account.name,
        login=account.login,
        flat=tuple((flat_by(session), after.opens_at) for session, after in pairwise(opening)),
        flatten=account.flatten_requested_at is not None,
        orders={
            order.broker_order_id: KnownOrder(
                order.contract.broker_contract_id, Role(order.role), order.oco_group, order.expires_at
            )
            for order in live
            if order.broker_order_id is not None
        },
        contracts=frozenset(
            [o.contract.broker_contract_id for o in live if o.role == Role.ENTRY and o.status != OrderStatus.NEW]
            + [p.contract.broker_contract_id for p in held if orders.opened_by(p, now=now) is not None]
        ),
    )


def _exposed(account: Account) -> bool:
    """Return whether a position is open, or an order may open one any moment."""
    in_doubt = Q(role=Role.ENTRY, status__in=LIVE - {OrderStatus.NEW}) | Q(status=OrderStatus.UNKNOWN)
    return (
        Order.objects.filter(in_doubt, account=account).exists()
        or Position.objects.filter(account=account).exclude(quantity=0, broker_quantity=0).exists()
    )


def _without_stop(account: Account) -> bool:
    return Position.objects.filter(account=account, unprotected_since__isnull=False).exists()


def _orders(reports: list[OrderReport]) -> _Shown:
    return frozenset((o.id, o.status, o.quantity, o.filled, o.stop_price, o.limit_price) for o in reports)


def _positions(reports: list[PositionReport]) -> _Shown:
    return frozenset((p.contract_id, p.quantity) for p in reports if p.quantity)
