"""The rules of one strategy: each looked at with value, limit and verdict, and how many contracts still fit."""

from __future__ import annotations

from decimal import Decimal

from risk.exposures import tally
from risk.money import dollars
from risk.permit import clock
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.strategies import StrategyLimits, StrategyState
from risk.verdicts import Code, Report
from risk.worst_cases import fitting, loss_a_contract, worst_case


def sizes(report: Report, request: EntryRequest, state: RiskState) -> list[int]:
    """Look at the rules of the request's strategy; return how many contracts fit under each that bounds the size.

    Without a strategy, or without limits, nothing is reported.
    """
    strategy = state.strategy
    if strategy is None:
        return []
    limits = strategy.limits
    _counts(report, strategy, limits)
    _window(report, limits, state)
    _streak(report, strategy, limits, state)
    _shape(report, request, limits)
    fits = [_drawdown(report, request, strategy, limits)]
    fits.append(_trade_risk(report, request, limits, state))
    fits += _day(report, request, strategy, limits, state)
    fits.append(_buffer(report, request, limits, state))
    return fits


def _counts(report: Report, strategy: StrategyState, limits: StrategyLimits) -> None:
    for name, used, limit, code, text in (
        (
            "strategy's positions",
            strategy.positions,
            limits.max_positions,
            Code.STRATEGY_POSITIONS,
            "It would have {} positions or working entries at once: {} are allowed.",
        ),
        (
            "strategy's entries today",
            strategy.entries,
            limits.max_entries,
            Code.STRATEGY_ENTRIES,
            "It would be entry {} of the session: the strategy may send {}.",
        ),
        (
            "strategy's signals today",
            strategy.signals,
            limits.max_signals,
            Code.STRATEGY_SIGNALS,
            "It is signal {} of the session: the strategy acts on {}.",
        ),
    ):
        if limit is None:
            continue
        if used + 1 <= limit:
            report.rule(name, str(used + 1), str(limit))
        else:
            report.fail(code, name, str(used + 1), str(limit), text.format(used + 1, limit))


def _window(report: Report, limits: StrategyLimits, state: RiskState) -> None:
    if limits.windows is None or not limits.windows.times:
        return
    local, limit = state.now.astimezone(limits.windows.zone), f"{limits.windows} {limits.windows.zone.key}"
    if limits.windows.contains(state.now):
        report.rule("strategy's window", f"{local:%H:%M:%S}", limit)
    else:
        text = f"It is {local:%H:%M:%S}: the strategy enters at {limit} only."
        report.fail(Code.STRATEGY_WINDOW, "strategy's window", f"{local:%H:%M:%S}", limit, text)


def _streak(report: Report, strategy: StrategyState, limits: StrategyLimits, state: RiskState) -> None:
    if limits.loss_streak is None:
        return
    limit = f"fewer than {limits.loss_streak}"
    if strategy.losses < limits.loss_streak or strategy.lost_at is None:
        report.rule("losses in a row", str(strategy.losses), limit)
        return
    until = strategy.lost_at + limits.cooldown
    if state.now >= until:
        report.rule("losses in a row", str(strategy.losses), limit, note=f"its pause ended {clock(until)}")
        return
    text = f"The strategy lost {strategy.losses} times in a row: it pauses until {clock(until)} New York."
    report.fail(Code.LOSS_STREAK, "losses in a row", str(strategy.losses), limit, text)


def _shape(report: Report, request: EntryRequest, limits: StrategyLimits) -> None:
    for side in request.sides:
        word = side.side.name.lower()
        points = side.stop_ticks * request.contract.tick_size
        if limits.max_stop_points is not None:
            value, limit = f"{points.normalize():f} points", f"{limits.max_stop_points.normalize():f} points"
            if points <= limits.max_stop_points:
                report.rule(f"{word} stop distance", value, limit)
            else:
                text = f"The stop of the {word} is {value} away: the strategy may have it at most {limit} away."
                report.fail(Code.STOP_DISTANCE, f"{word} stop distance", value, limit, text)
        if limits.min_reward_risk is None:
            continue
        limit = f"at least {limits.min_reward_risk}"
        if side.target_ticks is None or side.stop_ticks <= 0:
            text = f"The {word} has no target: its reward for the risk is not known, and {limit} is required."
            report.fail(Code.REWARD_RISK, f"{word} reward for risk", "no target", limit, text)
            continue
        ratio = Decimal(side.target_ticks) / side.stop_ticks
        if ratio >= limits.min_reward_risk:
            report.rule(f"{word} reward for risk", f"{ratio:.2f}", limit)
        else:
            text = f"The {word} may win {ratio:.2f} times what it risks: {limit} is required."
            report.fail(Code.REWARD_RISK, f"{word} reward for risk", f"{ratio:.2f}", limit, text)


