"""The process that stands behind all others: it reads the venue itself, repairs stops, flattens, and never enters.

It needs PostgreSQL and goes on without it from memory, closing and cancelling only; it needs neither Redis nor Celery.
`running` says when, `watching` looks after one account with the database, `remembering` without it, `journal` keeps
what was done then until it can be booked, `clients` is its own way to the venue.
"""

from tradingbot.operations.guard.running import Guard

__all__ = ["Guard"]
