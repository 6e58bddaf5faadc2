"""What a scheduled release asks for when its window begins: cancel entries, secure positions, or close them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.db import transaction

from market.orders import OrderStatus, OrderType, Role, Side
from market.products import PRODUCTS
from market.sessions import trade_date_of
from risk.news import Window
from tradingbot.models import Account, NewsEvent, NewsStep, Order, Position
from tradingbot.operations import bars, notifications, orders, rule_states

_AROUND = timedelta(days=1)
_COLUMNS = ("at", "kind", "title", "minutes_before", "minutes_after", "action", "symbols")
LONGEST = 600  # minutes before or after a release


def due(*, now: datetime) -> int:
    """Do on each account what every event asks as each of its windows begins; returns how often something was due.

    The gate denies entries in a window by itself; this is for what was there before. The step's `done_at` tells which
    windows were acted upon: those that had begun by then. One that failed is done again: it follows from the rows.
    """
    events = list(NewsEvent.objects.filter(at__range=(now - _AROUND, now + _AROUND)))
    if not events:
        return 0
    accounts = Account.objects.filter(enabled=True, login__enabled=True).select_related("login")
    return sum(_on(account, events, now) for account in accounts)


def _on(account: Account, events: Sequence[NewsEvent], now: datetime) -> int:
    found = rule_states.windows(account, events, trade_date=trade_date_of(now))
    done = 0
    for event in events:
        if not any(window.holds(now) for window in found[event.pk]):
            continue
        step, _ = NewsStep.objects.get_or_create(event=event, account=account, defaults={"at": now})
        windows = [window for window in found[event.pk] if _begins(window, step, now)]
        if not windows:
            continue
        said = _act(account, step, windows, now)
        note = "; ".join([*filter(None, [step.note]), *(said or ["nothing was open"])])
        NewsStep.objects.filter(pk=step.pk).update(done_at=now, note=note[:300])
        if said:
            notifications.notify(
                "risk",
                f"{account}: news window",
                account=account,
                body=f"{event.title}: {'; '.join(said)}.",
                key=f"news:{event.pk}:{account.pk}:{max(window.starts_at for window in windows).isoformat()}",
                now=now,
            )
        done += 1
    return done


def _begins(window: Window | NewsEvent, step: NewsStep, now: datetime) -> bool:
    """Return whether a window is open that had not begun when the step was done last."""
    return window.starts_at <= now <= window.ends_at and (step.done_at is None or window.starts_at > step.done_at)


def _act(account: Account, step: NewsStep, windows: Sequence[Window], now: datetime) -> list[str]:
    event = step.event
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    said = _cancel(account, event, windows, positions, now)
    affected = [position for position in positions if event.is_for(position.contract.symbol)]
    if not affected or not _begins(event, step, now):
        return said
    if event.action == NewsEvent.Action.FLATTEN:
        orders.request_flatten(account, reason=f"news: {event.title}", by="the clock", now=now, until=event.ends_at)
        said.append("everything is being closed, entries may leave again after the window")
    if event.action == NewsEvent.Action.BREAKEVEN:
        said += [
            f"{len(moved)} stop(s) of {position} go to the entry"
            for position in affected
            if (moved := _secure(position, event, now))
        ]
    return said


def _cancel(
    account: Account, event: NewsEvent, windows: Sequence[Window], positions: Sequence[Position], now: datetime
) -> list[str]:
    """Have entries cancelled that may not fill in the window: all of a blocked product, all of one above its cap."""
    entries = list(account.orders.filter(role=Role.ENTRY).live().select_related("contract"))
    unwanted = []
    for entry in entries:
        symbol = entry.contract.symbol
        caps = [cap for window in windows if (cap := window.cap(symbol)) is not None]
        held = sum(max(abs(p.quantity), abs(p.broker_quantity)) for p in positions if p.contract.symbol == symbol)
        working = sum(order.quantity - order.filled for order in entries if order.contract.symbol == symbol)
        if caps and held + working > min(caps):
            unwanted.append(entry)
    number = sum(orders.request_cancel(entry, by=f"news: {event.title}", now=now) for entry in unwanted)
    return [f"{number} entries are being cancelled"] if number else []


def _secure(position: Position, event: NewsEvent, now: datetime) -> list[Order]:
    """Have the stops of a winning position go to its entry, rounded so that they do not lose; returns those moved.

    A position that is not winning by a tick or more keeps its stops where they are.
    """
    newest = bars.last_price(position.contract)
    side = Side.BUY if position.quantity > 0 else Side.SELL
    tick = position.contract.spec.tick_size
    ticks, rest = divmod(position.average_price, tick)
    entry = position.contract.spec.price(int(ticks) + (1 if rest and side is Side.BUY else 0))
    if newest is None or (newest[0] - entry) * side <= tick:
        return []
    stops = Order.objects.filter(
        account=position.account_id,
        contract=position.contract_id,
        role=Role.STOP,
        type=OrderType.STOP,
        side=side.opposite,
        status__in=(OrderStatus.WORKING, OrderStatus.PARTIAL),
    )
    return [
        stop
        for stop in stops
        if stop.stop_price is not None
        and (entry - (stop.desired_price or stop.stop_price)) * side > 0
        and orders.request_modify(stop, Decimal(entry), by=f"news: {event.title}", now=now)
    ]


# --- files


@dataclass(frozen=True, slots=True)
class Report:
    """What importing a file did or would do: events that are new, that change, and mistakes with their line."""

    rows: int
    new: int
    changed: int
    problems: tuple[tuple[int, str], ...]


def import_file(path: Path, *, zone: str, by: str) -> Report:
    """Write the events of a CSV file: at,kind,title and optionally minutes_before,minutes_after,action,symbols.

    zone   of times that name none
    A file with a mistake writes nothing. Raises OSError if it cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS[:3] if name not in (reader.fieldnames or ())]
        unknown = [name for name in reader.fieldnames or () if name not in _COLUMNS]
        if missing or unknown:
            what = f"the columns {', '.join(missing)} are missing" if missing else f"unknown columns {unknown}"
            return Report(0, 0, 0, ((1, f"{what}: write {','.join(_COLUMNS)}"),))
        problems: list[tuple[int, str]] = []
        events = [_event(row, reader.line_num, zone, f"{path.name} by {by}"[:120], problems) for row in reader]
    if problems:
        return Report(len(events), 0, 0, tuple(problems))
    new = changed = 0
    with transaction.atomic():
        for event in events:
            same = NewsEvent.objects.filter(at=event.at, kind=event.kind, title=event.title).first()
            if same is None:
                event.save()
                new += 1
            elif any(getattr(same, name) != getattr(event, name) for name in _COLUMNS):
                event.pk = same.pk
                event.save()
                changed += 1
    return Report(len(events), new, changed, ())


