"""Where orders may leave from: the firm wants them to leave from the trader's own device."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tradingbot import faults
from tradingbot.clock import clock
from tradingbot.models import Login
from tradingbot.models.accounts import Venue


def is_live(login: Login) -> bool:
    """Return whether the login may reach a real venue; only the paper venue of the settings surely is none."""
    return login.venue != Venue.PAPER or _host(login.base_url) not in {
        _host(settings.VENUE_URL),
        "127.0.0.1",
        "localhost",
    }


def check(login: Login) -> None:
    """Raise ImproperlyConfigured, with what to do, if orders for this login may not leave from here."""
    if not is_live(login):
        return
    if clock.anchor is not None:
        raise ImproperlyConfigured(
            f"TRADINGBOT_CLOCK sets another time and {login.base_url} is a real venue: remove it, "
            "or write TRADING_VENUE=paper"
        )
    if faults.active():
        raise ImproperlyConfigured(
            f"TRADINGBOT_FAULTS lets processes die on purpose and {login.base_url} is a real venue: remove it"
        )
    if settings.HOSTED and not settings.ORDERS_ON_HOSTED_MACHINE:
        raise ImproperlyConfigured(
            "the firm requires that orders leave from the trader's own device; this machine is hosted and "
            f"{login.base_url} is a real venue: run it at home, write TRADING_VENUE=paper, or acknowledge it: "
            "ORDERS_ON_HOSTED_MACHINE=true"
        )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
