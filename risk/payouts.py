"""What an Express account may pay out, on the standard and on the consistency path.

Source: the firm's help pages, "Payout Policy" (checked 2026-10). Dollars; nothing is rounded in the trader's favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from risk.parameters import Parameters

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Path:
    """One way to a payout: what is missing, empty when it may be asked for; `amount` is the most that it can be."""

    name: str
    missing: tuple[str, ...]
    amount: Decimal
    to_trader: Decimal

    @property
    def eligible(self) -> bool:
        return not self.missing


def standard(
    rules: Parameters,
    *,
    balance: Decimal,
    days: Sequence[Decimal],
    first: bool,
    has_daily_loss_limit: bool = False,
    blocked: bool = False,
) -> Path | None:
    """Return the standard path: enough winning days, and a net profit since the last payout unless it is the first.

    days      net results of the closed days since the last payout, or the start
    blocked   the daily loss limit was reached today
    None for a stage without payouts.
    """
    if rules.payout_winning_days is None or rules.payout_day_profit is None or rules.payout_cap is None:
        return None
    won = sum(day >= rules.payout_day_profit for day in days)
    missing = []
    if won < rules.payout_winning_days:
        left = rules.payout_winning_days - won
        missing.append(f"{left} more day(s) of at least ${rules.payout_day_profit:,.0f} net; {won} so far")
    if not first and sum(days, Decimal(0)) <= 0:
        missing.append("a net profit since the last payout")
    return _path("standard", rules, balance, rules.payout_cap, missing, has_daily_loss_limit, blocked)


def consistency(
    rules: Parameters,
    *,
    balance: Decimal,
    days: Sequence[Decimal],
    first: bool,
    has_daily_loss_limit: bool = False,
    blocked: bool = False,
) -> Path | None:
    """Return the consistency path: enough trading days of which none made too large a share; as `standard`."""
    if rules.consistency_min_days is None or rules.consistency_ratio is None or rules.consistency_payout_cap is None:
        return None
    total, best = sum(days, Decimal(0)), max(days, default=Decimal(0))
    missing = []
    if len(days) < rules.consistency_min_days:
        missing.append(f"{rules.consistency_min_days - len(days)} more trading day(s); {len(days)} so far")
    if total <= 0:
        if not first or days:
            missing.append("a net profit since the last payout" if not first else "a net profit")
    elif best > total * rules.consistency_ratio:
        more = best / rules.consistency_ratio - total
        missing.append(
            f"${more:,.2f} more net profit on other days: the best day made {best / total * 100:.2f} % of it, "
            f"{rules.consistency_ratio * 100:.4g} % are allowed"
        )
    return _path("consistency", rules, balance, rules.consistency_payout_cap, missing, has_daily_loss_limit, blocked)


def _path(
    name: str,
    rules: Parameters,
    balance: Decimal,
    cap: Decimal,
    missing: list[str],
    has_daily_loss_limit: bool,
    blocked: bool,
) -> Path:
    """Return the path with its amount; the caps are double where the Daily Loss Limit was chosen."""
    share, least = rules.payout_share or Decimal(0), rules.payout_minimum or Decimal(0)
    most = min(max(Decimal(0), balance) * share, cap * 2 if has_daily_loss_limit else cap)
    amount = most.quantize(_CENT, ROUND_DOWN)
    if amount < least:
        missing = [*missing, f"a balance of ${least / share:,.2f}: the least that is paid out is ${least:,.0f}"]
    if blocked:
        missing = [*missing, "a day without the daily loss limit reached: no request today"]
    return Path(name, tuple(missing), amount, (amount * (rules.trader_share or Decimal(0))).quantize(_CENT, ROUND_DOWN))
