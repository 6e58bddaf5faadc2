"""The bar cache: packed days of closed 1-minute bars in PostgreSQL, everything longer made of them, the API for gaps.

`base`, `daily`, `stitched` and `last_price` read the cache alone; `fetch`, `backfill` and `series` may ask the venue:
they have no place in a transaction or a web request.
"""

from tradingbot.operations.bars.counting import Source, counts
from tradingbot.operations.bars.fetching import backfill, fetch, is_behind
from tradingbot.operations.bars.files import Report, import_file
from tradingbot.operations.bars.ranges import NotCovered, capture_range
from tradingbot.operations.bars.seconds import forget
from tradingbot.operations.bars.series import Roll, Stitched, daily, series, stitched
from tradingbot.operations.bars.storing import MINUTE, base, coverage, known_sessions, last_price, last_prices, record

__all__ = [
    "MINUTE",
    "NotCovered",
    "Report",
    "Roll",
    "Source",
    "Stitched",
    "backfill",
    "base",
    "capture_range",
    "counts",
    "coverage",
    "daily",
    "fetch",
    "forget",
    "import_file",
    "is_behind",
    "known_sessions",
    "last_price",
    "last_prices",
    "record",
    "series",
    "stitched",
]
