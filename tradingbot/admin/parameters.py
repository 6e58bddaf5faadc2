"""A strategy's parameters as a form: one field for each, with its bounds, unit and meaning; never raw JSON."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

import strategies
from strategies.parameters import ParameterError, ParameterSpec, dump, fields_of, parse
from tradingbot.admin import columns
from tradingbot.models import Contract, Strategy
from tradingbot.operations.strategies import pinned

PREFIX = "parameter_"
_ACRONYMS = {"atr", "dll", "rth"}


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person sets on a strategy; its parameters are fields that `form_for` adds."""

    specs: tuple[ParameterSpec, ...] = ()

    class Meta:
        model = Strategy
        fields = ("name", "kind", "account", "symbol", "enabled", *Strategy.LIMITS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        values = _values(self.instance)
        locked = pinned(self.instance)
        for spec in self.specs:
            self.initial[PREFIX + spec.name] = values.get(spec.name, "")
            if spec.name in locked:
                self._lock(PREFIX + spec.name, locked[spec.name])
        if "enabled" in locked:
            self._lock("enabled", locked["enabled"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        symbol = cleaned.get(f"{PREFIX}symbol") or cleaned.get("symbol")
        if symbol and not Contract.objects.filter(symbol=symbol, active=True).exists():
            known = ", ".join(Contract.objects.filter(active=True).values_list("symbol", flat=True).distinct())
            where = f"{PREFIX}symbol" if f"{PREFIX}symbol" in self.fields else "symbol"
            self.add_error(where, f"The venue lists no contract {symbol}; it lists {known or 'none yet'}.")
        if not self.specs:
            return cleaned
        given = {spec.name: cleaned[PREFIX + spec.name] for spec in self.specs if PREFIX + spec.name in cleaned}
        try:
            params = parse(strategies.STRATEGIES[self.instance.kind].parameters, given)
        except ParameterError as error:
            for name, message in error.errors.items():
                self.add_error(PREFIX + name, message)
            return cleaned
        self.instance.parameters = dump(params)
        self.instance.symbol = symbol or self.instance.symbol
        return cleaned

    def _lock(self, field: str, variable: str) -> None:
        self.fields[field].disabled = True
        self.fields[field].help_text = f"Locked by {variable} in the environment. {self.fields[field].help_text}"


class NewStrategyForm(StrategyForm):
    """A strategy that is not there yet: its kind decides which parameters it has."""

    kind = forms.ChoiceField(
        choices=[(known.name, known.title) for known in strategies.STRATEGIES.values()],
        widget=UnfoldAdminSelectWidget(),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            parameters = strategies.STRATEGIES[cleaned["kind"]].parameters
            self.instance.parameters = dump(parse(parameters, {"symbol": cleaned["symbol"]}))
        return cleaned


def specs_of(kind: str) -> tuple[ParameterSpec, ...]:
    """Return what can be set on a kind of strategy; nothing on one that is no longer shipped."""
    known = strategies.STRATEGIES.get(kind)
    return tuple(fields_of(known.parameters)) if known else ()


@cache  # a form knows its columns by their identity
def column_of(spec: ParameterSpec) -> columns.Column:
    """Return a parameter as those see it who may not change it."""

    def show(strategy: Strategy) -> str:
        return f"{_written(_values(strategy).get(spec.name, ''))} {spec.unit}".strip()

    return columns.column(PREFIX + spec.name, _label(spec.name), show)


def form_for(kind: str) -> type[StrategyForm]:
    """Return the form of one kind of strategy."""
    specs = specs_of(kind)
    defaults = dump(strategies.STRATEGIES[kind].parameters()) if specs else {}
    fields: dict[str, Any] = {PREFIX + spec.name: _field(spec, defaults[spec.name]) for spec in specs}
    return type("ParameterForm", (StrategyForm,), {**fields, "specs": specs})


def _values(strategy: Strategy) -> dict[str, Any]:
    """Return the parameters in force, with the product that is traded; as stored if they no longer fit their bounds."""
    try:
        return dump(strategy.typed_parameters()) | {"symbol": strategy.symbol}
    except ParameterError:
        return dict(strategy.parameters)


def _field(spec: ParameterSpec, default: Any) -> forms.Field:
    """Return a field that hands its text to `strategies.parameters.parse`, which alone says what is right."""
    label, help_text = _label(spec.name), _help(spec, default)
    if spec.type is bool:
        return forms.BooleanField(label=label, help_text=help_text, required=False, widget=UnfoldBooleanSwitchWidget())
    choices = spec.choices or (tuple(spec.type) if issubclass(spec.type, Enum) else ())
    if choices:
        values = [str(choice.value if isinstance(choice, Enum) else choice) for choice in choices]
        return forms.ChoiceField(
            label=label,
            help_text=help_text,
            choices=[(value, value.replace("_", " ")) for value in values],
            widget=UnfoldAdminSelectWidget(),
        )
    attrs = {"inputmode": "decimal"} | ({"suffix": spec.unit} if spec.unit else {})
    return forms.CharField(label=label, help_text=help_text, widget=UnfoldAdminTextInputWidget(attrs))


def _label(name: str) -> str:
    words = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _help(spec: ParameterSpec, default: Any) -> str:
    bounds = f", {spec.ge} to {spec.le}" if spec.ge is not None and spec.le is not None else ""
    return f"{spec.help}. Default {_written(default)}{bounds}{' ' + spec.unit if spec.unit else ''}."


def _written(value: Any) -> Any:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
