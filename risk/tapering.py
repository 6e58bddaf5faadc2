"""Sizes that shrink with the distance to the floor, so that a losing streak takes longer to end the account.

Below `taper_percent` of the maximum loss the size is what was asked for times the room that is left over the room at
which shrinking begins, rounded down, at least 1: with a maximum loss of $2,000 and 50 %, 4 contracts become 3 at $750
of room and 2 at $500. Off unless a person sets it: the rule of the maximum loss bounds every size anyway.
"""

from __future__ import annotations

from decimal import Decimal

from risk.money import dollars
from risk.requests import EntryRequest
from risk.states import RiskState
from risk.verdicts import Report


def size(report: Report, request: EntryRequest, state: RiskState) -> int:
    """Return how many contracts are left of the request at this distance to the floor."""
    percent = state.taper_percent
    if percent is None or state.equity is None or state.floor is None or state.maximum_loss is None:
        return request.quantity
    room, full = max(Decimal(0), state.equity - state.floor), state.maximum_loss * percent / 100
    fits = request.quantity if room >= full else max(1, int(request.quantity * room / full))
    note = "" if fits == request.quantity else f"{fits} of {request.quantity} contracts"
    report.rule("size by the room to the floor", dollars(room), f"full size from {dollars(full)}", note=note)
    return fits
