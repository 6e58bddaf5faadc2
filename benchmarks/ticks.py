"""Tick mode: from a price that the venue sends to the modify of the trailing stop that it accepted.

The stream, Redis and a critical worker are between them. The floor of the same run is three small commits.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import uuid
from decimal import Decimal

from benchmarks import stack
from benchmarks.stream import _answers, _commits, _ms, _p99, _said

MOVES, APART = 30, 1.3  # seconds: a stop moves at most once a second
TRAIL = 50  # ticks
GOAL_MS = 500
CLOCK = "2026-11-18T10:30:03-05:00@1x"


def main() -> int:
    with stack.servers(CLOCK):
        os.environ["PYTHONPATH"] = str(stack.ROOT)
        from tradingbot.clock import clock

        url = f"http://127.0.0.1:{os.environ['VENUE_PORT']}"
        with stack.process("-m", "benchmarks._flood"):
            stack.wait_for(lambda: _answers(url), "the venue")
            clock.start()
            login = _connect()
            with stack.worker("critical"), stack.process("manage.py", "stream"):
                stack.wait_for(lambda: (said := _said(login)).user and said.market, "the stream")
                entry = _enter(url)
                moves, commits = zip(*((_move(entry, number), _commits()) for number in range(MOVES)), strict=True)
    figures = {
        "moves": len(moves),
        "modify_p50_ms": _ms(statistics.median(moves)),
        "modify_p99_ms": _ms(_p99(moves)),
        "three_commits_ms": _ms(statistics.median(commits)),
    }
    ratio = statistics.median(moves) / statistics.median(commits)
    print(f"a stop follows a price within {figures['modify_p50_ms']} ms, {ratio:.0f} times three small commits")
    goal = f"modify_p99_ms <= {GOAL_MS}"
    ok = figures["modify_p99_ms"] <= GOAL_MS
    print(json.dumps({"name": "ticks", "figures": figures, "ratio": round(ratio, 1), "goal": goal, "ok": ok}))
    return 0


def _connect():
    from tradingbot.clock import now
    from tradingbot.models import Login, Strategy
    from tradingbot.operations import setup

    setup.connect(now=now(), progress=lambda line: None)
    Strategy.objects.filter(symbol="MNQ", kind="overnight_range").update(enabled=True, follow_ticks=True)
    return Login.objects.get(enabled=True)


def _enter(url: str):
    """Buy at market with a stop, as the order path does; return the entry once its stop is known to rest."""
    import httpx

    from tradingbot.clock import now
    from tradingbot.models import Account, Contract, Order, Strategy

    account, contract, at = Account.objects.get(), Contract.objects.get(symbol="MNQ", active=True), now()
    tag = uuid.uuid4().hex
    common = {
        "account": account,
        "contract": contract,
        "strategy": Strategy.objects.get(symbol="MNQ", kind="overnight_range"),
        "session_date": at.date(),
        "quantity": 1,
        "created_at": at,
        "updated_at": at,
    }
    wish = {"stop_ticks": 4 * TRAIL, "trail_ticks": TRAIL}
    entry = Order.objects.create(tag=tag, role="entry", side=1, type="market", status="sending", **wish, **common)
    Order.objects.create(tag=f"{tag}-SL", role="stop", side=-1, type="stop", status="suspended", parent=entry, **common)
    with httpx.Client(base_url=url) as http:
        login = http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()
        request = {
            "accountId": account.broker_account_id,
            "contractId": contract.broker_contract_id,
            "type": 2,
            "side": 0,
            "size": 1,
            "customTag": tag,
            "stopLossBracket": {"ticks": -4 * TRAIL, "type": 4},
        }
        headers = {"authorization": f"Bearer {login['token']}"}
        answer = http.post("/api/Order/place", json=request, headers=headers).json()
    if not answer["success"]:
        sys.exit(f"the venue refused the entry: {answer}")
    stack.wait_for(lambda: Order.objects.filter(parent=entry, status="working").exists(), "the stop")
    entry.refresh_from_db()
    time.sleep(2)  # the stream looks at what there is to follow every second
    return entry


def _move(entry, number: int) -> float:
    """Return seconds from a price one tick better than the last to the modify that the venue took."""
    from tradingbot.models import OrderEvent

    price = entry.average_price - 2 * TRAIL * Decimal("0.25") + number * Decimal("0.25")
    sent = OrderEvent.objects.filter(order__parent=entry, kind="modify sent", detail__outcome="taken")
    before = sent.count()
    time.sleep(APART)
    new = stack.VAR / "price.new"
    new.write_text(f"{price:f}")
    new.replace(stack.VAR / "price")
    began = time.monotonic()
    while sent.count() == before:
        if time.monotonic() - began > 20:
            sys.exit(f"the stop did not follow {price}; see {stack.VAR}")
        time.sleep(0.001)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
