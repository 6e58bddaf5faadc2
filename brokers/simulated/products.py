"""What the venue lists: products with their costs, and the contract months of each.

Costs: the firm's published round turns of September 2026, half a side; commission 0.50 a side (0.25 for micros), the
rest fees. Reference price, volatility and volume only shape generated markets. Roll dates are a rule of thumb.
"""

from __future__ import annotations

import re
from calendar import month_name
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from market.contracts import Contract
from market.products import MONTH_CODES, PRODUCTS
from market.sessions import trade_date_of

_ID = re.compile(r"CON\.F\.US\.(?P<product>[A-Z0-9]{1,4})\.(?P<month>[FGHJKMNQUVXZ])(?P<year>\d\d)")
_HISTORY = timedelta(days=460)  # a contract trades this long before its last front day: more than 300 sessions

# root | dollars a round turn | months | roll | price | sigma, % a day | contracts a minute in New York | description
# Roll `w`: the last front day is the Friday a week before the third one; a number: days before the month begins.
_TABLE = """
ES  3.78 HMUZ         w  6000   0.75 1400 E-mini S&P 500
MES 1.22 HMUZ         w  6000   0.75 1500 Micro E-mini S&P 500
NQ  3.78 HMUZ         w  21500  0.95 600  E-mini NASDAQ-100
MNQ 1.22 HMUZ         w  21500  0.95 1600 Micro E-mini NASDAQ-100
RTY 3.78 HMUZ         w  2250   1.1  220  E-mini Russell 2000
M2K 1.22 HMUZ         w  2250   1.1  160  Micro E-mini Russell 2000
YM  3.78 HMUZ         w  43500  0.7  130  E-mini Dow
MYM 1.22 HMUZ         w  43500  0.7  140  Micro E-mini Dow
NKD 5.32 HMUZ         w  39500  1.0  8    Nikkei 225 (Dollar)
MBT 2.82 FGHJKMNQUVXZ 4  95000  2.6  20   Micro Bitcoin
MET 0.72 FGHJKMNQUVXZ 4  3300   3.4  40   Micro Ether
CL  4.02 FGHJKMNQUVXZ 14 71     1.8  350  Crude Oil
MCL 1.52 FGHJKMNQUVXZ 14 71     1.8  130  Micro Crude Oil
QM  3.42 FGHJKMNQUVXZ 14 71     1.8  8    E-mini Crude Oil
NG  4.22 FGHJKMNQUVXZ 5  3.4    3.0  180  Natural Gas
MNG 1.72 FGHJKMNQUVXZ 5  3.4    3.0  40   Micro Natural Gas
QG  2.02 FGHJKMNQUVXZ 5  3.4    3.0  6    E-mini Natural Gas
RB  4.02 FGHJKMNQUVXZ 3  2.05   1.8  40   RBOB Gasoline
HO  4.02 FGHJKMNQUVXZ 3  2.25   1.8  35   NY Harbor ULSD
GC  4.32 GJMQZ        4  2700   0.9  220  Gold
MGC 1.92 GJMQZ        4  2700   0.9  180  Micro Gold
SI  4.32 HKNUZ        4  31     1.6  60   Silver
SIL 2.72 HKNUZ        4  31     1.6  40   1,000-oz Silver
HG  4.32 HKNUZ        4  4.3    1.3  55   Copper
MHG 1.92 HKNUZ        4  4.3    1.3  15   Micro Copper
PL  4.32 FJNV         4  980    1.4  20   Platinum
6A  4.22 HMUZ         w  0.65   0.55 90   Australian Dollar
M6A 1.00 HMUZ         w  0.65   0.55 10   Micro AUD/USD
6B  4.22 HMUZ         w  1.27   0.5  90   British Pound
M6B 1.00 HMUZ         w  1.27   0.5  8    Micro GBP/USD
6E  4.22 HMUZ         w  1.07   0.45 200  Euro FX
M6E 1.00 HMUZ         w  1.07   0.45 20   Micro EUR/USD
E7  2.72 HMUZ         w  1.07   0.45 6    E-mini Euro FX
6C  4.22 HMUZ         w  0.71   0.4  70   Canadian Dollar
6J  4.22 HMUZ         w  0.0066 0.6  150  Japanese Yen
6S  4.22 HMUZ         w  1.13   0.5  30   Swiss Franc
6M  4.22 HMUZ         w  0.049  0.7  50   Mexican Peso
6N  4.22 HMUZ         w  0.59   0.55 30   New Zealand Dollar
ZT  2.32 HMUZ         3  103    0.08 400  2-Year T-Note
ZF  2.32 HMUZ         3  107    0.2  600  5-Year T-Note
ZN  2.62 HMUZ         3  110    0.32 900  10-Year T-Note
TN  2.62 HMUZ         3  113    0.38 300  Ultra 10-Year T-Note
ZB  2.76 HMUZ         3  116    0.6  250  U.S. Treasury Bond
UB  2.92 HMUZ         3  121    0.75 150  Ultra T-Bond
ZC  5.28 HKNUZ        3  440    1.3  120  Corn
ZW  5.28 HKNUZ        3  560    1.5  60   Wheat
ZS  5.28 FHKNQUX      3  1020   1.2  110  Soybeans
ZM  5.28 FHKNQUVZ     3  300    1.5  50   Soybean Meal
ZL  5.28 FHKNQUVZ     3  45     1.6  60   Soybean Oil
HE  5.22 GJKMNQVZ     -5 85     1.2  25   Lean Hogs
LE  5.22 GJMQVZ       -5 195    0.9  25   Live Cattle
"""


