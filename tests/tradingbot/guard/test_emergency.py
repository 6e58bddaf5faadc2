"""The emergency stop with nobody but guard: no Redis, no Celery, no worker."""

from __future__ import annotations

import os
import subprocess
import sys

from market.orders import Role
from tests.tradingbot.guard.service import ROOT, Service, soon
from tests.tradingbot.operations.orders.test_exits import long_position
from tradingbot.models import Account, Heartbeat, Notification, Order, OverallState, Position, StateChange


def watched() -> bool:
    sign = Heartbeat.objects.filter(name="guard").first()
    return sign is not None and "1 exposed" in sign.note


def nothing_open(service: Service) -> bool:
    venue_account = service.desk.account.broker_account_id
    return not service.desk.venue.ledger.positions(venue_account) and not service.desk.broker.orders_in_flight(
        venue_account
    )


def typed(service: Service, *words: str) -> subprocess.Popen[str]:
    """Run a command as a person does whose Redis is gone."""
    variables = os.environ | {
        "DATABASE_URL": service.database,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "VAR_DIR": str(service.var),
        "TRADINGBOT_CLOCK": f"{service.desk.now.isoformat()}@1x",
    }
    command = [sys.executable, "manage.py", *words]
    return subprocess.Popen(command, cwd=ROOT, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_command_halts_all_and_guard_sees_to_it_that_everything_is_flat(service: Service):
    desk = service.desk
    long_position(desk)
    desk.send(desk.pair(up=400, down=-400))
    service.guard(blocked=True)
    soon(watched, seconds=40, what="guard's first sight")
    command = typed(service, "emergency_stop", "--yes", "smoke", "in", "the", "room")
    out, notes = command.communicate(timeout=100)
    assert command.returncode == 0, out + notes + service.log()
    assert nothing_open(service)
    assert "all accounts are halted" in notes
    assert "1 of 1" in out
    assert "4 of 4" in out  # both entries, stop and target of the position
    assert OverallState.objects.get().reason == "emergency stop: smoke in the room"
    assert Account.objects.get().flatten_requested_at is None
    assert Position.objects.get().quantity == 0
    assert not Order.objects.live().exists()
    titles = set(Notification.objects.values_list("title", flat=True))
    assert {"All accounts halted", f"{desk.account}: flat"} <= titles
    assert StateChange.objects.filter(kind="flatten", after="flat").count() == 1
    assert Order.objects.filter(role=Role.ENTRY, filled=0).count() == 2


def test_guard_alone_does_it_from_the_row(service: Service):
    from tradingbot.operations import orders

    long_position(service.desk)
    process = service.guard(blocked=True)
    soon(watched, seconds=40, what="guard's first sight")
    orders.emergency_stop(reason="from the panel", by="ada", now=service.desk.now)
    soon(lambda: nothing_open(service), seconds=40, what="the close")
    soon(lambda: Account.objects.get().flatten_requested_at is None, seconds=40, what="two flat reads")
    assert process.poll() is None
    assert "Traceback" not in service.log()
