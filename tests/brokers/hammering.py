"""One process that sends what its budget allows: `python -m tests.brokers.hammering`, its order as JSON on stdin.

Says `ready`, begins with the next line of stdin, and ends with what became of its requests as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from brokers import budget
from brokers.base import Lane, NotSent, Refused
from brokers.projectx.client import ProjectX
from brokers.projectx.gateway import Call, Gateway
from market.bars import Timeframe

MNQ = "CON.F.US.MNQ.Z26"
NOON = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)


class Given:
    """The one token that all processes share."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self) -> str:
        return self._token

    def renew(self, stale: str | None) -> str:
        raise NotSent("no login in this test")


def requests(venue: ProjectX, account: int) -> dict[str, Callable[[], object]]:
    """Return by lane a request that the venue answers without an effect that would grow."""
    return {
        "cancel": lambda: venue.cancel(account, 1),
        "stop": lambda: venue.modify(account, 1, stop_price=Decimal(20000), lane=Lane.STOP),
        "resolve": lambda: venue.orders_between(account, NOON, NOON, lane=Lane.RESOLVE),
        "place": lambda: venue.modify(account, 1, limit_price=Decimal(20000), lane=Lane.PLACE),
        "reconcile": lambda: venue.positions(account),
        "bars": lambda: venue.bars(MNQ, Timeframe.M1, NOON - timedelta(minutes=1), NOON),
    }


def hammer(send: Callable[[], object], lane: str, pause: float, until: float, over: Counter[str]) -> None:
    """Send again and again, at once or every `pause` seconds; count what the budget refused."""
    rest = threading.Event()
    while time.monotonic() < until:
        try:
            send()
        except Refused:  # there is no such order, as everybody knows
            pass
        except NotSent:
            over[lane] += 1
            rest.wait(0.02)
        rest.wait(pause)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    budget.WINDOW, budget.BARS_WINDOW = asked["window"], asked["bars_window"]
    seen: Counter[int | None] = Counter()

    def observe(call: Call) -> None:
        seen[call.status] += 1

    counted: budget.Budget
    if asked["guard"]:
        counted = budget.LocalBudget(budget.GUARD)
    else:
        counted = budget.SharedBudget(asked["redis"], asked["login"], wall=time.time)  # noqa: TID251
    gateway = Gateway(asked["url"], counted, observe=observe, wall=time.time)  # noqa: TID251
    sends = requests(ProjectX(gateway, Given(asked["token"])), asked["account"])
    say("ready")
    sys.stdin.readline()
    over: Counter[str] = Counter()
    until = time.monotonic() + asked["seconds"]
    work = [partial(hammer, sends[lane], lane, pause, until, over) for lane, pause in asked["lanes"].items()]
    threads = [threading.Thread(target=do) for do in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = sum(number for status, number in seen.items() if status)
    say(json.dumps({"over": over, "answered": answered, "seen": list(seen)}))


if __name__ == "__main__":
    main()
