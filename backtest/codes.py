"""The numbers that kernel and reference share: columns of their arrays, and what they say of orders and trades."""

from __future__ import annotations

import zlib
from enum import IntEnum


class Policy(IntEnum):
    """How a bar is read that reached two prices of which only one can have come first.

    PESSIMISTIC   `market.matching.step`: the stop before the target, also in the bar of the entry; both sides of a pair
                  fill if the bar reached both
    OPTIMISTIC    the kindest reading that the bar allows: `backtest.kindness.step`
    DETAIL        shorter bars of the same minute, each read pessimistically; a pair's other side is cancelled between
                  two of them. Minutes without shorter bars are read whole
    """

    PESSIMISTIC = 0
    OPTIMISTIC = 1
    DETAIL = 2


class Reason(IntEnum):
    """Why a position, or a part of it, was closed."""

    STOP = 1
    TARGET = 2
    BREAKEVEN = 3  # a stop that had been moved to the entry
    TRAIL = 4  # a stop that had followed the price
    SIGNAL = 5  # the plan's exit_long or exit_short
    FLAT = 6  # the flat time of the strategy or of the session
    OPPOSITE = 7  # an entry of the other direction filled as well
    END = 8  # no further bar in the session
    PARTIAL = 9  # a partial target of the management
    HOLD = 10  # held for as long as the management allows


class Ending(IntEnum):
    """What became of an entry order."""

    WORKING = 0
    FILLED = 1
    CANCELLED = 2  # the other entry of its pair filled, or the position was flattened
    EXPIRED = 3


class Refusal(IntEnum):
    """Why a signal's entries were not placed."""

    WINDOW = 0  # at or after the flat time or their own end, or in a session that may not be traded
    PRICE = 1  # a stop entry that the close of the bar has reached already
    TAKEN = 2  # an entry of the same side works
    HALTED = 3  # both entries of a pair filled earlier in the session
    HELD = 4  # a position is open that the signal neither closes nor adds to
    DISTANCE = 5  # no stop, or one nearer than the venue takes
    SIDES = 6  # two sides that are no pair, or half of one
    ROOM = 7  # as many entries at once as the kernel has slots
    ADD = 8  # an addition without a position of its direction, or one too many
    SIZE = 9  # not even one contract loses at most the risk that an entry may have


REFUSALS = len(Refusal)
MOST_PARTIALS = 4
SLOTS = 16
"""Entries and positions that may exist at once."""

# columns of a signal, one row a plan row that asks for something
ROW, OCO, EXIT_LONG, EXIT_SHORT, TRAIL_TICKS, ADDS, QUANTITY, PARTS = range(8)
LONG = PARTS + MOST_PARTIALS  # where the columns of a side begin
KIND, PRICE, STOP_TICKS, TARGET_TICKS, EXPIRES, BREAKEVEN, PARTIALS = range(7)
SHORT = LONG + PARTIALS + MOST_PARTIALS
SIGNAL_COLUMNS = SHORT + PARTIALS + MOST_PARTIALS

# columns of an order in the log
O_SIGNAL, O_SIDE, O_KIND, O_PRICE, O_STOP, O_TARGET, O_PAIR, O_ENDING, O_ROW, O_FILL = range(10)
ORDER_COLUMNS = 10

# columns of a trade in the log; T_STOP is where the stop stood at the end
T_ORDER, T_SIDE, T_ENTRY_ROW, T_ENTRY, T_EXIT_ROW, T_EXIT, T_REASON, T_STOP, T_QUANTITY = range(9)
TRADE_COLUMNS = 9


def fingerprint() -> int:
    """Return a number that changes with any of these numbers: the kernel is compiled with them, see there."""
    lists = (list(one) for one in (Policy, Reason, Ending, Refusal))
    numbers = [value for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, int)]
    return zlib.crc32(repr([numbers, *([*map(int, one)] for one in lists)]).encode())
