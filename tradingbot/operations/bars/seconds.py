"""Bars of seconds: fetched as they are, kept an hour a row for 30 days; they are not made of minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from market.bars import Bars, Timeframe, epoch, join, merge, moment, pack
from tradingbot.models import BarHour, Contract
from tradingbot.operations import contracts
from tradingbot.operations.bars import counting, fetching
from tradingbot.operations.calendar import recent

KEPT = timedelta(days=30)
_HOUR = timedelta(hours=1)
_MOST_A_CALL = 20_000
_MOST_ROUNDS = 4
_CLOSED_FOR = timedelta(seconds=2)


def series(contract: Contract, timeframe: Timeframe, *, count: int, now: datetime) -> Bars:
    """Return the newest `count` closed bars of seconds; seconds without a trade have none, so it looks further back.

    Raises ReadFailed or NotSent when the venue is needed and does not answer.
    """
    wanted = max(1, -(-count * timeframe.seconds // 3600))
    bars = Bars.empty()
    for round_ in range(_MOST_ROUNDS):
        hours = _trading_hours(now, wanted * 4**round_ + 1)
        _fill(contract, timeframe, hours, now)
        rows = BarHour.objects.filter(contract=contract, seconds=timeframe.seconds, opened_at__in=hours)
        bars = join([row.bars for row in rows.order_by("opened_at")])
        if len(bars) >= count or len(hours) * 3600 // timeframe.seconds > _MOST_A_CALL * 2:
            break
    return bars[max(0, len(bars) - count) :]


def forget(*, now: datetime) -> int:
    """Delete the bars of seconds that are older than 30 days. Returns how many hours went."""
    return BarHour.objects.filter(opened_at__lt=now - KEPT).delete()[0]


def _trading_hours(now: datetime, number: int) -> list[datetime]:
    """Return the starts of the last `number` clock hours that lie in a session, oldest first."""
    hours: list[datetime] = []
    for session in reversed(recent(now, number // 20 + 3)):
        at = min(now, session.closes_at - timedelta(seconds=1)).replace(minute=0, second=0, microsecond=0)
        while at >= session.opens_at and len(hours) < number:
            hours.append(at)
            at -= _HOUR
    return hours[::-1]


def _fill(contract: Contract, timeframe: Timeframe, hours: list[datetime], now: datetime) -> None:
    """Read what is not covered of `hours`, in as few calls as the venue's limit allows."""
    rows = BarHour.objects.filter(contract=contract, seconds=timeframe.seconds, opened_at__in=hours)
    covered = dict(rows.values_list("opened_at", "covered_until"))
    closed = _last_closed(timeframe, now)
    lacking = [hour for hour in hours if covered.get(hour, hour) < min(closed, hour + _HOUR)]
    a_call = max(1, _MOST_A_CALL * timeframe.seconds // 3600)
    while lacking:
        part = [hour for hour in lacking if hour < lacking[0] + a_call * _HOUR]
        lacking = lacking[len(part) :]
        _read(contract, timeframe, part, covered.get(part[0], part[0]), min(closed, part[-1] + _HOUR), now)


def _read(
    contract: Contract, timeframe: Timeframe, hours: list[datetime], start: datetime, end: datetime, now: datetime
) -> None:
    counting.count(counting.Source.VENUE)
    reports = contracts.broker(contract).bars(contract.broker_contract_id, timeframe, start, end)
    bars = Bars.of([fetching.ticks(report, contract.spec) for report in reports])
    until = fetching.believed(bars, timedelta(seconds=timeframe.seconds), start, end, now)
    for hour in hours:
        if until > hour:
            _record(contract, timeframe, hour, bars.between(max(start, hour), hour + _HOUR), min(until, hour + _HOUR))


def _record(contract: Contract, timeframe: Timeframe, hour: datetime, bars: Bars, covered_until: datetime) -> None:
    with transaction.atomic():
        row, made = BarHour.objects.select_for_update(of=("self",)).get_or_create(
            contract=contract,
            seconds=timeframe.seconds,
            opened_at=hour,
            defaults={"data": pack(bars), "covered_until": covered_until},
        )
        if not made:
            row.data, row.covered_until = pack(merge(row.bars, bars)), max(row.covered_until, covered_until)
            row.save(update_fields=["data", "covered_until"])


def _last_closed(timeframe: Timeframe, now: datetime) -> datetime:
    settled = epoch(now - _CLOSED_FOR)
    return moment(settled - settled % timeframe.seconds)
