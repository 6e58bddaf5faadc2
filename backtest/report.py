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


def report(
    result: Result,
    *,
    title: str,
    facts: Mapping[str, str],
    notes: Sequence[str],
    library: str,
    owners: Sequence[str] = (),
) -> str:
    """Return the page.

    facts, notes   what the reader is told besides the figures, as text
    library        source of TradingView's lightweight-charts, which goes into the page
    owners         whose each stretch is, where several strategies traded
    """
    contracts = [one.stretch.contract for one in result.prepared]
    data = {
        "title": title,
        "figures": figures(result),
        "groups": {name: [_group(group) for group in groups] for name, groups in result.statistics.groups.items()},
        "equity": _equity(result),
        "trades": _trades(result, owners),
        "days": _days(result),
        "ticks": {contract.symbol: float(contract.tick_size) for contract in contracts},
        "several": bool(owners),
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


def _trades(result: Result, owners: Sequence[str]) -> list[list[Any]]:
    trades = result.simulated.trades
    symbols = [one.stretch.contract.symbol for one in result.prepared]
    stretches = trades.stretch.tolist()
    columns = (trades.trade_date, trades.side, trades.quantity, trades.entered_at, trades.entry, trades.exited_at)
    rest = (trades.exit, trades.net, trades.adverse, trades.favourable, trades.stop_ticks)
    rows = zip(*(column.tolist() for column in (*columns, *rest)), reasons(trades), stretches, strict=True)
    return [
        [_date(day), side, size, _local(entered), entry, _local(left), leave, net / UNIT, worst, best, stop, reason,
         symbols[at], owners[at] if owners else ""]
        for day, side, size, entered, entry, left, leave, net, worst, best, stop, reason, at in rows
    ]  # fmt: skip


def _days(result: Result) -> dict[str, list[list[int]]]:
    """Return by date and product the candles around trades: New York's clock as if it were UTC, prices in ticks."""
    trades = result.simulated.trades
    edges: dict[tuple[int, str], tuple[Bars, int, int]] = {}
    for number, one in enumerate(result.prepared):
        mine = trades.stretch == number
        for day in np.unique(trades.trade_date[mine]).tolist():
            today, key = mine & (trades.trade_date == day), (day, one.stretch.contract.symbol)
            begin, end = int(trades.entered_at[today].min()), int(trades.exited_at[today].max())
            _, first, last = edges.get(key, (one.stretch.base, begin, end))
            edges[key] = one.stretch.base, min(first, begin), max(last, end)
    windows = {}
    for (day, symbol), (bars, begin, end) in edges.items():
        low, high = np.searchsorted(bars.opened_at, (begin - _AROUND, end + _AROUND)).tolist()
        windows[f"{_date(day)} {symbol}"] = bars[low:high]
    minutes = 5 if sum(map(len, windows.values())) > _MOST_CANDLES else 1
    return {name: _candles(bars, minutes) for name, bars in windows.items()}


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