def _event(row: dict[str, str], line: int, zone: str, source: str, problems: list[tuple[int, str]]) -> NewsEvent:
    cells = {name: (row.get(name) or "").strip() for name in _COLUMNS}
    event = NewsEvent(title=cells["title"][:120], source=source)
    try:
        at = datetime.fromisoformat(cells["at"])
        event.at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        problems.append((line, f"at is {cells['at']!r}: write a time like 2026-12-10 07:30"))
    if not cells["title"]:
        problems.append((line, "title is empty"))
    for name, choices in (("kind", NewsEvent.Kind.values), ("action", NewsEvent.Action.values)):
        if cells[name] and cells[name] not in choices:
            problems.append((line, f"{name} is {cells[name]!r}: known are {', '.join(choices)}"))
        elif cells[name]:
            setattr(event, name, cells[name])
    for name in ("minutes_before", "minutes_after"):
        if cells[name] and not (cells[name].isdecimal() and int(cells[name]) <= LONGEST):
            problems.append((line, f"{name} is {cells[name]!r}: write whole minutes up to {LONGEST}"))
        elif cells[name]:
            setattr(event, name, int(cells[name]))
    symbols = cells["symbols"].replace(",", " ").upper().split()
    unknown = [symbol for symbol in symbols if symbol not in PRODUCTS]
    if unknown:
        problems.append((line, f"symbols has {', '.join(unknown)}: no such product"))
    event.symbols = " ".join(symbols)
    return event
