from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from brokers.simulated import hours
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.products import LISTED, Listing, front, listed, product

DECEMBER = listed("CON.F.US.MNQ.Z26")
HALF_A_YEAR = [
    found for day in range(180) if (found := hours.session(date(2026, 5, 1) + timedelta(days=day))) is not None
]


def days(market: GeneratedMarket, month: Listing = DECEMBER) -> list[np.ndarray]:
    return [np.stack(market.minutes(month, session).columns) for session in HALF_A_YEAR]


def test_the_same_seed_makes_the_same_bars_whatever_was_asked_before():
    forward = days(GeneratedMarket(7))
    market = GeneratedMarket(7)
    backward = [np.stack(market.minutes(DECEMBER, session).columns) for session in reversed(HALF_A_YEAR)]
    alone = np.stack(GeneratedMarket(7).minutes(DECEMBER, HALF_A_YEAR[40]).columns)
    assert all((a == b).all() for a, b in zip(forward, backward[::-1], strict=True))
    assert (alone == forward[40]).all()


def test_seeds_and_products_make_different_days():
    session = HALF_A_YEAR[0]
    seven, eight = (GeneratedMarket(seed).minutes(DECEMBER, session) for seed in (7, 8))
    dow = GeneratedMarket(7).minutes(front(product("YM"), session.trade_date), session)
    assert not np.array_equal(seven.close, eight.close)
    assert abs(np.corrcoef(np.diff(seven.close), np.diff(dow.close))[0, 1]) < 0.2


def test_bars_are_bars_on_every_minute_of_their_session():
    for session, (opened_at, open_, high, low, close, volume) in zip(
        HALF_A_YEAR, days(GeneratedMarket(7)), strict=True
    ):
        assert (low <= np.minimum(open_, close)).all()
        assert (np.maximum(open_, close) <= high).all()
        assert (volume > 0).all()
        assert opened_at[0] == session.opens_at.timestamp()
        assert opened_at[-1] == session.closes_at.timestamp() - 60
        assert (np.diff(opened_at) == 60).all()


def test_a_thin_product_has_minutes_without_a_bar():
    session = HALF_A_YEAR[0]
    bars = GeneratedMarket(7).minutes(front(product("E7"), session.trade_date), session)
    assert 300 < len(bars) < 1380


def test_new_york_is_livelier_than_the_night_and_liveliest_at_the_open():
    ranges = np.array([high - low for _, _, high, low, _, _ in days(GeneratedMarket(7)) if len(high) == 1380])
    night, opening, lunch = (ranges[:, a:b].mean() for a, b in ((60, 540), (930, 960), (1110, 1170)))
    assert opening > 1.5 * lunch > 2 * night


def test_sessions_join_without_jumps_and_without_drifting_away():
    found = days(GeneratedMarket(7))
    gaps = [after[1][0] - before[4][-1] for before, after in pairwise(found)]
    daily = [high.max() - low.min() for _, _, high, low, _, _ in found]
    assert 0 < np.median(np.abs(gaps)) < np.median(daily) / 2
    closes = np.array([close[-1] for *_, close, _ in found]) / 4
    assert 0.6 < closes.min() / 21500 < closes.max() / 21500 < 1.6
    assert 0.005 < np.diff(np.log(closes)).std() < 0.015


@pytest.mark.parametrize("root", [product.root for product in LISTED])
def test_every_product_trades_near_its_reference(root):
    of = product(root)
    for day in (date(2012, 6, 5), date(2026, 11, 18), date(2045, 3, 8)):
        session = hours.session(day)
        assert session is not None
        bars = GeneratedMarket(3).minutes(front(of, day), session)
        assert len(bars) > 200
        assert 0.2 < float(bars.close[-1] * of.tick_size / of.reference) < 5


def test_months_of_a_product_move_together_and_the_later_one_is_dearer():
    session = hours.session(date(2026, 11, 18))
    assert session is not None
    market = GeneratedMarket(7)
    near, far = market.minutes(DECEMBER, session), market.minutes(listed("CON.F.US.MNQ.H27"), session)
    assert 1.004 < far.close[-1] / near.close[-1] < 1.014  # a quarter of 3.5 % a year
    assert far.volume.mean() < near.volume.mean() / 2


def test_a_contract_has_more_than_200_sessions_before_its_last_front_day():
    market, month = GeneratedMarket(7), front(product("MNQ"), date(2026, 9, 14))
    assert month.name == "MNQZ6"  # its first front day
    start = datetime(2025, 11, 1, tzinfo=UTC)
    traded = [s for s in hours.sessions(start, datetime(2026, 9, 13, tzinfo=UTC)) if len(market.minutes(month, s))]
    assert len(traded) > 200
    late = hours.session(date(2026, 12, 30))
    assert late is not None
    assert len(market.minutes(month, late)) == 0


@pytest.mark.parametrize(("root", "day", "name"), [
    ("MNQ", date(2024, 12, 13), "MNQZ4"),
    ("MNQ", date(2024, 12, 16), "MNQH5"),
    ("CL", date(2024, 12, 17), "CLF5"),
    ("CL", date(2024, 12, 18), "CLG5"),
    ("GC", date(2026, 11, 20), "GCZ6"),
    ("HE", date(2026, 12, 20), "HEG7"),
])  # fmt: skip
def test_the_front_month(root, day, name):
    assert front(product(root), day).name == name
