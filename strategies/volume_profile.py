"""Where a stretch of bars traded: volume by price, its value area and nodes, and who was the aggressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from market.bars import Bars, Int
from strategies.indicators import Float

VALUE_AREA = 0.70
HIGH_NODE = 0.70  # a peak of at least this share of the busiest bin is a high-volume node
LOW_NODE = 0.30  # a valley of at most this share is a low-volume node


@dataclass(frozen=True, slots=True)
class Profile:
    """Volume by price; `prices` are the middles of the bins in ticks, rounded down, lowest first.

    poc      point of control: the busiest price; of equals the one nearest to the middle of the range
    value_low, value_high   lowest and highest tick of the value area
    """

    prices: Int
    volume: Float
    poc: int
    value_low: int
    value_high: int

    @property
    def top_share(self) -> float:
        """Return the volume of the highest bin as a share of the busiest one's."""
        return float(self.volume[-1] / self.volume.max())

    @property
    def bottom_share(self) -> float:
        """Return the volume of the lowest bin as a share of the busiest one's."""
        return float(self.volume[0] / self.volume.max())

    @property
    def high_nodes(self) -> Int:
        """Return the prices of peaks of the volume, smoothed over three bins."""
        smooth, left, right = self._smooth()
        peak = (smooth >= left) & (smooth > right) & (smooth >= HIGH_NODE * smooth.max())
        return cast(Int, self.prices[peak])

    @property
    def low_nodes(self) -> Int:
        """Return the prices of valleys of the smoothed volume, which are never the outermost bins."""
        smooth, left, right = self._smooth()
        valley = (smooth <= left) & (smooth < right) & (smooth <= LOW_NODE * smooth.max())
        valley[[0, -1]] = False
        return cast(Int, self.prices[valley])

    def _smooth(self) -> tuple[Float, Float, Float]:
        """Return the smoothed volume, and that of the bin below and of the one above each."""
        volume = np.concatenate((self.volume[:1], self.volume, self.volume[-1:]))
        smooth = np.convolve(volume, np.ones(3) / 3, "valid")
        return smooth, np.append(-np.inf, smooth[:-1]), np.append(smooth[1:], -np.inf)


def profile(bars: Bars, bin_ticks: int) -> Profile | None:
    """Return the volume profile of `bars` in bins of so many ticks, None if nothing traded or no volume is known.

    A minute does not tell at which of its prices it traded: its volume is spread evenly over the bins from low to high.
    The value area grows from the busiest bin by the busier of the two bins above and the two below until it holds 70 %
    (of equals, by the upper). Source: J. P. Steidlmayer, K. Koy, "Markets and Market Logic" (1986); CBOT, "Market
    Profile" (1991).
    """
    if not bars.volume.sum():
        return None
    first, last = bars.low // bin_ticks, bars.high // bin_ticks
    lowest, count = int(first.min()), int(last.max() - first.min()) + 1
    each = bars.volume / (last - first + 1)
    change = np.bincount(first - lowest, each, count + 1) - np.bincount(last - lowest + 1, each, count + 1)
    volume = np.maximum(np.round(np.cumsum(change)[:count], 6), 0.0)
    numbers = np.arange(count)
    busiest = np.flatnonzero(volume == volume.max())
    poc = int(busiest[np.abs(busiest - (count - 1) / 2).argmin()])
    low, high = _value_area(volume, poc)
    prices = (numbers + lowest) * bin_ticks + (bin_ticks - 1) // 2
    return Profile(
        prices=prices,
        volume=volume,
        poc=int(prices[poc]),
        value_low=(low + lowest) * bin_ticks,
        value_high=(high + lowest + 1) * bin_ticks - 1,
    )


def delta_of(bars: Bars) -> Float:
    """Return per bar about how many contracts more were bought than sold at market, made of the bar alone.

    volume x (2 close - high - low) / (high - low): all bought if it closed at its high, all sold if at its low. Source:
    M. Chaikin's money flow. A bar of one price counts 0.
    """
    height = bars.high - bars.low
    share: Float = (2 * bars.close - bars.high - bars.low) / np.maximum(height, 1)
    return bars.volume * share


def _value_area(volume: Float, poc: int) -> tuple[int, int]:
    """Return the lowest and highest bin of the value area."""
    bins = volume.tolist()
    low = high = poc
    held, wanted = bins[poc], VALUE_AREA * sum(bins)
    while held < wanted and (low > 0 or high < len(bins) - 1):
        above, below = bins[high + 1 : high + 3], bins[max(0, low - 2) : low]
        if not below or (above and sum(above) >= sum(below)):
            high, held = high + len(above), held + sum(above)
        else:
            low, held = low - len(below), held + sum(below)
    return low, high
