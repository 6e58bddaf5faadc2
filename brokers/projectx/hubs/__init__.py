"""The SignalR hubs of the ProjectX Gateway: what happens to our accounts, and what the market does, as it happens.

A hub is the fast way to know, never the only one: nothing missed is sent again, so whoever listens reads by REST after
every connect. Orders travel by REST alone.
"""

from brokers.projectx.hubs.addresses import hub_url
from brokers.projectx.hubs.ages import Ages
from brokers.projectx.hubs.client import Hub, Listener, Pace, Subscription
from brokers.projectx.hubs.market import Depth, MarketDecoder, MarketTrade, Quote
from brokers.projectx.hubs.user import PositionEvent, UserEvent, UserTarget, decode

__all__ = [
    "Ages",
    "Depth",
    "Hub",
    "Listener",
    "MarketDecoder",
    "MarketTrade",
    "Pace",
    "PositionEvent",
    "Quote",
    "Subscription",
    "UserEvent",
    "UserTarget",
    "decode",
    "hub_url",
]
