"""One HTML file that opens without a network: figures, equity, drawdown, groups, every trade on its candles."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from backtest.results import Result
from backtest.simulation import EPOCH
from backtest.statistics import Group
from backtest.trades import UNIT, reasons
from market.bars import Bars, Int, epoch, moment
from market.sessions import NEW_YORK

_AROUND = 60 * 60  # seconds of candles before the first and after the last trade of a session
_MOST_CANDLES = 120_000  # above it, five minutes make one
_PAGE = Path(__file__).with_name("report.html")


def report(result: Result, *, title: str, facts: Mapping[str, str], notes: Sequence[str], library: str) -> str:
    """Return the page.

    facts, notes   what the reader is told besides the figures, as text
    library        source of TradingView's lightweight-charts, which goes into the page
    """
    data = {
        "title": title,
        "figures": figures(result),
        "groups": {name: [_group(group) for group in groups] for name, groups in result.statistics.groups.items()},
        "equity": _equity(result),
        "trades": _trades(result),
        "days": _days(result),
        "tick": float(result.prepared[0].stretch.contract.tick_size),
    }
    parts = {
        "TITLE": html.escape(title),
        "FACTS": "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items()),
        "NOTES": "".join(f"<p>{html.escape(note)}</p>" for note in notes),
        "LIBRARY": library.replace("</script", "<\\/script"),
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = _PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def figures(result: Result) -> list[tuple[str, str]]:
    """Return name and text of what is said first."""
    told, outcome = result.statistics, result.outcome
    rows = [
        ("net", money(told.net)),
        ("trades", f"{told.trades} in {told.sessions_traded} of {told.sessions} sessions"),
        ("won", "–" if told.win_rate is None else f"{told.won} ({told.win_rate:.1%})"),
        ("expectancy a trade", money(told.expectancy)),
        ("profit factor", "–" if told.profit_factor is None else f"{told.profit_factor:.2f}"),
        ("average win, loss", f"{money(told.average_win)}, {money(told.average_loss)}"),
        ("best, worst trade", f"{money(told.best)}, {money(told.worst)}"),
        ("largest drawdown", f"{money(-told.max_drawdown)}, {told.drawdown_days} sessions the longest"),
        ("Sharpe, Sortino", ", ".join("–" if x is None else f"{x:.2f}" for x in (told.sharpe, told.sortino))),
        ("worst, best open result", f"{money(told.adverse)}, {money(told.favourable)} on average"),
        ("costs", money(-told.costs)),
        (
            "hang on the order inside bars",
            f"{told.dependent} entries; the other reading nets {money(told.otherwise_net)}",
        ),
    ]
    if outcome is not None:
        when = f" on {outcome.day}, session {outcome.days}" if outcome.day else f" in {outcome.days} sessions"
        rows.append(
            (
                outcome.rules.name,
                f"{outcome.result}{when}; at the closest {money(float(outcome.closest))} from the floor",
            )
        )
    return rows


def money(amount: float | None) -> str:
    """Return dollars with their sign, a dash for none."""
    return "–" if amount is None else f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def _group(group: Group) -> list[Any]:
    return [group.name, group.trades, group.net, group.win_rate, group.expectancy]


def _equity(result: Result) -> list[list[Any]]:
    """Return per session its date, the result up to its end, and the fall from the peak."""
    curve = np.cumsum(result.days.net) / UNIT
    falls = curve - np.maximum.accumulate(np.maximum(curve, 0))
    rows = zip(result.days.dates, curve.tolist(), falls.tolist(), strict=True)
    return [[day.isoformat(), round(total, 2), round(fall, 2)] for day, total, fall in rows]


def _trades(result: Result) -> list[list[Any]]:
    trades = result.simulated.trades
    columns = (trades.trade_date, trades.side, trades.quantity, trades.entered_at, trades.entry, trades.exited_at)
    rest = (trades.exit, trades.net, trades.adverse, trades.favourable, trades.stop_ticks)
    rows = zip(*(column.tolist() for column in (*columns, *rest)), reasons(trades), strict=True)
    return [
        [_date(day), side, size, _local(entered), entry, _local(left), leave, net / UNIT, worst, best, stop, reason]
        for day, side, size, entered, entry, left, leave, net, worst, best, stop, reason in rows
    ]


def _days(result: Result) -> dict[str, list[list[int]]]:
    """Return by date the candles around its trades: New York's clock as if it were UTC, prices in ticks."""
    trades = result.simulated.trades
    windows: list[tuple[int, Bars]] = []
    for number, one in enumerate(result.prepared):
        mine = trades.stretch == number
        for day in np.unique(trades.trade_date[mine]).tolist():
            today = mine & (trades.trade_date == day)
            edges = (trades.entered_at[today].min() - _AROUND, trades.exited_at[today].max() + _AROUND)
            low, high = np.searchsorted(one.stretch.base.opened_at, edges).tolist()
            windows.append((day, one.stretch.base[low:high]))
    minutes = 5 if sum(len(bars) for _, bars in windows) > _MOST_CANDLES else 1
    return {_date(day): _candles(bars, minutes) for day, bars in windows}


def _candles(bars: Bars, minutes: int) -> list[list[int]]:
    begins = bars.opened_at // (60 * minutes) * (60 * minutes)
    first = np.flatnonzero(np.diff(begins, prepend=begins[:1] - 1))
    last = np.append(first[1:], len(bars)) - 1
    columns = (
        begins[first] + _offset(bars.opened_at),
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
    )
    rows: list[list[int]] = np.stack(columns, axis=1).tolist()
    return rows


def _offset(opened_at: Int) -> int:
    """Return the seconds that New York's clock is ahead of UTC where these bars begin."""
    return _local(int(opened_at[0])) - int(opened_at[0])


def _local(at: int) -> int:
    return epoch(moment(at).astimezone(_new_york()).replace(tzinfo=UTC))


@cache
def _new_york() -> ZoneInfo:
    return ZoneInfo(NEW_YORK)


def _date(day: int) -> str:
    return date.fromordinal(EPOCH + day).isoformat()
