"""What an Express account may pay out, on the standard and on the consistency path.

Source: the firm's help pages, "Payout Policy" (checked 2026-10). Dollars; nothing is rounded in the trader's favour.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from risk.parameters import Parameters, percent

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


@dataclass(frozen=True, slots=True)
class Cycle:
    """The time since the last payout, or since the start for the first one.

    balance   dollars now; days: net results of the closed days
    blocked   the daily loss limit was reached today
    """

    balance: Decimal
    days: tuple[Decimal, ...]
    first: bool = True
    has_daily_loss_limit: bool = False
    blocked: bool = False

    @property
    def profit(self) -> Decimal:
        return sum(self.days, Decimal(0))


def standard(rules: Parameters, cycle: Cycle) -> Path | None:
    """Return the standard path: enough winning days, and a net profit since the last payout unless it is the first.

    None for a stage without payouts.
    """
    if rules.payout_winning_days is None or rules.payout_day_profit is None or rules.payout_cap is None:
        return None
    won = sum(day >= rules.payout_day_profit for day in cycle.days)
    missing = []
    if won < rules.payout_winning_days:
        left = rules.payout_winning_days - won
        missing.append(f"{left} more day(s) of at least ${rules.payout_day_profit:,.0f} net; {won} so far")
    if not cycle.first and cycle.profit <= 0:
        missing.append("a net profit since the last payout")
    return _path("standard", rules, cycle, rules.payout_cap, missing)


def consistency(rules: Parameters, cycle: Cycle) -> Path | None:
    """Return the consistency path: enough trading days of which none made too large a share; None as `standard`."""
    if rules.consistency_min_days is None or rules.consistency_ratio is None or rules.consistency_payout_cap is None:
        return None
    total, best = cycle.profit, max(cycle.days, default=Decimal(0))
    missing = []
    if len(cycle.days) < rules.consistency_min_days:
        missing.append(f"{rules.consistency_min_days - len(cycle.days)} more trading day(s); {len(cycle.days)} so far")
    if total <= 0:
        if cycle.days or not cycle.first:
            missing.append("a net profit since the last payout" if not cycle.first else "a net profit")
    elif best > total * rules.consistency_ratio:
        more = best / rules.consistency_ratio - total
        missing.append(
            f"${more:,.2f} more net profit on other days: the best day made {best / total * 100:.2f} % of it, "
            f"{percent(rules.consistency_ratio)} are allowed"
        )
    return _path("consistency", rules, cycle, rules.consistency_payout_cap, missing)


def is_possible(rules: Parameters, amount: Decimal, *, before: Decimal) -> bool:
    """Return whether `amount` dollars can have been paid out of the balance `before`; False without payouts.

    Not less than the least, no more than there was, and the share of the balance was as much as the least. The share is
    no bound of the amount: what was traded between request and payment may have moved the balance.
    """
    if rules.payout_minimum is None or rules.payout_share is None:
        return False
    return rules.payout_minimum <= amount <= before and before * rules.payout_share >= rules.payout_minimum


def _path(name: str, rules: Parameters, cycle: Cycle, cap: Decimal, missing: list[str]) -> Path:
    """Return the path with its amount; the caps are double where the Daily Loss Limit was chosen."""
    share, least = rules.payout_share or Decimal(0), rules.payout_minimum or Decimal(0)
    most = min(max(Decimal(0), cycle.balance) * share, cap * 2 if cycle.has_daily_loss_limit else cap)
    amount = most.quantize(_CENT, ROUND_DOWN)
    if amount < least:
        missing = [*missing, f"a balance of ${least / share:,.2f}: the least that is paid out is ${least:,.0f}"]
    if cycle.blocked:
        missing = [*missing, "a day without the daily loss limit reached: no request today"]
    return Path(name, tuple(missing), amount, (amount * (rules.trader_share or Decimal(0))).quantize(_CENT, ROUND_DOWN))
