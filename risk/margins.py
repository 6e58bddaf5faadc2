"""Margin: what a contract binds at an exchange or broker, as dated data, and the rule that bounds its use.

The firm demands none on its simulated accounts, its size limits stand for it: so the rule is off unless a person sets
a percentage. The figures are initial margins as brokers and the exchange's advisories published them; a micro is a
tenth of its mini. They change often: look them up before relying on the rule, and add a line with the new date. A
product without a line is refused while the rule is on. Metals have none on purpose: since 2026-01-13 the exchange asks
a percentage of their value (gold 9 %, silver 18 % from 2026-02-06), and the last amounts in dollars that could be
found (2020) would let several times too much through. Meat has none because none was found.
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
_CME = "CME Group, clearing advisories as collected in QuantConnect Lean, Data/future, initial margin from {}"
_OF_2024 = """
1760 6A|2090 6B|1370 6C|3080 6E|3960 6J|5060 6S|176 M6A|209 M6B|308 M6E|1870 MBT
5810 CL|2916 QM|583 MCL|627 QG|6798 HO|2487 NG|5495 RB|24420 NQ|2442 MNQ
"""
_OF_GRAINS = "1155 ZC|2200 ZS|2310 ZM|1870 ZL|1925 ZW"
_OF_2022 = "11880 ES|1188 MES|8800 YM|880 MYM|7150 NKD|1540 6N"
_TABLE = (
    (date(2020, 3, 18), _CME.format("2020-03-18"), "2090 6M"),
    (date(2020, 5, 26), _CME.format("2020-05-26"), "523 ZT|1980 ZN|3520 TN|12650 UB"),
    (date(2020, 12, 11), _CME.format("2020-12-11"), "12100 ES|1210 MES|9900 YM|990 MYM"),
    (date(2021, 2, 22), _GENERIC.format("2021-02-22"), "7150 RTY|715 M2K"),
    (date(2021, 4, 16), _CME.format("2021-04-16"), "1210 E7"),
    (date(2021, 5, 27), _CME.format("2021-05-27"), "3850 ZB"),
    (date(2021, 8, 18), _CME.format("2021-08-18"), "12650 ES|1265 MES"),
    (date(2021, 11, 30), _CME.format("2021-11-30"), "1018 ZF"),
    (date(2021, 12, 10), _CME.format("2021-12-10"), "9350 YM|935 MYM"),
    (date(2022, 1, 21), _CME.format("2022-01-21"), _OF_2022),
    (date(2022, 2, 14), _CME.format("2022-02-14"), "116 MET"),
    (date(2024, 10, 29), _GENERIC.format("2024-10-29"), f"{_OF_2024.strip()}|249 MNG|{_OF_GRAINS}"),
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
