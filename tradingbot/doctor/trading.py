"""What may be traded: the venue, the firm's rule on where orders leave from, the calendar, the rulebook."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from brokers.base import BrokerError
from brokers.projectx import ProjectX
from risk.rulebook import STALE_AFTER, RulebookInvalid
from tradingbot.clock import now
from tradingbot.doctor.findings import Finding
from tradingbot.models import CalendarDay, Login
from tradingbot.models.accounts import Venue
from tradingbot.operations import rulebooks, venues
from tradingbot.supervisor.instance import running_as

CALENDAR_DAYS = 14  # entries are refused when the calendar ends sooner


def venue() -> Finding:
    if settings.TRADING_VENUE == Venue.PAPER:
        return Finding("venue", "ok", f"paper: our own venue on 127.0.0.1:{settings.VENUE_PORT}, no real orders")
    host = urlsplit(settings.PROJECTX_BASE_URL).hostname
    missing = [name for name in ("PROJECTX_USERNAME", "PROJECTX_API_KEY") if not getattr(settings, name)]
    if missing and not Login.objects.filter(venue=Venue.PROJECTX, enabled=True).exists():
        return Finding("venue", "bad", f"live on {host}, but no login: set {' and '.join(missing)}")
    return Finding("venue", "ok", f"live on {host}, by API key")


def answers() -> Finding:
    """Whether each login's venue answers, and takes the login's token or key."""
    runs = running_as(settings.VAR_DIR / "run") is not None
    logins = [login for login in Login.objects.filter(enabled=True) if runs or login.venue != Venue.PAPER]
    if not logins:
        return Finding("answers", "ok", "not looked at, nothing runs" if not runs else "no login is enabled yet")
    said: list[str] = []
    broken = False
    for login in logins:
        try:
            said.append(_asked(login))
        except (BrokerError, ImproperlyConfigured) as error:
            broken = True
            said.append(f"{login}: {error}")
    return Finding("answers", "bad" if broken else "ok", "; ".join(said))


def _asked(login: Login) -> str:
    broker = venues.connect(login)
    if not isinstance(broker, ProjectX):
        return f"{login} lists {len(broker.accounts())} account(s)"
    try:
        return f"{login} answers in {1000 * broker.ping():.0f} ms and lists {len(broker.accounts())} account(s)"
    finally:
        broker.disconnect()


def policy() -> Finding:
    """Orders of a TopstepX account must leave from the trader's own device (firm policy)."""
    live = settings.TRADING_VENUE != Venue.PAPER or _live_logins()
    if not live:
        return Finding("policy", "ok", "no live login, nothing to keep off hosted machines")
    if not settings.HOSTED:
        return Finding("policy", "ok", "live login on this machine; the firm wants it to be the trader's own device")
    if settings.ORDERS_ON_HOSTED_MACHINE:
        return Finding("policy", "warn", "live login on a hosted machine, acknowledged by ORDERS_ON_HOSTED_MACHINE")
    return Finding(
        "policy", "bad", "live login on a hosted machine: the firm allows orders from the trader's own device only"
    )


def calendar() -> Finding:
    last = CalendarDay.objects.order_by("-trade_date").values_list("trade_date", flat=True).first()
    if last is None:
        return Finding("calendar", "bad", "empty, so no entries: run `python manage.py prepare`")
    if last < (now() + timedelta(days=CALENDAR_DAYS)).date():
        return Finding("calendar", "bad", f"ends on {last}, entries are refused within {CALENDAR_DAYS} days of that")
    return Finding("calendar", "ok", f"covers the exchange's sessions until {last}")


def rulebook() -> Finding:
    try:
        book = rulebooks.current()
    except RulebookInvalid as error:
        more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        return Finding("rulebook", "bad", f"no entries: {error.problems[0]}{more}")
    old = (now().date() - book.checked_on).days
    said = f"{len(book.entries)} entries, the oldest checked on {book.checked_on}"
    if old > STALE_AFTER:
        return Finding("rulebook", "warn", f"{said}, {old} days ago: read the firm's pages again")
    return Finding("rulebook", "ok", said)


def _live_logins() -> bool:
    try:
        return Login.objects.filter(venue=Venue.PROJECTX, enabled=True).exists()
    except DatabaseError:
        return False  # nobody can log in with it either
