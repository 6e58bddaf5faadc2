"""Products that move together, and how much of an account's size one product or one group may take.

The groups are those in which the firm lists its permitted products (help pages, "Permitted Products", 2026-10): an
index future and its micro, or gold and silver, are one bet to a large part. Long and short add up: a spread inside a
group is not netted.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from risk import limits
from risk.exposures import Tally
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Code, Report

_TABLE = {
    "equity index": "ES MES NQ MNQ RTY M2K YM MYM NKD",
    "crypto": "MBT MET",
    "currencies": "6A 6B 6C 6E 6J 6S 6M 6N E7 M6A M6B M6E",
    "energy": "CL QM MCL NG QG MNG RB HO",
    "metals": "GC MGC SI SIL HG MHG PL",
    "rates": "ZT ZF ZN TN ZB UB",
    "grains": "ZC ZW ZS ZM ZL",
    "meat": "HE LE",
}
_MEMBERS = {name: symbols.split() for name, symbols in _TABLE.items()}
GROUPS: dict[str, str] = {symbol: name for name, symbols in _MEMBERS.items() for symbol in symbols}
"""The group of each product root."""


def sizes(report: Report, request: EntryRequest, state: RiskState, book: Tally) -> list[int]:
    """Look at the share of one product and of one group in the account's size; return how many contracts fit."""
    symbol = request.contract.symbol
    group = GROUPS.get(symbol, symbol)
    together = _MEMBERS.get(group, [symbol])
    return [
        _share(report, request, state, book, state.product_percent, [symbol], symbol, Code.PRODUCT_SHARE),
        _share(report, request, state, book, state.group_percent, together, group, Code.GROUP_SHARE),
    ]


def _share(
    report: Report,
    request: EntryRequest,
    state: RiskState,
    book: Tally,
    percent: int | None,
    symbols: Iterable[str],
    what: str,
    code: Code,
) -> int:
    one = limits.weight(request.contract.symbol)
    if percent is None:
        return request.quantity
    if state.max_lots is None or one is None:
        report.rule(f"lots of {what}", "unknown", f"{percent} % of max lots", None, "needs max lots")
        return 0
    counts = book.symbols
    held = limits.lots((symbol, counts[symbol]) for symbol in symbols if symbol in counts) or Decimal(0)
    most, each = state.max_lots * percent / 100, one * len(request.sides)
    fits = int(max(Decimal(0), most - held) // each)
    wanted, limit = held + each * request.quantity, f"{most.normalize():f} ({percent} % of max lots)"
    if fits >= request.minimum_quantity:
        note = "" if fits >= request.quantity else f"{fits} contracts fit"
        report.rule(f"lots of {what}", f"{wanted}", limit, note=note)
    else:
        text = f"The account would hold or work {wanted} lots of {what}: it may have {limit}, {held} are in use."
        report.fail(code, f"lots of {what}", f"{wanted}", limit, text)
    return fits
