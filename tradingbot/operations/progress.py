"""How far an account is: from passing, from a payout, from its floor; read from rows, said in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from market.sessions import trade_date_of
from risk import consistency, drawdown, outlooks, payouts, rulebook
from risk import progress as arithmetic
from risk.consistency import Days
from risk.outlooks import Conducted
from risk.parameters import Parameters
from risk.payouts import Path
from risk.rulebook import Conduct, RulebookInvalid
from tradingbot.models import Account, Trade
from tradingbot.operations import limits_watch, risk_states, rulebooks, rules


@dataclass(frozen=True, slots=True)
class Progress:
    """Dollars; None where a part is not known or the stage has no such rule.

    days       closed days that changed the balance since the start or the last payout, oldest first
    missing    sentences: what passing or a payout lacks; warnings: what deserves a look
    useful     dollars that still help today, cap: what the day may make
    """

    account: Account
    size: int | None
    parameters: Parameters | None
    balance: Decimal | None
    equity: Decimal | None
    floor: Decimal | None
    room: Decimal | None
    max_lots: Decimal | None
    today: Decimal | None
    total: Decimal | None
    best: Decimal | None
    needed: Decimal | None
    cap: Decimal | None
    useful: Decimal | None
    days: tuple[tuple[date, Decimal], ...]
    traded: Conducted
    missing: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def days_traded(self) -> int:
        return len(self.days) + (1 if self.today else 0)


def read(account: Account, *, now: datetime) -> Progress:
    """Return where the account stands. Reads our own rows only; usable rules or not."""
    today = trade_date_of(now)
    problems: tuple[str, ...] = ()
    found: Parameters | None = None
    conduct: Conduct | None = None
    try:
        found = rules.parameters_of(account, today)
        conduct = rulebooks.current().conduct(today)
    except RulebookInvalid as error:
        problems = error.problems
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    worth, floor = risk_states.worth_of(account, positions, trade_date=today), risk_states.floor_of(account)
    days, nets = _days(account, found, today)
    safety = _safety(account)
    traded = _traded(account, today)
    warnings = [f"The rulebook cannot be used, entries are refused: {problem}." for problem in problems]
    missing = outlooks.of_stage(account.stage)
    paths: list[Path] = []
    if found is not None:
        if not days.complete and found.profit_target is not None:
            missing.append(
                "Days before the first one that this system saw are not known: the best day may be larger, the firm's "
                "dashboard shows it."
            )
        missing += outlooks.to_pass(found, days, flat=not positions, safety=safety)
        paths = _paths(account, found, nets, worth)
        missing += outlooks.to_be_paid(paths)
        last = Trade.objects.filter(account=account).values_list("session_date", flat=True).first()
        warnings += outlooks.warnings(found, conduct, traded, last_trade=last, today=today)
    elif not problems and account.stage in rulebook.TRADED:
        missing.append("The rulebook has no rules for this stage and size: set both on the account's page.")
    if not nets and not traded.held:
        missing.append("Nothing was traded yet.")
    ratio, target = (found.consistency_ratio, found.profit_target) if found else (None, None)
    best = max(days.best, days.today or Decimal(0))
    return Progress(
        account=account,
        size=rules.size_of(account),
        parameters=found,
        balance=account.balance,
        equity=worth.equity,
        floor=floor,
        room=None if worth.equity is None or floor is None else worth.equity - floor,
        max_lots=risk_states.max_lots(account, found, today),
        today=days.today,
        total=days.total + (days.today or Decimal(0)) if found else None,
        best=best if found else None,
        needed=consistency.needed_total(target=target, ratio=ratio, best_day=best) if target and ratio else None,
        cap=consistency.day_cap(found, days, safety=safety) if found else None,
        useful=consistency.useful_today(found, days, made=days.today or Decimal(0), safety=safety) if found else None,
        days=tuple(nets),
        traded=traded,
        missing=tuple(missing),
        warnings=tuple(warnings),
    )


def useful_sentence(account: Account, *, now: datetime) -> str:
    """Return what still helps the account today and what its governor does about it; empty without a target."""
    found = read(account, now=now)
    if found.useful is None or found.cap is None:
        return ""
    row = limits_watch.personal_of(account)
    governor = row.governor if row is not None else "off"
    money = outlooks.money
    return (
        f"{account}: {money(found.useful)} more still help today, a day's cap is {money(found.cap)} "
        f"(consistency governor: {governor})."
    )


def _days(account: Account, found: Parameters | None, today: date) -> tuple[Days, list[tuple[date, Decimal]]]:
    """Return the days since the start, or since the last payout, and their results."""
    rows = list(
        account.balances.filter(end_of_day=True, session_date__lte=today)
        .order_by("session_date")
        .values_list("session_date", "balance")
    )
    is_closed = bool(rows) and rows[-1][0] == today
    open_result = account.day_profit if account.session_date == today and not is_closed else None
    if account.start_balance is None:
        return Days(today=open_result, complete=False), []
    paid = {row.session_date: row.amount for row in account.payouts.all()}
    since = max(paid, default=date.min)
    nets = [(day, net) for day, net in arithmetic.results(account.start_balance, rows, paid) if day >= since]
    complete = bool(rows) and rows[0][1] == account.start_balance
    values = [net for _, net in nets]
    return Days(sum(values, Decimal(0)), max([Decimal(0), *values]), len(values), open_result, complete), nets


def _paths(
    account: Account, found: Parameters, nets: list[tuple[date, Decimal]], worth: risk_states.Worth
) -> list[Path]:
    """Return the ways to a payout; today's result does not count before the day is closed."""
    cycle = payouts.Cycle(
        balance=account.balance or Decimal(0),
        days=tuple(net for _, net in nets),
        first=not account.payouts.exists(),
        has_daily_loss_limit=account.has_daily_loss_limit,
        blocked=worth.day_profit is not None
        and drawdown.is_day_lost(day_profit=worth.day_profit, daily_loss_limit=account.daily_loss_limit),
    )
    both = payouts.standard(found, cycle), payouts.consistency(found, cycle)
    return [path for path in both if path is not None]


def _safety(account: Account) -> Decimal:
    row = limits_watch.personal_of(account)
    return row.governor_safety if row is not None else Decimal(0)


def _traded(account: Account, today: date) -> Conducted:
    times = account.trades.filter(session_date=today).values_list("entered_at", "exited_at")
    return Conducted(tuple((left - entered).total_seconds() for entered, left in times))
