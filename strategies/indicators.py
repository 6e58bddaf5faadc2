"""Indicators over closed bars; each equals TA-Lib's on the window that it is given."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from market.bars import Bars

_MILLIONTH = Decimal("0.000001")


def atr(bars: Bars, period: int, window: int) -> Decimal | None:
    """Return Wilder's average true range in ticks after the last of `bars`, None with no more than `period` bars.

    window   at most so many bars are used, the newest. Wilder's average never forgets its first value: without a window
             it would depend on how far back one happens to look. TA-Lib seeds with the mean of the first `period` true
             ranges; a seed `n` bars ago weighs (1 - 1/period) ** n, below 1e-8 after 20 periods.

    Rounded to a millionth of a tick, so that machines agree on which way half a tick is rounded.
    Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978); TA-Lib, ta_ATR.c.
    """
    import talib

    used = bars[max(0, len(bars) - window) :]
    if len(used) <= period:
        return None
    high, low, close = (column.astype(np.float64) for column in (used.high, used.low, used.close))
    return Decimal(float(talib.ATR(high, low, close, timeperiod=period)[-1])).quantize(_MILLIONTH)
