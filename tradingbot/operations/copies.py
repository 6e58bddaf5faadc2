"""One strategy to several own accounts: a row of its own on each, sized by what the account can bear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils.text import slugify

from market.products import PRODUCTS
from market.sessions import trade_date_of
from risk.parameters import lots
from risk.rulebook import TRADED, RulebookInvalid
from strategies.parameters import dump
from tradingbot.models import Account, Contract, Strategy
from tradingbot.models.limits import StrategyLimits
from tradingbot.operations import notifications, risk_states, rulebooks, rules

_LIMITS = [field.name for field in StrategyLimits._meta.get_fields() if getattr(field, "editable", False)]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy on `account` is to be, or `why` there is none.

    size   contracts; share: the account's room to its floor as part of the original's
    """

    account: Account
    name: str
    size: int
    share: Decimal
    why: str = ""


def compare(original: Strategy, accounts: Iterable[Account], *, now: datetime) -> list[Copy]:
    """Return what a copy of `original` would be on each account. Raises ValueError if its own room is not known."""
    room = _room(original.account, now)
    if not room:
        raise ValueError(f"{original.account}: its room to the floor is not known, so there is nothing to size by")
    return [_copy(original, account, room, now) for account in accounts]


def make(original: Strategy, copies: Iterable[Copy], *, by: str, now: datetime) -> list[Strategy]:
    """Write those copies that can be, switched off: each is started like any other. All or none."""
    made = []
    with transaction.atomic():
        for copy in copies:
            if copy.why:
                continue
            row = Strategy(name=copy.name, kind=original.kind, account=copy.account, symbol=original.symbol)
            row.parameters = dump(original.typed_parameters()) | {"size": copy.size}
            if risk := original.typed_parameters().risk_per_trade:
                row.parameters["risk_per_trade"] = str((risk * copy.share).quantize(Decimal("0.01")))
            for name in _LIMITS:
                setattr(row, name, getattr(original, name))
            row.full_clean()
            row._change_reason = f"copied from {original} by {by}"  # type: ignore[attr-defined]  # simple_history reads it
            row.save()
            notifications.notify(
                "strategy",
                f"{row} is off",
                account=copy.account,
                body=f"A copy of {original} with {copy.size} {row.symbol} (by {by}); start it when it is to trade.",
                now=now,
            )
            made.append(row)
    return made


def _copy(original: Strategy, account: Account, room: Decimal, now: datetime) -> Copy:
    name = f"{original.kind}-{slugify(account.name)}"[:50]
    own = _room(account, now)
    share = own / room if own else Decimal(0)
    wanted = max(1, int(original.typed_parameters().size * share))
    most, why = _most(original, account, now)
    if not why and own is None:
        why = "its room to the floor is not known"
    if not why and own is not None and own <= 0:
        why = "it has no room left to its floor"
    size = min(wanted, most)
    if not why and size < 1:
        why = f"the firm allows no {original.symbol} on it"
    return Copy(account, name, 0 if why else size, share.quantize(Decimal("0.001")), why)


def _most(original: Strategy, account: Account, now: datetime) -> tuple[int, str]:
    """Return the most contracts that the account's rules allow at once, or why it takes no copy."""
    on, symbol = trade_date_of(now), original.symbol
    if account.pk == original.account_id:
        return 0, "it is the original's"
    if account.stage not in TRADED:
        return 0, f"its stage is {account.stage}: it is not traded by a program"
    if Strategy.objects.filter(account=account, kind=original.kind, symbol=symbol).exists():
        return 0, f"it has a {original.kind} on {symbol} already"
    if not Contract.objects.filter(venue=account.venue, symbol=symbol, active=True).exists():
        return 0, f"its venue lists no {symbol}"
    try:
        book, found = rulebooks.current(), rules.parameters_of(account, on)
    except RulebookInvalid as error:
        return 0, f"the rulebook cannot be used: {error.problems[0]}"
    permitted = book.permitted(on)
    if found is None or permitted is None or symbol not in permitted:
        what = "has no rules for its stage and size" if found is None else f"does not permit {symbol}"
        return 0, f"the rulebook {what}"
    limit = risk_states.max_lots(account, found, on)
    if limit is None or lots(found, last_eod=None) is None:
        return 0, "its size limit is not known"
    fits = int(limit // PRODUCTS[symbol].weight)
    return min(fits, book.caps(rules.size_of(account), on).get(symbol, fits)), ""


def _room(account: Account, now: datetime) -> Decimal | None:
    """Return the dollars between equity and floor, None while one is not known."""
    positions = list(account.positions.exclude(quantity=0, broker_quantity=0).select_related("contract"))
    worth = risk_states.worth_of(account, positions, trade_date=trade_date_of(now))
    floor = risk_states.floor_of(account)
    return None if worth.equity is None or floor is None else worth.equity - floor
