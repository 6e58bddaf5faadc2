"""From an empty database to a system that can trade: `prepare` without the network, `connect` with the venue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from market.sessions import trade_date_of
from tradingbot.models import Account, Contract, Login, Strategy
from tradingbot.models.accounts import Venue
from tradingbot.operations import (
    accounts,
    bars,
    contracts,
    leases,
    places,
    reconciliation,
    rulebooks,
    rules,
    sessions,
    skew,
    strategies,
)

log = logging.getLogger(__name__)

ADMIN = settings.ADMIN_NAME
SESSIONS = 150  # of bars: what the daily averages of the strategies look back on
_CONNECTING = 120.0  # machine seconds: the time limit of the task
_LOOK = 0.5


def prepare(*, now: datetime) -> list[str]:
    """Make what a start needs and nobody types in: admin, login, rules, calendar. Returns what was made, in sentences.

    Changes nothing that is there and right. Raises ImproperlyConfigured, naming the variable, for what cannot work.
    """
    strategies.read_environment()
    wanted = _login()
    places.check(wanted)
    with transaction.atomic():
        made = _make_admin() + _store_login(wanted)
        Account.objects.update(reconciled_at=None)  # no entry before this start has compared itself with the venue
        strategies.sync(now=now)  # what the environment pins holds from the start on
    made += rulebooks.load(now=now)
    rules.apply_all(on=trade_date_of(now), now=now)
    rows = sessions.ensure_calendar(now=now)
    return [*made, f"calendar: {rows} sessions written"] if rows else made


def connect(*, now: datetime, progress: Callable[[str], None] = log.info) -> None:
    """Read from the venue what trading needs: accounts, contracts, strategies, plan, bars, first reconciliation.

    Can be repeated; what is there is only brought up to date. Raises ReadFailed, NotSent or LoginFailed.
    """
    for login in Login.objects.filter(enabled=True):
        found = accounts.discover(login, now=now)
        contracts.refresh(login, now=now)
        progress(f"{login}: {len(found)} accounts")
    for strategy in strategies.sync(now=now):
        progress(f"{strategy}: {'on' if strategy.enabled else 'off'}, {strategy.symbol} on {strategy.account}")
    for account in Account.objects.filter(enabled=True, login__enabled=True).select_related("login"):
        accounts.refresh(account, now=now)
        skew.check(account.login, now=now)
        differences = reconciliation.reconcile(account, now=now)
        sessions.plan(account, now=now)
        progress(f"{account}: {'; '.join(differences) or 'in agreement with the venue'}")
    for contract in sessions.contracts_in_use(now=now):
        new = bars.backfill(contract, sessions=SESSIONS, now=now, progress=partial(_tell, progress, str(contract)))
        progress(f"{contract}: {new} new bars")


def connect_once(*, now: datetime) -> bool:
    """Connect if something that trading needs was never read and no other process is at it. Returns whether it did."""
    if is_connected():
        return False
    with leases.hold("connect", seconds=_CONNECTING) as fence:
        if fence is None:
            return False
        connect(now=now)
    return True


def connect_at_start(*, now: Callable[[], datetime], progress: Callable[[str], None]) -> None:
    """Connect before anything may trade; a worker that is at it already goes first. Raises as `connect`."""
    while True:
        with leases.hold("connect", seconds=_CONNECTING) as fence:
            if fence is not None:
                return connect(now=now(), progress=progress)
        time.sleep(_LOOK)


def is_connected() -> bool:
    """Return whether `connect` has done its part: accounts, contracts and strategies are known and reconciled once."""
    logins = Login.objects.filter(enabled=True)
    watched = Account.objects.filter(enabled=True, login__enabled=True)
    return (
        not logins.filter(accounts__isnull=True).exists()
        and not watched.filter(reconciled_at__isnull=True).exists()
        and Strategy.objects.exists()
        and Contract.objects.filter(venue__in=logins.values("venue")).exists()
    )


def _tell(progress: Callable[[str], None], contract: str, done: int, of: int) -> None:
    progress(f"{contract}: bars of {done} of {of} sessions are there")


def _login() -> Login:
    """Return the login that the settings describe, unsaved. Raises ImproperlyConfigured for what is missing."""
    match settings.TRADING_VENUE:
        case Venue.PAPER.value:
            return Login(
                name=Venue.PAPER.value,
                venue=Venue.PAPER,
                base_url=settings.VENUE_URL,
                user_name=settings.VENUE_USER,
                api_key=settings.VENUE_KEY,
            )
        case Venue.PROJECTX.value:
            for name in ("PROJECTX_USERNAME", "PROJECTX_API_KEY"):
                if not getattr(settings, name):
                    raise ImproperlyConfigured(f"{name} is empty: TRADING_VENUE=projectx needs it (or write paper)")
            return Login(
                name=Venue.PROJECTX.value,
                venue=Venue.PROJECTX,
                base_url=settings.PROJECTX_BASE_URL,
                user_name=settings.PROJECTX_USERNAME,
                api_key=settings.PROJECTX_API_KEY,
            )
        case other:
            raise ImproperlyConfigured(f"TRADING_VENUE={other!r}: write paper or projectx")


def _make_admin() -> list[str]:
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return []
    users.create_superuser(ADMIN, password=settings.ADMIN_PASSWORD)
    return [f"admin: user {ADMIN!r} made"]


def _store_login(wanted: Login) -> list[str]:
    """Store the login of the settings and let the others rest: one installation trades one venue."""
    resting = Login.objects.exclude(name=wanted.name).filter(enabled=True, name__in=[venue.value for venue in Venue])
    made = [f"login {login}: resting" for login in resting]
    resting.update(enabled=False)
    stored = Login.objects.filter(name=wanted.name).first()
    if stored is None:
        wanted.save()
        return [*made, f"login {wanted}: {wanted.base_url}"]
    fields = ("venue", "base_url", "user_name", "api_key", "enabled")
    if any(getattr(stored, field) != getattr(wanted, field) for field in fields):
        for field in fields:
            setattr(stored, field, getattr(wanted, field))
        stored.token = ""
        stored.save()
        made.append(f"login {stored}: {stored.base_url}, changed")
    return made