@dataclass(frozen=True)
class Product:
    """One product; `code` is the venue's word for it, `root` the exchange's. Dollars a contract, price in points."""

    root: str
    code: str
    tick_size: Decimal
    tick_value: Decimal
    fees: Decimal  # a side
    commissions: Decimal  # a side
    lots: Decimal  # of a mini
    months: str
    roll: int | None  # days before the first of the month; None: the week before the third Friday
    reference: Decimal
    sigma: float  # standard deviation of a day's log return
    volume: int  # contracts a minute while New York trades
    description: str


@dataclass(frozen=True)
class Listing:
    """One contract month of a product."""

    product: Product
    year: int
    month: int

    @cached_property
    def contract(self) -> Contract:
        return PRODUCTS[self.product.root].contract(self.year, self.month)

    @property
    def name(self) -> str:
        """Return the exchange-style name with one digit of the year, e.g. MNQZ6."""
        return f"{self.product.root}{MONTH_CODES[self.month - 1]}{self.year % 10}"

    @property
    def display_name(self) -> str:
        """Return the name that positions carry, with two digits of the year, e.g. MNQZ26."""
        return f"{self.product.root}{MONTH_CODES[self.month - 1]}{self.year % 100:02}"

    @property
    def symbol_id(self) -> str:
        return f"F.US.{self.product.code}"

    @property
    def description(self) -> str:
        return f"{self.product.description}: {month_name[self.month]} {self.year}"

    @cached_property
    def last_front_date(self) -> date:
        """Return the last trade date on which this is the product's active month."""
        first = date(self.year, self.month, 1)
        if self.product.roll is not None:
            return first - timedelta(days=self.product.roll + 1)
        return first + timedelta(days=(4 - first.weekday()) % 7 + 7)

    @property
    def first_date(self) -> date:
        """Return the first trade date with prices."""
        return self.last_front_date - _HISTORY

    @property
    def last_date(self) -> date:
        """Return the last trade date with prices, one week after the roll."""
        return self.last_front_date + timedelta(days=7)


def _parse(line: str) -> Product:
    root, turn, months, roll, price, sigma, volume, text = line.split(None, 7)
    known = PRODUCTS[root]
    micro = known.weight < 1 or root in {"MBT", "MET"}
    commissions = Decimal("0.25") if micro else Decimal("0.50")
    return Product(
        root=root,
        code=known.id,
        tick_size=known.tick_size,
        tick_value=known.tick_value,
        fees=Decimal(turn) / 2 - commissions,
        commissions=commissions,
        lots=known.weight,
        months=months,
        roll=None if roll == "w" else int(roll),
        reference=Decimal(price),
        sigma=float(sigma) / 100,
        volume=int(volume),
        description=text,
    )


LISTED: tuple[Product, ...] = tuple(_parse(line) for line in _TABLE.strip().splitlines())
_BY_CODE = {product.code: product for product in LISTED}
_BY_ROOT = {product.root: product for product in LISTED}


def product(root: str) -> Product:
    """Return the product that traders call `root`, e.g. MNQ. Raises ValueError for one that the venue does not list."""
    if root not in _BY_ROOT:
        raise ValueError(f"unknown symbol {root!r}: the venue lists {', '.join(sorted(_BY_ROOT))}")
    return _BY_ROOT[root]


def listing(contract_id: str) -> Listing | None:
    """Return the contract month of an id, None for an id of no contract that ever existed."""
    match = _ID.fullmatch(contract_id)
    found = _BY_CODE.get(match["product"]) if match else None
    if match is None or found is None or match["month"] not in found.months:
        return None
    return Listing(found, 2000 + int(match["year"]), MONTH_CODES.index(match["month"]) + 1)


def listed(contract_id: str) -> Listing:
    """Return the contract month of an id that the ledger holds. Raises ValueError for any other."""
    found = listing(contract_id)
    if found is None:
        raise ValueError(f"{contract_id} is no contract of this venue")
    return found


def front(of: Product, trade_date: date) -> Listing:
    """Return the month of `of` that is active on `trade_date`."""
    months = sorted(MONTH_CODES.index(letter) + 1 for letter in of.months)
    candidates = (Listing(of, year, month) for year in range(trade_date.year, trade_date.year + 2) for month in months)
    return next(candidate for candidate in candidates if candidate.last_front_date >= trade_date)


def is_active(month: Listing, at: datetime) -> bool:
    """Return whether `month` is its product's active one at a time."""
    return front(month.product, trade_date_of(at)) == month
