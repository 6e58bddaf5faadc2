"""The event loop, compiled: bars and a plan in, orders and trades out; everything int64.

It jumps from event to event: while no price or time that matters is reached, a bar costs two comparisons. What
happens in an event is `market.matching.step` and the management of `operations.orders`; `backtest.reference` is the
same loop in plain Python upon that very function, and a property holds the two equal.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from backtest.codes import (
    ADDS,
    BREAKEVEN,
    EXIT_LONG,
    EXIT_SHORT,
    EXPIRES,
    KIND,
    LONG,
    MOST_PARTIALS,
    O_ENDING,
    O_FILL,
    O_KIND,
    O_PAIR,
    O_PRICE,
    O_ROW,
    O_SIDE,
    O_SIGNAL,
    O_STOP,
    O_TARGET,
    OCO,
    ORDER_COLUMNS,
    PARTIALS,
    PARTS,
    PRICE,
    QUANTITY,
    REFUSALS,
    ROW,
    SHORT,
    SLOTS,
    STOP_TICKS,
    T_ENTRY,
    T_ENTRY_ROW,
    T_EXIT,
    T_EXIT_ROW,
    T_ORDER,
    T_QUANTITY,
    T_REASON,
    T_SIDE,
    T_STOP,
    TARGET_TICKS,
    TRADE_COLUMNS,
    TRAIL_TICKS,
    Ending,
    Policy,
    Reason,
    Refusal,
    fingerprint,
)
from market.plans import Kind

# numba keeps machine code as long as this one file stays as it is, whatever becomes of the files that it imports from:
# whoever changes a number in `backtest.codes` has to touch this line, and thereby this file
if fingerprint() != 0x3FDB57D1:
    raise ImportError(f"backtest.codes has changed: compare kernel.py with {fingerprint():#x}, not the number before")

_NONE, _MARKET, _LIMIT, _STOP = (int(kind) for kind in Kind)
_OPTIMISTIC, _DETAIL = int(Policy.OPTIMISTIC), int(Policy.DETAIL)
_BY_STOP, _BY_TARGET, _BY_BREAKEVEN, _BY_TRAIL, _BY_SIGNAL = (int(r) for r in list(Reason)[:5])
_BY_FLAT, _BY_OPPOSITE, _BY_END, _BY_PARTIAL, _BY_HOLD = (int(r) for r in list(Reason)[5:])
_FILLED, _CANCELLED, _EXPIRED = int(Ending.FILLED), int(Ending.CANCELLED), int(Ending.EXPIRED)
_WINDOW, _WRONG_PRICE, _TAKEN, _HALTED, _HELD, _DISTANCE, _SIDES, _ROOM, _ADD, _SIZE = (int(r) for r in Refusal)

# a slot: free, with an entry that works, or with an open position
_STATE, _SIDE, _TYPE, _AT, _UNTIL, _PAIR, _STOP_DISTANCE, _TARGET_DISTANCE, _TRAIL, _BREAKEVEN = range(10)
_SL, _TP, _ENTRY, _ENTRY_ROW, _BEST, _ORDER, _AGE, _BY, _LEFT, _DONE, _TAKE, _GO, _FILLED_AT, _SIGNAL = range(10, 24)
_COLUMNS = 24
_FREE, _WORKING, _OPEN = 0, 1, 2

# what runs along
_TRADES, _ORDERS, _LEAVE, _HALTED_ON, _FILLS, _PAIR_WORKS, _ADDED, _USED = range(8)
_COUNTERS = 8

_FAR = 1 << 60

# one signature each: without it numba makes a version of every helper for every literal that it is called with
_INT, _BOOL, _NOTHING = numba.int64, numba.boolean, numba.void
_LINE, _TABLE, _FLAGS = numba.int64[::1], numba.int64[:, ::1], numba.boolean[::1]
_FOUR = numba.types.UniTuple(numba.int64, 4)  # type: ignore[no-untyped-call]
_LOGS = numba.types.Tuple((_TABLE, _TABLE, _LINE))  # type: ignore[no-untyped-call]

_BLOCK = 8  # bars that are looked at together


def _part(signature: Any) -> Any:
    """Compile a part of the loop, which allocates nothing: references to the tables that it is handed are not counted.

    Counting them took up to a fourth of the time.
    """
    return numba.njit(signature, cache=True, _nrt=False)  # type: ignore[call-overload]


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _INT, _INT, _INT, _INT, _INT))
def _close_part(slots, now, trades, slot, row, price, reason, quantity):  # type: ignore[no-untyped-def]
    number = now[_TRADES]
    trades[number, T_ORDER] = slots[slot, _ORDER]
    trades[number, T_SIDE] = slots[slot, _SIDE]
    trades[number, T_ENTRY_ROW] = slots[slot, _ENTRY_ROW]
    trades[number, T_ENTRY] = slots[slot, _ENTRY]
    trades[number, T_EXIT_ROW] = row
    trades[number, T_EXIT] = price
    trades[number, T_REASON] = reason
    trades[number, T_STOP] = slots[slot, _SL]
    trades[number, T_QUANTITY] = quantity
    now[_TRADES] += 1
    slots[slot, _LEFT] -= quantity
    if slots[slot, _LEFT] == 0:
        slots[slot, _STATE] = _FREE


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _INT, _INT, _INT, _INT))
def _close(slots, now, trades, slot, row, price, reason):  # type: ignore[no-untyped-def]
    _close_part(slots, now, trades, slot, row, price, reason, slots[slot, _LEFT])


@_part(_NOTHING(_TABLE, _TABLE, _INT, _INT, _INT))
def _end_entry(slots, orders, slot, row, ending):  # type: ignore[no-untyped-def]
    orders[slots[slot, _ORDER], O_ENDING] = ending
    orders[slots[slot, _ORDER], O_ROW] = row
    slots[slot, _STATE] = _FREE


@_part(_NOTHING(_TABLE, _TABLE, _INT, _INT, _INT))
def _cancel(slots, orders, row, ending, pair):  # type: ignore[no-untyped-def]
    """End the entries that work, those of one pair only unless it is negative."""
    for slot in range(len(slots)):
        if slots[slot, _STATE] == _WORKING and (pair < 0 or slots[slot, _PAIR] == pair):
            _end_entry(slots, orders, slot, row, ending)


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _TABLE, _INT, _INT, _LINE, _INT, _BOOL, _INT, _BOOL))
def _enter(slots, now, orders, trades, slot, row, bar, price, at_open, slip, kind):  # type: ignore[no-untyped-def]
    """Fill the entry of `slot` at `price` before slippage, then let its legs meet the bar (rules 3 and 5)."""
    high, low, close = bar[1], bar[2], bar[3]
    side, order = slots[slot, _SIDE], slots[slot, _ORDER]
    limit = slots[slot, _TYPE] == _LIMIT
    fill = price if limit else price + side * slip
    orders[order, O_ENDING], orders[order, O_ROW], orders[order, O_FILL] = _FILLED, row, fill
    stop, target = fill - side * slots[slot, _STOP_DISTANCE], fill + side * slots[slot, _TARGET_DISTANCE]
    best, worst = (high, low) if side > 0 else (low, high)
    slots[slot, _STATE], slots[slot, _ENTRY], slots[slot, _ENTRY_ROW] = _OPEN, fill, row
    slots[slot, _SL], slots[slot, _TP], slots[slot, _BY] = stop, target, _BY_STOP
    slots[slot, _AGE], slots[slot, _DONE], slots[slot, _TAKE], slots[slot, _GO] = now[_FILLS], 0, 0, 0
    now[_FILLS] += 1
    aims = slots[slot, _TARGET_DISTANCE] > 0
    if kind:
        if slots[slot, _PAIR] >= 0:
            _cancel(slots, orders, row, _CANCELLED, slots[slot, _PAIR])
        if aims and (best - target) * side > 0:
            through = (price - target) * side > 0
            _close(slots, now, trades, slot, row, price if through else target, _BY_TARGET)
        elif (stop - price) * side >= 0:
            _close(slots, now, trades, slot, row, price - side * slip, _BY_STOP)
        elif (stop - (worst if at_open else close)) * side >= 0:
            _close(slots, now, trades, slot, row, stop - side * slip, _BY_STOP)
        return
    if (stop - price) * side >= 0:
        _close(slots, now, trades, slot, row, price - side * slip, _BY_STOP)
    elif (stop - worst) * side >= 0:
        _close(slots, now, trades, slot, row, stop - side * slip, _BY_STOP)
    elif aims and (price - target) * side > 0:
        _close(slots, now, trades, slot, row, price, _BY_TARGET)
    elif aims and ((best if at_open or not limit else close) - target) * side > 0:
        _close(slots, now, trades, slot, row, target, _BY_TARGET)


@_part(_INT(_TABLE, _INT, _INT, _INT, _INT, _INT, _INT))
def _note(found, count, key, side, order, slot, role):  # type: ignore[no-untyped-def]
    """Insert an order into the sorted ones: the smaller key first, of equals the buy, then the older."""
    at = count
    while at > 0 and (
        found[at - 1, 0] > key
        or (found[at - 1, 0] == key and found[at - 1, 1] > -side)
        or (found[at - 1, 0] == key and found[at - 1, 1] == -side and found[at - 1, 2] > 3 * order + role)
    ):
        for column in range(5):  # a whole row at once takes seconds to compile
            found[at, column] = found[at - 1, column]
        at -= 1
    found[at, 0], found[at, 1], found[at, 2], found[at, 3], found[at, 4] = key, -side, 3 * order + role, slot, role
    return count + 1


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _TABLE, _TABLE, _INT, _LINE, _INT, _BOOL))
def _step(slots, now, orders, trades, found, row, bar, slip, kind):  # type: ignore[no-untyped-def]
    """Do what `market.matching.step` does, with `kind` what `backtest.kindness.step` does."""
    opened, high, low = bar[0], bar[1], bar[2]
    count = 0
    for slot in range(len(slots)):  # rule 1, ordered by id alone: key and side are constant but for limits
        side, order = slots[slot, _SIDE], slots[slot, _ORDER]
        if slots[slot, _STATE] == _WORKING:
            ahead = (opened - slots[slot, _AT]) * side
            if slots[slot, _TYPE] == _MARKET or (slots[slot, _TYPE] == _STOP and ahead >= 0):
                count = _note(found, count, 0, 0, order, slot, 0)
            elif slots[slot, _TYPE] == _LIMIT and ahead < 0:
                count = _note(found, count, 1, 0, order, slot, 0)
        elif slots[slot, _STATE] == _OPEN:
            if (slots[slot, _SL] - opened) * side >= 0:
                count = _note(found, count, 0, 0, order, slot, 1)
            elif slots[slot, _TARGET_DISTANCE] > 0 and (opened - slots[slot, _TP]) * side > 0:
                count = _note(found, count, 1, 0, order, slot, 2)
    for at in range(count):
        slot, role = found[at, 3], found[at, 4]
        if role == 0 and slots[slot, _STATE] == _WORKING:
            _enter(slots, now, orders, trades, slot, row, bar, opened, True, slip, kind)
        elif role == 1 and slots[slot, _STATE] == _OPEN:
            _close(slots, now, trades, slot, row, opened - slots[slot, _SIDE] * slip, slots[slot, _BY])
        elif role == 2 and slots[slot, _STATE] == _OPEN:
            _close(slots, now, trades, slot, row, opened, _BY_TARGET)
    count = 0
    for slot in range(len(slots)):  # rule 2
        side, order = slots[slot, _SIDE], slots[slot, _ORDER]
        if slots[slot, _STATE] == _WORKING and slots[slot, _TYPE] != _MARKET:
            price = slots[slot, _AT]
            if slots[slot, _TYPE] == _STOP:
                reached = ((high if side > 0 else low) - price) * side >= 0
            else:
                reached = ((low if side > 0 else high) - price) * side < 0
            if reached:
                count = _note(found, count, abs(price - opened), side, order, slot, 0)
        elif slots[slot, _STATE] == _OPEN:
            stop, target = slots[slot, _SL], slots[slot, _TP]
            if (stop - (low if side > 0 else high)) * side >= 0:
                count = _note(found, count, abs(stop - opened), -side, order, slot, 1)
            if slots[slot, _TARGET_DISTANCE] > 0 and ((high if side > 0 else low) - target) * side > 0:
                count = _note(found, count, abs(target - opened), -side, order, slot, 2)
    for at in range(count):
        slot, role = found[at, 3], found[at, 4]
        side = slots[slot, _SIDE]
        if role == 0 and slots[slot, _STATE] == _WORKING:
            _enter(slots, now, orders, trades, slot, row, bar, slots[slot, _AT], False, slip, kind)
        elif role > 0 and slots[slot, _STATE] == _OPEN:
            other = False  # whether the sibling was reached too
            for near in range(count):
                other = other or (found[near, 3] == slot and found[near, 4] == 3 - role)
            if (role == 1 and not (kind and other)) or (role == 2 and not kind and other):
                _close(slots, now, trades, slot, row, slots[slot, _SL] - side * slip, slots[slot, _BY])
            else:
                _close(slots, now, trades, slot, row, slots[slot, _TP], _BY_TARGET)


@_part(_INT(_TABLE, _INT))
def _oldest(slots, side):  # type: ignore[no-untyped-def]
    """Return the slot of the oldest open position of that direction, of any for 0; -1 without one."""
    oldest = -1
    for slot in range(len(slots)):
        mine = slots[slot, _STATE] == _OPEN and side * slots[slot, _SIDE] >= 0
        if mine and (oldest < 0 or slots[slot, _AGE] < slots[oldest, _AGE]):
            oldest = slot
    return oldest


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _TABLE, _INT, _INT))
def _settle(slots, now, orders, trades, row, date):  # type: ignore[no-untyped-def]
    """Cancel the other entry of a pair that has filled. Both filled, or positions both ways: give up (`fills.record`).

    What an entry closes of the other direction, first in, first out, is closed at its fill; the rest leaves.
    """
    pair = now[_PAIR_WORKS]
    both = False
    if pair >= 0:
        long, short = orders[pair, O_ENDING], orders[pair + 1, O_ENDING]
        both = long == _FILLED and short == _FILLED
        if both:
            now[_HALTED_ON] = date
            _cancel(slots, orders, row, _CANCELLED, -1)
        elif _FILLED in (long, short):
            _cancel(slots, orders, row, _CANCELLED, pair)
        if long != 0 or short != 0:
            now[_PAIR_WORKS] = -1
    while True:
        long, short = _oldest(slots, 1), _oldest(slots, -1)
        if long < 0 or short < 0:
            break
        both = True
        older, younger = (long, short) if slots[long, _AGE] < slots[short, _AGE] else (short, long)
        quantity = min(slots[older, _LEFT], slots[younger, _LEFT])
        _close_part(slots, now, trades, older, row, slots[younger, _ENTRY], _BY_OPPOSITE, quantity)
        slots[younger, _LEFT] -= quantity
        if slots[younger, _LEFT] == 0:
            slots[younger, _STATE] = _FREE
    if both and _oldest(slots, 0) >= 0:
        now[_LEAVE] = _BY_OPPOSITE


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _INT, _INT, _INT))
def _leave(slots, now, trades, row, price, slip):  # type: ignore[no-untyped-def]
    """Close at `price` what leaves, the oldest first: all of it, or what management has decided."""
    if now[_LEAVE]:
        slot = _oldest(slots, 0)
        while slot >= 0:
            _close(slots, now, trades, slot, row, price - slots[slot, _SIDE] * slip, now[_LEAVE])
            slot = _oldest(slots, 0)
        now[_LEAVE] = 0
        return
    for slot in range(len(slots)):
        if slots[slot, _STATE] == _OPEN:
            at = price - slots[slot, _SIDE] * slip
            if slots[slot, _GO]:
                _close(slots, now, trades, slot, row, at, slots[slot, _GO])
            elif slots[slot, _TAKE]:
                _close_part(slots, now, trades, slot, row, at, _BY_PARTIAL, slots[slot, _TAKE])
                slots[slot, _TAKE] = 0


@_part(_INT(_TABLE, _TABLE, _INT))
def _goal(slots, signals, slot):  # type: ignore[no-untyped-def]
    """Return the profit in ticks at which the next part of a position is closed."""
    signal, part = signals[slots[slot, _SIGNAL]], slots[slot, _DONE]
    if part == MOST_PARTIALS or signal[PARTS + part] == 0:
        return _FAR
    return signal[(LONG if slots[slot, _SIDE] > 0 else SHORT) + PARTIALS + part]


@_part(_NOTHING(_TABLE, _TABLE, _INT, _INT, _LINE, _INT, _INT))
def _manage(slots, signals, row, at, bar, offset, hold):  # type: ignore[no-untyped-def]
    """Decide about open positions after a closed bar, effective from the next one; see `operations.orders.manage`."""
    for slot in range(len(slots)):
        if slots[slot, _STATE] != _OPEN:
            continue
        side, entry = slots[slot, _SIDE], slots[slot, _ENTRY]
        best = bar[1] if side > 0 else bar[2]
        if slots[slot, _ENTRY_ROW] == row:  # its extreme may be older than the fill
            market = slots[slot, _TYPE] == _MARKET
            slots[slot, _BEST] = best if market else bar[3]
            slots[slot, _FILLED_AT] = at if market else at + 60
        elif (best - slots[slot, _BEST]) * side > 0:
            slots[slot, _BEST] = best
        gain = (slots[slot, _BEST] - entry) * side
        wanted = entry + side * offset
        if 0 < slots[slot, _BREAKEVEN] <= gain and (wanted - slots[slot, _SL]) * side > 0:
            slots[slot, _SL], slots[slot, _BY] = wanted, _BY_BREAKEVEN
        wanted = slots[slot, _BEST] - side * slots[slot, _TRAIL]
        if slots[slot, _TRAIL] and (wanted - slots[slot, _SL]) * side > 0:
            slots[slot, _SL], slots[slot, _BY] = wanted, _BY_TRAIL
        signal = signals[slots[slot, _SIGNAL]]
        goal = _goal(slots, signals, slot)
        while goal <= gain:
            slots[slot, _TAKE] += signal[PARTS + slots[slot, _DONE]]
            slots[slot, _DONE] += 1
            goal = _goal(slots, signals, slot)
        if hold and at + 60 >= slots[slot, _FILLED_AT] + hold:
            slots[slot, _GO] = _BY_HOLD


@_part(_INT(_TABLE, _LINE, _TABLE, _INT, _INT, _INT, _INT, _BOOL, _INT, _INT, _INT))
def _refusal(slots, now, signals, number, close, closed_at, flat, tradeable, date, least, most_adds):  # type: ignore[no-untyped-def]
    """Return why the entries of a signal are not placed, -1 if they are."""
    signal, sides = signals[number], 0
    for first in (LONG, SHORT):
        if signal[first + KIND]:
            sides += 1
            if not tradeable or closed_at >= flat or signal[first + EXPIRES] <= closed_at:
                return _WINDOW
    if now[_HALTED_ON] == date:
        return _HALTED
    if (sides == 2) != (signal[OCO] != 0):
        return _SIDES
    held = 0 if now[_LEAVE] else _oldest(slots, 0) + 1
    if held and not signal[ADDS]:
        return _HELD
    free = SLOTS
    for slot in range(len(slots)):
        free -= slots[slot, _STATE] != _FREE
    for side, first in ((1, LONG), (-1, SHORT)):
        if not signal[first + KIND]:
            continue
        if signal[ADDS] and (not held or slots[held - 1, _SIDE] != side or now[_ADDED] >= most_adds):
            return _ADD
        if signal[first + KIND] == _STOP and (signal[first + PRICE] - close) * side <= 0:
            return _WRONG_PRICE
        if signal[first + STOP_TICKS] < least:
            return _DISTANCE
        for slot in range(len(slots)):
            if slots[slot, _STATE] == _WORKING and slots[slot, _SIDE] == side:
                return _TAKEN
    if signal[QUANTITY] < 1:
        return _SIZE
    return -1 if free >= sides else _ROOM


@_part(_NOTHING(_TABLE, _LINE, _TABLE, _TABLE, _INT))
def _place(slots, now, orders, signals, number):  # type: ignore[no-untyped-def]
    signal = signals[number]
    pair = now[_ORDERS] if signal[OCO] else -1
    if pair >= 0:
        now[_PAIR_WORKS] = pair
    now[_ADDED] = now[_ADDED] + 1 if signal[ADDS] else 0
    for side, first in ((1, LONG), (-1, SHORT)):
        if not signal[first + KIND]:
            continue
        slot = 0
        while slots[slot, _STATE] != _FREE:
            slot += 1
        order = now[_ORDERS]
        now[_ORDERS] += 1
        now[_USED] = max(now[_USED], slot + 1)
        slots[slot, _STATE], slots[slot, _SIDE], slots[slot, _TYPE] = _WORKING, side, signal[first + KIND]
        slots[slot, _AT], slots[slot, _UNTIL] = signal[first + PRICE], signal[first + EXPIRES]
        slots[slot, _PAIR], slots[slot, _ORDER], slots[slot, _SIGNAL] = pair, order, number
        slots[slot, _STOP_DISTANCE] = signal[first + STOP_TICKS]
        slots[slot, _TARGET_DISTANCE] = signal[first + TARGET_TICKS]
        slots[slot, _TRAIL], slots[slot, _BREAKEVEN] = signal[TRAIL_TICKS], signal[first + BREAKEVEN]
        slots[slot, _LEFT] = signal[QUANTITY]
        orders[order, O_SIGNAL], orders[order, O_SIDE], orders[order, O_KIND] = number, side, signal[first + KIND]
        orders[order, O_PRICE], orders[order, O_PAIR], orders[order, O_ROW] = signal[first + PRICE], pair, -1
        orders[order, O_STOP], orders[order, O_TARGET] = signal[first + STOP_TICKS], signal[first + TARGET_TICKS]


@_part(_FOUR(_TABLE, _LINE, _TABLE, _INT, _INT))
def _watch(slots, now, signals, offset, hold):  # type: ignore[no-untyped-def]
    """Return what the next event needs: a high at or above, a low at or below, or a bar that opens at or after."""
    above, below, until = _FAR, -_FAR, _FAR
    alive = False
    for slot in range(len(slots)):
        state, side = slots[slot, _STATE], slots[slot, _SIDE]
        if state == _FREE:
            continue
        alive = True
        if state == _WORKING:
            until = min(until, slots[slot, _UNTIL])
            at, kind = slots[slot, _AT], slots[slot, _TYPE]
            if kind == _MARKET:
                until = -_FAR
            elif (kind == _STOP) == (side > 0):
                above = min(above, at if kind == _STOP else at + 1)
            else:
                below = max(below, at if kind == _STOP else at - 1)
            continue
        stop, entry = slots[slot, _SL], slots[slot, _ENTRY]
        if now[_LEAVE] or slots[slot, _GO] or slots[slot, _TAKE]:
            until = -_FAR
        if hold:
            until = min(until, slots[slot, _FILLED_AT] + hold - 60)
        gain = _goal(slots, signals, slot)  # the profit at which management or the target acts
        if slots[slot, _BREAKEVEN] and (entry + side * offset - stop) * side > 0:
            gain = min(gain, slots[slot, _BREAKEVEN])
        if slots[slot, _TRAIL]:
            gain = min(gain, max(side * slots[slot, _BEST], side * stop + slots[slot, _TRAIL]) - side * entry + 1)
        if slots[slot, _TARGET_DISTANCE] > 0:
            gain = min(gain, (slots[slot, _TP] - entry) * side + 1)
        if side > 0:
            above, below = min(above, entry + gain), max(below, stop)
        else:
            above, below = min(above, stop), max(below, entry - gain)
    return alive, above, below, until


@_part(_INT(_LINE, _INT, _INT, _INT))
def _first_from(column, value, row, end):  # type: ignore[no-untyped-def]
    """Return the first row of `row` to `end` that is not below `value` in a column that rises, `end` if all are."""
    while row < end:
        middle = (row + end) // 2
        if column[middle] < value:
            row = middle + 1
        else:
            end = middle
    return row


@_part(_INT(_LINE, _LINE, _INT, _INT, _INT, _INT))
def _reaching(highs, lows, row, end, above, below):  # type: ignore[no-untyped-def]
    """Return the first row of `row` to `end` whose bar reaches one of the prices, `end` if none does."""
    while row + _BLOCK <= end:
        reached = False
        for at in range(row, row + _BLOCK):  # without a way out, so that the processor takes several at once
            reached |= (highs[at] >= above) | (lows[at] <= below)
        if reached:
            break
        row += _BLOCK
    while row < end and highs[row] < above and lows[row] > below:
        row += 1
    return row


@numba.njit(_LOGS(*[_LINE] * 7, _FLAGS, _TABLE, _TABLE, _LINE, _LINE, *[_INT] * 5), cache=True, nogil=True)
def run(  # type: ignore[no-untyped-def]
    opened_at,
    opens,
    highs,
    lows,
    closes,
    dates,
    flat_at,
    tradeable,
    signals,
    details,
    detail_from,
    slips,
    offset,
    hold,
    most_adds,
    policy,
    least,
):
    """Return orders, trades and the number of refused signals by `Refusal`; the tables are those of `backtest.codes`.

    opened_at … closes   bars, int64; a position may not outlive the bars of one `dates` value, which only rise
    flat_at              per bar: epoch seconds from which on its session is flat
    tradeable            per bar: whether its session may be traded
    signals              int64 [number, SIGNAL_COLUMNS]: what is placed at the close of bar `ROW`, in its order
    details              int64 [number, 4]: open, high, low, close of shorter bars; those of bar i are the rows
                         detail_from[i] to detail_from[i + 1]; both empty unless the policy is DETAIL
    slips                ticks against market and stop orders: one for all, or one for each hour, from that of the first
                         bar on, in which they fill
    offset, least        ticks; hold in seconds, 0 for no limit
    """
    length, number = len(opened_at), len(signals)
    every = np.zeros((SLOTS, _COLUMNS), np.int64)
    slots = every[:0]  # those that were ever used: mostly two
    now = np.zeros(_COUNTERS, np.int64)
    now[_PAIR_WORKS], now[_HALTED_ON] = -1, -_FAR
    orders = np.zeros((2 * number, ORDER_COLUMNS), np.int64)
    parts = 1  # that an entry may leave in
    for signal in range(number):
        for part in range(parts - 1, MOST_PARTIALS):
            if signals[signal, PARTS + part]:
                parts = part + 2
    trades = np.zeros((2 * number * parts, TRADE_COLUMNS), np.int64)
    refused = np.zeros(REFUSALS, np.int64)
    found = np.zeros((2 * SLOTS, 5), np.int64)
    bar = np.zeros(4, np.int64)
    kind, last_slip = policy == _OPTIMISTIC, len(slips) - 1
    next_signal, row = 0, 0
    alive, above, below, ends = False, _FAR, -_FAR, _FAR
    changed = True  # a signal that is refused leaves everything as it was
    last, known_until, until_row = -1, -_FAR, 0  # of the date the last row; the first row from a moment on
    while row < length:
        due = signals[next_signal, ROW] if next_signal < number else length
        if changed:
            alive, above, below, ends = _watch(slots, now, signals, offset, hold)
            changed = False
        until = _FAR
        if not alive:
            if due == length:
                break
            row = due
        else:
            until = min(ends, flat_at[row])
            if row > last:
                last = _first_from(dates, dates[row] + 1, row, length) - 1
            if opened_at[row] < until:
                if until != known_until:
                    known_until, until_row = until, _first_from(opened_at, until, row, length)
                row = _reaching(highs, lows, row, min(due, last, until_row), above, below)
        date, at = dates[row], opened_at[row]
        slip = slips[min(at // 3600 - opened_at[0] // 3600, last_slip)]
        bar[0], bar[1], bar[2], bar[3] = opens[row], highs[row], lows[row], closes[row]
        if alive and not (highs[row] < above and lows[row] > below and at < until):
            changed = True
            for slot in range(len(slots)):
                if slots[slot, _STATE] == _WORKING and slots[slot, _UNTIL] <= at:
                    _end_entry(slots, orders, slot, row, _EXPIRED)
            if at >= flat_at[row]:
                _cancel(slots, orders, row, _CANCELLED, -1)
                now[_LEAVE] = now[_LEAVE] or _BY_FLAT
            _leave(slots, now, trades, row, opens[row], slip)
            if policy == _DETAIL and detail_from[row] < detail_from[row + 1]:
                for detail in range(detail_from[row], detail_from[row + 1]):
                    if now[_LEAVE]:
                        _leave(slots, now, trades, row, details[detail, 0], slip)
                    _step(slots, now, orders, trades, found, row, details[detail], slip, False)
                    _settle(slots, now, orders, trades, row, date)
            else:
                _step(slots, now, orders, trades, found, row, bar, slip, kind)
                _settle(slots, now, orders, trades, row, date)
            _manage(slots, signals, row, at, bar, offset, hold)
        if row == due:
            for slot in range(len(slots)):
                leaving = EXIT_LONG if slots[slot, _SIDE] > 0 else EXIT_SHORT
                if slots[slot, _STATE] == _OPEN and signals[next_signal, leaving]:
                    now[_LEAVE] = now[_LEAVE] or _BY_SIGNAL
                    changed = True
            if signals[next_signal, LONG + KIND] or signals[next_signal, SHORT + KIND]:
                why = _refusal(
                    slots, now, signals, next_signal, bar[3], at + 60, flat_at[row], tradeable[row], date, least,
                    most_adds,
                )  # fmt: skip
                if why < 0:
                    changed = True
                    _place(every, now, orders, signals, next_signal)
                    if now[_USED] > len(slots):
                        slots = every[: now[_USED]]
                else:
                    refused[why] += 1
            next_signal += 1
        if row + 1 == length or dates[row + 1] != date:
            _cancel(slots, orders, row, _EXPIRED, -1)
            now[_LEAVE] = _BY_END
            _leave(slots, now, trades, row, closes[row], slip)
            now[_PAIR_WORKS] = -1
            changed = True
        row += 1
    return orders[: now[_ORDERS]], trades[: now[_TRADES]], refused
