"""What binds one account on a day: the rulebook's entry for its stage and size, and what somebody set instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from risk.parameters import SPECS, Kind, Parameters, words
from risk.rule_entries import parameter
from risk.rulebook import RulebookInvalid, infer
from tradingbot.models import Account, RuleOverride
from tradingbot.operations import notifications, rulebooks

_NOT_CHOSEN = "optional, and not chosen for this account: it does not bind"


@dataclass(frozen=True, slots=True)
class Effective:
    """One parameter as it holds for an account, and where that is written."""

    name: str
    value: Any
    origin: str
    reason: str = ""

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    @property
    def text(self) -> str:
        return words(self.name, self.value)

    @property
    def help(self) -> str:
        return SPECS[self.name].help


def size_of(account: Account) -> int | None:
    """Return the account's size in thousands, from its name where nobody set it."""
    return account.size or infer(account.name)[1]


def overrides_of(account: Account, on: date) -> dict[str, RuleOverride]:
    """Return the override of each parameter that has one on that date: the last that began."""
    rows = RuleOverride.objects.filter(account_id=account.pk, withdrawn_at__isnull=True, effective_from__lte=on)
    return {row.parameter: row for row in rows.order_by("effective_from", "pk")}


def parameters_of(account: Account, on: date) -> Parameters | None:
    """Return what binds the account, its overrides in it; None if the rulebook has nothing for its stage and size.

    Raises RulebookInvalid.
    """
    found = rulebooks.current().parameters(account.stage, size_of(account), on)
    return found and with_overrides(found, ((row.parameter, row.value) for row in overrides_of(account, on).values()))


def with_overrides(found: Parameters, values: Iterable[tuple[str, Decimal]]) -> Parameters:
    """Return the parameters with other values for some. Raises RulebookInvalid for a value that cannot be."""
    typed = {}
    for name, value in values:
        try:
            typed[name] = parameter(name, value) if name in SPECS else _unknown(name)
        except ValueError as error:
            raise RulebookInvalid([f"an override of the account: {error}"]) from error
    return replace(found, **typed) if typed else found


def effective(account: Account, on: date) -> list[Effective]:
    """Return each parameter of the account's stage with its value and origin; only overrides without a rulebook."""
    overrides = overrides_of(account, on)
    try:
        found = rulebooks.current().parameters(account.stage, size_of(account), on)
    except RulebookInvalid:
        found = None
    rows = []
    for name, spec in SPECS.items():
        row = overrides.get(name)
        if row is not None:
            origin = f"override by {row.by} from {row.effective_from}"
            value = int(row.value) if spec.kind is Kind.COUNT else row.value.normalize()
            rows.append(Effective(name, value, origin, row.reason))
        elif found is not None and found.stage in spec.stages:
            origin = f"rulebook: {found.stage} {found.size}K from {found.effective_from}"
            optional = name == "daily_loss" and not account.has_daily_loss_limit
            rows.append(Effective(name, getattr(found, name), origin, _NOT_CHOSEN if optional else ""))
    return rows


def apply(account: Account, *, on: date, now: datetime) -> bool:
    """Write the limits that hold on a date to the account's row; returns whether one changed.

    Without usable rules for the account the row keeps what it has: its limits go on being watched.
    """
    try:
        found = parameters_of(account, on)
    except RulebookInvalid:
        return False
    if found is None:
        return False
    values = {
        "maximum_loss": found.maximum_loss,
        "daily_loss_limit": found.daily_loss if account.has_daily_loss_limit else None,
        "max_lots": found.max_lots,
        "start_balance": found.start if account.start_balance is None else account.start_balance,
    }
    changed = {name: getattr(account, name) for name, value in values.items() if getattr(account, name) != value}
    for name in changed:
        setattr(account, name, values[name])
    if changed and account.pk is not None:
        account.save(update_fields=list(changed))
        told = (f"{name.replace('_', ' ')} {before} → {values[name]}" for name, before in changed.items())
        notifications.notify("risk", f"{account}: limits changed", account=account, body="; ".join(told), now=now)
    return bool(changed)


def apply_all(*, on: date, now: datetime) -> int:
    """Write the limits of every account; returns how many changed."""
    changed = 0
    for row in Account.objects.all():
        with transaction.atomic():
            changed += apply(Account.objects.select_for_update(of=("self",)).get(pk=row.pk), on=on, now=now)
    return changed


def override(
    account: Account, name: str, value: Decimal, *, effective_from: date, reason: str, by: str, now: datetime, on: date
) -> RuleOverride:
    """Set a parameter for one account from a date on. Raises ValueError for what cannot be."""
    check_override(name, value, reason=reason)
    try:
        with transaction.atomic():
            locked = Account.objects.select_for_update(of=("self",)).get(pk=account.pk)
            row = RuleOverride.objects.create(
                account=locked, parameter=name, value=value, effective_from=effective_from, reason=reason, by=by, at=now
            )
            apply(locked, on=on, now=now)
    except IntegrityError as error:
        raise ValueError(f"{name} has an override from {effective_from} already: withdraw that one first") from error
    return row


def check_override(name: str, value: Decimal, *, reason: str) -> None:
    """Raise ValueError, naming the field, for an override that cannot be."""
    if not SPECS[name].override:
        raise ValueError(f"{name} is not set for one account")
    if not reason.strip():
        raise ValueError("reason: say why, it is shown wherever the value is")
    parameter(name, value)
    if SPECS[name].kind is Kind.DOLLARS and value != round(value, 2):
        raise ValueError(f"{name} is {value}: write dollars and cents")


def withdraw(row: RuleOverride, *, by: str, now: datetime, on: date) -> bool:
    """End an override: the rulebook holds again. False if it was withdrawn before."""
    with transaction.atomic():
        locked = Account.objects.select_for_update(of=("self",)).get(pk=row.account_id)
        row = RuleOverride.objects.select_for_update().get(pk=row.pk)
        if row.withdrawn_at is not None:
            return False
        row.withdrawn_at, row.withdrawn_by = now, by
        row.save(update_fields=["withdrawn_at", "withdrawn_by"])
        apply(locked, on=on, now=now)
    return True


def _unknown(name: str) -> Any:
    raise ValueError(f"{name} is not a parameter")
