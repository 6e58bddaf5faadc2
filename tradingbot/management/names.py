"""Which row a typed name means. An unknown or ambiguous name is refused with the names that are possible."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from tradingbot.management import holdings
from tradingbot.management.arguments import WrongUsage
from tradingbot.models import Account, Contract, Order, Strategy


def account(typed: str | None) -> Account:
    """Return the account named or begun by `typed`; without a name the selected account, else the only one."""
    rows = list(Account.objects.select_related("login").filter(enabled=True))
    if not rows:
        raise CommandError(
            "--account: no account is known yet; start the system with `make run`, "
            "or read them from the venue with `python manage.py accounts --refresh`"
        )
    if typed is None:
        chosen = [row for row in rows if row.selected] or rows
        if len(chosen) > 1:
            raise WrongUsage(
                f"--account: there are several accounts ({_listed(chosen)}); name one, "
                "or choose the default with `python manage.py accounts select NAME`"
            )
        return chosen[0]
    wanted = typed.casefold()
    matches = [row for row in rows if wanted in (row.name.casefold(), str(row.broker_account_id))] or [
        row for row in rows if row.name.casefold().startswith(wanted)
    ]
    if not typed or not matches:
        raise CommandError(f"--account: no account is called {typed!r}; there are {_listed(rows)}")
    if len(matches) > 1:
        raise WrongUsage(f"--account: {typed!r} may be {_listed(matches)}; write more of the name, or its number")
    return matches[0]


def contracts(account: Account) -> QuerySet[Contract]:
    """Return the contracts of the account's venue."""
    return Contract.objects.filter(venue=account.venue)


def contract(typed: str, account: Account, *, held: bool = False) -> Contract:
    """Return the current month of a symbol, or the month that `typed` names (MNQZ6).

    With `held` a month in which the account has a position goes before the current one.
    """
    rows = contracts(account)
    matches = rows.filter(symbol__iexact=typed)
    exact = matches.filter(active=True)
    if held:
        exact = matches.filter(_held(account)).order_by("-active") or exact
    found = exact.first() or rows.filter(Q(name__iexact=typed) | Q(broker_contract_id__iexact=typed)).first()
    if found:
        return found
    if matches:
        raise CommandError(f"SYMBOL: the venue lists no current month of {typed.upper()}; name one, e.g. {matches[0]}")
    known = sorted(set(rows.filter(active=True).values_list("symbol", flat=True)))
    if not known:
        raise CommandError(
            f"SYMBOL: no contract of {account.login} is known yet; start the system with `make run`, which reads them"
        )
    raise CommandError(f"SYMBOL: {typed!r} is not traded at {account.login}; {_near(typed.upper(), known)}")


def order(typed: str, account: Account) -> Order:
    """Return an order of the account by its number or tag."""
    rows = Order.objects.filter(account=account).select_related("contract", "account", "strategy", "parent")
    number = typed.removeprefix("#")
    by = Q(tag=typed)
    if number.isascii() and number.isdigit() and len(number) < 19:
        by |= Q(pk=int(number)) | Q(broker_order_id=int(number))
    found = list(rows.filter(by)[:2])
    if len(found) > 1:
        raise WrongUsage(f"ORDER: {typed!r} is the number of one order and the venue's id of another; write its tag")
    if not found:
        raise CommandError(f"ORDER: {account} has no order {typed!r}; `python manage.py orders` lists them")
    return found[0]


def strategy(typed: str) -> Strategy:
    """Return the strategy named or begun by `typed`."""
    rows = list(Strategy.objects.select_related("account"))
    matches = [row for row in rows if row.name == typed] or [row for row in rows if row.name.startswith(typed)]
    if len(matches) == 1 and typed:
        return matches[0]
    if len(matches) > 1:
        raise WrongUsage(f"STRATEGY: {typed!r} may be {_listed(matches)}; write more of the name")
    if not rows:
        raise CommandError("STRATEGY: no strategy is configured yet; `make run` makes them")
    raise CommandError(f"STRATEGY: there is no {typed!r}; {_near(typed, [row.name for row in rows])}")


def _held(account: Account) -> Q:
    return Q(positions__in=holdings.open_positions(account))


def _near(typed: str, known: list[str]) -> str:
    near = get_close_matches(typed, known, n=3, cutoff=0.5) or [name for name in known if typed and typed in name][:3]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known)}"


def _listed(rows: Iterable[Account | Strategy]) -> str:
    return ", ".join(str(row) for row in rows)
