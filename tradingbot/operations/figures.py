"""Figures of a message in the order in which a trader reads them: a JSON column keeps none."""

from __future__ import annotations

from collections.abc import Mapping

_ORDER = (
    "Price",
    "Position",
    "Stop",
    "Target",
    "Strategy",
    "Order",
    "Net result",
    "Trades",
    "Gross",
    "Fees",
    "Net",
    "Flat",
    "Denied entries",
    "Balance",
    "Room to the floor",
)
_PLACE = {name: place for place, name in enumerate(_ORDER)}


def in_order(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return name and value pairs: known names in their order, others after them by name."""
    return sorted(facts.items(), key=lambda pair: (_PLACE.get(pair[0], len(_ORDER)), pair[0]))
