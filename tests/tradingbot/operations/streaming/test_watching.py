"""Limits held against quotes: the stream's arithmetic, and the operation that looks again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from brokers.projectx.hubs import Quote
from tests.factories import NOW
from tests.tradingbot.days import Day, traded
from tradingbot.models import Account
from tradingbot.operations import quotes
from tradingbot.operations.streaming import watching
from tradingbot.operations.streaming.watching import Holding, Watch, Watcher
from tradingbot.queues import redis

LONG = Holding("MNQ", 2, D(20_000), D(2))
WATCH = Watch(7, D(50_000), D(49_900), (LONG,))


def reached(price: int, *watches: Watch, contract: str = "MNQ") -> list[int]:
    watcher = Watcher()
    watcher.watch(list(watches))
    return watcher.reached(contract, D(price))


def test_a_limit_is_reached_at_its_equity_and_not_a_tick_before():
    # 2 contracts at $2 a point: 25 points are $100
    assert reached(19_975, WATCH) == [7]
    assert reached(19_976, WATCH) == []


def test_a_short_loses_when_the_price_rises():
    short = replace(WATCH, holdings=(replace(LONG, quantity=-2),))
    assert reached(20_025, short) == [7]
    assert reached(19_000, short) == []


def test_the_worse_side_of_the_quote_counts():
    watcher = Watcher()
    watcher.watch([WATCH])
    assert watcher.reached("MNQ", D(19_990), D(19_975), D(19_991)) == [7]  # a long closes at the bid
    assert watcher.reached("MNQ", D(19_990), D(19_976), D(1)) == []
    watcher.watch([replace(WATCH, holdings=(replace(LONG, quantity=-2),))])
    assert watcher.reached("MNQ", D(20_010), D(20_009), D(20_025)) == [7]  # and a short at the ask


def test_an_account_is_judged_by_all_its_positions_once_all_prices_are_known():
    both = replace(WATCH, holdings=(LONG, Holding("MES", -1, D(6_000), D(5))))
    watcher = Watcher()
    watcher.watch([both])
    assert watcher.reached("MNQ", D(19_975)) == []  # the other one's price is not known
    assert watcher.reached("MES", D(5_990)) == []  # it has won 50 dollars
    assert watcher.reached("MES", D(6_000)) == [7]


def test_other_contracts_and_quotes_without_a_price_say_nothing():
    assert reached(1, WATCH, contract="MYM") == []
    watcher = Watcher()
    watcher.watch([WATCH])
    assert watcher.reached("MNQ", None) == []


@pytest.fixture
def day(db, broker_queues) -> Day:
    return traded()


def tell(day: Day, last: str, bid: str | None = None) -> None:
    """Keep a quote as the stream does."""
    name = quotes.key(day.contract.venue, day.contract.broker_contract_id)
    quote = Quote(day.contract.broker_contract_id, NOW, last=D(last), bid=None if bid is None else D(bid))
    redis().set(name, quotes.pack(quote.at, quote.last, quote.bid, quote.ask), px=int(quotes.KEPT * 1000))


def test_what_is_watched_is_what_the_rows_say(day: Day):
    (watch,) = watching.watches(day.account.login, now=NOW)
    assert watch == Watch(
        day.account.pk,
        D("50120.50"),
        D(48_000),
        (Holding(day.contract.broker_contract_id, 2, D("20001.25"), D(2)),),
    )


def test_the_newest_quote_decides_where_the_bars_are_still_good(day: Day):
    assert watching.check(day.account, now=NOW) == ""
    tell(
        day, "20000.00", bid="19400.00"
    )  # 601.25 points on 2 contracts are $2,405: equity $47,715.50 below the floor of $48,000
    assert watching.check(day.account, now=NOW).startswith("Maximum loss reached: equity $47,715.50")
    account = Account.objects.get(pk=day.account.pk)
    assert account.trading_state == "halted"
    assert account.flatten_requested_at == NOW


def test_a_quote_tells_its_age(day: Day):
    tell(day, "20000.00")
    latest = quotes.latest(day.contract)
    assert latest is not None
    assert (latest.last, latest.bid, latest.at) == (D("20000.00"), None, NOW)
    assert 0 <= latest.age < 5
    redis().pexpire(quotes.key(day.contract.venue, day.contract.broker_contract_id), int((quotes.KEPT - 6) * 1000))
    assert quotes.latest(day.contract) is None
    assert quotes.latest(day.contract, max_age=10) is not None
