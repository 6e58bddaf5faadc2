"""The stream's own way to the login's token, which all processes share."""

from __future__ import annotations

import time

from django.conf import settings

from brokers.budget import SharedBudget
from brokers.projectx import gateway, session
from brokers.projectx.session import Tokens
from tradingbot.clock import clock
from tradingbot.models import Login
from tradingbot.models.accounts import Venue
from tradingbot.operations import metrics, venues


def tokens(login: Login) -> Tokens:
    """Return the tokens of `login`, read from its row and renewed under its lease."""
    way = gateway.Gateway(
        login.base_url,
        SharedBudget(settings.REDIS_URL, f"login-{login.pk}", wall=time.time, speed=clock.speed),  # noqa: TID251
        observe=metrics.observer(login.pk),
        plain_http=login.venue == Venue.PAPER,
        wall=time.time,  # noqa: TID251  the venue's Date header is the machine's time, also in a rehearsal
    )
    return venues.StoredTokens(login.pk, session.Login(way, login.user_name, login.api_key))
