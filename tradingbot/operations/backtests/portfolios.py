"""Several strategies together on one account, over the cached bars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from backtest.codes import Policy
from backtest.monte_carlo import Odds
from backtest.portfolio import Member, Portfolio, Sharing, portfolio
from backtest.simulation import prepare
from tradingbot.models import Account, Backtest, Contract, Strategy
from tradingbot.models import Sharing as Rule
from tradingbot.operations.backtests import presenting, records
from tradingbot.operations.backtests.histories import History, history
from tradingbot.operations.backtests.wishes import Wish, configured, rules_of

KIND = "portfolio"


@dataclass(frozen=True, slots=True)
class Together:
    """What was asked: wishes by the name that each is told by, all of one range and one set of terms."""

    wishes: Mapping[str, Wish]
    sharing: Sharing

    @property
    def one(self) -> Wish:
        """Return a wish for what all have in common."""
        return next(iter(self.wishes.values()))


def of_account(account: Account) -> list[tuple[str, str]]:
    """Return name and symbol of the strategies that are switched on for an account. Raises ValueError without one."""
    found = list(Strategy.objects.filter(account=account, enabled=True).values_list("name", "symbol"))
    if not found:
        raise ValueError(f"no strategy of {account} is switched on: name some, for example overnight_range:MNQ")
    return found


def named(typed: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and symbol of what was typed as NAME or NAME:SYMBOL. Raises ValueError."""
    found = []
    for text in typed:
        name, _, symbol = text.partition(":")
        row = Strategy.objects.filter(name=name).first()
        if not symbol and row is None:
            configured(name)  # says what there is for a name that nobody knows
            raise ValueError(f"{name}: say on what, for example {name}:MNQ")
        found.append((name, symbol.upper() or (row.symbol if row else "")))
    return found


def sharing_of(account: Account) -> Sharing:
    """Return what the account lets its strategies do."""
    return Sharing(one_a_contract=account.sharing == Rule.DENY, most=account.max_strategies)


def together(members: Sequence[tuple[str, str]], sharing: Sharing, **terms: Any) -> Together:
    """Return what is asked with members of (name, symbol). Raises ValueError, and ParameterError for wrong ones.

    terms   of every wish: first, last, slippage, policy, firm
    """
    wishes: dict[str, Wish] = {}
    for name, symbol in members:
        kind, values = configured(name)
        label = f"{name} {symbol}"
        if label in wishes:
            raise ValueError(f"{label} is named twice")
        wishes[label] = Wish(kind, symbol, values, **terms)
        wishes[label].check()
    return Together(wishes, sharing)


def simulate(
    asked: Together,
    contracts: Mapping[str, Contract],
    *,
    now: datetime,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Portfolio, dict[str, History]]:
    """Return what the strategies do together, and the bars of each product.

    contracts   the current month of each symbol
    Raises NoBars, and ValueError for what is not possible.
    """
    by_symbol: dict[str, list[str]] = defaultdict(list)
    for label, wish in asked.wishes.items():
        by_symbol[wish.symbol].append(label)
    one, found, members = asked.one, dict[str, History](), dict[str, Member]()
    for symbol, labels in by_symbol.items():
        needs = [(asked.wishes[label].planner, asked.wishes[label].params) for label in labels]
        details = one.policy is Policy.DETAIL
        found[symbol] = history(contracts[symbol], needs, first=one.first, last=one.last, now=now, details=details)
        for label, (planner, params) in zip(labels, needs, strict=True):
            terms = asked.wishes[label].terms
            plans = tuple(prepare(planner, params, s, quantity=terms.quantity) for s in found[symbol].stretches)
            members[label] = Member(label, plans, terms)
            progress(len(members), len(asked.wishes) + 1)
    sessions = sessions_of(found)
    rules = rules_of(one.firm, sessions[-1])
    result = portfolio([members[label] for label in asked.wishes], sessions, asked.sharing, rules=rules)
    progress(len(asked.wishes) + 1, len(asked.wishes) + 1)
    return result, found


def sessions_of(found: Mapping[str, History]) -> tuple[date, ...]:
    """Return every session that one of the products has bars of."""
    return tuple(sorted({day for one in found.values() for day in one.sessions}))


def document(asked: Together, made: Portfolio, found: Mapping[str, History], drawn: Odds | None) -> dict[str, Any]:
    """Return everything but the single trades as JSON has it."""
    plain = presenting.document(asked.one, made.result, _joined(found), drawn)
    for name in ("strategy", "symbol", "parameters", "costs"):
        del plain[name]
    return {
        "strategies": {label: wish.plain()["parameters"] for label, wish in asked.wishes.items()},
        "one_a_contract": asked.sharing.one_a_contract,
        "most_at_work": asked.sharing.most,
        "parts": [asdict(part) for part in made.parts],
        **plain,
    }


def told(asked: Together, made: Portfolio, found: Mapping[str, History], drawn: Odds | None) -> dict[str, str]:
    """Return name and text of what a person reads first."""
    lines = presenting.told(asked.one, made.result, _joined(found), drawn)
    return {"strategies": ", ".join(asked.wishes), "months": ", ".join(_joined(found).months)} | {
        name: text for name, text in lines.items() if name != "strategy"
    }


def page(asked: Together, made: Portfolio, found: Mapping[str, History], drawn: Odds | None) -> str:
    """Return the page with charts, which opens without a network."""
    lines = told(asked, made, found, drawn)
    most = asked.sharing.most
    facts = {
        "bars read": asked.one.policy.name.lower(),
        "slippage": asked.one.slippage_from,
        "one strategy a contract": "yes" if asked.sharing.one_a_contract else "no, positions net",
        "strategies at work at once": "no limit" if most is None else f"at most {most}",
        **{label: _alone(made, label) for label in asked.wishes},
    }
    head = [f"{lines['strategies']}: {lines['sessions']}", *presenting.notes(_joined(found))]
    head += [f"{name}: {lines[name]}" for name in ("not placed", "passes", "breaches") if name in lines]
    return presenting.drawn_page(
        made.result, f"{len(asked.wishes)} strategies on one account", facts, head, made.owners
    )


def keep(
    asked: Together,
    contract: Contract,
    made: Portfolio,
    found: Mapping[str, History],
    drawn: Odds | None,
    *,
    by: str,
) -> Backtest:
    """Return the row of a portfolio, beside those of single strategies; `contract` is that of the first."""
    wish = replace(asked.one, kind=KIND, values={})
    return records.kept(
        wish,
        contract,
        made.result,
        sessions_of(found),
        {**document(asked, made, found, drawn), "told": list(told(asked, made, found, drawn).items())},
        page(asked, made, found, drawn),
        by=by,
        parameters={label: wish.plain()["parameters"] for label, wish in asked.wishes.items()},
    )


def _alone(made: Portfolio, label: str) -> str:
    part = next(part for part in made.parts if part.name == label)
    denied = part.contract_taken + part.too_many
    net, alone = (presenting.money(amount) for amount in (part.net, part.alone))
    return f"{net} in {part.trades} trades, {denied} entries not let in; {alone} by itself"


def _joined(found: Mapping[str, History]) -> History:
    """Return what is said of the bars of all products."""
    holes = sorted({day for one in found.values() for day in one.holes})
    months = tuple(name for one in found.values() for name in one.months)
    return History((), sessions_of(found), tuple(holes), months)
