"""The paper venue's way to the real one's prices: its hub and its bars, nothing else of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from brokers.budget import LocalBudget
from brokers.projectx.client import ProjectX
from brokers.projectx.gateway import Gateway
from brokers.projectx.hubs import Hub, hub_url
from brokers.projectx.session import Login, MemoryTokens
from brokers.simulated.forwarded import ForwardedMarket
from brokers.simulated.forwarding import Forwarder
from brokers.simulated.market import Market
from tradingbot import clock

_REQUESTS = 40
"""Requests in a minute: bars, and a login now and then; the real login's own processes have the rest."""


Run = Callable[[], Coroutine[Any, Any, None]]


def forwarded(symbols: Sequence[str], otherwise: Market) -> tuple[ForwardedMarket, Run]:
    """Return the market, and what keeps it going.

    Raises ImproperlyConfigured without a key or in a rehearsal, ValueError for an unknown symbol.
    """
    if clock.clock.anchor is not None:
        raise ImproperlyConfigured("TRADINGBOT_CLOCK sets another time: the real venue's prices are of now, remove it")
    if not settings.PROJECTX_USERNAME or not settings.PROJECTX_API_KEY:
        raise ImproperlyConfigured("VENUE_FORWARD needs PROJECTX_USERNAME and PROJECTX_API_KEY, to read prices with")
    url = settings.PROJECTX_BASE_URL
    gateway = Gateway(url, LocalBudget(_REQUESTS), observe=lambda call: None, wall=time.time)  # noqa: TID251  for the skew
    tokens = MemoryTokens(Login(gateway, settings.PROJECTX_USERNAME, settings.PROJECTX_API_KEY))
    broker = ProjectX(gateway, tokens)
    market = ForwardedMarket(
        symbols,
        otherwise,
        lambda contract, timeframe, start, end, limit: broker.bars(contract, timeframe, start, end, limit=limit),
    )
    forwarder = Forwarder(market, clock.now)
    hub = Hub(hub_url(url, "market"), tokens, forwarder)

    async def run() -> None:
        await asyncio.gather(hub.run(), forwarder.follow(hub.want))

    return market, run
