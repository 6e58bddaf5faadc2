"""How pages write times, dollars and prices: New York time with its label, signs in colour, decimals of the tick."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from market.sessions import NEW_YORK
from tradingbot.clock import now
from tradingbot.models import Contract, Order

register = template.Library()
NONE = "–"
_ZONE = ZoneInfo(NEW_YORK)
_STATES: dict[str, tuple[str | int, ...]] = {
    "good": ("good", "active", "working", "ordered", "done", "sent", "yes"),
    "warn": ("warn", "reduce_only", "partial", "cancel_pending", "denied", "warning"),
    "bad": ("bad", "halted", "unknown", "rejected", "abandoned", "ghost", "missed", "failed", "alert"),
    "info": ("info", "new", "sending", "filled", "managed", "pending", "running"),
    "up": (1,),
    "down": (-1,),
}
_TONES = {state: tone for tone, states in _STATES.items() for state in states}


@register.filter
def moment(at: datetime | None) -> str:
    """Return `18 Nov 2026 09:30:02 ET`, a dash for none."""
    return f"{at.astimezone(_ZONE):%d %b %Y %H:%M:%S} ET" if at else NONE


@register.filter
def day(on: date | None) -> str:
    """Return `18 Nov 2026`, a dash for none."""
    return f"{on:%d %b %Y}" if on else NONE


def stamp(at: datetime | None) -> SafeString | str:
    """Return a moment as lists have room for: `18 Nov 09:30:02 ET`, with the year if it is another; whole on hover."""
    if at is None:
        return NONE
    year = "" if at.astimezone(_ZONE).year == now().astimezone(_ZONE).year else " %Y"
    return _hover(f"{at.astimezone(_ZONE):%d %b{year} %H:%M:%S} ET", moment(at))


def time_of_day(at: datetime | None) -> SafeString | str:
    """Return `09:30:02 ET` for lists that have the day in another column; whole on hover."""
    return NONE if at is None else _hover(clock(at), moment(at))


@register.filter
def clock(at: datetime | None) -> str:
    """Return `09:30:02 ET`, a dash for none."""
    return f"{at.astimezone(_ZONE):%H:%M:%S} ET" if at else NONE


@register.filter
def age(span: timedelta | float | None) -> str:
    """Return a span (or seconds) in its largest sensible unit: `4 s`, `12 min`, `3 h`, `2 d`; a dash for none."""
    if span is None:
        return NONE
    seconds = max(0, int(span.total_seconds() if isinstance(span, timedelta) else span))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


@register.filter
def dollars(amount: Decimal | None) -> SafeString:
    """Return `$50,000.00`, right-aligned by its class."""
    return number(NONE if amount is None else _money(amount))


@register.filter
def profit(amount: Decimal | None) -> SafeString:
    """Return `+$120.50` in the colour of its sign."""
    if amount is None:
        return dollars(None)
    tone = "tb-up" if amount > 0 else "tb-down" if amount < 0 else "tb-flat"
    return format_html('<span class="tb-num {}">{}{}</span>', tone, "+" if amount > 0 else "", _money(amount))


@register.filter
def loss(amount: Decimal | None) -> SafeString:
    """Return `-$120.50` of an amount lost that is kept positive, a drawdown for example."""
    return profit(None if amount is None else -amount)


@register.filter
def price(value: Decimal | None, contract: Contract) -> SafeString:
    """Return a price with the decimals of the contract's tick."""
    return number(contract.text(value))


@register.filter
def percent(share: float | None) -> str:
    """Return `53.2 %` of 0.532, a dash for none."""
    return NONE if share is None else f"{share:.1%}".replace("%", " %")


@register.filter
def ratio(value: float | None) -> str:
    """Return a ratio with two decimals, a dash for none."""
    return NONE if value is None else f"{value:.2f}"


def slippage(order: Order) -> SafeString:
    """Return how much worse than intended an order filled, in ticks and dollars: `+2 ticks, $3.00`."""
    ticks = order.slippage_ticks
    if ticks is None:
        return number(NONE)
    return number(f"{ticks.normalize() + 0:+f} ticks, {_money(order.slippage)}" if ticks else "none")


def number(text: str) -> SafeString:
    """Return a figure, right-aligned by its class."""
    return format_html('<span class="tb-num">{}</span>', text)


@register.filter
def milliseconds(seconds: float | None) -> str:
    """Return `1,240 ms`, a dash for nothing."""
    return "–" if seconds is None else f"{1000 * seconds:,.0f} ms"


@register.filter
def badge(text: str, state: str | int) -> SafeString:
    """Return a word in the colour of a state: a tone itself (good, warn, bad, info), or the value of a choice."""
    return format_html('<span class="tb-badge tb-{}">{}</span>', _TONES.get(state, "quiet"), text)


def _hover(text: str, whole: str) -> SafeString:
    return format_html('<span title="{}">{}</span>', whole, text)


def _money(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"
