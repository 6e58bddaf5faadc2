"""The gate that every entry passes, whoever asks for it. Pure: the same request and state give the same verdict.

The rules are looked at in one order: trading state, permit (the firm's rules among it), window and calendar, freshness,
product and size, rate and count, conduct, daily loss and maximum loss with the worst case of the whole book, news,
consistency, personal limits, sizing; of a strategy's and an account's rule the strategy's comes first. All are
reported; the first failure decides.
"""

from __future__ import annotations

from risk import firm_rules, groups, limits, margins, permit, rooms, shapes, strategy_rules, tapering
from risk.exposures import Tally, tally
from risk.permit import clock
from risk.requests import EntryRequest, EntrySide
from risk.stages import TRADED
from risk.states import Exposure, RiskState
from risk.verdicts import Code, Report, Rule, Verdict
from risk.worst_cases import WorstCase, loss_a_contract, worst_case

__all__ = ["Code", "EntryRequest", "EntrySide", "Exposure", "RiskState", "Rule", "Verdict", "decide"]


def decide(request: EntryRequest, state: RiskState) -> Verdict:
    """Return whether `request` may be sent on an account in `state`, and with how many contracts."""
    report = Report()
    _trading_state(report, state)
    permit.standing(report, state)
    _window(report, request, state)
    permit.calendar(report, state)
    permit.prices(report, state, request.contract.symbol, has_reference=request.reference is not None)
    permit.balance(report, state)
    shaped = all([shapes.product(report, request), shapes.quantity(report, request), shapes.sides(report, request)])
    book = tally(state.exposures, slippage=state.slippage_ticks)
    sizes = _sizes(report, request, state, book) if shaped else [0]
    _rate(report, request, state)
    firm_rules.conduct(report, request, state)
    worst = worst_case(book)
    _protection(report, book, worst)
    each = None
    if shaped and worst is not None:
        each = loss_a_contract(request.contract, request.sides, slippage=state.slippage_ticks)
        sizes.append(rooms.daily_loss(report, request, state, worst, each))
        sizes.append(rooms.maximum_loss(report, request, state, worst, each))
    sizes += firm_rules.rooms(report, request, state, book, worst, each)
    quantity = max(0, min(request.quantity, *sizes))
    _sizing(report, request, quantity)
    if report.code is not Code.ALLOWED:
        return Verdict(False, 0, report.code, report.sentence, tuple(report.rules))
    of = f" of {request.quantity}" if quantity < request.quantity else ""
    sentence = f"{quantity}{of} {request.contract.symbol} may be sent: every rule is kept."
    return Verdict(True, quantity, Code.ALLOWED, sentence, tuple(report.rules))


