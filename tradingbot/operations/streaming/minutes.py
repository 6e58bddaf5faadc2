"""Minutes from the stream into the bar cache, and their correction by what the venue's own bars say."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from market.bars import Bars, Timeframe, epoch, moment
from market.sessions import Session, trade_date_of
from tradingbot.clock import speed
from tradingbot.models import Contract
from tradingbot.operations import bars, calendar, contracts
from tradingbot.operations.bars.fetching import ticks
from tradingbot.operations.bars.storing import days, load
from tradingbot.operations.streaming import state
from tradingbot.operations.streaming.candles import Closed

log = logging.getLogger(__name__)

_BACK = timedelta(minutes=3)
_GRACE, _MACHINE_GRACE = 15.0, 3.0
"""Market and machine seconds that a stream has for a minute before it is fetched all the same."""


def are_due(contract: Contract, *, now: datetime) -> bool:
    """Return whether a closed minute has to be fetched: it is missing, and no stream is about to bring it."""
    if not bars.is_behind(contract, now=now):
        return False
    grace = timedelta(seconds=max(_GRACE, _MACHINE_GRACE * speed))
    return not state.delivers(contract) or bars.is_behind(contract, now=now - grace)


def record(contract: Contract, minute: Closed, *, now: datetime) -> bool:
    """Store a minute that was seen whole; False when an earlier one is still missing, which has to be fetched first."""
    opened_at = moment(minute.opened_at)
    session = _session(opened_at)
    if session is None:
        return True
    ends_at = opened_at + bars.MINUTE
    bars.record(
        contract,
        session.trade_date,
        Bars.of([minute.bar] if minute.bar else []),
        source="stream",
        covered_from=opened_at,
        covered_until=ends_at,
        now=now,
    )
    return bars.coverage(contract, session) >= ends_at


def correct(contract: Contract, until: datetime, *, now: datetime) -> int:
    """Read the venue's bars of the minutes before `until` and let them replace ours; returns how many differed.

    The delta of our trades stays where the venue counted as many contracts as they have; elsewhere it is unknown.
    Raises ReadFailed or NotSent.
    """
    session = _session(until - bars.MINUTE)
    if session is None:
        return 0
    start = max(until - _BACK, session.opens_at)
    reports = contracts.broker(contract).bars(contract.broker_contract_id, Timeframe.M1, start, until)
    told = Bars.of([ticks(report, contract.spec) for report in reports]).between(start, until)
    known = load(days(contract, session.trade_date, session.trade_date))
    ours = {bar.opened_at: bar for bar in known[0].between(start, until)} if known else {}
    differing = [bar for bar in told if bar.opened_at in ours and _prices(ours[bar.opened_at]) != _prices(bar)]
    for bar in differing:
        log.info("%s %s: the venue's bar is %s, ours was %s", contract, moment(bar.opened_at), bar, ours[bar.opened_at])
    for bar in told:
        if (mine := ours.get(bar.opened_at)) and mine.delta is not None and mine.volume != bar.volume:
            log.info(
                "%s %s: the venue counts %d contracts, we saw trades of %d: their delta is not kept",
                contract, moment(bar.opened_at), bar.volume, mine.volume,
            )  # fmt: skip
    if len(told):
        bars.record(
            contract,
            session.trade_date,
            told,
            source="venue",
            covered_from=start,
            covered_until=moment(told.opened_at[-1]) + bars.MINUTE,
            now=now,
        )
    return len(differing)


def _prices(bar: object) -> tuple[int, ...]:
    return tuple(getattr(bar, name) for name in ("open", "high", "low", "close"))


def _session(opened_at: datetime) -> Session | None:
    """Return the session in which a minute that opened then lies, None outside of all."""
    session = calendar.session_for(trade_date_of(opened_at))
    if session is None or not epoch(session.opens_at) <= epoch(opened_at) < epoch(session.closes_at):
        return None
    return session
