"""What an account still lacks to pass or to be paid, in plain sentences; and what the firm might call misconduct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from risk import consistency
from risk.consistency import Days
from risk.parameters import Parameters, percent
from risk.payouts import Path
from risk.rulebook import Conduct
from risk.stages import Stage


@dataclass(frozen=True, slots=True)
class Conducted:
    """How an account was traded in a session: closed trades, and the seconds that each was held."""

    held: tuple[float, ...] = ()

    @property
    def shortest(self) -> float | None:
        return min(self.held, default=None)


def to_pass(rules: Parameters, days: Days, *, flat: bool, safety: Decimal) -> list[str]:
    """Return what a Combine lacks to pass; nothing for a stage without a target."""
    target, ratio, least = rules.profit_target, rules.consistency_ratio, rules.min_trading_days
    if target is None or ratio is None or least is None:
        return []
    today = days.today or Decimal(0)
    total, best = days.total + today, max(days.best, today)
    number = days.number + (1 if today else 0)
    needed = consistency.needed_total(target=target, ratio=ratio, best_day=best)
    said = []
    if consistency.is_passed(
        total=total, target=target, ratio=ratio, best_day=best, days=number, min_days=least, flat=flat
    ):
        said.append(f"Everything that passing needs is there: {money(total)} net on {number} days, and flat.")
    else:
        missing = []
        if total < needed:
            missing.append(f"{money(needed - total)} more net profit")
        if number < least:
            missing.append(f"{least - number} more trading day(s)")
        if not flat:
            missing.append("no open position")
        said.append(f"To pass: {', '.join(missing)}.")
    if needed > target:
        said.append(
            f"The best day, {money(best)}, is more than {percent(ratio)} of the target: {money(needed)} are needed "
            f"instead of {money(target)}."
        )
    largest = consistency.largest_day(target=target, ratio=ratio, best_day=days.best)
    useful = consistency.useful_today(rules, days, made=today, safety=safety) or Decimal(0)
    if total < needed:
        said.append(
            f"Today {money(useful)} more still help; a day above {money(largest)} raises what is needed."
            if useful
            else f"More profit today does not help: a day above {money(largest)} raises what is needed."
        )
    return said


def to_be_paid(paths: Sequence[Path]) -> list[str]:
    """Return for each path to a payout whether it may be asked for, and what is missing otherwise."""
    return [
        f"Payout on the {path.name} path: up to {money(path.amount)} may be asked for, {money(path.to_trader)} of it "
        "reach you."
        if path.eligible
        else f"Payout on the {path.name} path: missing {'; '.join(path.missing)}."
        for path in paths
    ]


def of_stage(stage: str) -> list[str]:
    """Return what the stage itself means for passing and payouts."""
    match stage:
        case Stage.PRACTICE:
            return ["A practice account cannot pass or fail: it is measured as a Combine of its size."]
        case Stage.LIVE:
            return ["A live account is not traded by a program: the firm does not allow it."]
        case Stage.UNKNOWN:
            return ["The account's stage is not known: set stage and size, then its rules are shown here."]
        case _:
            return []


def warnings(
    rules: Parameters, conduct: Conduct | None, traded: Conducted, *, last_trade: date | None, today: date
) -> list[str]:
    """Return what may be called misconduct, and days without a trade before they cost the account."""
    said = []
    if conduct is not None and len(traded.held) >= conduct.trades_a_day:
        said.append(
            f"{len(traded.held)} trades today: from {conduct.trades_a_day} on we warn, the firm reviews accounts with "
            "hundreds."
        )
    short = [seconds for seconds in traded.held if conduct is not None and seconds < conduct.holding_seconds]
    if conduct is not None and short:
        said.append(
            f"{len(short)} of today's {len(traded.held)} trades were held for less than {conduct.holding_seconds} "
            "seconds: the firm calls a habit of it exploiting its simulation."
        )
    if rules.inactivity_days is not None and last_trade is not None:
        idle = (today - last_trade).days
        if idle * 3 >= rules.inactivity_days * 2:
            said.append(f"{idle} days without a trade: after {rules.inactivity_days} the firm may close the account.")
    return said


def money(amount: Decimal) -> str:
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"
