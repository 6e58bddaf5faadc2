"""What web and people do in a scenario: write intents, ask for changes, publish hints."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.authtoken.models import Token

from market.orders import OrderStatus, OrderType, Side
from market.sessions import trade_date_of
from risk.gate import EntryRequest, EntrySide
from tradingbot.celery_app import app
from tradingbot.clock import now
from tradingbot.models import Account, Contract, Order
from tradingbot.operations import accounts, bars, orders, reconciliation, trading

ENTRY, STOP, TARGET = 2000, 600, 2000  # ticks: what happens is decided by the scenario, not by the market


def look() -> None:
    """Read what the gate wants to be fresh."""
    account = _account()
    bars.fetch(_contract(), now=now())
    accounts.refresh(account, now=now())
    reconciliation.reconcile(account, now=now())


def pair(quantity: int = 3) -> list[int]:
    """Commit a breakout pair far from the market and return the ids, the buy first; publish nothing."""
    contract = _contract()
    newest = bars.last_price(contract)
    if newest is None:
        raise LookupError("no bars")
    price = contract.spec.distance(newest[0])
    decision = orders.open(
        account=_account(),
        contract=contract,
        request=EntryRequest(
            contract=contract.spec,
            quantity=quantity,
            sides=(
                EntrySide(Side.BUY, OrderType.STOP, price + ENTRY, STOP, TARGET),
                EntrySide(Side.SELL, OrderType.STOP, price - ENTRY, STOP, TARGET),
            ),
            oco=True,
            reference=price,
        ),
        session_date=trade_date_of(now()),
        now=now(),
        requested_by="chaos",
    )
    if decision.outcome != "ordered":
        raise PermissionError(decision.sentence)
    return list(decision.orders.filter(role="entry").order_by("-side").values_list("pk", flat=True))


def hint(task: str, **ids: int) -> None:
    app.send_task(f"tradingbot.tasks.{task}", kwargs=ids, expires=60)


def move_stop(points: int) -> str:
    """Ask for the working stop to be moved and return the price that was asked for."""
    stop = Order.objects.filter(role="stop", status=OrderStatus.WORKING).select_related("contract").latest("pk")
    price = stop.stop_price + points
    orders.request_modify(stop, price, by="chaos", now=now())
    return f"{price.normalize():f}"


def flatten() -> bool:
    return orders.request_flatten(_account(), reason="chaos", by="chaos", now=now())


def halt() -> bool:
    return trading.halt(_account(), reason="chaos", by="chaos", now=now())


def resume() -> bool:
    return trading.resume(_account(), by="chaos", now=now())


def why() -> str:
    """Return what a person reads who asks why nothing is traded."""
    text = io.StringIO()
    call_command("why", stdout=text)
    return text.getvalue()


def token() -> str:
    """Return a token of the admin for the REST API."""
    return Token.objects.get_or_create(user=User.objects.get(is_superuser=True))[0].key


def price() -> int:
    """Return the market's newest price in whole points."""
    newest = bars.last_price(_contract())
    return int(newest[0]) if newest else 0


def _account() -> Account:
    return Account.objects.select_related("login").get()


def _contract() -> Contract:
    return Contract.objects.get(symbol="MNQ", active=True)


CALLS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (look, pair, hint, move_stop, flatten, halt, resume, why, token, price)
}
