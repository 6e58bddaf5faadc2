"""The stream process: what the hubs bring, booked and passed on at once, by the operations that the polling tasks use.

Nothing depends on it: whatever it does not bring, the next poll does. `running` holds both hubs under a lease;
`user_side`, `desk` and `booking` are the way of an execution into our rows, `market_side`, `feed`, `candles` and
`minutes` that of a price into Redis and the bar cache; `watching` compares prices with limits, `health` says how well
all of it goes and `state` is where others read it.
"""

from tradingbot.operations.streaming.state import (
    Delivery,
    Status,
    deliveries,
    delivers,
    end_orphaned_blocks,
    read,
)

__all__ = ["Delivery", "Status", "deliveries", "delivers", "end_orphaned_blocks", "read"]
