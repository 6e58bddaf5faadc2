"""Guard's own way to a venue: its part of the request budget, short deadlines, a token that outlives PostgreSQL."""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings

from brokers.base import Broker, Lane, NotSent, PlaceOrder
from brokers.budget import GUARD, REST, LocalBudget
from brokers.projectx import client, gateway, session
from brokers.projectx.brackets import BracketSign
from tradingbot.clock import clock
from tradingbot.models import ApiMetric, Login
from tradingbot.models.accounts import Venue
from tradingbot.operations import venues
from tradingbot.operations.tallies import Tally

log = logging.getLogger(__name__)

TIMEOUTS = gateway.Timeouts(connect=1.0, read=2.0, pool=0.5, total=2.5, login=2.0)
"""Seconds. A call that takes longer has an unknown outcome and is asked for again; a hanging one costs the ladder."""


WITHOUT_ROWS = REST
"""Requests in a window while PostgreSQL is away: who shares these otherwise, finds no row to ask the venue about."""


class NeverEnters(client.ProjectX):
    """A client that has no way to send an entry: those travel in the lane of placements or carry a bracket."""

    def place(self, order: PlaceOrder, *, lane: Lane = Lane.PLACE) -> int:
        if lane is Lane.PLACE or order.bracket is not None:
            raise NotSent(f"{order.tag}: guard sends no entries")
        return super().place(order, lane=lane)


class Clients:
    """The clients of this process, two for a login: one with the token of the login's row, one that needs no row."""

    def __init__(self) -> None:
        self._without_rows: dict[int, Broker] = {}
        self._budgets: dict[int, LocalBudget] = {}
        self.tally = Tally(ApiMetric.GUARD)

    def make(self, login: Login) -> Broker:
        """Return the client of `login`; what `venues.connect` calls in this process."""
        budget = self._budgets[login.pk] = LocalBudget(GUARD, speed=clock.speed)
        sign = BracketSign(settings.PROJECTX_BRACKET_TICKS)
        way, alone = self._way(login, budget), self._way(login, LocalBudget(WITHOUT_ROWS, speed=clock.speed))
        stored = SeenTokens(login.pk, session.Login(way, login.user_name, login.api_key))
        own = session.Login(alone, login.user_name, login.api_key)
        self._without_rows[login.pk] = NeverEnters(alone, MemoryTokens(stored, own), bracket_sign=sign)
        return NeverEnters(way, stored, bracket_sign=sign)

    def _way(self, login: Login, budget: LocalBudget) -> gateway.Gateway:
        return gateway.Gateway(
            login.base_url,
            budget,
            observe=self.tally.observer(login.pk),
            plain_http=login.venue == Venue.PAPER,
            wall=time.time,  # noqa: TID251  the venue's Date header is the machine's time, also in a rehearsal
            timeouts=TIMEOUTS,
        )

    def without_rows(self, login: Login) -> Broker:
        """Return a client of `login` that never asks PostgreSQL for anything."""
        connected = venues.connect(login)
        return self._without_rows.get(login.pk, connected)

    def spent(self, login_id: int) -> int:
        """Return how many requests of a login left in the last minute."""
        budget = self._budgets.get(login_id)
        return budget.spent if budget else 0


class SeenTokens(venues.StoredTokens):
    """The token in the login's row; the last one seen can be had without the row."""

    @property
    def last(self) -> str | None:
        return self._token


class MemoryTokens:
    """The token for the time without PostgreSQL: the last one that was stored; once refused, one of an own login."""

    def __init__(self, stored: SeenTokens, login: session.Login) -> None:
        self._stored = stored
        self._login = login
        self._lock = threading.Lock()
        self._own: str | None = None
        self._refused: set[str | None] = {None}

    def get(self) -> str | None:
        return next((token for token in (self._stored.last, self._own) if token not in self._refused), None)

    def renew(self, stale: str | None) -> str:
        with self._lock:
            self._refused = {None, stale} | (self._refused & {self._stored.last, self._own})
            if token := self.get():
                return token
            log.warning("logging in without PostgreSQL")
            self._own = self._login.login()
            return self._own
