"""One `stream` process under a flood of quotes: what it decodes, how soon it passes on, and whether a fill is lost.

Market orders of ours are placed all the while, first on a quiet market at real-time speed, then under the flood. No
worker runs, so whatever is booked the stream has booked. Floors of the same run: bare orjson on the same messages, and
three small commits.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import time
import uuid
from datetime import UTC, datetime

import psutil

from benchmarks import stack

RATE, SECONDS = 5400, 40  # for two hundred hints: the 99th of fewer than a hundred would be the slowest
QUIET, FLOODED = 40, 30
GOALS = {"quotes_s": 5000, "write_p99_ms": 10, "hint_p99_ms": 10, "fill_p50_ms": 50, "fill_p99_ms": 250}
SYMBOLS = ("MES", "M2K", "MYM")
CLOCK = "2026-11-18T10:30:03-05:00@1x"


def main() -> int:
    with stack.servers(CLOCK):
        decode, ratio = _decoding()
        os.environ["PYTHONPATH"] = str(stack.ROOT)
        from tradingbot.clock import clock

        url = f"http://127.0.0.1:{os.environ['VENUE_PORT']}"
        with stack.process("-m", "benchmarks._flood"):
            stack.wait_for(lambda: _answers(url), "the venue")
            _rate(100)
            clock.start()
            login = _connect()
            with stack.process("manage.py", "stream") as child:
                process = psutil.Process(child.pid)
                stack.wait_for(lambda: (said := _said(login)).user and said.market, "the stream")
                desk = _Desk(url)
                quiet, commits = zip(*((desk.fill(), _commits()) for _ in range(QUIET)), strict=True)
                _rate(RATE)
                time.sleep(3)  # the last thousand of what is measured are of the flood
                before, began, cpu = _said(login), time.monotonic(), _cpu(process)
                flooded = []
                while time.monotonic() - began < SECONDS or len(flooded) < FLOODED:
                    flooded.append(desk.fill())
                    time.sleep(0.1)
                after, took, cpu = _said(login), time.monotonic() - began, _cpu(process) - cpu
                _rate(0)
                lost = desk.lost()
    figures = {
        "quotes_s": round((after.quotes - before.quotes) / took),
        "cpu_us_a_quote": round(cpu / max(after.quotes - before.quotes, 1) * 1e6, 1),
        "lost_fills": lost,
        "fills": len(quiet) + len(flooded),
        "write_p50_ms": _ms(after.write.p50),
        "write_p99_ms": _ms(after.write.p99),
        "hint_p99_ms": _ms(after.hint.p99),
        "fill_p50_ms": _ms(statistics.median(quiet)),
        "fill_p99_ms": _ms(_p99(quiet)),
        "flooded_fill_p50_ms": _ms(statistics.median(flooded)),
        "flooded_fill_p99_ms": _ms(_p99(flooded)),
        "three_commits_ms": _ms(statistics.median(commits)),
        "decode_us": round(decode, 1),
    }
    print(f"{figures['quotes_s']:,} quotes/s, {lost} of {figures['fills']} fills lost; decoding {ratio:.1f}x orjson")
    ok = not lost and figures["quotes_s"] >= GOALS["quotes_s"]
    ok = ok and all(figures[name] <= most for name, most in GOALS.items() if name != "quotes_s")
    goal = "; ".join(f"{name} {'>=' if name == 'quotes_s' else '<='} {value}" for name, value in GOALS.items())
    goal += "; no fill lost"
    print(json.dumps({"name": "stream", "figures": figures, "ratio": round(ratio, 2), "goal": goal, "ok": ok}))
    return 0


def _decoding() -> tuple[float, float]:
    """Return microseconds to decode and merge one quote from its frame, and how many times bare orjson that is."""
    import orjson

    from benchmarks._flood import frames, stamped
    from brokers.projectx.hubs import MarketDecoder, messages
    from brokers.projectx.hubs.framing import Records

    at = datetime.now(UTC)
    sent = [stamped(frame, at).encode() for frame in frames("CON.F.US.MNQ.Z26", 4000)]
    ours, bare = [], []
    for _ in range(9):
        records, decoder = Records(), MarketDecoder()
        started = time.perf_counter()
        for frame in sent:
            for record in records.feed(frame):
                decoder.quote(messages.decode(record).arguments)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        for frame in sent:
            orjson.loads(frame[:-1])
        bare.append(time.perf_counter() - started)
    return statistics.median(ours) / len(sent) * 1e6, statistics.median(o / b for o, b in zip(ours, bare, strict=True))


def _connect():
    """Read the venue, and let three more contracts be wanted; return the login."""
    from tradingbot.clock import now
    from tradingbot.models import Login, Strategy
    from tradingbot.operations import setup

    setup.connect(now=now(), progress=lambda line: None)
    for symbol in SYMBOLS:
        row = Strategy.objects.get(symbol="MNQ", kind="overnight_range")
        row.pk, row.symbol, row.name, row._state.adding = None, symbol, f"bench {symbol}", True
        row.save()
    Strategy.objects.filter(symbol="MNQ", kind="overnight_range").update(enabled=True)
    Strategy.objects.filter(symbol__in=SYMBOLS).update(enabled=True)
    return Login.objects.get(enabled=True)


class _Desk:
    """Places market orders that have their rows, as the order path does, and waits until their fills are booked."""

    def __init__(self, url: str) -> None:
        import httpx
        import psycopg
        from django.conf import settings

        from benchmarks._flood import LEDGER
        from tradingbot.models import Account, Contract

        self._http = httpx.Client(base_url=url)
        login = self._http.post("/api/Auth/loginKey", json={"userName": "demo", "apiKey": "demo"}).json()
        self._http.headers["authorization"] = f"Bearer {login['token']}"
        self._account = Account.objects.get()
        self._contract = Contract.objects.get(symbol="MNQ", active=True)
        self._rows = psycopg.connect(settings.DATABASE_URL, autocommit=True)
        self._ledger = sqlite3.connect(f"file:{settings.VAR_DIR / LEDGER}?mode=ro", uri=True)
        self._placed = 0

    def fill(self) -> float:
        """Return seconds from the venue's execution to the committed fill."""
        from tradingbot.clock import now
        from tradingbot.models import Order

        side, tag, at = (1, -1)[self._placed % 2], uuid.uuid4().hex, now()
        Order.objects.create(
            account=self._account,
            contract=self._contract,
            session_date=at.date(),
            tag=tag,
            role="entry",
            side=side,
            type="market",
            quantity=1,
            stop_ticks=40,
            status="sending",
            created_at=at,
            updated_at=at,
        )
        request = {
            "accountId": self._account.broker_account_id,
            "contractId": self._contract.broker_contract_id,
            "type": 2,
            "side": 0 if side > 0 else 1,
            "size": 1,
            "customTag": tag,
        }
        self._placed += 1
        answer = self._http.post("/api/Order/place", json=request).json()
        if not answer["success"]:
            sys.exit(f"the venue refused a market order: {answer}")
        query = "SELECT 1 FROM tradingbot_fill WHERE broker_order_id = %s"
        give_up = time.monotonic() + 10
        time.sleep(0.015)  # none is booked sooner, and looking takes time from who books
        while not self._rows.execute(query, [answer["orderId"]]).fetchone() and time.monotonic() < give_up:
            time.sleep(0.003)
        seen = datetime.now(UTC)
        return (seen - self._executed_at(answer["orderId"])).total_seconds()

    def _executed_at(self, order_id: int) -> datetime:
        """Return when the venue executed, by the machine's clock, to the millisecond.

        Read from the ledger's file: written out by the venue, its rows would hold the flood up and let it pour then.
        """
        query = "SELECT machine_at FROM executions WHERE order_id = ?"
        row = self._ledger.execute(query, [order_id]).fetchone()
        if row is None:
            sys.exit(f"order {order_id} was not executed at once")
        return datetime.fromisoformat(row[0])

    def lost(self) -> int:
        """Return how many of the venue's executions are not booked."""
        booked = {key for (key,) in self._rows.execute("SELECT broker_trade_id FROM tradingbot_fill").fetchall()}
        return len({key for (key,) in self._ledger.execute("SELECT id FROM executions")} - booked)


def _said(login):
    """Return what the stream says of itself; it is silent for a moment when the machine is busy."""
    from tradingbot.operations import streaming

    give_up = time.monotonic() + 60
    while (said := streaming.read(login)) is None:
        if time.monotonic() > give_up:
            sys.exit("the stream says nothing")
        time.sleep(0.05)
    return said


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/api/Status/ping", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _rate(quotes: int) -> None:
    new = stack.VAR / "rate.new"
    new.write_text(str(quotes))
    new.replace(stack.VAR / "rate")


def _commits() -> float:
    """Return seconds of three transactions with one small row each."""
    from django.db import connection, transaction

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_row (id bigserial PRIMARY KEY, said text)")
        started = time.perf_counter()
        for _ in range(3):
            with transaction.atomic():
                cursor.execute("INSERT INTO bench_row (said) VALUES ('a small row')")
        return time.perf_counter() - started


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * 99 // 100)]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    sys.exit(main())
