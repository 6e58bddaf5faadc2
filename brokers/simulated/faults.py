"""Faults of the venue: which requests go wrong and how, and what of the venue's answers is late or missing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from brokers.simulated.ledger import Ledger

CALLS = {
    "login": "Auth/loginKey",
    "validate": "Auth/validate",
    "accounts": "Account/search",
    "contracts": "Contract/",
    "bars": "History/retrieveBars",
    "place": "Order/place",
    "modify": "Order/modify",
    "cancel": "Order/cancel",
    "orders": "Order/search",
    "query": "Order/v2/query",
    "positions": "Position/searchOpen",
    "close": "Position/closeContract",
    "close_part": "Position/partialCloseContract",
    "trades": "Trade/search",
}
"""What a fault may be asked for, and how the path begins below /api/."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=600)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Effect(StrEnum):
    """What becomes of a request. The connection is cut where no whole answer is named."""

    LOST_BEFORE = "lost_before"  # nothing happens; the connection is cut after `seconds`
    LOST_AFTER = "lost_after"  # it takes effect; the connection is cut after `seconds`
    LATE = "late"  # the connection is cut at once, it takes effect `seconds` later (1 to 30 by the seed)
    ERROR_BEFORE = "error_before"  # HTTP 500, nothing happens
    ERROR_AFTER = "error_after"  # HTTP 500, it takes effect
    BUSY = "busy"  # HTTP 429, nothing happens
    DENIED = "denied"  # HTTP 401, nothing happens
    TRUNCATED = "truncated"  # it takes effect, half of the answer arrives
    HTML = "html"  # HTTP 200 with the page of some proxy, nothing happens


class Rule(msgspec.Struct, tag="rule", forbid_unknown_fields=True):
    """Requests that go wrong.

    calls        names of CALLS; none: every call
    account_id   only requests that name this account
    count        how many requests it strikes at most, None for all
    rate, seed   share of the matching requests that it strikes, drawn from the seed
    seconds      machine time, see Effect
    """

    effect: Effect
    calls: list[str] = []
    account_id: int | None = None
    count: Count | None = 1
    rate: Rate = 1.0
    seed: int = 0
    seconds: Seconds | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.calls) - CALLS.keys())
        if unknown:
            raise ValueError(f"unknown calls {', '.join(unknown)}: there are {', '.join(CALLS)}")


class Lag(msgspec.Struct, tag="lag", forbid_unknown_fields=True):
    """Lists of orders and trades do not show what is younger than `seconds` of machine time; 0 ends it."""

    seconds: Seconds
    account_id: int | None = None


class Skew(msgspec.Struct, tag="skew", forbid_unknown_fields=True):
    """The venue's Date header is off by `seconds`."""

    seconds: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)]


class Legless(msgspec.Struct, tag="legless", forbid_unknown_fields=True):
    """The next `count` orders with brackets are taken without their legs."""

    account_id: int | None = None
    count: Count = 1


@dataclass(frozen=True, slots=True)
class Strike:
    """What becomes of one request."""

    effect: Effect
    seconds: float


@dataclass(slots=True)
class _Armed:
    rule: Rule
    draw: random.Random
    struck: int = 0


class _Names(msgspec.Struct, rename="camel"):
    account_id: int | None = None
    filter: dict[str, Any] = {}


@dataclass(slots=True)
class Faults:
    """The faults of one venue in force; none at first. Used from the venue's own thread."""

    skew: float = 0.0
    _armed: list[_Armed] = field(default_factory=list)
    _lags: dict[int | None, timedelta] = field(default_factory=dict)
    _legless: list[Legless] = field(default_factory=list)

    def add(self, fault: Rule | Lag | Skew | Legless) -> None:
        match fault:
            case Rule():
                self._armed.append(_Armed(fault, random.Random(fault.seed)))
            case Lag():
                self._lags[fault.account_id] = timedelta(seconds=fault.seconds)
            case Skew():
                self.skew = fault.seconds
            case Legless():
                self._legless.append(fault)

    def clear(self, account_id: int | None = None) -> None:
        """End the faults of an account, None for all faults."""
        if account_id is None:
            self.skew = 0.0
        self._armed = [a for a in self._armed if account_id is not None and a.rule.account_id != account_id]
        self._legless = [one for one in self._legless if account_id is not None and one.account_id != account_id]
        self._lags = {key: lag for key, lag in self._lags.items() if account_id is not None and key != account_id}

    def strike(self, path: str, body: bytes) -> Strike | None:
        """Return what is to become of a request to `path`, None when it goes right; counts it if not."""
        if not self._armed:
            return None
        call, account_id = path.removeprefix("/api/"), _account_of(body)
        for armed in self._armed:
            rule = armed.rule
            if rule.account_id not in (None, account_id) or not _matches(rule, call):
                continue
            if rule.count is not None and armed.struck >= rule.count:
                continue
            if armed.draw.random() < rule.rate:
                armed.struck += 1
                later = armed.draw.uniform(1, 30) if rule.effect is Effect.LATE else 0.0
                return Strike(rule.effect, later if rule.seconds is None else rule.seconds)
        return None

    def takes_legs(self, account_id: int) -> bool:
        """Return whether the order that the account places now gets its bracket legs; counts it if not."""
        for one in self._legless:
            if one.account_id in (None, account_id):
                one.count -= 1
                if not one.count:
                    self._legless.remove(one)
                return False
        return True

    def hidden(self, ledger: Ledger, table: str, account_id: int) -> Callable[[int], bool]:
        """Return whether the row of an id is too young to be shown; `table` is orders or executions."""
        lag = self._lags.get(account_id, self._lags.get(None))
        if not lag:
            return lambda _: False
        young = ledger.younger_than(table, account_id, lag)
        return lambda row_id: row_id in young

    def report(self) -> list[dict[str, Any]]:
        """Return what is in force, with how often each rule struck."""
        rules = [msgspec.to_builtins(armed.rule) | {"struck": armed.struck} for armed in self._armed]
        lags = [msgspec.to_builtins(Lag(lag.total_seconds(), account)) for account, lag in self._lags.items() if lag]
        skew = [msgspec.to_builtins(Skew(self.skew))] if self.skew else []
        return rules + lags + skew + [msgspec.to_builtins(one) for one in self._legless]


def _matches(rule: Rule, call: str) -> bool:
    return not rule.calls or any(
        call.startswith(CALLS[name]) and (name != "orders" or call in {"Order/search", "Order/searchOpen"})
        for name in rule.calls
    )


def _account_of(body: bytes) -> int | None:
    try:
        names = msgspec.json.decode(body, type=_Names)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return names.account_id if names.account_id is not None else names.filter.get("accountId")
