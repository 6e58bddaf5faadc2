"""Margin: what a contract binds at an exchange or broker, as dated data, and the rule that bounds its use.

The firm demands none on its simulated accounts, its size limits stand for it: so the rule is off unless a person sets
a percentage. The figures are initial margins as brokers published them; a micro is a tenth of its mini. They change
often: look them up before relying on the rule, and add a line with the new date. A product without a line is refused
while the rule is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from risk.exposures import Tally
from risk.money import dollars
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Code, Report


@dataclass(frozen=True, slots=True)
class Margin:
    """Dollars that one contract binds from `valid_from` on."""

    dollars: Decimal
    valid_from: date
    source: str


_GENERIC = "generictrade.com, Margins, exchange initial margin, updated {}"
_LP = "lpfutures.com, Financials, initial margin as of April 2025"
_OF_2024 = """
1760 6A|2090 6B|1370 6C|3080 6E|3960 6J|5060 6S|176 M6A|209 M6B|308 M6E|1870 MBT
5810 CL|2916 QM|583 MCL|627 QG|6798 HO|2487 NG|5495 RB|24420 NQ|2442 MNQ
"""
_TABLE = (
    (date(2021, 2, 22), _GENERIC.format("2021-02-22"), "7150 RTY|715 M2K"),
    (date(2024, 10, 29), _GENERIC.format("2024-10-29"), _OF_2024),
    (date(2025, 4, 1), _LP, "12650 ES|1265 MES"),
)
MARGINS: dict[str, tuple[Margin, ...]] = {}
"""By product root, oldest first."""
for _since, _source, _lines in _TABLE:
    for _line in _lines.strip().replace("\n", "|").split("|"):
        _amount, _symbol = _line.split()
        MARGINS[_symbol] = (*MARGINS.get(_symbol, ()), Margin(Decimal(_amount), _since, _source))


def margin_of(symbol: str, on: date) -> Margin | None:
    """Return what one contract binds on that date, None for a product or a date that no line covers."""
    return next((known for known in reversed(MARGINS.get(symbol, ())) if known.valid_from <= on), None)


def used(contracts: Mapping[str, int], on: date) -> Decimal | None:
    """Return the dollars that contracts of each product root bind, None if one of them has no line."""
    total = Decimal(0)
    for symbol, quantity in contracts.items():
        known = margin_of(symbol, on)
        if known is None:
            return None
        total += known.dollars * quantity
    return total


def size(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> int:
    """Look at the margin of everything with the request; return how many contracts fit."""
    percent, on = state.margin_percent, state.now.date()
    if percent is None:
        return request.quantity
    one, held = margin_of(request.contract.symbol, on), used(book.symbols, on)
    limit = f"{percent} % of equity"
    if one is None or held is None or state.equity is None:
        what = "the equity" if state.equity is None else "the margin of a product"
        text = f"The account bounds its margin to {limit}, and {what} is not known: no entries."
        report.fail(Code.MARGIN, "margin", "unknown", limit, text)
        return 0
    each, most = one.dollars * len(request.sides), max(Decimal(0), state.equity) * percent / 100
    fits = int(max(Decimal(0), most - held) // each)
    wanted = held + each * request.quantity
    if fits >= request.minimum_quantity:
        note = "" if fits >= request.quantity else f"{fits} contracts fit"
        report.rule("margin", dollars(wanted), f"{dollars(most)} ({limit})", note=note)
    else:
        text = f"Everything open and working would bind {dollars(wanted)} margin: {dollars(most)} ({limit}) is allowed."
        report.fail(Code.MARGIN, "margin", dollars(wanted), f"{dollars(most)} ({limit})", text)
    return fits
