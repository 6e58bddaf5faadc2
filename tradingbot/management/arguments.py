"""What a person may type: every value is checked before anything is looked up or written."""

from __future__ import annotations

import argparse
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from zoneinfo import available_timezones

from django.core.management.base import CommandError

from market.bars import Timeframe
from market.orders import Side
from tradingbot.models import Contract

MAX_QUANTITY = 9_999
MAX_BARS = 20_000


class WrongUsage(CommandError):
    """Something typed is not a possible value; the message is one line that begins with the field. Exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=2)


def quantity(typed: str) -> int:
    return _whole(typed, MAX_QUANTITY, "contracts")


def ticks(typed: str) -> int:
    return _whole(typed, 100_000, "ticks")


def bars(typed: str) -> int:
    return _whole(typed, MAX_BARS, "bars")


def sessions(typed: str) -> int:
    return _whole(typed, 1_000, "sessions")


def hours(typed: str) -> int:
    return _whole(typed, 168, "hours")


def days(typed: str) -> int:
    return _whole(typed, 3_660, "days")


def _whole(typed: str, most: int, unit: str) -> int:
    if not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= most):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number of {unit} from 1 to {most}")
    return int(typed)


def positive(typed: str) -> Decimal:
    """Return a price or a distance in points."""
    try:
        value = Decimal(typed)
    except InvalidOperation:
        value = Decimal(0)
    if not (value.is_finite() and 0 < value < 10**9):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a number above 0: write it like 21480.25, without commas")
    return value


def side(typed: str) -> Side:
    try:
        return Side[typed.upper()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{typed!r} is neither BUY nor SELL") from None


def timeframe(typed: str) -> Timeframe:
    try:
        return Timeframe(typed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{typed!r} is none of {' '.join(Timeframe)}") from None


def day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{typed!r} is not a date: write it like 2026-11-18") from None


def zone(typed: str) -> str:
    if typed not in available_timezones():
        raise argparse.ArgumentTypeError(f"{typed!r} is not a time zone: write it like America/New_York")
    return typed


def on_tick(field: str, value: Decimal, contract: Contract) -> Decimal:
    """Return `value` if it lies on the contract's tick grid; else raise WrongUsage with the nearest prices that do."""
    tick = contract.spec.tick_size
    if value % tick:
        below, above = ((value / tick).to_integral_value(rounding) * tick for rounding in (ROUND_FLOOR, ROUND_CEILING))
        near = f"{contract.text(below)} or {contract.text(above)}" if below > 0 else contract.text(above)
        raise WrongUsage(f"{field}: {value} is not on the {tick:f} tick grid of {contract.symbol}: use {near}")
    return value
