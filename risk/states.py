"""What the gate knows of an account: plain values, read by the caller in the transaction that writes the order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from market.orders import Side
from market.sessions import Session
from risk.exposures import Exposure
from risk.limits import SLIPPAGE_TICKS
from risk.rule_states import RuleState
from risk.strategies import StrategyState

__all__ = ["Exposure", "RiskState"]


@dataclass(frozen=True, slots=True)
class RiskState:
    """An account and its market at `now`. None means unknown, which never means unlimited.

    trading_state       active, reduce_only or halted; stage as `rulebook.Stage`
    blocked             why the login may send no entry, empty if it may
    strategy_halted     why the strategy stands still in this session, empty if it does not
    flat_at, entries_until   of `session`; calendar_until: last date that the calendar knows
    prices_at           until when the contract's closed bars are known (market time); price_age: seconds allowed
    balance_age         seconds of machine time since the venue told the balance
    balance, equity     dollars; equity with open profit at the newest price, None while a price is missing
    floor               equity at which the maximum loss is reached
    day_profit          realised and open since the session began, dollars
    product_cap         most contracts of this product in the firm's temporary caps, None if it names none
    taken               sides on which the strategy already has an entry in this session
    contract_taken_by   name of another strategy with orders or a position in the contract, where that refuses entries;
                        empty if there is none, or the account lets strategies share a contract
    strategies_at_work, max_strategies   other strategies of the account with orders or positions, and how many may have
                        some at once, this one included; None is no limit
    entries_minute, entries_session   entry orders of the account in the last minute and in this session
    exposed_accounts    other accounts of the login that hold positions or orders
    slippage_ticks      reserve for each exit at a stop
    real, armed         whether orders are real ones, and whether a person has armed the account for them
    overall_state, overall_reason   the state that binds every account, and why
    token_until         market time until which the venue's token is valid
    bracket_mode        auto_oco, position or unknown; clock_skew: seconds between our clock and the venue's
    margin_percent, product_percent, group_percent, taper_percent   set by a person, None: off
    strategy            limits and doings of the strategy that asks, None for a manual order
    rules               what binds the account by the rulebook and by its trader; None, not read, denies
    """

    now: datetime
    trading_state: str
    stage: str
    enabled: bool
    can_trade: bool
    reconciled: bool
    blocked: str
    strategy_halted: str
    session: Session | None
    flat_at: datetime | None
    entries_until: datetime | None
    calendar_until: date | None
    prices_at: datetime | None
    price_age: float
    balance: Decimal | None
    balance_age: float | None
    equity: Decimal | None
    day_profit: Decimal | None
    floor: Decimal | None
    maximum_loss: Decimal | None
    daily_loss_limit: Decimal | None
    max_lots: Decimal | None
    product_cap: int | None = None
    exposures: tuple[Exposure, ...] = ()
    taken: frozenset[Side] = frozenset()
    contract_taken_by: str = ""
    strategies_at_work: int = 0
    max_strategies: int | None = None
    entries_minute: int = 0
    entries_session: int = 0
    exposed_accounts: int = 0
    slippage_ticks: int = SLIPPAGE_TICKS
    real: bool = False
    armed: bool = False
    overall_state: str = "active"
    overall_reason: str = ""
    token_until: datetime | None = None
    bracket_mode: str = "unknown"
    clock_skew: float | None = None
    margin_percent: int | None = None
    product_percent: int | None = None
    group_percent: int | None = None
    taper_percent: int | None = None
    strategy: StrategyState | None = None
    rules: RuleState | None = None
