"""How the venue behaves where the real one is unspecified, or where a test wants it otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """Switches of one venue; the defaults are what was seen at the real one, or the stricter of two readings.

    All but `segments` may be changed while the venue runs (`switches.turn`): they are read anew for every request.

    brackets          `auto_oco`: requests may carry brackets; `position`: they are refused
    bracket_ticks     `signed`: offsets from the fill, negative below it; `positive`: distances
    slippage          ticks against us on market and stop fills
    segments          pieces into which a minute is walked; 1 matches whole bars
    partial           most contracts that one order gets in a piece; None fills whole
    wrong_side_stops  a stop at or behind the market: refused, or accepted and filled at once
    expire            whether working orders end as Expired at the session's close
    orders_until      minutes before the exchange's close from which on orders are refused (TopstepX: 50)
    pending           market seconds for which an order that was taken is Pending (6) before it works
    legs_after_close  market seconds after which a close removes the bracket legs of its contract; None: they stay
    rejected_order_id   whether a refusal names the id of the rejected order that it leaves behind
    show_pending      whether the list of open orders shows status 6
    show_suspended    whether a search by time shows status 8
    commissions       whether trades show commissions
    after_expiry      what validate answers to an expired token: HTTP 401, or code 3
    bars_order        order of bars in an answer
    unauthorised      what comes with HTTP 401: nothing, or an envelope that says so
    busy              what comes with HTTP 429: nothing, or a Retry-After
    window            how requests are counted: in any 60 s (bars 30), or from the first of each such window
    max_lots          most mini-equivalents of an account, over all contracts; None does not check
    """

    brackets: Literal["auto_oco", "position"] = "auto_oco"
    bracket_ticks: Literal["signed", "positive"] = "signed"
    slippage: int = 0
    segments: int = 12
    partial: int | None = None
    wrong_side_stops: Literal["refused", "accepted"] = "refused"
    expire: bool = True
    orders_until: int = 0
    pending: float = 0.0
    legs_after_close: float | None = None
    rejected_order_id: bool = False
    show_pending: bool = False
    show_suspended: bool = False
    commissions: bool = True
    after_expiry: Literal["http_401", "code_3"] = "http_401"
    bars_order: Literal["newest", "oldest"] = "newest"
    unauthorised: Literal["empty", "envelope"] = "empty"
    busy: Literal["empty", "retry_after"] = "empty"
    window: Literal["sliding", "fixed"] = "sliding"
    max_lots: Decimal | None = None

    def __post_init__(self) -> None:
        if self.slippage < 0:
            raise ValueError(f"slippage {self.slippage}: ticks against us, 0 or more")
        if not 1 <= self.segments <= 60 or 60 % self.segments:
            raise ValueError(f"segments {self.segments}: a minute is walked in 1 to 60 pieces of whole seconds")
        if self.partial is not None and self.partial < 1:
            raise ValueError(f"partial {self.partial}: at least 1 contract")
        if self.pending < 0 or (self.legs_after_close or 0) < 0:
            raise ValueError(f"pending {self.pending}, legs_after_close {self.legs_after_close}: seconds, 0 or more")
