"""Orders, fills, stops, flat: nothing here is ever retried by Celery, the next tick is the retry."""

from __future__ import annotations

from typing import Any

from tradingbot.celery_app import app
from tradingbot.clock import now
from tradingbot.deadlines import give_up_at
from tradingbot.models import Account, Order
from tradingbot.operations import breakers, heartbeats, orders, protection, reconciliation, streaming
from tradingbot.operations.streaming import goals, watching
from tradingbot.queues import Task, hint
from tradingbot.tasks.fanning import fan_out, to_be_flattened, watched, with_entries_or_positions, without_stop


@app.task(base=Task)
def sweep(**_: Any) -> None:
    """Finish orders that were left half-way, and see that entries are kept back by what is true; every 5 seconds."""
    moment = now()
    streaming.end_orphaned_blocks()
    breakers.sync(now=moment)
    orders.sweep(now=moment, give_up_at=give_up_at())


@app.task(base=Task)
def send_order(*, order_id: int, **_: Any) -> None:
    """Send one committed order, on a hint."""
    orders.send(Order.objects.select_related("account__login", "contract").get(pk=order_id), now=now())


@app.task(base=Task)
def check_fills(*, account_id: int | None = None, exposed: bool = False, **_: Any) -> None:
    """Record the fills that the stream did not bring; every 30 seconds, every 5 while `exposed`."""
    if account_id is None:
        fan_out(check_fills, with_entries_or_positions() if exposed else watched(), seconds=5 if exposed else 30)
    else:
        account = _account(account_id)
        if reconciliation.check_fills(account, now=now()):
            protection.check(account, now=now())


@app.task(base=Task)
def after_fills(*, account_id: int, **_: Any) -> None:
    """See to the stop of what the stream booked, on its hint; another process meanwhile reads what else has changed."""
    hint(check_fills, account_id=account_id)
    protection.check(_account(account_id), now=now())


@app.task(base=Task)
def check_protection(*, account_id: int | None = None, unprotected: bool = False, **_: Any) -> None:
    """See that every position has its stop; every 10 seconds, every 2 while one is known to lack it."""
    if account_id is None:
        accounts = without_stop() if unprotected else with_entries_or_positions()
        fan_out(check_protection, accounts, seconds=2 if unprotected else 10)
    else:
        protection.check(_account(account_id), now=now())


@app.task(base=Task)
def flatten_due(*, account_id: int | None = None, **_: Any) -> None:
    """Flatten what is past its flat time, or asked to be flat; every 15 seconds."""
    if account_id is None:
        fan_out(flatten_due, to_be_flattened(), seconds=15)
    else:
        orders.flatten_due(_account(account_id), now=now(), give_up_at=give_up_at())


@app.task(base=Task)
def check_limits(*, account_id: int, **_: Any) -> None:
    """Hold an account at the newest quotes against its limits, on the hint of the stream that saw one reached."""
    watching.check(_account(account_id), now=now())


@app.task(base=Task)
def follow_price(*, order_id: int, **_: Any) -> None:
    """Move the stop of an entry that follows ticks, on the hint of the stream that saw its next price reached."""
    goals.check(Order.objects.select_related("account__login", "contract", "strategy").get(pk=order_id), now=now())


@app.task(base=Task)
def emergency_stop(**_: Any) -> None:
    """Work on every flatten that was asked for at once, on the hint of whoever asked."""
    fan_out(flatten_due, to_be_flattened().filter(flatten_requested_at__isnull=False), seconds=15)


@app.task(base=Task)
def canary(**_: Any) -> None:
    """Show that this queue is worked on; every 30 seconds."""
    heartbeats.beat("worker-critical")


def _account(account_id: int) -> Account:
    return Account.objects.select_related("login").get(pk=account_id)
