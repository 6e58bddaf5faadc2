"""The gate's answer: every rule with its value and limit, and one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """Why an entry was denied; the values are stored in decisions and stay what they are."""

    ALLOWED = "allowed"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"
    ACCOUNT_DISABLED = "account_disabled"
    STAGE_REFUSED = "stage_refused"
    ACCOUNT_LOCKED = "account_locked"
    LOGIN_BLOCKED = "login_blocked"
    NOT_ARMED = "not_armed"
    NOT_RECONCILED = "not_reconciled"
    TOKEN_EXPIRES = "token_expires"  # noqa: S105
    BRACKET_MODE = "bracket_mode"
    CLOCK_SKEW = "clock_skew"
    RULEBOOK_INVALID = "rulebook_invalid"
    STRATEGY_HALTED = "strategy_halted"
    STRATEGY_POSITIONS = "strategy_positions"
    STRATEGY_ENTRIES = "strategy_entries"
    STRATEGY_SIGNALS = "strategy_signals"
    STRATEGY_WINDOW = "strategy_window"
    STRATEGY_SHARE = "strategy_share"
    STRATEGY_DAILY_LOSS = "strategy_daily_loss"
    STRATEGY_DRAWDOWN = "strategy_drawdown"
    LOSS_STREAK = "loss_streak"
    REWARD_RISK = "reward_risk"
    STOP_DISTANCE = "stop_distance"
    TRADE_RISK = "trade_risk"
    MARGIN = "margin"
    PRODUCT_SHARE = "product_share"
    GROUP_SHARE = "group_share"
    NO_SESSION = "no_session"
    CALENDAR_ENDS = "calendar_ends"
    OUTSIDE_WINDOW = "outside_window"
    EXPIRED = "expired"
    STALE_PRICES = "stale_prices"
    STALE_BALANCE = "stale_balance"
    PRODUCT_REFUSED = "product_refused"
    BAD_QUANTITY = "bad_quantity"
    BAD_SIDES = "bad_sides"
    BAD_PRICE = "bad_price"
    BAD_STOP = "bad_stop"
    BAD_TARGET = "bad_target"
    NO_SIZE_LIMIT = "no_size_limit"
    TOO_MANY_LOTS = "too_many_lots"
    PRODUCT_CAP = "product_cap"
    ENTRY_TAKEN = "entry_taken"
    CONTRACT_TAKEN = "contract_taken"
    TOO_MANY_STRATEGIES = "too_many_strategies"
    TOO_MANY_ENTRIES = "too_many_entries"
    TOO_MANY_ACCOUNTS = "too_many_accounts"
    UNPROTECTED = "unprotected"
    DAY_UNKNOWN = "day_unknown"
    DAILY_LOSS = "daily_loss"
    NO_LOSS_LIMIT = "no_loss_limit"
    MAXIMUM_LOSS = "maximum_loss"
    TOO_SMALL = "too_small"
    NO_RULES = "no_rules"
    NEWS_WINDOW = "news_window"
    HEDGING = "hedging"
    PERSONAL_LOSS = "personal_loss"
    PERSONAL_PROFIT = "personal_profit"
    CONSISTENCY = "consistency"


class Rule(NamedTuple):
    """One rule as it was looked at; `ok` is None where it does not apply."""

    name: str
    value: str
    limit: str
    ok: bool | None
    note: str = ""


_tuple = tuple.__new__  # what Rule() comes to, in half the time: forty for every entry


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says.

    quantity      contracts granted for each side, 0 when denied
    code, sentence   of the first rule that failed, in the gate's order
    rules         all of them, those after the first failure too
    """

    allowed: bool
    quantity: int
    code: Code
    sentence: str
    rules: tuple[Rule, ...]


class Report:
    """The rules as they are looked at; the first failure stays."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.code = Code.ALLOWED
        self.sentence = ""

    def rule(self, name: str, value: str, limit: str, ok: bool | None = True, note: str = "") -> None:
        self.rules.append(_tuple(Rule, (name, value, limit, ok, note)))

    def fail(self, code: Code, name: str, value: str, limit: str, sentence: str) -> None:
        self.rules.append(Rule(name, value, limit, False, sentence))
        if self.code is Code.ALLOWED:
            self.code, self.sentence = code, sentence