def _sizes(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> list[int]:
    """Return how many contracts fit under each rule of the strategy, then of the account."""
    return [
        *strategy_rules.sizes(report, request, state),
        rooms.lots(report, request, state, book),
        rooms.product_cap(report, request, state, book),
        *groups.sizes(report, request, state, book),
        margins.size(report, request, state, book),
        tapering.size(report, request, state),
    ]


def _trading_state(report: Report, state: RiskState) -> None:
    if state.overall_state == "active":
        report.rule("all accounts", "active", "active")
    else:
        code = Code.REDUCE_ONLY if state.overall_state == "reduce_only" else Code.HALTED
        word = state.overall_state.replace("_", " ")
        text = f"All accounts are {word}: {state.overall_reason or 'nobody said why'}."
        report.fail(code, "all accounts", word, "active", text)
    if state.trading_state == "active":
        report.rule("trading state", state.trading_state, "active")
    else:
        code = Code.REDUCE_ONLY if state.trading_state == "reduce_only" else Code.HALTED
        word = state.trading_state.replace("_", " ")
        report.fail(code, "trading state", word, "active", f"The account is {word}: no new entries.")
    if not state.enabled:
        text = "The account is disabled here: enable it in the admin to trade it."
        report.fail(Code.ACCOUNT_DISABLED, "account", "disabled", "enabled", text)
    if state.stage in TRADED:
        report.rule("stage", state.stage, "practice, combine, express")
    else:
        text = (
            f"The account's stage is {state.stage}: only practice, Combine and Express accounts may be traded by "
            "a program. Set the stage in the admin if it is one of them."
        )
        report.fail(Code.STAGE_REFUSED, "stage", state.stage, "practice, combine, express", text)
    if state.can_trade:
        report.rule("venue allows trading", "yes", "yes")
    else:
        text = "The venue says that this account cannot trade."
        report.fail(Code.ACCOUNT_LOCKED, "venue allows trading", "no", "yes", text)
    if state.real and not state.armed:
        text = "The account is not armed: a person arms it for its session before real orders leave."
        report.fail(Code.NOT_ARMED, "armed", "no", "yes", text)
    elif state.real:
        report.rule("armed", "yes", "yes")
    if state.strategy_halted:
        text = f"The strategy stands still for this session: {state.strategy_halted}."
        report.fail(Code.STRATEGY_HALTED, "strategy", state.strategy_halted, "running", text)


def _window(report: Report, request: EntryRequest, state: RiskState) -> None:
    session, until = state.session, state.entries_until
    if session is None or until is None or state.flat_at is None:
        text = "The calendar has no session at this time: no entries."
        report.fail(Code.NO_SESSION, "session", "none", "a calendar row", text)
    else:
        report.rule("session", permit.day(session.trade_date), "a calendar row")
        value, limit = clock(state.now), f"{clock(session.opens_at)} to {clock(until)}"
        if session.opens_at <= state.now < until:
            report.rule("entry window", value, limit)
        else:
            text = f"It is {value} New York: entries are sent from {limit} only."
            report.fail(Code.OUTSIDE_WINDOW, "entry window", value, limit, text)
    expired = [side.expires_at for side in request.sides if side.expires_at and side.expires_at <= state.now]
    if expired:
        text = f"The entry was to work until {clock(expired[0])} New York, it is {clock(state.now)}."
        report.fail(Code.EXPIRED, "entry valid until", clock(expired[0]), clock(state.now), text)


def _rate(report: Report, request: EntryRequest, state: RiskState) -> None:
    taken = [side.side.word for side in request.sides if side.side in state.taken]
    if taken:
        text = f"The strategy already has its {' and '.join(taken)} entry in this session."
        report.fail(Code.ENTRY_TAKEN, "entry in this session", " and ".join(taken), "none", text)
    else:
        report.rule("entry in this session", "none", "none")
    _others(report, request, state)
    number = len(request.sides)
    for name, sent, limit in (
        ("entries in a minute", state.entries_minute, limits.ENTRIES_A_MINUTE),
        ("entries in a session", state.entries_session, limits.ENTRIES_A_SESSION),
    ):
        if sent + number <= limit:
            report.rule(name, str(sent + number), str(limit))
        else:
            text = f"The account would have sent {sent + number} {name}: at most {limit} are sent."
            report.fail(Code.TOO_MANY_ENTRIES, name, str(sent + number), str(limit), text)
    if state.exposed_accounts < limits.ACCOUNTS_A_LOGIN:
        report.rule("other exposed accounts", str(state.exposed_accounts), f"fewer than {limits.ACCOUNTS_A_LOGIN}")
    else:
        text = (
            f"{state.exposed_accounts} other accounts of the login are exposed: more cannot be watched closely enough."
        )
        limit_text = f"fewer than {limits.ACCOUNTS_A_LOGIN}"
        report.fail(Code.TOO_MANY_ACCOUNTS, "other exposed accounts", str(state.exposed_accounts), limit_text, text)


def _others(report: Report, request: EntryRequest, state: RiskState) -> None:
    """Let strategies of one account not get into each other's way: its positions are net, one a contract."""
    if state.contract_taken_by:
        text = (
            f"{state.contract_taken_by} is at work in {request.contract.symbol} on this account, where two strategies "
            "would net each other: the account lets only one at a time have a contract."
        )
        report.fail(Code.CONTRACT_TAKEN, "contract free", f"has {state.contract_taken_by}", "no other strategy", text)
    else:
        report.rule("contract free", "yes", "no other strategy")
    if state.max_strategies is None:
        return
    value, limit = str(state.strategies_at_work + 1), str(state.max_strategies)
    if state.strategies_at_work < state.max_strategies:
        report.rule("strategies at work", value, limit)
    else:
        text = f"{value} strategies would be at work on the account at once: at most {limit} may be."
        report.fail(Code.TOO_MANY_STRATEGIES, "strategies at work", value, limit, text)


def _protection(report: Report, book: Tally, worst: WorstCase | None) -> None:
    if worst is not None:
        report.rule("everything has a stop", "yes", "yes")
        return
    bare = book.unstopped
    what = "A product whose costs are unknown is held"
    if bare is not None:
        kind = "position" if bare.is_position else "order"
        what = f"A {kind} of {bare.quantity} {bare.contract.symbol} has no stop of full size"
    report.fail(Code.UNPROTECTED, "everything has a stop", "no", "yes", f"{what}: no entries until it has.")


def _sizing(report: Report, request: EntryRequest, quantity: int) -> None:
    if quantity >= request.minimum_quantity >= 1 or report.code is not Code.ALLOWED:
        note = "" if quantity == request.quantity else f"{request.quantity} were asked for"
        report.rule("size", str(quantity), str(request.quantity), quantity > 0 or None, note)
        return
    wanted = f"at least {request.minimum_quantity} are wanted"
    text = f"{quantity} of {request.quantity} {request.contract.symbol} fit under all limits: {wanted}."
    report.fail(Code.TOO_SMALL, "size", str(quantity), str(request.minimum_quantity), text)
