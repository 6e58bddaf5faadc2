from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def market_time_stands(standing_clock) -> None:
    """Every page is of 09:20 New York."""
