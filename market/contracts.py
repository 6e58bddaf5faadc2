"""What trades: one expiry of a product, with its tick arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Contract:
    """One expiry of a future.

    id          the venue's opaque id, e.g. CON.F.US.MNQ.Z26
    symbol      the product's root as traders write it, e.g. MNQ
    tick_size   points; tick_value dollars a contract; tick_micros the same in millionths, for sums of many
    """

    id: str
    symbol: str
    tick_size: Decimal
    tick_value: Decimal
    tick_micros: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tick_size <= 0 or self.tick_value <= 0:
            raise ValueError(f"{self.id}: tick size {self.tick_size} and tick value {self.tick_value} must be positive")
        micros, rest = divmod(self.tick_value * 1_000_000, 1)
        if rest:
            raise ValueError(f"{self.id}: a tick value of {self.tick_value} dollars has more than six decimals")
        object.__setattr__(self, "tick_micros", int(micros))

    @property
    def point_value(self) -> Decimal:
        """Return dollars a contract for a move of one point."""
        return self.tick_value / self.tick_size

    def ticks(self, price: Decimal) -> int:
        """Return `price` in whole ticks. Raises ValueError for a price off the tick grid."""
        ticks, rest = divmod(price, self.tick_size)
        if rest:
            raise ValueError(f"{self.symbol}: {price} is not on the tick grid of {self.tick_size}")
        return int(ticks)

    def price(self, ticks: int) -> Decimal:
        """Return the price of `ticks` in points."""
        return ticks * self.tick_size

    def distance(self, points: Decimal | float) -> int:
        """Return a distance of `points` in ticks, rounded half up."""
        return round_half_up(Decimal(str(points)) / self.tick_size)

    def money(self, ticks: int, quantity: int = 1) -> Decimal:
        """Return what a move of `ticks` is worth in dollars for `quantity` contracts."""
        return ticks * quantity * self.tick_value


def round_half_up(value: Decimal) -> int:
    """Return the nearest whole number; halves go away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))
