"""What the gate needs to know of an account's rules, read in one statement inside the transaction of the order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from market.orders import Side
from risk import progress
from risk.consistency import Days
from risk.news import Window, firm_window
from risk.parameters import Parameters
from risk.personal import Personal
from risk.rule_states import Elsewhere, RuleState
from risk.rulebook import Rulebook, RulebookInvalid
from tradingbot.models import Account, NewsEvent
from tradingbot.operations import rulebooks, rules, statements

_DAY = timedelta(days=1)

_FACTS = f"""
SELECT
    (SELECT md5(string_agg(rule::text, '|' ORDER BY id)) FROM tradingbot_rule rule),
    (SELECT problems::json FROM tradingbot_rulebookload ORDER BY id DESC LIMIT 1),
    (SELECT json_agg(json_build_array(parameter, value::text) ORDER BY effective_from, id)
     FROM tradingbot_ruleoverride
     WHERE account_id = %(account)s AND withdrawn_at IS NULL AND effective_from <= %(trade_date)s),
    (SELECT json_build_array(daily_loss::text, "trailing", daily_profit::text, governor, governor_safety::text,
                             peak_date, peak::text)
     FROM tradingbot_personalrules WHERE account_id = %(account)s),
    (SELECT json_agg(json_build_array(extract(epoch FROM at)::float8, kind, title, minutes_before, minutes_after,
                                      action, symbols))
     FROM tradingbot_newsevent WHERE at BETWEEN %(now)s::timestamptz - interval '1 day'
                                         AND %(now)s::timestamptz + interval '1 day'),
    (SELECT json_agg(json_build_array(session_date, balance::text) ORDER BY session_date)
     FROM tradingbot_balance
     WHERE account_id = %(account)s AND end_of_day AND session_date < %(trade_date)s),
    (SELECT count(*) FROM tradingbot_trade WHERE account_id = %(account)s AND session_date = %(trade_date)s),
    (SELECT json_agg(json_build_array(account.name, contract.symbol, found.side, found.is_position, found.pair_price))
     FROM (
         SELECT account_id, contract_id, sign(quantity)::int AS side, true AS is_position, NULL AS pair_price
         FROM tradingbot_position WHERE quantity <> 0
         UNION SELECT account_id, contract_id, sign(broker_quantity)::int, true, NULL
         FROM tradingbot_position WHERE broker_quantity <> 0
         UNION SELECT account_id, contract_id, side::int, false,
             CASE WHEN count(*) FILTER (WHERE type = 'stop' AND filled = 0 AND status IN ('new', 'sending', 'working'))
                       OVER (PARTITION BY oco_group) = 2 AND oco_group IS NOT NULL THEN stop_price::text END
         FROM tradingbot_order
         WHERE role = 'entry'
           AND (status IN ({statements.LIVE}) OR (status = 'abandoned' AND session_date = %(trade_date)s))
     ) found
     JOIN tradingbot_account account ON account.id = found.account_id AND account.id <> %(account)s
     JOIN tradingbot_login login ON login.id = account.login_id
     JOIN tradingbot_contract contract ON contract.id = found.contract_id
     WHERE login.venue = %(venue)s)
"""  # noqa: S608


def rule_state(account: Account, *, trade_date: date, now: datetime) -> RuleState:
    """Return the rules that bind `account` in the session `trade_date`. Reads our own rows only."""
    values = {
        "account": account.pk,
        "venue": account.login.venue,
        "trade_date": trade_date,
        "now": now,
    }
    (row,) = statements.rows(_FACTS, values)
    digest, wrong, overrides, personal, events, ended, trades, elsewhere = row
    book: Rulebook | None = None
    found: Parameters | None = None
    problems: tuple[str, ...] = ()
    try:
        book = rulebooks.known(digest, wrong)
        found = book.parameters(account.stage, rules.size_of(account), trade_date)
        if found is not None:
            found = rules.with_overrides(found, ((name, Decimal(value)) for name, value in overrides or []))
    except RulebookInvalid as error:
        problems = error.problems
    return RuleState(
        problems=problems,
        parameters=found,
        permitted=book.permitted(trade_date) if book else None,
        personal=_personal(personal, trade_date),
        days=_days(account, found, ended or [], trade_date),
        conduct=book.conduct(trade_date) if book else None,
        caps=book.caps(rules.size_of(account), trade_date) if book else {},
        windows=_windows(book, rules.size_of(account), events or [], trade_date),
        elsewhere=tuple(
            Elsewhere(name, symbol, Side(side), held, Decimal(pair) if pair else None)
            for name, symbol, side, held, pair in elsewhere or []
        ),
        trades=trades,
    )


def windows(account: Account, events: Iterable[NewsEvent], *, trade_date: date) -> dict[int, list[Window]]:
    """Return the windows of each event for an account: the trader's and the firm's; without usable rules the first."""
    try:
        book: Rulebook | None = rulebooks.current()
    except RulebookInvalid:
        book = None
    size = rules.size_of(account)
    return {event.pk: _windows(book, size, [_values(event)], trade_date) for event in events}


def _values(event: NewsEvent) -> list[Any]:
    numbers = (event.minutes_before, event.minutes_after)
    return [event.at.timestamp(), event.kind, event.title, *numbers, event.action, event.symbols]


def _windows(book: Rulebook | None, size: int | None, events: list[list[Any]], on: date) -> Any:
    found = []
    for epoch, kind, title, before, after, action, symbols in events:
        at = datetime.fromtimestamp(epoch, UTC)
        rule = book.news(kind, on) if book is not None else None
        if rule is not None:
            found.append(firm_window(title, at, rule, size))
        if action != NewsEvent.Action.FIRM:
            named = frozenset(symbols.split()) or None
            starts, ends = at - timedelta(minutes=before), at + timedelta(minutes=after)
            found.append(Window(title, starts, ends, named, "your own rule"))
    return tuple(found)


def _personal(row: list[Any] | None, on: date) -> Personal:
    if row is None:
        return Personal()
    loss, trailing, profit, governor, safety, peak_date, peak = row
    return Personal(
        daily_loss=None if loss is None else Decimal(loss),
        trailing=trailing,
        daily_profit=None if profit is None else Decimal(profit),
        peak=Decimal(peak) if peak_date == on.isoformat() else Decimal(0),
        governor=governor,
        governor_safety=Decimal(safety),
    )


def _days(account: Account, found: Parameters | None, ended: list[list[Any]], on: date) -> Days:
    """Return the days of an account with a target; one without is not governed by them."""
    if found is None or found.profit_target is None:
        return Days()
    rows = [(date.fromisoformat(day), Decimal(balance)) for day, balance in ended]
    today = account.day_profit if account.session_date == on else None
    return progress.days(account.start_balance, rows, today=today)
