"""The newest price that can be known: the venue's API has no quotes, so it is the close of the newest bar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.base import BrokerError
from tradingbot.clock import now
from tradingbot.models import Contract
from tradingbot.operations import bars


@dataclass(frozen=True, slots=True)
class Quote:
    """A price and when its bar closed; `problem` says why the venue could not be asked for a newer one."""

    price: Decimal
    at: datetime
    age: timedelta
    problem: str = ""


def newest(contract: Contract) -> Quote | None:
    """Return the newest price after asking the venue for the bars that are missing; None if there is none at all."""
    problem = ""
    try:
        bars.fetch(contract, now=now())
    except BrokerError as error:
        problem = str(error)
    known = bars.last_price(contract)
    if known is None:
        return None
    price, at = known
    return Quote(price.normalize(), at, now() - at, problem)


def price(contract: Contract) -> Decimal | None:
    """Return the newest price alone, None if there is none."""
    quote = newest(contract)
    return quote.price if quote else None
