"""Dollars as rules and sentences show them."""

from __future__ import annotations

from decimal import Decimal


def dollars(amount: Decimal) -> str:
    """Return an amount like $1,250.00 or -$62.50."""
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"