def _drawdown(report: Report, request: EntryRequest, strategy: StrategyState, limits: StrategyLimits) -> int:
    if limits.drawdown is None:
        return request.quantity
    value, limit = dollars(strategy.drawdown), f"below {dollars(limits.drawdown)}"
    if strategy.drawdown < limits.drawdown:
        report.rule("strategy's drawdown", value, limit)
        return request.quantity
    text = f"The strategy is {value} below its best total: from {dollars(limits.drawdown)} on a person decides."
    report.fail(Code.STRATEGY_DRAWDOWN, "strategy's drawdown", value, limit, text)
    return 0


def _trade_risk(report: Report, request: EntryRequest, limits: StrategyLimits, state: RiskState) -> int:
    """Count one side: of a pair one is to fill, and the account's rules count both."""
    if limits.max_risk is None:
        return request.quantity
    each = max(loss_a_contract(request.contract, [side], slippage=state.slippage_ticks) for side in request.sides)
    fits = int(limits.max_risk // each)
    value, limit = dollars(each * request.quantity), dollars(limits.max_risk)
    if fits >= request.minimum_quantity:
        report.rule("risk of the trade", value, limit, note="" if fits >= request.quantity else f"{fits} contracts fit")
    else:
        text = f"One contract risks {dollars(each)} with costs and slippage: the strategy may risk {limit} a trade."
        report.fail(Code.TRADE_RISK, "risk of the trade", value, limit, text)
    return fits


def _day(
    report: Report, request: EntryRequest, strategy: StrategyState, limits: StrategyLimits, state: RiskState
) -> list[int]:
    if limits.daily_loss_share is None and limits.daily_loss is None:
        return []
    book = worst_case(tally(strategy.exposures, slippage=state.slippage_ticks))
    each = loss_a_contract(request.contract, request.sides, slippage=state.slippage_ticks)
    fits = []
    for name, limit, code in (
        ("strategy's share of the daily loss", _share(limits, state), Code.STRATEGY_SHARE),
        ("strategy's worst result today", limits.daily_loss, Code.STRATEGY_DAILY_LOSS),
    ):
        if code is Code.STRATEGY_SHARE and limits.daily_loss_share is None:
            continue
        if code is Code.STRATEGY_DAILY_LOSS and limit is None:
            continue
        if limit is None:
            text = (
                f"The strategy may use {limits.daily_loss_share} % of the account's daily loss limit, and the account "
                "has none: set one, or give the strategy an amount in dollars."
            )
            report.fail(code, name, "unknown", "required", text)
            fits.append(0)
            continue
        if book is None:
            report.rule(name, "unknown", f"above {dollars(-limit)}", None, "a position of it has no stop")
            fits.append(0)
            continue
        worst = strategy.realised - book.positions - book.orders
        fit = fitting(worst + limit, each)
        after = worst - each * request.quantity
        if fit >= request.minimum_quantity:
            note = "" if fit >= request.quantity else f"{fit} contracts fit"
            report.rule(name, dollars(after), f"above {dollars(-limit)}", note=note)
        else:
            text = f"At its stops the strategy could end the day at {dollars(after)}: it may lose {dollars(limit)}."
            report.fail(code, name, dollars(after), f"above {dollars(-limit)}", text)
        fits.append(fit)
    return fits


def _share(limits: StrategyLimits, state: RiskState) -> Decimal | None:
    if limits.daily_loss_share is None or state.daily_loss_limit is None:
        return None
    return state.daily_loss_limit * limits.daily_loss_share / 100


def _buffer(report: Report, request: EntryRequest, limits: StrategyLimits, state: RiskState) -> int:
    if limits.buffer is None:
        return request.quantity
    limit = dollars(limits.buffer)
    if state.equity is None or state.floor is None:
        report.rule("room to the floor", "unknown", limit, None, "needs balance and floor")
        return 0
    room = state.equity - state.floor
    small = room < limits.buffer
    report.rule("room to the floor", dollars(room), limit, note="below it the size is 1" if small else "")
    return 1 if small else request.quantity
