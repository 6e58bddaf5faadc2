"""Strategies over the cached bars: what they would have done, found out in a process of its own time.

`simulate` only computes; rows are written by `records`, which the admin and the background worker use.
"""

from tradingbot.operations.backtests.histories import History, NoBars, history
from tradingbot.operations.backtests.running import simulate
from tradingbot.operations.backtests.wishes import FIRMS, Wish, configured, rules_of, terms_of

__all__ = ["FIRMS", "History", "NoBars", "Wish", "configured", "history", "rules_of", "simulate", "terms_of"]
