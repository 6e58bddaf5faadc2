"""Contracts as the venue lists them: the current month of each product, and the months before it."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from brokers.base import Broker, BrokerError, ContractReport, NotSent, Refused
from market.products import MONTH_CODES
from tradingbot.models import Contract, Login, Strategy
from tradingbot.operations import notifications, venues

log = logging.getLogger(__name__)

_CYCLES = {
    "HMUZ": "ES NQ RTY YM MES MNQ M2K MYM NKD 6A 6B 6C 6E 6J 6M 6N 6S E7 M6A M6B M6E ZT ZF ZN TN ZB UB",
    "GJMQZ": "GC MGC",
    "GJMQVZ": "LE",
    "HKNUZ": "SI SIL HG MHG ZC ZW",
    "FJNV": "PL",
    "FHKNQUX": "ZS",
    "FHKNQUVZ": "ZM ZL",
    "GJKMNQVZ": "HE",
}
"""Months in which a product mainly trades; all twelve for those not named. Source: CME contract specifications."""
_MONTHS = {symbol: cycle for cycle, symbols in _CYCLES.items() for symbol in symbols.split()}
_TRIES = 3
_EXPIRY = re.compile(rf"^(?P<stem>.+\.)(?P<month>[{MONTH_CODES}])(?P<year>\d\d)$")


def refresh(login: Login, *, now: datetime) -> int:
    """Store what the venue lists for `login`. Returns how many products have another current month than before.

    Raises ReadFailed or NotSent; an empty list changes nothing.
    """
    reports = venues.connect(login).contracts()
    with transaction.atomic():
        rows = Contract.objects.select_for_update().filter(venue=login.venue)
        before = dict(rows.filter(active=True).values_list("symbol", "broker_contract_id"))
        current = {report.contract.symbol: report for report in reports if report.active}
        rolled = {symbol for symbol, report in current.items() if before.get(symbol) not in (None, report.contract.id)}
        rows.filter(symbol__in=rolled, active=True).update(active=False)
        Contract.objects.bulk_create(
            [Contract(venue=login.venue, broker_contract_id=r.contract.id, **_listed(r, now)) for r in reports],
            update_conflicts=True,
            unique_fields=["venue", "broker_contract_id"],
            update_fields=list(_listed(reports[0], now)) if reports else ["seen_at"],
        )
    for symbol in rolled:
        _tell(login, symbol, before[symbol], current[symbol].name, now)
    return len(rolled)


def front(venue: str, symbol: str) -> Contract | None:
    """Return the current month of `symbol` at `venue`, None while the venue was not asked or lists none."""
    return Contract.objects.filter(venue=venue, symbol=symbol, active=True).first()


def broker(contract: Contract) -> Broker:
    """Return the venue that trades `contract`. Raises NotSent without an enabled login there."""
    login = Login.objects.filter(venue=contract.venue, enabled=True).order_by("pk").first()
    if login is None:
        raise NotSent(f"no login at {contract.venue} is enabled, so nothing can be asked about {contract}")
    return venues.connect(login)


def expiry(contract: Contract) -> tuple[int, int] | None:
    """Return year and month of the contract, None if its id does not tell."""
    match = _EXPIRY.match(contract.broker_contract_id)
    return (2000 + int(match["year"]), MONTH_CODES.index(match["month"]) + 1) if match else None


def before(contract: Contract) -> list[Contract]:
    """Return the known earlier months of the same product, newest first."""
    newest = expiry(contract)
    if newest is None:
        return []
    others = Contract.objects.filter(venue=contract.venue, symbol=contract.symbol).exclude(pk=contract.pk)
    dated = [(month, other) for other in others if (month := expiry(other)) is not None and month < newest]
    return [other for _, other in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def previous(contract: Contract, *, now: datetime) -> Contract | None:
    """Return the month before `contract` in the product's cycle, looked up at the venue unless it is known.

    None if the venue does not know it, or if the id does not tell its month.
    """
    for candidate in _months_before(contract):
        if known := Contract.objects.filter(venue=contract.venue, broker_contract_id=candidate).first():
            return known
        try:
            report = broker(contract).contract(candidate)
        except Refused:
            continue
        if report.contract.symbol == contract.symbol:
            return _store(contract.venue, replace(report, active=False), now)  # only `refresh` says which is current
    return None


def known(login: Login, broker_contract_id: str, *, now: datetime) -> Contract | None:
    """Return the contract, looked up at the venue unless it is known; None if that fails, until the next time.

    `refresh` stores current months alone, and positions and orders by hand may be in any.
    """
    if row := Contract.objects.filter(venue=login.venue, broker_contract_id=broker_contract_id).first():
        return row
    try:
        report = venues.connect(login).contract(broker_contract_id)
    except BrokerError as error:
        log.error("%s: contract %s is not known and cannot be looked up: %s", login, broker_contract_id, error)
        return None
    return _store(login.venue, replace(report, active=False), now)


def _store(venue: str, report: ContractReport, now: datetime) -> Contract:
    row, _ = Contract.objects.update_or_create(
        venue=venue, broker_contract_id=report.contract.id, defaults=_listed(report, now)
    )
    return row


def _listed(report: ContractReport, now: datetime) -> dict[str, Any]:
    return {
        "symbol": report.contract.symbol,
        "name": report.name,
        "description": report.description[:200],
        "tick_size": report.contract.tick_size,
        "tick_value": report.contract.tick_value,
        "active": report.active,
        "seen_at": now,
    }


def _months_before(contract: Contract) -> list[str]:
    """Return the ids that the months before may have, the nearest first."""
    match = _EXPIRY.match(contract.broker_contract_id)
    if match is None:
        return []
    cycle = _MONTHS.get(contract.symbol, MONTH_CODES)
    newest = int(match["year"]), MONTH_CODES.index(match["month"])
    months = [(year, month) for year in (newest[0], newest[0] - 1) for month in reversed(cycle)]
    earlier = [(year, month) for year, month in months if (year, MONTH_CODES.index(month)) < newest]
    return [f"{match['stem']}{month}{year % 100:02}" for year, month in earlier[:_TRIES]]


def _tell(login: Login, symbol: str, old: str, new: str, now: datetime) -> None:
    if Strategy.objects.filter(account__login=login, symbol=symbol, enabled=True).exists():
        notifications.notify(
            "system",
            f"{symbol} rolled to {new}",
            body=f"The venue's current month was {old}. The plan of the next session uses the new one.",
            key=f"roll-{login.venue}-{new}",
            now=now,
        )
    log.info("%s: %s rolled from %s to %s", login, symbol, old, new)
