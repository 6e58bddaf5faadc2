"""Orders from intent to end: the row is committed first, one HTTP call follows outside a transaction, then its answer.

open → send → (cancel, modify, exit, protect, flatten); `sweep` finishes what was left half-way, `resolve` finds out
what became of a call whose answer is unknown.
"""

from tradingbot.operations.orders.changing import cancel, cancel_by_hand, modify, request_cancel, request_modify
from tradingbot.operations.orders.closing import exit, protect
from tradingbot.operations.orders.flattening import emergency_stop, flatten, flatten_due, request_flatten
from tradingbot.operations.orders.holdings import Engaged, Holding, engaged, holdings, opened_by
from tradingbot.operations.orders.managing import flatten_strategy, manage
from tradingbot.operations.orders.opening import lock, open, open_locked
from tradingbot.operations.orders.reducing import fit, refresh, seen_flat
from tradingbot.operations.orders.resending import STOP_AGAIN, resend_stop
from tradingbot.operations.orders.resolving import end_ghosts, expire_claims, resolve
from tradingbot.operations.orders.sending import send
from tradingbot.operations.orders.sweeping import finish, sweep

__all__ = [
    "STOP_AGAIN",
    "Engaged",
    "Holding",
    "cancel",
    "cancel_by_hand",
    "emergency_stop",
    "end_ghosts",
    "engaged",
    "exit",
    "expire_claims",
    "finish",
    "fit",
    "flatten",
    "flatten_due",
    "flatten_strategy",
    "holdings",
    "lock",
    "manage",
    "modify",
    "open",
    "open_locked",
    "opened_by",
    "protect",
    "refresh",
    "request_cancel",
    "request_flatten",
    "request_modify",
    "resend_stop",
    "resolve",
    "seen_flat",
    "send",
    "sweep",
]
