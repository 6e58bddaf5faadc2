"""Minutes of the stream in the bar cache, and when nobody needs to poll."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from market.bars import Bar, Bars, Timeframe, epoch
from tests.conftest import Stage
from tests.factories import NOW, ContractFactory
from tradingbot.models import BarDay, Contract
from tradingbot.operations import bars, calendar, contracts
from tradingbot.operations.bars.fetching import ticks
from tradingbot.operations.streaming import minutes, state
from tradingbot.operations.streaming.candles import Closed
from tradingbot.queues import redis

MINUTE = timedelta(minutes=1)


@pytest.fixture
def contract(stage: Stage) -> Contract:
    calendar.ensure_calendar(now=NOW)
    row = ContractFactory()
    bars.fetch(row, now=NOW + timedelta(seconds=3))  # until 09:20
    return row


def closed(opened_at, *prices: int) -> Closed:
    return Closed(epoch(opened_at), Bar(epoch(opened_at), *prices, 7))


def test_a_minute_that_follows_is_known_at_once(contract: Contract):
    assert minutes.record(contract, closed(NOW, 10, 12, 9, 11), now=NOW + MINUTE)
    day = BarDay.objects.get(contract=contract, trade_date=NOW.date())
    assert (day.covered_until, day.source) == (NOW + MINUTE, "stream")
    assert next(iter(day.bars[-1:])).close == 11 if day.bars.columns else False


def test_a_minute_without_a_trade_is_known_too(contract: Contract):
    before = BarDay.objects.get(contract=contract, trade_date=NOW.date()).count
    assert minutes.record(contract, Closed(epoch(NOW), None), now=NOW + MINUTE)
    day = BarDay.objects.get(contract=contract, trade_date=NOW.date())
    assert (day.covered_until, day.count) == (NOW + MINUTE, before)


def test_a_minute_after_a_hole_has_to_wait_for_it(contract: Contract):
    assert not minutes.record(contract, closed(NOW + MINUTE, 10, 12, 9, 11), now=NOW + 2 * MINUTE)
    assert bars.is_behind(contract, now=NOW + 2 * MINUTE + timedelta(seconds=3))


def test_a_minute_outside_of_every_session_is_none(contract: Contract):
    evening = NOW.replace(hour=22, minute=10)
    assert minutes.record(contract, closed(evening, 1, 1, 1, 1), now=evening + MINUTE)
    assert not BarDay.objects.filter(contract=contract, covered_until__gt=NOW + MINUTE).exists()


def test_the_venues_bars_replace_ours_and_differences_are_counted(contract: Contract, stage: Stage):
    stage.time.wait(minutes=2, seconds=5)
    minutes.record(contract, closed(NOW, 10, 12, 9, 11), now=NOW + MINUTE)
    assert minutes.correct(contract, NOW + MINUTE, now=stage.time.at) == 1
    told = stage.market.close(NOW + MINUTE)
    newest = BarDay.objects.get(contract=contract, trade_date=NOW.date()).bars
    assert int(newest.close[-1]) == told
    assert minutes.correct(contract, NOW + MINUTE, now=stage.time.at) == 0


@pytest.mark.parametrize(("counted", "kept"), [(0, 3), (1, None)])
def test_the_delta_stays_as_long_as_the_venue_counts_as_many_contracts(
    contract: Contract, stage: Stage, counted: int, kept: int | None
):
    stage.time.wait(minutes=2, seconds=5)
    (told,) = [bar for bar in venues_bars(contract) if bar.opened_at == epoch(NOW)]
    mine = Bar(epoch(NOW), told.close, told.close, told.close, told.close, told.volume + counted, delta=3)
    minutes.record(contract, Closed(epoch(NOW), mine), now=NOW + MINUTE)
    minutes.correct(contract, NOW + MINUTE, now=stage.time.at)
    newest = BarDay.objects.get(contract=contract, trade_date=NOW.date()).bars
    assert list(newest[-1:]) == [replace(told, delta=kept)]


def venues_bars(contract: Contract) -> list[Bar]:
    reports = contracts.broker(contract).bars(contract.broker_contract_id, Timeframe.M1, NOW, NOW + MINUTE)
    return [ticks(report, contract.spec) for report in reports]


def test_bars_are_not_fetched_while_a_stream_delivers_them_but_not_for_long(contract: Contract, broker_queues: None):
    at = NOW + MINUTE + timedelta(seconds=4)
    assert minutes.are_due(contract, now=at)
    redis().set(state.delivers_key(contract.pk), 1, px=5000)
    assert not minutes.are_due(contract, now=at)
    assert minutes.are_due(contract, now=at + timedelta(seconds=20))
    minutes.record(contract, closed(NOW, 10, 12, 9, 11), now=at)
    redis().delete(state.delivers_key(contract.pk))
    assert not minutes.are_due(contract, now=at)


def test_bars_of_the_stream_have_the_shape_of_all_bars(contract: Contract):
    minutes.record(contract, closed(NOW, 10, 12, 9, 11), now=NOW + MINUTE)
    found = bars.base(contract, since=NOW.date(), now=NOW + MINUTE)
    assert isinstance(found, Bars)
    assert (int(found.opened_at[-1]), int(found.high[-1]), int(found.volume[-1])) == (epoch(NOW), 12, 7)
