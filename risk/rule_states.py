"""What the gate knows of the rules that bind an account: the rulebook's, the trader's own, and the days so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from market.orders import Side

if TYPE_CHECKING:  # they take a RiskState, which holds this
    from risk.consistency import Days
    from risk.news import Window
    from risk.parameters import Parameters
    from risk.personal import Personal
    from risk.rulebook import Conduct


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An open position, or an order that may become one, on another account of the same owner.

    pair_price   of a stop entry that is one of a pair of which none has filled; None for anything else
    """

    account: str
    symbol: str
    side: Side
    is_position: bool
    pair_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RuleState:
    """Rules and days of one account at a moment. None never means unlimited.

    problems      why the rulebook cannot be used; entries are refused while there is one
    parameters    what binds stage and size, the account's overrides in it; None if the rulebook has nothing for them
    permitted     products; None if the rulebook does not say
    caps          most contracts of products that the firm's temporary caps name
    windows       of news, around now
    trades        closed trades of this session
    """

    problems: tuple[str, ...]
    parameters: Parameters | None
    permitted: frozenset[str] | None
    personal: Personal
    days: Days
    conduct: Conduct | None
    caps: Mapping[str, int] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    trades: int = 0

    def cap_of(self, symbol: str) -> int | None:
        """Return the most contracts of a product, None for one that is not capped."""
        return self.caps.get(symbol)
