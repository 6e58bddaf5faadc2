"""Columns of lists and read-only forms: each is a function of the row, titled and sortable.

`of` chooses one for a model's field by its type, so that a time, a price or a state looks the same on every page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tradingbot.templatetags import exchange

Column = Callable[[models.Model], Any]


def column(name: str, title: str, show: Callable[[Any], Any], *, order: str | None = None) -> Column:
    """Return a column that shows `show(row)`; `order` is the field that a click on the title sorts by.

    Columns of figures have names that begin with `num_`: the style sheet aligns them right.
    """

    def shown(row: models.Model) -> Any:
        return show(row)

    shown.__name__ = name
    shown.short_description = title  # type: ignore[attr-defined]
    if order:
        shown.admin_order_field = order  # type: ignore[attr-defined]
    return shown


def of(model: type[models.Model], name: str, title: str = "", *, listed: bool = False) -> str | Column:
    """Return the column of a field by its type; its name where the admin's way is right: texts.

    A list has less room for a moment than the page of a row.
    """
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    title = title or _title(field)
    if isinstance(field, models.DateTimeField):
        written = exchange.stamp if listed else exchange.moment
        return column(name, title, lambda row: written(getattr(row, name)), order=name)
    if isinstance(field, models.DateField):
        return column(name, title, lambda row: exchange.day(getattr(row, name)), order=name)
    if isinstance(field, models.DecimalField):
        if field.decimal_places == 2:
            return column(f"num_{name}", title, lambda row: exchange.dollars(getattr(row, name)), order=name)
        return column(f"num_{name}", title, lambda row: exchange.price(getattr(row, name), row.contract), order=name)
    if isinstance(field, models.BooleanField):
        shown = column(name, title, lambda row: getattr(row, name), order=name)
        shown.boolean = True  # type: ignore[attr-defined]
        return shown
    if isinstance(field, models.JSONField):
        return column(name, title, lambda row: _details(getattr(row, name)))
    if getattr(field, "choices", None):
        return column(name, title, lambda row: _badge(row, name), order=name)
    if isinstance(field, models.IntegerField) and not isinstance(field, models.BigIntegerField):  # those are ids
        return column(f"num_{name}", title, lambda row: _figure(getattr(row, name)), order=name)
    return name


def clock(name: str, title: str = "") -> Column:
    """Return a column of the time of day alone, for lists that have the day in another one."""
    return column(name, title or name, lambda row: exchange.time_of_day(getattr(row, name)), order=name)


def deal(field: str, title: str) -> Column:
    """Return a column of what is traded: the badge of the side, how many, and of which contract."""

    def show(row: Any) -> SafeString:
        return format_html("{} {} {}", _badge(row, field), row.quantity, row.contract)

    return column("deal", title, show, order="contract")


def profit(name: str, title: str = "", *, order: str | None = None) -> Column:
    """Return a column of dollars in the colour of their sign."""
    return column(f"num_{name}", title or name, lambda row: exchange.profit(getattr(row, name)), order=order)


def loss(name: str, title: str = "", *, order: str | None = None) -> Column:
    """Return a column of dollars that are stored positive and were lost."""
    return column(f"num_{name}", title or name, lambda row: exchange.loss(getattr(row, name)), order=order)


def link(url: str, text: object) -> SafeString:
    """Return a link to another page of the panel."""
    return format_html('<a class="tb-link" href="{}">{}</a>', url, text)


def _details(values: dict[str, Any]) -> str:
    return render_to_string("panel/details.html", {"pairs": values.items()}) if values else exchange.NONE


def _badge(row: Any, name: str) -> SafeString:
    return exchange.badge(getattr(row, f"get_{name}_display")(), getattr(row, name))


def _figure(value: int | None) -> SafeString:
    return exchange.number(exchange.NONE if value is None else f"{value:,d}")


def _title(field: Any) -> str:
    """Return the field's name without `_at`; times of the machine say so, all others are market time."""
    machine = isinstance(field, models.DateTimeField) and field.help_text.startswith("machine time")
    return f"{field.verbose_name.removesuffix(' at')}{' (machine time)' if machine else ''}"
