"""The truth about the whole system in one document, for monitors and people."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max
from redis import RedisError

from tradingbot.clock import clock
from tradingbot.models import Account, BarDay, Login, Order, Strategy
from tradingbot.operations import arming, heartbeats, permits, sessions, streaming, trading
from tradingbot.operations.orders.opening import rule_row
from tradingbot.queues import LIMITS, waiting

REQUIRED = (*(f"worker-{queue}" for queue in LIMITS), "beat", "guard")
_STALE = timedelta(minutes=3)
_STALE_MACHINE = timedelta(seconds=20)  # of machine time, which a fast clock stretches


def read(now: datetime, *, with_accounts: bool) -> dict[str, Any]:
    """Return the state; `missing` names in sentences what is required and absent, `ok` is that nothing is."""
    signs = {sign.name: sign for sign in heartbeats.overview()}
    missing = [_silence(name, signs.get(name)) for name in REQUIRED if name not in signs or not signs[name].alive]
    try:
        redis, queues = True, waiting()
    except RedisError as error:
        redis, queues = False, {}
        missing.append(f"Redis does not answer: {type(error).__name__}")
    session = sessions.current(now)
    bars = _bars(now, is_open=session is not None)
    missing += [f"{symbol}: no closed bar for {bar['age_seconds']} s" for symbol, bar in bars.items() if bar["stale"]]
    accounts = list(Account.objects.filter(enabled=True).select_related("login"))
    unread = sum(account.reconciled_at is None for account in accounts)
    if unread:
        missing.append(f"{unread} account(s) not reconciled with the venue")
    report: dict[str, Any] = {
        "ok": not missing,
        "missing": missing,
        "market_time": now,
        "clock": {"speed": clock.speed, "started": clock.started(), "rehearsal": clock.anchor is not None},
        "database": True,
        "redis": redis,
        "queues": queues,
        "processes": {name: {"age_seconds": round(sign.age, 1), "alive": sign.alive} for name, sign in signs.items()},
        "streams": {d.login.name: _stream(d) for d in streaming.deliveries(Login.objects.filter(enabled=True))},
        "session": session.trade_date if session else None,
        "bars": bars,
        "trading_state": trading.overall().trading_state,
        "trading_states": Counter(account.trading_state for account in accounts),
        "reconciled": bool(accounts) and not unread,
        "orders": dict(Order.objects.live().values_list("status").annotate(Count("pk")).order_by()),
    }
    if with_accounts:
        report["accounts"] = [_account(account, now) for account in accounts]
    return report


def _silence(name: str, sign: heartbeats.Sign | None) -> str:
    return f"{name}: no sign of life for {sign.age:.0f} s" if sign else f"{name}: never gave a sign of life"


def _bars(now: datetime, *, is_open: bool) -> dict[str, dict[str, Any]]:
    """Return the newest closed minute of each product that a strategy trades; stale only while a session is open."""
    symbols = Strategy.objects.filter(enabled=True).values_list("symbol", flat=True)
    covered = BarDay.objects.filter(contract__symbol__in=symbols, contract__active=True)
    newest = dict(covered.values_list("contract__symbol").annotate(Max("covered_until")).order_by())
    allowed = max(_STALE, _STALE_MACHINE * clock.speed)
    return {
        symbol: {
            "covered_until": newest.get(symbol),
            "age_seconds": round((now - newest[symbol]).total_seconds()) if symbol in newest else None,
            "stale": is_open and (symbol not in newest or now - newest[symbol] > allowed),
        }
        for symbol in sorted(set(symbols))
    }


def _stream(delivery: streaming.Delivery) -> dict[str, Any]:
    """Return how a login's stream does; a system without one, or with one in trouble, polls and is in order."""
    return {
        "state": delivery.word,
        "problems": delivery.status.problems if delivery.status else [],
        "data_age_seconds": delivery.age,
    }


def _account(account: Account, now: datetime) -> dict[str, Any]:
    report = permits.read(account, now=now)
    return {
        "name": account.name,
        "trading_state": account.trading_state,
        "reason": account.state_reason,
        "balance": account.balance,
        "day_profit": account.day_profit,
        "reconciled_at": account.reconciled_at,
        "lock": account.lock,
        "armed": arming.state(account, now=now),
        "permit": {"code": report.code, "rules": [rule_row(rule) for rule in report.rules]},
    }
