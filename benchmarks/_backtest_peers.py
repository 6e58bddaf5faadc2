"""The peers' side of the backtest benchmark, run by a Python that has them: bars and entries in, seconds and trades.

Every engine does the same: at each entry's minute a market order for one contract if nothing is held, filled at the
next open; a stop and a target at fixed distances from the fill; all closed at the flat minute; a fee a side.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np

FEE = 0.61
CASH = 1e9
warnings.filterwarnings("ignore")


def main(engine: str, file: str) -> None:
    data = dict(np.load(file))
    run = {"backtesting": backtesting_py, "backtrader": backtrader_, "vectorbt": vectorbt_, "sweep": vectorbt_sweep}[
        engine
    ]
    once = run(data)
    if engine in ("vectorbt", "sweep"):
        once()  # compiles
    for _ in sys.stdin:  # a line is a round
        started, worked = time.perf_counter(), time.process_time()
        trades = once()
        seconds, processor = time.perf_counter() - started, time.process_time() - worked
        print(json.dumps({"seconds": seconds, "processor": processor, "trades": trades}), flush=True)


def _frame(data):
    import pandas as pd

    index = pd.to_datetime(data["opened_at"], unit="s")
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close"}
    return pd.DataFrame(
        {name: data[column].astype(float) for name, column in names.items()} | {"Volume": 1.0}, index=index
    )


def backtesting_py(data):
    from backtesting import Backtest, Strategy

    side, flat, stop, target = data["side"], data["flat"], float(data["stop"]), float(data["target"])

    class Bracket(Strategy):
        def init(self):
            pass

        def next(self):
            row = len(self.data) - 1
            for trade in self.trades:
                if trade.sl is None:  # hang the bracket on the fill
                    trade.sl = trade.entry_price - stop * (1 if trade.is_long else -1)
                    trade.tp = trade.entry_price + target * (1 if trade.is_long else -1)
            if flat[row]:
                self.position.close()
            elif side[row] and not self.position:
                close = self.data.Close[-1]
                (self.buy if side[row] > 0 else self.sell)(
                    size=1, sl=close - side[row] * stop, tp=close + side[row] * target
                )

    frame = _frame(data)

    def once():
        test = Backtest(frame, Bracket, cash=CASH, commission=lambda size, price: FEE * abs(size), finalize_trades=True)
        return int(test.run()["# Trades"])

    return once


def backtrader_(data):
    import backtrader as bt

    side, flat, stop, target = data["side"], data["flat"], float(data["stop"]), float(data["target"])
    frame = _frame(data)
    closed = []

    class Bracket(bt.Strategy):
        def notify_trade(self, trade):
            if trade.isclosed:
                closed.append(trade.pnlcomm)

        def next(self):
            row = len(self) - 1
            if flat[row]:
                for order in self.broker.get_orders_open():
                    self.cancel(order)
                self.close()
            elif side[row] and not self.position:
                close = self.data.close[0]
                place = self.buy_bracket if side[row] > 0 else self.sell_bracket
                place(
                    size=1,
                    exectype=bt.Order.Market,
                    stopprice=close - side[row] * stop,
                    limitprice=close + side[row] * target,
                )

    def once():
        closed.clear()
        engine = bt.Cerebro()
        engine.adddata(bt.feeds.PandasData(dataname=frame))
        engine.addstrategy(Bracket)
        engine.broker.setcash(CASH)
        engine.broker.setcommission(commission=FEE, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=False, margin=1.0)
        engine.run()
        return len(closed)

    return once


def _signals(data):
    """Return entries and exits as vectorbt wants them: on the bar at whose open they fill."""
    side, flat = (np.concatenate(([0], data[name][:-1])) for name in ("side", "flat"))
    return side > 0, side < 0, flat.astype(bool)


def vectorbt_(data):
    import vectorbt as vbt

    frame = _frame(data)
    long, short, out = _signals(data)
    open_ = frame["Open"].to_numpy()
    stop, target = float(data["stop"]) / open_, float(data["target"]) / open_

    def once():
        found = vbt.Portfolio.from_signals(
            close=frame["Close"], entries=long, exits=out, short_entries=short, short_exits=out, price=frame["Open"],
            open=frame["Open"], high=frame["High"], low=frame["Low"], sl_stop=stop, tp_stop=target, size=1.0,
            fixed_fees=FEE, init_cash=CASH, upon_opposite_entry="ignore", freq="1min",
        )  # fmt: skip
        return len(found.trades.records_arr)

    return once


def vectorbt_sweep(data):
    """Every combination of stop and target is a column."""
    import vectorbt as vbt

    prices = {name: data[name].astype(float)[:, None] for name in ("open", "high", "low", "close")}
    long, short, out = (mask[:, None] for mask in _signals(data))
    stop, target = data["stops"][None, :] / prices["open"], data["targets"][None, :] / prices["open"]

    def once():
        found = vbt.Portfolio.from_signals(
            **prices, entries=long, exits=out, short_entries=short, short_exits=out, price=prices["open"], sl_stop=stop,
            tp_stop=target, size=1.0, fixed_fees=FEE, init_cash=CASH, upon_opposite_entry="ignore", freq="1min",
        )  # fmt: skip
        return len(found.trades.records_arr)

    return once


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
