"""What an execution cost: what the venue says; our dated table for a commission that it leaves out."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from brokers.base import FillReport
from market.sessions import trade_date_of
from risk import costs
from tradingbot.models import Fill

_CENT = Decimal("0.01")


class Paid(NamedTuple):
    """Dollars of an execution, in whole cents; `estimated`: the commissions are from our table."""

    fees: Decimal
    commissions: Decimal
    estimated: bool


def of(report: FillReport, symbol: str) -> Paid:
    """Return what the execution cost. A product that the table does not know counts without commissions, estimated."""
    if report.commissions is not None:
        return Paid(_cents(report.fees), _cents(report.commissions), estimated=False)
    known = costs.of_side(symbol, trade_date_of(report.at))
    commissions = known.commissions * report.quantity if known else Decimal(0)
    return Paid(_cents(report.fees), _cents(commissions), estimated=True)


def told(fill: Fill, report: FillReport) -> Paid | None:
    """Return what the venue says that a booked fill cost, None if that is what is booked.

    A commission that was told once is not forgotten because another way to ask leaves it out.
    """
    fees, before = _cents(report.fees), Paid(fill.fees, fill.commissions, fill.estimated)
    if report.commissions is None:
        paid = before._replace(fees=fees)
    else:
        paid = Paid(fees, _cents(report.commissions), estimated=False)
    return None if paid == before else paid


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
