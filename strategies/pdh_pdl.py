"""High and low of the day before: trade their breakout, or fade the price that comes back from beyond them.

The rules, with their reasons, are in docs/strategies/pdh_pdl.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

from market.bars import Int, Timeframe
from market.contracts import Contract
from market.orders import Side
from market.plans import Bool, Frames, Plan
from strategies.conditions import Condition, refused_by_condition, with_condition
from strategies.drafts import Draft, too_few
from strategies.indicators import ADX_PERIODS, WILDER_PERIODS, Float, adx, average_true_range
from strategies.intraday import (
    LEAST_TICKS,
    Closed,
    IntradayParameters,
    closed,
    distance,
    management,
    session_warm_up,
    whole,
)
from strategies.parameters import param
from strategies.structure import (
    RTH_MINUTES,
    WARM_UP,
    Delta,
    Yesterdays,
    broke,
    cumulative_delta,
    swept,
    yesterdays,
)
from strategies.volume_profile import LOW_NODE

__all__ = ["Mode", "Parameters", "Target", "management", "plan", "suits", "timeframes", "warm_up"]


class Mode(StrEnum):
    """With the price that leaves yesterday's range, or against the one that comes back into it."""

    BREAKOUT = "breakout"
    FADE = "fade"


class Target(StrEnum):
    """Where a trade is to end."""

    REWARD = "reward"
    POC = "poc"
    VALUE_AREA = "value_area"
    NODE = "node"
    OPPOSITE = "opposite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(IntradayParameters):
    max_entries: int = param(2, unit="a session", ge=1, le=100, help="Entries that a session may have at most")
    mode: Mode = param(Mode.BREAKOUT, help="With a close beyond the level, or against a price that comes back")
    offset_ticks: int = param(4, unit="ticks", ge=1, le=400, help="How far beyond the level a breakout closes")
    sweep: bool = param(True, help="A fade waits for a sweep of the level; otherwise a touch is enough")
    sweep_ticks: int = param(8, unit="ticks", ge=1, le=1000, help="How far beyond the level a sweep goes at least")
    sweep_bars: int = param(3, unit="bars", ge=1, le=20, help="Bars within which it comes back")
    avoid_swept: bool = param(False, help="No breakout of a level that was swept before in the session")
    stop_atr: Decimal = param(
        Decimal("1.5"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(20), help="Least distance of the stop"
    )
    stop_max_atr: Decimal = param(
        Decimal("4.0"), unit="x ATR", ge=Decimal("0.1"), le=Decimal(50), help="Most distance of the stop"
    )
    stop_at_node: bool = param(False, help="A breakout's stop lies behind the nearest low-volume node")
    stop_buffer_ticks: int = param(
        2, unit="ticks", ge=0, le=200, help="How far a stop lies behind a node or a sweep's extreme"
    )
    target: Target = param(
        Target.REWARD,
        help="A multiple of the stop; for a fade also yesterday's busiest price, the nearest edge of its value area or "
        "high-volume node, or its other extreme",
    )
    target_r: Decimal = param(
        Decimal("2.0"),
        unit="x stop",
        ge=Decimal("0.1"),
        le=Decimal(20),
        help="Distance of the target, also where no such price lies ahead",
    )
    min_rth_minutes: int = param(
        180, unit="minutes", ge=1, le=RTH_MINUTES, help="Minutes that yesterday's regular hours have at least"
    )
    rth_only: bool = param(True, help="Entries only from 09:30 to 16:00 New York, whatever the hours say")
    profile_bin_ticks: int = param(4, unit="ticks", ge=1, le=400, help="Height of the volume profile's bins")
    filter_profile: bool = param(
        False, help="Break out only on the side of the busiest price where yesterday closed; fade only a thin extreme"
    )
    filter_delta: bool = param(False, help="Break out only with the cumulative delta; fade only without it")
    delta_bars: int = param(6, unit="bars", ge=1, le=100, help="Bars over which its change counts")
    filter_adx: bool = param(False, help="Break out only from adx_level on; fade only up to it")
    adx_period: int = param(14, unit="bars", ge=2, le=50, help="Period of that ADX")
    adx_level: int = param(22, ge=1, le=99, help="Where a market without direction ends")

    def problems(self) -> dict[str, str]:
        """Return what is wrong about values that are each within their bounds, by name."""
        wrong = IntradayParameters.problems(self)
        if self.stop_atr > self.stop_max_atr:
            wrong["stop_atr"] = f"{self.stop_atr} is above stop_max_atr, {self.stop_max_atr}"
        if self.mode is Mode.BREAKOUT and self.target is not Target.REWARD:
            wrong["target"] = f"{self.target} lies behind a breakout; write reward, or fade as mode"
        return wrong


def suits(params: Parameters) -> frozenset[Condition]:
    """Return the market conditions in which it trades with filter_condition."""
    if params.mode is Mode.FADE:
        return frozenset({Condition.RANGING})
    return frozenset({Condition.TRENDING, Condition.BREAKOUT, Condition.VOLATILE})


def timeframes(params: Parameters) -> tuple[Timeframe, ...]:
    """Return the frames that `plan` reads besides the minutes."""
    return tuple(_lookbacks(params))


def warm_up(params: Parameters) -> dict[Timeframe, int]:
    """Return how many of the newest bars of each frame decide about the last row."""
    return session_warm_up(_lookbacks(params), WARM_UP)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is known at each closed bar; `direction` is 1 where something happens at yesterday's high, else -1.

    hits     where something happens at yesterday's high (BUY) and low (SELL)
    beyond   how far beyond the level a sweep went, in ticks
    """

    made: Closed
    day: Yesterdays
    hits: dict[Side, Bool]
    beyond: Float
    direction: Float
    atr: Float
    adx: Float
    delta: Delta


def plan(frames: Frames, params: Parameters, contract: Contract) -> Plan:
    """Return an entry where a level breaks, or where the price comes back from beyond it, or the reason why not."""
    made = closed(frames, params.timeframe)
    draft = Draft(frames, params, made)
    if params.rth_only:
        since_open = made.placed_at - frames.rth_open[made.rows]
        draft.open &= (since_open >= 0) & (since_open < RTH_MINUTES * 60)
    scene = _look(frames, params, made)
    day, atr, either = scene.day, scene.atr, scene.hits[Side.BUY] | scene.hits[Side.SELL]
    waits = "close beyond" if params.mode is Mode.BREAKOUT else "come back from beyond"
    known = draft.opening(
        {
            too_few(_lookbacks(params), params): np.isnan(atr + (scene.adx if params.filter_adx else 0)),
            f"yesterday's regular hours have fewer than {params.min_rth_minutes} minutes": (
                day.minutes < params.min_rth_minutes
            ),
            "no volume of yesterday is known, which its profile is made of": (
                np.isnan(day.poc) & _needs_profile(params)
            ),
        },
        f"waiting for the price to {waits} yesterday's high or low",
    )
    stop = _stop(params, scene)
    refusals = [
        *refused_by_condition(frames, params, made, suits(params)),
        (scene.hits[Side.BUY] & scene.hits[Side.SELL], "both of yesterday's extremes were swept at once"),
        (stop > distance(params.stop_max_atr, atr), f"the stop would be farther than {params.stop_max_atr} x ATR"),
        *_refused(params, scene),
    ]
    chosen = draft.admit(known & (atr > 0) & either, refusals)
    did = "closed beyond" if params.mode is Mode.BREAKOUT else "came back from beyond"
    for side, level in ((Side.BUY, "high"), (Side.SELL, "low")):
        entry = side if params.mode is Mode.BREAKOUT else side.opposite
        taken = chosen & scene.hits[side]
        target = _target(params, scene, stop, taken, entry)
        for where, source in _delta_said(params, scene.delta):
            draft.enter(
                entry,
                taken & where,
                f"the price {did} yesterday's {level}{source}",
                stop=stop,
                target=target,
                trail=distance(params.trail_atr, atr),
            )
    figures = {"pdh": day.high, "pdl": day.low, "atr": atr}
    volume = {"poc": day.poc, "value_high": day.value_high, "value_low": day.value_low}
    silent = _silent(scene)
    measures = {
        "adx": scene.adx,
        "delta": np.where(silent, np.nan, scene.delta.total),
        "delta_change": np.where(silent, np.nan, scene.delta.change),
        "delta_from_trades": scene.delta.from_trades.astype(np.float64),
    }
    return draft.plan(figures | volume, measures)


def _look(frames: Frames, params: Parameters, made: Closed) -> _Scene:
    day = yesterdays(frames, made, params.profile_bin_ticks, _lookbacks(params)[params.timeframe])
    levels = {Side.BUY: day.high, Side.SELL: day.low}
    beyond = np.zeros(len(made))
    if params.mode is Mode.BREAKOUT:
        hits = {side: broke(made, level, side, params.offset_ticks) for side, level in levels.items()}
    else:
        least, bars = (params.sweep_ticks, params.sweep_bars) if params.sweep else (0, 1)
        fades = {side: swept(made, level, side, least, bars) for side, level in levels.items()}
        hits = {side: hit for side, (hit, _) in fades.items()}
        beyond = np.where(hits[Side.BUY], fades[Side.BUY][1], fades[Side.SELL][1])
    return _Scene(
        made=made,
        day=day,
        hits=hits,
        beyond=beyond,
        direction=np.where(hits[Side.BUY], 1.0, -1.0),
        atr=average_true_range(made.bars, made.begins, params.atr_period),
        adx=adx(made.bars, made.begins, params.adx_period) if params.filter_adx else np.full(len(made), np.nan),
        delta=cumulative_delta(frames, made, params.delta_bars, by_change=params.mode is Mode.FADE),
    )


def _refused(params: Parameters, scene: _Scene) -> list[tuple[Bool, str]]:
    """Return which bars the strategy's own filters keep from entering, with the reasons."""
    made, day, direction, found = scene.made, scene.day, scene.direction, []
    fade = params.mode is Mode.FADE
    if params.avoid_swept and not fade:
        at_high, at_low = (
            made.total(swept(made, level, side, params.sweep_ticks, params.sweep_bars)[0]) > 0
            for side, level in ((Side.BUY, day.high), (Side.SELL, day.low))
        )
        found.append((np.where(direction > 0, at_high, at_low), "the level was swept before today (avoid_swept)"))
    if params.filter_adx:
        strong = scene.adx >= params.adx_level
        word = "not below" if fade else "below"
        found.append((strong if fade else ~strong, f"the ADX is {word} {params.adx_level} (filter_adx)"))
    if params.filter_profile and fade:
        share = np.where(direction > 0, day.of_profile("top_share"), day.of_profile("bottom_share"))
        found.append((share > LOW_NODE, "yesterday's extreme is not thin: much traded there (filter_profile)"))
    elif params.filter_profile:
        behind = (day.close - day.poc) * direction <= 0
        found.append((behind, "yesterday closed on the other side of its busiest price (filter_profile)"))
    if params.filter_delta:
        found.append((_silent(scene), "no volume of this session is known, which the delta is made of (filter_delta)"))
        change, total = scene.delta.change * direction, scene.delta.total * direction
        against = change > 0 if fade else (change <= 0) | (total <= 0)
        for where, source in _delta_said(params, scene.delta):
            found.append((against & where, f"the cumulative delta does not confirm it{source}"))
    return found


def _silent(scene: _Scene) -> Bool:
    """Return where no delta is known: no trades, and no volume in the session so far to approximate it from."""
    silent: Bool = ~scene.delta.from_trades & (scene.made.total(scene.made.bars.volume) == 0)
    return silent


def _stop(params: Parameters, scene: _Scene) -> Int:
    """Return per bar the stop's distance in ticks: behind a sweep's extreme or a node, not nearer than stop_atr."""
    close, day, direction = scene.made.bars.close, scene.day, scene.direction
    nearest, farthest = distance(params.stop_atr, scene.atr), distance(params.stop_max_atr, scene.atr)
    if params.mode is Mode.FADE:
        level = np.where(direction > 0, day.high, day.low)
        return np.maximum(nearest, whole((level - close) * direction + scene.beyond + params.stop_buffer_ticks))
    stop = nearest.copy()
    if params.stop_at_node:
        for row in np.flatnonzero(scene.hits[Side.BUY] | scene.hits[Side.SELL]).tolist():
            volume = day.profiles[day.session[row]]
            nodes = volume.low_nodes if volume else np.empty(0, np.int64)
            behind = (close[row] - nodes) * int(direction[row]) + params.stop_buffer_ticks
            fitting = behind[(behind >= nearest[row]) & (behind <= farthest[row])]
            stop[row] = fitting.min() if len(fitting) else nearest[row]
    return stop


def _target(params: Parameters, scene: _Scene, stop: Int, taken: Bool, entry: Side) -> Int:
    """Return per bar the distance of the target in ticks: to yesterday's price if one lies ahead, else target_r."""
    day, target = scene.day, distance(params.target_r, stop.astype(np.float64))
    for row in np.flatnonzero(taken).tolist() if params.target is not Target.REWARD else ():
        volume = day.profiles[day.session[row]]
        prices = {
            Target.POC: [volume.poc] if volume else [],
            Target.VALUE_AREA: [volume.value_low, volume.value_high] if volume else [],
            Target.NODE: volume.high_nodes.tolist() if volume else [],
            Target.OPPOSITE: [int((day.high if entry is Side.BUY else day.low)[row])],
        }[params.target]
        ahead = [way for price in prices if (way := (price - int(scene.made.bars.close[row])) * entry) >= LEAST_TICKS]
        target[row] = min(ahead, default=target[row])
    return target


def _needs_profile(params: Parameters) -> bool:
    by_volume = params.target in (Target.POC, Target.VALUE_AREA, Target.NODE)
    return params.filter_profile or params.stop_at_node or by_volume


def _delta_said(params: Parameters, delta: Delta) -> list[tuple[Bool, str]]:
    """Return the end of a decision's sentence that says where the delta comes from on which it rests, and where."""
    if not params.filter_delta:
        return [(np.ones(len(delta.total), np.bool_), "")]
    return [
        (delta.from_trades, " (delta of the trades)"),
        (~delta.from_trades, " (delta approximated from the bars)"),
    ]


def _lookbacks(params: Parameters) -> dict[Timeframe, int]:
    needed = max(WILDER_PERIODS * params.atr_period, ADX_PERIODS * params.adx_period if params.filter_adx else 0)
    return with_condition({params.timeframe: needed}, params)
