"""The venue with a market hub that sends quotes as fast as one file says, and the price that another says, once.

Everything else is as always.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tradingbot.clock import clock

LEDGER = "flood.sqlite3"
TICK = 0.002  # seconds between two bursts
END, AT = "\x1e", "@at"


def frames(contract_id: str, number: int) -> list[str]:
    """Return quotes of one contract as the real venue sends them: what changed, most often bid and ask.

    Their time is left open, `stamped` fills it in.
    """
    made = []
    for i in range(number):
        price = 24500 + (i % 40) * 0.25
        quote: dict[str, object] = {"symbol": "F.US.MNQ", "bestBid": price, "bestAsk": price + 0.25}
        if i % 3 == 0 or i == 0:
            quote["lastPrice"] = price
            quote["volume"] = 1000 + i
        quote |= {"lastUpdated": AT, "timestamp": AT, "contract": contract_id}
        made.append(json.dumps({"type": 1, "target": "GatewayQuote", "arguments": [contract_id, quote]}) + END)
    return made


def stamped(frame: str, at: datetime) -> str:
    return frame.replace(AT, at.strftime("%Y-%m-%dT%H:%M:%S.%f1+00:00"))


def _quote(contract_id: str, price: str) -> str:
    at = clock.now().isoformat()
    quote = {"lastPrice": float(price), "timestamp": at, "contract": contract_id}
    return json.dumps({"type": 1, "target": "GatewayQuote", "arguments": [contract_id, quote]}) + END


async def market(socket) -> None:
    """Confirm every subscription, then send."""
    await socket.accept()
    contracts: dict[str, list[str]] = {}

    async def hear() -> None:
        rest = ""
        while True:
            rest += await socket.receive_text()
            *records, rest = rest.split(END)
            for record in records:
                message = json.loads(record)
                if "protocol" in message:
                    await socket.send_text("{}" + END)
                elif message.get("type") == 1:
                    await socket.send_text(json.dumps({"type": 3, "invocationId": message["invocationId"]}) + END)
                    if message["target"] == "SubscribeContractQuotes":
                        contracts[message["arguments"][0]] = frames(message["arguments"][0], 400)

    hearing = asyncio.create_task(hear())
    file, sent, due = Path(os.environ["VAR_DIR"]) / "rate", 0, 0.0
    wish, told = Path(os.environ["VAR_DIR"]) / "price", ""
    last = time.monotonic()
    rate, read_at = 0.0, 0.0
    try:
        while not hearing.done():
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if now - read_at > 0.2:
                rate, read_at = float(file.read_text()) if file.exists() else 0.0, now
            if wish.exists() and (price := wish.read_text()) != told:
                told = price
                for contract_id in contracts:
                    await socket.send_text(_quote(contract_id, price))
            due += rate * (now - last)
            last = now
            for _ in range(min(int(due), 200)):  # what a stalled machine owes is not sent in one burst
                known = list(contracts.values())
                if known:
                    of = known[sent % len(known)]
                    await socket.send_text(stamped(of[sent // len(known) % len(of)], clock.now()))
                    sent += 1
            due = min(due - int(due) if due < 200 else due - 200, 400)
    except RuntimeError:  # the client has gone
        pass
    finally:
        hearing.cancel()


def main() -> None:
    import django

    django.setup()
    import uvicorn
    from starlette.routing import WebSocketRoute

    from brokers.simulated.behaviour import Behaviour
    from brokers.simulated.engine import Venue
    from brokers.simulated.generator import GeneratedMarket
    from brokers.simulated.ledger import Ledger
    from brokers.simulated.server import create_app

    venue = Venue(Ledger(Path(os.environ["VAR_DIR"]) / LEDGER), GeneratedMarket(7), Behaviour())
    venue.open_account("50KTC-V2-DEMO-1", Decimal(50_000), clock.now())
    app = create_app(venue, clock.now, speed=30)  # the budget of requests is not what is measured
    app.router.routes.insert(0, WebSocketRoute("/hubs/market", market))
    uvicorn.run(app, port=int(os.environ["VENUE_PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    sys.exit(main())
