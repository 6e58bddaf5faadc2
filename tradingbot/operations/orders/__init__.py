"""Orders from intent to end: the row is committed first, one HTTP call follows outside a transaction, then its answer.

open → send → (cancel, modify, exit, protect, flatten); `sweep` finishes what was left half-way, `resolve` finds out
what became of a call whose answer is unknown.
"""

from tradingbot.operations.orders.changing import cancel, modify, request_cancel, request_modify
from tradingbot.operations.orders.closing import exit, protect
from tradingbot.operations.orders.flattening import emergency_stop, flatten, flatten_due, request_flatten
from tradingbot.operations.orders.managing import manage
from tradingbot.operations.orders.opening import open
from tradingbot.operations.orders.resolving import resolve
from tradingbot.operations.orders.sending import send
from tradingbot.operations.orders.sweeping import sweep

__all__ = [
    "cancel",
    "emergency_stop",
    "exit",
    "flatten",
    "flatten_due",
    "manage",
    "modify",
    "open",
    "protect",
    "request_cancel",
    "request_flatten",
    "request_modify",
    "resolve",
    "send",
    "sweep",
]
