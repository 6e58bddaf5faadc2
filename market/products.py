"""What can be traded: tick and size data of every product, as data with its source.

Source: the venue's own contract list (checked 2026-08) for ids and ticks, the firm's page on position sizes (checked
2026-09) for weights. A venue's answer about a contract goes before this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from market.contracts import Contract

CHECKED = date(2026, 8, 31)
MONTH_CODES = "FGHJKMNQUVXZ"  # January to December


@dataclass(frozen=True, slots=True)
class Product:
    """What all expiries of a future share.

    symbol       root as traders write it, e.g. NQ; `id` the venue's word for it inside contract ids, e.g. ENQ
    tick_size    points; tick_value dollars a contract
    weight       size of one contract in mini-equivalents, as the firm's limits count it
    """

    symbol: str
    id: str
    tick_size: Decimal
    tick_value: Decimal
    weight: Decimal

    def contract(self, year: int, month: int) -> Contract:
        """Return the expiry of `month` (1-12) in `year`. Raises ValueError for another month."""
        if not 1 <= month <= 12:
            raise ValueError(f"{self.symbol}: {month} is not a month")
        return Contract(
            id=f"CON.F.US.{self.id}.{MONTH_CODES[month - 1]}{year % 100:02}",
            symbol=self.symbol,
            tick_size=self.tick_size,
            tick_value=self.tick_value,
        )


def product(symbol: str) -> Product:
    """Return the product with this root. Raises ValueError, naming the roots there are, for an unknown one."""
    try:
        return PRODUCTS[symbol]
    except KeyError:
        raise ValueError(f"unknown symbol {symbol!r}; known are {', '.join(sorted(PRODUCTS))}") from None


_MICRO = ("MES", "MNQ", "M2K", "MYM", "MCL", "MNG", "MGC", "MHG", "M6A", "M6B", "M6E")
_WEIGHTS = dict.fromkeys(_MICRO, Decimal("0.1")) | {"SIL": Decimal("0.2")}  # MBT and MET count 1 like a mini
_TABLE = """
ES   EP    0.25       12.5    | MES  MES   0.25       1.25
NQ   ENQ   0.25       5       | MNQ  MNQ   0.25       0.5
RTY  RTY   0.1        5       | M2K  M2K   0.1        0.5
YM   YM    1          5       | MYM  MYM   1          0.5
NKD  NKD   5          25      | MBT  MBT   5          0.5
MET  GMET  0.5        0.05    | CL   CLE   0.01       10
MCL  MCLE  0.01       1       | QM   NQM   0.025      12.5
NG   NGE   0.001      10      | MNG  MNG   0.001      1
QG   NQG   0.005      12.5    | RB   RBE   0.0001     4.2
HO   HOE   0.0001     4.2     | GC   GCE   0.1        10
MGC  MGC   0.1        1       | SI   SIE   0.005      25
SIL  SIL   0.005      5       | HG   CPE   0.0005     12.5
MHG  MHG   0.0005     1.25    | PL   PLE   0.1        5
6A   DA6   0.00005    5       | M6A  M6A   0.0001     1
6B   BP6   0.0001     6.25    | M6B  M6B   0.0001     0.625
6E   EU6   0.00005    6.25    | M6E  M6E   0.0001     1.25
E7   EEU   0.0001     6.25    | 6C   CA6   0.00005    5
6J   JY6   0.0000005  6.25    | 6S   SF6   0.00005    6.25
6M   MX6   0.00001    5       | 6N   NE6   0.00005    5
ZT   TUA   0.00390625 7.8125  | ZF   FVA   0.0078125  7.8125
ZN   TYA   0.015625   15.625  | TN   TNA   0.015625   15.625
ZB   USA   0.03125    31.25   | UB   ULA   0.03125    31.25
ZC   ZCE   0.25       12.5    | ZW   ZWA   0.25       12.5
ZS   ZSE   0.25       12.5    | ZM   ZME   0.1        10
ZL   ZLE   0.01       6       | HE   HE    0.025      10
LE   GLE   0.025      10
"""


def _read(cell: str) -> Product:
    symbol, identifier, tick_size, tick_value = cell.split()
    weight = _WEIGHTS.get(symbol, Decimal(1))
    return Product(symbol, identifier, Decimal(tick_size), Decimal(tick_value), weight)


PRODUCTS: dict[str, Product] = {
    item.symbol: item for item in (_read(cell) for line in _TABLE.strip().splitlines() for cell in line.split("|"))
}
"""Every product by its root."""
