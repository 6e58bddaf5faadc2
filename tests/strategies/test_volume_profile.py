import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import Bars
from strategies.volume_profile import VALUE_AREA, delta_of, profile


def traded(*rows: tuple[int, int, int]) -> Bars:
    """Return bars of (low, high, volume) that close at their high."""
    low, high, volume = (np.array(column) for column in zip(*rows, strict=True))
    return Bars(np.arange(len(rows)) * 60, low, high, low, high, volume)


def test_volume_is_spread_evenly_over_the_prices_of_a_bar():
    found = profile(traded((100, 103, 40), (102, 102, 5)), 1)
    assert (found.prices.tolist(), found.volume.tolist()) == ([100, 101, 102, 103], [10, 10, 15, 10])
    assert found.poc == 102


def test_bins_are_aligned_and_named_by_their_middle():
    # bins of four ticks from multiples of four: 100 to 103 and 104 to 107
    found = profile(traded((101, 105, 40)), 4)
    assert (found.prices.tolist(), found.volume.tolist()) == ([101, 105], [20, 20])
    assert found.top_share == found.bottom_share == 1


def test_of_equally_busy_prices_the_middle_one_is_the_point_of_control():
    assert profile(traded((100, 104, 50)), 1).poc == 102


def test_the_value_area_grows_by_the_busier_two_prices():
    # 70 % of 100 are 70. From 50 at 103: above 104, 105 hold 8, below 101, 102 hold 18: down to 68; then above 12 + 2
    # against 4: up to 76
    volumes = {100: 4, 101: 6, 102: 12, 103: 50, 104: 6, 105: 2, 106: 12, 107: 8}
    found = profile(traded(*((price, price, volume) for price, volume in volumes.items())), 1)
    assert (found.poc, found.value_low, found.value_high) == (103, 101, 105)


def test_nodes_are_peaks_and_valleys():
    volumes = [10, 60, 100, 60, 10, 2, 1, 2, 10, 50, 80, 50, 10]
    found = profile(traded(*((100 + n, 100 + n, volume) for n, volume in enumerate(volumes))), 1)
    assert found.high_nodes.tolist() == [102, 110]  # 60 of 73 smoothed is above 70 %
    assert found.low_nodes.tolist() == [106]
    assert found.top_share == found.bottom_share == 0.1


def test_no_volume_makes_no_profile():
    assert profile(traded((100, 103, 0)), 1) is None
    assert profile(Bars.empty(), 4) is None


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60), st.integers(0, 500)), min_size=1, max_size=30),
    st.integers(1, 12),
)
def test_a_profile_holds_all_volume_and_its_value_area_seventy_percent(rows, bin_ticks):
    bars = traded(*((low, low + height, volume) for low, height, volume in rows))
    found = profile(bars, bin_ticks)
    if found is None:
        assert bars.volume.sum() == 0
        return
    assert found.volume.sum() == pytest.approx(bars.volume.sum(), abs=1e-4)
    assert found.value_low <= found.poc <= found.value_high
    inside = (found.prices >= found.value_low) & (found.prices <= found.value_high)
    assert found.volume[inside].sum() >= VALUE_AREA * found.volume.sum() - 1e-6
    assert not set(found.high_nodes.tolist()) & set(found.low_nodes.tolist())


def test_the_approximated_delta_says_where_in_its_range_a_bar_closed():
    bars = Bars(
        np.arange(4) * 60,
        np.full(4, 100),
        np.array([110, 110, 110, 100]),
        np.array([100, 100, 100, 100]),
        np.array([110, 100, 105, 100]),
        np.array([7, 7, 7, 7]),
    )
    assert delta_of(bars).tolist() == [7, -7, 0, 0]
