"""Real orders need a person: an account is armed by name, for its session, and disarms by itself.

With ARMING_TOTP_SECRET also by a code of an authenticator app: a session of the panel that somebody else got hold of,
or a terminal left open, arms nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from market.sessions import flat_by
from tradingbot import one_time_codes
from tradingbot.models import Account, BracketMode, Notification, StateChange
from tradingbot.operations import calendar, notifications, risk_states, trading

log = logging.getLogger(__name__)

KIND = StateChange.Kind.ARMING
WRONG_CODES = 5  # of an account in `_WRONG_IN`, after which none is looked at any more
_WRONG_IN = timedelta(minutes=10)


def arm(account: Account, *, name: str, by: str, now: datetime, keep: bool = False, code: str = "") -> datetime | None:
    """Let real entries of `account` leave until its session is flat; returns that time, None with `keep`.

    name   the account's name, typed by the person; it also says that the platform shows Auto OCO Brackets
    keep   armed until somebody disarms it
    code   of the authenticator app, where one is required
    Raises ValueError if the name is another, for a wrong code, for an account without real orders, or when no session
    is known.
    """
    if not account.is_real:
        raise ValueError(f"{account} trades on paper: it needs no arming")
    if name.strip() != account.name:
        raise ValueError(f"{name.strip()!r} is not the account's name: type {account.name} to arm it")
    session = next((one for one in calendar.upcoming(now, 2) if flat_by(one) > now), None)
    if session is None and not keep:
        raise ValueError("the calendar knows no session: run `python manage.py prepare`, then arm it")
    if needs_code():
        _check(account, code, by=by, now=now)
    until = None if keep or session is None else flat_by(session)
    with transaction.atomic():
        row = Account.objects.select_for_update(of=("self",)).select_related("login").get(pk=account.pk)
        before = state(row, now=now)
        row.armed_at, row.armed_until, row.bracket_mode = now, until, BracketMode.AUTO_OCO
        row.save(update_fields=["armed_at", "armed_until", "bracket_mode"])
        trading.record(row, before, "armed", kind=KIND, by=by, now=now, until=until)
        ends = f"until {until:%a %d %b %H:%M} UTC" if until else "until somebody disarms it"
        notifications.notify(
            "risk", f"{account} armed", account=account, body=f"Real entries may leave {ends} (by {by}).", now=now
        )
    log.warning("%s armed by %s, %s", account, by, ends)
    return until


def needs_code() -> bool:
    """Return whether arming takes a code of an authenticator app."""
    return bool(settings.ARMING_TOTP_SECRET)


def _check(account: Account, code: str, *, by: str, now: datetime) -> None:
    """Raise ValueError unless `code` is the app's of this moment and was not used for the account before.

    A wrong one is told to everybody; after five in ten minutes none is looked at for a while.
    """
    if not code.strip():
        raise ValueError("code: ARMING_TOTP_SECRET is set, write the six digits that your authenticator app shows")
    title = f"{account}: wrong code at arming"
    with transaction.atomic():
        Account.objects.select_for_update(of=("self",)).get(pk=account.pk)  # so that guesses come one after another
        wrong = Notification.objects.filter(account=account, title=title, at__gt=now - _WRONG_IN).count()
        armed = StateChange.objects.filter(account=account, kind=KIND, after="armed").order_by("-at").first()
        right = wrong < WRONG_CODES and one_time_codes.is_right(
            settings.ARMING_TOTP_SECRET, code, at=now, after=armed.at if armed else None
        )
        if not right and wrong < WRONG_CODES:
            notifications.notify("risk", title, account=account, body=f"by {by}", level="alert", now=now)
    if wrong >= WRONG_CODES:
        raise ValueError(f"code: {wrong} wrong ones within {_WRONG_IN.seconds // 60} minutes, wait until that is over")
    if not right:
        raise ValueError("code: it is wrong, over, or was used a moment ago; wait for the next one")


def disarm(account: Account, *, by: str, now: datetime, reason: str = "") -> bool:
    """Let no real entry leave any more; what protects and closes still does. False if it is not armed."""
    with transaction.atomic():
        row = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
        if row.armed_at is None:
            return False
        row.armed_at = row.armed_until = None
        row.save(update_fields=["armed_at", "armed_until"])
        trading.record(row, "armed", "disarmed", kind=KIND, by=by, reason=reason, now=now)
        body = f"by {by}{': ' if reason else ''}{reason}"
        notifications.notify("risk", f"{account} disarmed", account=account, body=body, now=now)
    return True


def end_arming(*, now: datetime) -> int:
    """Disarm the accounts whose session is over. Returns how many."""
    over = Account.objects.filter(armed_until__lte=now)
    return sum(disarm(account, by="the clock", reason="its session is over", now=now) for account in over)


def state(account: Account, *, now: datetime) -> str:
    """Return whether the account is armed, in a word; empty on paper."""
    if not account.is_real:
        return ""
    return "armed" if risk_states.is_armed(account, now=now) else "disarmed"
