"""How people steer it: one module a noun, and the front page."""

from tradingbot.admin import (
    accounting,
    accounts,
    backtests,
    contracts,
    decisions,
    logins,
    notifications,
    orders,
    people,
    positions,
    processes,
    rules,
    schedule,
    searches,
    sessions,
    strategies,
)

__all__ = [
    "accounting",
    "accounts",
    "backtests",
    "contracts",
    "decisions",
    "logins",
    "notifications",
    "orders",
    "people",
    "positions",
    "processes",
    "rules",
    "schedule",
    "searches",
    "sessions",
    "strategies",
]
