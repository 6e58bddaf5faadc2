"""A plan in the making: what is decided on closed bars of a longer timeframe, put on the base's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from market.bars import Int, Timeframe
from market.orders import Side
from market.plans import Bool, Frames, Kind, Plan, PlanSide
from strategies.indicators import Float
from strategies.intraday import LEAST_TICKS, Closed, IntradayParameters, flat_times, open_for_entries

_MINUTE = 60


class Draft:
    """Collects entries, exits and reasons of closed bars; `plan` gives them as one row a base bar.

    open   per closed bar: whether entries may be placed at its close
    """

    def __init__(self, frames: Frames, params: IntradayParameters, made: Closed) -> None:
        self.frames, self.params, self.made = frames, params, made
        self._ends = np.minimum(flat_times(frames, params, made), made.clock(params.entry_until, params.time_zone))
        self.open = open_for_entries(params, made, self._ends)
        length = len(frames.base)
        self._sides = {side: PlanSide.nothing(length) for side in (Side.BUY, Side.SELL)}
        self._exits = {side: np.zeros(length, np.bool_) for side in (Side.BUY, Side.SELL)}
        self._adds, self._trail = np.zeros(length, np.bool_), np.zeros(length, np.int64)
        self._reasons, self._texts = np.zeros(length, np.int64), [""]

    def opening(self, missing: Mapping[str, Bool], waiting: str) -> Bool:
        """Return which bars may be judged, after saying at the first of each session's hours what there is to expect.

        missing   reason -> bars for which something is not known; the first that holds is told
        waiting   what the strategy waits for, told if nothing is missing
        """
        first = self.open & (self.made.total(self.open) == 1)
        known = self.open
        closed = ~self.frames.tradeable[self.made.rows]
        for reason, mask in {"the calendar has no session that may be traded at this time": closed, **missing}.items():
            self.say(first & known & mask, reason)
            known = known & ~mask
        self.say(first & known, waiting)
        return known

    def admit(self, candidates: Bool, refusals: Sequence[tuple[Bool, str]]) -> Bool:
        """Return which of the candidates are entries: those that nothing refuses, max_entries of each session."""
        for mask, reason in refusals:
            self.say(candidates & mask, reason)
            candidates = candidates & ~mask
        surplus = candidates & (self.made.total(candidates) > self.params.max_entries)
        self.say(surplus, f"the session had its {self.params.max_entries} entries (max_entries)")
        return candidates & ~surplus

    def enter(
        self,
        side: Side,
        chosen: Bool,
        reason: str,
        *,
        stop: Int,
        target: Int | None = None,
        trail: Int | None = None,
        limit: Int | None = None,
        minutes: int | None = None,
        adds: bool = False,
    ) -> None:
        """Let the chosen bars ask for an entry at market, or at the prices of `limit` in ticks, for a reason.

        stop, target, trail   distances in ticks per bar; at least LEAST_TICKS, a target and trail of 0 is none
        minutes               how long a limit may work; an entry at market may be as late as late_grace_minutes
        """
        self.say(chosen, reason)
        at = np.flatnonzero(chosen)
        rows, columns = self.made.rows[at], self._sides[side]
        lives = (minutes or self.params.late_grace_minutes) * _MINUTE
        columns.kind[rows] = Kind.MARKET if limit is None else Kind.LIMIT
        columns.price[rows] = 0 if limit is None else limit[at]
        columns.stop_ticks[rows] = np.maximum(stop[at], LEAST_TICKS)
        columns.expires_at[rows] = np.minimum(self.made.placed_at[at] + lives, self._ends[at])
        for distances, told in ((target, columns.target_ticks), (trail, self._trail)):
            if distances is not None:
                told[rows] = np.where(distances[at] > 0, np.maximum(distances[at], LEAST_TICKS), 0)
        self._adds[rows] = adds

    def exit(self, side: Side, chosen: Bool, reason: str) -> None:
        """Let the chosen bars close a position of that direction, unless it is flat by then."""
        chosen = chosen & self.made.usable & (self.made.placed_at < flat_times(self.frames, self.params, self.made))
        self.say(chosen, reason)
        self._exits[side][self.made.rows[chosen]] = True

    def say(self, chosen: Bool, reason: str) -> None:
        """Let the chosen bars tell `reason`."""
        if chosen.any():
            self._reasons[self.made.rows[chosen]] = len(self._texts)
            self._texts.append(reason)

    def plan(self, figures: Mapping[str, Float | Int], measures: Mapping[str, Float | Int]) -> Plan:
        """Return the plan. Figures, in ticks, and measures are columns of the closed bars, shown where a row speaks."""
        said = (self._reasons != 0) | self._exits[Side.BUY] | self._exits[Side.SELL]
        for columns in self._sides.values():
            said |= columns.kind != Kind.NONE
        shown = np.flatnonzero(said[self.made.rows] & self.made.usable)

        def spread(columns: Mapping[str, Float | Int]) -> dict[str, Float]:
            spreads = {}
            for name, values in columns.items():
                spreads[name] = np.full(len(self.frames.base), np.nan)
                spreads[name][self.made.rows[shown]] = values[shown]
            return spreads

        return Plan(
            long=self._sides[Side.BUY],
            short=self._sides[Side.SELL],
            oco=np.zeros(len(self.frames.base), np.bool_),
            exit_long=self._exits[Side.BUY],
            exit_short=self._exits[Side.SELL],
            trail_ticks=self._trail,
            figures=spread(figures),
            reasons=self._reasons,
            reason_texts=tuple(self._texts),
            adds=self._adds,
            measures=spread(measures),
        )


def too_few(lookbacks: Mapping[Timeframe, int], params: IntradayParameters) -> str:
    """Return the reason for a session without enough bars before it."""
    return f"fewer than {lookbacks[params.timeframe]} closed {params.timeframe} bars are known before this session"
