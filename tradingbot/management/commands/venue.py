"""The simulated venue as a process: the ProjectX REST API over our own matching engine."""

from __future__ import annotations

import argparse
import socket
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.simulated.behaviour import Behaviour
from brokers.simulated.engine import Venue
from brokers.simulated.events import EventSwitches
from brokers.simulated.generator import GeneratedMarket
from brokers.simulated.ledger import Ledger
from brokers.simulated.market import Market
from brokers.simulated.replay import ReplayedMarket
from brokers.simulated.switches import Switchboard, typed
from tradingbot import clock
from tradingbot.management import forwarding

ACCOUNT = "50KTC-V2-DEMO-1:50000"
_TOLERANCE = timedelta(minutes=1)


class Command(BaseCommand):
    help = "Serve the simulated venue: accounts, orders, fills and bars in the protocol of the real one."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--host", default=settings.VENUE_HOST, help="address to listen on (VENUE_HOST)")
        add("--port", type=int, default=settings.VENUE_PORT, help="port to listen on (VENUE_PORT)")
        add("--seed", type=int, default=settings.VENUE_SEED, help="of the generated market (VENUE_SEED)")
        add(
            "--replay",
            action="append",
            default=[],
            metavar="SYMBOL=FILE",
            help="trade a symbol at the prices of a CSV or CSV.GZ file of 1-minute bars; repeatable (VENUE_REPLAY)",
        )
        add(
            "--forward",
            action="append",
            default=[],
            metavar="SYMBOL",
            help="trade a symbol at the real venue's prices as they come (PROJECTX_USERNAME, PROJECTX_API_KEY); "
            "repeatable (VENUE_FORWARD)",
        )
        add(
            "--segments",
            type=int,
            help="pieces into which a minute is walked; 1 matches whole bars; default 12, 60 with --forward",
        )
        add(
            "--slippage",
            type=int,
            default=settings.VENUE_SLIPPAGE_TICKS,
            help="ticks against us on market and stop fills (VENUE_SLIPPAGE_TICKS)",
        )
        add("--partials", type=int, metavar="N", help="fill at most N contracts of an order at once; default whole")
        add("--mode", choices=["auto_oco", "position"], default="auto_oco", help="bracket mode of the accounts")
        add(
            "--switch",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="how it behaves where nobody documents the real one; repeatable (docs/brokers/simulated.md)",
        )
        add("--ledger", type=Path, default=settings.VENUE_LEDGER, help="file of the ledger (VENUE_LEDGER)")
        add("--fresh", action="store_true", help="begin a new ledger, keep the old one as .bak")
        add(
            "--account",
            action="append",
            default=[],
            type=_account,
            metavar="NAME:BALANCE",
            help=f"account to open unless the ledger has it; repeatable; default {ACCOUNT}",
        )
        add("--user", default=settings.VENUE_USER, help="the only user name to accept (VENUE_USER)")
        add("--key", default=settings.VENUE_KEY, help="the only API key to accept (VENUE_KEY)")

    def handle(self, **options: Any) -> None:
        import uvicorn  # heavy, and only this command needs it

        from brokers.simulated.faults_http import new_token
        from brokers.simulated.server import create_app
        from brokers.simulated.tokens import Credentials

        path = options["ledger"] or settings.VAR_DIR / "venue.sqlite3"
        try:
            behaviour, events = _behaviour(options), EventSwitches()
            Switchboard(behaviour, events).turn(typed(options["switch"]))
            market, replayed = _market(options)
            beside: list[forwarding.Run] = []
            if symbols := options["forward"] or settings.VENUE_FORWARD:
                market, forward = forwarding.forwarded(symbols, market)
                beside, replayed = [forward], f"{replayed}, forwards {', '.join(symbols)}"
            with _listen(options["host"], options["port"]) as listening:
                venue = _venue(path, market, behaviour, events, options)
                credentials = Credentials(options["user"], options["key"])
                app = create_app(
                    venue,
                    clock.now,
                    speed=clock.clock.speed,
                    credentials=credentials,
                    fault_token=new_token(path),
                    beside=beside,
                )
                url = f"http://{options['host']}:{listening.getsockname()[1]}"
                self.stdout.write(f"venue at {url}, market time {clock.now():%F %T} UTC, ledger {path}{replayed}")
                self.stdout.flush()
                config = uvicorn.Config(
                    app,
                    log_level="warning",
                    access_log=False,
                    lifespan="on",
                    timeout_graceful_shutdown=5,
                    date_header=False,
                )
                uvicorn.Server(config).run(sockets=[listening])
        except (ValueError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error


def _behaviour(options: dict[str, Any]) -> Behaviour:
    return Behaviour(
        brackets=options["mode"],
        slippage=options["slippage"],
        segments=options["segments"] or (60 if options["forward"] or settings.VENUE_FORWARD else 12),
        partial=options["partials"],
    )


def _market(options: dict[str, Any]) -> tuple[Market, str]:
    """Return the market and what of it is replayed. Raises ValueError for a bad file."""
    generated = GeneratedMarket(options["seed"])
    files = dict(_replay(text) for text in options["replay"] or settings.VENUE_REPLAY)
    if not files:
        return generated, ""
    market = ReplayedMarket(files, generated)
    spans = (f"{symbol} {first:%F} to {last:%F}" for symbol, (first, last) in market.covers().items())
    return market, f", replays {', '.join(spans)}"


def _venue(path: Path, market: Market, behaviour: Behaviour, events: EventSwitches, options: dict[str, Any]) -> Venue:
    """Return the venue on its ledger, with its accounts.

    A rehearsal that has not started begins a new ledger when the old one is of a later time. Raises ValueError for a
    ledger that does not fit the clock.
    """
    if options["fresh"]:
        _put_away(path)
    venue, now = Venue(Ledger(path), market, behaviour, events), clock.now()
    if venue.walked_to is not None and venue.walked_to > now + _TOLERANCE:
        venue.shut()
        if not clock.clock.started():
            return _venue(path, market, behaviour, events, options | {"fresh": True})
        raise ValueError(
            f"{path} ends at {venue.walked_to:%F %T} UTC and the clock says {now:%F %T}: "
            "it belongs to another rehearsal, start with --fresh to begin a new one"
        )
    for name, balance in options["account"] or [_account(ACCOUNT)]:
        venue.open_account(name, balance, now)
    return venue


def _account(text: str) -> tuple[str, Decimal]:
    name, _, balance = text.rpartition(":")
    try:
        amount = Decimal(balance)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not name or not amount.is_finite():
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME:BALANCE, for example {ACCOUNT}")
    return name, amount


def _replay(text: str) -> tuple[str, Path]:
    symbol, separator, file = text.partition("=")
    if not separator or not file:
        raise ValueError(f"VENUE_REPLAY {text!r}: write SYMBOL=FILE, for example MNQ=/path/to/NQ.csv.gz")
    return symbol.strip().upper(), Path(file.strip())


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise CommandError(
            f"VENUE_PORT: cannot listen on {host}:{port} ({error}); set VENUE_PORT to a free one"
        ) from error
    return listening


def _put_away(path: Path) -> None:
    """Keep an earlier ledger as .bak, with what SQLite has not yet folded into it."""
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(path.with_name(path.name + ".bak" + suffix))
        else:
            path.with_name(path.name + ".bak" + suffix).unlink(missing_ok=True)
