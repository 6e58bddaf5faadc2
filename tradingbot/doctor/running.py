"""What runs: processes, their signs of life, their ports, market time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings

from tradingbot.clock import clock, now
from tradingbot.doctor.findings import Finding
from tradingbot.models import Account
from tradingbot.models.accounts import Venue
from tradingbot.operations import heartbeats
from tradingbot.supervisor.groups import Group, remembered
from tradingbot.supervisor.instance import occupied, running_as


def processes() -> Finding:
    run = settings.VAR_DIR / "run"
    supervisor = running_as(run)
    groups = remembered(run)
    living = {group.name: group for group in groups if group.leader()}
    if supervisor is None and living:
        return Finding(
            "processes", "bad", f"left by a killed start: {_listed(living)}; `make run` or `make demo` replaces them"
        )
    if supervisor is None:
        return Finding("processes", "warn", "none runs: `make run` starts them, `make demo` shows a day")
    dead = sorted(group.name for group in groups if group.name not in living)
    text = f"supervisor {supervisor}: {_listed(living)}"
    return (
        Finding("processes", "bad", f"{text}; ended: {', '.join(dead)}") if dead else Finding("processes", "ok", text)
    )


def signs_of_life() -> Finding:
    if running_as(settings.VAR_DIR / "run") is None:
        return Finding("signs_of_life", "ok", "not looked at, nothing runs")
    signs = heartbeats.overview()
    silent = [f"{sign.name} for {sign.age:.0f} s" for sign in signs if not sign.alive]
    if silent:
        return Finding("signs_of_life", "bad", f"silent: {', '.join(silent)}")
    return Finding("signs_of_life", "ok", f"{len(signs)} heard within {heartbeats.SILENT_AFTER:.0f} s")


def guard() -> Finding:
    """Whether somebody checks stops and flat times without queues, and nothing of a bad hour waits to be booked."""
    waiting = [file.name for file in settings.VAR_DIR.glob("guard*.jsonl") if not file.stem[-1].isdecimal()]
    if waiting:
        return Finding("guard", "warn", f"acts of a time without PostgreSQL wait to be booked: {', '.join(waiting)}")
    if running_as(settings.VAR_DIR / "run") is None:
        return Finding("guard", "ok", "not looked at, nothing runs")
    signs = [sign for sign in heartbeats.overview() if sign.name == "guard"]
    if not signs:
        accounts = Account.objects.filter(enabled=True, login__enabled=True).exists()
        return Finding("guard", "bad" if accounts else "ok", "it watches no account yet")
    alive = signs[0].alive
    return Finding("guard", "ok" if alive else "bad", signs[0].note if alive else f"silent for {signs[0].age:.0f} s")


def ports() -> Finding:
    named = {"WEB_PORT": settings.WEB_PORT, "FLOWER_PORT": settings.FLOWER_PORT, "VENUE_PORT": settings.VENUE_PORT}
    text = ", ".join(f"{name} {port}" for name, port in named.items())
    if running_as(settings.VAR_DIR / "run") is not None:
        return Finding("ports", "ok", text)
    taken = [name for name, port in named.items() if occupied(port)]
    if taken:
        return Finding("ports", "bad", f"{text}; taken by another program: set {', '.join(taken)}")
    return Finding("ports", "ok", f"{text}, all free")


def market_time() -> Finding:
    if clock.anchor is None:
        return Finding("market_time", "ok", f"real time, {now():%Y-%m-%d %H:%M:%S} UTC")
    state = "runs" if clock.started() else "stands until every process answers"
    text = f"a rehearsal at {clock.speed:g}x, {now():%Y-%m-%d %H:%M:%S} UTC, it {state}"
    if settings.TRADING_VENUE != Venue.PAPER:
        return Finding("market_time", "bad", f"{text}: a rehearsed clock on a live venue, unset TRADINGBOT_CLOCK")
    return Finding("market_time", "ok", text)


def _listed(groups: Mapping[str, Group]) -> str:
    wall = time.time()  # noqa: TID251  the creation time of a process is in this clock
    return ", ".join(
        f"{name} ({group.pid}, {timedelta(seconds=int(wall - group.created))})" for name, group in groups.items()
    )
